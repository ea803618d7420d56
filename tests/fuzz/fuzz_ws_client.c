/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a server may send a WebSocket client of ours: an answer to the
 * handshake, then frames. The first byte says in which pieces it comes; in
 * pieces or at once, the same must come of it.
 */

#include "gate/crypto.h"
#include "gate/ws_opening.h"
#include "gate/ws_receiver.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX   60000 /* below the opening's cap: that one is a cut */
#define MESSAGE_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum ws_opening_state state;
    unsigned status;
    char body[WS_OPENING_BODY_MAX + 1];
    int frames; /* 0, or the close code of a bad frame */
    unsigned count;
    uint8_t digest[CRYPTO_SHA256_BYTES]; /* of all messages, chained */
};

static void
require(bool holds)
{
    if (!holds)
        abort();
}

static void
message_note(struct outcome *out, const struct ws_received *got)
{
    uint8_t text[CRYPTO_SHA256_BYTES + 2 + MESSAGE_MAX];

    require(got->bytes <= MESSAGE_MAX);
    require(got->kind != WS_RECEIVED_MESSAGE || got->data[got->bytes] == 0);
    out->count++;
    memcpy(text, out->digest, CRYPTO_SHA256_BYTES);
    text[CRYPTO_SHA256_BYTES] = (uint8_t) got->kind;
    text[CRYPTO_SHA256_BYTES + 1] = got->text;
    memcpy(text + CRYPTO_SHA256_BYTES + 2, got->data, got->bytes);
    crypto_sha256(text, CRYPTO_SHA256_BYTES + 2 + got->bytes, out->digest);
}

static void
frames_read(struct ws_receiver *r, const uint8_t *data, size_t bytes,
            struct outcome *out)
{
    struct ws_received got;

    while (bytes && !out->frames) {
        ssize_t used = ws_receiver_push(r, data, bytes, &got);
        require(used != 0 && used <= (ssize_t) bytes);
        if (used < 0) {
            out->frames = (int) -used;
            return;
        }
        if (got.kind != WS_RECEIVED_NONE)
            message_note(out, &got);
        data += used;
        bytes -= (size_t) used;
    }
}

static void
piece_take(struct ws_opening *o, struct ws_receiver *r, const uint8_t *data,
           size_t bytes, struct outcome *out)
{
    if (out->state == WS_OPENING_OPEN) {
        frames_read(r, data, bytes, out);
        return;
    }
    if (out->state != WS_OPENING_MORE)
        return;
    out->state = ws_opening_push(o, data, bytes);
    if (out->state != WS_OPENING_OPEN)
        return;
    const uint8_t *rest = ws_opening_rest(o, &bytes);
    frames_read(r, rest, bytes, out);
    ws_opening_drop(o);
}

static void
read_in(const uint8_t *data, size_t size, size_t step, struct outcome *out)
{
    const struct ws_opening_config cfg = {.url = "wss://h:1/x?y=z",
                                          .subprotocols = "realtime"};
    struct ws_opening o;
    struct ws_receiver r;
    struct buffer request;
    char *url = NULL;

    memset(out, 0, sizeof(*out));
    require(ws_opening_init(&o, &cfg, &url) == 0);
    free(url);
    buffer_init(&request, 4096);
    require(ws_opening_request(&o, &request) == 0);
    buffer_deinit(&request);
    /* The RFC's own example, so that an input may hold the right answer. */
    memcpy(o.handshake.key, "dGhlIHNhbXBsZSBub25jZQ==", 25);
    ws_receiver_init(&r, MESSAGE_MAX);
    for (size_t at = 0; at < size; at += step)
        piece_take(&o, &r, data + at, size - at < step ? size - at : step, out);
    if (out->state == WS_OPENING_MORE)
        out->state = ws_opening_finish(&o);
    out->status = out->state == WS_OPENING_BAD ? 0 : o.handshake.status;
    memcpy(out->body, o.body, sizeof(out->body));
    ws_receiver_deinit(&r);
    ws_opening_deinit(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, pieces;

    if (size < 2 || size > INPUT_MAX)
        return 0;
    read_in(data + 1, size - 1, size, &whole);
    read_in(data + 1, size - 1, (size_t) data[0] + 1, &pieces);
    require(whole.state != WS_OPENING_MORE);
    require(whole.state == pieces.state && whole.status == pieces.status);
    require(strcmp(whole.body, pieces.body) == 0);
    require(strlen(whole.body) <= WS_OPENING_BODY_MAX);
    require(whole.frames == pieces.frames && whole.count == pieces.count);
    require(memcmp(whole.digest, pieces.digest, CRYPTO_SHA256_BYTES) == 0);
    return 0;
}
