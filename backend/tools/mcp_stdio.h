/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An MCP server that is our child: messages are lines on its standard input
 * and output (revision 2025-11-25 and 2026-07-28, stdio). Owns the child. A
 * line that is no message is passed over; one that is too long loses the
 * link, as the child's end does. What it writes to standard error is its own
 * affair: its lines go to the log when that tells everything.
 *
 *   send ─► line ─► stdin │ server │ stdout ─► lines ─► on_message
 */

#ifndef VOICE_MCP_STDIO_H
#define VOICE_MCP_STDIO_H

#include "tools/mcp_link.h"

#define MCP_STDIO_GRACE_MS 2000 /* to end by itself, then by SIGTERM */

/* On the loop. Starts it. 0; or as child_open. */
int mcp_stdio_create(struct mcp_link **lp, const struct mcp_link_config *cfg,
                     const struct mcp_link_handlers *handlers, void *arg);

#endif
