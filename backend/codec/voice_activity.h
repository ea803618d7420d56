/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hears where speech starts and stops in 24 kHz mono PCM, by its energy over
 * a floor that follows the noise. Pure: no clock (time is counted in samples),
 * no allocation, no I/O. The struct (under 300 bytes) is embedded by its user
 * and used on one thread at a time. It owns nothing and keeps no audio.
 * It knows no words: babble is speech to it.
 *
 *   pcm ─► 10 ms frames ─► 200 Hz..3.8 kHz ─► dB over floor ─► p ─► news
 */

#ifndef VOICE_VOICE_ACTIVITY_H
#define VOICE_VOICE_ACTIVITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOICE_ACTIVITY_FRAME_SAMPLES 240 /* 10 ms, counted from init */

enum voice_activity_kind {
    VOICE_ACTIVITY_NONE,
    VOICE_ACTIVITY_STARTED, /* speech has begun */
    VOICE_ACTIVITY_PAUSED,  /* a pause of pause_ms inside speech: the moment to
                               decode on speculation */
    VOICE_ACTIVITY_RESUMED, /* speech went on after PAUSED: forget that */
    VOICE_ACTIVITY_STOPPED  /* silence_ms of silence: the turn is over */
};

struct voice_activity_config {
    double threshold;       /* 0…1; 0.3/0.5/0.7 is 5.5/8/10.5 dB over the
                               noise floor */
    unsigned silence_ms;    /* silence that ends speech */
    unsigned min_speech_ms; /* voiced time a start needs; at least 60 */
    unsigned pause_ms;      /* 0: no PAUSED and RESUMED; sensible: 200 */
};

struct voice_activity_news {
    enum voice_activity_kind kind;
    /* Samples since init. STARTED, RESUMED: where the speech began. PAUSED,
     * STOPPED: where it ended, before the silence. */
    uint64_t at_samples;
    /* Where the decision fell: the end of the frame that made it. */
    uint64_t decided_samples;
};

struct voice_activity {
    float filter[4];    /* two biquads, two delays each */
    float floor_db[8];  /* minima of the last 8 quarter seconds */
    float quarter_db;   /* minimum of the running quarter */
    float smooth_power; /* of the frames before */
    double frame_power; /* summed over the frame being filled */
    double threshold;
    uint64_t at_samples;   /* taken so far */
    uint64_t candidate_at; /* where the speech that may start began */
    uint64_t voiced_end;   /* end of the last frame that held speech */
    uint32_t starters;     /* one bit a frame, newest lowest: p >= threshold */
    uint32_t keepers;      /* the same for what keeps speech alive */
    uint32_t need_frames;  /* voiced frames of a start */
    uint32_t have_frames;  /* voiced frames of the candidate, 0: none */
    uint32_t silence_frames;
    uint32_t pause_frames;
    uint32_t quiet_frames; /* since voiced_end */
    uint16_t fill;         /* samples in the frame being filled */
    uint8_t quarter_fill;  /* frames in the running quarter */
    uint8_t quarter_index;
    uint8_t quarters; /* filled so far, up to 8 */
    uint8_t state;
};

/* Values out of range are brought into it (a threshold that is not a number
 * counts as 0.5). */
void voice_activity_init(struct voice_activity *va,
                         const struct voice_activity_config *cfg);

/* New values for what comes; position, floor and state stay. */
void voice_activity_configure(struct voice_activity *va,
                              const struct voice_activity_config *cfg);

/* The buffer was cleared or committed: no speech is running any more. Position
 * and noise floor stay. */
void voice_activity_reset(struct voice_activity *va);

/*
 * Takes samples up to the first piece of news, writes it (kind NONE: all was
 * taken and nothing happened) and gives the count taken. Call until all are
 * taken:
 *     while (n > 0) { used = push(va, pcm, n, &news); pcm += used; n -= used; }
 */
size_t voice_activity_push(struct voice_activity *va, const int16_t *pcm,
                           size_t samples, struct voice_activity_news *news);

/* Between STARTED and STOPPED. */
bool voice_activity_is_speaking(const struct voice_activity *va);

/* Whether the last whole frame was over the threshold; of it alone. */
bool voice_activity_is_voiced(const struct voice_activity *va);

/* How loud the noise floor is, in dBFS of the speech band. */
double voice_activity_floor_dbfs(const struct voice_activity *va);

#endif
