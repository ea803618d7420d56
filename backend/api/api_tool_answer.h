/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a tool answered, as HTTP tells it: kept while a request waits for it,
 * and written.
 *
 *     {"success":true,"output":…,"cached":…,"truncated":…,"duration_ms":…}
 *     {"success":false,"error":{"message","type"},"cached":false,
 *      "truncated":false,"duration_ms":…}
 *
 * and for the web app {"success":true,"output":…}, {"success":false,
 * "error":"…"}. Plain values, any thread.
 */

#ifndef VOICE_API_TOOL_ANSWER_H
#define VOICE_API_TOOL_ANSWER_H

#include "api/api_answer.h"
#include "base/buffer.h"
#include "service/tool_runner.h"

#define API_TOOL_TYPE_BYTES 32

enum api_tool_shape { API_TOOL_FULL, API_TOOL_WEB_APP };

/* A copy of an answer, shares its output. */
struct api_tool_result {
    struct tool_answer answer; /* its texts lead into this struct */
    char error[TOOL_RUNNER_ERROR_BYTES];
    char type[API_TOOL_TYPE_BYTES];
};

void api_tool_result_keep(struct api_tool_result *result,
                          const struct tool_answer *answer);
void api_tool_result_deinit(struct api_tool_result *result);

/* A failure of our own making; error and type are borrowed. */
struct tool_answer api_tool_failure(enum tool_ending ending, const char *type,
                                    const char *error);

/* Appends the members of the full shape, without braces. 0 or UV_E*. */
int api_tool_answer_write(struct buffer *out, const struct tool_answer *answer);

/*
 * Ends rq. Full: 404 for a tool that is not there, 503 with Retry-After when
 * there are too many, both as errors; all else is 200. For the web app every
 * ending is 200.
 */
void api_tool_answer_send(struct gate_request *rq, enum api_tool_shape shape,
                          const struct tool_answer *answer);

#endif
