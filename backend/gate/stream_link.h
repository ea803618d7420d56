/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One WebSocket session after the hand-off: FastCGI records on a descriptor,
 * WebSocket frames (no mask, no extension bits) inside them. Lives on one
 * loop, embedded in its user, who keeps it alive until on_closed. Owns the
 * descriptor, the assembly buffer of the message being received (capped, and
 * counted against a process-wide budget) and the queue of messages that the
 * socket did not take; has no memory of its own while idle. Knows no JSON.
 *
 *   fd ─► records ─► frames ─► on_message        (up)
 *   fd ◄─ records ◄─ frames ◄─ stream_link_send  (down)
 */

#ifndef VOICE_STREAM_LINK_H
#define VOICE_STREAM_LINK_H

#include "codec/ws_frame.h"
#include "gate/record_stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stream_opcode { STREAM_TEXT = 1, STREAM_BINARY = 2 };

struct stream_link;

struct stream_link_config {
    struct loop *loop;
    int fd;                   /* taken: closed by the link, also on failure */
    const char *id;           /* for the log; borrowed while the link is */
    size_t max_message_bytes; /* up; beyond: close 1009 */
    size_t down_high_bytes;   /* queue above this: stream_link_is_full */
    size_t down_max_bytes;    /* queue above this: send fails UV_ENOBUFS */
};

/* Handlers are shared by links: static. Any but on_closed may be NULL. */

struct stream_link_handlers {
    /* A whole message; borrowed for the call. Text is valid UTF-8 (NGINX
     * checked it). The handler may send and may close. */
    void (*on_message)(void *arg, enum stream_opcode opcode,
                       const uint8_t *data, size_t bytes);
    /* NGINX measured the client's round trip. */
    void (*on_rtt)(void *arg, uint32_t rtt_us);
    /* NGINX will end this session in at most that many milliseconds. */
    void (*on_drain)(void *arg, uint32_t ms);
    /* The queue fell below half of down_high_bytes after being full. */
    void (*on_writable)(void *arg);
    /* The socket took no more for a while, and has taken all now. */
    void (*on_drained)(void *arg);
    /*
     * Last call, always made, never from inside stream_link_open or
     * stream_link_close. code: the client's close code, or 1005 none given,
     * 1006 lost (abort, EOF, or STDIN that ended without a close frame), 1002
     * our peer broke the protocol; or the code that we closed with. reason is
     * never NULL; borrowed for the call. The link may be freed inside it.
     */
    void (*on_closed)(void *arg, uint16_t code, const char *reason);
};

struct stream_link_stats {
    uint64_t up_messages, down_messages, up_bytes, down_bytes;
    uint64_t stall_us; /* time the down queue was not empty */
};

/* Most bytes of all messages being assembled, of all links of the process;
 * beyond: close 1013. Before the first link; the default is 256 MiB. */
void stream_link_set_budget(size_t bytes);

struct stream_link_part;

struct stream_link {
    struct record_stream records;
    const struct stream_link_handlers *handlers;
    void *arg;
    const char *id;
    struct stream_link_part *part; /* NULL: nothing is half there */
    char *reason;                  /* for on_closed, NULL: "" */
    uint64_t up_bytes, down_bytes;
    uint32_t up_messages, down_messages;
    uint32_t max_message_bytes;
    uint32_t down_high_bytes;
    uint32_t down_max_bytes;
    uint32_t payload_left; /* of the frame being read */
    struct ws_decoder decoder;
    uint16_t code;   /* for on_closed */
    uint8_t opcode;  /* of the frame being read */
    uint8_t message; /* kind of the message it is part of */
    uint8_t state;
    bool in_frame : 1;
    bool fin : 1;
    bool was_full : 1;
    bool was_stalled : 1;
};

/* On the loop. 0 or UV_E*: there will be no on_closed. */
int stream_link_open(struct stream_link *link,
                     const struct stream_link_config *cfg,
                     const struct stream_link_handlers *handlers, void *arg);

/* Sends a message; copies what the socket does not take at once. 0,
 * UV_ENOBUFS (nothing was queued), UV_EPIPE after close. */
int stream_link_send(struct stream_link *link, enum stream_opcode opcode,
                     const void *data, size_t bytes);

/* Stops / resumes reading from the client (backpressure up). Idempotent. What
 * one read has brought already (at most LOOP_SCRATCH_BYTES) still comes. */
void stream_link_pause(struct stream_link *link, bool paused);

/* Close frame with code and reason (cut to 123 bytes), END_REQUEST, and later
 * on_closed. Idempotent: the first code wins. */
void stream_link_close(struct stream_link *link, uint16_t code,
                       const char *reason);

bool stream_link_is_full(const struct stream_link *link);
/* The socket takes no more at the moment: what is sent waits. */
bool stream_link_is_stalled(const struct stream_link *link);
size_t stream_link_queued_bytes(const struct stream_link *link);
void stream_link_get_stats(const struct stream_link *link,
                           struct stream_link_stats *out);

#endif
