/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Conversation items of the beta and of GA into each other: `text` and `audio`
 * in an assistant's message against `output_text` and `output_audio`, and
 * `object`, which GA's items don't have. Pure, any thread, owns nothing.
 * Leaves alone what is no item.
 */

#ifndef VOICE_DIALECT_ITEM_H
#define VOICE_DIALECT_ITEM_H

#include <jansson.h>

/* In place. 0 or UV_ENOMEM. */
int dialect_item_from_beta(json_t *item);
int dialect_item_to_beta(json_t *item);

/* The same for each item of an array; NULL is none. */
int dialect_items_from_beta(json_t *items);
int dialect_items_to_beta(json_t *items);

#endif
