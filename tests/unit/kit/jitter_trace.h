/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Twenty networks, made from seeds: for each packet of a talker (20 ms each,
 * spurts and pauses) when it was sent and when it came, as a receiver behind
 * TCP sees it: in order, nothing lost. Gives memory to its caller.
 */

#ifndef KIT_JITTER_TRACE_H
#define KIT_JITTER_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JITTER_TRACES    20
#define JITTER_TRACE_MS  180000
#define JITTER_PACKET_MS 20
#define JITTER_PACKET_US 20000

struct jitter_packet {
    uint64_t sent_us;
    uint64_t came_us;
    bool is_first; /* of a spurt */
    bool is_last;
};

struct jitter_trace {
    const char *name;
    struct jitter_packet *packets;
    size_t count;
    uint64_t least_us; /* the quickest passage */
};

/* Fills in trace 0…JITTER_TRACES - 1; always the same one. */
void jitter_trace_make(struct jitter_trace *trace, unsigned which);
void jitter_trace_free(struct jitter_trace *trace);

#endif
