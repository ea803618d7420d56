/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A WebSocket client (RFC 6455) over a curl_stream. One connection an object,
 * on one libuv loop, never blocking. Owns the stream, the message being
 * received and the frames that the socket did not take, both capped. Answers
 * pings. Knows no JSON.
 *
 *   curl_stream ─► handshake, then frames ─► on_message
 *   curl_stream ◄─ frames (masked) ◄─ ws_client_send
 */

#ifndef VOICE_WS_CLIENT_H
#define VOICE_WS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct ws_client;

struct ws_client_config {
    uv_loop_t *uv;
    const char *url;            /* ws:// or wss:// */
    const char *const *headers; /* "Name: value", NULL ends it; copied */
    const char *subprotocols;   /* "a, b", NULL: none; copied */
    const char *ca_file;        /* PEM; NULL: the system's */
    const char *proxy;          /* http://…; NULL: none */
    unsigned open_timeout_ms;   /* connect and handshake; 0: 10 s */
    size_t max_message_bytes;   /* received; 0: 32 MiB */
    size_t max_queue_bytes;     /* waiting to be sent; 0: 32 MiB */
};

struct ws_client_handlers {
    /* The handshake is done; subprotocol is "" when there is none. */
    void (*on_open)(void *arg, const char *subprotocol);
    /* A whole message, borrowed for the call. Text is valid UTF-8 and has a
     * NUL behind it. */
    void (*on_message)(void *arg, bool text, const uint8_t *data, size_t bytes);
    /* The queue is empty again after it was not. May be NULL. */
    void (*on_writable)(void *arg);
    /*
     * Last call, always made, never inside a call of this module. code: the
     * peer's close code, 1005 none given, 1006 never opened or lost; reason
     * says why, borrowed.
     */
    void (*on_closed)(void *arg, uint16_t code, const char *reason);
};

/* On the loop. 0; UV_EINVAL (url, headers), UV_ENOMEM. */
int ws_client_open(struct ws_client **cp, const struct ws_client_config *cfg,
                   const struct ws_client_handlers *handlers, void *arg);

/* Sends a message (copied). 0, UV_ENOBUFS (cap), UV_ENOTCONN (not open),
 * UV_ENOMEM. */
int ws_client_send(struct ws_client *c, bool text, const void *data,
                   size_t bytes);

/* Closing handshake (5 s at most), then on_closed. Idempotent. */
void ws_client_close(struct ws_client *c, uint16_t code, const char *reason);

/* Bytes that wait for the socket. */
size_t ws_client_queued_bytes(const struct ws_client *c);

/* HTTP status of the handshake's answer, 0 before it is there. */
unsigned ws_client_status(const struct ws_client *c);

/* A header of the handshake's answer; "" when it is not there. Until
 * on_open has returned. */
void ws_client_header(const struct ws_client *c, const char *name, char *out,
                      size_t bytes);

#endif
