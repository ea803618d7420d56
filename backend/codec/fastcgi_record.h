/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * FastCGI 1.0 records: a decoder of record headers that takes any split of the
 * byte stream, and encoders. Pure: no I/O, no clock, no allocation, any
 * thread. Owns nothing; never sees content. Lengths are 32 bits wide, so that
 * content + padding can't wrap.
 */

#ifndef VOICE_FASTCGI_RECORD_H
#define VOICE_FASTCGI_RECORD_H

#include <stddef.h>
#include <stdint.h>

/* FastCGI Specification, section 8. */
enum fastcgi_type {
    FASTCGI_BEGIN_REQUEST = 1,
    FASTCGI_ABORT_REQUEST = 2,
    FASTCGI_END_REQUEST = 3,
    FASTCGI_PARAMS = 4,
    FASTCGI_STDIN = 5,
    FASTCGI_STDOUT = 6,
    FASTCGI_STDERR = 7
};

enum fastcgi_status {
    FASTCGI_REQUEST_COMPLETE = 0,
    FASTCGI_CANT_MPX_CONN = 1,
    FASTCGI_OVERLOADED = 2,
    FASTCGI_UNKNOWN_ROLE = 3
};

#define FASTCGI_HEADER_BYTES 8
#define FASTCGI_END_BYTES    16
/* Most content that we put into a record: the largest multiple of 8. */
#define FASTCGI_CONTENT_MAX 65528u

struct fastcgi_record {
    uint32_t content_bytes; /* 0…65535 */
    uint32_t padding_bytes; /* 0…255 */
    uint16_t request_id;
    uint8_t type; /* as on the wire; may be none of enum fastcgi_type */
};

/* Zeroed memory is a fresh one. */
struct fastcgi_decoder {
    uint8_t head[FASTCGI_HEADER_BYTES];
    uint8_t have;
};

/*
 * Takes bytes up to the end of one record header; must not be fed content or
 * padding. > 0: it ended after that many bytes of `data`, *record is filled.
 * 0: every byte was taken and the header goes on. < 0: UV_EPROTO, not
 * FastCGI 1; the stream can't go on.
 */
int fastcgi_decoder_push(struct fastcgi_decoder *decoder, const uint8_t *data,
                         size_t bytes, struct fastcgi_record *record);

/* Padding that brings content to a multiple of 8. */
static inline uint32_t
fastcgi_padding(uint32_t content_bytes)
{
    return (8 - content_bytes % 8) % 8;
}

/* Writes FASTCGI_HEADER_BYTES for request id 1, padded by fastcgi_padding.
 * content_bytes is at most FASTCGI_CONTENT_MAX. */
void fastcgi_header_encode(uint8_t *out, enum fastcgi_type type,
                           uint32_t content_bytes);

/* Writes FASTCGI_END_BYTES: a whole END_REQUEST record for request id 1. */
void fastcgi_end_encode(uint8_t *out, uint32_t app_status,
                        enum fastcgi_status status);

#endif
