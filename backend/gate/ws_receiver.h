/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Frames of a WebSocket server to whole messages: puts fragments together,
 * keeps control frames between them apart, checks UTF-8 and the size. No I/O,
 * no clock; one thread at a time; embedded by its user. Owns the message that
 * is being put together, up to its cap.
 */

#ifndef VOICE_WS_RECEIVER_H
#define VOICE_WS_RECEIVER_H

#include "base/buffer.h"
#include "codec/ws_frame.h"

#include <sys/types.h>

struct ws_receiver {
    struct ws_decoder decoder;
    struct ws_frame frame;
    uint64_t left; /* payload bytes of `frame` still to come */
    bool in_payload;
    bool handed_out; /* the message was given and goes with the next push */
    struct ws_utf8 utf8;
    struct buffer message;
    size_t control_bytes;
    uint8_t control[WS_CONTROL_MAX];
};

enum ws_received_kind {
    WS_RECEIVED_NONE,
    WS_RECEIVED_MESSAGE,
    WS_RECEIVED_PING,
    WS_RECEIVED_PONG,
    WS_RECEIVED_CLOSE
};

struct ws_received {
    enum ws_received_kind kind;
    bool text;
    const uint8_t *data; /* borrowed until the next push; a NUL follows */
    size_t bytes;
};

void ws_receiver_init(struct ws_receiver *r, size_t max_message_bytes);
void ws_receiver_deinit(struct ws_receiver *r);

/*
 * Takes bytes up to the end of one message or control frame. Bytes taken (at
 * least 1 of bytes > 0), or minus the close code to fail with: 1002, 1007,
 * 1009, 1011 (no memory).
 */
ssize_t ws_receiver_push(struct ws_receiver *r, const uint8_t *data,
                         size_t bytes, struct ws_received *out);

/* The message given out is not needed any more: a large one's memory goes now,
 * not with the next push, which may be long in coming. */
void ws_receiver_forget(struct ws_receiver *r);

#endif
