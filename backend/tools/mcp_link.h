/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How messages reach an MCP server and come back, whatever carries them
 * (mcp_http, mcp_stdio). Knows of messages no more than who waits for which
 * answer. Lives on the services' loop; no handler is called inside a verb. A
 * link that is lost stays so: its user closes it and makes another.
 *
 *   mcp_client ─ send ─► link ─► server
 *        ▲                 │
 *        └─ on_message ◄───┘   on_failed: of one request; on_lost: of all
 */

#ifndef VOICE_MCP_LINK_H
#define VOICE_MCP_LINK_H

#include "codec/mcp_message.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MCP_LINK_HEADERS_BYTES 16384 /* of one request */

struct config_tool_server;
struct http_client;
struct loop;
struct mcp_link;

struct mcp_link_config {
    struct loop *loop;
    struct http_client *http;
    const struct config_tool_server *server; /* all borrowed for its life */
};

/* What is sent. Copied. */
struct mcp_send {
    const char *text; /* the message, one line */
    const char *method;
    uint64_t number;      /* of a request; 0: nothing is awaited */
    uint64_t timeout_ms;  /* 0: it may stay open for ever */
    enum mcp_era era;     /* it is written in; UNKNOWN: before a handshake */
    const char *version;  /* of the protocol; NULL: not agreed yet */
    const char *name;     /* modern: of the tool; NULL: of none */
    const json_t *schema; /* modern: of the tool, for its marks; NULL */
    const json_t *arguments;
};

struct mcp_link_handlers {
    /* One message, never an array; borrowed. */
    void (*on_message)(void *arg, const json_t *message);
    /* This request will not be answered. `status` of HTTP, or 0. `why` for a
     * log. */
    void (*on_failed)(void *arg, uint64_t number, int error, unsigned status,
                      const char *why);
    /* Nothing can be sent any more. UV_ENOTCONN: a session that the server
     * has forgotten; the requests that it refused so are told before, by
     * on_failed with that error, and were not carried out. */
    void (*on_lost)(void *arg, int error, const char *why);
    /* After close, the last call. */
    void (*on_closed)(void *arg);
};

struct mcp_link_ops {
    /* 0; UV_ENOBUFS: too much is under way; UV_EINVAL, UV_ENOMEM; UV_EPIPE:
     * lost. Then no handler is called for it. */
    int (*send)(struct mcp_link *link, const struct mcp_send *message);
    /* The answer is not wanted any more: what only waits for it is ended. */
    void (*forget)(struct mcp_link *link, uint64_t number);
    /* The handshake is done: what the server says by itself is listened to. */
    void (*listen)(struct mcp_link *link, const char *version);
    /* Once. Says goodbye as the protocol has it; on_closed follows. */
    void (*close)(struct mcp_link *link);
};

/* Embedded as the first member of who implements it. */
struct mcp_link {
    const struct mcp_link_ops *ops;
};

#endif
