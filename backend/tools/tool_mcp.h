/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An MCP server of the configuration (`mcp` or `command`) as a server of
 * tools: see tools/tool_server.h. Owns its client and shares its tools; those
 * of a server that crashed stay until it could not be reached again.
 *
 *   mcp_client ─ on_list ─► mcp_tool … ─► on_tools
 */

#ifndef VOICE_TOOL_MCP_H
#define VOICE_TOOL_MCP_H

#include "tools/tool_server.h"

/* On the loop. 0 or UV_ENOMEM; cfg is copied. */
int tool_mcp_create(struct tool_server **sp,
                    const struct tool_server_config *cfg,
                    const struct tool_server_handlers *handlers, void *arg);

#endif
