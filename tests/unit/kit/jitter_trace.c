/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/jitter_trace.h"

#include <math.h>
#include <stdlib.h>

#define SECOND_US 1000000.0

/* What a network does to one packet, in ms beyond its quickest passage. */
struct network {
    const char *name;
    double noise_ms;  /* mean of what every packet has, exponential */
    double slot_ms;   /* it goes out only at multiples of this */
    double stall_s;   /* mean time between stalls, 0: none */
    double stall_ms;  /* their mean length; half to twice of it */
    double even;      /* 1: stalls come in time, 0: at random */
    double step_ms;   /* more from a third of the trace on ... */
    double step_end;  /* ... to this part of it */
    double swell_ms;  /* a queue that fills and drains: its largest */
    double swell_s;   /* and how long that takes */
    double resend;    /* part of packets that TCP sends again ... */
    double resend_ms; /* ... after this: what follows waits */
};

static const struct network networks[JITTER_TRACES] = {
    {.name = "steady, LAN", .noise_ms = 1},
    {.name = "steady, DSL", .noise_ms = 6},
    {.name = "steady, busy office", .noise_ms = 18},
    {.name = "Wi-Fi, few bursts",
     .noise_ms = 4,
     .stall_s = 12,
     .stall_ms = 130},
    {.name = "Wi-Fi, many bursts",
     .noise_ms = 5,
     .stall_s = 1.5,
     .stall_ms = 120},
    {.name = "Wi-Fi, power save", .noise_ms = 3, .slot_ms = 102.4},
    {.name = "Wi-Fi, background scans",
     .noise_ms = 4,
     .stall_s = 10,
     .stall_ms = 200,
     .even = 1},
    {.name = "Wi-Fi, far from the AP",
     .noise_ms = 25,
     .stall_s = 3,
     .stall_ms = 150},
    {.name = "LTE, scheduling", .noise_ms = 8, .slot_ms = 40},
    {.name = "LTE, moving",
     .noise_ms = 10,
     .slot_ms = 10,
     .stall_s = 8,
     .stall_ms = 180},
    {.name = "LTE, handovers",
     .noise_ms = 8,
     .slot_ms = 10,
     .stall_s = 20,
     .stall_ms = 350,
     .even = 1},
    {.name = "LTE, edge of the cell",
     .noise_ms = 30,
     .slot_ms = 40,
     .stall_s = 4,
     .stall_ms = 250},
    {.name = "a step up", .noise_ms = 4, .step_ms = 120, .step_end = 1},
    {.name = "a step up and down",
     .noise_ms = 4,
     .step_ms = 150,
     .step_end = 0.6},
    {.name = "a spike",
     .noise_ms = 3,
     .stall_s = 75,
     .stall_ms = 280,
     .even = 1},
    {.name = "spikes", .noise_ms = 3, .stall_s = 25, .stall_ms = 220},
    {.name = "TCP, 1 % sent again",
     .noise_ms = 5,
     .resend = 0.01,
     .resend_ms = 120},
    {.name = "TCP, 3 % sent again",
     .noise_ms = 8,
     .resend = 0.03,
     .resend_ms = 160},
    {.name = "satellite",
     .noise_ms = 12,
     .slot_ms = 15,
     .stall_s = 15,
     .stall_ms = 160,
     .even = 1},
    {.name = "congestion, a ramp",
     .noise_ms = 8,
     .swell_ms = 220,
     .swell_s = 30},
};

struct weather {
    uint64_t seed;
    double next_stall_s;
    double free_ms; /* when the line is free again */
};

/* 0…1, xorshift64*: the same on every machine. */
static double
chance(struct weather *w)
{
    w->seed ^= w->seed >> 12;
    w->seed ^= w->seed << 25;
    w->seed ^= w->seed >> 27;
    return (double) ((w->seed * UINT64_C(2685821657736338717)) >> 11)
           / 9007199254740992.0;
}

static double
chance_exponential(struct weather *w, double mean)
{
    return -mean * log(1 - chance(w));
}

static double
next_stall_s(const struct network *n, struct weather *w)
{
    return n->even > 0 ? n->stall_s * (0.9 + 0.2 * chance(w))
                       : chance_exponential(w, n->stall_s);
}

/* When a packet that leaves at this time comes, in ms. */
static double
passage_end_ms(const struct network *n, struct weather *w, double sent_ms)
{
    double part = sent_ms / JITTER_TRACE_MS;
    double ms = sent_ms + chance_exponential(w, n->noise_ms);

    while (n->stall_s > 0 && sent_ms / 1000 >= w->next_stall_s) {
        double end_ms = w->next_stall_s * 1000
                        + n->stall_ms * (0.5 + 1.5 * pow(chance(w), 2));

        w->free_ms = fmax(w->free_ms, end_ms);
        w->next_stall_s += next_stall_s(n, w);
    }
    if (n->step_ms > 0 && part > 0.34 && part < n->step_end)
        ms += n->step_ms;
    if (n->swell_ms > 0)
        ms +=
            n->swell_ms * pow(sin(3.14159265 * sent_ms / 1000 / n->swell_s), 4);
    if (n->resend > 0 && chance(w) < n->resend)
        ms += n->resend_ms * (1 + 0.5 * chance(w));
    if (n->slot_ms > 0)
        ms = ceil(ms / n->slot_ms) * n->slot_ms;
    w->free_ms = fmax(w->free_ms, ms); /* in order */
    return w->free_ms;
}

static void
packets_make(struct jitter_trace *trace, const struct network *n,
             struct weather *w)
{
    double sent_ms = 0, spurt_end_ms = 2000;
    bool is_first = true;

    while (sent_ms < JITTER_TRACE_MS) {
        struct jitter_packet *packet = &trace->packets[trace->count++];
        uint64_t passage_us;

        packet->sent_us = (uint64_t) (sent_ms * 1000);
        packet->came_us = (uint64_t) (passage_end_ms(n, w, sent_ms) * 1000);
        packet->is_first = is_first;
        passage_us = packet->came_us - packet->sent_us;
        if (passage_us < trace->least_us)
            trace->least_us = passage_us;
        sent_ms += JITTER_PACKET_MS;
        is_first = packet->is_last = sent_ms >= spurt_end_ms;
        if (packet->is_last) {
            sent_ms += JITTER_PACKET_MS * floor(15 + 100 * chance(w));
            spurt_end_ms = sent_ms + 1000 + chance_exponential(w, 3000);
        }
    }
    trace->packets[trace->count - 1].is_last = true;
}

void
jitter_trace_make(struct jitter_trace *trace, unsigned which)
{
    const struct network *n = &networks[which];
    struct weather w = {.seed = UINT64_C(0x9e3779b97f4a7c15) * (which + 1)};

    *trace = (struct jitter_trace){.name = n->name, .least_us = UINT64_MAX};
    trace->packets =
        calloc(JITTER_TRACE_MS / JITTER_PACKET_MS, sizeof *trace->packets);
    if (trace->packets == NULL)
        abort();
    w.next_stall_s = n->stall_s > 0 ? next_stall_s(n, &w) : 0;
    packets_make(trace, n, &w);
}

void
jitter_trace_free(struct jitter_trace *trace)
{
    free(trace->packets);
    *trace = (struct jitter_trace){0};
}
