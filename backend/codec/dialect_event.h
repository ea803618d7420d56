/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a dialect is made of: tables of rules, one a type of event, and one
 * event on its way through such a rule. A type no rule names is passed on; a
 * rule that only renames works on the text. Of the dialect's thread. Knows no
 * dialect.
 */

#ifndef VOICE_DIALECT_EVENT_H
#define VOICE_DIALECT_EVENT_H

#include "codec/dialect_memory.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { DIALECT_PASS, DIALECT_DROP };

typedef void dialect_out_h(void *arg, const char *json, size_t bytes);

struct dialect_event {
    json_t *tree; /* the rewriter may change it */
    size_t bytes; /* of its text */
    struct dialect_memory *memory;
    dialect_out_h *emit;
    void *arg;
    unsigned made; /* further events made of this one */
};

/* DIALECT_PASS: the tree is emitted next; DIALECT_DROP: it is not; or a
 * negative libuv code. What the rewriter emits itself comes before. */
typedef int dialect_rewrite_h(struct dialect_event *e);

/* Whether an event of this type needs no rewriting now. */
typedef bool dialect_idle_h(const struct dialect_memory *m);

struct dialect_rule {
    const char *type;           /* as it comes */
    const char *to;             /* as it goes; NULL without rewrite: it is
                                   swallowed; with one: the same */
    dialect_rewrite_h *rewrite; /* NULL: nothing but the name */
    dialect_idle_h *idle;       /* NULL: never */
};

/* Each ends with a rule without a type. */
struct dialect_table {
    const struct dialect_rule *to_peer;
    const struct dialect_rule *from_peer;
};

/* Emits a tree. 0 or UV_ENOMEM. */
int dialect_event_emit(struct dialect_event *e, const json_t *tree);

/* A further event of that type with an id made from this one's; given. NULL:
 * no memory. */
json_t *dialect_event_make(struct dialect_event *e, const char *type);

/* Emits it and drops the reference; NULL is no memory. */
int dialect_event_emit_new(struct dialect_event *e, json_t *tree);

/* The event has an id afterwards. */
int dialect_event_identify(struct dialect_event *e);

typedef int dialect_translate_h(const json_t *from, json_t **to);

/* A member of the event in the other shape; what is no object stays, for
 * whoever checks. DIALECT_PASS or UV_ENOMEM. */
int dialect_event_member(struct dialect_event *e, const char *key,
                         dialect_translate_h *run);

const char *dialect_string(const json_t *object, const char *key); /* or NULL */
bool dialect_string_is(const json_t *object, const char *key, const char *text);

/* Puts in what `defaults` has and the object hasn't, objects inside objects
 * too, but for those with a `type`: they are whole. 0 or UV_ENOMEM. */
int dialect_fill(json_t *object, const json_t *defaults);
int dialect_fill_text(json_t *object, const char *defaults);

/* The usage of a response.done: strict clients want every part of it. */
int dialect_fill_usage(json_t *response);

#endif
