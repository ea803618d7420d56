/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a stream says, read the slow way: whole, in one pass, by code that
 * shares nothing with what is fuzzed. Frames of RFC 6455 become tokens, so
 * that the same message in other fragments reads the same; FastCGI records
 * become the bytes that they carry. Ends the process when memory does. The
 * structs own their bytes; zeroed memory is an empty one.
 */

#ifndef FUZZ_READING_H
#define FUZZ_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* A fuzz target's assert. */
#define CHECK(ok)                                                              \
    do {                                                                       \
        if (!(ok))                                                             \
            abort();                                                           \
    } while (0)

struct bytes {
    uint8_t *data;
    size_t count, room;
};

void bytes_add(struct bytes *bytes, const void *data, size_t count);
void bytes_put(struct bytes *bytes, unsigned byte);
void bytes_free(struct bytes *bytes);

/* Bytes of messages, and between them what is no byte. */
enum { TOKEN_TEXT = 256, TOKEN_BINARY, TOKEN_PING, TOKEN_PONG, TOKEN_END };

struct tokens {
    uint16_t *items;
    size_t count, room;
};

void tokens_add(struct tokens *tokens, unsigned token);
void tokens_free(struct tokens *tokens);
bool tokens_begin_with(const struct tokens *tokens, const struct tokens *head);

/* What text there is, and whether it can still become UTF-8. */
struct text {
    uint8_t part[4]; /* of a character */
    unsigned have;
};

/* False: no character begins like that. */
bool text_push(struct text *text, uint8_t byte);

struct frames_rules {
    bool masked;
    bool any_text;      /* not checked for UTF-8 */
    bool inflate;       /* RSV1: a message is compressed (RFC 7692) */
    bool takeover;      /* with what the message before left behind */
    uint8_t bits;       /* of the window; 0: 15 */
    size_t message_max; /* bytes of a message; 0: no limit */
    uint8_t rsv;        /* bits that are let pass on a first frame */
};

#define FRAMES_CLOSED 1 /* by a sound close frame */

struct frames {
    struct tokens data;     /* TEXT or BINARY, bytes, END, ... */
    struct tokens controls; /* PING or PONG, bytes, END, ... */
    size_t sure;            /* tokens of data before the frame that ended it */
    size_t used;            /* bytes up to the end of the last whole frame */
    unsigned end;           /* 0 open, FRAMES_CLOSED, or a close code */
    bool packed;            /* which a compressed message got */
    uint8_t close[125];     /* payload of a sound close frame */
    size_t close_bytes;
    bool partial; /* ends within a frame */
};

void frames_read(struct frames *frames, const struct frames_rules *rules,
                 const uint8_t *data, size_t count);
void frames_free(struct frames *frames);

/* How FastCGI records end. */
enum records_end { RECORDS_OPEN, RECORDS_BAD, RECORDS_ENDED };

/*
 * Records of request 1, in one direction. Those of `type` give content; `last`
 * ends the stream, if it is the same type an empty one does; those of `other`
 * are passed over; any other is bad.
 */
struct records_rules {
    uint8_t type, last, other;
    bool other_ends; /* it ends the stream, too */
    bool hasty;      /* the first byte of a header is enough to be bad */
};

struct records {
    struct bytes content;
    enum records_end end;
    size_t used; /* bytes up to the end of the last whole record */
    size_t count, others;
    bool aligned; /* each a multiple of 8 bytes, none over 65528 */
    bool partial;
};

void records_read(struct records *records, const struct records_rules *rules,
                  const uint8_t *data, size_t count);
void records_free(struct records *records);

#endif
