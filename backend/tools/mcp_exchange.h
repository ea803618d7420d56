/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One HTTP request to an MCP server and what comes back: a message as JSON, or
 * a stream of events with messages in it. Lives on the services' loop, which
 * http_client must run on. Owns the request and what has come of the answer,
 * server.max_answer_bytes at most of one message. Knows nothing of sessions
 * and of who waits.
 *
 *   http_client ─► on_head ─► body ─ JSON ────────► on_message ─► on_end
 *                                  └ events ─► sse ─► on_message … ─► on_end
 */

#ifndef VOICE_MCP_EXCHANGE_H
#define VOICE_MCP_EXCHANGE_H

#include "base/config_tool_server.h"
#include "base/loop.h"
#include "gate/http_client.h"

#include <jansson.h>
#include <stdbool.h>

struct mcp_exchange;

struct mcp_exchange_config {
    struct http_client *http;
    const struct config_tool_server *server; /* borrowed for its life */
    const char *method;                      /* these are copied */
    const char *body;                        /* NULL: none */
    const struct http_header *headers;
    size_t header_count;
    uint64_t timeout_ms; /* of all of it; 0: none, also silence is fine */
};

struct mcp_exchange_end {
    int error;        /* 0: it was answered, to its end */
    unsigned status;  /* 0: there was no answer */
    const char *why;  /* for a log */
    bool streamed;    /* by events */
    const char *id;   /* the last event's, "" none */
    int64_t retry_ms; /* asked for by the stream; -1 not */
};

/* None is called inside a verb; each may call any. */
struct mcp_exchange_handlers {
    /* With a status of 200 to 299. */
    void (*on_head)(void *arg, const struct http_response *rs);
    /* A message; of an array each. Borrowed. */
    void (*on_message)(void *arg, const json_t *message, unsigned status);
    /* The last call; the exchange is gone after it. */
    void (*on_end)(void *arg, const struct mcp_exchange_end *end);
};

/* 0; or as http_client_send, then nothing is told. */
int mcp_exchange_open(struct mcp_exchange **ep,
                      const struct mcp_exchange_config *cfg,
                      const struct mcp_exchange_handlers *handlers, void *arg);

/* on_end follows, with UV_ECANCELED; no message before it. Idempotent. */
void mcp_exchange_cancel(struct mcp_exchange *e);

#endif
