/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The items of a conversation in their order, within SESSION_HISTORY_MAX
 * bytes. Also those of open responses that are no part of the conversation
 * (out of band, or deleted meanwhile): `listed` tells. On its session's loop;
 * embedded in the history; owns the items. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_ITEMS_H
#define VOICE_SESSION_HISTORY_ITEMS_H

#include "session/session_history_item.h"

struct history_items {
    struct history_item *first, *last;
    size_t count;
    size_t bytes;
    size_t max_bytes;
    unsigned dropped;
    bool tells_done; /* the model has sent a conversation.item.done */
};

/* Destroys all. */
void history_items_clear(struct history_items *items);

/* By its id, or the one it has towards the model. NULL none. */
struct history_item *history_items_find(const struct history_items *items,
                                        const char *id);
/* The first listed call of that id. */
struct history_item *history_items_call(const struct history_items *items,
                                        const char *call_id);
/* The first listed output of that id behind `after` (NULL: of all). */
struct history_item *history_items_output(const struct history_items *items,
                                          const char *call_id,
                                          const struct history_item *after);

/* Takes the item; behind `after`, or NULL: to the front. */
void history_items_insert(struct history_items *items,
                          struct history_item *item,
                          struct history_item *after);

/* To another place: behind `after`, or NULL: to the front. */
void history_items_move(struct history_items *items, struct history_item *item,
                        struct history_item *after);

/* Unlinks and destroys; a call whose output goes has none. */
void history_items_remove(struct history_items *items,
                          struct history_item *item);

/* It is part of the conversation from now on; an output answers its call. */
void history_items_list(struct history_items *items, struct history_item *item);
/* It is no part any more; destroyed, unless its response is open. */
void history_items_unlist(struct history_items *items,
                          struct history_item *item);

/* The item has changed: counts it anew, drops the oldest beyond the cap; never
 * half a pair, never what is in an open response, what waits for an output
 * only when nothing else is left. */
void history_items_count(struct history_items *items,
                         struct history_item *item);

#endif
