/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A stream of server-sent events read piece by piece (WHATWG HTML, 9.2.6), as
 * its client sees it. Pure but for memory; embedded by its user, who owns it.
 * Owns the line and the event under way, each max_bytes at most. Any
 * line end, a byte order mark, comments and unknown fields are as the standard
 * has them; so an event without data is none, but its id counts.
 *
 *   bytes ─► lines ─► fields ─► event
 */

#ifndef VOICE_SSE_H
#define VOICE_SSE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SSE_ID_BYTES   256 /* an id that is longer is not remembered */
#define SSE_TYPE_BYTES 64  /* a longer one is cut */

struct sse_event {
    const char *type; /* "message" when none was given */
    const char *data; /* NUL-terminated; may hold NULs */
    size_t bytes;
};

/* Borrowed. Not 0: reading ends, sse_push gives it. */
typedef int sse_event_h(void *arg, const struct sse_event *event);

struct sse {
    struct buffer line, data;
    size_t max_bytes;
    sse_event_h *on_event;
    void *arg;
    char id[SSE_ID_BYTES]; /* the last event's, "" none */
    char next_id[SSE_ID_BYTES];
    char type[SSE_TYPE_BYTES];
    int64_t retry_ms; /* what the stream asked for; -1 nothing */
    bool has_data;    /* a field of it */
    bool after_cr;    /* a LF that comes next ends nothing */
    bool started;     /* behind the byte order mark */
};

void sse_init(struct sse *sse, size_t max_bytes, sse_event_h *on_event,
              void *arg);
void sse_deinit(struct sse *sse);

/* 0; UV_EMSGSIZE: an event over max_bytes; UV_ENOMEM; or what on_event gave.
 * After an error only sse_deinit and _restart. */
int sse_push(struct sse *sse, const char *data, size_t bytes);

/* A new stream; id and retry_ms stay. */
void sse_restart(struct sse *sse);

#endif
