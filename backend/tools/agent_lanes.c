/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/agent_lanes.h"

#include "gate/crypto.h"

#include <stdlib.h>
#include <string.h>

void
agent_lane_rename(struct agent_lane *lane)
{
    _Static_assert(AGENT_ID_BYTES == CRYPTO_ID_BYTES, "ids");

    crypto_id("agent_", lane->id);
}

static void
lane_free(struct agent_lane *lane)
{
    free(lane->tenant);
    free(lane->caller);
    json_decref(lane->history);
    free(lane);
}

static void
lane_remove(struct agent_lanes *lanes, struct agent_lane *lane)
{
    struct agent_lane **at = &lanes->first;

    while (*at != lane)
        at = &(*at)->next;
    *at = lane->next;
    lanes->count--;
    lanes->gone(lanes->arg, lane);
    lane_free(lane);
}

static struct agent_lane *
lane_named(const struct agent_lanes *lanes, const struct agent_order *order)
{
    struct agent_lane *lane = lanes->first;

    while (lane != NULL
           && (lane->lost || strcmp(lane->id, order->conversation) != 0
               || strcmp(lane->tenant, order->tenant) != 0))
        lane = lane->next;
    return lane;
}

/* The one that its caller used last. Over HTTP nobody is the same caller. */
static struct agent_lane *
lane_idle(const struct agent_lanes *lanes, const struct agent_order *order)
{
    struct agent_lane *best = NULL;

    if (order->caller[0] == '\0' || order->context == AGENT_CONTEXT_NONE)
        return NULL;
    for (struct agent_lane *lane = lanes->first; lane != NULL;
         lane = lane->next)
        if (!lane->busy && !lane->lost
            && strcmp(lane->tenant, order->tenant) == 0
            && strcmp(lane->caller, order->caller) == 0
            && (best == NULL || lane->used_ms > best->used_ms))
            best = lane;
    return best;
}

static struct agent_lane *
lane_oldest(const struct agent_lanes *lanes)
{
    struct agent_lane *oldest = NULL;

    for (struct agent_lane *lane = lanes->first; lane != NULL;
         lane = lane->next)
        if (!lane->busy && (oldest == NULL || lane->used_ms < oldest->used_ms))
            oldest = lane;
    return oldest;
}

static struct agent_lane *
lane_make(struct agent_lanes *lanes, const struct agent_order *order)
{
    struct agent_lane *lane = calloc(1, sizeof(*lane));

    if (lane == NULL)
        return NULL;
    lane->tenant = strdup(order->tenant);
    lane->caller = strdup(order->caller);
    if (lane->tenant == NULL || lane->caller == NULL) {
        lane_free(lane);
        return NULL;
    }
    agent_lane_rename(lane);
    lane->next = lanes->first;
    lanes->first = lane;
    lanes->count++;
    return lane;
}

enum agent_lanes_result
agent_lanes_take(struct agent_lanes *lanes, const struct agent_order *order,
                 uint64_t now_ms, struct agent_lane **lane)
{
    struct agent_lane *found;

    if (order->conversation[0] != '\0') {
        found = lane_named(lanes, order);
        if (found == NULL)
            return AGENT_LANE_UNKNOWN;
        if (found->busy)
            return AGENT_LANE_BUSY;
    } else {
        found = lane_idle(lanes, order);
    }
    if (found == NULL && lanes->count >= lanes->max) {
        struct agent_lane *oldest = lane_oldest(lanes);

        if (oldest == NULL)
            return AGENT_LANES_FULL;
        lane_remove(lanes, oldest);
    }
    if (found == NULL)
        found = lane_make(lanes, order);
    if (found == NULL)
        return AGENT_LANES_MEMORY;
    found->busy = true;
    found->used_ms = now_ms;
    *lane = found;
    return AGENT_LANE_TAKEN;
}

void
agent_lanes_give(struct agent_lanes *lanes, struct agent_lane *lane,
                 uint64_t now_ms)
{
    lane->busy = false;
    lane->used_ms = now_ms;
    if (lane->lost)
        lane_remove(lanes, lane);
}

void
agent_lanes_expire(struct agent_lanes *lanes, uint64_t now_ms, uint64_t idle_ms)
{
    struct agent_lane *lane = lanes->first;

    while (lane != NULL) {
        struct agent_lane *next = lane->next;

        if (!lane->busy && now_ms - lane->used_ms >= idle_ms)
            lane_remove(lanes, lane);
        lane = next;
    }
}
