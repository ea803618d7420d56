/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_tools.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define RULE_BYTES        4096
#define MAX_PARAMETERS    16
#define SPOKEN_PARAMETERS 3    /* more can't be said in one breath */
#define MAX_COST          4000 /* words of all commands, written out */
#define MAX_DEFINITION    (64 * 1024)
#define MAX_CHOICES       40

struct tool {
    char *name;
    char spoken[TOOL_SPOKEN_BYTES]; /* "get weather" */
    const char *nouns;              /* in spoken: "weather" */
    int order;                      /* rule: named in so many words */
    int ask;                        /* rule: asked for; -1: none */
    int whole;                      /* rule: either, and spoken arguments */
    struct tool_parameter parameters[MAX_PARAMETERS];
    size_t parameter_count;
};

struct tool_set {
    struct grammar *grammar; /* borrowed */
    struct tool *tools;
    size_t count;
    int rule;
};

static bool
listed(const char *const *list, const char *word)
{
    for (; *list != NULL; list++) {
        if (strcmp(*list, word) == 0)
            return true;
    }
    return false;
}

/* word is one of the blank-separated words of text. */
static bool
has_word(const char *text, const char *word)
{
    size_t bytes = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at++) {
        if ((at == text || at[-1] == ' ')
            && (at[bytes] == ' ' || at[bytes] == '\0'))
            return true;
    }
    return false;
}

static bool
has_any(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (has_word(text, *words))
            return true;
    }
    return false;
}

/* --- what can be said */

/* The words after a verb that asks for something: "get current weather" is
 * about "weather". */
static const char *
nouns_of(const char *spoken)
{
    static const char *const verbs[] = {
        "get",  "fetch",  "show",  "check",    "look",
        "up",   "lookup", "query", "current",  "tell",
        "what", "the",    "find",  "retrieve", NULL};
    char word[TOOL_SPOKEN_BYTES];

    while (*spoken != '\0') {
        size_t bytes = strcspn(spoken, " ");

        memcpy(word, spoken, bytes);
        word[bytes] = '\0';
        if (!listed(verbs, word))
            break;
        spoken += bytes + (spoken[bytes] == ' ');
    }
    return spoken;
}

/* The beginning of a description, up to the first small word: "Look up the
 * capital of a country." gives "look up the capital". */
static bool
clause_of(const char *description, char *to, size_t bytes)
{
    static const char *const ends[] = {
        "for",   "of", "in",    "at",    "by", "from", "with", "and", "that",
        "which", "or", "given", "using", "on", "to",   "as",   NULL};
    struct utterance u;
    size_t fill = 0, words = 0;

    if (description == NULL)
        return false;
    utterance_read(&u, description);
    for (; words < u.count && words < 7; words++) {
        const char *word = u.words[words];
        char mark = words > 0 ? description[u.to[words - 1]] : ' ';

        if (strspn(word, "abcdefghijklmnopqrstuvwxyz'") != strlen(word)
            || (words > 1 && listed(ends, word)) || strchr(".,;:(", mark))
            break;
        if (strlen(word) + 2 > bytes - fill)
            return false;
        fill += (size_t) snprintf(to + fill, bytes - fill, "%s%s",
                                  fill > 0 ? " " : "", word);
    }
    return words >= 2;
}

static bool
has_kind(const struct tool *tool, enum slot_kind kind)
{
    for (size_t i = 0; i < tool->parameter_count; i++) {
        if (tool->parameters[i].kind == kind)
            return true;
    }
    return false;
}

/* Ways to ask for what the tool's name says it does; "" when none. */
static void
family_write(const struct tool *tool, char *to, size_t bytes)
{
    static const char *const lists[] = {"list", "glob", "ls", NULL};
    static const char *const reads[] = {"read", "cat", "view", "open", NULL};
    static const char *const finds[] = {"search", "grep", "find", NULL};
    static const char *const asks[] = {"get",  "fetch",   "show",     "check",
                                       "look", "lookup",  "current",  "query",
                                       "find", "weather", "retrieve", NULL};

    to[0] = '\0';
    if (has_any(tool->spoken, lists))
        snprintf(to, bytes,
                 "(list | show me) [me] [all] [the] (files | directory |"
                 " folder) | what files (are there | do you see)");
    else if (has_any(tool->spoken, reads) && has_kind(tool, SLOT_FILE))
        snprintf(to, bytes, "(read | open | show me) [the] [file]");
    else if (has_any(tool->spoken, finds) && has_kind(tool, SLOT_TOPIC))
        snprintf(to, bytes, "(search [for] | look for | find)");
    else if (has_any(tool->spoken, asks) && *tool->nouns != '\0')
        snprintf(to, bytes,
                 "(<what_is> | how is | tell me | show me | check | look up |"
                 " give me | get [me]) [about] [the] [current] %s [like]",
                 tool->nouns);
}

static int
tool_heads(struct tool_set *set, struct tool *tool, size_t index,
           const char *description)
{
    char text[RULE_BYTES], family[1024], clause[TOOL_SPOKEN_BYTES], name[32];

    snprintf(text, sizeof text,
             "(call | use | run) [the] [tool] %s [tool | function] | %s",
             tool->spoken, tool->spoken);
    snprintf(name, sizeof name, "order%zu", index);
    tool->order = grammar_rule(set->grammar, name, text);
    if (tool->order < 0)
        return tool->order;
    tool->ask = -1;
    family_write(tool, family, sizeof family);
    if (!clause_of(description, clause, sizeof clause))
        clause[0] = '\0';
    if (family[0] == '\0' && clause[0] == '\0')
        return 0;
    snprintf(text, sizeof text, "%s%s%s", family,
             family[0] != '\0' && clause[0] != '\0' ? " | " : "", clause);
    snprintf(name, sizeof name, "ask%zu", index);
    tool->ask = grammar_rule(set->grammar, name, text);
    return tool->ask < 0 ? tool->ask : 0;
}

/* The values of an enum as a rule. Values that can't be spoken are left out;
 * with none left the parameter is not spoken. */
static int
choice_rule(struct tool_set *set, struct tool_parameter *parameter,
            const char *name)
{
    const json_t *item;
    size_t i, fill = 0;
    char text[RULE_BYTES], words[TOOL_SPOKEN_BYTES];

    json_array_foreach(json_object_get(parameter->schema, "enum"), i, item)
    {
        if (i >= MAX_CHOICES || fill + TOOL_SPOKEN_BYTES + 4 > sizeof text)
            break;
        if (!json_is_string(item)
            || !words_of_name(json_string_value(item), words, sizeof words))
            continue;
        fill += (size_t) snprintf(text + fill, sizeof text - fill, "%s%s",
                                  fill > 0 ? " | " : "", words);
    }
    if (fill == 0)
        return 0;
    snprintf(parameter->rule, sizeof parameter->rule, "%s", name);
    i = 0;
    return grammar_rule(set->grammar, name, text);
}

/* "[[<link>] [city] <city>] …" */
static int
tail_write(struct tool_set *set, struct tool *tool, size_t index, char *to,
           size_t bytes)
{
    size_t fill = 0;

    to[0] = '\0';
    for (size_t i = 0; i < tool->parameter_count && i < SPOKEN_PARAMETERS;
         i++) {
        struct tool_parameter *parameter = &tool->parameters[i];
        const char *rule = slot_rule(parameter->kind);

        if (parameter->kind == SLOT_CHOICE) {
            char name[16];
            int error;

            snprintf(name, sizeof name, "v%zux%zu", index, i);
            error = choice_rule(set, parameter, name);
            if (error < 0)
                return error;
            rule = parameter->rule[0] != '\0' ? parameter->rule : NULL;
        }
        if (rule != NULL && parameter->spoken[0] != '\0')
            fill += (size_t) snprintf(to + fill, bytes - fill,
                                      " [[<link>] [%s] <%s>]",
                                      parameter->spoken, rule);
    }
    return 0;
}

static int
tool_rules(struct tool_set *set, struct tool *tool, size_t index,
           const char *description)
{
    char tail[1024], text[RULE_BYTES], name[32];
    int error = tool_heads(set, tool, index, description);

    if (error == 0)
        error = tail_write(set, tool, index, tail, sizeof tail);
    if (error < 0)
        return error;
    if (tool->ask >= 0)
        snprintf(text, sizeof text, "(<order%zu> | <ask%zu>)%s [<when>]", index,
                 index, tail);
    else
        snprintf(text, sizeof text, "<order%zu>%s [<when>]", index, tail);
    snprintf(name, sizeof name, "tool%zu", index);
    tool->whole = grammar_rule(set->grammar, name, text);
    return tool->whole < 0 ? tool->whole : 0;
}

/* --- reading the declarations */

static bool
is_required(const json_t *schema, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(schema, "required"), i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), name) == 0)
            return true;
    }
    return false;
}

/* Required ones first: they are what is said. */
static int
parameters_read(struct tool *tool, const json_t *schema, bool needed)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *value;

    json_object_foreach(properties, name, value)
    {
        struct tool_parameter *parameter =
            &tool->parameters[tool->parameter_count];

        if (is_required(schema, name) != needed)
            continue;
        if (tool->parameter_count == MAX_PARAMETERS)
            return 0;
        parameter->name = strdup(name);
        parameter->schema = json_deep_copy(value);
        tool->parameter_count++;
        if (parameter->name == NULL || parameter->schema == NULL)
            return UV_ENOMEM;
        parameter->required = needed;
        parameter->kind = slot_kind_of(name, value);
        words_of_name(name, parameter->spoken, sizeof parameter->spoken);
    }
    return 0;
}

/* Only plain names: what is too long or has no letters is typed, not said. */
static int
tool_read(struct tool_set *set, struct tool *tool, const json_t *declaration)
{
    const char *name = json_string_value(json_object_get(declaration, "name"));
    const char *about =
        json_string_value(json_object_get(declaration, "description"));
    const json_t *schema = json_object_get(declaration, "parameters");
    int error;

    tool->order = tool->ask = tool->whole = -1;
    tool->nouns = "";
    tool->name = strdup(name);
    if (tool->name == NULL)
        return UV_ENOMEM;
    error = parameters_read(tool, schema, true);
    if (error == 0)
        error = parameters_read(tool, schema, false);
    if (error != 0)
        return error;
    if (!words_of_name(name, tool->spoken, sizeof tool->spoken)) {
        tool->spoken[0] = '\0';
        return 0;
    }
    tool->nouns = nouns_of(tool->spoken);
    error = tool_rules(set, tool, (size_t) (tool - set->tools), about);
    if (error == UV_EINVAL) /* unsayable after all */
        tool->order = tool->ask = tool->whole = -1;
    return error == UV_EINVAL ? 0 : error;
}

static bool
is_function(const json_t *declaration)
{
    const json_t *type = json_object_get(declaration, "type");
    const char *name = json_string_value(json_object_get(declaration, "name"));

    return name != NULL && *name != '\0' && strlen(name) < 128
           && (!json_is_string(type)
               || strcmp(json_string_value(type), "function") == 0);
}

/* The rule of all that can be said, as far as the recogniser bears it. */
static int
tools_rule(struct tool_set *set)
{
    char text[RULE_BYTES];
    size_t fill = 0, cost = 0;

    for (size_t i = 0; i < set->count; i++) {
        if (set->tools[i].whole < 0 || fill + 32 > sizeof text)
            continue;
        cost += grammar_cost(set->grammar, set->tools[i].whole);
        if (cost > MAX_COST)
            break;
        fill += (size_t) snprintf(text + fill, sizeof text - fill,
                                  "%s<tool%zu>", fill > 0 ? " | " : "", i);
    }
    if (fill == 0)
        return 0;
    set->rule = grammar_rule(set->grammar, "tools", text);
    return set->rule < 0 ? set->rule : 0;
}

int
tool_set_create(struct tool_set **tp, struct grammar *grammar,
                const json_t *tools)
{
    struct tool_set *set = calloc(1, sizeof *set);
    const json_t *item;
    size_t i;
    int error = 0;

    if (set == NULL)
        return UV_ENOMEM;
    set->grammar = grammar;
    set->rule = -1;
    if (json_array_size(tools) > 0)
        set->tools = calloc(TOOLS_MAX, sizeof *set->tools);
    if (json_array_size(tools) > 0 && set->tools == NULL)
        error = UV_ENOMEM;
    json_array_foreach(tools, i, item)
    {
        if (error != 0 || set->count == TOOLS_MAX)
            break;
        if (!is_function(item))
            continue;
        error = tool_read(set, &set->tools[set->count++], item);
    }
    if (error == 0)
        error = tools_rule(set);
    if (error != 0) {
        tool_set_destroy(&set);
        return error;
    }
    *tp = set;
    return 0;
}

void
tool_set_destroy(struct tool_set **tp)
{
    struct tool_set *set = *tp;

    *tp = NULL;
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        for (size_t k = 0; k < set->tools[i].parameter_count; k++) {
            free(set->tools[i].parameters[k].name);
            json_decref(set->tools[i].parameters[k].schema);
        }
        free(set->tools[i].name);
    }
    if (set != NULL)
        free(set->tools);
    free(set);
}

size_t
tool_set_count(const struct tool_set *set)
{
    return set->count;
}

const char *
tool_set_name(const struct tool_set *set, size_t tool)
{
    return set->tools[tool].name;
}

int
tool_set_find(const struct tool_set *set, const char *name)
{
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->tools[i].name, name) == 0)
            return (int) i;
    }
    return -1;
}

int
tool_set_rule(const struct tool_set *set)
{
    return set->rule;
}

/* --- which tool is meant */

/* Words at the beginning that the rule takes, 0: it does not fit. */
static size_t
prefix_of(const struct tool_set *set, int rule, const struct utterance *u)
{
    uint64_t ends;

    if (rule < 0)
        return 0;
    ends =
        grammar_match(set->grammar, rule, 1, u->words, u->count) & ~UINT64_C(1);
    return ends == 0 ? 0 : 63u - (size_t) __builtin_clzll(ends);
}

static bool
hinted(const struct tool *tool, const struct utterance *u)
{
    char word[TOOL_SPOKEN_BYTES];
    const char *at = tool->nouns;

    while (*at != '\0') {
        size_t bytes = strcspn(at, " ");

        memcpy(word, at, bytes);
        word[bytes] = '\0';
        if (!utterance_has(u, word))
            return false;
        at += bytes + (at[bytes] == ' ');
    }
    return tool->nouns[0] != '\0';
}

bool
tool_set_match(const struct tool_set *set, const struct utterance *u,
               enum tool_match how, struct tool_command *command)
{
    size_t longest = 0;

    *command = (struct tool_command){.tool = -1};
    for (size_t i = 0; i < set->count; i++) {
        const struct tool *tool = &set->tools[i];
        size_t order = prefix_of(set, tool->order, u);
        size_t ask = prefix_of(set, tool->ask, u);
        size_t head = order >= ask ? order : ask;
        bool fits = how == TOOL_HINT ? hinted(tool, u) : head > 0;

        if (how == TOOL_WHOLE)
            fits = fits
                   && grammar_matches(set->grammar, tool->whole, u->words,
                                      u->count);
        if (!fits || (command->tool >= 0 && head <= longest))
            continue;
        longest = head;
        command->tool = (int) i;
        command->tail = head;
        command->ordered = order > 0 && order >= ask;
    }
    return command->tool >= 0;
}

const struct tool_parameter *
tool_set_parameters(const struct tool_set *set, size_t tool, size_t *count)
{
    *count = set->tools[tool].parameter_count;
    return set->tools[tool].parameters;
}
