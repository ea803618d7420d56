/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the offline model can talk about without any tool: a table of intents,
 * each with what is said and a function that answers. Pure; owns nothing.
 */

#ifndef VOICE_OFFLINE_INTENTS_H
#define VOICE_OFFLINE_INTENTS_H

#include "model/offline_grammar.h"
#include "model/offline_words.h"

#include <stdint.h>
#include <stdio.h>

#define INTENTS_MAX 32

/* The rules of the intents in one grammar. */
struct intents {
    int rules[INTENTS_MAX]; /* of each intent, what is spoken */
    int all;                /* the rule "talk": any of them */
};

/* What an answer may use. */
struct intent_scene {
    const struct utterance *u;
    int64_t wall_ms;
    int utc_offset_s;
    const char *last_said;  /* may be NULL */
    const char *tool_names; /* "get weather, read file", "" when none */
};

/* Defines the helper rules "what_is", "link", "when", "polite". 0 or UV_E*. */
int intents_define_helpers(struct grammar *grammar);

/* Defines the intents' rules. Needs the helpers and the numbers. 0 or UV_E*. */
int intents_define(struct intents *intents, struct grammar *grammar);

/* The intent that the whole utterance is, or -1. */
int intents_match(const struct intents *intents, const struct grammar *grammar,
                  const struct utterance *u);

/* An intent that is typed only, with free words: "say …". Or -1. */
int intents_match_typed(const struct utterance *u);

const char *intent_name(int intent);
/* "stop": what is being said should end. */
bool intent_is_hush(int intent);

/* Writes the sentences of the answer. */
void intent_answer(int intent, const struct intent_scene *scene, FILE *to);

#endif
