/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The client's events that the model has not answered yet, in order: whoever
 * comes after that model must be told them again. Within SESSION_HISTORY_OWED
 * events and SESSION_HISTORY_OWED_MAX bytes; the oldest are forgotten. On its
 * session's loop; embedded in the history; owns copies of the texts. Private
 * to the history.
 */

#ifndef VOICE_SESSION_HISTORY_OWED_H
#define VOICE_SESSION_HISTORY_OWED_H

#include "codec/realtime_event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct history_owed {
    struct history_owed *next;
    enum realtime_type type;
    bool beside;  /* a response.create out of band */
    bool is_old;  /* a response has ended since */
    json_t *item; /* of conversation.item.create, else NULL */
    char *event_id;
    char *item_id;  /* that it names or gives; NULL none */
    char *previous; /* previous_item_id; NULL none */
    size_t bytes;
    char text[];
};

struct history_owed_list {
    struct history_owed *first;
    struct history_owed **last;
    size_t count;
    size_t bytes;
    unsigned forgotten;
};

void history_owed_init(struct history_owed_list *list);
void history_owed_clear(struct history_owed_list *list);
void history_owed_free(struct history_owed *owed);

/* Copies the text, reads the tree. */
void history_owed_push(struct history_owed_list *list, enum realtime_type type,
                       const json_t *event, const char *json, size_t bytes);

/*
 * Gives what an answer is for, or NULL; free it. Models answer in order, so
 * what stood before it has been answered in a way nobody understood and is
 * forgotten too; but responses and commits, which take their time.
 */
/* The first of that type; item_id, when both have one, must be the same. */
struct history_owed *history_owed_answer(struct history_owed_list *list,
                                         enum realtime_type type,
                                         const char *item_id);
/* The conversation.item.create that this item may come from. */
struct history_owed *history_owed_create(struct history_owed_list *list,
                                         const json_t *item);
/* The response.create that a response comes from. */
struct history_owed *history_owed_response(struct history_owed_list *list,
                                           bool beside);
/* What an `error` object is about. */
struct history_owed *history_owed_error(struct history_owed_list *list,
                                        const json_t *error);

/* Unlinks one of the list; free it. */
void history_owed_take(struct history_owed_list *list,
                       struct history_owed *owed);

/* A response of the conversation has ended: what has seen two ends will get no
 * answer any more (there are models that know no truncate). */
void history_owed_age(struct history_owed_list *list);

/* A response.create of the conversation that has no answer. */
bool history_owed_has_response(const struct history_owed_list *list);

#endif
