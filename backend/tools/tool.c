/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool.h"

#include <string.h>
#include <stdlib.h>
#include <uv.h>

static bool
name_is_good(const char *name)
{
    static const char valid[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    size_t bytes = name ? strlen(name) : 0;

    return bytes > 0 && bytes <= TOOL_NAME_MAX && strspn(name, valid) == bytes;
}

static bool
text_fits(const char *text, size_t max_bytes)
{
    return text && strnlen(text, max_bytes + 1) <= max_bytes;
}

/* What the flags promise, the operations have. */
static bool
ops_are_good(const struct tool_ops *ops, unsigned flags)
{
    if (!ops->destroy || !ops->work == !ops->start)
        return false;
    if ((flags & (TOOL_PAGES | TOOL_AT_ONCE)) && !ops->work)
        return false;
    return !(flags & TOOL_STAMPED) || ops->stamp;
}

static bool
spec_is_good(const struct tool_spec *spec)
{
    return name_is_good(spec->name)
           && text_fits(spec->description, TOOL_DESCRIPTION_MAX)
           && text_fits(spec->parameters, TOOL_SCHEMA_MAX)
           && spec->domain < TOOL_DOMAIN_END && spec->timeout_ms > 0
           && spec->timeout_ms <= TOOL_TIMEOUT_MAX_MS
           && spec->max_bytes <= TOOL_BYTES_MAX;
}

int
tool_init(struct tool *tool, const struct tool_ops *ops,
          const struct tool_spec *spec)
{
    if (!ops_are_good(ops, spec->flags) || !spec_is_good(spec))
        return UV_EINVAL;
    json_t *schema = json_loads(spec->parameters, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(schema)) {
        json_decref(schema);
        return UV_EINVAL;
    }
    *tool = (struct tool){.ops = ops, .spec = *spec, .schema = schema};
    tool->spec.name = strdup(spec->name);
    tool->spec.description = strdup(spec->description);
    tool->spec.parameters = strdup(spec->parameters);
    if (!tool->spec.max_bytes)
        tool->spec.max_bytes = TOOL_BYTES_DEFAULT;
    atomic_init(&tool->shares, 1);
    if (tool->spec.name && tool->spec.description && tool->spec.parameters)
        return 0;
    tool_deinit(tool);
    return UV_ENOMEM;
}

void
tool_deinit(struct tool *tool)
{
    free((char *) tool->spec.name);
    free((char *) tool->spec.description);
    free((char *) tool->spec.parameters);
    json_decref(tool->schema);
    tool->spec = (struct tool_spec){0};
    tool->schema = NULL;
}

struct tool *
tool_ref(struct tool *tool)
{
    atomic_fetch_add_explicit(&tool->shares, 1, memory_order_relaxed);
    return tool;
}

void
tool_unref(struct tool **tp)
{
    struct tool *tool = *tp;

    *tp = NULL;
    if (tool
        && atomic_fetch_sub_explicit(&tool->shares, 1, memory_order_acq_rel)
               == 1)
        tool->ops->destroy(tool);
}
