/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/gate_state.h"

#include "base/log.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

/* --- the epoll set */

int
gate_watch(struct gate *gate, int op, int fd, struct epoll_event event)
{
    if (epoll_ctl(gate->epoll_fd, op, fd, &event) != 0) {
        return uv_translate_sys_error(errno);
    }
    return 0;
}

int
gate_watch_idle(struct gate_request *rq, int op)
{
    struct gate *gate = rq->gate;
    int fd = rq->fd;

    /* The last use of rq: another thread may have it inside the call. */
    atomic_fetch_add_explicit(&rq->rounds, 1, memory_order_release);
    return gate_watch(gate, op, fd,
                      (struct epoll_event){
                          .events = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT,
                          .data.u64 = (uintptr_t) rq,
                      });
}

/* Edge-triggered: each write wakes one more thread. */
void
gate_wake_one(struct gate *gate)
{
    uint64_t one = 1;

    if (write(gate->ready_fd, &one, sizeof(one)) != sizeof(one)) {
        LOG_LIMITED(ALERT, "gate", "eventfd failed errno=%d", errno);
    }
}

void
gate_set_timer(struct gate *gate)
{
    uint64_t at = parking_next_ms(gate->parking);
    struct itimerspec when = {0};

    if (gate->accept_retry_ms < at) {
        at = gate->accept_retry_ms;
    }
    if (at == gate->timer_ms) {
        return;
    }
    gate->timer_ms = at;
    if (at != UINT64_MAX) {
        /* Never zero, which would disarm it. */
        at = at == 0 ? 1 : at;
        when.it_value.tv_sec = (time_t) (at / 1000);
        when.it_value.tv_nsec = (long) (at % 1000) * 1000000;
    }
    timerfd_settime(gate->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

void
gate_ready_append(struct gate *gate, struct gate_request *rq,
                  enum wake_reason reason)
{
    rq->wake = reason;
    rq->next_ready = NULL;
    *gate->ready_tail = rq;
    gate->ready_tail = &rq->next_ready;
    atomic_fetch_sub(&gate->parked, 1);
}

/* --- connections */

/* With the lock. */
static void
gate_link(struct gate *gate, struct gate_request *rq)
{
    rq->next = gate->all;
    if (rq->next != NULL) {
        rq->next->previous = rq;
    }
    gate->all = rq;
    atomic_fetch_add(&gate->connections, 1);
}

/* With the lock. */
static void
gate_unlink(struct gate *gate, struct gate_request *rq)
{
    if (rq->previous != NULL) {
        rq->previous->next = rq->next;
    } else {
        gate->all = rq->next;
    }
    if (rq->next != NULL) {
        rq->next->previous = rq->previous;
    }
    atomic_fetch_sub(&gate->connections, 1);
}

/* Frees; fd < 0: it is closed already, or somebody else's now. */
void
connection_free(struct gate_request *rq)
{
    struct gate *gate = rq->gate;

    pthread_mutex_lock(&gate->lock);
    gate_unlink(gate, rq);
    pthread_mutex_unlock(&gate->lock);
    fastcgi_request_destroy(&rq->fcgi);
    if (rq->fd >= 0) {
        close(rq->fd);
    }
    free(rq);
}

/* Blocking, as libfcgi needs it, but not for ever. */
static void
connection_set_options(const struct gate *gate, int fd)
{
    struct timeval limit = {
        .tv_sec = gate->cfg.read_timeout_ms / 1000,
        .tv_usec = (suseconds_t) (gate->cfg.read_timeout_ms % 1000) * 1000,
    };
    int on = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    /* Fails on a unix socket, which has no such delay. */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

/* One step: gate_stop frees what it finds, on another thread perhaps. */
static int
gate_add(struct gate *gate, struct gate_request *rq)
{
    int err = UV_ECANCELED;

    pthread_mutex_lock(&gate->lock);
    if (!gate->stopped) {
        gate_link(gate, rq);
        err = gate_watch_idle(rq, EPOLL_CTL_ADD);
        if (err != 0) {
            gate_unlink(gate, rq);
        }
    }
    pthread_mutex_unlock(&gate->lock);
    return err;
}

void
connection_create(struct gate *gate, int fd)
{
    struct gate_request *rq = calloc(1, sizeof(*rq));

    if (rq == NULL) {
        close(fd);
        return;
    }
    rq->gate = gate;
    rq->fd = fd;
    connection_set_options(gate, fd);
    if (gate_add(gate, rq) != 0) {
        close(fd);
        free(rq);
    }
}
