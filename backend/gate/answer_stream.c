/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/answer_stream.h"

#include "base/clock.h"
#include "gate/record_stream.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct answer_stream {
    struct record_stream records;
    uv_timer_t tick;
    struct answer_stream_config cfg;
    const struct answer_stream_handlers *handlers;
    void *arg;
    uint64_t moved_ms; /* when bytes last left, or were sent */
    size_t waiting;    /* bytes then */
    int kept_fd;       /* or -1 */
    bool short_of_room;
    bool closing;
    unsigned open_handles;
};

static struct answer_stream *
stream_of(struct record_stream *records)
{
    return (struct answer_stream *) records;
}

/* Two handles close, in any order. */
static void
stream_let_go(struct answer_stream *stream)
{
    if (--stream->open_handles == 0) {
        stream->handlers->on_closed(stream->arg, stream->kept_fd);
        free(stream);
    }
}

static void
on_tick_closed(uv_handle_t *handle)
{
    stream_let_go(handle->data);
}

static void
on_records_closed(struct record_stream *records)
{
    struct answer_stream *stream = stream_of(records);

    stream->kept_fd = record_stream_kept_fd(records);
    stream_let_go(stream);
}

static void
stream_close(struct answer_stream *stream)
{
    stream->closing = true;
    uv_close((uv_handle_t *) &stream->tick, on_tick_closed);
}

static void
stream_lose(struct answer_stream *stream)
{
    bool tell = !stream->closing;

    if (tell) {
        stream_close(stream);
    }
    record_stream_abort(&stream->records);
    if (tell) {
        stream->handlers->on_gone(stream->arg);
    }
}

/* STDIN ended before the hand-off: whatever comes is the end. */
static void
on_records_end(struct record_stream *records, enum record_end why)
{
    (void) why;
    stream_lose(stream_of(records));
}

static void
on_records_bytes(struct record_stream *records, const uint8_t *data,
                 size_t bytes)
{
    (void) data;
    (void) bytes;
    stream_lose(stream_of(records));
}

static void
on_records_written(struct record_stream *records)
{
    struct answer_stream *stream = stream_of(records);
    size_t waiting = record_stream_queued_bytes(records);

    if (waiting < stream->waiting) {
        stream->moved_ms = clock_now_ms();
    }
    stream->waiting = waiting;
    if (stream->short_of_room && !stream->closing
        && answer_stream_has_room(stream)) {
        stream->short_of_room = false;
        stream->handlers->on_room(stream->arg);
    }
}

static const struct record_stream_handlers record_handlers = {
    .on_bytes = on_records_bytes,
    .on_end = on_records_end,
    .on_written = on_records_written,
    .on_closed = on_records_closed,
};

static void
on_tick(uv_timer_t *tick)
{
    struct answer_stream *stream = tick->data;
    uint64_t still_ms = clock_now_ms() - stream->moved_ms;
    const char *text = stream->cfg.idle_text;

    if (!answer_stream_has_room(stream)) {
        if (still_ms >= stream->cfg.stall_ms) {
            stream_lose(stream);
        }
    } else if (still_ms >= stream->cfg.idle_ms) {
        answer_stream_send(
            stream, &(struct iovec){(void *) (uintptr_t) text, strlen(text)},
            1);
    }
}

/* Looks often enough that either time is kept to a half. */
static unsigned
tick_ms(const struct answer_stream_config *cfg)
{
    unsigned least =
        cfg->idle_ms < cfg->stall_ms ? cfg->idle_ms : cfg->stall_ms;

    return least / 2 > 0 ? least / 2 : 1;
}

int
answer_stream_create(struct answer_stream **sp,
                     const struct answer_stream_config *cfg,
                     const struct answer_stream_handlers *handlers, void *arg)
{
    struct answer_stream *stream = calloc(1, sizeof(*stream));
    int err;

    if (stream == NULL) {
        close(cfg->fd);
        return UV_ENOMEM;
    }
    stream->cfg = *cfg;
    stream->handlers = handlers;
    stream->arg = arg;
    stream->kept_fd = -1;
    stream->moved_ms = clock_now_ms();
    err = record_stream_open(&stream->records, cfg->loop, cfg->fd,
                             &record_handlers);
    if (err != 0) {
        free(stream);
        return err;
    }
    uv_timer_init(loop_uv(cfg->loop), &stream->tick);
    stream->tick.data = stream;
    uv_timer_start(&stream->tick, on_tick, tick_ms(cfg), tick_ms(cfg));
    stream->open_handles = 2;
    *sp = stream;
    return 0;
}

int
answer_stream_send(struct answer_stream *stream, const struct iovec *parts,
                   unsigned count)
{
    int err;

    if (stream->closing) {
        return UV_EPIPE;
    }
    if (answer_stream_has_room(stream)) {
        stream->moved_ms = clock_now_ms();
    }
    err = record_stream_send(&stream->records, parts, count);
    if (err != 0) {
        stream_lose(stream);
        return err;
    }
    stream->waiting = record_stream_queued_bytes(&stream->records);
    stream->short_of_room = stream->waiting > 0;
    return 0;
}

bool
answer_stream_has_room(const struct answer_stream *stream)
{
    return record_stream_queued_bytes(&stream->records) == 0;
}

void
answer_stream_finish(struct answer_stream *stream)
{
    if (stream->closing) {
        return;
    }
    stream_close(stream);
    if (stream->cfg.keep) {
        record_stream_finish_kept(&stream->records, 0);
    } else {
        record_stream_finish(&stream->records, 0);
    }
}
