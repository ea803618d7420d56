/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An answer that is made in one place and sent in another: by whoever heard
 * the upstream, for the request thread that has the parked request. A plain
 * value; owns its body.
 */

#ifndef VOICE_API_REPLY_H
#define VOICE_API_REPLY_H

#include "api/api_answer.h"

#define API_REPLY_HEADERS     3
#define API_REPLY_VALUE_BYTES 192

struct api_reply_header {
    const char *name; /* a literal */
    char value[API_REPLY_VALUE_BYTES];
};

struct api_reply {
    unsigned status;
    const char *type; /* a literal; NULL: no body */
    char *body;       /* malloc'ed */
    size_t bytes;
    struct api_reply_header headers[API_REPLY_HEADERS];
    size_t header_count;
};

/* An error in the API's shape, its `type` by the status as api_error has it.
 * The texts are copied; param may be NULL. What was in the reply is freed. */
void api_reply_error(struct api_reply *reply, unsigned status, const char *code,
                     const char *message, const char *param);

/* A body, copied. false: no memory, the reply is a 503. */
bool api_reply_body(struct api_reply *reply, unsigned status, const char *type,
                    const char *body, size_t bytes);

/* One more header; a value that is too long leaves it out. */
void api_reply_add_header(struct api_reply *reply, const char *name,
                          const char *value);

/* rq is gone; the reply is empty. */
void api_reply_send(struct api_reply *reply, struct gate_request *rq);

void api_reply_deinit(struct api_reply *reply);

#endif
