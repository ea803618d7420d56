/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * HTTP requests to servers elsewhere: libcurl's multi interface on one loop,
 * HTTP/2 where the server speaks it, connections kept for the next request.
 * One client a process: its limits are the process's. Owns the connections,
 * the caches of names and of TLS sessions, and each request from
 * http_client_send to its answer. Requests come from any thread; answers are
 * told on the client's loop. Follows no redirect, keeps no cookie, reads no
 * proxy from the environment, speaks http and https alone and trusts no
 * certificate that doesn't verify. A kept connection that turns out dead before
 * a byte of the answer came is replaced and the request sent again, as RFC 9110
 * 9.2.2 has it. Never logs a header, a body or a query.
 */

#ifndef VOICE_HTTP_CLIENT_H
#define VOICE_HTTP_CLIENT_H

#include "base/loop.h"

#include <stddef.h>
#include <stdint.h>

struct http_client;
struct http_call;

#define HTTP_CLIENT_CALLS_MAX  1024     /* unanswered at once */
#define HTTP_CLIENT_BODY_MAX   67108864 /* bytes of one request's body */
#define HTTP_CLIENT_ANSWER_MAX 1048576  /* of an answer's, if not said */
#define HTTP_CLIENT_HEADER_MAX 65536    /* bytes of one answer's headers */

/* curl_stream_library_open must have been called. `http` of voiced.conf. */
struct http_client_config {
    struct loop *loop;
    uint64_t keepalive;    /* idle connections kept */
    uint64_t max;          /* connections at once */
    uint64_t idle_ms;      /* an idle connection is closed; whole seconds */
    uint64_t connect_ms;   /* name, TCP, proxy and TLS together */
    uint64_t read_ms;      /* no byte of the answer for so long */
    uint64_t write_ms;     /* no byte of the body taken for so long */
    uint64_t pool_wait_ms; /* for a free connection, or a stream on one */
};

struct http_header {
    const char *name, *value;
};

struct http_request {
    const char *method; /* "POST": upper-case letters */
    const char *url;    /* http:// or https://, no user in it */
    const struct http_header *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_bytes;
    size_t max_answer_bytes; /* of its body; 0: HTTP_CLIENT_ANSWER_MAX */
    const char *ca_file;     /* PEM of who may sign; NULL or "": system's */
    const char *proxy;       /* http://[user:password@]host:port; NULL, "" */
};

/* Borrowed for the call of the handler. */
struct http_response {
    /*
     * 0: the server answered, with whatever status. UV_ECANCELED: taken back,
     * or the client was closed. UV_ETIMEDOUT: `why` names the limit that was
     * met: "pool", "connect", "write", "read". UV_EAI_NONAME: no such host.
     * UV_ECONNREFUSED: no connection. UV_EACCES: its certificate isn't
     * trusted. UV_EMSGSIZE: the answer is too large. UV_ECONNRESET: it broke
     * off. UV_EPROTO: no HTTP. UV_ENOMEM, UV_EIO.
     */
    int error;
    const char *why;  /* for a log; never NULL, no secret in it */
    unsigned status;  /* 100-999, 0 with an error */
    const char *body; /* NUL-terminated; "" with an error */
    size_t body_bytes;
    struct http_call *call; /* for http_response_header */
};

/* Once a request, on the client's loop, never inside http_client_send or
 * http_call_cancel. May send and cancel; may not block. */
typedef void http_done_h(void *arg, const struct http_response *rs);

/* Any thread; the loop may run already or not yet. 0 or UV_ENOMEM. */
int http_client_create(struct http_client **cp,
                       const struct http_client_config *cfg);

/*
 * Any thread, once nobody sends any more; takes the client. Requests without
 * an answer are told UV_ECANCELED on the loop, connections closed; both before
 * a loop_destroy that follows has returned.
 */
void http_client_close(struct http_client **cp);

/*
 * Any thread. Everything is copied. With `call` the caller is given a share of
 * the request, to cancel it with, and gives it back by http_call_cancel or
 * http_call_put; NULL: not wanted. UV_EINVAL: method, URL or a header is not
 * well-formed; UV_EMSGSIZE: the body is too large; UV_ENOBUFS: too many
 * requests wait; UV_ECANCELED: from within a `done` as the client closes;
 * UV_ENOMEM. After an error `done` is not called.
 */
int http_client_send(struct http_client *c, const struct http_request *rq,
                     http_done_h *done, void *arg, struct http_call **call);

/* Any thread, also when it was answered meanwhile. Both take the share.
 * Cancelled: `done` follows with UV_ECANCELED unless it is already told. */
void http_call_cancel(struct http_call **call);
void http_call_put(struct http_call **call);

/* First header of that name, in any case; NULL: none. From within `done`,
 * valid until the next question. */
const char *http_response_header(const struct http_response *rs,
                                 const char *name);

#endif
