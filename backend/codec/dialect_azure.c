/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_azure.h"

static int
part_down(struct dialect_event *e)
{
    json_object_del(e->tree, "content");
    return DIALECT_PASS;
}

static const struct dialect_rule up[] = {{0}};

static const struct dialect_rule down[] = {
    {.type = "response.content_part.added", .rewrite = part_down},
    {.type = "response.content_part.done", .rewrite = part_down},
    {0},
};

const struct dialect_table dialect_azure = {up, down};
