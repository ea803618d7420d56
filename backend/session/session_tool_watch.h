/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a session's events mean for its tools: reads both directions, tells
 * calls, turn and set, and says what a client is shown. Pure; embedded in
 * session_tools, owns the three.
 */

#ifndef VOICE_SESSION_TOOL_WATCH_H
#define VOICE_SESSION_TOOL_WATCH_H

#include "session/session_event.h"
#include "session/session_tool_calls.h"
#include "session/session_tool_set.h"
#include "session/session_tool_turn.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_TOOL_EVENT  "gw_tool"   /* our event_ids begin so */
#define SESSION_TOOL_ITEM   "gw_tooli_" /* those of items */
#define SESSION_TOOL_CREATE "gw_toolr_" /* those of response.creates */

struct session_tool_watch {
    struct session_tool_set set;
    struct session_tool_turn turn;
    struct session_tool_calls calls;
    const char *log_id; /* borrowed */
    bool restores;      /* a client tells the model its tools past us */
    json_t *restore; /* the tools that the model should be told; owned; NULL */
    /* An item that is not for the client; may be NULL. */
    void (*on_hidden)(void *arg, const char *item_id);
    void *arg;
};

/* The caller has zeroed *w, set log_id to arg, and opened the set. */
void session_tool_watch_init(struct session_tool_watch *w);
void session_tool_watch_deinit(struct session_tool_watch *w);

/* An event of the model, changed for the client; on_hidden runs inside. false:
 * it is not for the client. */
bool session_tool_watch_down(struct session_tool_watch *w,
                             struct session_event *e, uint64_t now_ms);

/* Events were missed: what was open has ended. */
void session_tool_watch_missed(struct session_tool_watch *w);

enum session_tool_verdict {
    SESSION_TOOL_SEND,    /* as it is */
    SESSION_TOOL_CHANGED, /* *made in its place, malloc'ed, the caller's */
    SESSION_TOOL_REFUSE,  /* the output of a call that is not the client's */
    SESSION_TOOL_FAILED   /* no memory */
};
/* A client's event; `peek` is of what came, `text` what would go to the
 * model. */
enum session_tool_verdict
session_tool_watch_up(struct session_tool_watch *w,
                      const struct realtime_peek *peek,
                      struct realtime_span text, char **made, uint64_t now_ms);

#endif
