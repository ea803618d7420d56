/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_list.h"

#include "base/log.h"
#include "base/loop_timer.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define MOMENT_MS       200   /* changes seldom come alone */
#define AGAIN_MS        30000 /* after a list that did not come */
#define TTL_LEAST_MS    30000
#define TTL_MOST_MS     86400000
#define LISTEN_AGAIN_MS 5000

struct mcp_list {
    const struct config_tool_server *server;
    const struct mcp_list_handlers *handlers;
    void *arg;
    const struct mcp_greeting *greeting; /* NULL: stopped */
    struct loop_timer *timer;            /* to fetch */
    struct loop_timer *listen_timer;     /* to subscribe */
    uint64_t page, subscription;         /* numbers; 0: none under way */
    json_t *tools;                       /* under way */
    size_t bytes;
    unsigned pages;
    uint64_t ttl_ms;
    bool first; /* of this connection */
    bool dirty; /* changed meanwhile */
};

/* --- subscribing */

static void
list_subscribe(struct mcp_list *l)
{
    if (!l->greeting || l->greeting->era != MCP_ERA_MODERN
        || !l->greeting->tells_changes || l->subscription)
        return;
    l->subscription = l->handlers->on_send(l->arg, "subscriptions/listen",
                                           mcp_listen_params(), 0);
    if (!l->subscription)
        loop_timer_start(l->listen_timer, LISTEN_AGAIN_MS, 0);
}

static void
on_listen_timer(void *arg)
{
    list_subscribe(arg);
}

/* --- fetching */

static void
fetch_drop(struct mcp_list *l)
{
    json_decref(l->tools);
    l->tools = NULL;
    l->page = 0;
}

static void
fetch_fail(struct mcp_list *l, int error, const char *why)
{
    fetch_drop(l);
    if (l->first) {
        l->handlers->on_failed(l->arg, error, why);
        return;
    }
    LOG(WARN, l->server->name, "mcp_list=failed why=\"%s\"", why);
    loop_timer_start(l->timer, AGAIN_MS, 0);
}

static void
page_send(struct mcp_list *l, const char *cursor)
{
    l->page =
        l->handlers->on_send(l->arg, "tools/list", mcp_list_params(cursor),
                             l->server->connect_timeout_ms);
    if (!l->page)
        fetch_fail(l, UV_EIO, "the list can't be asked for");
}

static void
list_fetch(struct mcp_list *l)
{
    fetch_drop(l);
    loop_timer_stop(l->timer);
    l->dirty = false;
    l->pages = 0;
    l->bytes = 0;
    l->tools = json_array();
    if (!l->tools)
        fetch_fail(l, UV_ENOMEM, "no memory");
    else
        page_send(l, NULL);
}

static void
on_timer(void *arg)
{
    struct mcp_list *l = arg;

    if (l->greeting)
        list_fetch(l);
}

static void
fetch_finish(struct mcp_list *l)
{
    json_t *tools = l->tools;
    bool first = l->first;

    l->tools = NULL;
    l->first = false;
    l->handlers->on_done(l->arg, tools);
    json_decref(tools);
    if (!l->greeting)
        return;
    if (l->dirty)
        loop_timer_start(l->timer, MOMENT_MS * 5, 0);
    else if (l->ttl_ms && !l->greeting->tells_changes)
        loop_timer_start(l->timer, l->ttl_ms, 0);
    if (first)
        list_subscribe(l);
}

/* --- pages */

static void
tools_take(struct mcp_list *l, const json_t *tools)
{
    json_t *tool;
    size_t i, left_out = 0;

    json_array_foreach(tools, i, tool)
    {
        size_t bytes = json_dumpb(tool, NULL, 0, JSON_COMPACT);
        if (!json_is_object(tool) || bytes > MCP_LIST_BYTES - l->bytes
            || json_array_size(l->tools) >= MCP_TOOLS_MAX
            || json_array_append(l->tools, tool) != 0)
            left_out++;
        else
            l->bytes += bytes;
    }
    if (left_out)
        LOG(WARN, l->server->name, "mcp_list=\"too much\" left_out=%zu",
            left_out);
}

static void
page_answered(struct mcp_list *l, const struct json_rpc *answer)
{
    struct mcp_page page;

    l->page = 0;
    if (answer->kind == JSON_RPC_ERROR) {
        fetch_fail(l, UV_EPROTO, "it refuses to list its tools");
        return;
    }
    if (mcp_page_read(&page, answer->result) != 0) {
        fetch_fail(l, UV_EPROTO, "what it answers is no list of tools");
        return;
    }
    tools_take(l, page.tools);
    l->ttl_ms = page.ttl_ms < TTL_LEAST_MS && page.ttl_ms ? TTL_LEAST_MS
                : page.ttl_ms > TTL_MOST_MS               ? TTL_MOST_MS
                                                          : page.ttl_ms;
    if (page.cursor && ++l->pages < MCP_PAGES_MAX)
        page_send(l, page.cursor);
    else
        fetch_finish(l);
}

/* The stream of a subscription is over, whichever way. */
static void
subscription_over(struct mcp_list *l)
{
    l->subscription = 0;
    /* What changed meanwhile was not told. */
    loop_timer_start(l->listen_timer, LISTEN_AGAIN_MS, 0);
    if (!l->page)
        loop_timer_start(l->timer, LISTEN_AGAIN_MS, 0);
}

bool
mcp_list_answer(struct mcp_list *l, const struct json_rpc *answer)
{
    if (l->page && answer->number == l->page) {
        page_answered(l, answer);
        return true;
    }
    if (!l->subscription || answer->number != l->subscription)
        return false;
    if (answer->kind == JSON_RPC_ERROR)
        l->subscription = 0; /* it does not offer that after all */
    else
        subscription_over(l);
    return true;
}

bool
mcp_list_failed(struct mcp_list *l, uint64_t number, int error)
{
    if (l->page && number == l->page) {
        l->page = 0;
        fetch_fail(l, error, "the list of its tools did not come");
        return true;
    }
    if (!l->subscription || number != l->subscription)
        return false;
    subscription_over(l);
    return true;
}

/* --- life */

void
mcp_list_changed(struct mcp_list *l)
{
    if (!l->greeting)
        return;
    if (l->page)
        l->dirty = true;
    else
        loop_timer_start(l->timer, MOMENT_MS, 0);
}

void
mcp_list_start(struct mcp_list *l, const struct mcp_greeting *greeting)
{
    l->greeting = greeting;
    l->first = true;
    if (greeting->has_tools) {
        list_fetch(l);
        return;
    }
    l->tools = json_array();
    fetch_finish(l);
}

void
mcp_list_stop(struct mcp_list *l)
{
    l->greeting = NULL;
    l->subscription = 0;
    fetch_drop(l);
    loop_timer_stop(l->timer);
    loop_timer_stop(l->listen_timer);
}

void
mcp_list_destroy(struct mcp_list **lp)
{
    struct mcp_list *l = *lp;

    *lp = NULL;
    if (!l)
        return;
    json_decref(l->tools);
    if (l->timer)
        loop_timer_destroy(&l->timer);
    if (l->listen_timer)
        loop_timer_destroy(&l->listen_timer);
    free(l);
}

int
mcp_list_create(struct mcp_list **lp, struct loop *loop,
                const struct config_tool_server *server,
                const struct mcp_list_handlers *handlers, void *arg)
{
    struct mcp_list *l = calloc(1, sizeof(*l));
    int result;

    if (!l)
        return UV_ENOMEM;
    l->server = server;
    l->handlers = handlers;
    l->arg = arg;
    result = loop_timer_create(&l->timer, loop, on_timer, l);
    if (!result)
        result = loop_timer_create(&l->listen_timer, loop, on_listen_timer, l);
    if (result)
        mcp_list_destroy(&l);
    else
        *lp = l;
    return result;
}
