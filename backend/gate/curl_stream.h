/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A stream of bytes to a server, TLS or not, over a proxy or not: libcurl
 * connects and en- and decrypts. One connection an object, on one libuv loop,
 * never blocking. Owns the curl handles and the queue of bytes that the socket
 * did not take; the user caps the queue by looking at its size.
 *
 *   socket ─► curl_easy_recv ─► on_bytes
 *   socket ◄─ curl_easy_send ◄─ chunks ◄─ curl_stream_push
 */

#ifndef VOICE_CURL_STREAM_H
#define VOICE_CURL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct curl_stream;

struct curl_stream_config {
    uv_loop_t *uv;
    const char *url;     /* http:// or https://, where to connect to */
    const char *ca_file; /* PEM; NULL: the system's */
    const char *proxy;   /* http://[user:password@]host:port; NULL: none */
};

enum curl_stream_fault {
    CURL_STREAM_NO_NAME,    /* the host's or the proxy's */
    CURL_STREAM_NO_CONNECT, /* refused, unreachable, timed out */
    CURL_STREAM_NO_PROXY,   /* the proxy said no to CONNECT */
    CURL_STREAM_NO_TLS,     /* certificate refused, or no TLS there */
    CURL_STREAM_BROKEN      /* after it was connected: ended or broken */
};

struct curl_stream_handlers {
    void (*on_connected)(void *arg);
    /* Borrowed for the call. */
    void (*on_bytes)(void *arg, const uint8_t *data, size_t bytes);
    /* The queue is empty again after it was not. */
    void (*on_drained)(void *arg);
    /* It can't go on; the user closes it. Called once. */
    void (*on_lost)(void *arg, enum curl_stream_fault fault, const char *why);
    /* Last call, always made, never inside a call of this module; the stream
     * is gone. */
    void (*on_closed)(void *arg);
};

/* Once a process, before the first thread, and at its end. 0 or UV_EIO. */
int curl_stream_library_open(void);
void curl_stream_library_close(void);

/* On the loop. 0; UV_EINVAL (proxy), UV_ENOMEM. Certificates are always
 * verified, name and date. */
int curl_stream_open(struct curl_stream **sp,
                     const struct curl_stream_config *cfg,
                     const struct curl_stream_handlers *handlers, void *arg);

/*
 * Room for bytes at the end of the queue; to be filled at once and flushed.
 * NULL: no memory. Once connected.
 */
uint8_t *curl_stream_push(struct curl_stream *s, size_t bytes);

/* Gives the socket what it takes; a fault is told by on_lost, later. */
void curl_stream_flush(struct curl_stream *s);

/* Stops and goes on with reading. A connection that ends meanwhile is told
 * when reading goes on. Idempotent. */
void curl_stream_pause(struct curl_stream *s, bool paused);

/* No handler but on_closed follows. Idempotent. Not from on_closed. */
void curl_stream_close(struct curl_stream *s);

size_t curl_stream_queued_bytes(const struct curl_stream *s);

#endif
