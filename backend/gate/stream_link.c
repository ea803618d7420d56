/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   STDIN content ─► frame header ─┬─► whole message in hand ──► on_message
 *                                  ├─► part ─► assembly ─ fin ─► on_message
 *                                  └─► close, ping (drain), pong (rtt)
 *   stream_link_send ─► frame header, payload ─► one record ─► socket
 *
 *   OPEN ──client's close frame──► PEER_CLOSED ──STDIN ends──┐
 *     ├──stream_link_close, or our peer broke the protocol──►├► ENDING ─► gone
 *     └──────────────────────lost────────────────────────────┘
 */

#include "gate/stream_link.h"

#include "base/buffer.h"
#include "base/log.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BUDGET (256u << 20)

/* END_REQUEST's application status. */
enum { STATUS_FINE = 0, STATUS_BROKEN = 1 };

enum state { OPEN, PEER_CLOSED, ENDING };

/* What did not come whole: a message, and a control frame inside it. */
struct stream_link_part {
    struct buffer assembly;
    size_t charged; /* to the budget */
    bool is_message;
    uint8_t control_bytes;
    uint8_t control[WS_CONTROL_MAX];
};

static _Atomic size_t budget_limit = DEFAULT_BUDGET;
static _Atomic size_t budget_used;

void
stream_link_set_budget(size_t bytes)
{
    atomic_store(&budget_limit, bytes);
}

static struct stream_link *
link_of(struct record_stream *records)
{
    return (struct stream_link *) records;
}

/* --- what did not come whole */

static void
part_free(struct stream_link_part *part)
{
    if (part != NULL) {
        atomic_fetch_sub(&budget_used, part->charged);
        buffer_deinit(&part->assembly);
        free(part);
    }
}

static void
link_drop_part(struct stream_link *link)
{
    part_free(link->part);
    link->part = NULL;
}

static struct stream_link_part *
link_part(struct stream_link *link)
{
    if (link->part == NULL) {
        link->part = calloc(1, sizeof(*link->part));
        if (link->part != NULL) {
            buffer_init(&link->part->assembly, link->max_message_bytes);
        }
    }
    return link->part;
}

/* The memory counts, not what it holds. */
static int
part_charge(struct stream_link_part *part)
{
    size_t more = part->assembly.capacity - part->charged;

    if (more == 0) {
        return 0;
    }
    part->charged += more;
    if (atomic_fetch_add(&budget_used, more) + more
        > atomic_load(&budget_limit)) {
        return UV_ENOBUFS;
    }
    return 0;
}

static int
assembly_append(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    struct stream_link_part *part = link_part(link);
    int err;

    if (part == NULL) {
        return UV_ENOMEM;
    }
    part->is_message = true;
    err = buffer_append(&part->assembly, data, bytes);
    return err == 0 ? part_charge(part) : err;
}

/* --- the end */

static void
on_records_closed(struct record_stream *records)
{
    struct stream_link *link = link_of(records);
    char *reason = link->reason;

    link_drop_part(link);
    link->handlers->on_closed(link->arg, link->code,
                              reason != NULL ? reason : "");
    free(reason);
}

/* The first code stays. */
static void
link_set_code(struct stream_link *link, uint16_t code, const char *reason,
              size_t bytes)
{
    if (link->code == 0) {
        link->code = code;
        link->reason = strndup(reason, bytes);
    }
}

static void
link_end(struct stream_link *link, uint32_t status)
{
    if (link->state != ENDING) {
        link->state = ENDING;
        link_drop_part(link);
        record_stream_finish(&link->records, status);
    }
}

/* NGINX sent what it must not: no close frame, it knows what that means. */
static void
link_break(struct stream_link *link, const char *what)
{
    LOG_LIMITED(WARN, link->id, "event=stream_protocol_error error=\"%s\"",
                what);
    link_set_code(link, WS_CLOSE_PROTOCOL_ERROR, what, strlen(what));
    link_end(link, STATUS_BROKEN);
}

/* Nobody is there to read the rest of the queue, and END_REQUEST must not
 * follow half a record. */
static void
link_lose(struct stream_link *link, const char *how)
{
    if (link->state == ENDING) {
        return;
    }
    link_set_code(link, WS_CLOSE_LOST, how, strlen(how));
    if (record_stream_queued_bytes(&link->records) == 0) {
        link_end(link, STATUS_FINE);
    } else {
        link->state = ENDING;
        record_stream_abort(&link->records);
    }
}

static void
on_records_end(struct record_stream *records, enum record_end why)
{
    struct stream_link *link = link_of(records);

    if (why == RECORD_END_PROTOCOL) {
        link_break(link, "not the expected FastCGI record");
    } else if (link->state == PEER_CLOSED && why == RECORD_END_FINISHED) {
        link_end(link, STATUS_FINE);
    } else if (why == RECORD_END_LOST && link->state != ENDING) {
        link_set_code(link, WS_CLOSE_LOST, "connection lost", 15);
        link->state = ENDING;
        record_stream_abort(&link->records);
    } else {
        link_lose(link,
                  why == RECORD_END_ABORTED ? "aborted" : "no close frame");
    }
}

/* --- down */

static int
link_send_frame(struct stream_link *link, uint8_t opcode, const void *data,
                size_t bytes)
{
    uint8_t header[WS_HEADER_MAX];
    const struct ws_frame frame = {
        .payload_bytes = bytes, .opcode = opcode, .fin = true};
    const struct iovec parts[] = {
        {header, ws_frame_encode(header, &frame)},
        {(void *) (uintptr_t) data, bytes},
    };

    return record_stream_send(&link->records, parts, bytes > 0 ? 2 : 1);
}

int
stream_link_send(struct stream_link *link, enum stream_opcode opcode,
                 const void *data, size_t bytes)
{
    size_t queued = record_stream_queued_bytes(&link->records);
    int err;

    if (link->state != OPEN) {
        return UV_EPIPE;
    }
    if (queued > link->down_max_bytes
        || (queued > 0 && bytes > link->down_max_bytes - queued)) {
        return UV_ENOBUFS;
    }
    err = link_send_frame(link, (uint8_t) opcode, data, bytes);
    if (err == 0) {
        link->down_messages++;
        link->down_bytes += bytes;
        link->was_full |= stream_link_is_full(link);
        link->was_stalled |= stream_link_is_stalled(link);
    }
    return err;
}

static void
link_look_stalled(struct stream_link *link)
{
    if (stream_link_is_stalled(link)) {
        link->was_stalled = true;
    } else if (link->was_stalled && link->state == OPEN) {
        link->was_stalled = false;
        if (link->handlers->on_drained != NULL) {
            link->handlers->on_drained(link->arg);
        }
    }
}

static void
on_records_written(struct record_stream *records)
{
    struct stream_link *link = link_of(records);

    if (link->was_full && link->state == OPEN
        && record_stream_queued_bytes(&link->records)
               <= link->down_high_bytes / 2) {
        link->was_full = false;
        if (link->handlers->on_writable != NULL) {
            link->handlers->on_writable(link->arg);
        }
    }
    link_look_stalled(link);
}

void
stream_link_close(struct stream_link *link, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t bytes;

    if (link->state == ENDING) {
        return;
    }
    reason = reason != NULL ? reason : "";
    if (link->state == OPEN) {
        link_set_code(link, code, reason, WS_REASON_MAX);
        bytes = ws_close_encode(payload, code, reason, strlen(reason));
        link_send_frame(link, WS_CLOSE, payload, bytes);
    }
    link_end(link, STATUS_FINE);
}

/* --- up */

static void
link_on_pong(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    uint32_t rtt;

    if (bytes != 4) {
        link_break(link, "pong is not 4 bytes");
        return;
    }
    rtt = (uint32_t) data[0] << 24 | (uint32_t) data[1] << 16
          | (uint32_t) data[2] << 8 | data[3];
    if (link->handlers->on_rtt != NULL) {
        link->handlers->on_rtt(link->arg, rtt);
    }
}

/* "drain <ms>", up to nine digits. */
static void
link_on_ping(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    uint32_t ms = 0;
    size_t at = 6;

    if (bytes < 7 || bytes > 15 || memcmp(data, "drain ", 6) != 0) {
        link_break(link, "ping is not a drain");
        return;
    }
    for (; at < bytes && data[at] >= '0' && data[at] <= '9'; at++) {
        ms = ms * 10 + (uint32_t) (data[at] - '0');
    }
    if (at < bytes) {
        link_break(link, "ping is not a drain");
    } else if (link->handlers->on_drain != NULL) {
        link->handlers->on_drain(link->arg, ms);
    }
}

static void
link_on_close(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    uint16_t code;

    if (ws_close_decode(data, bytes, &code) != 0) {
        link_break(link, "bad close frame");
        return;
    }
    link_set_code(link, code, (const char *) data + (bytes >= 2 ? 2 : 0),
                  bytes >= 2 ? bytes - 2 : 0);
    link->state = PEER_CLOSED;
    link_drop_part(link);
    record_stream_hurry(&link->records);
}

static void
link_on_control(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    if (link->opcode == WS_CLOSE) {
        link_on_close(link, data, bytes);
    } else if (link->opcode == WS_PING) {
        link_on_ping(link, data, bytes);
    } else {
        link_on_pong(link, data, bytes);
    }
}

static void
link_on_message(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    link->up_messages++;
    link->up_bytes += bytes;
    if (link->handlers->on_message != NULL) {
        link->handlers->on_message(
            link->arg, (enum stream_opcode) link->message, data, bytes);
    }
}

static void
link_on_assembled(struct stream_link *link)
{
    static const uint8_t nothing[1];
    struct stream_link_part *part = link->part;

    if (part == NULL) {
        link_on_message(link, nothing, 0);
        return;
    }
    /* Ours until the handler is back: it may close the link. */
    link->part = NULL;
    link_on_message(link,
                    part->assembly.data != NULL ? part->assembly.data : nothing,
                    part->assembly.bytes);
    part_free(part);
}

static void
link_refuse(struct stream_link *link, int err)
{
    if (err == UV_ENOBUFS) {
        stream_link_close(link, WS_CLOSE_TRY_LATER,
                          "too much is being received");
    } else {
        stream_link_close(link, WS_CLOSE_INTERNAL, "out of memory");
    }
}

/* The frame is whole: as it stands in the part, that the handler may drop. */
static void
link_on_part_control(struct stream_link *link)
{
    struct stream_link_part *part = link->part;
    uint8_t control[WS_CONTROL_MAX];
    size_t bytes = part->control_bytes;

    memcpy(control, part->control, bytes);
    part->control_bytes = 0;
    if (!part->is_message) {
        link_drop_part(link);
    }
    link_on_control(link, control, bytes);
}

static void
link_take_control(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    struct stream_link_part *part = link->part;

    link->in_frame = link->payload_left > bytes;
    if (!link->in_frame && (part == NULL || part->control_bytes == 0)) {
        link_on_control(link, data, bytes);
        return;
    }
    part = link_part(link);
    if (part == NULL) {
        link_refuse(link, UV_ENOMEM);
        return;
    }
    memcpy(part->control + part->control_bytes, data, bytes);
    part->control_bytes = (uint8_t) (part->control_bytes + bytes);
    link->payload_left -= (uint32_t) bytes;
    if (!link->in_frame) {
        link_on_part_control(link);
    }
}

static void
link_take_payload(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    int err;

    if (link->part == NULL && link->fin && link->payload_left == bytes
        && link->opcode != WS_CONTINUATION) {
        link->in_frame = false;
        link_on_message(link, data, bytes);
        return;
    }
    err = bytes > 0 ? assembly_append(link, data, bytes) : 0;
    if (err != 0) {
        link_refuse(link, err);
        return;
    }
    link->payload_left -= (uint32_t) bytes;
    if (link->payload_left == 0) {
        link->in_frame = false;
        if (link->fin) {
            link_on_assembled(link);
        }
    }
}

static void
link_begin_frame(struct stream_link *link, const struct ws_frame *frame)
{
    size_t have = link->part != NULL ? link->part->assembly.bytes : 0;

    link->in_frame = true;
    link->fin = frame->fin;
    link->opcode = frame->opcode;
    /* At most 125, or checked below. */
    link->payload_left = (uint32_t) frame->payload_bytes;
    if (frame->opcode >= WS_CLOSE) {
        return;
    }
    link->message = frame->message;
    if (frame->payload_bytes > link->max_message_bytes - have) {
        stream_link_close(link, WS_CLOSE_TOO_BIG, "message too big");
    }
}

/* A header, or as much of the payload as is there; gives the bytes used. A
 * frame without payload is done as soon as its header is. */
static size_t
link_take(struct stream_link *link, const uint8_t *data, size_t bytes)
{
    struct ws_frame frame;
    size_t used = 0;
    int n;

    if (!link->in_frame) {
        n = ws_decoder_push(&link->decoder, data, bytes, &frame);
        if (n < 0) {
            link_break(link, "bad WebSocket frame");
        }
        if (n <= 0) {
            return bytes;
        }
        used = (size_t) n;
        link_begin_frame(link, &frame);
        if (link->state != OPEN || (link->payload_left > 0 && used == bytes)) {
            return used;
        }
    }
    if (link->payload_left < bytes - used) {
        bytes = used + link->payload_left;
    }
    if (link->opcode >= WS_CLOSE) {
        link_take_control(link, data + used, bytes - used);
    } else {
        link_take_payload(link, data + used, bytes - used);
    }
    return bytes;
}

static void
on_records_bytes(struct record_stream *records, const uint8_t *data,
                 size_t bytes)
{
    struct stream_link *link = link_of(records);
    size_t at = 0;

    /* Behind a close frame nothing counts. */
    while (at < bytes && link->state == OPEN) {
        at += link_take(link, data + at, bytes - at);
    }
}

/* --- life */

static const struct record_stream_handlers record_handlers = {
    .on_bytes = on_records_bytes,
    .on_end = on_records_end,
    .on_written = on_records_written,
    .on_closed = on_records_closed,
};

static uint32_t
cut_to_32(size_t bytes)
{
    return bytes > UINT32_MAX ? UINT32_MAX : (uint32_t) bytes;
}

int
stream_link_open(struct stream_link *link, const struct stream_link_config *cfg,
                 const struct stream_link_handlers *handlers, void *arg)
{
    memset(link, 0, sizeof(*link));
    link->handlers = handlers;
    link->arg = arg;
    link->id = cfg->id;
    link->max_message_bytes = cut_to_32(cfg->max_message_bytes);
    link->down_high_bytes = cut_to_32(cfg->down_high_bytes);
    link->down_max_bytes = cut_to_32(cfg->down_max_bytes);
    ws_decoder_init(&link->decoder, WS_MASK_FORBIDDEN, 0);
    return record_stream_open(&link->records, cfg->loop, cfg->fd,
                              &record_handlers);
}

void
stream_link_pause(struct stream_link *link, bool paused)
{
    record_stream_pause(&link->records, paused);
}

bool
stream_link_is_full(const struct stream_link *link)
{
    return stream_link_queued_bytes(link) > link->down_high_bytes;
}

bool
stream_link_is_stalled(const struct stream_link *link)
{
    return record_stream_is_blocked(&link->records);
}

size_t
stream_link_queued_bytes(const struct stream_link *link)
{
    return record_stream_queued_bytes(&link->records);
}

void
stream_link_get_stats(const struct stream_link *link,
                      struct stream_link_stats *out)
{
    *out = (struct stream_link_stats){
        .up_messages = link->up_messages,
        .down_messages = link->down_messages,
        .up_bytes = link->up_bytes,
        .down_bytes = link->down_bytes,
        .stall_us = record_stream_stall_us(&link->records),
    };
}
