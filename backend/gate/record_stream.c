/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   OPEN ──finish──► FINISHING ──queue written──► LINGERING ──EOF──► CLOSED
 *     └────────────────abort, or the time is up────────────────────────┘
 *
 * LINGERING: our side is shut, what still comes in is thrown away. A close
 * with unread input would be an error for the peer, who may then not read our
 * last records. A kept descriptor skips it: what comes in is the next request.
 */

#include "gate/record_stream.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/iov.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_MS 5000

/* A payload from here on is worth a write of its own, without a copy. */
#define DIRECT_BYTES 16384

enum state { OPEN, FINISHING, LINGERING, CLOSED };

struct record_queue {
    struct buffer bytes;
    struct loop_task flush; /* deferred while not blocked */
    uint64_t blocked_since_us;
};

struct record_linger {
    uv_timer_t timer;
    struct record_stream *rs;
};

static struct loop *
stream_loop(const struct record_stream *rs)
{
    return rs->watch.loop;
}

/* --- closing */

static void
on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
queue_free(struct record_stream *rs)
{
    struct record_queue *queue = rs->queue;

    if (queue == NULL) {
        return;
    }
    loop_undefer(stream_loop(rs), &queue->flush);
    buffer_deinit(&queue->bytes);
    free(queue);
    rs->queue = NULL;
}

static void
stream_unblock(struct record_stream *rs)
{
    if (rs->blocked) {
        rs->blocked = false;
        rs->stall_us += clock_now_us() - rs->queue->blocked_since_us;
    }
}

static void
stream_close(struct record_stream *rs)
{
    rs->state = CLOSED;
    stream_unblock(rs);
    queue_free(rs);
    if (rs->linger != NULL) {
        uv_close((uv_handle_t *) &rs->linger->timer, on_timer_closed);
        rs->linger = NULL;
    }
    loop_watch_close(&rs->watch);
}

void
record_stream_abort(struct record_stream *rs)
{
    if (rs->state == CLOSED) {
        return;
    }
    rs->keep = false;
    stream_close(rs);
}

static void
on_linger_timer(uv_timer_t *timer)
{
    struct record_linger *linger = timer->data;

    record_stream_abort(linger->rs);
}

/* Nothing more will be read or written that matters; a hang-up would come in
 * every turn to whoever still wants an event. */
static void
stream_fail(struct record_stream *rs, enum record_end why)
{
    bool tell = rs->state == OPEN && !rs->input_ended;

    rs->input_ended = true;
    if (rs->state != OPEN) {
        record_stream_abort(rs);
        return;
    }
    stream_unblock(rs);
    loop_watch_want(&rs->watch, 0);
    if (tell) {
        rs->handlers->on_end(rs, why);
    }
}

/* --- the watch */

static void
stream_watch(struct record_stream *rs)
{
    unsigned events = 0;

    if (rs->state == CLOSED) {
        return;
    }
    if (!rs->input_ended && (!rs->paused || rs->state != OPEN)) {
        events |= LOOP_READABLE;
    }
    if (rs->blocked) {
        events |= LOOP_WRITABLE;
    }
    loop_watch_want(&rs->watch, events);
}

/* --- down */

static void
stream_written(struct record_stream *rs)
{
    if (rs->state == FINISHING) {
        if (rs->keep) {
            stream_close(rs);
            return;
        }
        if (rs->input_ended) {
            record_stream_abort(rs);
            return;
        }
        shutdown(rs->watch.fd, SHUT_WR);
        rs->state = LINGERING;
        stream_watch(rs);
    }
}

static void
stream_block(struct record_stream *rs)
{
    if (!rs->blocked) {
        rs->blocked = true;
        rs->queue->blocked_since_us = clock_now_us();
        loop_undefer(stream_loop(rs), &rs->queue->flush);
        stream_watch(rs);
    }
}

/* 0: the queue is empty and gone. UV_EAGAIN, or UV_EPIPE: lost. */
static int
queue_flush(struct record_stream *rs)
{
    struct record_queue *queue = rs->queue;
    ssize_t n = 0;

    while (queue->bytes.bytes > 0) {
        n = send(rs->watch.fd, queue->bytes.data, queue->bytes.bytes,
                 MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            break;
        }
        buffer_consume(&queue->bytes, n > 0 ? (size_t) n : 0);
    }
    if (queue->bytes.bytes == 0) {
        stream_unblock(rs);
        queue_free(rs);
        return 0;
    }
    return errno == EAGAIN ? UV_EAGAIN : UV_EPIPE;
}

/* As queue_flush, with what follows from it. May close. */
static void
stream_flush(struct record_stream *rs)
{
    bool was_blocked = rs->blocked;
    int err = queue_flush(rs);

    if (err == UV_EAGAIN) {
        stream_block(rs);
        return;
    }
    if (err != 0) {
        stream_fail(rs, RECORD_END_LOST);
        return;
    }
    if (was_blocked) {
        stream_watch(rs);
    }
    stream_written(rs);
}

static void
on_flush_task(struct loop_task *task, void *arg)
{
    struct record_stream *rs = arg;

    (void) task;
    stream_flush(rs);
    if (rs->state == OPEN) {
        rs->handlers->on_written(rs);
    }
}

static int
queue_append(struct record_stream *rs, const struct iovec *parts, int count)
{
    struct record_queue *queue = rs->queue;
    int err = 0;

    if (queue == NULL) {
        queue = calloc(1, sizeof(*queue));
        if (queue == NULL) {
            return UV_ENOMEM;
        }
        buffer_init(&queue->bytes, SIZE_MAX / 2);
        queue->flush.run = on_flush_task;
        queue->flush.arg = rs;
        rs->queue = queue;
        loop_defer(stream_loop(rs), &queue->flush);
    }
    for (int i = 0; i < count && err == 0; i++) {
        err = buffer_append(&queue->bytes, parts[i].iov_base, parts[i].iov_len);
    }
    return err;
}

/* Writes directly; what is left goes to the queue. Half a record without its
 * rest is the end of the stream. */
static int
stream_write(struct record_stream *rs, struct iovec *parts, int count,
             size_t bytes)
{
    const struct msghdr message = {.msg_iov = parts,
                                   .msg_iovlen = (size_t) count};
    ssize_t n;
    int err;

    do {
        n = sendmsg(rs->watch.fd, &message, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        stream_fail(rs, RECORD_END_LOST);
        return UV_EPIPE;
    }
    n = n < 0 ? 0 : n;
    if ((size_t) n == bytes) {
        return 0;
    }
    iov_advance(parts, (unsigned) count, (size_t) n);
    err = queue_append(rs, parts, count);
    if (err == 0) {
        stream_block(rs);
    } else {
        stream_fail(rs, RECORD_END_LOST);
    }
    return err;
}

/* Whether the next bytes go to the socket past the queue. */
static bool
stream_may_write(struct record_stream *rs, size_t bytes)
{
    uint32_t turn = loop_turn(stream_loop(rs));

    if (rs->blocked || (bytes < DIRECT_BYTES && rs->last_turn == turn)) {
        return false;
    }
    if (rs->queue != NULL) {
        stream_flush(rs);
    }
    rs->last_turn = turn;
    return rs->state == OPEN && rs->queue == NULL;
}

static int
stream_put(struct record_stream *rs, struct iovec *parts, int count,
           size_t bytes)
{
    int err;

    if (stream_may_write(rs, bytes)) {
        return stream_write(rs, parts, count, bytes);
    }
    if (rs->state != OPEN || rs->input_ended) {
        return UV_EPIPE;
    }
    err = queue_append(rs, parts, count);
    if (err != 0) {
        stream_fail(rs, RECORD_END_LOST);
    }
    return err;
}

static int
stream_put_record(struct record_stream *rs, struct iovec *rest, unsigned count,
                  uint32_t content)
{
    static const uint8_t padding[8];
    uint8_t header[FASTCGI_HEADER_BYTES];
    struct iovec parts[RECORD_PARTS_MAX + 2];
    uint32_t pad = fastcgi_padding(content);
    int used;

    fastcgi_header_encode(header, FASTCGI_STDOUT, content);
    parts[0] = (struct iovec){header, sizeof(header)};
    used = 1 + (int) iov_slice(parts + 1, rest, count, content);
    if (pad > 0) {
        parts[used++] = (struct iovec){(void *) (uintptr_t) padding, pad};
    }
    return stream_put(rs, parts, used, sizeof(header) + content + pad);
}

int
record_stream_send(struct record_stream *rs, const struct iovec *parts,
                   unsigned count)
{
    struct iovec rest[RECORD_PARTS_MAX];
    size_t left = 0;
    int err = 0;

    if (rs->state != OPEN || rs->input_ended || count > RECORD_PARTS_MAX) {
        return UV_EPIPE;
    }
    for (unsigned i = 0; i < count; i++) {
        rest[i] = parts[i];
        left += parts[i].iov_len;
    }
    while (left > 0 && err == 0) {
        uint32_t content =
            left < FASTCGI_CONTENT_MAX ? (uint32_t) left : FASTCGI_CONTENT_MAX;

        err = stream_put_record(rs, rest, count, content);
        left -= content;
    }
    return err;
}

/* --- up */

static void
stream_end_input(struct record_stream *rs, enum record_end why)
{
    bool tell = rs->state == OPEN && !rs->input_ended;

    rs->input_ended = true;
    stream_watch(rs);
    if (tell) {
        rs->handlers->on_end(rs, why);
    }
}

static void
stream_begin_record(struct record_stream *rs,
                    const struct fastcgi_record *record)
{
    rs->type = record->type;
    rs->content_left = record->content_bytes;
    rs->padding_left = (uint8_t) record->padding_bytes;
    if (record->type == FASTCGI_ABORT_REQUEST && record->request_id == 1) {
        stream_end_input(rs, RECORD_END_ABORTED);
    } else if (record->type != FASTCGI_STDIN || record->request_id != 1) {
        stream_end_input(rs, RECORD_END_PROTOCOL);
    } else if (record->content_bytes == 0) {
        stream_end_input(rs, RECORD_END_FINISHED);
    }
}

/* One step; gives the bytes used, 0 when the stream can't go on. */
static size_t
stream_take(struct record_stream *rs, const uint8_t *data, size_t bytes)
{
    struct fastcgi_record record;
    size_t used;
    int n;

    if (rs->content_left > 0) {
        used = bytes < rs->content_left ? bytes : rs->content_left;
        rs->content_left -= (uint32_t) used;
        rs->handlers->on_bytes(rs, data, used);
        return used;
    }
    if (rs->padding_left > 0) {
        used = bytes < rs->padding_left ? bytes : rs->padding_left;
        rs->padding_left = (uint8_t) (rs->padding_left - used);
        return used;
    }
    n = fastcgi_decoder_push(&rs->decoder, data, bytes, &record);
    if (n < 0) {
        stream_end_input(rs, RECORD_END_PROTOCOL);
        return 0;
    }
    if (n > 0) {
        stream_begin_record(rs, &record);
    }
    return n > 0 ? (size_t) n : bytes;
}

static void
stream_read(struct record_stream *rs)
{
    uint8_t *data = loop_scratch(stream_loop(rs));
    ssize_t n = read(rs->watch.fd, data, LOOP_SCRATCH_BYTES);
    size_t at = 0;

    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        stream_fail(rs, RECORD_END_LOST);
        return;
    }
    while (at < (size_t) n && rs->state == OPEN && !rs->input_ended) {
        size_t used = stream_take(rs, data + at, (size_t) n - at);

        if (used == 0) {
            break;
        }
        at += used;
    }
}

static void
on_watch(struct loop_watch *watch, unsigned events)
{
    /* Its first member. */
    struct record_stream *rs = (struct record_stream *) watch;

    if (events == LOOP_CLOSED) {
        if (!rs->keep) {
            close(watch->fd);
        }
        rs->handlers->on_closed(rs);
        return;
    }
    if ((events & LOOP_WRITABLE) && rs->queue != NULL) {
        on_flush_task(NULL, rs);
    }
    if ((events & LOOP_READABLE) && rs->state != CLOSED && !rs->input_ended) {
        stream_read(rs);
    }
}

/* --- life */

int
record_stream_open(struct record_stream *rs, struct loop *loop, int fd,
                   const struct record_stream_handlers *handlers)
{
    int on = 1;
    int err;

    memset(rs, 0, sizeof(*rs));
    rs->handlers = handlers;
    rs->last_turn = loop_turn(loop) - 1;
    err = ioctl(fd, FIONBIO, &on) == 0 ? 0 : uv_translate_sys_error(errno);
    if (err == 0) {
        err = loop_watch_open(loop, &rs->watch, fd, LOOP_READABLE, on_watch);
    }
    if (err != 0) {
        close(fd);
    }
    return err;
}

void
record_stream_pause(struct record_stream *rs, bool paused)
{
    if (rs->paused != paused) {
        rs->paused = paused;
        stream_watch(rs);
    }
}

void
record_stream_hurry(struct record_stream *rs)
{
    struct record_linger *linger;

    if (rs->linger != NULL || rs->state == CLOSED) {
        return;
    }
    linger = calloc(1, sizeof(*linger));
    if (linger == NULL) {
        record_stream_abort(rs);
        return;
    }
    linger->rs = rs;
    uv_timer_init(loop_uv(stream_loop(rs)), &linger->timer);
    linger->timer.data = linger;
    uv_timer_start(&linger->timer, on_linger_timer, LINGER_MS, 0);
    rs->linger = linger;
}

void
record_stream_finish(struct record_stream *rs, uint32_t app_status)
{
    uint8_t end[FASTCGI_HEADER_BYTES + FASTCGI_END_BYTES];
    struct iovec part = {end, sizeof(end)};

    if (rs->state != OPEN) {
        return;
    }
    fastcgi_header_encode(end, FASTCGI_STDOUT, 0);
    fastcgi_end_encode(end + FASTCGI_HEADER_BYTES, app_status,
                       FASTCGI_REQUEST_COMPLETE);
    rs->state = FINISHING;
    if (queue_append(rs, &part, 1) != 0) {
        record_stream_abort(rs);
        return;
    }
    record_stream_hurry(rs);
    stream_watch(rs);
    if (rs->state == FINISHING && !rs->blocked) {
        stream_flush(rs);
    }
}

void
record_stream_finish_kept(struct record_stream *rs, uint32_t app_status)
{
    if (rs->state == OPEN && !rs->input_ended) {
        rs->keep = true;
        rs->input_ended = true;
    }
    record_stream_finish(rs, app_status);
}

int
record_stream_kept_fd(const struct record_stream *rs)
{
    return rs->keep ? rs->watch.fd : -1;
}

bool
record_stream_is_blocked(const struct record_stream *rs)
{
    return rs->blocked;
}

size_t
record_stream_queued_bytes(const struct record_stream *rs)
{
    return rs->queue != NULL ? rs->queue->bytes.bytes : 0;
}

uint64_t
record_stream_stall_us(const struct record_stream *rs)
{
    uint64_t now = 0;

    if (rs->blocked) {
        now = clock_now_us() - rs->queue->blocked_since_us;
    }
    return rs->stall_us + now;
}
