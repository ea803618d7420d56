/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The body of an answer on its way from curl to who asked: one coding undone,
 * counted against its cap, kept whole or told as it comes. Embedded in a call,
 * on the client's loop. Owns what is kept and zlib's state, and never more
 * inflated bytes than HTTP_BODY_PIECE beside what is kept. While it is paused,
 * or has told so much that the loop's others come first, it takes nothing: curl
 * holds what came and offers it again.
 */

#ifndef VOICE_HTTP_BODY_H
#define VOICE_HTTP_BODY_H

#include "base/buffer.h"
#include "codec/body_inflate.h"
#include "gate/http_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_BODY_PIECE 16384  /* inflated at once */
#define HTTP_BODY_TURN  262144 /* told, or little more, between two rests */
#define HTTP_BODY_WASTE 65536  /* coded bytes beyond the cap on plain ones */

struct http_body {
    const struct http_stream *stream; /* NULL: kept */
    void *arg;
    size_t max_bytes; /* 0: no cap */
    uint64_t bytes;   /* told or kept */
    struct buffer kept;
    struct body_inflate *inflate; /* NULL: as it comes */
    size_t taken;                 /* of what curl holds and will offer again */
    size_t told;                  /* since it rested */
    bool paused;                  /* its reader has had enough for now */
};

void http_body_init(struct http_body *b, const struct http_request *rq,
                    void *arg);
void http_body_deinit(struct http_body *b);

/* Before the first byte, where it is to be inflated. 0; UV_EPROTO: not known;
 * UV_ENOMEM. */
int http_body_open(struct http_body *b, enum body_coding coding);

/* 0; UV_EAGAIN: all of it is to be offered again, once it is neither paused
 * nor resting; UV_EMSGSIZE; UV_EPROTO: not what its coding says; UV_ENOMEM;
 * what on_bytes said. */
int http_body_push(struct http_body *b, const char *data, size_t bytes);

/* It has rested: the loop's others had a turn. */
void http_body_rested(struct http_body *b);

/* After the last byte. 0; UV_EPROTO: the coding has not come to its end. */
int http_body_finish(const struct http_body *b);

#endif
