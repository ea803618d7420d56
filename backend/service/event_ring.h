/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The last events of one tenant, oldest dropped. A plain data structure, used
 * under its user's lock, which guards the events' counts too. Owns a share of
 * every event in it. Zeroed memory is an empty ring.
 */

#ifndef VOICE_EVENT_RING_H
#define VOICE_EVENT_RING_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EVENT_RING_KEPT        256
#define EVENT_RING_EVENT_BYTES 16384

/* Shared: by the ring and by those who send it. Never changed once added. */
struct event {
    unsigned refs;
    uint64_t id; /* set before it is added; ids grow */
    size_t bytes;
    char json[];
};

struct event_ring {
    struct event *events[EVENT_RING_KEPT]; /* number n at n % KEPT */
    uint64_t count;                        /* added so far */
};

/* As event_bus_publish. 0, UV_E2BIG, UV_ENOMEM. Given with one share. */
int event_create(struct event **ep, const char *type, const char *fields);
void event_unref(struct event *event);

/* Takes the share. */
void event_ring_add(struct event_ring *ring, struct event **ep);
void event_ring_deinit(struct event_ring *ring);

/* The oldest events after the id, each with a share given; their count. */
unsigned event_ring_get(const struct event_ring *ring, uint64_t after,
                        struct event **out, unsigned max);
bool event_ring_has(const struct event_ring *ring, uint64_t after);

/* Appends them, comma-separated, each with its id as first member; *next
 * becomes the last one's id. Their count or UV_E*. */
int event_ring_list(const struct event_ring *ring, uint64_t after,
                    struct buffer *out, uint64_t *next);

#endif
