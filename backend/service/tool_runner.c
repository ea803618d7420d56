/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   order ─► tool ─► schema ─► kept? ─ hit ─► answered at once
 *                                └► tool_orders: joined, or run ─► on_done
 */

#include "service/tool_runner.h"

#include "base/clock.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/tool_schema.h"
#include "service/tool_meter.h"
#include "service/tool_news.h"
#include "service/tool_orders.h"
#include "service/tool_registry.h"
#include "service/tool_result.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS   100 /* how late a deadline may be seen */
#define NAME_SHOW 64  /* characters of a name that is no tool's */

struct tool_runner {
    struct tool_runner_config cfg;
    struct tool_executions *orders;
    char *root;
    struct loop_task arm_task, end_task;
    struct loop_timer *timer; /* the loop's */
    atomic_bool armed;
    struct metric *refused;
    uv_sem_t ended;
};

/* What is asked for, on its way through. */
struct asking {
    struct tool_runner *runner;
    const struct tool_order *order;
    struct tool *tool;
    uint64_t began_us;
    bool is_kept, wants_pages;
    struct tool_cache_question question;
};

/* --- deadlines: looked at while anything runs */

static void
look_again(struct tool_runner *r, uint64_t now_ms, uint64_t next_ms)
{
    uint64_t delay = next_ms > now_ms ? next_ms - now_ms : 1;

    loop_timer_start(r->timer, delay < LOOK_MS ? delay : LOOK_MS, 0);
}

static void
on_timer(void *arg)
{
    struct tool_runner *r = arg;
    uint64_t now_ms = clock_now_ms();
    uint64_t next_ms = tool_orders_expire(r->orders, now_ms);

    if (next_ms == UINT64_MAX) {
        /* One that came meanwhile saw it armed. */
        atomic_store(&r->armed, false);
        next_ms = tool_orders_expire(r->orders, now_ms);
        if (next_ms == UINT64_MAX || atomic_exchange(&r->armed, true))
            return;
    }
    look_again(r, now_ms, next_ms);
}

static void
on_arm(struct loop_task *task, void *arg)
{
    struct tool_runner *r = arg;

    (void) task;
    on_timer(r);
}

static void
timer_arm(struct tool_runner *r)
{
    if (!atomic_load_explicit(&r->armed, memory_order_relaxed)
        && !atomic_exchange(&r->armed, true))
        loop_post(r->cfg.loop, &r->arm_task);
}

/* --- answers without a run */

static int answer_refuse(const struct asking *a, struct tool_answer *answer,
                         enum tool_ending ending, const char *type,
                         const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static int
answer_refuse(const struct asking *a, struct tool_answer *answer,
              enum tool_ending ending, const char *type, const char *fmt, ...)
{
    va_list args;

    *answer = (struct tool_answer){.ending = ending, .type = type};
    answer->text = malloc(TOOL_RUNNER_ERROR_BYTES);
    if (!answer->text)
        return UV_ENOMEM;
    va_start(args, fmt);
    vsnprintf(answer->text, TOOL_RUNNER_ERROR_BYTES, fmt, args);
    va_end(args);
    answer->error = answer->text;
    answer->took_us = clock_now_us() - a->began_us;
    metric_add(a->runner->refused, 1);
    return 1;
}

/* Takes the value. */
static int
answer_hit(const struct asking *a, struct tool_value *value,
           struct tool_answer *answer)
{
    tool_meter_hit(a->tool->meter);
    *answer = (struct tool_answer){
        .ending = TOOL_DONE,
        .output = value,
        .cached = true,
        .truncated = value->truncated,
        .took_us = clock_now_us() - a->began_us,
    };
    return 1;
}

static int
answer_busy(const struct asking *a, struct tool_answer *answer, int error)
{
    return answer_refuse(a, answer, TOOL_BUSY, "busy",
                         error == UV_ECANCELED
                             ? "The server is shutting down."
                             : "Too many tools run at once; try again later.");
}

void
tool_answer_deinit(struct tool_answer *answer)
{
    tool_value_unref(answer->output);
    free(answer->text);
    *answer = (struct tool_answer){0};
}

/* --- the cache */

/* Whether what is asked for could be kept, and the question for it. */
static int
question_make(struct asking *a)
{
    const struct tool_spec *spec = &a->tool->spec;
    struct tool_cache_question *q = &a->question;
    struct tool_stamp stamp = {{0}};

    a->is_kept = a->runner->cfg.cache && spec->ttl_ms > 0
                 && (spec->flags & TOOL_READ_ONLY)
                 && !(spec->flags & (TOOL_LONG | TOOL_AT_ONCE))
                 && !a->wants_pages;
    if (a->is_kept && (spec->flags & TOOL_STAMPED))
        a->is_kept =
            a->tool->ops->stamp(a->tool, a->order->arguments, &stamp) == 0;
    if (!a->is_kept)
        return 0;
    q->domain = spec->domain;
    q->now_ms = clock_now_ms();
    memcpy(q->stamp.words, stamp.words, sizeof(q->stamp.words));
    return tool_cache_key_make(
        &q->key, a->order->tenant ? a->order->tenant : "", a->runner->root,
        spec->name, a->order->arguments);
}

/* What was kept is nearly over: it is made anew, for nobody. Takes the
 * flight. */
static void
refresh_start(const struct asking *a, struct tool_flight *flight)
{
    const struct tool_outcome busy = {
        .ending = TOOL_BUSY, .error = "The server is busy.", .type = "busy"};
    const struct tool_cache_result none = {.note = &busy};
    struct tool_origin *origin = tool_origin_make(a->tool, a->order);
    const struct tool_start start = {
        .origin = origin, .flight = flight, .key = &a->question.key};

    if (!origin) {
        tool_cache_done(a->runner->cfg.cache, &flight, &none);
        return;
    }
    tool_orders_start(a->runner->orders, &start);
    timer_arm(a->runner);
    tool_origin_unref(origin);
}

/* --- orders */

/* A hit that came between is answered as one. */
static int
order_in_flight(const struct asking *a, struct tool_job *job,
                struct tool_answer *answer)
{
    struct tool_executions *x = a->runner->orders;
    struct tool_flight *flight;
    struct tool_value *value;

    job->in_flight = true;
    job->key = a->question.key;
    job->waiter.handler = tool_execution_on_flight;
    job->waiter.arg = job;
    enum tool_cache_found found = tool_cache_ask(
        a->runner->cfg.cache, &a->question, &job->waiter, &value, &flight);
    if (found == TOOL_CACHE_WAIT && !flight) {
        tool_orders_join(x, job);
        return 0;
    }
    if (found == TOOL_CACHE_WAIT) {
        const struct tool_start start = {.origin = job->origin,
                                         .job = job,
                                         .flight = flight,
                                         .key = &a->question.key};
        tool_meter_missed(a->tool->meter);
        tool_orders_start(x, &start);
        return 0;
    }
    if (found == TOOL_CACHE_HIT) {
        const struct tool_outcome hit = {.value = value};

        tool_news_answer(a->runner->cfg.events, job->origin, &hit);
    }
    tool_orders_leave(x, job);
    if (found == TOOL_CACHE_FAILED)
        return UV_ENOMEM;
    if (flight)
        refresh_start(a, flight);
    return answer_hit(a, value, answer);
}

static int
order_run(const struct asking *a, struct tool_job *job,
          struct tool_answer *answer)
{
    const struct tool_start start = {
        .origin = job->origin, .job = job, .wants_pages = a->wants_pages};
    int result = tool_orders_enter(a->runner->orders, job);

    if (result) {
        tool_job_drop(job);
        return answer_busy(a, answer, result);
    }
    tool_news_call(a->runner->cfg.events, job->origin);
    if (a->is_kept)
        return order_in_flight(a, job, answer);
    tool_orders_start(a->runner->orders, &start);
    return 0;
}

static int
order_here(const struct asking *a, struct tool_origin *origin,
           struct tool_answer *answer)
{
    struct tool_result_text text;
    int result = tool_orders_run_here(a->runner->orders, origin, &text);

    if (result)
        return result;
    if (!text.value)
        return answer_refuse(a, answer, text.ending, text.type, "%s",
                             text.error);
    *answer = (struct tool_answer){
        .ending = TOOL_DONE,
        .output = text.value,
        .truncated = text.value->truncated,
        .took_us = clock_now_us() - a->began_us,
    };
    return 1;
}

/* Nothing kept can be given. */
static int
order_miss(const struct asking *a, const struct tool_order_caller *caller,
           struct tool_job **jp, struct tool_answer *answer)
{
    const struct tool_job_home home = tool_orders_home(a->runner->orders);
    struct tool_origin *origin = tool_origin_make(a->tool, a->order);
    struct tool_job *job;
    int result = UV_ENOMEM;

    if (!origin)
        return UV_ENOMEM;
    if (a->tool->spec.flags & TOOL_AT_ONCE) {
        result = order_here(a, origin, answer);
    } else if ((job = tool_job_make(origin, a->order, caller, &home)) != NULL) {
        tool_job_ref(job); /* whatever others do with theirs meanwhile */
        if (jp)
            *jp = tool_job_ref(job);
        result = order_run(a, job, answer);
        if (jp && result)
            tool_job_put(jp);
        tool_job_unref(job);
        timer_arm(a->runner);
    }
    tool_origin_unref(origin);
    return result;
}

/* The tool is found, the arguments fit. */
static int
order_ask(struct asking *a, const struct tool_order_caller *caller,
          struct tool_job **jp, struct tool_answer *answer)
{
    struct tool_flight *flight;
    int result = question_make(a);

    if (result)
        return result;
    struct tool_value *value =
        a->is_kept
            ? tool_cache_find(a->runner->cfg.cache, &a->question, &flight)
            : NULL;
    if (!value)
        return order_miss(a, caller, jp, answer);
    if (flight)
        refresh_start(a, flight);
    tool_news_hit(a->runner->cfg.events, a->order, value);
    return answer_hit(a, value, answer);
}

int
tool_runner_order(struct tool_runner *r, const struct tool_order *order,
                  const struct tool_order_caller *caller, struct tool_job **jp,
                  struct tool_answer *answer)
{
    char why[TOOL_SCHEMA_ERROR_BYTES];
    struct asking a = {.runner = r, .order = order, .began_us = clock_now_us()};
    int result;

    *answer = (struct tool_answer){0};
    if (jp)
        *jp = NULL;
    a.tool = tool_registry_get(r->cfg.registry, order->name);
    if (!a.tool)
        return answer_refuse(&a, answer, TOOL_UNKNOWN, "unknown_tool",
                             "There is no tool of that name.");
    a.wants_pages = order->wants_pages && (a.tool->spec.flags & TOOL_PAGES)
                    && caller->handlers->on_page;
    if (!json_is_object(order->arguments))
        result = answer_refuse(&a, answer, TOOL_INVALID, "invalid_arguments",
                               "The arguments must be a JSON object.");
    else if (tool_schema_check(a.tool->schema, order->arguments, why) != 0)
        result = answer_refuse(&a, answer, TOOL_INVALID, "invalid_arguments",
                               "%s", why);
    else
        result = order_ask(&a, caller, jp, answer);
    tool_unref(&a.tool);
    return result;
}

/* --- jobs */

void
tool_job_continue(struct tool_job *job)
{
    tool_orders_continue(job->executions, job);
}

void
tool_job_cancel(struct tool_job **jp)
{
    struct tool_job *job = *jp;

    *jp = NULL;
    if (!job)
        return;
    tool_orders_cancel(job->executions, job);
    tool_job_unref(job);
}

void
tool_job_put(struct tool_job **jp)
{
    struct tool_job *job = *jp;

    *jp = NULL;
    if (job)
        tool_job_unref(job);
}

unsigned
tool_runner_cancel(struct tool_runner *r, const char *tenant,
                   const char *session_id, bool immediate, struct buffer *names)
{
    const struct tool_choice choice = {.tenant = tenant ? tenant : "",
                                       .session_id = session_id};

    return tool_orders_cancel_all(r->orders, &choice, immediate, names);
}

unsigned
tool_runner_list(struct tool_runner *r, const char *tenant,
                 struct buffer *names)
{
    const struct tool_choice choice = {.tenant = tenant ? tenant : ""};

    return tool_orders_list(r->orders, &choice, names);
}

unsigned
tool_runner_count(struct tool_runner *r)
{
    return tool_orders_live(r->orders);
}

/* --- life */

static void
on_start(struct loop_task *task, void *arg)
{
    struct tool_runner *r = arg;

    (void) task;
    if (loop_timer_create(&r->timer, r->cfg.loop, on_timer, r) != 0)
        r->timer = NULL;
    uv_sem_post(&r->ended);
}

static void
on_end(struct loop_task *task, void *arg)
{
    struct tool_runner *r = arg;

    (void) task;
    if (r->timer)
        loop_timer_destroy(&r->timer);
    uv_sem_post(&r->ended);
}

/* Runs it on the loop, behind what was posted before, and waits. */
static void
errand_run(struct tool_runner *r, loop_task_h *run)
{
    r->end_task = (struct loop_task){.run = run, .arg = r};
    loop_post(r->cfg.loop, &r->end_task);
    uv_sem_wait(&r->ended);
}

static int
orders_make(struct tool_runner *r)
{
    const struct tool_executions_config cfg = {
        .cache = r->cfg.cache,
        .events = r->cfg.events,
        .usage = r->cfg.usage,
        .loop = r->cfg.loop,
        .threads = r->cfg.threads,
        .max_running = r->cfg.max_running,
        .max_waiting = r->cfg.max_waiting,
    };

    r->root = strdup(r->cfg.root ? r->cfg.root : "");
    return r->root ? tool_orders_create(&r->orders, &cfg) : UV_ENOMEM;
}

int
tool_runner_create(struct tool_runner **rp,
                   const struct tool_runner_config *cfg)
{
    if (!cfg->registry || !cfg->loop || !cfg->max_running)
        return UV_EINVAL;
    struct tool_runner *r = calloc(1, sizeof(*r));
    if (!r)
        return UV_ENOMEM;
    r->cfg = *cfg;
    r->arm_task = (struct loop_task){.run = on_arm, .arg = r};
    r->refused =
        metric_register(METRIC_COUNTER, "voiced_tools_refused_total",
                        "Orders of tools that were answered without a run: "
                        "unknown, bad arguments, too many at once.");
    int result = orders_make(r);
    if (!result)
        result = uv_sem_init(&r->ended, 0);
    if (result) {
        tool_orders_destroy(&r->orders);
        free(r->root);
        free(r);
        return result;
    }
    errand_run(r, on_start);
    *rp = r;
    if (r->timer)
        return 0;
    tool_runner_destroy(rp);
    return UV_ENOMEM;
}

void
tool_runner_close(struct tool_runner *r)
{
    tool_orders_close(r->orders);
}

void
tool_runner_destroy(struct tool_runner **rp)
{
    struct tool_runner *r = *rp;

    *rp = NULL;
    if (!r)
        return;
    errand_run(r, on_end);
    tool_orders_destroy(&r->orders);
    uv_sem_destroy(&r->ended);
    free(r->root);
    free(r);
}
