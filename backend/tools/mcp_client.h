/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The client of one MCP server, whichever era it is of and however it is
 * reached: asks it what it speaks, opens what has to be opened, keeps the list
 * of its tools fresh, carries calls, and comes back with a growing pause when
 * the server is lost. Lives on the services' loop. Owns its link, the list
 * under way and the calls. Of what servers may ask a client for it offers
 * nothing but an answer to ping.
 *
 *   IDLE ─► OPENING ─► LISTING ─► READY
 *    ▲ ▲       │          │        │ │
 *    │ └─ PAUSED ◄────────┴────────┘ │
 *    └────────────── forgotten ──────┘
 */

#ifndef VOICE_MCP_CLIENT_H
#define VOICE_MCP_CLIENT_H

#include "base/config_tool_server.h"
#include "base/loop.h"
#include "gate/http_client.h"
#include "tools/mcp_calls.h"

#include <jansson.h>
#include <stdbool.h>

struct mcp_client;

struct mcp_client_config {
    struct loop *loop;
    struct http_client *http;
    const struct config_tool_server *server; /* all borrowed for its life */
};

/* On the loop, never inside a verb. */
struct mcp_client_handlers {
    /* All its tools, an array of their definitions; borrowed. */
    void (*on_list)(void *arg, const json_t *tools);
    /* It could not be reached, or not again. */
    void (*on_down)(void *arg, const char *why);
    /* The last call, after close. */
    void (*on_closed)(void *arg);
};

/* 0 or UV_ENOMEM; the server is reached from then on. */
int mcp_client_create(struct mcp_client **cp,
                      const struct mcp_client_config *cfg,
                      const struct mcp_client_handlers *handlers, void *arg);

/* Calls end with UV_ECANCELED, inside; on_closed follows, and the client is
 * gone. */
void mcp_client_close(struct mcp_client *c);

/* A call; while the server is being reached again it waits. Its id, over 0,
 * for _cancel; UV_ENOTCONN: the server is down; UV_ENOBUFS, UV_ENOMEM. */
int64_t mcp_client_call(struct mcp_client *c, const struct mcp_call_request *rq,
                        const struct mcp_call_handlers *handlers, void *arg);
/* on_done, inside, unless it was told already. */
void mcp_client_cancel(struct mcp_client *c, int64_t id);

#endif
