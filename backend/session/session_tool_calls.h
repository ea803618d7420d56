/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The function calls of one session, from the model's announcement to the one
 * output that each of the server's gets, and what follows for the model. Pure:
 * told what happens, asked what is to be done next; knows no session and runs
 * nothing. Embedded in session_tools, which does it; owns calls and rounds.
 *
 *   call:  NAMED ─► READY ─► RUNNING ─► DONE ─► TOLD       (LATE: a long one
 *            └─────────┴────────┴─ cancelled ─┘   └─► LATE ─┘  has its end)
 *   round: OPEN ─response.done─► WAITING ─all told─► DUE ─create─► ASKED ─►
 * OVER
 *
 * A round is all calls of one response: their outputs go out in the order of
 * the calls, each as soon as those before it have gone. Then the model is asked
 * to go on, once; unless the response was cancelled, a later response has seen
 * the outputs already, or a call of the same round is the client's and has no
 * output yet: who is last asks.
 */

#ifndef VOICE_SESSION_TOOL_CALLS_H
#define VOICE_SESSION_TOOL_CALLS_H

#include "session/session_tool_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_TOOL_CALLS_OPEN  32 /* at once; beyond: answered, not run */
#define SESSION_TOOL_CALLS_CHAIN 16 /* responses in a row that may call */
#define SESSION_TOOL_CALLS_TRIES                                               \
    3 /* of a create that meets another response                               \
       */

struct session_tool_calls {
    struct session_tool_table table;
    bool late_due; /* a late result was told: the model is to speak of it */
};

/* The caller has zeroed *c. */
void session_tool_calls_init(struct session_tool_calls *c);
void session_tool_calls_deinit(struct session_tool_calls *c);

/* --- the model */

/* An item that is a call was announced, or is complete (news->arguments): runs
 * once, however often it is told. 0, UV_ENOMEM. */
int session_tool_calls_tell(struct session_tool_calls *c,
                            const struct session_tool_news *news);
/* The item is gone from the conversation: no output for it. */
void session_tool_calls_deleted(struct session_tool_calls *c,
                                const char *item_id);
/* A response of the conversation began. It has seen the outputs that the model
 * has confirmed. */
void session_tool_calls_began(struct session_tool_calls *c);
/* It ended; a call that is not complete by now never will be. */
void session_tool_calls_ended(struct session_tool_calls *c,
                              const char *response_id, bool cancelled);
/* The ends of all that are open were missed. */
void session_tool_calls_missed(struct session_tool_calls *c);
/* An item that is ours is in the conversation. */
void session_tool_calls_added(struct session_tool_calls *c,
                              const char *item_id);
/* Our response.create was refused; `active`: because of another response. */
void session_tool_calls_refused(struct session_tool_calls *c, bool active);

/* --- the client */

/* An output for the call. false: it is the server's call, refuse it. */
bool session_tool_calls_output(struct session_tool_calls *c,
                               const char *call_id);
/* The client wants the server to stop: what runs is cancelled, and nothing
 * follows. Of responses that still run their own end decides. */
void session_tool_calls_stop(struct session_tool_calls *c);

/* --- the jobs; of a call that does not run any more nothing happens */

/* Takes *text (malloc'ed): the output. */
void session_tool_calls_done(struct session_tool_calls *c, unsigned serial,
                             char **text);
/* A first word, its result comes later. Takes *text. */
void session_tool_calls_acknowledged(struct session_tool_calls *c,
                                     unsigned serial, char **text);
/* How far it is, in words; copied. */
void session_tool_calls_progress(struct session_tool_calls *c, unsigned serial,
                                 const char *message);
/* Somebody cancelled it: that is the output, unless it had its first word. */
void session_tool_calls_dropped(struct session_tool_calls *c, unsigned serial);

/* --- what is to be done */

enum session_tool_act {
    TOOL_ACT_NONE,
    TOOL_ACT_RUN,      /* call: _running or _done follows */
    TOOL_ACT_CANCEL,   /* call: its job; _cancelled follows */
    TOOL_ACT_OUTPUT,   /* call: its output to the model; _told follows */
    TOOL_ACT_LATE,     /* call: its late result to the model; _told follows */
    TOOL_ACT_CREATE,   /* the model is to go on; _asked follows */
    TOOL_ACT_PROGRESS, /* call: to be spoken of; _spoken follows */
};

/* `free`: the model may be asked to speak now. */
enum session_tool_act session_tool_calls_next(struct session_tool_calls *c,
                                              bool free, uint64_t now_ms,
                                              struct session_tool_call **call);

void session_tool_calls_running(struct session_tool_call *call,
                                uint64_t now_ms);
void session_tool_calls_cancelled(struct session_tool_calls *c,
                                  struct session_tool_call *call);
void session_tool_calls_told(struct session_tool_calls *c,
                             struct session_tool_call *call);
void session_tool_calls_asked(struct session_tool_calls *c, uint64_t now_ms);
void session_tool_calls_spoken(struct session_tool_call *call, uint64_t now_ms);

/* --- questions */

/* Something waits for the model's turn. */
bool session_tool_calls_wants_turn(const struct session_tool_calls *c);
/* A response.create of the client must wait for outputs of ours. */
bool session_tool_calls_blocks(const struct session_tool_calls *c);
/* Nothing runs, and nothing is to be told. */
bool session_tool_calls_is_quiet(const struct session_tool_calls *c);

#endif
