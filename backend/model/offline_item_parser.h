/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes an item of what a client wrote in conversation.item.create or in
 * response.input: strict about fields, roles and sizes. Owns nothing. Runs on
 * the session's loop.
 */

#ifndef VOICE_OFFLINE_ITEM_PARSER_H
#define VOICE_OFFLINE_ITEM_PARSER_H

#include "model/offline_item.h"

struct offline_item_parser {
    enum offline_format format; /* of audio in items */
    size_t max_audio_bytes;
};

/* path names the item in faults ("item", "response.input[0]"). 0, or UV_E*
 * with the fault filled. Not for item_reference. */
int offline_item_parse(struct offline_item **ip,
                       const struct offline_item_parser *parser,
                       const json_t *json, const char *path,
                       struct offline_fault *fault);

#endif
