/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How an MCP server is greeted whose era is not known: it is asked as a modern
 * one (server/discover); if it refuses, knows nothing of it or is silent, the
 * legacy handshake follows (initialize). A late answer to the question still
 * counts when the handshake fails. Lives on the services' loop, in its client;
 * sends nothing but those two.
 *
 *   start ─► discover ─ modern ─────────► on_open
 *               └ refused, silent ─► initialize ─► on_open, on_failed
 */

#ifndef VOICE_MCP_OPENING_H
#define VOICE_MCP_OPENING_H

#include "base/loop.h"
#include "codec/json_rpc.h"
#include "codec/mcp_message.h"

struct mcp_opening;

struct mcp_opening_handlers {
    /* Sends it, in that era; takes params. Gives its number, 0: it can't be. */
    uint64_t (*on_send)(void *arg, const char *method, json_t *params,
                        enum mcp_era era);
    /* Each ends it. */
    void (*on_open)(void *arg, const struct mcp_greeting *greeting);
    void (*on_failed)(void *arg, const char *why);
};

/* probe_ms: how long a server may be silent. */
int mcp_opening_create(struct mcp_opening **op, struct loop *loop,
                       uint64_t probe_ms,
                       const struct mcp_opening_handlers *handlers, void *arg);
void mcp_opening_destroy(struct mcp_opening **op);

/* `era` UNKNOWN or MODERN asks first. Handlers may run inside. */
void mcp_opening_start(struct mcp_opening *o, enum mcp_era era);
void mcp_opening_stop(struct mcp_opening *o);

/* Is it one of its own? Then it is dealt with. */
bool mcp_opening_answer(struct mcp_opening *o, const struct json_rpc *answer);
bool mcp_opening_failed(struct mcp_opening *o, uint64_t number, int error,
                        unsigned status, const char *why);

/* The question was the last that was sent. */
bool mcp_opening_is_probing(const struct mcp_opening *o);

#endif
