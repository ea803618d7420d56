/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One request of http_client: what is sent, how far it has come, the answer as
 * it arrives. Owns its easy handle, which is set up on the thread that sends
 * and from then on touched on the client's loop alone. Counted: the client has
 * a share, whoever may cancel it another. Knows no other request and no timer.
 */

#ifndef VOICE_HTTP_CALL_H
#define VOICE_HTTP_CALL_H

#include "gate/http_body.h"
#include "gate/http_client.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>

/* A server as connections know it. The client's, for its whole life. */
struct http_origin {
    struct http_origin *next;
    bool multiplexes;               /* its last answer came by HTTP/2 */
    const struct http_call *opener; /* a connection is being made for it */
    char name[];
};

/* Which limit holds now. */
enum http_phase {
    HTTP_WAITING,    /* for a connection, or for a stream on one */
    HTTP_CONNECTING, /* curl's own limit */
    HTTP_WRITING,
    HTTP_READING
};

struct http_call {
    struct loop_task start_task, cancel_task, resume_task;
    struct http_client *client; /* borrowed; not looked at once finished */
    struct loop *loop;
    struct http_call *next, **link; /* the client's list */
    char *origin_name;              /* whose connections it may use */
    struct http_origin *origin;     /* NULL: there are too many */
    bool postponed; /* it may not open a connection: curl will give it back */
    bool held;      /* out of the pump until another's connection is made */
    bool resuming;  /* resume_task is posted */
    atomic_uint shares;
    atomic_bool cancelled; /* its reader is told nothing any more */
    bool finished;
    http_done_h *done;
    void *arg;
    http_guard_h *guard; /* NULL: every address will do */
    void *guard_arg;
    int refused;   /* the guard's last word, */
    bool admitted; /* and whether it ever let one through */
    CURL *easy;    /* NULL once finished */
    struct curl_slist *headers;
    enum http_phase phase;
    uint64_t sent_ms;           /* http_client_send */
    uint64_t stamp_ms;          /* the phase's beginning, or its last byte */
    uint64_t total_ms, read_ms; /* its own limits; 0: none, the client's */
    uint64_t body_bytes, sent_bytes;
    size_t header_bytes; /* of the answer, so far */
    bool inflates, head_seen;
    struct http_body answer;
    int error; /* ours, where curl would say something vague */
    const char *why;
};

/* The limits a phase has. */
struct http_limits {
    uint64_t read_ms, write_ms, pool_wait_ms;
};

/* Any thread. 0 with one share; UV_EINVAL, UV_EMSGSIZE, UV_ENOMEM. */
int http_call_create(struct http_call **callp, const struct http_request *rq,
                     uint64_t connect_ms);
void http_call_unref(struct http_call *call);

/* On the loop: the name of a limit that is exceeded, or NULL. */
const char *http_call_overdue(struct http_call *call,
                              const struct http_limits *limits,
                              uint64_t now_ms);

/* Whether a socket may be opened to that address. */
bool http_call_admits(struct http_call *call, const struct sockaddr *address);

/* Curl may offer the body again. */
CURLcode http_call_continue(struct http_call *call);

/* A connection of its own is being made for it, or could not be yet: it waits
 * as if it had never left. */
void http_call_connecting(struct http_call *call);
void http_call_wait(struct http_call *call);

#endif
