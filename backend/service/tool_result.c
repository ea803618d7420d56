/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_result.h"

#include "codec/tool_limits.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void text_fail(struct tool_result_text *text, const char *type,
                      const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
text_fail(struct tool_result_text *text, const char *type, const char *fmt, ...)
{
    va_list args;

    text->ending = TOOL_FAILED;
    text->type = type;
    va_start(args, fmt);
    vsnprintf(text->error, sizeof(text->error), fmt, args);
    va_end(args);
}

static void
output_read(struct tool_result_text *text, const struct tool *tool,
            const struct tool_result *result)
{
    int error =
        tool_value_dump(&text->value, result->output, tool->spec.max_bytes);

    if (!error)
        text->value->truncated = result->truncated;
    else if (error == UV_E2BIG)
        text_fail(text, "too_large",
                  "The output of %s is larger than %zu bytes.", tool->spec.name,
                  tool->spec.max_bytes);
    else
        text_fail(text, "failed", "The output of %s can't be written.",
                  tool->spec.name);
}

static void
error_read(struct tool_result_text *text, const struct tool *tool,
           const struct tool_result *result)
{
    const char *error = result->error;
    size_t bytes = error ? strnlen(error, sizeof(text->error) + 4) : 0;

    text->ending = TOOL_FAILED;
    text->type = result->type ? result->type : "failed";
    if (!bytes) {
        text_fail(text, text->type, "%s failed.", tool->spec.name);
        return;
    }
    bytes = tool_limits_cut(error, bytes, sizeof(text->error) - 1);
    memcpy(text->error, error, bytes);
    text->error[bytes] = '\0';
    tool_limits_clean(text->error, bytes);
}

void
tool_result_read(struct tool_result_text *text, const struct tool *tool,
                 struct tool_result *result)
{
    text->ending = TOOL_DONE;
    text->value = NULL;
    text->type = NULL;
    text->error[0] = '\0';
    if (result->output)
        output_read(text, tool, result);
    else
        error_read(text, tool, result);
    json_decref(result->output);
    result->output = NULL;
}

void
tool_result_text_deinit(struct tool_result_text *text)
{
    tool_value_unref(text->value);
    text->value = NULL;
}

struct tool_outcome
tool_result_outcome(const struct tool_result_text *text)
{
    return (struct tool_outcome){
        .ending = text->ending,
        .value = text->value,
        .error = text->value ? NULL : text->error,
        .type = text->value ? NULL : text->type,
    };
}
