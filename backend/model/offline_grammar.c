/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_grammar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MAX_DEPTH  32
#define NAME_BYTES 32
#define WORD_BYTES 64

enum node_kind {
    NODE_WORD,
    NODE_RULE,
    NODE_SEQUENCE,
    NODE_CHOICE,
    NODE_OPTION
};

struct node {
    enum node_kind kind;
    int value; /* NODE_WORD: index of the word; NODE_RULE: of the rule */
    int child; /* the first, -1: none */
    int next;  /* sibling, -1: none */
};

struct rule {
    char name[NAME_BYTES];
    char *text;
    int root;
    size_t cost;
    bool numeric;
};

struct grammar {
    struct node *nodes;
    size_t node_count, node_room;
    struct rule *rules;
    size_t rule_count, rule_room;
    char **words;
    size_t word_count, word_room;
};

struct parser {
    struct grammar *grammar;
    const char *at;
    int depth;
    int error;
};

static int parse_choice(struct parser *parser);

int
grammar_create(struct grammar **gp)
{
    struct grammar *grammar = calloc(1, sizeof *grammar);

    if (grammar == NULL)
        return UV_ENOMEM;
    *gp = grammar;
    return 0;
}

void
grammar_destroy(struct grammar **gp)
{
    struct grammar *grammar = *gp;

    *gp = NULL;
    if (grammar == NULL)
        return;
    for (size_t i = 0; i < grammar->rule_count; i++)
        free(grammar->rules[i].text);
    for (size_t i = 0; i < grammar->word_count; i++)
        free(grammar->words[i]);
    free(grammar->rules);
    free(grammar->words);
    free(grammar->nodes);
    free(grammar);
}

/* Room for one more item in a growing array. */
static int
room_make(void *arrayp, size_t count, size_t *room, size_t bytes)
{
    void **array = arrayp;
    size_t wider = *room == 0 ? 64 : *room * 2;
    void *moved;

    if (count < *room)
        return 0;
    moved = realloc(*array, wider * bytes);
    if (moved == NULL)
        return UV_ENOMEM;
    *array = moved;
    *room = wider;
    return 0;
}

static int
node_add(struct parser *parser, enum node_kind kind, int value)
{
    struct grammar *g = parser->grammar;

    if (room_make(&g->nodes, g->node_count, &g->node_room, sizeof *g->nodes)) {
        parser->error = UV_ENOMEM;
        return -1;
    }
    g->nodes[g->node_count] = (struct node){kind, value, -1, -1};
    return (int) g->node_count++;
}

static int
word_index(struct parser *parser, const char *text, size_t bytes)
{
    struct grammar *g = parser->grammar;

    for (size_t i = 0; i < g->word_count; i++) {
        if (strlen(g->words[i]) == bytes
            && memcmp(g->words[i], text, bytes) == 0)
            return (int) i;
    }
    if (room_make(&g->words, g->word_count, &g->word_room, sizeof *g->words)
            != 0
        || (g->words[g->word_count] = strndup(text, bytes)) == NULL) {
        parser->error = UV_ENOMEM;
        return -1;
    }
    return (int) g->word_count++;
}

static int
rule_index(const struct grammar *g, const char *name, size_t bytes)
{
    for (size_t i = g->rule_count; i-- > 0;) {
        if (strlen(g->rules[i].name) == bytes
            && memcmp(g->rules[i].name, name, bytes) == 0)
            return (int) i;
    }
    return -1;
}

static void
blanks_skip(struct parser *parser)
{
    parser->at += strspn(parser->at, " \n");
}

static int
parse_fail(struct parser *parser)
{
    if (parser->error == 0)
        parser->error = UV_EINVAL;
    return -1;
}

/* "( … )" or "[ … ]", after the opening mark. */
static int
parse_group(struct parser *parser, char closing)
{
    int inner, option;

    if (++parser->depth > MAX_DEPTH)
        return parse_fail(parser);
    inner = parse_choice(parser);
    parser->depth--;
    if (parser->error != 0 || *parser->at != closing)
        return parse_fail(parser);
    parser->at++;
    if (closing == ')')
        return inner;
    option = node_add(parser, NODE_OPTION, 0);
    if (option >= 0)
        parser->grammar->nodes[option].child = inner;
    return option;
}

static int
parse_item(struct parser *parser)
{
    size_t bytes;
    int index;

    if (*parser->at == '(' || *parser->at == '[') {
        char closing = *parser->at++ == '(' ? ')' : ']';

        return parse_group(parser, closing);
    }
    if (*parser->at == '<') {
        bytes = strcspn(++parser->at, ">");
        index = rule_index(parser->grammar, parser->at, bytes);
        if (index < 0 || parser->at[bytes] != '>')
            return parse_fail(parser);
        parser->at += bytes + 1;
        return node_add(parser, NODE_RULE, index);
    }
    bytes = strspn(parser->at, "abcdefghijklmnopqrstuvwxyz'");
    if (bytes == 0 || bytes >= WORD_BYTES)
        return parse_fail(parser);
    index = word_index(parser, parser->at, bytes);
    parser->at += bytes;
    return index < 0 ? -1 : node_add(parser, NODE_WORD, index);
}

static int
parse_sequence(struct parser *parser)
{
    int sequence = node_add(parser, NODE_SEQUENCE, 0);
    int last = -1;

    blanks_skip(parser);
    while (parser->error == 0 && strchr("|)]", *parser->at) == NULL) {
        int item = parse_item(parser);

        if (item < 0)
            return parse_fail(parser);
        if (last < 0)
            parser->grammar->nodes[sequence].child = item;
        else
            parser->grammar->nodes[last].next = item;
        last = item;
        blanks_skip(parser);
    }
    return last < 0 ? parse_fail(parser) : sequence;
}

static int
parse_choice(struct parser *parser)
{
    int choice = node_add(parser, NODE_CHOICE, 0);
    int last = -1;

    while (parser->error == 0) {
        int sequence = parse_sequence(parser);

        if (sequence < 0)
            return parse_fail(parser);
        if (last < 0)
            parser->grammar->nodes[choice].child = sequence;
        else
            parser->grammar->nodes[last].next = sequence;
        last = sequence;
        if (*parser->at != '|')
            return choice;
        parser->at++;
    }
    return -1;
}

static size_t
node_cost(const struct grammar *g, int node)
{
    size_t cost = 0;

    switch (g->nodes[node].kind) {
    case NODE_WORD:
        return 1;
    case NODE_RULE:
        return g->rules[g->nodes[node].value].cost;
    default:
        for (int c = g->nodes[node].child; c >= 0; c = g->nodes[c].next)
            cost += node_cost(g, c);
        return cost;
    }
}

int
grammar_rule(struct grammar *g, const char *name, const char *text)
{
    struct parser parser = {.grammar = g, .at = text};
    struct rule *rule;
    int root;

    if (strlen(name) >= NAME_BYTES)
        return UV_EINVAL;
    if (room_make(&g->rules, g->rule_count, &g->rule_room, sizeof *g->rules))
        return UV_ENOMEM;
    root = parse_choice(&parser);
    if (parser.error == 0 && *parser.at != '\0')
        parser.error = UV_EINVAL;
    if (parser.error != 0)
        return parser.error;
    rule = &g->rules[g->rule_count];
    memset(rule, 0, sizeof *rule);
    snprintf(rule->name, sizeof rule->name, "%s", name);
    rule->text = strdup(text);
    if (rule->text == NULL)
        return UV_ENOMEM;
    rule->root = root;
    rule->cost = node_cost(g, root);
    rule->numeric = strcmp(name, "number") == 0;
    return (int) g->rule_count++;
}

struct matcher {
    const struct grammar *grammar;
    const char *const *words;
    size_t count;
};

static uint64_t
word_match(const struct matcher *m, const char *word, uint64_t from)
{
    uint64_t to = 0;

    for (size_t i = 0; i < m->count; i++) {
        if ((from >> i & 1) != 0 && strcmp(m->words[i], word) == 0)
            to |= UINT64_C(1) << (i + 1);
    }
    return to;
}

static uint64_t
digits_match(const struct matcher *m, uint64_t from)
{
    uint64_t to = 0;

    for (size_t i = 0; i < m->count; i++) {
        if ((from >> i & 1) != 0 && m->words[i][0] >= '0'
            && m->words[i][0] <= '9')
            to |= UINT64_C(1) << (i + 1);
    }
    return to;
}

static uint64_t rule_match(const struct matcher *m, int rule, uint64_t from);

static uint64_t
node_match(const struct matcher *m, int index, uint64_t from)
{
    const struct node *node = &m->grammar->nodes[index];
    uint64_t to = 0;

    if (from == 0)
        return 0;
    switch (node->kind) {
    case NODE_WORD:
        return word_match(m, m->grammar->words[node->value], from);
    case NODE_RULE:
        return rule_match(m, node->value, from);
    case NODE_OPTION:
        return from | node_match(m, node->child, from);
    case NODE_CHOICE:
        for (int c = node->child; c >= 0; c = m->grammar->nodes[c].next)
            to |= node_match(m, c, from);
        return to;
    case NODE_SEQUENCE:
        to = from;
        for (int c = node->child; c >= 0; c = m->grammar->nodes[c].next)
            to = node_match(m, c, to);
        return to;
    }
    return 0;
}

static uint64_t
rule_match(const struct matcher *m, int index, uint64_t from)
{
    const struct rule *rule = &m->grammar->rules[index];
    uint64_t to = node_match(m, rule->root, from);

    return rule->numeric ? to | digits_match(m, from) : to;
}

uint64_t
grammar_match(const struct grammar *grammar, int rule, uint64_t from,
              const char *const *words, size_t count)
{
    struct matcher matcher = {grammar, words, count};

    return rule_match(&matcher, rule, from);
}

bool
grammar_matches(const struct grammar *grammar, int rule,
                const char *const *words, size_t count)
{
    return (grammar_match(grammar, rule, 1, words, count) >> count & 1) != 0;
}

size_t
grammar_cost(const struct grammar *grammar, int rule)
{
    return grammar->rules[rule].cost;
}

/* Marks the rules and words below a node. */
static void
node_mark(const struct grammar *g, int node, bool *rules, bool *words)
{
    int value = g->nodes[node].value;

    if (g->nodes[node].kind == NODE_WORD)
        words[value] = true;
    if (g->nodes[node].kind == NODE_RULE && !rules[value]) {
        rules[value] = true;
        node_mark(g, g->rules[value].root, rules, words);
    }
    for (int c = g->nodes[node].child; c >= 0; c = g->nodes[c].next)
        node_mark(g, c, rules, words);
}

static void
jsgf_write(const struct grammar *g, int top, const bool *used, FILE *to)
{
    fputs("#JSGF V1.0;\ngrammar commands;\n", to);
    for (size_t i = 0; i < g->rule_count; i++) {
        if (used[i] && (int) i != top)
            fprintf(to, "<%s> = %s;\n", g->rules[i].name, g->rules[i].text);
    }
    fprintf(to, "public <%s> = %s;\n", g->rules[top].name, g->rules[top].text);
}

int
grammar_print(const struct grammar *g, int rule, char **jsgf, char **words)
{
    bool *rules = calloc(g->rule_count + 1, sizeof *rules);
    bool *used = calloc(g->word_count + 1, sizeof *used);
    size_t bytes;
    FILE *text = open_memstream(jsgf, &bytes);
    FILE *list = open_memstream(words, &bytes);
    int error = UV_ENOMEM;

    if (rules != NULL && used != NULL && text != NULL && list != NULL) {
        node_mark(g, g->rules[rule].root, rules, used);
        jsgf_write(g, rule, rules, text);
        for (size_t i = 0; i < g->word_count; i++) {
            if (used[i])
                fprintf(list, "%s\n", g->words[i]);
        }
        error = 0;
    }
    if (text != NULL && fclose(text) != 0)
        error = UV_ENOMEM;
    if (list != NULL && fclose(list) != 0)
        error = UV_ENOMEM;
    free(rules);
    free(used);
    return error;
}
