/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The process's distributions of what session_turns measures. Any thread; owns
 * nothing but the histograms, which are made at the first observation.
 */

#ifndef VOICE_SESSION_TURNS_TOLD_H
#define VOICE_SESSION_TURNS_TOLD_H

#include <stdbool.h>
#include <stdint.h>

enum turns_output {
    TURNS_OUTPUT_NONE,
    TURNS_OUTPUT_AUDIO,
    TURNS_OUTPUT_TEXT,
    TURNS_OUTPUT_CALL,
    TURNS_OUTPUT_COUNT
};

enum turns_from { TURNS_FROM_TURN_END, TURNS_FROM_CREATED, TURNS_FROM_COUNT };

/* Which voice to voice latency. */
struct session_turns_voice {
    bool from_speech_end; /* else: from the turn's end */
    bool heard;           /* by the client's word; else: sent to it */
    bool interrupted;     /* the answer was cut short */
};

void session_turns_told_voice(struct session_turns_voice voice, uint64_t us);

/* The first output of a response; which: not NONE. */
void session_turns_told_first(enum turns_from from, enum turns_output which,
                              uint64_t us);

void session_turns_told_vad(uint64_t us);
void session_turns_told_gateway(bool up, uint64_t us);
void session_turns_told_round_trip(uint64_t us);

#endif
