/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much silence a model must be given for audio that does not come: with
 * DTX or a muted microphone a client sends nothing, and a model that gets
 * nothing never hears that a turn has ended. And how much may be filled in
 * before the next packet, so that no time is heard twice and none is invented.
 * Pure: the time is an argument. Embedded in session_voice_up; owns nothing.
 *
 *   packets ──► REST, or none for a while ──► fed in real time
 *                 └─ until the turn is over and SESSION_SILENCE_LEAST_MS, at
 *                    most SESSION_SILENCE_MOST_MS
 *   next packet: what it says is missing, less what was fed
 */

#ifndef VOICE_SESSION_VOICE_SILENCE_H
#define VOICE_SESSION_VOICE_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#define SESSION_SILENCE_LEAST_MS 2000u
#define SESSION_SILENCE_MOST_MS  30000u
#define SESSION_SILENCE_STEP_MS  40u  /* between two feeds */
#define SESSION_SILENCE_WAIT_MS  80u  /* without REST: a stall, or an end? */
#define SESSION_SILENCE_RUN_MS   100u /* so much audio makes a turn to end */

struct session_voice_silence {
    uint64_t since_us;    /* the silence began: the last packet came */
    uint64_t credit_us;   /* of time that may be filled in or fed */
    uint64_t credited_us; /* when it was counted last */
    uint64_t fed_us;      /* in this silence */
    uint64_t ahead_us;    /* heard by the model beyond the client's time */
    uint64_t turn_us;     /* fed since there was audio last */
    uint64_t run_us;      /* of audio without a gap */
    bool started;         /* there was a packet */
    bool rests;           /* the client said that silence begins */
    bool owed;            /* a turn may be open */
    bool speaking;        /* the model says that it is */
    bool manual;
    bool paused;
};

/* Zeroed memory is a fresh one: nothing has come, no silence is owed. */

/* A packet has come that says so much rest and loss before it; false: they
 * are not to be trusted (its first, or after a pause): nothing is filled in. */
struct session_voice_gap {
    uint64_t rest_us;
    uint64_t lost_us;
    bool follows;
};

/* A packet of so much audio. Lowers *gap to what is to be filled in. */
void session_voice_silence_packet(struct session_voice_silence *s,
                                  struct session_voice_gap *gap,
                                  uint64_t audio_us, bool rests,
                                  uint64_t now_us);

/* Silence to feed now; 0: none. It counts as fed. */
uint64_t session_voice_silence_take(struct session_voice_silence *s,
                                    uint64_t now_us);

/* Ms until there may be something to feed (jitter: see above); 0: not before
 * something else happens. */
uint64_t session_voice_silence_wait_ms(const struct session_voice_silence *s,
                                       unsigned jitter_ms, uint64_t now_us);

void session_voice_silence_pause(struct session_voice_silence *s, bool paused,
                                 uint64_t now_us);

#endif
