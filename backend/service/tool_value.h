/* SPDX-License-Identifier: BSD-2-Clause */

/* The result of a tool as text, shared by a cache and by who was given it: it
 * goes with the last share. Any thread; does not change once shared. */

#ifndef VOICE_TOOL_VALUE_H
#define VOICE_TOOL_VALUE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct tool_value {
    atomic_uint shares;
    bool truncated; /* its text says of what */
    size_t bytes;
    char text[]; /* and a NUL */
};

/* Copies; one share. NULL: no memory. */
struct tool_value *tool_value_make(const char *text, size_t bytes);
/* The tree as JSON text, one share. 0; UV_E2BIG: more than max_bytes, and no
 * more memory than that was taken; UV_EINVAL: it has none; UV_ENOMEM. */
int tool_value_dump(struct tool_value **vp, const json_t *tree,
                    size_t max_bytes);

struct tool_value *tool_value_ref(struct tool_value *value);
/* NULL is harmless. */
void tool_value_unref(struct tool_value *value);

#endif
