/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One conversation: a client leg (stream_link) and an upstream leg
 * (model_link) under one state. Lives on one loop for life. Owns both legs.
 * One end function with a reason; one summary line at the end.
 *
 *   client ─► stream_link ─► session_up ─► model_link ─► model
 *   client ◄─ stream_link ◄─ session_down ◄─ model_link ◄─ model
 */

#ifndef VOICE_SESSION_H
#define VOICE_SESSION_H

#include "base/loop.h"
#include "codec/dialect.h"
#include "codec/policy.h"
#include "gate/stream_link.h"
#include "model/model_link.h"
#include "session/session_client.h"
#include "session/session_state.h"

#include <stdint.h>

#define SESSION_START_MS       15000   /* from the 101 to session.created */
#define SESSION_SLOW_CLIENT_MS 10000   /* a full queue down may last */
#define SESSION_DOWN_HIGH      262144  /* bytes queued down: the model waits */
#define SESSION_DOWN_MAX       4194304 /* bytes queued down: the end */

/* X(enum, text in logs, close code for the client) */
#define SESSION_END_REASONS(X)                                                 \
    X(END_CLIENT_CLOSED, "client_closed", 1000)                                \
    X(END_CLIENT_LOST, "client_lost", 1006)                                    \
    X(END_UPSTREAM_CLOSED, "upstream_closed", 1000)                            \
    X(END_UPSTREAM_LOST, "upstream_lost", 1011)                                \
    X(END_POLICY_REFUSED, "policy_refused", 1011)                              \
    X(END_PROTOCOL_ERROR, "protocol_error", 1002)                              \
    X(END_MESSAGE_TOO_BIG, "message_too_big", 1009)                            \
    X(END_SLOW_CLIENT, "slow_client", 1013)                                    \
    X(END_OVERLOADED, "overloaded", 1013)                                      \
    X(END_SESSION_LIMIT, "session_limit", 1001)                                \
    X(END_IDLE, "idle", 1001)                                                  \
    X(END_SHUTDOWN, "shutdown", 1001)                                          \
    X(END_DRAINED, "drained", 1001)                                            \
    X(END_INTERNAL, "internal_error", 1011)

enum session_end_reason {
#define X(id, text, code) id,
    SESSION_END_REASONS(X)
#undef X
        END_REASON_COUNT
};

struct session;
struct session_registry;
struct session_resume;
struct event_bus;
struct tenant_limits;
struct tool_registry;
struct tool_runner;
struct usage;

/* Opens the upstream leg; the server wires offline or remote in. */
typedef int session_open_model_h(struct model_link **lp,
                                 const struct model_link_config *cfg,
                                 const struct model_link_handlers *handlers,
                                 void *link_arg, void *arg);

struct session_config {
    struct loop *loop;           /* with a slot of the registry reserved */
    int fd;                      /* taken */
    uint64_t accepted_us;        /* its request arrived */
    const char *id;              /* "sess_…", copied */
    const char *tenant;          /* copied, "" = default */
    const char *model;           /* copied */
    const struct policy *policy; /* shared: the session refs it */
    struct session_registry *registry;
    struct event_bus *events;     /* may be NULL */
    struct usage *usage;          /* may be NULL */
    struct tenant_limits *limits; /* given a slot of; NULL: none was taken */
    struct tool_registry *tool_registry; /* these two NULL: no tools */
    struct tool_runner *tool_runner;
    session_open_model_h *open_model;
    void *open_model_arg;
    uint64_t start_ms;        /* to session.created; 0: SESSION_START_MS */
    bool model_can_be_lost;   /* remote: another link takes its place */
    uint64_t upstream_cap_ms; /* the provider ends sessions then; 0 never */
    uint64_t warm_ticket;     /* of the loop above; 0: none */
    const char *intent;    /* "transcription", copied; NULL: a conversation */
    const char *safety_id; /* of the end user, copied; NULL: not known */
    /* In order; none: all there are. The policy's; for the call alone when the
     * model can't be lost. */
    const char *const *upstreams;
    size_t upstream_count;
    const char *call_id; /* beside this call, copied; NULL: on its own */
    size_t max_message_bytes;
    enum dialect_kind client_dialect; /* what the client speaks */
    bool client_opus;                 /* its audio is voice.opus.v1 */
    /* A client that asked for it may come back with this token (copied) for
     * so long after it was lost. NULL: it may not. */
    const char *resume_token;
    struct session_resume *resumes;
    unsigned resume_grace_ms;
    uint64_t max_session_ms; /* 0 no limit */
    uint64_t max_idle_ms;    /* without a turn; 0 no limit */
    /* The session of a minted secret as JSON text; copied; NULL none. */
    const char *bound_session;
    const char *vad; /* a preset's name that the client chose; a literal */
};

/*
 * On cfg->loop, after the hand-off. The session frees itself at its end and
 * gives its slot back. 0; or UV_E*: fd is closed and the slot still the
 * caller's. A model that can't be opened is no error here: the client is told
 * by a close frame.
 */
int session_start(const struct session_config *cfg);

/* On its loop. Idempotent; the first reason wins. Frees nothing before it
 * returns. */
void session_end(struct session *s, enum session_end_reason reason,
                 const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A client that comes back, both on the session's loop
 * (session_resume_find): as of session_client. The session lives until attach,
 * and may be gone after it. */
int session_expect(struct session *s, const char *after,
                   struct session_return *coming);
void session_attach(const struct session_return *coming, int fd);

const char *session_id(const struct session *s);

#endif
