/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client and a server of the Model Context Protocol tell each other, in
 * both of its eras: legacy (revisions 2024-11-05 to 2025-11-25: a handshake,
 * then a session) and modern (2026-07-28: every request says all by itself).
 * Parameters made, results read. Pure, any thread; what is made is the
 * caller's, what is read is borrowed of the tree.
 */

#ifndef VOICE_MCP_MESSAGE_H
#define VOICE_MCP_MESSAGE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define MCP_MODERN "2026-07-28"
#define MCP_LEGACY "2025-11-25" /* what we ask for; older ones are taken */

/* Errors of the protocol's own. */
#define MCP_HEADER_MISMATCH     (-32020)
#define MCP_UNSUPPORTED_VERSION (-32022)

#define MCP_SERVER_BYTES 64

enum mcp_era { MCP_ERA_UNKNOWN, MCP_ERA_LEGACY, MCP_ERA_MODERN };

/* What a server says of itself. */
struct mcp_greeting {
    enum mcp_era era;
    const char *version; /* a literal */
    bool has_tools;
    bool tells_changes;            /* of its list of tools */
    char server[MCP_SERVER_BYTES]; /* its name, fit for a log; "" unknown */
};

struct mcp_page {
    const json_t *tools; /* an array */
    const char *cursor;  /* of the next page; NULL: this was the last */
    uint64_t ttl_ms;     /* modern: how long the list holds; 0 not said */
};

struct mcp_progress {
    uint64_t token;         /* ours, of mcp_call_params */
    double progress, total; /* total 0: not known */
    const char *message;    /* NULL: none */
};

/* --- made: parameters; NULL: no memory */

json_t *mcp_initialize_params(void);
/* `arguments` are shared, not changed; traceparent "" or NULL: none. */
json_t *mcp_call_params(const char *tool, const json_t *arguments,
                        uint64_t token, const char *traceparent);
json_t *mcp_list_params(const char *cursor); /* NULL: the first page */
json_t *mcp_cancelled_params(uint64_t number);
json_t *mcp_listen_params(void);
/* Modern: says who asks and how. Takes params (NULL: none yet). */
json_t *mcp_params_stamp(json_t *params);

/* --- read */

/* The result of initialize. 0; UV_EPROTO: none; UV_ENOTSUP: a version that we
 * don't speak. */
int mcp_initialized_read(struct mcp_greeting *greeting, const json_t *result);
/* Of server/discover; UV_ENOTSUP: ours is not among its versions. */
int mcp_discovered_read(struct mcp_greeting *greeting, const json_t *result);
/* Does an error's data name our modern version as supported? */
bool mcp_error_offers_modern(const json_t *data);

/* Of tools/list. 0 or UV_EPROTO. */
int mcp_page_read(struct mcp_page *page, const json_t *result);
/* Of notifications/progress. 0; UV_EINVAL: none of ours. */
int mcp_progress_read(struct mcp_progress *progress, const json_t *params);

#endif
