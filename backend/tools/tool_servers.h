/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * All `tool_server NAME { … }` of the configuration: makes each by its kind,
 * tells whose tools are which, and keeps how each is doing for people. One a
 * server process. Lives on the services' loop; verbs and questions from any
 * thread. A server that is down holds nobody up: it is mounted when it comes.
 *
 *   tool_mcp, tool_http ─► on_tools ─► (tool_registry_replace)
 */

#ifndef VOICE_TOOL_SERVERS_H
#define VOICE_TOOL_SERVERS_H

#include "base/buffer.h"
#include "tools/tool_server.h"

#include <stdbool.h>

struct tool_servers;

struct tool_servers_config {
    struct loop *loop; /* runs already, or will */
    struct http_client *http;
    const struct config_tool_server *servers; /* outlive it, as the others */
    size_t count;
};

/* On the loop. */
struct tool_servers_handlers {
    /* Of the server `name` these are all tools now; none: it is lost. Takes
     * the shares, not the array. */
    void (*on_tools)(void *arg, const char *name, struct tool **tools,
                     size_t count);
    /* Once: each has been mounted or has failed for the first time. NULL: not
     * wanted. */
    void (*on_settled)(void *arg);
};

/* 0 or UV_ENOMEM. The servers are reached from the loop. */
int tool_servers_create(struct tool_servers **sp,
                        const struct tool_servers_config *cfg,
                        const struct tool_servers_handlers *handlers,
                        void *arg);

/*
 * Ends them all, children too; no handler is called any more once it returns.
 * Blocks until nothing is under way (5 s at most, seldom more than half of
 * one): not on the loop, which must still run, and before http_client_close.
 */
void tool_servers_close(struct tool_servers **sp);

/* on_settled was called, or there are none. */
bool tool_servers_is_settled(struct tool_servers *s);

/* Appends [{"name","kind","state","tools"}, …], a JSON array. 0 or as
 * buffer_append. */
int tool_servers_report(struct tool_servers *s, struct buffer *out);

#endif
