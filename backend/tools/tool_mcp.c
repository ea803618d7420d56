/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_mcp.h"

#include "base/log.h"
#include "tools/mcp_client.h"
#include "tools/mcp_list.h"
#include "tools/mcp_tool.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct tool_mcp {
    struct tool_server server;
    struct tool_server_config cfg;
    const struct tool_server_handlers *handlers;
    void *arg;
    struct mcp_client *client;
    struct mcp_owner *owner;
    json_t *list; /* what its tools were made of; NULL: none are told */
    bool closing;
};

/* --- its tools */

static bool
is_wanted(const struct tool_mcp *s, const json_t *definition)
{
    const struct config_list *wanted = &s->cfg.server->tools;
    const char *name = mcp_tool_remote_name(definition);

    for (size_t i = 0; name && i < wanted->count; i++) {
        if (strcmp(wanted->items[i], name) == 0)
            return true;
    }
    return !wanted->count;
}

static bool
is_there(struct tool **tools, size_t count, const struct tool *tool)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tools[i]->spec.name, tool->spec.name) == 0)
            return true;
    }
    return false;
}

/* Its name is the server's to choose: not for the log as it is. */
static void
tool_left_out(const struct tool_mcp *s, size_t index, const char *why)
{
    LOG(WARN, s->cfg.server->name, "tool=%zu left_out=\"%s\"", index, why);
}

static size_t
tools_make(struct tool_mcp *s, const json_t *list,
           struct tool *tools[MCP_TOOLS_MAX])
{
    const char *why = "";
    json_t *definition;
    size_t i, count = 0;

    json_array_foreach(list, i, definition)
    {
        struct tool *tool = NULL;

        if (count == MCP_TOOLS_MAX || !is_wanted(s, definition))
            continue;
        if (mcp_tool_create(&tool, s->owner, definition, &why) != 0) {
            tool_left_out(s, i, why);
        } else if (is_there(tools, count, tool)) {
            tool_left_out(s, i, "another has its name");
            tool_unref(&tool);
        } else {
            tools[count++] = tool;
        }
    }
    return count;
}

static void
on_client_list(void *arg, const json_t *list)
{
    struct tool *tools[MCP_TOOLS_MAX];
    struct tool_mcp *s = arg;
    bool same = s->list && json_equal(s->list, list);
    bool mounted = s->list != NULL;

    if (s->closing || same)
        return;
    json_decref(s->list);
    s->list = json_incref((json_t *) list);
    size_t count = tools_make(s, list, tools);
    s->handlers->on_tools(s->arg, tools, count);
    if (!mounted && !s->closing)
        s->handlers->on_state(s->arg, TOOL_SERVER_MOUNTED, "reached");
}

static void
on_client_down(void *arg, const char *why)
{
    struct tool_mcp *s = arg;
    bool mounted = s->list != NULL;

    if (s->closing)
        return;
    json_decref(s->list);
    s->list = NULL;
    if (mounted)
        s->handlers->on_tools(s->arg, NULL, 0);
    if (!s->closing)
        s->handlers->on_state(s->arg, TOOL_SERVER_DOWN, why);
}

/* --- life */

static void
on_client_closed(void *arg)
{
    struct tool_mcp *s = arg;
    const struct tool_server_handlers *handlers = s->handlers;
    void *handlers_arg = s->arg;

    json_decref(s->list);
    mcp_owner_put(&s->owner);
    free(s);
    handlers->on_closed(handlers_arg);
}

static const struct mcp_client_handlers client_handlers = {
    .on_list = on_client_list,
    .on_down = on_client_down,
    .on_closed = on_client_closed,
};

static void
tool_mcp_close(struct tool_server *server)
{
    struct tool_mcp *s = (struct tool_mcp *) server;

    if (s->closing)
        return;
    s->closing = true;
    mcp_owner_set(s->owner, NULL);
    mcp_client_close(s->client);
}

static const struct tool_server_ops ops = {.close = tool_mcp_close};

int
tool_mcp_create(struct tool_server **sp, const struct tool_server_config *cfg,
                const struct tool_server_handlers *handlers, void *arg)
{
    const struct mcp_client_config client = {
        .loop = cfg->loop, .http = cfg->http, .server = cfg->server};
    struct tool_mcp *s = calloc(1, sizeof(*s));
    int result;

    if (!s)
        return UV_ENOMEM;
    s->server.ops = &ops;
    s->cfg = *cfg;
    s->handlers = handlers;
    s->arg = arg;
    result = mcp_owner_create(&s->owner, cfg->server, cfg->domain);
    if (!result)
        result = mcp_client_create(&s->client, &client, &client_handlers, s);
    if (result) {
        mcp_owner_put(&s->owner);
        free(s);
        return result;
    }
    mcp_owner_set(s->owner, s->client);
    *sp = &s->server;
    return 0;
}
