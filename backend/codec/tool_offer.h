/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What servers of tools over plain HTTP say, as those that exist say it. Pure.
 *
 * A list of tools: an array, or an object whose "tools" is one. A tool: an
 * object with "name", "description" and, as "parameters", "input_schema" or
 * "inputSchema", a JSON Schema (none: any object will do); or one of
 * {"type":"function","function":{…}}. "read_only" or
 * "annotations":{"readOnlyHint"} says that it changes nothing.
 *
 * A result: {"success":true,"output":…}, {"success":false,"error":…}, the error
 * a text or {"message","type"}; of others any object, or a text.
 */

#ifndef VOICE_TOOL_OFFER_H
#define VOICE_TOOL_OFFER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define TOOL_OFFER_MAX         128 /* tools of one server */
#define TOOL_OFFER_ERROR_BYTES 400

/* Borrowed of the list. */
struct tool_offer {
    const char *name, *description; /* never NULL */
    const json_t *parameters;       /* NULL: none told */
    bool read_only;
};

/* The tools of it; NULL: it is no list. Borrowed. */
const json_t *tool_offer_list(const json_t *answer);

/* 0; UV_EINVAL: it is no tool. */
int tool_offer_read(const json_t *item, struct tool_offer *offer);

/*
 * What an answer of that status comes to; `body` NULL: it is no JSON, but
 * `text`. True: *output is the caller's. False: `type` is a literal of
 * tools/tool_run.h and `error` a sentence.
 */
struct tool_offer_answer {
    unsigned status;
    const json_t *body;
    const char *text;
    size_t bytes;
};

struct tool_offer_error {
    const char *type;
    char text[TOOL_OFFER_ERROR_BYTES];
};

bool tool_offer_result(const struct tool_offer_answer *answer, json_t **output,
                       struct tool_offer_error *error);

/* Takes an output; gives it or, where its JSON text is longer than max_bytes,
 * {"output":<the beginning>,"truncated":true,"total_bytes":…}, less than twice
 * that long. NULL: no memory. */
json_t *tool_offer_cut(json_t *output, size_t max_bytes, bool *truncated);

#endif
