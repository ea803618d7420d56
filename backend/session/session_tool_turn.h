/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whose turn it is in a conversation, for somebody who wants the model to
 * speak without being asked by the client: whether a response is being made or
 * on its way, the user is speaking, or a turn was taken that awaits its answer.
 * And how many responses in a row were asked for without the user. Pure;
 * embedded in session_tools; `now_ms` is an argument.
 */

#ifndef VOICE_SESSION_TOOL_TURN_H
#define VOICE_SESSION_TOOL_TURN_H

#include "session/session_event.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_TOOL_TURN_IDS      8
#define SESSION_TOOL_TURN_ID_BYTES 64

/* Of a response nothing was heard for so long: it holds up nobody. */
#define SESSION_TOOL_TURN_STALE_MS 30000
/* A turn that was taken is answered within that, or it is not answered. */
#define SESSION_TOOL_TURN_ANSWER_MS 2000
/* Longer nobody speaks: the end was missed. */
#define SESSION_TOOL_TURN_SPEECH_MS 60000
/* A response that was asked for begins within that. */
#define SESSION_TOOL_TURN_ASKED_MS 10000

struct session_tool_turn {
    struct {
        char id[SESSION_TOOL_TURN_ID_BYTES]; /* "": free */
        bool beside;                         /* out of the conversation */
    } responses[SESSION_TOOL_TURN_IDS];
    unsigned beside_asked;
    unsigned chain;     /* responses of ours since the user's last turn */
    uint64_t heard_ms;  /* of a response */
    uint64_t asked_ms;  /* ours is on its way; 0: none */
    uint64_t taken_ms;  /* a turn was taken, and awaits its answer; 0: none */
    uint64_t speech_ms; /* the user speaks since then; 0: not */
};

/* An event of the model; before the calls look at it, but for response.done,
 * which is after them. */
void session_tool_turn_down(struct session_tool_turn *turn,
                            struct session_event *e, uint64_t now_ms);
/* A client's event that goes to the model. */
void session_tool_turn_up(struct session_tool_turn *turn,
                          const struct realtime_peek *peek, uint64_t now_ms);

/* A response.create of ours went out; `chained`: because of a call. */
void session_tool_turn_asked(struct session_tool_turn *turn, bool chained,
                             uint64_t now_ms);
/* It was refused. */
void session_tool_turn_refused(struct session_tool_turn *turn);

/* Whether a response of this id is out of the conversation. */
bool session_tool_turn_is_beside(const struct session_tool_turn *turn,
                                 const char *id);
bool session_tool_turn_is_running(const struct session_tool_turn *turn);

/* Whether the model may be asked to speak. *wait_ms: when it is not, and no
 * event may come of it, look again after that; else 0. */
bool session_tool_turn_is_free(const struct session_tool_turn *turn,
                               uint64_t now_ms, uint64_t *wait_ms);

#endif
