/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Items of the conversation as GA tells of them: `conversation.item.added`
 * once, and `conversation.item.done` once when nothing changes any more. For
 * upstreams that tell of one alone, or by another name. Of the dialect's
 * thread, in its memory.
 */

#ifndef VOICE_DIALECT_TOLD_H
#define VOICE_DIALECT_TOLD_H

#include "codec/dialect_event.h"

/* Emits `added`, an event with `item` in GA's shape, and its `done` when the
 * item is whole; nothing when the item has been told of. DIALECT_DROP or
 * UV_ENOMEM. */
int dialect_told_added(struct dialect_event *e, json_t *added);

/* Emits the `done` of an item that was told of as added, once. 0 or
 * UV_ENOMEM. */
int dialect_told_done(struct dialect_event *e, json_t *item);

#endif
