/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One WebSocket client connection of the load client (RFC 6455; compressed
 * messages are passed on as they are). It shares no code with the programs it
 * measures. It answers pings, masks with a fresh mask a frame, never holds a
 * message, and keeps an unsent rest so that a slow server shows as a refused
 * send. Owns its descriptor.
 */

#ifndef BENCH_WS_H
#define BENCH_WS_H

#include "bench_loop.h"
#include "bench_tls.h"

#include <stddef.h>

enum bench_ws_state {
    BENCH_WS_CLOSED,
    BENCH_WS_CONNECTING, /* handshake not sent yet */
    BENCH_WS_SECURING,   /* TLS's own handshake */
    BENCH_WS_UPGRADING,  /* waits for the 101 */
    BENCH_WS_OPEN,
    BENCH_WS_CLOSING /* our Close is sent */
};

#define BENCH_WS_TEXT   1
#define BENCH_WS_BINARY 2
#define BENCH_WS_PACKED 0x40 /* RSV1, with one of them to bench_ws_send */
#define BENCH_WS_HEAD   4096 /* longest HTTP answer to a handshake */

struct bench_ws;

struct bench_ws_handler {
    void (*on_open)(struct bench_ws *ws);
    /* A piece of a message; first: of a new one, last: its end (bytes may be
     * 0). opcode is that of the message. */
    void (*on_piece)(struct bench_ws *ws, const uint8_t *data, size_t bytes,
                     bool first, bool last);
    /* The descriptor is gone. why: a sentence; expected: after our Close. */
    void (*on_closed)(struct bench_ws *ws, const char *why, bool expected);
};

struct bench_ws {
    const struct bench_ws_handler *handler;
    struct bench_loop *loop;
    const char *request; /* the handshake, borrowed for the life of it */
    int fd;
    uint32_t index;
    enum bench_ws_state state;
    char *head; /* HTTP answer so far, only while upgrading */
    size_t head_bytes;
    uint8_t frame[14]; /* a frame header so far */
    uint8_t frame_bytes;
    uint8_t opcode;  /* of the frame being read */
    uint8_t message; /* opcode of the message being read */
    bool secure;     /* set by the user: over TLS */
    struct bench_tls *tls;
    bool deflate; /* set by the user: a 101 must agree to it */
    bool packed;  /* the message being read is compressed */
    bool fin;
    bool piece_seen; /* of the message being read */
    uint64_t left;   /* payload bytes of the frame still to come */
    uint8_t control[125];
    uint8_t control_bytes;
    uint16_t close_code; /* received, 0: none */
    uint8_t *rest;       /* unsent */
    size_t rest_bytes;
    size_t rest_at;
    uint64_t began_ns;   /* connect() was called */
    bool stamped;        /* set by the user: the kernel says when bytes came */
    uint64_t arrived_ns; /* and so: those of on_piece, bench_wall_ns's clock */
    bool opened;         /* a 101 came */
    /* of the user: what it knows of its messages */
    bool set_up;
    uint32_t sent;
    uint32_t next;     /* sequence expected */
    uint8_t stamp[16]; /* head of the message being read */
    uint64_t have;     /* bytes of the message being read */
    bool wrong;        /* the message being read is not ours */
    uint8_t *whole;    /* the message being read, when it is kept */
};

/* Connects; `request` is a whole handshake with the key of
 * bench_ws_key. 0 or -errno, and then no handler is called. */
int bench_ws_open(struct bench_ws *ws, const struct bench_target *target);

/* Key for Sec-WebSocket-Key; the answer to it is checked. */
extern const char bench_ws_key[];

/* What epoll reported; handlers run inside. */
void bench_ws_event(struct bench_ws *ws, uint32_t mask);

/* Sends one frame, fin set. `payload` is masked in place and must have 14
 * writable bytes before it. -EAGAIN: the last one has not left yet, nothing
 * was taken; other -errno: the connection is closed. */
int bench_ws_send(struct bench_ws *ws, uint8_t opcode, uint8_t *payload,
                  size_t bytes);

/* Starts the closing handshake, or drops a connection that isn't open. */
void bench_ws_close(struct bench_ws *ws);

/* Drops it without a word; on_closed is called. */
void bench_ws_drop(struct bench_ws *ws, const char *why);

#endif
