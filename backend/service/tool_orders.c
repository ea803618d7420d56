/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_orders.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "service/tool_news.h"
#include "service/tool_result.h"

#include <stdlib.h>
#include <string.h>

#define BATCH   16 /* runs that end their time in one go */
#define LATE_MS 10000

/* --- coming */

int
tool_orders_enter(struct tool_executions *x, struct tool_job *job)
{
    int result = 0;

    pthread_mutex_lock(&x->lock);
    if (x->closed)
        result = UV_ECANCELED;
    else if (!tool_queue_enter(&x->queue, job))
        result = UV_EBUSY;
    pthread_mutex_unlock(&x->lock);
    if (result)
        return result;
    job->executions = x;
    return 0;
}

void
tool_orders_leave(struct tool_executions *x, struct tool_job *job)
{
    pthread_mutex_lock(&x->lock);
    tool_queue_leave(&x->queue, job);
    pthread_mutex_unlock(&x->lock);
    tool_job_drop(job);
}

/* With the lock. It may have been answered before it was seen here. */
static void
job_list(struct tool_executions *x, struct tool_job *job)
{
    if (job->answered)
        return;
    LIST_INSERT_HEAD(&x->jobs, job, of_all);
    job->listed = true;
}

void
tool_orders_join(struct tool_executions *x, struct tool_job *job)
{
    pthread_mutex_lock(&x->lock);
    job_list(x, job);
    pthread_mutex_unlock(&x->lock);
}

/* For a run that never was. */
static void
start_refuse(struct tool_executions *x, const struct tool_start *start,
             enum tool_ending ending)
{
    char text[TOOL_RUNNER_ERROR_BYTES];
    struct tool_outcome outcome =
        tool_execution_outcome(ending, start->origin->tool, text);
    struct tool_cache_result none = {.note = &outcome};
    struct tool_flight *flight = start->flight;

    if (flight)
        tool_cache_done(x->cfg.cache, &flight, &none);
    else if (start->job)
        tool_execution_settle(x, start->job, &outcome);
}

/* With the lock. What nobody waits for takes no place of others'. */
static bool
start_is_welcome(const struct tool_executions *x,
                 const struct tool_start *start)
{
    if (x->closed)
        return false;
    return start->job
           || (!x->queue.waiting && x->queue.running < x->queue.max_running);
}

void
tool_orders_start(struct tool_executions *x, const struct tool_start *start)
{
    struct tool_execution *e = tool_execution_make(x, start);
    struct tool_execution *ready = NULL;

    if (!e) {
        start_refuse(x, start, TOOL_BUSY);
        return;
    }
    pthread_mutex_lock(&x->lock);
    bool closed = x->closed;
    bool welcome = start_is_welcome(x, start);
    if (welcome) {
        LIST_INSERT_HEAD(&x->all, e, of_all);
        if (start->job && !start->job->answered) {
            e->place.job = tool_job_ref(start->job);
            start->job->execution = e;
            job_list(x, start->job);
        }
        tool_queue_push(&x->queue, &e->place, false);
        ready = tool_executions_take(x);
    }
    pthread_mutex_unlock(&x->lock);
    if (!welcome) {
        e->flight = NULL;
        tool_execution_unref(e);
        start_refuse(x, start, closed ? TOOL_CANCELLED : TOOL_BUSY);
        return;
    }
    tool_executions_dispatch(ready);
}

int
tool_orders_run_here(struct tool_executions *x, struct tool_origin *origin,
                     struct tool_result_text *text)
{
    const struct tool_start start = {.origin = origin};
    struct tool_execution *e = tool_execution_make(x, &start);

    if (!e)
        return UV_ENOMEM;
    tool_execution_run_here(e, text);
    return 0;
}

/* --- going */

/* The flight of that key, when nobody waits for it any more: a share. */
static struct tool_execution *
flight_unwanted(struct tool_executions *x, const struct tool_cache_key *key)
{
    struct tool_execution *e, *found = NULL;

    pthread_mutex_lock(&x->lock);
    LIST_FOREACH(e, &x->all, of_all)
    {
        if (!found && e->flight && memcmp(&e->key, key, sizeof(*key)) == 0
            && tool_cache_abandon(x->cfg.cache, e->flight))
            found = tool_execution_ref(e);
    }
    pthread_mutex_unlock(&x->lock);
    return found;
}

/* One that nobody else will answer. */
static void
cancelled_settle(struct tool_executions *x, struct tool_job *job)
{
    char text[TOOL_RUNNER_ERROR_BYTES];
    struct tool_outcome outcome =
        tool_execution_outcome(TOOL_CANCELLED, job->origin->tool, text);

    tool_execution_settle(x, job, &outcome);
}

static void
flight_leave(struct tool_executions *x, struct tool_job *job)
{
    struct tool_cache_key key = job->key;

    if (!tool_cache_leave(x->cfg.cache, &job->waiter))
        return;
    cancelled_settle(x, job);
    struct tool_execution *e = flight_unwanted(x, &key);
    if (!e)
        return;
    tool_execution_abort(e, TOOL_CANCELLED, false);
    tool_execution_unref(e);
}

/* What it would leave half done is let end. */
static bool
must_end_by_itself(const struct tool_execution *e)
{
    return e->begun && !(e->tool->spec.flags & TOOL_READ_ONLY)
           && !e->tool->ops->cancel;
}

static void
run_leave(struct tool_executions *x, struct tool_job *job)
{
    struct tool_job *detached = NULL;
    struct tool_execution *e;

    pthread_mutex_lock(&x->lock);
    e = job->execution ? tool_execution_ref(job->execution) : NULL;
    if (e && must_end_by_itself(e))
        detached = tool_execution_detach(e);
    pthread_mutex_unlock(&x->lock);
    if (!e)
        return;
    if (detached) {
        tool_job_unref(detached);
        cancelled_settle(x, job);
    } else {
        tool_execution_abort(e, TOOL_CANCELLED, false);
    }
    tool_execution_unref(e);
}

void
tool_orders_cancel(struct tool_executions *x, struct tool_job *job)
{
    if (job->in_flight)
        flight_leave(x, job);
    else
        run_leave(x, job);
}

void
tool_orders_continue(struct tool_executions *x, struct tool_job *job)
{
    struct tool_execution *ready = NULL;

    pthread_mutex_lock(&x->lock);
    struct tool_execution *e = job->execution;
    if (e && e->state == TOOL_RUN_PAUSED) {
        e->state = TOOL_RUN_WAITING;
        e->deadline_ms = clock_now_ms() + e->tool->spec.timeout_ms;
        tool_queue_push(&x->queue, &e->place, true);
        ready = tool_executions_take(x);
    }
    pthread_mutex_unlock(&x->lock);
    tool_executions_dispatch(ready);
}

/* --- time */

/* Some that are over; each a share. */
static unsigned
over_take(struct tool_executions *x, uint64_t now_ms,
          struct tool_execution *out[BATCH], uint64_t *next_ms)
{
    struct tool_execution *e;
    unsigned count = 0;

    *next_ms = UINT64_MAX;
    pthread_mutex_lock(&x->lock);
    LIST_FOREACH(e, &x->all, of_all)
    {
        uint64_t until = e->deadline_ms + (e->aborted ? LATE_MS : 0);

        if (e->aborted && now_ms >= until) {
            LOG_LIMITED(ERROR, e->id, "event=tool_stuck tool=%s",
                        e->tool->spec.name);
            e->deadline_ms = now_ms;
        } else if (now_ms >= until && count < BATCH) {
            out[count++] = tool_execution_ref(e);
        } else if (until < *next_ms) {
            *next_ms = until;
        }
    }
    if (*next_ms == UINT64_MAX && !LIST_EMPTY(&x->all))
        *next_ms = now_ms + LATE_MS;
    pthread_mutex_unlock(&x->lock);
    return count;
}

uint64_t
tool_orders_expire(struct tool_executions *x, uint64_t now_ms)
{
    struct tool_execution *over[BATCH];
    uint64_t next_ms;
    unsigned count;

    do {
        count = over_take(x, now_ms, over, &next_ms);
        for (unsigned i = 0; i < count; i++) {
            tool_execution_abort(over[i], TOOL_TIMED_OUT, true);
            tool_execution_unref(over[i]);
        }
    } while (count == BATCH);
    return next_ms;
}

/* --- all of a tenant */

static bool
job_is_chosen(const struct tool_job *job, const struct tool_choice *choice)
{
    const struct tool_origin *origin = job->origin;

    return strcmp(origin->tenant, choice->tenant) == 0
           && (!choice->session_id
               || strcmp(origin->session_id, choice->session_id) == 0);
}

/* Who waits in a flight of another's is as good as running. */
static bool
job_is_running(const struct tool_job *job)
{
    return job->execution ? job->execution->state != TOOL_RUN_WAITING
                          : job->in_flight;
}

static void
name_add(struct buffer *names, const struct tool_job *job, unsigned count)
{
    if (names)
        buffer_printf(names, "%s\"%s\"", count ? "," : "",
                      job->origin->tool->spec.name);
}

unsigned
tool_orders_list(struct tool_executions *x, const struct tool_choice *choice,
                 struct buffer *names)
{
    struct tool_job *job;
    unsigned count = 0;

    if (names)
        buffer_append(names, "[", 1);
    pthread_mutex_lock(&x->lock);
    LIST_FOREACH(job, &x->jobs, of_all)
    {
        if (job_is_chosen(job, choice) && job_is_running(job))
            name_add(names, job, count++);
    }
    pthread_mutex_unlock(&x->lock);
    if (names)
        buffer_append(names, "]", 1);
    return count;
}

/* Those to be cancelled, a share each, in a chain of their own. */
static struct tool_job *
chosen_take(struct tool_executions *x, const struct tool_choice *choice,
            bool immediate)
{
    struct tool_job *job, *first = NULL;

    pthread_mutex_lock(&x->lock);
    LIST_FOREACH(job, &x->jobs, of_all)
    {
        if (!job_is_chosen(job, choice) || job->chained
            || (!immediate && job_is_running(job)))
            continue;
        job->chained = true;
        job->next_chosen = first;
        first = tool_job_ref(job);
    }
    pthread_mutex_unlock(&x->lock);
    return first;
}

unsigned
tool_orders_cancel_all(struct tool_executions *x,
                       const struct tool_choice *choice, bool immediate,
                       struct buffer *names)
{
    unsigned count = 0, running = tool_orders_list(x, choice, names);
    struct tool_job *job = chosen_take(x, choice, immediate);

    while (job) {
        struct tool_job *next = job->next_chosen;

        tool_orders_cancel(x, job);
        tool_job_unref(job);
        job = next;
        count++;
    }
    return immediate ? count : count + running;
}

struct tool_job_home
tool_orders_home(struct tool_executions *x)
{
    return (struct tool_job_home){.loop = x->cfg.loop, .live = &x->live};
}

unsigned
tool_orders_live(const struct tool_executions *x)
{
    return atomic_load_explicit(&x->live, memory_order_acquire);
}

/* --- life */

int
tool_orders_create(struct tool_executions **xp,
                   const struct tool_executions_config *cfg)
{
    struct tool_executions *x = calloc(1, sizeof(*x));

    if (!x)
        return UV_ENOMEM;
    int result = tool_pool_create(&x->pool, cfg->threads);
    if (result) {
        free(x);
        return result;
    }
    x->cfg = *cfg;
    pthread_mutex_init(&x->lock, NULL);
    LIST_INIT(&x->jobs);
    LIST_INIT(&x->all);
    tool_queue_init(&x->queue, cfg->max_running, cfg->max_waiting);
    x->running = metric_register(METRIC_GAUGE, "voiced_tools_running",
                                 "Runs of tools that hold a place.");
    x->waiting = metric_register(METRIC_GAUGE, "voiced_tools_waiting",
                                 "Runs of tools that wait for a place.");
    x->aborted = metric_register(METRIC_COUNTER, "voiced_tools_aborted_total",
                                 "Runs cancelled, or stopped at their time.");
    *xp = x;
    return 0;
}

/* One that is not yet aborted: a share. */
static struct tool_execution *
left_take(struct tool_executions *x)
{
    struct tool_execution *e;

    pthread_mutex_lock(&x->lock);
    LIST_FOREACH(e, &x->all, of_all)
    {
        if (!e->aborted)
            break;
    }
    if (e)
        tool_execution_ref(e);
    pthread_mutex_unlock(&x->lock);
    return e;
}

void
tool_orders_close(struct tool_executions *x)
{
    struct tool_execution *e;

    pthread_mutex_lock(&x->lock);
    x->closed = true;
    pthread_mutex_unlock(&x->lock);
    while ((e = left_take(x)) != NULL) {
        tool_execution_abort(e, TOOL_CANCELLED, false);
        tool_execution_unref(e);
    }
}

void
tool_orders_destroy(struct tool_executions **xp)
{
    struct tool_executions *x = *xp;

    *xp = NULL;
    if (!x)
        return;
    tool_pool_destroy(&x->pool);
    pthread_mutex_destroy(&x->lock);
    free(x);
}
