/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A FastCGI connection after the hand-off: STDIN records in, STDOUT records
 * out, on a descriptor that it makes non-blocking. Lives on one loop. Embedded
 * in its user, who keeps it alive until on_closed. Owns the descriptor and the
 * queue of bytes that the socket did not take; while idle it has no memory of
 * its own. Reads into the loop's scratch. It puts no cap on its queue: its user
 * asks before it sends.
 *
 *   fd ─► records ─► STDIN content ─► on_bytes
 *   fd ◄─ queue ◄─ STDOUT records ◄─ record_stream_send
 *
 * The first send of a loop turn is written at once; what follows in the same
 * turn is gathered and written together before the loop waits.
 */

#ifndef VOICE_RECORD_STREAM_H
#define VOICE_RECORD_STREAM_H

#include "base/loop.h"
#include "codec/fastcgi_record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct record_stream;

enum record_end {
    RECORD_END_FINISHED, /* empty STDIN */
    RECORD_END_ABORTED,  /* ABORT_REQUEST */
    RECORD_END_LOST,     /* end of file or an error of the socket */
    RECORD_END_PROTOCOL  /* not what FastCGI allows here */
};

/* Shared by all streams of a kind: static. A stream is the first member of its
 * user. */
struct record_stream_handlers {
    /* Content of STDIN, borrowed for the call. May send, finish, abort. */
    void (*on_bytes)(struct record_stream *rs, const uint8_t *data,
                     size_t bytes);
    /* Nothing more will come in; once at most. May run inside
     * record_stream_send. Must finish or abort, then or later. */
    void (*on_end)(struct record_stream *rs, enum record_end why);
    /* The queue got shorter. */
    void (*on_written)(struct record_stream *rs);
    /* Last call: after finish or abort, never from inside them. */
    void (*on_closed)(struct record_stream *rs);
};

struct record_queue;
struct record_linger;

struct record_stream {
    struct loop_watch watch;
    const struct record_stream_handlers *handlers;
    struct record_queue *queue; /* NULL: nothing waits */
    struct record_linger *linger;
    uint64_t stall_us;
    uint32_t last_turn;    /* loop turn of the last direct write */
    uint32_t content_left; /* of the record being read */
    struct fastcgi_decoder decoder;
    uint8_t padding_left;
    uint8_t type; /* of the record being read */
    uint8_t state;
    bool input_ended : 1;
    bool paused : 1;
    bool blocked : 1; /* the socket is full */
    bool keep : 1;    /* the descriptor outlives the stream */
};

/*
 * On the loop. Takes fd, also on failure. Reading starts; no handler runs
 * inside the call. 0 or UV_E*.
 */
int record_stream_open(struct record_stream *rs, struct loop *loop, int fd,
                       const struct record_stream_handlers *handlers);

/*
 * Sends the parts (at most RECORD_PARTS_MAX) as the content of as many records
 * as it takes; copies what is not written at once. 0; UV_EPIPE after finish,
 * abort or the loss of the peer; UV_ENOMEM.
 */
#define RECORD_PARTS_MAX 3
int record_stream_send(struct record_stream *rs, const struct iovec *parts,
                       unsigned count);

/* Stops and resumes on_bytes, but for what one read has brought already (at
 * most LOOP_SCRATCH_BYTES). Idempotent. */
void record_stream_pause(struct record_stream *rs, bool paused);

/*
 * Writes END_REQUEST behind what is queued, waits a bounded time for the peer
 * to have read it, closes. Idempotent.
 */
void record_stream_finish(struct record_stream *rs, uint32_t app_status);

/*
 * As finish, for a peer that uses its connection again: nothing is read any
 * more, and once END_REQUEST is written the stream ends with the descriptor
 * open. Only where STDIN had ended before the hand-off. Idempotent.
 */
void record_stream_finish_kept(struct record_stream *rs, uint32_t app_status);

/* In on_closed: the descriptor, now the user's; -1 when it is closed. */
int record_stream_kept_fd(const struct record_stream *rs);

/* It is the peer's turn to end: in that same time, or it is closed. */
void record_stream_hurry(struct record_stream *rs);

/* Closes now. Idempotent. */
void record_stream_abort(struct record_stream *rs);

/* The socket is full. */
bool record_stream_is_blocked(const struct record_stream *rs);
size_t record_stream_queued_bytes(const struct record_stream *rs);
/* Time that the socket was full so far. */
uint64_t record_stream_stall_us(const struct record_stream *rs);

#endif
