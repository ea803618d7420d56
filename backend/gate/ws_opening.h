/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The opening of a WebSocket client, from its URL to the answer's last byte:
 * what the request says, and what the answer means. A refusal is read to its
 * body's end, so that the user can tell why. No I/O, no clock; one thread at a
 * time; embedded by its user. Owns the request's texts and the answer's bytes,
 * both capped.
 */

#ifndef VOICE_WS_OPENING_H
#define VOICE_WS_OPENING_H

#include "base/buffer.h"
#include "gate/ws_handshake.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WS_OPENING_BODY_MAX 2048 /* bytes kept of a refusal's body */

struct ws_opening {
    char *target, *authority, *subprotocols;
    char **headers;
    struct ws_handshake handshake;
    struct buffer answer;
    size_t head_bytes; /* of the answer, once it is whole */
    char body[WS_OPENING_BODY_MAX + 1];
};

enum ws_opening_state {
    WS_OPENING_MORE,    /* the answer goes on */
    WS_OPENING_OPEN,    /* it is a WebSocket */
    WS_OPENING_REFUSED, /* another status than 101; its body is here */
    WS_OPENING_BAD      /* no answer to a handshake; handshake.error */
};

struct ws_opening_config {
    const char *url;
    const char *const *headers; /* "Name: value", NULL ends it; NULL: none */
    const char *subprotocols;   /* NULL: none */
};

/*
 * Copies all. 0, and *connect_url (the caller frees it) is http:// or https://
 * and where to connect to; UV_EINVAL (not ws:// or wss://, a user name, a line
 * break); UV_ENOMEM. To be deinitialised in any case.
 */
int ws_opening_init(struct ws_opening *o, const struct ws_opening_config *cfg,
                    char **connect_url);
void ws_opening_deinit(struct ws_opening *o);

/* Writes the request. 0 or UV_ENOMEM. */
int ws_opening_request(struct ws_opening *o, struct buffer *out);

/* Takes bytes of the answer. */
enum ws_opening_state ws_opening_push(struct ws_opening *o, const void *data,
                                      size_t bytes);

/* The answer ends here, whole or not. Never MORE, never OPEN. */
enum ws_opening_state ws_opening_finish(struct ws_opening *o);

/* OPEN: what came behind the head. Borrowed until ws_opening_drop. */
const uint8_t *ws_opening_rest(const struct ws_opening *o, size_t *bytes);

/* The answer's bytes are no longer wanted. */
void ws_opening_drop(struct ws_opening *o);

/* A header of the answer; "" when it is not there or dropped. */
void ws_opening_header(const struct ws_opening *o, const char *name, char *out,
                       size_t bytes);

#endif
