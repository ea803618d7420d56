/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_tool_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX_BYTES (64u << 20) /* an output's own limit is far below */

/* What a tool's message is when it is no text. */
static const char unsaid[] = "The tool failed.";

void
api_tool_result_keep(struct api_tool_result *result,
                     const struct tool_answer *answer)
{
    result->answer = *answer;
    result->answer.text = NULL;
    if (answer->output != NULL) {
        tool_value_ref(answer->output);
    }
    snprintf(result->error, sizeof(result->error), "%s",
             answer->error != NULL ? answer->error : "");
    snprintf(result->type, sizeof(result->type), "%s",
             answer->type != NULL ? answer->type : "");
    result->answer.error = result->error;
    result->answer.type = result->type;
}

void
api_tool_result_deinit(struct api_tool_result *result)
{
    tool_value_unref(result->answer.output);
    result->answer.output = NULL;
}

struct tool_answer
api_tool_failure(enum tool_ending ending, const char *type, const char *error)
{
    return (struct tool_answer){
        .ending = ending,
        .error = error,
        .type = type,
    };
}

/* A JSON string with its quotes; given (free). NULL: no memory. */
static char *
quote(const char *text)
{
    json_t *string = json_string(text);
    char *quoted;

    /* Cut in the middle of a character, maybe. */
    if (string == NULL) {
        string = json_string(unsaid);
    }
    quoted =
        string != NULL ? json_dumps(string, JSON_ENCODE_ANY | API_JSON) : NULL;
    json_decref(string);
    return quoted;
}

static int
put_error(struct buffer *out, const struct tool_answer *answer)
{
    char *message = quote(answer->error != NULL ? answer->error : unsaid);
    char *type = quote(answer->type != NULL ? answer->type : "failed");
    int err = UV_ENOMEM;

    if (message != NULL && type != NULL) {
        err = buffer_printf(out,
                            "\"success\":false,"
                            "\"error\":{\"message\":%s,\"type\":%s}",
                            message, type);
    }
    free(message);
    free(type);
    return err;
}

static int
put_output(struct buffer *out, const struct tool_answer *answer)
{
    static const char head[] = "\"success\":true,\"output\":";
    int err = buffer_append(out, head, sizeof(head) - 1);

    return err != 0 ? err
                    : buffer_append(out, answer->output->text,
                                    answer->output->bytes);
}

int
api_tool_answer_write(struct buffer *out, const struct tool_answer *answer)
{
    bool done = answer->ending == TOOL_DONE;
    int err = done ? put_output(out, answer) : put_error(out, answer);

    if (err != 0) {
        return err;
    }
    return buffer_printf(out,
                         ",\"cached\":%s,\"truncated\":%s,"
                         "\"duration_ms\":%" PRIu64 ".%03u",
                         done && answer->cached ? "true" : "false",
                         done && answer->truncated ? "true" : "false",
                         answer->took_us / 1000,
                         (unsigned) (answer->took_us % 1000));
}

static int
put_web_app(struct buffer *out, const struct tool_answer *answer)
{
    char *message;
    int err;

    if (answer->ending == TOOL_DONE) {
        return put_output(out, answer);
    }
    message = quote(answer->error != NULL ? answer->error : unsaid);
    if (message == NULL) {
        return UV_ENOMEM;
    }
    err = buffer_printf(out, "\"success\":false,\"error\":%s", message);
    free(message);
    return err;
}

static void
send_body(struct gate_request *rq, enum api_tool_shape shape,
          const struct tool_answer *answer)
{
    struct buffer body;
    int err;

    buffer_init(&body, BODY_MAX_BYTES);
    /* Of one size from the start: it is copied once. */
    buffer_reserve(&body, (answer->output != NULL ? answer->output->bytes : 512)
                              + 128);
    err = buffer_append(&body, "{", 1);
    if (err == 0) {
        err = shape == API_TOOL_FULL ? api_tool_answer_write(&body, answer)
                                     : put_web_app(&body, answer);
    }
    if (err == 0) {
        err = buffer_append(&body, "}", 1);
    }
    if (err == 0) {
        api_json_text(rq, 200, (const char *) body.data, body.bytes);
    } else {
        api_error(rq, 500, "internal_error", "The answer can't be written.",
                  NULL);
    }
    buffer_deinit(&body);
}

void
api_tool_answer_send(struct gate_request *rq, enum api_tool_shape shape,
                     const struct tool_answer *answer)
{
    if (shape == API_TOOL_FULL && answer->ending == TOOL_UNKNOWN) {
        api_error(rq, 404, "tool_not_found", "There is no such tool here.",
                  "name");
    } else if (shape == API_TOOL_FULL && answer->ending == TOOL_BUSY) {
        api_busy(rq, "tools_busy", "Too many tools are running.");
    } else {
        send_body(rq, shape, answer);
    }
}
