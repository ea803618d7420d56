/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The client's side of one session over however many connections: a client
 * that may come back is awaited for a while, and sent what it missed. Embedded
 * in the session; on its loop. Owns the connection (a stream_link) and, for a
 * client that may come back, its token's place in session_resume and the tail
 * of what it was sent. Without a connection a message goes to the tail alone.
 * Messages are GA here, and in the tail; the edge gives them the client's
 * dialect, which is the session's for life. A client that speaks Opus has a
 * session_voice between them and itself.
 *
 *   attached: send ─► (voice) ─► (tail) ─► edge ─► stream_link ─► client
 *   detached: send ─► (voice) ─► tail
 *   attach:   tail, from the client's last event on ─► a new stream_link
 */

#ifndef VOICE_SESSION_CLIENT_H
#define VOICE_SESSION_CLIENT_H

#include "codec/policy.h"
#include "codec/realtime_event.h"
#include "gate/stream_link.h"
#include "session/session_edge.h"
#include "session/session_resume.h"

struct session_client_stream;
struct session_client_back;
struct session_voice;

struct session_figures;
struct session_turns;

struct session_client_config {
    struct loop *loop;
    const char *id; /* of the session; borrowed for life */
    size_t max_message_bytes;
    size_t down_high_bytes;
    size_t down_max_bytes;
    enum dialect_kind dialect; /* what it speaks */
    /* Its audio is voice.opus.v1, as the policy has it; NULL: it is base64.
     * Borrowed for life. */
    const struct policy *opus;
    struct session_turns *turns;     /* told of its way; borrowed for life */
    struct session_figures *figures; /* NULL: nobody looks; borrowed for life */
    /* A client that may come back; NULL: it may not. The token is copied, the
     * tenant borrowed for life. */
    const char *token;
    const char *tenant;
    struct session_resume *resumes;
    void *session; /* what session_resume_find gives */
    unsigned grace_ms;
};

/* A client that is on its way back. */
struct session_return {
    void *session;
    uint64_t from;                   /* what it missed begins here */
    bool opus;                       /* its audio is voice.opus.v1 */
    char token[SESSION_TOKEN_BYTES]; /* for the next time */
};

/* As stream_link's, of the present connection. */
struct session_client_handlers {
    void (*on_message)(void *arg, enum stream_opcode opcode,
                       const uint8_t *data, size_t bytes);
    void (*on_drain)(void *arg, uint32_t ms);
    void (*on_writable)(void *arg);
    /* The connection was lost: may the client be awaited? Told only of one
     * that may come back. */
    bool (*on_lost)(void *arg, uint16_t code);
    /* It is back. */
    void (*on_attached)(void *arg);
    /* There is no client any more: it closed, or did not come back. */
    void (*on_closed)(void *arg, uint16_t code, const char *reason);
    /* Once for each connection that was opened (session_client_open,
     * on_attached), the last call of it. The session must live until then; it
     * may go inside the call. */
    void (*on_gone)(void *arg);
};

struct session_client {
    struct session_client_config cfg;
    const struct session_client_handlers *handlers;
    void *arg;
    struct session_edge edge;
    struct session_client_stream *stream; /* NULL: no connection */
    struct session_client_back *back;     /* NULL: it may not come back */
    struct session_voice *voice;          /* NULL: its audio is base64 */
    struct stream_link_stats past;        /* of earlier connections */
    bool paused;
};

/* Takes fd. 0; UV_E*: fd is closed and no handler is called. */
int session_client_open(struct session_client *c,
                        const struct session_client_config *cfg, int fd,
                        const struct session_client_handlers *handlers,
                        void *arg);

/* After the last call of every connection. */
void session_client_deinit(struct session_client *c);

/* Nobody may come back any more; close frame to the present connection.
 * Idempotent, the first code wins. */
void session_client_close(struct session_client *c, uint16_t code,
                          const char *reason);

/* Close frame to the present connection alone: a client that may come back is
 * awaited if on_lost says so. */
void session_client_drop(struct session_client *c, uint16_t code,
                         const char *reason);

/*
 * May the client come back that saw event `after` last ("": all that its last
 * connection was sent)? 0: *coming, and session_client_attach must follow.
 * UV_ENOENT: something it missed is gone, or it may not at all; UV_EBUSY: it is
 * on its way already. Until it is back the old token stays good.
 */
int session_client_expect(struct session_client *c, const char *after,
                          struct session_return *coming);

/* It is here, with this connection (taken; < 0: it is not), and is sent what
 * it missed. An older connection is closed. false: there is no connection of
 * its. */
bool session_client_attach(struct session_client *c,
                           const struct session_return *coming, int fd);

/* An event; `peek` is of it, where somebody has looked already, or NULL. As
 * stream_link_send; 0 too without a connection. */
int session_client_send(struct session_client *c, const char *json,
                        size_t bytes, const struct realtime_peek *peek);
void session_client_pause(struct session_client *c, bool paused);

bool session_client_may_return(const struct session_client *c);
bool session_client_speaks_opus(const struct session_client *c);
bool session_client_is_attached(const struct session_client *c);
bool session_client_is_full(const struct session_client *c);
size_t session_client_queued_bytes(const struct session_client *c);
/* Of all connections together. */
void session_client_get_stats(const struct session_client *c,
                              struct stream_link_stats *out);
/* quality NULL: it speaks no Opus. */
struct session_voice_figures;
void session_client_get_voice(const struct session_client *c,
                              struct session_voice_figures *out);
/* When it last heard an answer that waits here to be played; 0: never. */
uint64_t session_client_heard_ms(const struct session_client *c);

#endif
