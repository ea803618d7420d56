/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The headers of one HTTP request to an MCP server, both eras: put together
 * in one block, borrowed until the next. Owns the block, which holds a key
 * while a request is made. Pure but for memory.
 */

#ifndef VOICE_MCP_HTTP_HEADERS_H
#define VOICE_MCP_HTTP_HEADERS_H

#include "base/config_tool_server.h"
#include "gate/http_client.h"
#include "tools/mcp_link.h"

struct mcp_http_headers;

/* What goes along beside the message's own. "" or NULL: nothing. */
struct mcp_http_sent {
    const char *session, *version, *event; /* event: Last-Event-ID */
    bool posts;
};

int mcp_http_headers_create(struct mcp_http_headers **hp,
                            const struct config_tool_server *server);
void mcp_http_headers_destroy(struct mcp_http_headers **hp);

/* `message` NULL: a request without one. *list is borrowed until the next
 * call. 0; UV_ENOBUFS: larger than MCP_LINK_HEADERS_BYTES; UV_EINVAL: an
 * argument that no header takes. */
int mcp_http_headers_make(struct mcp_http_headers *h,
                          const struct mcp_http_sent *sent,
                          const struct mcp_send *message,
                          const struct http_header **list, size_t *count);

#endif
