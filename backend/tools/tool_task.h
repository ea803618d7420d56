/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tools that hand work to an agent elsewhere (tools/agent): `task` and
 * `delegate`, which answer when it has, and `dispatch`, which says at once
 * that it has begun and gives the result later (TOOL_LONG). They share one
 * agent, so that a conversation begun by one goes on in another. Nothing of
 * theirs is kept: an agent may have changed anything, files too, so they are of
 * the files' domain. Run on the services' loop.
 */

#ifndef VOICE_TOOL_TASK_H
#define VOICE_TOOL_TASK_H

#include "tools/agent.h"
#include "tools/tool.h"

enum tool_task_kind { TOOL_TASK_TASK, TOOL_TASK_DELEGATE, TOOL_TASK_DISPATCH };

struct tool_task_config {
    enum tool_task_kind kind;
    struct agent *agent; /* a share is taken of it */
    uint64_t timeout_ms; /* 0: 5 minutes; of dispatch 30 */
};

/* 0 or UV_ENOMEM. */
int tool_task_create(struct tool **tp, const struct tool_task_config *cfg);

#endif
