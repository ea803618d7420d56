/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * bash: a shell command in a sandbox of its own (gate/sandbox), in the root.
 * Its result is what it wrote, of too much the beginning and the end, and its
 * status; a command that fails is a success of the tool. It ends with its
 * shell: nothing runs on in the background. Runs on the services' loop; owns
 * its sandbox and the commands that run.
 */

#ifndef VOICE_TOOL_BASH_H
#define VOICE_TOOL_BASH_H

#include "gate/sandbox.h"
#include "tools/tool.h"

#define TOOL_BASH_TIMEOUT_MS 30000 /* unless a call says */
#define TOOL_BASH_RUNNING    8     /* at once; one more is refused */

struct tool_bash_config {
    struct sandbox_config sandbox; /* the root, and what one command may use */
    uint64_t max_timeout_ms;       /* the most that a call may ask for */
};

/* Runs a command to see whether it can, and blocks for it: at the start. 0, or
 * as sandbox_create, UV_ENOMEM; why is in the log. */
int tool_bash_create(struct tool **tp, const struct tool_bash_config *cfg);

#endif
