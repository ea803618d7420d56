/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A request body's content coding (RFC 9110, section 8.4.1) undone: gzip of
 * one or more members (RFC 1952), deflate as zlib (RFC 1950) or, as some
 * clients send it, raw (RFC 1951). It makes at most `room` bytes a call,
 * whatever comes in, and checks its limits after each; so what it owns (the
 * state and zlib's, 42 KB at most, by the given allocator) is all the memory
 * there is to a body of any size. One object is one body; any thread, one at a
 * time. It refuses: bytes behind the end (zeros too), an end that is missing,
 * a preset dictionary, several codings.
 */

#ifndef VOICE_BODY_INFLATE_H
#define VOICE_BODY_INFLATE_H

#include <stddef.h>
#include <stdint.h>

enum body_coding { BODY_IDENTITY, BODY_GZIP, BODY_DEFLATE, BODY_UNKNOWN };

enum body_result {
    BODY_NEED_INPUT, /* all input is taken, nothing waits for room */
    BODY_NEED_ROOM,  /* the room is full and there may be more */
    BODY_CORRUPT,
    BODY_TOO_LARGE, /* beyond bytes_max or ratio_max */
    BODY_NO_MEMORY
};

/* The ratio counts from here on: short texts of one letter are no bombs. */
#define BODY_RATIO_FREE 65536

struct body_inflate;

struct body_inflate_config {
    enum body_coding coding; /* BODY_GZIP or BODY_DEFLATE */
    uint64_t bytes_max;      /* of the inflated body; 0: no limit */
    uint64_t ratio_max;      /* inflated to received bytes; 0: no limit */
    void *(*alloc)(void *arg, size_t bytes); /* NULL when there is none */
    void (*release)(void *arg, void *memory);
    void *arg;
};

/* Where to read and where to write; body_inflate_push moves all four on. */
struct body_span {
    const uint8_t *in;
    size_t in_bytes;
    uint8_t *out;
    size_t room;
};

/*
 * The coding after one more Content-Encoding field line (its value; lists are
 * taken apart, case does not matter, identity and empty elements count
 * nothing), where the lines before gave `so_far`. Two codings are unknown.
 */
enum body_coding body_coding_add(enum body_coding so_far, const char *value,
                                 size_t bytes);

/* BODY_NEED_INPUT and the object (the caller owns it), or BODY_NO_MEMORY. */
enum body_result body_inflate_create(struct body_inflate **bp,
                                     const struct body_inflate_config *cfg);

/* NULL is nothing. */
void body_inflate_destroy(struct body_inflate *b);

/* Goes on until the input is taken or the room is full. What was written
 * before an error is not to be used. After an error only destroy. */
enum body_result body_inflate_push(struct body_inflate *b,
                                   struct body_span *span);

/* After the last byte: BODY_NEED_INPUT when the body is whole and checked,
 * else BODY_CORRUPT; a body of no bytes is not whole. */
enum body_result body_inflate_finish(struct body_inflate *b);

uint64_t body_inflate_received(const struct body_inflate *b);
uint64_t body_inflate_made(const struct body_inflate *b);

/* What was wrong, for a log; static text, never of the body. */
const char *body_inflate_problem(const struct body_inflate *b);

#endif
