/* SPDX-License-Identifier: BSD-2-Clause */

/* The events that a model is sent of the server's tools, and what is read and
 * made of a tool's arguments and result. Pure; what is given is malloc'ed,
 * NULL: no memory. */

#ifndef VOICE_SESSION_TOOL_TEXTS_H
#define VOICE_SESSION_TOOL_TEXTS_H

#include "session/session_tool_call.h"

#include <jansson.h>
#include <stddef.h>

#define SESSION_TOOL_NUMBERS_BYTES 64

/* Arguments as a model writes them, "" for none; given. NULL: no JSON object,
 * or above TOOL_RUNNER_ARGUMENTS_BYTES. */
json_t *session_tool_text_arguments(const char *text);

/* A result as a model is given it: JSON text as it is, a string's own text. */
char *session_tool_text_output(const char *json, size_t bytes);

/* How far a tool is: its own words, or else its numbers, put there. A total of
 * 0 is unknown. */
const char *
session_tool_text_progress(const char *message, double progress, double total,
                           char numbers[SESSION_TOOL_NUMBERS_BYTES]);

/* The call's output as an item of the conversation; its id goes into
 * call->output_id. */
char *session_tool_text_item(struct session_tool_call *call);

/* The late result: an item that calls, and *output, the one that answers. */
char *session_tool_text_late(struct session_tool_call *call, char **output);

/* A session.update with these tools. */
char *session_tool_text_update(json_t *tools);

/* A response.create. `silent`: without tools; `progress`: in which the model
 * only tells of that, NULL none. */
char *session_tool_text_create(bool silent, const char *progress);

#endif
