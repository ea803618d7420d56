/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The list of an MCP server's tools: fetched page by page, again whenever the
 * server says that it has changed (legacy by itself, modern through a
 * subscription) or when its time is over. Lives on the services' loop, in its
 * client. Owns the list under way, MCP_LIST_BYTES at most; a tool that would
 * exceed that is left out.
 *
 *   start ─► page ─► page … ─► on_done ─┬─ changed ─► a moment ─► page …
 *                                       └─ subscriptions/listen (modern)
 */

#ifndef VOICE_MCP_LIST_H
#define VOICE_MCP_LIST_H

#include "base/config_tool_server.h"
#include "base/loop.h"
#include "codec/json_rpc.h"
#include "codec/mcp_message.h"

#define MCP_TOOLS_MAX  256 /* of one server; more are left out */
#define MCP_PAGES_MAX  100
#define MCP_LIST_BYTES 4194304

struct mcp_list;

struct mcp_list_handlers {
    /* Sends it; takes params. Gives its number, 0: it can't be. */
    uint64_t (*on_send)(void *arg, const char *method, json_t *params,
                        uint64_t timeout_ms);
    /* All tools, an array, borrowed. Also inside _start, when there are none.
     */
    void (*on_done)(void *arg, const json_t *tools);
    /* The list that _start began did not come. */
    void (*on_failed)(void *arg, int error, const char *why);
};

int mcp_list_create(struct mcp_list **lp, struct loop *loop,
                    const struct config_tool_server *server,
                    const struct mcp_list_handlers *handlers, void *arg);
void mcp_list_destroy(struct mcp_list **lp);

/* Of a server that was just reached; `greeting` is borrowed until _stop. */
void mcp_list_start(struct mcp_list *l, const struct mcp_greeting *greeting);
void mcp_list_stop(struct mcp_list *l);

/* The server says so. */
void mcp_list_changed(struct mcp_list *l);

/* Is it one of its own? Then it is dealt with. */
bool mcp_list_answer(struct mcp_list *l, const struct json_rpc *answer);
bool mcp_list_failed(struct mcp_list *l, uint64_t number, int error);

#endif
