/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/event_ring.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

static size_t
event_head(char *out, size_t out_bytes, const char *type)
{
    int64_t now = clock_wall_ms();
    time_t seconds = (time_t) (now / 1000);
    char stamp[32];
    struct tm tm;

    gmtime_r(&seconds, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    return (size_t) snprintf(out, out_bytes,
                             "{\"type\":\"%.64s\",\"timestamp\":\"%s.%03dZ\"",
                             type, stamp, (int) (now % 1000));
}

int
event_create(struct event **ep, const char *type, const char *fields)
{
    size_t rest = fields != NULL ? strlen(fields) : 0;
    struct event *event;
    char head[192];
    size_t bytes = event_head(head, sizeof(head), type);

    if (rest > EVENT_RING_EVENT_BYTES) {
        return UV_E2BIG;
    }
    event = malloc(sizeof(*event) + bytes + rest + 2);
    if (event == NULL) {
        return UV_ENOMEM;
    }
    event->refs = 1;
    event->id = 0;
    memcpy(event->json, head, bytes);
    if (rest > 2) {
        /* Its brace becomes our comma. */
        memcpy(event->json + bytes, fields, rest);
        event->json[bytes] = ',';
        bytes += rest;
    } else {
        event->json[bytes++] = '}';
    }
    event->json[bytes] = '\0';
    event->bytes = bytes;
    *ep = event;
    return 0;
}

void
event_unref(struct event *event)
{
    if (event != NULL && --event->refs == 0) {
        free(event);
    }
}

void
event_ring_add(struct event_ring *ring, struct event **ep)
{
    struct event **place = &ring->events[ring->count++ % EVENT_RING_KEPT];

    event_unref(*place);
    *place = *ep;
    *ep = NULL;
}

void
event_ring_deinit(struct event_ring *ring)
{
    for (size_t i = 0; i < EVENT_RING_KEPT; i++) {
        event_unref(ring->events[i]);
    }
    memset(ring, 0, sizeof(*ring));
}

/* Number of the first kept event after the id; ring->count: none. */
static uint64_t
ring_first(const struct event_ring *ring, uint64_t after)
{
    uint64_t at = ring->count;

    while (at > 0 && ring->count - at < EVENT_RING_KEPT
           && ring->events[(at - 1) % EVENT_RING_KEPT]->id > after) {
        at--;
    }
    return at;
}

unsigned
event_ring_get(const struct event_ring *ring, uint64_t after,
               struct event **out, unsigned max)
{
    uint64_t at = ring_first(ring, after);
    unsigned count = 0;

    for (; at < ring->count && count < max; at++) {
        out[count] = ring->events[at % EVENT_RING_KEPT];
        out[count++]->refs++;
    }
    return count;
}

bool
event_ring_has(const struct event_ring *ring, uint64_t after)
{
    return ring_first(ring, after) < ring->count;
}

int
event_ring_list(const struct event_ring *ring, uint64_t after,
                struct buffer *out, uint64_t *next)
{
    uint64_t at = ring_first(ring, after);
    int err = 0, count = 0;

    for (; at < ring->count && err == 0; at++) {
        const struct event *event = ring->events[at % EVENT_RING_KEPT];

        err = buffer_printf(out, "%s{\"id\":%" PRIu64 ",%s",
                            count > 0 ? "," : "", event->id, event->json + 1);
        *next = event->id;
        count++;
    }
    return err == 0 ? count : err;
}
