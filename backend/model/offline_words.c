/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 64

static const char *const units[] = {
    "zero",    "one",     "two",       "three",    "four",
    "five",    "six",     "seven",     "eight",    "nine",
    "ten",     "eleven",  "twelve",    "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
};
static const char *const tens[] = {
    "twenty", "thirty",  "forty",  "fifty",
    "sixty",  "seventy", "eighty", "ninety",
};

/* The short form and what it stands for; "" is left out. */
static const char *const replaced[][3] = {
    {"what's", "what", "is"},
    {"whats", "what", "is"},
    {"how's", "how", "is"},
    {"who's", "who", "is"},
    {"where's", "where", "is"},
    {"that's", "that", "is"},
    {"it's", "it", "is"},
    {"there's", "there", "is"},
    {"you're", "you", "are"},
    {"i'm", "i", "am"},
    {"please", NULL, NULL},
    {"um", NULL, NULL},
    {"uh", NULL, NULL},
    {"todays", "today's", NULL},
    {"good-bye", "goodbye", NULL},
};

static void
word_add(struct utterance *u, const char *word, size_t from, size_t to)
{
    size_t bytes = strlen(word) + 1;

    if (u->count == GRAMMAR_MAX_WORDS || bytes > sizeof u->pool - u->fill) {
        u->cut = true;
        return;
    }
    memcpy(u->pool + u->fill, word, bytes);
    u->words[u->count] = u->pool + u->fill;
    u->from[u->count] = (unsigned short) from;
    u->to[u->count] = (unsigned short) to;
    u->fill += bytes;
    u->count++;
}

static void
word_put(struct utterance *u, const char *word, size_t from, size_t to)
{
    for (size_t i = 0; i < sizeof replaced / sizeof *replaced; i++) {
        if (strcmp(word, replaced[i][0]) != 0)
            continue;
        for (int k = 1; k <= 2 && replaced[i][k] != NULL; k++)
            word_add(u, replaced[i][k], from, to);
        return;
    }
    word_add(u, word, from, to);
}

static bool
is_letter(const char *text, size_t at)
{
    unsigned char c = (unsigned char) text[at];

    return isalpha(c) || c >= 0x80;
}

/* The typographic apostrophe, U+2019. */
static bool
is_curly(const char *text, size_t at)
{
    return strncmp(text + at, "\xe2\x80\x99", 3) == 0;
}

static size_t
letters_read(struct utterance *u, size_t at, size_t end)
{
    char word[WORD_MAX];
    size_t from = at, fill = 0;

    while (at < end) {
        bool curly = is_curly(u->text, at);
        bool quote = curly || u->text[at] == '\'';

        if (quote && !isalpha((unsigned char) u->text[at + (curly ? 3 : 1)]))
            break; /* a closing quotation mark */
        if (!quote && !is_letter(u->text, at))
            break;
        if (fill + 1 < sizeof word)
            word[fill++] =
                quote ? '\'' : (char) tolower((unsigned char) u->text[at]);
        at += curly ? 3 : 1;
    }
    word[fill] = '\0';
    if (fill > 0)
        word_put(u, word, from, at);
    return at > from ? at : from + 1;
}

static size_t
digits_read(struct utterance *u, size_t at, size_t end)
{
    char word[WORD_MAX];
    size_t from = at, fill = 0;

    for (; at < end; at++) {
        char c = u->text[at];
        bool inside = at + 1 < end && isdigit((unsigned char) u->text[at + 1]);

        if (c == ',' && inside)
            continue; /* 12,345 */
        if (!isdigit((unsigned char) c) && !(c == '.' && inside))
            break;
        if (fill + 1 < sizeof word)
            word[fill++] = c;
    }
    word[fill] = '\0';
    word_add(u, word, from, at);
    return at;
}

/* A sign of arithmetic as a word, when a digit follows: else it is a mark. */
static size_t
sign_read(struct utterance *u, size_t at, size_t end)
{
    static const char *const signs[][2] = {
        {"+", "plus"},
        {"-", "minus"},
        {"*", "times"},
        {"/", "divided"},
        {"\xc3\x97", "times"},
        {"\xc3\xb7", "divided"},
        {"\xe2\x88\x92", "minus"},
    };

    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        size_t bytes = strlen(signs[i][0]);
        size_t after = at + bytes;

        if (strncmp(u->text + at, signs[i][0], bytes) != 0)
            continue;
        while (after < end && u->text[after] == ' ')
            after++;
        if (after < end && isdigit((unsigned char) u->text[after])) {
            word_add(u, signs[i][1], at, at + bytes);
            if (signs[i][1][0] == 'd')
                word_add(u, "by", at, at + bytes);
        }
        return at + bytes;
    }
    return at;
}

void
utterance_read(struct utterance *u, const char *text)
{
    size_t end = strnlen(text, WORDS_TEXT_BYTES);
    size_t at = 0;

    u->text = text;
    u->count = u->fill = 0;
    u->cut = text[end] != '\0';
    while (at < end) {
        size_t after = sign_read(u, at, end);

        if (after > at)
            at = after;
        else if (isdigit((unsigned char) text[at]))
            at = digits_read(u, at, end);
        else if (is_letter(text, at))
            at = letters_read(u, at, end);
        else
            at++;
    }
}

void
utterance_skip(struct utterance *u, size_t n)
{
    n = n < u->count ? n : u->count;
    u->count -= n;
    memmove(u->words, u->words + n, u->count * sizeof *u->words);
    memmove(u->from, u->from + n, u->count * sizeof *u->from);
    memmove(u->to, u->to + n, u->count * sizeof *u->to);
}

bool
utterance_has(const struct utterance *u, const char *word)
{
    for (size_t i = 0; i < u->count; i++) {
        if (strcmp(u->words[i], word) == 0)
            return true;
    }
    return false;
}

static int
table_find(const char *const *table, size_t count, const char *word)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i], word) == 0)
            return (int) i;
    }
    return -1;
}

/* One to ninety-nine at `at`; words taken. */
static size_t
small_number(const struct utterance *u, size_t at, double *value)
{
    int unit, ten;

    if (at >= u->count)
        return 0;
    unit = table_find(units, 20, u->words[at]);
    if (unit >= 0) {
        *value = unit;
        return 1;
    }
    ten = table_find(tens, 8, u->words[at]);
    if (ten < 0)
        return 0;
    *value = (ten + 2) * 10;
    unit = at + 1 < u->count ? table_find(units, 10, u->words[at + 1]) : -1;
    if (unit <= 0)
        return 1;
    *value += unit;
    return 2;
}

size_t
utterance_number(const struct utterance *u, size_t at, double *value)
{
    size_t taken, more;
    double rest = 0;

    if (at >= u->count)
        return 0;
    if (isdigit((unsigned char) u->words[at][0])) {
        *value = strtod(u->words[at], NULL);
        return 1;
    }
    taken = small_number(u, at, value);
    if (taken == 0 && strcmp(u->words[at], "a") == 0) {
        *value = 1;
        taken = 1;
        if (at + 1 >= u->count || strcmp(u->words[at + 1], "hundred") != 0)
            return 0;
    }
    if (taken != 1 || *value < 1 || *value > 9 || at + 1 >= u->count
        || strcmp(u->words[at + 1], "hundred") != 0)
        return taken;
    *value *= 100;
    taken = 2;
    more = at + 2 < u->count && strcmp(u->words[at + 2], "and") == 0;
    more = small_number(u, at + taken + more, &rest) > 0
               ? more + small_number(u, at + taken + more, &rest)
               : 0;
    *value += more > 0 ? rest : 0;
    return taken + more;
}

int
words_define_numbers(struct grammar *grammar)
{
    static const char *const rules[][2] = {
        {"unit",
         "one | two | three | four | five | six | seven | eight | nine"},
        {"small", "zero | <unit> | ten | eleven | twelve | thirteen | fourteen"
                  " | fifteen | sixteen | seventeen | eighteen | nineteen |"
                  " (twenty | thirty | forty | fifty | sixty | seventy |"
                  " eighty | ninety) [<unit>]"},
        {"number", "<small> | (a | <unit>) hundred [[and] <small>]"},
        {"operator", "plus | minus | times | divided by | multiplied by"},
    };

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        int rule = grammar_rule(grammar, rules[i][0], rules[i][1]);

        if (rule < 0)
            return rule;
    }
    return 0;
}

bool
words_of_name(const char *name, char *to, size_t bytes)
{
    size_t fill = 0;
    bool gap = false;

    for (const char *c = name; *c != '\0'; c++) {
        const char *digit =
            isdigit((unsigned char) *c) ? units[*c - '0'] : NULL;
        size_t need = digit != NULL ? strlen(digit) : 1;

        if (!isalnum((unsigned char) *c)) {
            gap = true;
            continue;
        }
        if (isupper((unsigned char) *c) && c > name
            && islower((unsigned char) c[-1]))
            gap = true;
        if (c > name && (digit != NULL) != !!isdigit((unsigned char) c[-1]))
            gap = true;
        if (digit != NULL)
            gap = true;
        if (need + 2 > bytes - fill)
            return false;
        if (gap && fill > 0)
            to[fill++] = ' ';
        gap = false;
        if (digit != NULL)
            memcpy(to + fill, digit, need);
        else
            to[fill] = (char) tolower((unsigned char) *c);
        fill += need;
    }
    to[fill] = '\0';
    return fill > 0;
}
