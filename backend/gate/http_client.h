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
 * 9.2.2 has it. A streamed answer is told as it comes, with a connection of
 * HTTP/1.1 to itself while it lasts: pausing it holds up no other. A guarded
 * request has a connection that was opened for it, to an address the guard let
 * through, and leaves it to nobody. Never logs a header, a body or a query.
 */

#ifndef VOICE_HTTP_CLIENT_H
#define VOICE_HTTP_CLIENT_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_call;
struct http_client;
struct http_response;
struct sockaddr;

#define HTTP_CLIENT_CALLS_MAX  1024     /* unanswered at once */
#define HTTP_CLIENT_BODY_MAX   67108864 /* bytes of one request's body */
#define HTTP_CLIENT_ANSWER_MAX 1048576  /* of an answer's, if not said */
#define HTTP_CLIENT_HEADER_MAX 65536    /* bytes of one answer's headers */
#define HTTP_CLIENT_NEVER      UINT64_MAX

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

/* The answer as it comes, on the loop, inside curl: may send, pause and cancel.
 * 0; or the UV_E* that ends the call, which `done` is then told. */
struct http_stream {
    /* Status and headers are here; once, before the body. NULL: not wanted.
     * rs->body is "". */
    int (*on_head)(void *arg, const struct http_response *rs);
    int (*on_bytes)(void *arg, const char *data, size_t bytes);
};

/* May a socket be opened to it? 0, or a UV_E*: then the host's next address is
 * tried, and where all are refused `done` is told it. On the loop. */
typedef int http_guard_h(void *arg, const struct sockaddr *address);

struct http_request {
    const char *method; /* "POST": upper-case letters */
    const char *url;    /* http:// or https://, no user in it */
    const struct http_header *headers;
    size_t header_count;
    const void *body; /* NULL: none */
    size_t body_bytes;
    size_t max_answer_bytes; /* of its body, inflated; 0: streamed no limit,
                                else HTTP_CLIENT_ANSWER_MAX */
    const char *ca_file;     /* PEM of who may sign; NULL or "": system's */
    const char *proxy;       /* http://[user:password@]host:port; NULL, "" */
    uint64_t total_ms;       /* from sending to the last byte; 0: no limit */
    uint64_t read_ms; /* 0: the client's; HTTP_CLIENT_NEVER: silence is fine */
    bool inflates;    /* asks for gzip and deflate, and undoes one of them */
    const struct http_stream *stream; /* outlives the call; NULL: kept whole */
    http_guard_h *guard;              /* not with a proxy; NULL: none */
    void *guard_arg;                  /* outlives the call */
};

/* Borrowed for the call of the handler. */
struct http_response {
    /*
     * 0: the server answered, with whatever status. UV_ECANCELED: taken back,
     * or the client was closed. UV_ETIMEDOUT: `why` names the limit that was
     * met: "pool", "connect", "write", "read", "total". UV_EAI_NONAME: no host.
     * UV_ECONNREFUSED: no connection. UV_EACCES: its certificate isn't
     * trusted. UV_EMSGSIZE: the answer is too large. UV_ECONNRESET: it broke
     * off. UV_EPROTO: no HTTP, or a coding that isn't what it says. UV_ENOMEM,
     * UV_EIO. What the guard or the stream's handlers said.
     */
    int error;
    const char *why;  /* for a log; never NULL, no secret in it */
    unsigned status;  /* 100-999, 0 with an error */
    const char *body; /* NUL-terminated; "" with an error, or streamed */
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

/*
 * Of a streamed answer; on the loop, with a share. Paused: no on_bytes until it
 * is resumed, silence doesn't count, total_ms does. Never tells anything
 * inside. Idempotent; nothing once it is answered.
 */
void http_call_pause(struct http_call *call);
void http_call_resume(struct http_call *call);

/* First header of that name, in any case; NULL: none. From within `done`
 * or on_head, valid until the next question. */
const char *http_response_header(const struct http_response *rs,
                                 const char *name);

#endif
