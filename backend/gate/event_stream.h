/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One reader of server-sent events (WHATWG HTML, 9.2) after the hand-off: the
 * header block went out through gate_take, here come events and keep-alive
 * comments. Lives on one loop. Owns the descriptor and a bounded queue; a
 * reader that does not keep up is closed, and comes back by itself with
 * Last-Event-ID.
 *
 *   event_stream_send ─► "id: …\ndata: …\n\n" ─► record ─► fd
 */

#ifndef VOICE_EVENT_STREAM_H
#define VOICE_EVENT_STREAM_H

#include "base/loop.h"

#include <stddef.h>
#include <stdint.h>

struct event_stream;

struct event_stream_config {
    struct loop *loop;
    int fd;                  /* taken, also on failure */
    size_t max_queued_bytes; /* beyond: the reader is closed */
    unsigned keep_alive_ms;
};

/* Last call; never from inside a verb. */
typedef void event_stream_closed_h(void *arg);

/* On the loop. 0 or UV_E*. */
int event_stream_create(struct event_stream **sp,
                        const struct event_stream_config *cfg,
                        event_stream_closed_h *on_closed, void *arg);

/* `data` is one line. 0; UV_ENOBUFS (too slow: it is being closed); UV_EPIPE
 * when it is closing. */
int event_stream_send(struct event_stream *stream, uint64_t id,
                      const char *data, size_t bytes);

/* END_REQUEST; frees itself after on_closed. Idempotent. */
void event_stream_close(struct event_stream *stream);

#endif
