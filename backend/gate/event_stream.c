/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/event_stream.h"

#include "gate/record_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct event_stream {
    struct record_stream records;
    uv_timer_t keep_alive;
    event_stream_closed_h *on_closed;
    void *arg;
    size_t max_queued_bytes;
    bool closing;
    unsigned open_handles;
};

static struct event_stream *
stream_of(struct record_stream *records)
{
    return (struct event_stream *) records;
}

/* Two handles close, in any order. */
static void
stream_let_go(struct event_stream *stream)
{
    if (--stream->open_handles == 0) {
        stream->on_closed(stream->arg);
        free(stream);
    }
}

static void
on_timer_closed(uv_handle_t *handle)
{
    stream_let_go(handle->data);
}

static void
on_records_closed(struct record_stream *records)
{
    stream_let_go(stream_of(records));
}

static void
stream_end(struct event_stream *stream, bool now)
{
    if (!stream->closing) {
        stream->closing = true;
        uv_close((uv_handle_t *) &stream->keep_alive, on_timer_closed);
        if (!now) {
            record_stream_finish(&stream->records, 0);
        }
    }
    if (now) {
        record_stream_abort(&stream->records);
    }
}

void
event_stream_close(struct event_stream *stream)
{
    stream_end(stream, false);
}

/* STDIN ended before the hand-off, whatever comes is the end. */
static void
on_records_end(struct record_stream *records, enum record_end why)
{
    (void) why;
    stream_end(stream_of(records), true);
}

static void
on_records_bytes(struct record_stream *records, const uint8_t *data,
                 size_t bytes)
{
    (void) data;
    (void) bytes;
    stream_end(stream_of(records), true);
}

static void
on_records_written(struct record_stream *records)
{
    (void) records;
}

static const struct record_stream_handlers record_handlers = {
    .on_bytes = on_records_bytes,
    .on_end = on_records_end,
    .on_written = on_records_written,
    .on_closed = on_records_closed,
};

/* A reader that does not read has no use for END_REQUEST either. */
static int
stream_put(struct event_stream *stream, const struct iovec *parts,
           unsigned count)
{
    size_t queued = record_stream_queued_bytes(&stream->records);
    size_t bytes = 0;

    if (stream->closing) {
        return UV_EPIPE;
    }
    for (unsigned i = 0; i < count; i++) {
        bytes += parts[i].iov_len;
    }
    if (queued > 0 && queued + bytes > stream->max_queued_bytes) {
        stream_end(stream, true);
        return UV_ENOBUFS;
    }
    return record_stream_send(&stream->records, parts, count);
}

static void
on_keep_alive(uv_timer_t *timer)
{
    static const char comment[] = ": keep-alive\n\n";

    stream_put(
        timer->data,
        &(struct iovec){(void *) (uintptr_t) comment, sizeof(comment) - 1}, 1);
}

int
event_stream_create(struct event_stream **sp,
                    const struct event_stream_config *cfg,
                    event_stream_closed_h *on_closed, void *arg)
{
    struct event_stream *stream = calloc(1, sizeof(*stream));
    int err;

    if (stream == NULL) {
        close(cfg->fd);
        return UV_ENOMEM;
    }
    stream->on_closed = on_closed;
    stream->arg = arg;
    stream->max_queued_bytes = cfg->max_queued_bytes;
    err = record_stream_open(&stream->records, cfg->loop, cfg->fd,
                             &record_handlers);
    if (err != 0) {
        free(stream);
        return err;
    }
    uv_timer_init(loop_uv(cfg->loop), &stream->keep_alive);
    stream->keep_alive.data = stream;
    uv_timer_start(&stream->keep_alive, on_keep_alive, cfg->keep_alive_ms,
                   cfg->keep_alive_ms);
    stream->open_handles = 2;
    *sp = stream;
    return 0;
}

int
event_stream_send(struct event_stream *stream, uint64_t id, const char *data,
                  size_t bytes)
{
    char head[48];
    int head_bytes =
        snprintf(head, sizeof(head), "id: %" PRIu64 "\ndata: ", id);
    const struct iovec parts[] = {
        {head, (size_t) head_bytes},
        {(void *) (uintptr_t) data, bytes},
        {(void *) (uintptr_t) "\n\n", 2},
    };

    return stream_put(stream, parts, 3);
}
