/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How many milliseconds of audio a receiver should hold (R2.2): twice the 95th
 * percentile of the last 50 samples of jitter, within the bounds of a profile,
 * half as much again after more than two underruns, and moved no faster than
 * an ear bears. And the jitter of packets as they arrive. Pure: the time is an
 * argument, nothing is allocated; embedded in its user, on its thread. Plays
 * nothing and holds no audio.
 *
 *   packet ─► playout_arrival ─► jitter ─► last 50 ─► 2 x P95 ─► x boost
 *                 underruns ─► boost, decays            ─► bounds ─► slew
 */

#ifndef VOICE_PLAYOUT_H
#define VOICE_PLAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAYOUT_SAMPLES 50 /* of jitter that are looked at */

/* In the order of enum policy_buffer. */
enum playout_profile {
    PLAYOUT_AGGRESSIVE,
    PLAYOUT_BALANCED,
    PLAYOUT_CONSERVATIVE
};

struct playout_bounds {
    unsigned min_ms;
    unsigned target_ms; /* until jitter is known */
    unsigned max_ms;
};

struct playout {
    uint64_t moved_ms;       /* when the target was last moved */
    uint64_t boosted_ms;     /* when the boost was last raised */
    uint64_t underrun_ms[2]; /* the last ones that have led to no boost */
    uint64_t target_us;
    uint32_t jitter_us[PLAYOUT_SAMPLES];
    uint32_t wanted_us; /* 2 x P95, or 0: not known */
    unsigned count;     /* samples there are */
    unsigned next;      /* where the next one goes */
    unsigned underruns; /* of them */
    unsigned boost_percent;
    enum playout_profile profile;
};

/* Borrowed for ever; out of range counts as conservative. */
const struct playout_bounds *playout_bounds(enum playout_profile profile);

/* "aggressive", "balanced", "conservative". */
const char *playout_profile_name(enum playout_profile profile);

/* The target is the profile's. */
void playout_init(struct playout *p, enum playout_profile profile,
                  uint64_t now_ms);

/* What is known of the network stays; the target moves to the new bounds as
 * fast as it ever moves. */
void playout_set_profile(struct playout *p, enum playout_profile profile,
                         uint64_t now_ms);

/* Another network: nothing is known of it; the target starts from where it
 * is. */
void playout_forget(struct playout *p, uint64_t now_ms);

/* One sample: how much later something came than it could have. Capped at
 * PLAYOUT_JITTER_MAX_US. */
#define PLAYOUT_JITTER_MAX_US 2000000u
void playout_jitter(struct playout *p, uint32_t jitter_us, uint64_t now_ms);

/* Nothing was there to be played, so many times. */
void playout_underrun(struct playout *p, unsigned count, uint64_t now_ms);

/* The target now, in steps of 10 ms within the profile's bounds (or on its way
 * to them). */
unsigned playout_target_ms(struct playout *p, uint64_t now_ms);

/*
 * The jitter of packets that bear their time: how much later each came than
 * the quickest of the last five to ten seconds would have. Packets that come
 * together after a stall so count as late as each of them is, and a pause in
 * which no packet was due counts for nothing: neither does one that the stamps
 * conceal (browsers' encoders that skip silence count on from packet to
 * packet), which is known by the next packet, so that a late one is told with
 * that. For a sender that sends what it has, as a microphone does: of one that
 * paces by a target, each change of the target would look like jitter. Zeroed
 * memory is a fresh one.
 */
struct playout_arrival {
    int64_t time_48k;    /* unwrapped */
    int64_t least_us;    /* the quickest passage of this window */
    int64_t before_us;   /* and of the one before it */
    uint64_t window_us;  /* when this window began */
    uint64_t last_us;    /* when the last one came */
    int64_t held_us;     /* by how much more than its stamp says; 0: not late */
    int64_t late_us;     /* how late it was; told with the next one */
    uint32_t last_stamp; /* as it came */
    bool started;
};

/*
 * A packet came at now_us. `start`: its timestamp says nothing about the one
 * before (the first of all, VOICE_PACKET_START). Gives its jitter in us, or -1:
 * none, as it is such a start, or late and the next one tells why, or more than
 * PLAYOUT_JITTER_MAX_US late, which is a pause that nobody announced.
 */
int64_t playout_arrival_take(struct playout_arrival *arrival,
                             uint32_t timestamp_48k, bool start,
                             uint64_t now_us);

#endif
