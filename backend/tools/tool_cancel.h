/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tool cancel_current_task: ends what its own caller runs, a session its
 * own tools and nobody else's; over HTTP those of the tenant. At once, on the
 * caller's thread (TOOL_AT_ONCE): it waits behind nothing of what it is to
 * end, and is itself none of what it ends.
 */

#ifndef VOICE_TOOL_CANCEL_H
#define VOICE_TOOL_CANCEL_H

#include "base/buffer.h"
#include "tools/tool.h"

#include <stdbool.h>

/* What tool_runner_cancel does (service/tool_runner.h), but that nothing with
 * TOOL_AT_ONCE is listed or ended. session_id NULL: all of the tenant. */
typedef unsigned tool_cancel_h(void *arg, const char *tenant,
                               const char *session_id, bool immediate,
                               struct buffer *names);

struct tool_cancel_config {
    tool_cancel_h *cancel;
    void *arg; /* outlives the tool's runs */
};

/* 0 or UV_ENOMEM. */
int tool_cancel_create(struct tool **tp, const struct tool_cancel_config *cfg);

#endif
