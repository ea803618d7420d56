/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The body of one answer, made piece by piece after the hand-off: the header
 * block went out through gate_take, here comes the rest, at the pace of its
 * reader. Lives on one loop. Owns the descriptor and what the socket did not
 * take; it puts no cap on that, its user waits for room before the next piece.
 * A reader that takes nothing for too long is given up.
 *
 *   answer_stream_send ─► record ─► fd;   on_room ◄─ all of it has left
 */

#ifndef VOICE_ANSWER_STREAM_H
#define VOICE_ANSWER_STREAM_H

#include "base/loop.h"

#include <stdbool.h>
#include <sys/uio.h>

struct answer_stream;

struct answer_stream_config {
    struct loop *loop;
    int fd;                /* taken, also on failure */
    bool keep;             /* the peer uses its connection again */
    const char *idle_text; /* sent when nothing was for idle_ms; a literal */
    unsigned idle_ms;
    unsigned stall_ms; /* a reader that takes nothing for so long is given up */
};

struct answer_stream_handlers {
    /* There is room again after there was none; never inside a verb. */
    void (*on_room)(void *arg);
    /* The reader has gone, or was given up; on_closed follows by itself. Once
     * at most; may run inside answer_stream_send. */
    void (*on_gone)(void *arg);
    /* Last call; never from inside a verb. fd: the connection behind its
     * END_REQUEST, the user's now (cfg.keep alone); -1: closed. */
    void (*on_closed)(void *arg, int fd);
};

/* On the loop; no handler runs inside. 0 or UV_E*. */
int answer_stream_create(struct answer_stream **sp,
                         const struct answer_stream_config *cfg,
                         const struct answer_stream_handlers *handlers,
                         void *arg);

/* At most RECORD_PARTS_MAX parts. 0; UV_EPIPE when it is closing; UV_ENOMEM,
 * and it is closing. */
int answer_stream_send(struct answer_stream *stream, const struct iovec *parts,
                       unsigned count);

/* Nothing waits to be taken. */
bool answer_stream_has_room(const struct answer_stream *stream);

/* END_REQUEST behind what waits; frees itself after on_closed. Idempotent. */
void answer_stream_finish(struct answer_stream *stream);

#endif
