/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The frame decoder with what its users do around it (unmasking, UTF-8, close
 * payloads) against a slow reading of the same bytes: in one piece, and in
 * pieces whose sizes the input chooses. All three must see the same messages,
 * pings and pongs, and the same end. And every header that was read is written
 * as it stood.
 *
 * First byte: 1 masked, 2 a script of frames, RSV bits that are allowed;
 * second: seed of the sizes.
 */

#include "codec/ws_frame.h"

#include "kit/script.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MASKED = 1, SCRIPT = 2 };

struct trace {
    struct ws_decoder decoder;
    struct ws_frame frame;
    struct ws_utf8 utf8;
    uint64_t left;
    struct tokens data, controls;
    bool named; /* the message's kind is among the tokens */
    uint8_t control[WS_CONTROL_MAX];
    size_t control_bytes;
    unsigned end; /* 0, FRAMES_CLOSED, or the close code */
};

static void
name_message(struct trace *t)
{
    if (!t->named) {
        t->named = true;
        tokens_add(&t->data,
                   t->frame.message == WS_TEXT ? TOKEN_TEXT : TOKEN_BINARY);
    }
}

static void
end_control(struct trace *t)
{
    uint8_t out[WS_CONTROL_MAX];
    uint16_t code;
    int rc;

    if (t->frame.opcode != WS_CLOSE) {
        tokens_add(&t->controls,
                   t->frame.opcode == WS_PING ? TOKEN_PING : TOKEN_PONG);
        for (size_t i = 0; i < t->control_bytes; i++) {
            tokens_add(&t->controls, t->control[i]);
        }
        tokens_add(&t->controls, TOKEN_END);
        return;
    }
    rc = ws_close_decode(t->control, t->control_bytes, &code);
    t->end = rc < 0 ? (unsigned) -rc : FRAMES_CLOSED;
    if (rc == 0 && t->control_bytes > 0) {
        CHECK(ws_close_encode(out, code, (const char *) t->control + 2,
                              t->control_bytes - 2)
                  == t->control_bytes
              && memcmp(out, t->control, t->control_bytes) == 0);
    }
}

static void
end_frame(struct trace *t)
{
    if (t->frame.message == 0) {
        end_control(t);
    } else if (t->frame.fin && t->end == 0) {
        if (t->frame.message == WS_TEXT && !ws_utf8_is_complete(&t->utf8)) {
            t->end = WS_CLOSE_BAD_PAYLOAD;
            return;
        }
        name_message(t);
        tokens_add(&t->data, TOKEN_END);
    }
}

static void
feed_payload(struct trace *t, const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes);

    CHECK(copy != NULL);
    memcpy(copy, data, bytes);
    ws_unmask(copy, copy, bytes, t->frame.mask);
    if (t->frame.message == 0) {
        memcpy(t->control + t->control_bytes, copy, bytes);
        t->control_bytes += bytes;
    } else if (t->frame.message == WS_TEXT
               && !ws_utf8_push(&t->utf8, copy, bytes)) {
        t->end = WS_CLOSE_BAD_PAYLOAD;
    } else {
        name_message(t);
        for (size_t i = 0; i < bytes; i++) {
            tokens_add(&t->data, copy[i]);
        }
    }
    free(copy);
}

/* What is written for it is read as the same. */
static void
check_header(const struct trace *t)
{
    struct ws_decoder decoder = t->decoder;
    struct ws_frame again;
    uint8_t head[WS_HEADER_MAX];
    size_t bytes = ws_frame_encode(head, &t->frame);

    CHECK(bytes
          == ws_frame_header_bytes(t->frame.payload_bytes, t->frame.masked));
    decoder.message = t->frame.opcode == WS_CONTINUATION ? t->frame.message : 0;
    CHECK(ws_decoder_push(&decoder, head, bytes, &again) == (int) bytes);
    CHECK(again.payload_bytes == t->frame.payload_bytes
          && again.opcode == t->frame.opcode && again.rsv == t->frame.rsv
          && again.fin == t->frame.fin && again.message == t->frame.message
          && memcmp(again.mask, t->frame.mask, 4) == 0);
}

static void
feed_header(struct trace *t)
{
    check_header(t);
    if (t->frame.opcode == WS_TEXT || t->frame.opcode == WS_BINARY) {
        ws_utf8_init(&t->utf8);
        t->named = false;
    }
    t->control_bytes = 0;
    t->left = t->frame.payload_bytes;
}

static void
feed(struct trace *t, const uint8_t *data, size_t bytes)
{
    while (bytes > 0 && t->end == 0) {
        size_t take = t->left < bytes ? (size_t) t->left : bytes;

        if (take == 0) {
            int rc = ws_decoder_push(&t->decoder, data, bytes, &t->frame);

            if (rc < 0)
                t->end = (unsigned) -rc;
            if (rc <= 0)
                return;
            feed_header(t);
            take = (size_t) rc;
        } else {
            feed_payload(t, data, take);
            t->left -= take;
        }
        if (t->left == 0)
            end_frame(t);
        data += take;
        bytes -= take;
    }
}

/* Within a piece nothing is said of what is behind bad UTF-8. */
static void
check(const struct trace *t, const struct frames *frames)
{
    CHECK(t->end == frames->end);
    CHECK(tokens_begin_with(&frames->data, &t->data));
    CHECK(t->data.count >= frames->sure
          && (t->end != 0 || t->data.count == frames->data.count));
    CHECK(t->controls.count == frames->controls.count
          && tokens_begin_with(&t->controls, &frames->controls));
    CHECK(t->end != FRAMES_CLOSED
          || (t->control_bytes == frames->close_bytes
              && memcmp(t->control, frames->close, t->control_bytes) == 0));
}

static void
trace_free(struct trace *t)
{
    tokens_free(&t->data);
    tokens_free(&t->controls);
}

static void
compare(const struct bytes *wire, unsigned flags, unsigned seed)
{
    const struct frames_rules rules = {.masked = flags & MASKED,
                                       .rsv = flags & WS_RSV_MASK};
    struct trace whole = {.end = 0}, pieces;
    struct frames frames;

    ws_decoder_init(&whole.decoder, flags & MASKED, flags & WS_RSV_MASK);
    pieces = whole;
    frames_read(&frames, &rules, wire->data, wire->count);
    feed(&whole, wire->data, wire->count);
    for (size_t at = 0; at < wire->count && pieces.end == 0;) {
        size_t piece;

        seed = (seed * 75 + 74) % 65537;
        piece = 1 + seed % (seed & 8 ? 7 : 900);
        piece = piece < wire->count - at ? piece : wire->count - at;
        feed(&pieces, wire->data + at, piece);
        at += piece;
    }
    check(&whole, &frames);
    check(&pieces, &frames);
    trace_free(&whole);
    trace_free(&pieces);
    frames_free(&frames);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes wire = {.data = NULL};
    struct script_rules rules = {.limit = 20000};

    if (size < 2)
        return 0;
    bytes_add(&wire, NULL, 0);
    if (data[0] & SCRIPT) {
        rules.masked = data[0] & MASKED;
        script_frames(&wire, (struct input){data + 2, size - 2}, &rules);
    } else {
        bytes_add(&wire, data + 2, size - 2);
    }
    compare(&wire, data[0], data[1]);
    bytes_free(&wire);
    return 0;
}
