/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_item.h"

#include <string.h>
#include <uv.h>

static const struct {
    const char *beta;
    const char *ga;
} contents[] = {
    {"text", "output_text"},
    {"audio", "output_audio"},
};

#define CONTENT_COUNT (sizeof(contents) / sizeof(contents[0]))

/* The type's name on the other side; NULL: the same. */
static const char *
content_find(const char *type, int to_ga)
{
    for (size_t i = 0; i < CONTENT_COUNT; i++)
        if (strcmp(type, to_ga ? contents[i].beta : contents[i].ga) == 0)
            return to_ga ? contents[i].ga : contents[i].beta;
    return NULL;
}

/* Only what an assistant says is named differently. */
static int
content_rename(json_t *item, int to_ga)
{
    const char *role = json_string_value(json_object_get(item, "role"));
    json_t *content = json_object_get(item, "content"), *part;
    size_t i;

    if (!role || strcmp(role, "assistant") != 0)
        return 0;
    json_array_foreach(content, i, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        const char *to = type ? content_find(type, to_ga) : NULL;
        if (to && json_object_set_new(part, "type", json_string(to)))
            return UV_ENOMEM;
    }
    return 0;
}

int
dialect_item_from_beta(json_t *item)
{
    if (!json_is_object(item))
        return 0;
    json_object_del(item, "object");
    return content_rename(item, 1);
}

int
dialect_item_to_beta(json_t *item)
{
    if (!json_is_object(item))
        return 0;
    if (json_object_set_new(item, "object", json_string("realtime.item")))
        return UV_ENOMEM;
    return content_rename(item, 0);
}

int
dialect_items_from_beta(json_t *items)
{
    json_t *item;
    size_t i;

    json_array_foreach(items, i,
                       item) if (dialect_item_from_beta(item)) return UV_ENOMEM;
    return 0;
}

int
dialect_items_to_beta(json_t *items)
{
    json_t *item;
    size_t i;

    json_array_foreach(items, i,
                       item) if (dialect_item_to_beta(item)) return UV_ENOMEM;
    return 0;
}
