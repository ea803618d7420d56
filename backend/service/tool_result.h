/* SPDX-License-Identifier: BSD-2-Clause */

/* What a tool ended with, as what callers are answered: text within its bounds,
 * an error in clean UTF-8. Any thread. */

#ifndef VOICE_TOOL_RESULT_H
#define VOICE_TOOL_RESULT_H

#include "service/tool_job.h"
#include "tools/tool_run.h"

/* Owns the value. */
struct tool_result_text {
    enum tool_ending ending;
    struct tool_value *value;
    const char *type;
    char error[TOOL_RUNNER_ERROR_BYTES];
};

/* Takes the output. */
void tool_result_read(struct tool_result_text *text, const struct tool *tool,
                      struct tool_result *result);
void tool_result_text_deinit(struct tool_result_text *text);

/* Borrows from the text. */
struct tool_outcome tool_result_outcome(const struct tool_result_text *text);

#endif
