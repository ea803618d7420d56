/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/session_merge.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

/* jansson's iterators change nothing, but want to be able to. */
static json_t *
unconst(const json_t *value)
{
    return (json_t *) (uintptr_t) value;
}

static bool
names_differ(const json_t *a, const json_t *b, const char *key)
{
    const char *one = json_string_value(json_object_get(a, key));
    const char *other = json_string_value(json_object_get(b, key));

    return one && other && strcmp(one, other) != 0;
}

/* A copy, so that merging into it later changes nothing of the patch. */
static int
value_put(json_t *session, const char *key, const json_t *value)
{
    json_t *copy = json_deep_copy(value);

    return copy && json_object_set_new(session, key, copy) == 0 ? 0 : UV_ENOMEM;
}

static int
member_merge(json_t *session, const char *key, const json_t *value)
{
    json_t *old = json_object_get(session, key);

    if (!json_is_object(old) || !json_is_object(value)
        || names_differ(old, value, "type") || names_differ(old, value, "id"))
        return value_put(session, key, value);
    return session_merge(old, value);
}

/* As deep as the patch is nested, which its reader has bounded. */
int
session_merge(json_t *session, const json_t *patch)
{
    const char *key;
    json_t *value;

    json_object_foreach(unconst(patch), key, value)
    {
        int result = member_merge(session, key, value);
        if (result)
            return result;
    }
    return 0;
}
