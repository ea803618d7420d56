/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The audio of a client that speaks voice.opus.v1: Opus packets beside the
 * events, in an output buffer that is the gateway's (docs/audio.md). Part of
 * session_client, on its loop; a plain client has none. Owns both directions,
 * the buffer's and the connection's state (R2.2, R6.3), and what becomes of an
 * answer that is interrupted. Behind it everything is GA with base64 PCM.
 *
 *   packet ──► session_voice_up ──► append ─────────────► on_event   (up)
 *   event  ──► looked at ───────────────────────────────► on_event
 *   packet ◄── session_voice_down ◄── audio delta ◄── session_client (down)
 *   event  ◄── looked at, changed, added to ◄──────── session_client
 */

#ifndef VOICE_SESSION_VOICE_H
#define VOICE_SESSION_VOICE_H

#include "base/loop.h"
#include "codec/policy.h"
#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_figures;
struct session_turns;
struct session_voice;

struct session_voice_config {
    struct loop *loop;
    const char *id;              /* of the session; borrowed for life */
    const struct policy *policy; /* borrowed for life */
    unsigned resume_grace_ms;
    struct session_turns *turns; /* told when an answer is heard; borrowed */
    struct session_figures *figures; /* NULL: nobody looks; borrowed for life */
};

/* None may destroy it. */
struct session_voice_handlers {
    /* An event of the client's, or one in its name: on to the session. */
    void (*on_event)(void *arg, const char *json, size_t bytes);
    /* An event for the client, for it alone that is there now (`passing`) or
     * also for one that comes back. */
    void (*send_event)(void *arg, const char *json, size_t bytes, bool passing);
    /* A packet for the client. 0; UV_EAGAIN: the connection takes no more at
     * the moment, session_voice_writable follows; UV_ENOTCONN. */
    int (*send_packet)(void *arg, const void *message, size_t bytes);
};

/* 0 or UV_ENOMEM. */
int session_voice_create(struct session_voice **vp,
                         const struct session_voice_config *cfg,
                         const struct session_voice_handlers *handlers,
                         void *arg);

/* No handler is called any more. Idempotent. */
void session_voice_close(struct session_voice *v);
void session_voice_destroy(struct session_voice **vp);

/* There is a connection, the first or another; the client is told with which
 * token (NULL: none) it may come back. Then it is told what it has missed, and
 * then its audio begins. */
void session_voice_attached(struct session_voice *v, const char *token);
void session_voice_begin(struct session_voice *v);
/* There is none: time stands still for what is played. */
void session_voice_detached(struct session_voice *v);

/* The connection takes more again. */
void session_voice_writable(struct session_voice *v);
/* The model takes no more, or does again. */
void session_voice_pause(struct session_voice *v, bool paused);
/* NGINX has measured the client's round trip. */
void session_voice_rtt(struct session_voice *v, uint32_t rtt_us);

/* A binary message of the client. */
void session_voice_packet(struct session_voice *v, const void *message,
                          size_t bytes);

/* A text of the client, and one for it, as GA. True: it is dealt with and goes
 * no further. `peek` is of the text, NULL: not looked at yet. */
bool session_voice_up_event(struct session_voice *v, const char *json,
                            size_t bytes);
bool session_voice_down_event(struct session_voice *v, const char *json,
                              size_t bytes, const struct realtime_peek *peek);

struct session_voice_figures {
    uint64_t up_packets, up_lost, up_refused;
    uint64_t down_packets, down_dropped;
    unsigned interruptions;
    const char *quality; /* the level at last, a literal */
};
void session_voice_get_figures(const struct session_voice *v,
                               struct session_voice_figures *out);

/* When the client last heard something, by all we know: now, while an answer is
 * played or waits for it. 0: nothing yet. */
uint64_t session_voice_heard_ms(const struct session_voice *v);

/* What the client was told to buffer. */
unsigned session_voice_buffer_ms(const struct session_voice *v);

#endif
