/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One tool of an MCP server, as a tool of ours: its definition read, its runs
 * carried by the server's client, its results as a model is given them
 * (codec/mcp_result). Named mcp_<server>_<tool>. What the server says of it
 * counts only when the server is trusted: then a read-only tool's results may
 * be kept. Runs on the services' loop; may outlive the client.
 */

#ifndef VOICE_MCP_TOOL_H
#define VOICE_MCP_TOOL_H

#include "base/config_tool_server.h"
#include "tools/mcp_client.h"
#include "tools/tool.h"

/* What the tools of a server share: the way to its client. Counted. */
struct mcp_owner;

int mcp_owner_create(struct mcp_owner **op,
                     const struct config_tool_server *server, unsigned domain);
/* On the loop: who runs tools from now on; NULL: nobody. */
void mcp_owner_set(struct mcp_owner *owner, struct mcp_client *client);
/* Gives up its creator's share. Any thread. */
void mcp_owner_put(struct mcp_owner **op);

/* The server's word for it; NULL: it has none. */
const char *mcp_tool_remote_name(const json_t *definition);

/* Of one in a list of the server's. 0; UV_EINVAL, UV_ENOMEM, and why. */
int mcp_tool_create(struct tool **tp, struct mcp_owner *owner,
                    const json_t *definition, const char **why);

#endif
