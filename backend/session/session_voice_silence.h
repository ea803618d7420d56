/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much silence a model must be given for audio that does not come: with
 * DTX or a muted microphone a client sends nothing, and a model that gets
 * nothing never hears that a turn has ended. And how much may be filled in
 * before the next packet, so that no time is heard twice and none is made out
 * of nothing. Pure: the time is an argument. Embedded in session_voice_up;
 * owns nothing. Samples are of 24 kHz.
 *
 *   packets ──► REST, or none for a while ──► fed in real time
 *                 └─ until the turn is over and SESSION_SILENCE_LEAST_MS, at
 *                    most SESSION_SILENCE_MOST_MS
 *   next packet: what is missing before it, less what was fed
 */

#ifndef VOICE_SESSION_VOICE_SILENCE_H
#define VOICE_SESSION_VOICE_SILENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_SILENCE_LEAST_MS  2000u
#define SESSION_SILENCE_MOST_MS   30000u
#define SESSION_SILENCE_ENOUGH_MS 1000u /* for any turn to end */
#define SESSION_SILENCE_STEP_MS   40u   /* between two feeds */
/* Without REST: so late is a packet that does not come, or more by its jitter,
 * up to the other. What was waited for is fed at once then, so that no end of a
 * turn is later for it, and a short stall puts no hole into a word. */
#define SESSION_SILENCE_WAIT_MS 200u
#define SESSION_SILENCE_LATE_MS 400u /* its jitter, up to this */
#define SESSION_SILENCE_RUN_MS  100u /* so much audio makes a turn to end */

/* Filled in and fed is no more than the time that has passed and this… */
#define SESSION_SILENCE_SLACK_MS 250u
/* … and at once no more than the longest gap and the slack. */
#define SESSION_SILENCE_FILL_MS 2250u

struct session_voice_silence {
    uint64_t heard_us;    /* until then the model has something, or a packet
                             may be on its way */
    uint64_t credited_us; /* until then time counts in credit */
    uint32_t delay_us;    /* after heard_us: then silence is due */
    uint64_t credit;      /* thousandths of samples that may be made up */
    size_t fed;           /* samples in this silence */
    size_t ahead;         /* heard beyond the client's time, before it */
    size_t turn;          /* samples fed since there was audio */
    size_t run;           /* samples of audio without a rest */
    bool started;         /* there was a packet */
    bool rests;           /* the client said that silence begins */
    bool owed;            /* there was audio that the model may wait behind */
    bool speaking;        /* says the model */
    bool manual;          /* turns are ended by hand */
    bool paused;
};

/* Samples missing before a packet. */
struct session_voice_gap {
    size_t rest; /* not sent as silence */
    size_t lost;
    size_t cut; /* out: claimed, beyond what may be filled in */
};

/* A packet that comes, as far as it matters here. */
struct session_voice_arrival {
    size_t samples;
    uint32_t jitter_us; /* of late */
    bool follows;       /* else its gap says nothing: there is none */
    bool rests;         /* silence begins after it */
};

/* Zeroed memory is a fresh one: nothing has come, nothing is owed. */

/* Another stream begins: its first packet follows nothing. */
void session_voice_silence_restart(struct session_voice_silence *s);

/* Lowers *gap to what is to be filled in; it counts as filled in. */
void session_voice_silence_packet(struct session_voice_silence *s,
                                  const struct session_voice_arrival *arrival,
                                  struct session_voice_gap *gap,
                                  uint64_t now_us);

/* Samples to feed now, 0: none are due. They count as fed. */
size_t session_voice_silence_take(struct session_voice_silence *s,
                                  uint64_t now_us);

/* When the next are due; 0: not before something else happens. */
uint64_t session_voice_silence_due_us(const struct session_voice_silence *s);

/* session_voice_up.h says what these mean. */
void session_voice_silence_speech(struct session_voice_silence *s,
                                  bool speaking, uint64_t now_us);
void session_voice_silence_pause(struct session_voice_silence *s, bool paused,
                                 uint64_t now_us);
void session_voice_silence_set_manual(struct session_voice_silence *s,
                                      bool manual);

#endif
