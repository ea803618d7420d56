/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The kinds of values that a spoken parameter can take, and their vocabulary:
 * cities, files, topics, numbers, yes and no, or the values of an enum. Pure
 * tables and look-ups; owns nothing.
 */

#ifndef VOICE_OFFLINE_SLOTS_H
#define VOICE_OFFLINE_SLOTS_H

#include "model/offline_words.h"

#include <jansson.h>

enum slot_kind {
    SLOT_NONE, /* can't be said: objects, arrays */
    SLOT_CITY,
    SLOT_FILE,
    SLOT_TOPIC, /* any words */
    SLOT_NUMBER,
    SLOT_SWITCH, /* true or false */
    SLOT_CHOICE  /* the values of an enum */
};

/* What the JSON schema of a parameter called `name` asks for. */
enum slot_kind slot_kind_of(const char *name, const json_t *schema);

/* Defines the rules "city", "file", "topic", "switch". 0 or UV_E*. */
int slots_define(struct grammar *grammar);
/* The name of such a rule, NULL for SLOT_NONE and SLOT_CHOICE. */
const char *slot_rule(enum slot_kind kind);

/*
 * The value at word `at` of the utterance: words taken, 0: none of this kind.
 * *value is given. SLOT_CHOICE looks in the schema's enum. Free words are not
 * looked for.
 */
size_t slot_read(enum slot_kind kind, const json_t *schema,
                 const struct utterance *u, size_t at, json_t **value);

/* May be free words when typed. */
bool slot_is_free(enum slot_kind kind);

/* A value for a required parameter that nothing was said about; given. */
json_t *slot_default(enum slot_kind kind, const char *name,
                     const json_t *schema);

#endif
