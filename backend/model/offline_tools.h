/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Commands made from the tools a session declares: what can be said to call
 * them, and which one was. A tool's name, the
 * beginning of its description and its parameters are all it takes. Owns
 * copies of what it needs; pure, used on one thread at a time.
 */

#ifndef VOICE_OFFLINE_TOOLS_H
#define VOICE_OFFLINE_TOOLS_H

#include "model/offline_grammar.h"
#include "model/offline_slots.h"
#include "model/offline_words.h"

#include <jansson.h>

#define TOOLS_MAX 128

#define TOOL_SPOKEN_BYTES 96

struct tool_set;

struct tool_parameter {
    char *name;
    json_t *schema;
    enum slot_kind kind;
    bool required;
    char rule[16]; /* of SLOT_CHOICE, "": none */
    char spoken[TOOL_SPOKEN_BYTES];
};

/* Defines the tools' rules in the grammar, and a rule "tools" of all that can
 * be spoken. tools may be NULL. 0, UV_ENOMEM. */
int tool_set_create(struct tool_set **tp, struct grammar *grammar,
                    const json_t *tools);
void tool_set_destroy(struct tool_set **tp);

size_t tool_set_count(const struct tool_set *set);
const char *tool_set_name(const struct tool_set *set, size_t tool);
int tool_set_find(const struct tool_set *set, const char *name); /* or -1 */
/* The number of the rule "tools", -1 when there is none. */
int tool_set_rule(const struct tool_set *set);

enum tool_match {
    TOOL_WHOLE,  /* the utterance is one of the spoken commands */
    TOOL_PREFIX, /* it begins with one, free words follow */
    TOOL_HINT    /* the tool's words are all in it somewhere */
};

/* The tool that matches best, -1: none. *tail: the words after the command,
 * *ordered: it was named in so many words ("call …"), not asked for. */
struct tool_command {
    int tool;
    size_t tail;
    bool ordered;
};
bool tool_set_match(const struct tool_set *set, const struct utterance *u,
                    enum tool_match how, struct tool_command *command);

/* Borrowed; required ones first. */
const struct tool_parameter *tool_set_parameters(const struct tool_set *set,
                                                 size_t tool, size_t *count);

#endif
