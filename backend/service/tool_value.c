/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_value.h"

#include <stdlib.h>
#include <string.h>

struct tool_value *
tool_value_make(const char *text, size_t bytes)
{
    struct tool_value *value = malloc(sizeof(*value) + bytes + 1);

    if (!value)
        return NULL;
    atomic_init(&value->shares, 1);
    value->bytes = bytes;
    memcpy(value->text, text, bytes);
    value->text[bytes] = 0;
    return value;
}

struct tool_value *
tool_value_ref(struct tool_value *value)
{
    atomic_fetch_add_explicit(&value->shares, 1, memory_order_relaxed);
    return value;
}

void
tool_value_unref(struct tool_value *value)
{
    if (value
        && atomic_fetch_sub_explicit(&value->shares, 1, memory_order_acq_rel)
               == 1)
        free(value);
}
