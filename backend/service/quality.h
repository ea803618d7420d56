/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How well a client is connected (R6.3), and what follows from it for the
 * codec and the buffer. Judges the mean of the last five samples of each
 * measure that are not too old; goes down at once, and up one level at a time
 * when all has been clearly better for a while. Pure: the time is an argument,
 * nothing is allocated or counted outside; embedded in its user, on its thread.
 * What comes from clients is taken as it is: no number can harm.
 *
 *                  medium above   low above
 *   RTT                  200 ms      500 ms
 *   jitter                50 ms      150 ms    the worse direction counts
 *   loss                    5 %        15 %    the worse direction counts
 *   underruns                 2           8    in five reports
 */

#ifndef VOICE_QUALITY_H
#define VOICE_QUALITY_H

#include "codec/playout.h"

#include <stdbool.h>
#include <stdint.h>

#define QUALITY_SAMPLES 30 /* kept of each measure */
#define QUALITY_RECENT  5  /* of which the level is made */

enum quality_level { QUALITY_HIGH, QUALITY_MEDIUM, QUALITY_LOW };
#define QUALITY_LEVELS 3

enum quality_path { QUALITY_UP, QUALITY_DOWN };

enum quality_measure {
    QUALITY_RTT,    /* us */
    QUALITY_JITTER, /* us, up; then down */
    QUALITY_JITTER_DOWN,
    QUALITY_LOSS, /* of 10,000, up; then down */
    QUALITY_LOSS_DOWN,
    QUALITY_UNDERRUNS, /* thousandths */
    QUALITY_MEASURES
};

/* What the policy grants; at level high all of it is used. */
struct quality_config {
    unsigned bitrate_bps;
    unsigned complexity;
    bool fec;
    enum playout_profile profile;
};

struct quality_plan {
    enum quality_level level;
    unsigned bitrate_bps;  /* the policy's at most */
    unsigned loss_percent; /* expected, in steps of 5 */
    unsigned complexity;   /* before the CPU's load is looked at */
    bool fec;
    enum playout_profile profile;
};

struct quality_samples {
    struct {
        uint32_t value;
        uint32_t at_ms; /* the low half of it */
    } ring[QUALITY_SAMPLES];
    uint8_t count;
    uint8_t next;
};

/* Packets that don't make a sample yet. */
struct quality_packets {
    uint32_t lost;
    uint32_t total;
};

struct quality {
    struct quality_config config;
    struct quality_plan plan;
    struct quality_samples samples[QUALITY_MEASURES];
    struct quality_packets packets[2];
    uint64_t better_ms; /* since when all is better */
    uint64_t raised_ms; /* when the level last went up */
    uint32_t hold_ms;   /* how long all must be better */
    bool is_better;
    bool was_raised;
};

/* Level high, the policy's plan. The config is copied. */
void quality_init(struct quality *q, const struct quality_config *config);

/* Samples. One that is no number or negative is none; huge ones are capped.
 * now_ms never goes back. */
void quality_rtt(struct quality *q, double ms, uint64_t now_ms);
void quality_jitter(struct quality *q, enum quality_path path, double ms,
                    uint64_t now_ms);

/* Packets since the last call: lost ones, and all that should have come.
 * Gathered until there are enough for a sample. */
void quality_loss(struct quality *q, enum quality_path path, uint32_t lost,
                  uint32_t total, uint64_t now_ms);

/* The same as a ratio of 0…1, a sample of its own. */
void quality_loss_ratio(struct quality *q, enum quality_path path, double ratio,
                        uint64_t now_ms);

/* Underruns since the last report, 0 too. */
void quality_underruns(struct quality *q, double count, uint64_t now_ms);

/* Judges anew, about once a second or after samples. true: the plan (which
 * includes the level) is another. */
bool quality_update(struct quality *q, uint64_t now_ms);

/* Borrowed, for as long as q lives; level high before the first update. */
const struct quality_plan *quality_plan(const struct quality *q);

/* The mean RTT of the last samples in ms, 0: not known. */
unsigned quality_rtt_ms(const struct quality *q, uint64_t now_ms);

/* "high", "medium", "low". */
const char *quality_level_name(enum quality_level level);

#endif
