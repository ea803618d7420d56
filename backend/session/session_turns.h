/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How long the turns of a session take, from the events that pass and the
 * moments at which they pass; one turn:
 *
 *   speech ends      turn ends              response.created   first audio
 *   (the user)       (the model says so,    │                  │      sent
 * heard │◄── silence ──►│◄vad►│ or a commit)    │                  │      │ │
 *   ├───────────────┴─────┼─────────────────┼──────────────────┼──────┼─────┤
 *                         │◄────────── first output ──────────►│
 *   │◄──────────────────── voice to voice ───────────────────────────►│◄───►│
 *
 * A turn is told when its answer is over, so that one that was cut short is
 * labelled so; one that the user cut off before a sound is no answer at all.
 * Time of a tool the client ran is part of voice to voice, not of the model's
 * first output. Embedded in session_down, on its loop; owns its book, which is
 * made when something is said or asked for (without memory for it nothing is
 * measured). `now_us` is an argument.
 */

#ifndef VOICE_SESSION_TURNS_H
#define VOICE_SESSION_TURNS_H

#include "session/session_event.h"

#include <stdbool.h>
#include <stdint.h>

/* An answer that begins later has nothing to do with what was said. */
#define SESSION_TURNS_LATE_US 60000000u

struct session_turns_book;

/* Zeroed is ready. */
struct session_turns {
    struct session_turns_book *book; /* NULL: nothing was said yet */
    uint16_t silence_ms;             /* of the turn detection; 0: not told */
    uint16_t bytes_per_ms;           /* of the user's audio; 0: not told */
    uint32_t rtt_us, buffer_us;      /* of the client's way; 0: not known */
};

/* Of the session, for its last line; a mean is 0 when there was none. */
struct session_turns_figures {
    uint32_t turns;      /* responses that are over */
    uint32_t voice_us;   /* mean, end of speech (or of turn) to first audio */
    uint32_t first_us;   /* mean, end of turn to the model's first output */
    uint32_t gateway_us; /* mean: message read to handed to the model, and
                          * event of the model to written */
    uint32_t rtt_us;     /* as last told */
};

/* A client's event that goes to the model, and how long it took to get
 * there. */
void session_turns_up(struct session_turns *turns,
                      const struct realtime_peek *peek, uint64_t now_us);
void session_turns_took(struct session_turns *turns, uint64_t took_us);

/* An event of the model. True: whoever sends it on says when it was written;
 * one that is not sent on is not said to be. */
bool session_turns_down(struct session_turns *turns, struct session_event *e,
                        uint64_t (*now_us)(void));
void session_turns_sent(struct session_turns *turns, uint64_t now_us);

/* The client began to play the answer then, by its own word; not before it was
 * sent. */
void session_turns_heard(struct session_turns *turns, uint64_t at_us);

/* The client's way: round trip of the network (0: not known), and what it
 * buffers. */
void session_turns_path(struct session_turns *turns, uint32_t rtt_us,
                        uint32_t buffer_us);

struct session_turns_figures
session_turns_figures(const struct session_turns *turns);

/* With the session's end: an answer under way was cut short. */
void session_turns_deinit(struct session_turns *turns);

#endif
