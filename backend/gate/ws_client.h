/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A WebSocket client (RFC 6455) over a curl_stream. One connection an object,
 * on one libuv loop, never blocking. Owns the stream, the message being
 * received and the frames that the socket did not take, both capped. Answers
 * pings, sends its own, and gives up a server that has gone silent. Knows no
 * JSON; headers and the proxy's password are in no log line and no reason.
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

/* Why it did not open or was lost; the peer's close is no fault. */
enum ws_client_fault {
    WS_FAULT_NONE,
    WS_FAULT_RESOLVE, /* no such name */
    WS_FAULT_CONNECT, /* refused, unreachable */
    WS_FAULT_PROXY,   /* the proxy said no */
    WS_FAULT_TLS,     /* certificate: name, date, issuer; or no TLS at all */
    WS_FAULT_TIMEOUT, /* of opening */
    WS_FAULT_STATUS,  /* an HTTP answer other than 101: ws_client_status */
    WS_FAULT_ANSWER,  /* no proper answer to the handshake */
    WS_FAULT_FRAME,   /* a bad frame, or one beyond the cap */
    WS_FAULT_SILENT,  /* nothing, not even a pong, for read_timeout_ms */
    WS_FAULT_LOST     /* the connection broke */
};

struct ws_client_config {
    uv_loop_t *uv;
    const char *url;            /* ws:// or wss:// */
    const char *const *headers; /* "Name: value", NULL ends it; copied */
    const char *subprotocols;   /* "a, b", NULL: none; copied */
    const char *ca_file;        /* PEM; NULL: the system's */
    const char *proxy;          /* http://[user:password@]host:port; NULL */
    unsigned open_timeout_ms;   /* connect and handshake; 0: 10 s */
    size_t max_message_bytes;   /* received; 0: 32 MiB */
    size_t max_queue_bytes;     /* waiting to be sent; 0: 32 MiB */
    unsigned ping_interval_ms;  /* own pings; 0 none */
    unsigned read_timeout_ms;   /* silence that is a death; 0 none */
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
     * peer's close code, 1005 none given, 1006 never opened or lost, or the
     * code that a bad frame was answered with; reason says why, borrowed. The
     * questions below may still be asked.
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

/*
 * Stops and goes on with reading the socket, so that TCP holds the server
 * back. What was read already may still come: 16 KiB at most. Silence is not
 * judged meanwhile. Idempotent.
 */
void ws_client_pause(struct ws_client *c, bool paused);

/* Bytes that wait for the socket. */
size_t ws_client_queued_bytes(const struct ws_client *c);

/* HTTP status of the handshake's answer, 0 before it is there. */
unsigned ws_client_status(const struct ws_client *c);

/* Of a refused handshake: the first WS_REFUSAL_MAX bytes of the answer's body,
 * "" when there is none. */
#define WS_REFUSAL_MAX 2048
const char *ws_client_refusal(const struct ws_client *c);

enum ws_client_fault ws_client_fault(const struct ws_client *c);

/* A header of the handshake's answer; "" when it is not there. In on_open,
 * and in on_closed of a refused handshake. */
void ws_client_header(const struct ws_client *c, const char *name, char *out,
                      size_t bytes);

#endif
