/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   bytes ─► header ─► payload ─┬► message (data frames, until fin)
 *                               └► control (125 bytes)
 */

#include "gate/ws_receiver.h"

#include <string.h>
#include <uv.h>

#define KEEP_BYTES 4096u /* memory kept from message to message */

void
ws_receiver_init(struct ws_receiver *r, size_t max_message_bytes)
{
    memset(r, 0, sizeof(*r));
    ws_decoder_init(&r->decoder, WS_MASK_FORBIDDEN, 0);
    buffer_init(&r->message, max_message_bytes + 1); /* a NUL */
}

void
ws_receiver_deinit(struct ws_receiver *r)
{
    buffer_deinit(&r->message);
}

static bool
frame_is_control(const struct ws_receiver *r)
{
    return r->frame.opcode >= WS_CLOSE;
}

/* A header ended: what follows must fit. */
static int
frame_begin(struct ws_receiver *r)
{
    r->in_payload = true;
    r->left = r->frame.payload_bytes;
    if (frame_is_control(r)) {
        r->control_bytes = 0;
        return 0;
    }
    if (r->frame.opcode != WS_CONTINUATION)
        ws_utf8_init(&r->utf8);
    if (r->left > r->message.max_bytes - 1 - r->message.bytes)
        return -WS_CLOSE_TOO_BIG;
    return 0;
}

static int
payload_take(struct ws_receiver *r, const uint8_t *data, size_t bytes)
{
    if (frame_is_control(r)) {
        memcpy(r->control + r->control_bytes, data, bytes);
        r->control_bytes += bytes;
        return 0;
    }
    if (r->frame.message == WS_TEXT && !ws_utf8_push(&r->utf8, data, bytes))
        return -WS_CLOSE_BAD_PAYLOAD;
    int result = buffer_append(&r->message, data, bytes);
    if (result == UV_ENOBUFS)
        return -WS_CLOSE_TOO_BIG;
    return result ? -WS_CLOSE_INTERNAL : 0;
}

static void
control_end(struct ws_receiver *r, struct ws_received *out)
{
    out->kind = r->frame.opcode == WS_PING   ? WS_RECEIVED_PING
                : r->frame.opcode == WS_PONG ? WS_RECEIVED_PONG
                                             : WS_RECEIVED_CLOSE;
    out->data = r->control;
    out->bytes = r->control_bytes;
}

static int
frame_end(struct ws_receiver *r, struct ws_received *out)
{
    r->in_payload = false;
    if (frame_is_control(r)) {
        control_end(r, out);
        return 0;
    }
    if (!r->frame.fin)
        return 0;
    out->text = r->frame.message == WS_TEXT;
    if (out->text && !ws_utf8_is_complete(&r->utf8))
        return -WS_CLOSE_BAD_PAYLOAD;
    out->data = (const uint8_t *) buffer_text(&r->message);
    if (!out->data)
        return -WS_CLOSE_INTERNAL;
    out->kind = WS_RECEIVED_MESSAGE;
    out->bytes = r->message.bytes;
    r->handed_out = true;
    return 0;
}

void
ws_receiver_forget(struct ws_receiver *r)
{
    if (!r->handed_out)
        return;
    if (r->message.capacity > KEEP_BYTES)
        buffer_deinit(&r->message);
    buffer_clear(&r->message);
    r->handed_out = false;
}

ssize_t
ws_receiver_push(struct ws_receiver *r, const uint8_t *data, size_t bytes,
                 struct ws_received *out)
{
    size_t used = 0;
    int result;

    memset(out, 0, sizeof(*out));
    ws_receiver_forget(r);
    while (used < bytes && out->kind == WS_RECEIVED_NONE) {
        if (!r->in_payload) {
            int head = ws_decoder_push(&r->decoder, data + used, bytes - used,
                                       &r->frame);
            if (head < 0)
                return head;
            if (head == 0)
                return (ssize_t) bytes;
            used += (size_t) head;
            if ((result = frame_begin(r)) != 0)
                return result;
        }
        size_t take = bytes - used < r->left ? bytes - used : (size_t) r->left;
        if (take && (result = payload_take(r, data + used, take)) != 0)
            return result;
        used += take;
        r->left -= take;
        if (!r->left && (result = frame_end(r, out)) != 0)
            return result;
    }
    return (ssize_t) used;
}
