/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   any thread:  http_client_send ─► loop_post ─┐
 *   the loop:    calls ◄── start ◄──────────────┘
 *                  │ http_pump (curl)
 *                  └─► done, once: answered, over a limit, cancelled, closed
 */

#include "gate/http_client.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "gate/http_call.h"
#include "gate/http_ending.h"
#include "gate/http_pump.h"

#include <stdlib.h>
#include <string.h>

#define ORIGINS_MAX 64 /* remembered; in a gateway, upstreams of its file */

struct http_client {
    struct loop *loop;
    struct http_pump *pump;
    struct http_limits limits;
    uint64_t connect_ms;
    struct http_call *calls; /* newest first; in the pump, or held */
    unsigned held;
    struct http_origin *origins;
    unsigned origin_count;
    atomic_uint unanswered;
    atomic_bool closed;
    struct loop_task start_task, close_task;
    struct metric *answered, *failed, *timeouts, *cancelled;
};

/* --- the end of a call */

static void
call_unlink(struct http_call *call)
{
    if (call->origin && call->origin->opener == call)
        call->origin->opener = NULL;
    call->client->held -= call->held;
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
    atomic_fetch_sub(&call->client->unanswered, 1);
}

static void
result_count(const struct http_client *c, int error)
{
    struct metric *metric = c->failed;

    if (error == 0)
        metric = c->answered;
    else if (error == UV_ETIMEDOUT)
        metric = c->timeouts;
    else if (error == UV_ECANCELED)
        metric = c->cancelled;
    metric_add(metric, 1);
}

static void
call_abort(struct http_call *call, int error, const char *why)
{
    struct http_client *c = call->client;

    /* A connection that fell silent is not for the next one. */
    if (error == UV_ETIMEDOUT)
        curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
    if (!call->held)
        http_pump_remove(c->pump, call->easy);
    call_unlink(call);
    result_count(c, error);
    http_call_fail(call, error, why);
    http_call_unref(call);
}

/* --- one new connection at a time

   Streams of a connection can be as many as the server likes. Of the requests
   that find them all taken, curl would make a connection for each; here the
   first has one made and the others wait for its streams. */

static void
origin_note(const struct http_call *call, CURLcode code)
{
    long version = 0;

    if (!call->origin || code != CURLE_OK)
        return;
    curl_easy_getinfo(call->easy, CURLINFO_HTTP_VERSION, &version);
    call->origin->multiplexes = version == CURL_HTTP_VERSION_2_0;
}

/* Whether this call may open a connection now. */
static bool
origin_admits(struct http_call *call)
{
    struct http_origin *origin = call->origin;

    if (!origin)
        return true;
    if (origin->multiplexes && origin->opener && origin->opener != call)
        return false;
    origin->opener = call;
    return true;
}

/* Not from inside curl: what was held may go on. */
static void
on_pump_turn(void *arg)
{
    struct http_client *c = arg;
    struct http_call *call = c->held ? c->calls : NULL;

    while (call) {
        struct http_call *next = call->next;

        if (call->held && !call->origin->opener) {
            if (http_pump_add(c->pump, call->easy) == 0) {
                call->held = call->postponed = false;
                c->held--;
            } else {
                call_abort(call, UV_ENOMEM, "no memory");
            }
        }
        call = next;
    }
}

static void
on_pump_done(void *arg, CURL *easy, CURLcode code)
{
    struct http_client *c = arg;
    struct http_call *call = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
    if (call->postponed && code != CURLE_OK) {
        call->held = true;
        c->held++;
        http_call_wait(call);
        return;
    }
    origin_note(call, code);
    call_unlink(call);
    result_count(c, http_call_error(call, code));
    http_call_finish(call, code);
    http_call_unref(call);
}

static bool
on_pump_asks_waiting(void *arg)
{
    const struct http_client *c = arg;

    for (const struct http_call *call = c->calls; call; call = call->next)
        if (call->phase == HTTP_WAITING)
            return true;
    return false;
}

static void
on_pump_tick(void *arg)
{
    struct http_client *c = arg;
    struct http_call *call = c->calls;
    uint64_t now = clock_now_ms();

    /* A handler that sends or cancels only posts: the list is ours. */
    while (call) {
        struct http_call *next = call->next;
        const char *limit = http_call_overdue(call, &c->limits, now);

        if (limit)
            call_abort(call, UV_ETIMEDOUT, limit);
        call = next;
    }
}

/* --- sending */

static curl_socket_t
on_curl_opens(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct http_call *call = arg;

    (void) purpose;
    if (!http_call_admits(call, (const struct sockaddr *) &address->addr))
        return CURL_SOCKET_BAD;
    if (!origin_admits(call)) {
        call->postponed = true;
        return CURL_SOCKET_BAD;
    }
    call->postponed = false;
    http_call_connecting(call);
    return http_pump_socket(call->client->pump, address);
}

static struct http_origin *
origin_find(struct http_client *c, const char *name)
{
    struct http_origin *origin = c->origins;

    while (origin && strcmp(origin->name, name) != 0)
        origin = origin->next;
    if (origin || c->origin_count == ORIGINS_MAX)
        return origin;
    origin = calloc(1, sizeof(*origin) + strlen(name) + 1);
    if (!origin)
        return NULL;
    memcpy(origin->name, name, strlen(name) + 1);
    origin->next = c->origins;
    c->origins = origin;
    c->origin_count++;
    return origin;
}

static void
on_start(struct loop_task *task, void *arg)
{
    struct http_call *call = arg;
    struct http_client *c = call->client;
    int err;

    (void) task;
    call->link = &c->calls;
    call->next = c->calls;
    if (call->next)
        call->next->link = &call->next;
    c->calls = call;
    call->origin = call->origin_name ? origin_find(c, call->origin_name) : NULL;
    curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETFUNCTION, on_curl_opens);
    curl_easy_setopt(call->easy, CURLOPT_OPENSOCKETDATA, call);
    err = http_pump_add(c->pump, call->easy);
    if (err == 0)
        return;
    call_unlink(call);
    result_count(c, err);
    http_call_fail(call, err, "no memory");
    http_call_unref(call);
}

static void
on_cancel(struct loop_task *task, void *arg)
{
    struct http_call *call = arg;

    (void) task;
    if (!call->finished) {
        struct http_client *c = call->client;
        call_abort(call, UV_ECANCELED, "cancelled");
        on_pump_turn(c); /* those who waited for its connection */
    }
    http_call_unref(call);
}

/* Not from inside curl, nor from inside its user: bytes are told at once. */
static void
on_resume(struct loop_task *task, void *arg)
{
    struct http_call *call = arg;
    CURLcode code = CURLE_OK;

    (void) task;
    call->resuming = false;
    if (!call->finished && !call->held && !call->answer.paused)
        code = http_call_continue(call);
    if (code != CURLE_OK)
        call_abort(call, http_call_error(call, code),
                   call->why ? call->why : curl_easy_strerror(code));
    http_call_unref(call);
}

int
http_client_send(struct http_client *c, const struct http_request *rq,
                 http_done_h *done, void *arg, struct http_call **callp)
{
    struct http_call *call;
    int err = 0;

    if (atomic_fetch_add(&c->unanswered, 1) >= HTTP_CLIENT_CALLS_MAX)
        err = UV_ENOBUFS;
    if (atomic_load(&c->closed))
        err = UV_ECANCELED;
    if (err == 0)
        err = http_call_create(&call, rq, c->connect_ms);
    if (err != 0) {
        atomic_fetch_sub(&c->unanswered, 1);
        return err;
    }
    call->client = c;
    call->loop = c->loop;
    call->done = done;
    call->arg = call->answer.arg = arg;
    call->start_task = (struct loop_task){NULL, on_start, call};
    call->cancel_task = (struct loop_task){NULL, on_cancel, call};
    call->resume_task = (struct loop_task){NULL, on_resume, call};
    if (callp) {
        atomic_fetch_add(&call->shares, 1);
        *callp = call;
    }
    loop_post(c->loop, &call->start_task);
    return 0;
}

void
http_call_cancel(struct http_call **callp)
{
    struct http_call *call = *callp;

    *callp = NULL;
    if (!call)
        return;
    atomic_store(&call->cancelled, true);
    loop_post(call->loop, &call->cancel_task);
}

void
http_call_put(struct http_call **callp)
{
    struct http_call *call = *callp;

    *callp = NULL;
    if (call)
        http_call_unref(call);
}

/* --- the client's own life */

static void
on_pump_closed(void *arg)
{
    struct http_client *c = arg;
    struct http_origin *origin;

    while ((origin = c->origins) != NULL) {
        c->origins = origin->next;
        free(origin);
    }
    free(c);
}

static void
on_client_start(struct loop_task *task, void *arg)
{
    struct http_client *c = arg;

    (void) task;
    http_pump_start(c->pump);
}

static void
on_client_close(struct loop_task *task, void *arg)
{
    struct http_client *c = arg;

    (void) task;
    /* Who is told may want to ask another server. */
    atomic_store(&c->closed, true);
    while (c->calls)
        call_abort(c->calls, UV_ECANCELED, "the client was closed");
    http_pump_close(c->pump);
}

static struct metric *
result_metric(const char *name)
{
    return metric_register(METRIC_COUNTER, name,
                           "Requests of the HTTP client that ended.");
}

static void
client_count(struct http_client *c)
{
    c->answered =
        result_metric("voiced_http_requests_total{result=\"answered\"}");
    c->failed = result_metric("voiced_http_requests_total{result=\"failed\"}");
    c->timeouts =
        result_metric("voiced_http_requests_total{result=\"timeout\"}");
    c->cancelled =
        result_metric("voiced_http_requests_total{result=\"cancelled\"}");
}

/* A limit is met at most an eighth late. */
static unsigned
tick_of(const struct http_limits *limits)
{
    uint64_t least = limits->pool_wait_ms;

    least = limits->read_ms < least ? limits->read_ms : least;
    least = limits->write_ms < least ? limits->write_ms : least;
    least /= 8;
    if (least < 10)
        return 10;
    return least > 250 ? 250 : (unsigned) least;
}

int
http_client_create(struct http_client **cp,
                   const struct http_client_config *cfg)
{
    static const struct http_pump_handlers handlers = {
        on_pump_done, on_pump_turn, on_pump_asks_waiting, on_pump_tick,
        on_pump_closed};
    struct http_client *c = calloc(1, sizeof(*c));
    struct http_pump_config pump_cfg;
    int err;

    if (!c)
        return UV_ENOMEM;
    c->loop = cfg->loop;
    c->limits =
        (struct http_limits){cfg->read_ms, cfg->write_ms, cfg->pool_wait_ms};
    c->connect_ms = cfg->connect_ms;
    pump_cfg = (struct http_pump_config){cfg->loop, cfg->keepalive, cfg->max,
                                         cfg->idle_ms, tick_of(&c->limits)};
    err = http_pump_create(&c->pump, &pump_cfg, &handlers, c);
    if (err != 0) {
        free(c);
        return err;
    }
    client_count(c);
    c->start_task = (struct loop_task){NULL, on_client_start, c};
    c->close_task = (struct loop_task){NULL, on_client_close, c};
    loop_post(c->loop, &c->start_task);
    *cp = c;
    return 0;
}

void
http_client_close(struct http_client **cp)
{
    struct http_client *c = *cp;

    *cp = NULL;
    if (c)
        loop_post(c->loop, &c->close_task);
}
