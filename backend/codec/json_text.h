/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A JSON tree as compact text, as Jansson writes it, but for the time that its
 * strings take: a long one goes out in the stretches that need no escape, not
 * character by character. Pure, any thread.
 */

#ifndef VOICE_JSON_TEXT_H
#define VOICE_JSON_TEXT_H

#include <jansson.h>

#define JSON_TEXT_DEPTH_MAX 2048

/* 0; -1 from `put`, or the tree is too deep. `put` as for
 * json_dump_callback: 0, or -1 and no further call. */
int json_text_write(const json_t *tree, json_dump_callback_t put, void *arg);

#endif
