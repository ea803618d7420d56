/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * session_voice_down against a clock of the test's own and a player that has
 * a way to go, plays in real time while it has something, and reports:
 *
 *   feed ─► session_voice_down ─► send ─► (way_ms) ─► player
 *                    ▲ played ◄── (way_ms) ◄── its place ┘
 *
 * One world at a time, made by setup and freed by teardown.
 */

#ifndef VOICE_TEST_VOICE_WORLD_H
#define VOICE_TEST_VOICE_WORLD_H

#include "session/session_voice_down.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOICE_WORLD_PACKETS 400000
#define VOICE_WORLD_EVENTS  64
#define VOICE_WORLD_SAMPLES 480000 /* kept of what is heard */
#define VOICE_WORLD_NEVER   UINT64_MAX

struct voice_seen {
    uint64_t now_ms;
    uint32_t timestamp;
    uint16_t sequence;
    uint8_t flags;
    unsigned ms;
    uint16_t bytes;
};

struct voice_world {
    struct session_voice_down *down;
    uint64_t now;
    int refuse; /* what send says, 0 takes */
    struct voice_seen *packets;
    size_t count;
    char events[VOICE_WORLD_EVENTS][64];
    uint64_t event_ms[VOICE_WORLD_EVENTS];
    size_t event_count;
    uint32_t phase;
    bool quiet;
    bool decoder_on; /* what was fed and is heard of it: */
    struct opus_voice_decoder *decoder;
    int16_t *fed, *heard;
    size_t fed_samples, heard_samples;
    size_t runs; /* by the clock */
    /* the player */
    unsigned way_ms;  /* one way */
    size_t delivered; /* packets */
    uint64_t place, end;
    uint64_t jump_at, jump_to; /* over what never came */
    uint64_t cleared_ms;       /* when the clear arrives; 0: none under way */
    bool is_cleared, frozen, fills;
};

extern struct voice_world *voice_world;

/* 20 ms, 24 kbit/s, complexity 0, FEC, no DTX; no loop. */
struct session_voice_down_config voice_world_config(void);
void voice_world_make(const struct session_voice_down_config *cfg);
int voice_world_setup(void **state);
int voice_world_teardown(void **state);

/* Time passes, a millisecond after the other. */
void voice_world_run(uint64_t ms);
/* Where the player is; known here after so long. */
uint64_t voice_world_report(uint64_t ms);

struct realtime_span voice_span(const char *text);
/* Ids as JSON, content_index 0. */
struct session_voice_part voice_part_of(const char *response, const char *item);

/* A delta of a buzz (or of silence while `quiet`). As session_voice_down_push.
 */
int voice_world_push_samples(const struct session_voice_part *part,
                             size_t samples);
int voice_world_push(const char *response, const char *item, unsigned ms);
void voice_world_done(const char *response);

struct session_voice_down_counts voice_world_counts(void);

/* With decoder_on: how much of what is heard is what was fed so many samples
 * before, 0…1. */
double voice_world_match(size_t delay);

/* From this packet on: in order, nothing missing, so long each, START on the
 * first alone; by nobody's report never more than so much ahead. */
void voice_world_packets_check(size_t from, unsigned ms);
void voice_world_pace_check(size_t from, unsigned target);

#endif
