/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Conversations with agents: whose they are, which are idle, which go when
 * there are too many or nobody has come back. No I/O; `now` is passed in. One
 * thread, the owner's. Owns the conversations.
 */

#ifndef VOICE_AGENT_LANES_H
#define VOICE_AGENT_LANES_H

#include "tools/agent.h"

#include <jansson.h>
#include <stdbool.h>

#define AGENT_REMOTE_BYTES 129 /* an id of the server's, with its end */

struct agent_lane {
    struct agent_lane *next;
    char id[AGENT_ID_BYTES]; /* ours, told to callers */
    char *tenant, *caller;
    bool busy;
    bool lost; /* the server won't go on with it; goes when it is idle */
    uint64_t used_ms;
    unsigned turns;                  /* answered */
    char remote[AGENT_REMOTE_BYTES]; /* amplifierd's session; "" none yet */
    json_t *history;                 /* chat: messages; NULL: none yet */
};

/* Told of each that goes, before it is freed. */
typedef void agent_lane_gone_h(void *arg, struct agent_lane *lane);

struct agent_lanes { /* embedded; first and count zeroed */
    struct agent_lane *first;
    unsigned count, max;
    agent_lane_gone_h *gone;
    void *arg;
};

enum agent_lanes_result {
    AGENT_LANE_TAKEN,   /* *lane is busy now */
    AGENT_LANE_UNKNOWN, /* no such conversation of this tenant */
    AGENT_LANE_BUSY,    /* it has not answered its last order */
    AGENT_LANES_FULL,   /* all are busy */
    AGENT_LANES_MEMORY
};

enum agent_lanes_result agent_lanes_take(struct agent_lanes *lanes,
                                         const struct agent_order *order,
                                         uint64_t now_ms,
                                         struct agent_lane **lane);

/* Its order has been answered. A lost one goes. */
void agent_lanes_give(struct agent_lanes *lanes, struct agent_lane *lane,
                      uint64_t now_ms);

/* What it was called before is unknown from now on. */
void agent_lane_rename(struct agent_lane *lane);

/* Those idle for so long go; idle_ms 0: all that are idle. */
void agent_lanes_expire(struct agent_lanes *lanes, uint64_t now_ms,
                        uint64_t idle_ms);

#endif
