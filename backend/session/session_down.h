/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The way from the model to the client of one session. Embedded in it; on its
 * loop. Borrows the legs from the session. At the model's session.created the
 * model is told the policy and the bound session, and the client is given its
 * own session.created at once, which shows them already; the model's answer is
 * swallowed. Every event passes the stages in their order and goes to the
 * stream. A full stream pauses the model.
 */

#ifndef VOICE_SESSION_DOWN_H
#define VOICE_SESSION_DOWN_H

#include "codec/realtime_event.h"
#include "session/session.h"
#include "session/session_calm.h"
#include "session/session_client.h"
#include "session/session_filters.h"
#include "session/session_levels.h"
#include "session/session_registry.h"
#include "session/session_tools.h"
#include "session/session_turns.h"
#include "session/session_usage.h"

/* An event of the model beyond this is replaced by an error: clients read
 * messages below 1 MiB. */
#define SESSION_DOWN_EVENT_MAX 1048576

enum session_down_phase {
    DOWN_CREATED,  /* awaits session.created */
    DOWN_SETTLING, /* open; our session.update is not answered yet */
    DOWN_OPEN,
    DOWN_CLOSED
};

struct session_down_handlers {
    /* The client has got its session.created: the model may be sent to. */
    void (*on_open)(void *arg);
    /* The client's queue became full, or has room again. */
    void (*on_full)(void *arg, bool full);
    /* The session must end. May run inside any call here. */
    void (*on_fail)(void *arg, enum session_end_reason reason,
                    const char *text);
    /* The last call, after session_down_close; maybe inside it. */
    void (*on_gone)(void *arg);
};

struct session_down {
    const struct policy *policy;
    const char *vad;             /* a preset's name, a literal; NULL none */
    struct session_tools *tools; /* the server's; owned; NULL: none */
    json_t *settings;    /* with tools, while they settle; owned; else NULL */
    char *bound_session; /* owned until session.created; NULL none */
    struct session_client *client;
    struct model_link *link;
    struct session_entry *entry;
    const struct session_down_handlers *handlers;
    void *arg;
    struct session_turns turns;
    struct session_calm calm;
    struct session_usage usage;
    struct session_filters filters;
    struct session_levels levels;
    enum session_down_phase phase;
    bool full;
};

/* The caller has zeroed *down and set policy to arg; link may follow before
 * the first event. */
void session_down_init(struct session_down *down);

/* What it is to have besides the policy: the session bound to the client's
 * minted secret (copied), a preset, the server's tools. Before the first event.
 * 0 or UV_ENOMEM. */
int session_down_equip(struct session_down *down,
                       const struct session_config *cfg);

/* Nothing goes to either leg any more. Once; on_gone follows. */
void session_down_close(struct session_down *down);

/* An event of the model. */
void session_down_event(struct session_down *down, const char *json,
                        size_t bytes);

/* An error event of ours to the client; one before session.created waits for
 * nothing and is dropped. */
void session_down_error(struct session_down *down,
                        const struct realtime_error *error);

/* An event of ours to the client, as the answer of one of its own. */
void session_down_answer(struct session_down *down, const char *json);

/* A client's event for the model, as session_tools_up. */
enum session_tool_verdict session_down_tools(struct session_down *down,
                                             const struct realtime_peek *peek,
                                             struct realtime_span text,
                                             char **made);

/* The model takes events again. */
void session_down_resume(struct session_down *down);

/* The stream has room again. */
void session_down_writable(struct session_down *down);

/* Time from the arrival of a client's message to its hand-over. */
void session_down_note_up(struct session_down *down, uint64_t took_us);

/* A client's event that goes to the model. */
void session_down_note_event(struct session_down *down,
                             const struct realtime_peek *peek);

/* When a turn last went on, in an answer that is being played too. */
uint64_t session_down_stirred_ms(const struct session_down *down);

/* No turn is under way and nothing waits for the client, nor is an answer being
 * played out of the gateway. */
bool session_down_is_calm(const struct session_down *down);

#endif
