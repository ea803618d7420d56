/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One WebSocket to one upstream, speaking its dialect: what comes up and goes
 * down here is GA. Owns the connection, what the dialect remembers, and one
 * of the upstream's places (upstream_enter). On one loop.
 *
 *   realtime_wire_send ─► dialect ─► ws_client ─► upstream
 *   on_text ◄─ dialect ◄─ ws_client ◄─ upstream
 */

#ifndef VOICE_REALTIME_WIRE_H
#define VOICE_REALTIME_WIRE_H

#include "base/loop.h"
#include "model/realtime_fault.h"
#include "model/upstream.h"

struct realtime_wire;

struct realtime_wire_config {
    struct loop *loop;
    struct upstream *upstream;
    struct upstream_target target; /* borrowed for the call */
    const char *safety_id;         /* NULL: not known */
    const char *log_id;            /* of the session; copied */
};

/* None runs inside a call of this module. */
struct realtime_wire_handlers {
    /* Texts may be sent from now on. */
    void (*on_open)(void *arg);
    /* A GA event, NUL-terminated, borrowed for the call; it may send, pause,
     * close and abandon. */
    void (*on_text)(void *arg, const char *json, size_t bytes);
    /* Nothing waits to be sent any more. */
    void (*on_writable)(void *arg);
    /* Last call; the wire is gone when it returns. Texts are borrowed. */
    void (*on_closed)(void *arg, const struct realtime_end *end);
};

/* On the loop. 0; UV_EBUSY: the upstream's connections are all in use;
 * UV_EINVAL, UV_ENOMEM. */
int realtime_wire_open(struct realtime_wire **wp,
                       const struct realtime_wire_config *cfg,
                       const struct realtime_wire_handlers *handlers,
                       void *arg);

/* Gives the wire to others; on the same loop, also from inside on_text and
 * on_open. What comes from now on is theirs. */
void realtime_wire_adopt(struct realtime_wire *w,
                         const struct realtime_wire_handlers *handlers,
                         void *arg);

/* A GA event. 0; UV_ENOTCONN (not open), UV_ENOBUFS (the cap), UV_ENOMEM. */
int realtime_wire_send(struct realtime_wire *w, const char *json, size_t bytes);

/* Reads no more until resumed. Idempotent. */
void realtime_wire_pause(struct realtime_wire *w, bool paused);

/* Closes with a handshake, then on_closed. Idempotent. */
void realtime_wire_close(struct realtime_wire *w, uint16_t code);

/* Closes, and no handler runs any more: the wire frees itself. */
void realtime_wire_abandon(struct realtime_wire **wp);

size_t realtime_wire_queued_bytes(const struct realtime_wire *w);
struct upstream *realtime_wire_upstream(const struct realtime_wire *w);

#endif
