/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The FastCGI side of the server: request threads that lead one epoll set
 * (listening socket, idle keep-alive connections, ready queue), libfcgi for
 * each request (fastcgi_request), parking, and the hand-off of a descriptor to
 * a loop. Owns the threads, the connections that are idle or in a request, and
 * every gate_request.
 *
 * A handler runs on a request thread and must end with exactly one of
 * gate_answer, gate_park, gate_take. It never waits.
 */

#ifndef VOICE_FASTCGI_GATE_H
#define VOICE_FASTCGI_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gate;
struct gate_request;

struct gate_config {
    int listen_fd;            /* borrowed; set non-blocking by the gate;
                                 wants a big backlog: a full one on a unix
                                 socket is a 502 at once */
    const char *secret;       /* NULL, or VOICE_SECRET must equal it */
    unsigned threads;         /* leading request threads */
    unsigned max_parked;      /* beyond: 503 + Retry-After */
    size_t max_body_bytes;    /* beyond: 413 */
    unsigned read_timeout_ms; /* a read or write may hold a thread */
};

struct gate_header {
    const char *name;
    const char *value;
};

/* What a handler answers; everything is borrowed until the call returns. */
struct gate_answer {
    unsigned status;                   /* 200…599 */
    const char *content_type;          /* NULL: no body type */
    const struct gate_header *headers; /* further ones, may be NULL */
    size_t header_count;
    const void *body;
    size_t body_bytes;
};

typedef void gate_request_h(struct gate_request *rq, void *arg);

int gate_create(struct gate **gp, const struct gate_config *cfg,
                gate_request_h *handler, void *arg);
int gate_start(struct gate *gate);

/* Stops accepting new connections; idle keep-alive ones are served on until
 * their peer closes them. */
void gate_drain(struct gate *gate);

/* Ends threads; parked requests are cancelled and answered 503. */
void gate_stop(struct gate *gate);
void gate_destroy(struct gate **gp);

/* A parameter of the request (CGI name) or NULL; borrowed, lives as rq. */
const char *gate_param(struct gate_request *rq, const char *name);
const char *gate_method(struct gate_request *rq);
const char *gate_path(struct gate_request *rq); /* decoded by NGINX, no query */
const char *gate_query(struct gate_request *rq); /* "" if none */
const char *gate_request_id(struct gate_request *rq);

/*
 * Reads the whole body once (borrowed, NUL-terminated, lives as rq).
 * 0, UV_E2BIG (answer 413) or UV_EIO.
 */
int gate_body(struct gate_request *rq, const char **body, size_t *bytes);

/*
 * A header that gate_answer will send too. Both texts are borrowed until the
 * request ends. 0 or UV_ENOBUFS (GATE_HEADERS_MAX).
 */
#define GATE_HEADERS_MAX 8
int gate_add_header(struct gate_request *rq, const char *name,
                    const char *value);

/* Memory of the handler's own, zeroed, aligned for anything, lives as rq. */
#define GATE_LOCAL_BYTES 256
void *gate_local(struct gate_request *rq);

/* Whether it is a WebSocket session that asks to be taken (VOICE_STREAM=1). */
bool gate_is_stream(struct gate_request *rq);

/* Answers and ends the request; rq is gone. Adds Content-Length and
 * x-request-id. */
void gate_answer(struct gate_request *rq, const struct gate_answer *answer);

/*
 * Parks the request until gate_resume, the deadline or the loss of the peer.
 * After the call rq belongs to the gate. Exactly one of `resumed`, `expired`,
 * `cancelled` runs, once; it may run before the call has returned, but not
 * before *ticket is written. `cancelled` (peer gone, or gate_stop, then on its
 * thread) gets no rq: others only ever hold the ticket, and a resume that lost
 * the race is a no-op.
 * 0; UV_EBUSY when max_parked is reached: none of them runs, and rq is still
 * the caller's, who answers it (gate_answer_busy).
 */
struct gate_ticket {
    uint64_t id; /* 0: none */
};
struct gate_park {
    unsigned deadline_ms;
    gate_request_h *resumed; /* request thread; must answer */
    gate_request_h *expired; /* request thread, deadline; must answer */
    void (*cancelled)(void *arg);
    void *arg;
};
int gate_park(struct gate_request *rq, const struct gate_park *park,
              struct gate_ticket *ticket);

/* Any thread: puts the parked request on the ready queue. */
void gate_resume(struct gate *gate, struct gate_ticket ticket);

/* 503 with Retry-After and a JSON error; rq is gone. */
void gate_answer_busy(struct gate_request *rq);

/*
 * Hand-off: reads STDIN to its end unless the request is a stream
 * (VOICE_STREAM=1), writes the headers added and then `head` (the rest of a
 * CGI header block: Status, x-request-id, …, blank line) through libfcgi,
 * flushes, and gives the descriptor, non-blocking. rq is gone in any case.
 * >= 0 descriptor, or UV_E*.
 */
int gate_take(struct gate_request *rq, const char *head);

/* Whether NGINX counts on using the connection again after END_REQUEST; who
 * takes it then gives it back. Asked before gate_take. */
bool gate_keeps_connection(const struct gate_request *rq);

/*
 * Any thread, until gate_destroy: a descriptor that was taken, behind its
 * END_REQUEST, with nothing read of what may follow. Taken in any case.
 */
void gate_give_back(struct gate *gate, int fd);

struct gate *gate_of(struct gate_request *rq);
unsigned gate_parked_count(const struct gate *gate);
unsigned gate_connection_count(const struct gate *gate);

#endif
