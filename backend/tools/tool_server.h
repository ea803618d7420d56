/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A server elsewhere whose tools are offered here, whichever way it speaks
 * (tool_mcp, tool_http). It is reached by itself, again and again with a
 * growing pause, from its creation until it is closed, and tells its tools
 * whenever they are others than before. Lives on the services' loop. Its tools
 * may outlive it: then they fail with "unavailable".
 *
 *   _create ─► on_state(REACHING) ─► on_tools, on_state(MOUNTED) ─► …
 */

#ifndef VOICE_TOOL_SERVER_H
#define VOICE_TOOL_SERVER_H

#include "base/config_tool_server.h"
#include "base/loop.h"
#include "gate/http_client.h"
#include "tools/tool.h"

enum tool_server_state {
    TOOL_SERVER_REACHING, /* for the first time */
    TOOL_SERVER_MOUNTED,  /* its tools are there */
    TOOL_SERVER_DOWN      /* not reached, or lost; tried again later */
};

struct tool_server_config {
    struct loop *loop;
    struct http_client *http;
    const struct config_tool_server *server; /* all borrowed for its life */
    unsigned domain;                         /* what its tools change */
};

/* On the loop, never inside a verb. May close it. */
struct tool_server_handlers {
    /* These are its tools now; none: it is lost. Takes the shares, not the
     * array. Not told when they are the same as before. */
    void (*on_tools)(void *arg, struct tool **tools, size_t count);
    /* With each change; `why` for a log, never NULL. */
    void (*on_state)(void *arg, enum tool_server_state state, const char *why);
    /* The last call, after close: nothing of it is under way any more. */
    void (*on_closed)(void *arg);
};

/* Embedded as the first member of who implements it. */
struct tool_server {
    const struct tool_server_ops *ops;
};

struct tool_server_ops {
    /* On the loop, once. Its runs end with "unavailable"; on_closed follows
     * within seconds, never inside. No other handler is called any more. */
    void (*close)(struct tool_server *server);
};

#endif
