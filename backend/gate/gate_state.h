/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the parts of the gate share: the gate itself, its epoll set and its
 * connections. Private to fastcgi_gate and gate_request; everybody else reads
 * fastcgi_gate.h. Request threads and, where said, any thread.
 */

#ifndef VOICE_GATE_STATE_H
#define VOICE_GATE_STATE_H

#include "base/metrics.h"
#include "gate/fastcgi_gate.h"
#include "gate/fastcgi_request.h"
#include "gate/gate_lead.h"
#include "gate/parking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>

/* What an event is about: an address has zeros in its low bits. */
#define TAG_MASK   7u
#define TAG_PARKED 1u /* ticket << 3 */
#define TAG_LISTEN 2u
#define TAG_READY  3u
#define TAG_TIMER  4u
#define TAG_STOP   5u

enum wake_reason { WAKE_RESUMED, WAKE_EXPIRED };

/* A connection; and its request, while there is one. */
struct gate_request {
    struct gate *gate;
    int fd;
    _Atomic unsigned rounds; /* armed so often: orders what one thread did
                                before what the next one does */
    enum wake_reason wake;
    struct fastcgi_request *fcgi;
    struct gate_park park;
    struct gate_request *next_ready;
    struct gate_request *next, *previous; /* of all, by lock */
};

struct gate {
    struct gate_config cfg;
    char *secret;
    gate_request_h *handler;
    void *arg;
    int epoll_fd, ready_fd, timer_fd, stop_fd;
    struct gate_lead lead;
    pthread_t *threads;
    unsigned thread_count;
    _Atomic bool draining;
    _Atomic unsigned connections;
    _Atomic unsigned parked;

    pthread_mutex_t lock;
    struct parking *parking;
    struct gate_request *ready_first, **ready_tail;
    struct gate_request *all;
    bool stopped;             /* no connection is added any more */
    uint64_t timer_ms;        /* when the timer fires, UINT64_MAX: never */
    uint64_t accept_retry_ms; /* UINT64_MAX: no need */

    struct metric *requests, *parked_total, *refused, *lost, *accept_errors;
};

/* epoll_ctl; 0 or UV_E*. */
int gate_watch(struct gate *gate, int op, int fd, struct epoll_event event);

/* Arms the connection for its next request. After that it may be gone. */
int gate_watch_idle(struct gate_request *rq, int op);

/* Any thread: one more thread looks at the ready queue. */
void gate_wake_one(struct gate *gate);

/* With the lock: the timer fires when the earliest thing is due. */
void gate_set_timer(struct gate *gate);

/* With the lock; rq is out of the parking already. */
void gate_ready_append(struct gate *gate, struct gate_request *rq,
                       enum wake_reason reason);

/* Any thread. Takes fd and waits for a request on it. */
void connection_create(struct gate *gate, int fd);

/* Frees and closes, unless rq->fd is negative: closed already or given away. */
void connection_free(struct gate_request *rq);

/* An answer of the gate's own, with the JSON error body; rq is gone. In
 * gate_request. */
void gate_answer_error(struct gate_request *rq, unsigned status,
                       const char *code, const char *message);

#endif
