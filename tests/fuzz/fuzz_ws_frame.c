/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds a byte stream to the frame decoder twice: in one piece, and in pieces
 * whose sizes the input chooses. Both must see the same frames, payloads
 * and end. First byte: masking and RSV allowance; second: seed of the sizes.
 */

#include "codec/ws_frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct trace {
    struct ws_decoder decoder;
    struct ws_frame frame;
    struct ws_utf8 utf8;
    uint64_t left;
    uint64_t sum; /* of everything that was seen */
    int end;      /* 0, or the close code */
};

static void
trace_add(struct trace *t, uint64_t value)
{
    t->sum = (t->sum ^ value) * UINT64_C(0x100000001b3);
}

static void
feed_payload(struct trace *t, const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes);

    if (copy == NULL)
        abort();
    memcpy(copy, data, bytes);
    ws_unmask(copy, copy, bytes, t->frame.mask);
    for (size_t i = 0; i < bytes; i++)
        trace_add(t, copy[i]);
    if (t->frame.message == WS_TEXT && !ws_utf8_push(&t->utf8, copy, bytes))
        t->end = WS_CLOSE_BAD_PAYLOAD;
    free(copy);
}

static void
feed_header(struct trace *t)
{
    uint8_t head[WS_HEADER_MAX];
    size_t bytes = ws_frame_encode(head, &t->frame);

    if (bytes != ws_frame_header_bytes(t->frame.payload_bytes, t->frame.masked))
        abort();
    for (size_t i = 0; i < bytes; i++)
        trace_add(t, head[i]);
    if (t->frame.opcode == WS_TEXT)
        ws_utf8_init(&t->utf8);
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
                t->end = -rc;
            if (rc <= 0)
                return;
            feed_header(t);
            take = (size_t) rc;
        } else {
            feed_payload(t, data, take);
            t->left -= take;
        }
        data += take;
        bytes -= take;
    }
}

static void
check_close(const uint8_t *data, size_t size)
{
    uint8_t out[WS_CONTROL_MAX];
    uint16_t code;

    if (ws_close_decode(data, size, &code) == 0 && size > 0
        && (ws_close_encode(out, code, (const char *) data + 2, size - 2)
                != size
            || memcmp(out, data, size) != 0))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = {0}, pieces = {0};
    unsigned seed;

    if (size < 2)
        return 0;
    check_close(data, size);
    ws_decoder_init(&whole.decoder, data[0] & 1, data[0] & WS_RSV_MASK);
    pieces = whole;
    seed = data[1];
    feed(&whole, data + 2, size - 2);
    for (size_t at = 2; at < size && pieces.end == 0;) {
        size_t piece = 1 + (seed = seed * 75 + 74) % 7;

        piece = piece < size - at ? piece : size - at;
        feed(&pieces, data + at, piece);
        at += piece;
    }
    if (whole.end != pieces.end)
        abort();
    if (whole.end == 0
        && (whole.sum != pieces.sum || whole.left != pieces.left))
        abort();
    return 0;
}
