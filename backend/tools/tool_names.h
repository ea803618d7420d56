/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The names in one directory, in the order of their bytes: files, directories
 * and links, no more. Embedded; owns its memory, which is capped. Blocks: for
 * the thread pool.
 */

#ifndef VOICE_TOOL_NAMES_H
#define VOICE_TOOL_NAMES_H

#include "tools/tool_walk.h"

struct tool_names {
    char *text; /* of each its kind, its name, a NUL */
    size_t bytes, capacity;
    uint32_t *order; /* where each begins */
    uint32_t count, next;
    bool is_incomplete; /* the cap left some out */
};

struct tool_names_config {
    bool with_git; /* ".git" */
    size_t max_bytes;
    tool_walk_over_h *is_over; /* may be NULL */
    const void *over_arg;
};

/* Borrows the descriptor. 0; UV_ECANCELED; UV_ENOMEM; UV_E* of the kernel.
 * What was read until then stands. */
int tool_names_read(struct tool_names *names, int directory,
                    const struct tool_names_config *cfg);
void tool_names_deinit(struct tool_names *names);

bool tool_names_is_end(const struct tool_names *names);
/* Not at the end. */
const char *tool_names_next(struct tool_names *names,
                            enum tool_walk_kind *kind);

#endif
