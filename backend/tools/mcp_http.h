/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An MCP server behind an address: Streamable HTTP, both eras. A message is a
 * POST; what answers it comes as JSON or as events. Legacy: the session of the
 * handshake goes with every request, a GET listens to what the server says by
 * itself, and a stream that broke off before its answer is taken up again
 * where it was (Last-Event-ID). Modern: no session; closing a stream cancels.
 * Owns what is under way, MCP_HTTP_MAX requests at once.
 *
 *   send ─► ticket ─► mcp_exchange (POST) ─► on_message
 *             └ broken off ─► pause ─► mcp_exchange (GET) ─► on_message
 */

#ifndef VOICE_MCP_HTTP_H
#define VOICE_MCP_HTTP_H

#include "tools/mcp_link.h"

#define MCP_HTTP_MAX           256
#define MCP_HTTP_SESSION_BYTES 512

/* On the loop. Nothing is sent yet. 0, UV_ENOMEM. */
int mcp_http_create(struct mcp_link **lp, const struct mcp_link_config *cfg,
                    const struct mcp_link_handlers *handlers, void *arg);

#endif
