/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_state.h"

#define STATES(X)                                                              \
    X(IDLE, "idle", TO(OPENING) | TO(PAUSED) | TO(CLOSED))                     \
    X(OPENING, "opening", TO(IDLE) | TO(LISTING) | TO(PAUSED) | TO(CLOSED))    \
    X(LISTING, "listing", TO(IDLE) | TO(READY) | TO(PAUSED) | TO(CLOSED))      \
    X(READY, "ready", TO(IDLE) | TO(PAUSED) | TO(CLOSED))                      \
    X(PAUSED, "paused", TO(IDLE) | TO(CLOSED))                                 \
    X(CLOSED, "closed", 0)

#define TO(name) (1u << MCP_##name)

static const struct {
    const char *name;
    unsigned may_follow;
} states[] = {
#define X(name, text, next) [MCP_##name] = {text, next},
    STATES(X)
#undef X
};

const char *
mcp_state_name(enum mcp_state state)
{
    return states[state].name;
}

bool
mcp_state_may_follow(enum mcp_state before, enum mcp_state after)
{
    return states[before].may_follow & (1u << after);
}
