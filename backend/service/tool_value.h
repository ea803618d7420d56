/* SPDX-License-Identifier: BSD-2-Clause */

/* The result of a tool as text, shared by a cache and by who was given it: it
 * goes with the last share. Any thread; does not change. */

#ifndef VOICE_TOOL_VALUE_H
#define VOICE_TOOL_VALUE_H

#include <stdatomic.h>
#include <stddef.h>

struct tool_value {
    atomic_uint shares;
    size_t bytes;
    char text[]; /* and a NUL */
};

/* Copies; one share. NULL: no memory. */
struct tool_value *tool_value_make(const char *text, size_t bytes);
struct tool_value *tool_value_ref(struct tool_value *value);
/* NULL is harmless. */
void tool_value_unref(struct tool_value *value);

#endif
