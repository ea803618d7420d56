/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The items of a conversation, in order, and the events that tell of them.
 * Owns a reference to each item. Runs on the session's loop. Refuses to hold
 * more than its limits: the oldest audio goes first (counted), then the
 * client's new items are refused, then the model's push out the oldest.
 */

#ifndef VOICE_OFFLINE_CONVERSATION_H
#define VOICE_OFFLINE_CONVERSATION_H

#include "model/offline_item.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct offline_conversation;

struct offline_conversation_config {
    struct offline_sink sink;
    size_t max_bytes;
    size_t max_items;
};

int offline_conversation_create(struct offline_conversation **cp,
                                const struct offline_conversation_config *cfg);
void offline_conversation_destroy(struct offline_conversation **cp);

/*
 * A client's item: checked against the conversation, put after `previous`
 * (NULL: at the end; "root": at the start), shared. Emits added and done.
 * 0, or UV_E* with the fault filled.
 */
int offline_conversation_insert(struct offline_conversation *c,
                                struct offline_item *item, const char *previous,
                                struct offline_fault *fault);

/* The model's own item: shared, put at the end; emits added. */
int offline_conversation_append(struct offline_conversation *c,
                                struct offline_item *item);

/* The item is whole (or will never be): emits done, if it is still here. */
void offline_conversation_finish(struct offline_conversation *c,
                                 struct offline_item *item);

/* An item here changed its size: counts anew, drops old audio over the cap. */
void offline_conversation_measure(struct offline_conversation *c,
                                  struct offline_item *item);

/* Client events. Each emits its answer; 0, or UV_EINVAL with the fault. */
int offline_conversation_delete(struct offline_conversation *c, const char *id,
                                struct offline_fault *fault);
int offline_conversation_truncate(struct offline_conversation *c,
                                  const json_t *event,
                                  struct offline_fault *fault);
int offline_conversation_retrieve(struct offline_conversation *c,
                                  const char *id, struct offline_fault *fault);

const char *offline_conversation_id(const struct offline_conversation *c);
/* NULL when empty. */
const char *offline_conversation_last_id(const struct offline_conversation *c);
/* Borrowed; NULL. */
struct offline_item *
offline_conversation_find(const struct offline_conversation *c, const char *id);
size_t offline_conversation_count(const struct offline_conversation *c);
struct offline_item *
offline_conversation_at(const struct offline_conversation *c, size_t index);
size_t offline_conversation_bytes(const struct offline_conversation *c);
/* Items whose audio was dropped for room. */
uint64_t offline_conversation_dropped(const struct offline_conversation *c);

#endif
