/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An HTTP request to an upstream's API: http_client with the upstream's key,
 * headers, CA and proxy. Any thread; owns nothing. The key is in the request's
 * headers alone.
 */

#ifndef VOICE_UPSTREAM_REQUEST_H
#define VOICE_UPSTREAM_REQUEST_H

#include "gate/http_client.h"
#include "model/upstream.h"

#define UPSTREAM_ANSWER_MAX 1048576 /* bytes of an answer that are read */

struct upstream_request {
    const struct upstream *to;
    const char *url; /* of it, upstream_calls_url and the like */
    const char *type;
    const char *accept;
    const char *bearer;    /* a minted secret of it; NULL: its key */
    const char *safety_id; /* NULL or "": none */
    const void *body;
    size_t bytes;
};

/* POSTs it; everything is copied. 0 and `done` will run (http_done_h); or as
 * http_client_send: it will not. */
int upstream_request_send(struct http_client *http,
                          const struct upstream_request *rq, http_done_h *done,
                          void *arg);

/* Ends a call there; nobody hears how it went. */
void upstream_request_hangup(struct http_client *http,
                             const struct upstream *to, const char *call_id);

#endif
