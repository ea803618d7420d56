/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_value.h"

#include "codec/json_text.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FIRST_BYTES 1024 /* of a text that grows */

struct tool_value *
tool_value_make(const char *text, size_t bytes)
{
    struct tool_value *value = malloc(sizeof(*value) + bytes + 1);

    if (!value)
        return NULL;
    atomic_init(&value->shares, 1);
    value->truncated = false;
    value->bytes = bytes;
    memcpy(value->text, text, bytes);
    value->text[bytes] = 0;
    return value;
}

/* A text that grows. */
struct dump {
    struct tool_value *value;
    size_t room, max_bytes;
    int error;
};

static int
dump_grow(struct dump *d, size_t bytes)
{
    size_t room = d->room;

    if (bytes > d->max_bytes)
        return UV_E2BIG;
    while (room < bytes)
        room *= 2;
    if (room > d->max_bytes)
        room = d->max_bytes;
    struct tool_value *value = realloc(d->value, sizeof(*value) + room + 1);
    if (!value)
        return UV_ENOMEM;
    d->value = value;
    d->room = room;
    return 0;
}

static int
on_dump(const char *text, size_t bytes, void *arg)
{
    struct dump *d = arg;

    if (bytes > d->room - d->value->bytes)
        d->error = dump_grow(d, d->value->bytes + bytes);
    if (d->error)
        return -1;
    memcpy(d->value->text + d->value->bytes, text, bytes);
    d->value->bytes += bytes;
    return 0;
}

int
tool_value_dump(struct tool_value **vp, const json_t *tree, size_t max_bytes)
{
    struct dump d = {.room = FIRST_BYTES < max_bytes ? FIRST_BYTES : max_bytes,
                     .max_bytes = max_bytes};

    d.value = malloc(sizeof(*d.value) + d.room + 1);
    if (!d.value)
        return UV_ENOMEM;
    d.value->bytes = 0;
    if (json_text_write(tree, on_dump, &d) != 0) {
        free(d.value);
        return d.error ? d.error : UV_EINVAL;
    }
    atomic_init(&d.value->shares, 1);
    d.value->truncated = false;
    d.value->text[d.value->bytes] = 0;
    *vp = d.value;
    return 0;
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
