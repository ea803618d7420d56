/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How an MCP client and its server stand to each other, and what may come
 * after what. Pure, any thread.
 */

#ifndef VOICE_MCP_STATE_H
#define VOICE_MCP_STATE_H

#include <stdbool.h>

enum mcp_state {
    MCP_IDLE,    /* to be reached at once */
    MCP_OPENING, /* greeted */
    MCP_LISTING, /* its tools are being told, for the first time */
    MCP_READY,
    MCP_PAUSED, /* reached again later */
    MCP_CLOSED
};

const char *mcp_state_name(enum mcp_state state);
bool mcp_state_may_follow(enum mcp_state before, enum mcp_state after);

#endif
