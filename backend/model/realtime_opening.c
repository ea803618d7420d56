/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/realtime_opening.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/realtime_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TIMEOUT_MS 10000
#define REFUSAL_CLOSE_MS   1000 /* from an error event to its close frame */

/* X(state, name) */
#define OPENING_STATES(X)                                                      \
    X(OPENING_TRYING, "trying")   /* awaits the first event */                 \
    X(OPENING_REFUSED, "refused") /* it was an error, awaits the close */      \
    X(OPENING_FAILED, "failed")   /* nobody is left; to be told */             \
    X(OPENING_OVER, "over")       /* cancelled */

enum opening_state {
#define X(state, name) state,
    OPENING_STATES(X)
#undef X
};

struct realtime_opening {
    enum opening_state state;
    struct loop *loop;
    struct realtime_opening_handlers handlers;
    void *arg;
    struct upstream_order order;
    size_t tried;               /* of order; the last of them is in use */
    struct realtime_wire *wire; /* NULL between two */
    struct loop_timer *timer;   /* of one upstream's answer */
    uint64_t since_ms;          /* the attempt began */
    struct realtime_fault best; /* of those that failed */
    struct realtime_fault now;  /* OPENING_REFUSED: of this one */
    struct loop_task task;      /* tells a failure */
    bool posted;
    bool is_session; /* not a link to be kept warm */
    char *id, *model, *call_id, *intent, *safety_id;
};

static void
opening_enter(struct realtime_opening *o, enum opening_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        OPENING_STATES(X)
#undef X
    };

    LOG(DEBUG, o->id, "realtime_opening %s -> %s", names[o->state],
        names[state]);
    o->state = state;
}

struct upstream *
realtime_opening_upstream(const struct realtime_opening *o)
{
    return o->order.items[o->tried ? o->tried - 1 : 0];
}

static void
opening_free(struct realtime_opening *o)
{
    loop_timer_destroy(&o->timer);
    free(o->id);
    free(o->model);
    free(o->call_id);
    free(o->intent);
    free(o->safety_id);
    free(o);
}

void
realtime_opening_cancel(struct realtime_opening **op)
{
    struct realtime_opening *o = *op;

    *op = NULL;
    opening_enter(o, OPENING_OVER);
    if (o->wire)
        realtime_wire_abandon(&o->wire);
    if (!o->posted) /* else the task frees it */
        opening_free(o);
}

/* --- counted and logged */

static void
attempt_count(struct realtime_opening *o, enum realtime_fault_kind kind)
{
    char name[192];

    snprintf(name, sizeof(name),
             "voiced_upstream_connects_total{upstream=\"%s\",result=\"%s\"}",
             upstream_name(realtime_opening_upstream(o)),
             realtime_fault_name(kind));
    metric_add(metric_register(METRIC_COUNTER, name,
                               "Attempts to open a session at an upstream"),
               1);
}

static void
failover_count(void)
{
    metric_add(metric_register(METRIC_COUNTER,
                               "voiced_upstream_failovers_total",
                               "Attempts that went on to another upstream"),
               1);
}

/* A code is the upstream's word: only a plain one is logged. */
static const char *
code_clean(const struct realtime_fault *fault)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789._-";

    return fault->code[strspn(fault->code, plain)] ? "?" : fault->code;
}

/* A warning a failure of the upstream's; the sessions that meet the same one
 * meanwhile say so among the other lines of theirs. */
static void
attempt_log(const struct realtime_opening *o,
            const struct realtime_fault *fault, const char *why, bool warn)
{
    struct upstream *u = realtime_opening_upstream(o);

    if (!log_enabled(warn ? LOG_LEVEL_WARN : LOG_LEVEL_INFO))
        return;
    log_write(warn ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, o->id,
              "event=upstream_failed upstream=%s host=%s result=%s code=%s "
              "why=\"%s\" took_ms=%llu",
              upstream_name(u), upstream_host(u),
              realtime_fault_name(fault->kind), code_clean(fault), why,
              (unsigned long long) (clock_now_ms() - o->since_ms));
}

/* --- one upstream after the other */

static void attempt_next(struct realtime_opening *o);

static void
attempt_failed(struct realtime_opening *o, struct realtime_fault *fault,
               const char *why)
{
    struct upstream *u = realtime_opening_upstream(o);

    if (upstream_key_is_in(u, fault->message)
        || upstream_key_is_in(u, fault->code)
        || upstream_key_is_in(u, fault->close_reason))
        realtime_fault_blank(fault);
    bool down = realtime_fault_is_upstreams(fault)
                && upstream_failed(u, clock_now_ms());
    attempt_log(o, fault, why, down);
    attempt_count(o, fault->kind);
    realtime_fault_keep(&o->best, fault);
    if (o->tried < o->order.count)
        failover_count();
    attempt_next(o);
}

/* Links are kept warm around the clock: their openings are no news. */
static void
opened_log(const struct realtime_opening *o)
{
    enum log_level level = o->is_session ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    struct upstream *u = realtime_opening_upstream(o);

    if (log_enabled(level))
        log_write(level, o->id,
                  "event=upstream_open upstream=%s host=%s took_ms=%llu",
                  upstream_name(u), upstream_host(u),
                  (unsigned long long) (clock_now_ms() - o->since_ms));
}

/* This upstream it is. */
static void
opened(struct realtime_opening *o, const char *json, size_t bytes)
{
    struct realtime_opening_handlers handlers = o->handlers;
    struct upstream *u = realtime_opening_upstream(o);
    struct realtime_wire *wire = o->wire;
    void *arg = o->arg;

    upstream_succeeded(u);
    attempt_count(o, REALTIME_FAULT_NONE);
    opened_log(o);
    opening_free(o);
    handlers.on_opened(arg, &wire, json, bytes);
}

static void
on_late(void *arg)
{
    struct realtime_opening *o = arg;
    struct realtime_fault fault;

    if (!o->wire)
        return;
    realtime_wire_abandon(&o->wire);
    realtime_fault_of_silence(&fault);
    if (o->state == OPENING_REFUSED)
        attempt_failed(o, &o->now, "an error event");
    else
        attempt_failed(o, &fault, "no session.created in time");
}

static void
on_wire_open(void *arg)
{
    struct realtime_opening *o = arg;

    if (o->state == OPENING_TRYING && o->call_id)
        opened(o, MODEL_LINK_ATTACHED, strlen(MODEL_LINK_ATTACHED));
}

/* What some servers say before session.created is of no use without one. */
static void
on_wire_text(void *arg, const char *json, size_t bytes)
{
    struct realtime_opening *o = arg;
    enum realtime_type type = realtime_type_of(json, bytes);

    if (o->state != OPENING_TRYING)
        return;
    if (type == REALTIME_SESSION_CREATED) {
        opened(o, json, bytes);
    } else if (type == REALTIME_ERROR) {
        opening_enter(o, OPENING_REFUSED);
        realtime_fault_of_event(&o->now, json, bytes);
        loop_timer_start(o->timer, REFUSAL_CLOSE_MS, 0);
    }
}

static void
on_wire_writable(void *arg)
{
    (void) arg; /* nothing is sent yet */
}

static void
on_wire_closed(void *arg, const struct realtime_end *end)
{
    struct realtime_opening *o = arg;
    struct realtime_fault fault;
    char status[32] = "";

    o->wire = NULL;
    if (o->state == OPENING_REFUSED) {
        realtime_fault_closed(&o->now, end->code, end->reason);
        attempt_failed(o, &o->now, "an error event");
        return;
    }
    realtime_fault_of_end(&fault, end);
    /* A text that was cut may hold a part of it only. */
    if (end->refusal
        && upstream_key_is_in(realtime_opening_upstream(o), end->refusal))
        realtime_fault_blank(&fault);
    if (end->fault == WS_FAULT_STATUS)
        snprintf(status, sizeof(status), "HTTP status %u", end->status);
    attempt_failed(o, &fault, *status ? status : realtime_end_text(end));
}

static const struct realtime_wire_handlers wire_handlers = {
    .on_open = on_wire_open,
    .on_text = on_wire_text,
    .on_writable = on_wire_writable,
    .on_closed = on_wire_closed,
};

static int
attempt_open(struct realtime_opening *o, struct upstream *u)
{
    const struct realtime_wire_config cfg = {
        .loop = o->loop,
        .upstream = u,
        .target = {o->model, o->call_id, o->intent},
        .safety_id = o->safety_id,
        .log_id = o->id,
    };
    uint64_t ms = upstream_config(u)->connect_timeout_ms;
    int result = realtime_wire_open(&o->wire, &cfg, &wire_handlers, o);

    if (!result)
        loop_timer_start(o->timer, ms ? ms : CONNECT_TIMEOUT_MS, 0);
    return result;
}

static void
attempt_next(struct realtime_opening *o)
{
    struct realtime_fault fault;

    loop_timer_stop(o->timer);
    if (o->tried == o->order.count) {
        opening_enter(o, OPENING_FAILED);
        o->posted = true;
        loop_post(o->loop, &o->task);
        return;
    }
    opening_enter(o, OPENING_TRYING);
    o->since_ms = clock_now_ms();
    int result = attempt_open(o, o->order.items[o->tried++]);
    if (!result)
        return;
    if (result == UV_EBUSY)
        realtime_fault_of_limit(&fault);
    else
        realtime_fault_of_end(&fault,
                              &(struct realtime_end){.fault = WS_FAULT_LOST});
    attempt_failed(o, &fault, uv_strerror(result));
}

static void
on_task(struct loop_task *task, void *arg)
{
    struct realtime_opening *o = arg;

    (void) task;
    o->posted = false;
    if (o->state == OPENING_FAILED)
        o->handlers.on_failed(o->arg, &o->best);
    opening_free(o);
}

/* --- the start */

static int
text_copy(char **out, const char *text)
{
    *out = text && *text ? strdup(text) : NULL;
    return text && *text && !*out ? UV_ENOMEM : 0;
}

static int
opening_fill(struct realtime_opening *o, const struct model_link_config *cfg)
{
    int result = text_copy(&o->id, cfg->session_id);

    o->is_session = o->id && strncmp(o->id, "sess_", 5) == 0;

    if (!result)
        result = text_copy(&o->model, cfg->model);
    if (!result)
        result = text_copy(&o->call_id, cfg->call_id);
    if (!result)
        result = text_copy(&o->intent, cfg->intent);
    if (!result)
        result = text_copy(&o->safety_id, cfg->safety_id);
    if (!result)
        result = loop_timer_create(&o->timer, o->loop, on_late, o);
    return result;
}

int
realtime_opening_start(struct realtime_opening **op,
                       struct upstream_set *upstreams,
                       const struct model_link_config *cfg,
                       const struct realtime_opening_handlers *handlers,
                       void *arg)
{
    struct realtime_opening *o = calloc(1, sizeof(*o));

    if (!o)
        return UV_ENOMEM;
    o->loop = cfg->loop;
    o->handlers = *handlers;
    o->arg = arg;
    o->task.run = on_task;
    o->task.arg = o;
    int result = upstream_order(upstreams, cfg->upstreams,
                                cfg->upstreams ? cfg->upstream_count : 0,
                                clock_now_ms(), &o->order);
    if (!result)
        result = o->order.count ? opening_fill(o, cfg) : UV_ENOENT;
    if (result) {
        opening_free(o);
        return result;
    }
    attempt_next(o);
    *op = o;
    return 0;
}
