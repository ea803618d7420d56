/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The client's side of a WebSocket handshake (RFC 6455, 4.1): writes the
 * request and judges the answer. No I/O; any thread; the struct is embedded by
 * its user. Offers no extension and refuses an answer that takes one.
 */

#ifndef VOICE_WS_HANDSHAKE_H
#define VOICE_WS_HANDSHAKE_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>

#define WS_HANDSHAKE_MAX 16384 /* bytes of the answer's head */

struct ws_handshake {
    char key[25];          /* Sec-WebSocket-Key */
    char subprotocol[128]; /* chosen, "" none */
    unsigned status;       /* of the answer, 0: none yet */
    size_t body_bytes;     /* Content-Length of a refusal */
    char error[96];        /* why it is refused */
};

struct ws_request {
    const char *authority;      /* Host header */
    const char *target;         /* path and query */
    const char *const *headers; /* "Name: value", NULL ends it; NULL: none */
    const char *subprotocols;   /* "a, b" or NULL */
};

/* Writes the request. 0; UV_EINVAL (a line break in a part), UV_ENOMEM. */
int ws_handshake_write(struct ws_handshake *h, const struct ws_request *rq,
                       struct buffer *out);

/*
 * Reads an answer: > 0 bytes of its head, the connection is a WebSocket; 0
 * the head goes on; UV_EPROTO refused, and `status` and `error` say why.
 */
int ws_handshake_read(struct ws_handshake *h, const struct ws_request *rq,
                      const char *data, size_t bytes);

/*
 * A header's value out of an answer's head; trimmed, cut to fit. Whether it
 * is there.
 */
bool ws_header_find(const char *head, size_t head_bytes, const char *name,
                    char *out, size_t out_bytes);

#endif
