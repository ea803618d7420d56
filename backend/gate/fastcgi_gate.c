/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   listen ─► accept ─┐
 *   idle, readable ───┤           ┌► gate_answer ─► idle again, or closed
 *   resumed, expired ─┼─► thread ─┼► gate_park ─► parked: ticket, EPOLLRDHUP
 *   parked, peer gone ┘  (leads)  └► gate_take ─► a loop ─► gate_give_back
 *
 * Of the threads a few lead (gate_lead): they wait on the one epoll set and
 * serve what they are given. A descriptor is armed with EPOLLONESHOT, so an
 * event belongs to one thread. An idle connection is found by its address
 * (nobody else can free it), a parked one by its ticket alone: others may
 * resume it at the same moment.
 */

#include "gate/fastcgi_gate.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/gate_state.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <uv.h>

#define ACCEPT_BATCH    64
#define ACCEPT_RETRY_MS 100 /* after running out of descriptors */

static void
gate_accept_later(struct gate *gate)
{
    metric_add(gate->accept_errors, 1);
    pthread_mutex_lock(&gate->lock);
    gate->accept_retry_ms = clock_now_ms() + ACCEPT_RETRY_MS;
    gate_set_timer(gate);
    pthread_mutex_unlock(&gate->lock);
}

/* Edge-triggered, hence until nothing is left; setting the watch anew makes
 * another event when something is. */
static int
gate_watch_listen(struct gate *gate, int op)
{
    return gate_watch(gate, op, gate->cfg.listen_fd,
                      (struct epoll_event){
                          .events = EPOLLIN | EPOLLET,
                          .data.u64 = TAG_LISTEN,
                      });
}

static void
on_listen_ready(struct gate *gate)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd;

        if (atomic_load_explicit(&gate->draining, memory_order_relaxed)) {
            return;
        }
        fd = accept4(gate->cfg.listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            connection_create(gate, fd);
        } else if (errno == EAGAIN) {
            return;
        } else if (errno != ECONNABORTED && errno != EINTR) {
            LOG_LIMITED(ALERT, "gate", "accept failed error=%s",
                        uv_err_name(uv_translate_sys_error(errno)));
            gate_accept_later(gate);
            return;
        }
    }
    gate_watch_listen(gate, EPOLL_CTL_MOD);
}

/* --- requests */

/* Time must not tell how much of it was right. */
static bool
secret_is_right(struct gate_request *rq)
{
    const char *want = rq->gate->secret;
    const char *got = fastcgi_request_param(rq->fcgi, "VOICE_SECRET");
    size_t want_bytes, got_bytes;
    unsigned char difference;

    if (want == NULL) {
        return true;
    }
    if (got == NULL) {
        return false;
    }
    want_bytes = strlen(want);
    got_bytes = strlen(got);
    difference = want_bytes != got_bytes;
    for (size_t i = 0; i < want_bytes; i++) {
        difference |= (unsigned char) (want[i] ^ got[i % (got_bytes + 1)]);
    }
    return difference == 0;
}

static void
request_serve(struct gate_request *rq)
{
    struct gate *gate = rq->gate;

    /* Connections come in bursts: one that says nothing yet is small. */
    if (rq->fcgi == NULL && fastcgi_request_create(&rq->fcgi) != 0) {
        connection_free(rq);
        return;
    }
    if (fastcgi_request_begin(rq->fcgi, rq->fd) != 0) {
        /* Closed by libfcgi; the number may be another's by now. */
        rq->fd = -1;
        connection_free(rq);
        return;
    }
    metric_add(gate->requests, 1);
    if (!fastcgi_request_is_responder(rq->fcgi)) {
        gate_answer_error(rq, 501, "unknown_role", "Not a responder.");
    } else if (!secret_is_right(rq)) {
        LOG_LIMITED(WARN, "gate", "request without the right VOICE_SECRET");
        gate_answer_error(rq, 403, "wrong_secret", "Not from our NGINX.");
    } else {
        gate->handler(rq, gate->arg);
    }
}

static void
on_idle_ready(struct gate_request *rq)
{
    (void) atomic_load_explicit(&rq->rounds, memory_order_acquire);
    request_serve(rq);
}

/* One request; wakes another thread when more are ready. */
static bool
ready_serve_one(struct gate *gate)
{
    struct gate_request *rq;
    bool more = false;

    pthread_mutex_lock(&gate->lock);
    rq = gate->ready_first;
    if (rq != NULL) {
        gate->ready_first = rq->next_ready;
        more = gate->ready_first != NULL;
        if (!more) {
            gate->ready_tail = &gate->ready_first;
        }
    }
    pthread_mutex_unlock(&gate->lock);
    if (rq == NULL) {
        return false;
    }
    if (more) {
        gate_wake_one(gate);
    }
    if (rq->wake == WAKE_RESUMED) {
        rq->park.resumed(rq, rq->park.arg);
    } else {
        rq->park.expired(rq, rq->park.arg);
    }
    return true;
}

static void
on_ready(struct gate *gate)
{
    while (ready_serve_one(gate)) {
    }
}

static void
on_timer(struct gate *gate)
{
    uint64_t now = clock_now_ms();
    struct gate_request *rq;
    bool accept;

    pthread_mutex_lock(&gate->lock);
    gate->timer_ms = UINT64_MAX;
    while ((rq = parking_pop_expired(gate->parking, now)) != NULL) {
        gate_ready_append(gate, rq, WAKE_EXPIRED);
    }
    accept = gate->accept_retry_ms <= now;
    if (accept) {
        gate->accept_retry_ms = UINT64_MAX;
    }
    gate_set_timer(gate);
    pthread_mutex_unlock(&gate->lock);
    if (accept && !atomic_load(&gate->draining)) {
        gate_watch_listen(gate, EPOLL_CTL_MOD);
    }
    on_ready(gate);
}

static struct gate_request *
gate_unpark(struct gate *gate, uint64_t ticket)
{
    struct gate_request *rq;

    pthread_mutex_lock(&gate->lock);
    rq = parking_remove(gate->parking, ticket);
    pthread_mutex_unlock(&gate->lock);
    if (rq != NULL) {
        atomic_fetch_sub(&gate->parked, 1);
    }
    return rq;
}

static void
on_peer_gone(struct gate *gate, uint64_t ticket)
{
    struct gate_request *rq = gate_unpark(gate, ticket);

    if (rq != NULL) {
        metric_add(gate->lost, 1);
        rq->park.cancelled(rq->park.arg);
        connection_free(rq);
    }
}

/* --- threads */

/* false: it is time to end. */
static bool
gate_dispatch(struct gate *gate, uint64_t what)
{
    switch (what & TAG_MASK) {
    case TAG_PARKED:
        on_peer_gone(gate, what >> 3);
        break;
    case TAG_LISTEN:
        on_listen_ready(gate);
        break;
    case TAG_READY:
        on_ready(gate);
        break;
    case TAG_TIMER:
        on_timer(gate);
        break;
    case TAG_STOP:
        return false;
    default:
        on_idle_ready((struct gate_request *) (uintptr_t) what);
    }
    return true;
}

/* false: another thread takes the events, or there are no more. */
static bool
gate_serve_one(struct gate *gate)
{
    struct epoll_event event;
    int n;

    do {
        n = epoll_wait(gate->epoll_fd, &event, 1, -1);
    } while (n <= 0);
    gate_lead_begin(&gate->lead);
    if (!gate_dispatch(gate, event.data.u64)) {
        gate_lead_stop(&gate->lead);
    }
    return gate_lead_end(&gate->lead) && event.data.u64 != TAG_STOP;
}

static void *
gate_thread(void *arg)
{
    struct gate *gate = arg;

    pthread_setname_np(pthread_self(), "request");
    while (gate_lead_enter(&gate->lead)) {
        while (gate_serve_one(gate)) {
        }
    }
    return NULL;
}

static int
gate_open_descriptors(struct gate *gate)
{
    struct epoll_event edge = {.events = EPOLLIN | EPOLLET};
    struct epoll_event level = {.events = EPOLLIN, .data.u64 = TAG_STOP};
    int err;

    gate->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    gate->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    gate->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    gate->timer_fd =
        timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (gate->epoll_fd < 0 || gate->ready_fd < 0 || gate->stop_fd < 0
        || gate->timer_fd < 0) {
        return uv_translate_sys_error(errno);
    }
    edge.data.u64 = TAG_READY;
    err = gate_watch(gate, EPOLL_CTL_ADD, gate->ready_fd, edge);
    if (err == 0) {
        edge.data.u64 = TAG_TIMER;
        err = gate_watch(gate, EPOLL_CTL_ADD, gate->timer_fd, edge);
    }
    if (err == 0) {
        err = gate_watch(gate, EPOLL_CTL_ADD, gate->stop_fd, level);
    }
    return err;
}

static void
gate_register_metrics(struct gate *gate)
{
    gate->requests =
        metric_register(METRIC_COUNTER, "voiced_gate_requests_total",
                        "FastCGI requests begun.");
    gate->parked_total = metric_register(
        METRIC_COUNTER, "voiced_gate_parked_total", "Requests parked.");
    gate->refused =
        metric_register(METRIC_COUNTER, "voiced_gate_parked_refused_total",
                        "Requests that found the parking full.");
    gate->lost =
        metric_register(METRIC_COUNTER, "voiced_gate_parked_lost_total",
                        "Parked requests whose peer went away.");
    gate->accept_errors =
        metric_register(METRIC_COUNTER, "voiced_gate_accept_errors_total",
                        "Failures to accept a connection.");
}

static void
gate_free(struct gate *gate)
{
    const int fds[] = {gate->epoll_fd, gate->ready_fd, gate->stop_fd,
                       gate->timer_fd};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    parking_destroy(&gate->parking);
    gate_lead_deinit(&gate->lead);
    pthread_mutex_destroy(&gate->lock);
    free(gate->threads);
    free(gate->secret);
    free(gate);
}

/* Half of the processors: NGINX has work for the others. */
static unsigned
lead_count(unsigned threads)
{
    long half = sysconf(_SC_NPROCESSORS_ONLN) / 2;

    return half < 1 ? 1 : half < threads ? (unsigned) half : threads;
}

int
gate_create(struct gate **gp, const struct gate_config *cfg,
            gate_request_h *handler, void *arg)
{
    struct gate *gate = calloc(1, sizeof(*gate));
    int err = fastcgi_init();

    if (gate == NULL || err != 0) {
        free(gate);
        return err != 0 ? err : UV_ENOMEM;
    }
    gate->cfg = *cfg;
    gate->handler = handler;
    gate->arg = arg;
    gate->ready_tail = &gate->ready_first;
    gate->timer_ms = gate->accept_retry_ms = UINT64_MAX;
    gate->epoll_fd = gate->ready_fd = gate->timer_fd = gate->stop_fd = -1;
    pthread_mutex_init(&gate->lock, NULL);
    gate_lead_init(&gate->lead, lead_count(cfg->threads));
    gate_register_metrics(gate);
    gate->threads = calloc(cfg->threads, sizeof(*gate->threads));
    gate->secret = cfg->secret != NULL ? strdup(cfg->secret) : NULL;
    if (gate->threads == NULL || (cfg->secret != NULL && gate->secret == NULL)
        || parking_create(&gate->parking, cfg->max_parked) != 0) {
        gate_free(gate);
        return UV_ENOMEM;
    }
    err = gate_open_descriptors(gate);
    if (err != 0) {
        gate_free(gate);
        return err;
    }
    *gp = gate;
    return 0;
}

/* libfcgi takes an interrupted read for the end of the connection: no signal
 * may come to these threads. */
int
gate_start(struct gate *gate)
{
    sigset_t all, before;
    int flags = fcntl(gate->cfg.listen_fd, F_GETFL);
    int err;

    if (flags < 0
        || fcntl(gate->cfg.listen_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
        return uv_translate_sys_error(errno);
    }
    err = gate_watch_listen(gate, EPOLL_CTL_ADD);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (err == 0 && gate->thread_count < gate->cfg.threads) {
        err = uv_translate_sys_error(pthread_create(
            &gate->threads[gate->thread_count], NULL, gate_thread, gate));
        gate->thread_count += err == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return err;
}

void
gate_drain(struct gate *gate)
{
    if (!atomic_exchange(&gate->draining, true)) {
        epoll_ctl(gate->epoll_fd, EPOLL_CTL_DEL, gate->cfg.listen_fd, NULL);
    }
}

/* Level-triggered and never read: every thread sees it. */
static void
gate_join(struct gate *gate)
{
    uint64_t one = 1;

    if (write(gate->stop_fd, &one, sizeof(one)) != sizeof(one)) {
        LOG(ALERT, "gate", "eventfd failed errno=%d", errno);
    }
    while (gate->thread_count > 0) {
        pthread_join(gate->threads[--gate->thread_count], NULL);
    }
}

void
gate_stop(struct gate *gate)
{
    struct gate_request *rq;

    gate_drain(gate);
    gate_join(gate);
    pthread_mutex_lock(&gate->lock);
    gate->stopped = true;
    pthread_mutex_unlock(&gate->lock);
    on_ready(gate);
    for (;;) {
        pthread_mutex_lock(&gate->lock);
        rq = parking_pop_expired(gate->parking, UINT64_MAX);
        pthread_mutex_unlock(&gate->lock);
        if (rq == NULL) {
            break;
        }
        atomic_fetch_sub(&gate->parked, 1);
        rq->park.cancelled(rq->park.arg);
        gate_answer_busy(rq);
    }
    while (gate->all != NULL) {
        connection_free(gate->all);
    }
}

void
gate_destroy(struct gate **gp)
{
    struct gate *gate = *gp;

    if (gate != NULL) {
        *gp = NULL;
        gate_stop(gate);
        gate_free(gate);
    }
}

/* Any thread. */
void
gate_resume(struct gate *gate, struct gate_ticket ticket)
{
    struct gate_request *rq;

    pthread_mutex_lock(&gate->lock);
    rq = parking_remove(gate->parking, ticket.id);
    if (rq != NULL) {
        gate_ready_append(gate, rq, WAKE_RESUMED);
    }
    pthread_mutex_unlock(&gate->lock);
    if (rq != NULL) {
        gate_wake_one(gate);
    }
}

unsigned
gate_parked_count(const struct gate *gate)
{
    return atomic_load(&gate->parked);
}

unsigned
gate_connection_count(const struct gate *gate)
{
    return atomic_load(&gate->connections);
}
