/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What was heard or typed, as words: lower case, contractions written out,
 * signs of arithmetic as words, fillers left out; each remembers where in the
 * text it stood. And the words of numbers, both ways. Pure; an utterance is
 * embedded, borrows the text and owns nothing.
 */

#ifndef VOICE_OFFLINE_WORDS_H
#define VOICE_OFFLINE_WORDS_H

#include "model/offline_grammar.h"

#include <stdbool.h>
#include <stddef.h>

#define WORDS_TEXT_BYTES 4096 /* more is not read */

struct utterance {
    const char *text;
    const char *words[GRAMMAR_MAX_WORDS];
    unsigned short from[GRAMMAR_MAX_WORDS]; /* offsets in text */
    unsigned short to[GRAMMAR_MAX_WORDS];
    size_t count;
    bool cut; /* there were more words than fit */
    char pool[WORDS_TEXT_BYTES + 512];
    size_t fill;
};

void utterance_read(struct utterance *u, const char *text);

/* Drops the first n words. */
void utterance_skip(struct utterance *u, size_t n);

bool utterance_has(const struct utterance *u, const char *word);

/* The number at word `at`: how many words it takes, 0: none. */
size_t utterance_number(const struct utterance *u, size_t at, double *value);

/* Rules "number" and "operator" (plus minus times divided by). */
int words_define_numbers(struct grammar *grammar);

/* A tool's or parameter's name in spoken words: "get_weatherByCity2" becomes
 * "get weather by city two". False: nothing is left, or it does not fit. */
bool words_of_name(const char *name, char *to, size_t bytes);

#endif
