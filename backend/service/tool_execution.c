/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   start ─► queue ─► dispatch ─┬─► pool ─► work ─┬─► end ─┬─► flight: waiters
 *              ▲                └─► loop ─► start ┘  │     └─► the job
 *              └───────────── continue ◄── page ─────┘
 */

#include "service/tool_execution.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "service/tool_meter.h"
#include "service/tool_news.h"
#include "service/tool_result.h"
#include "service/usage.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- small questions */

static bool
tool_writes(const struct tool *tool)
{
    return !(tool->spec.flags & TOOL_READ_ONLY);
}

static void
domain_bump(struct tool_execution *e)
{
    if (e->owner->cfg.cache && tool_writes(e->tool))
        tool_cache_bump(e->owner->cfg.cache, e->tool->spec.domain);
}

struct tool_execution *
tool_execution_ref(struct tool_execution *e)
{
    atomic_fetch_add_explicit(&e->shares, 1, memory_order_relaxed);
    return e;
}

void
tool_execution_unref(struct tool_execution *e)
{
    atomic_uint *live = &e->owner->live;

    if (atomic_fetch_sub_explicit(&e->shares, 1, memory_order_acq_rel) != 1)
        return;
    tool_run_deinit(&e->run);
    tool_value_unref(e->page);
    tool_origin_unref(e->origin);
    free(e);
    atomic_fetch_sub_explicit(live, 1, memory_order_acq_rel);
}

/* --- answering */

/* The job belongs to no run any more; with the lock. Gives the run's share. */
struct tool_job *
tool_execution_detach(struct tool_execution *e)
{
    struct tool_job *job = e->place.job;

    e->place.job = NULL;
    if (job)
        job->execution = NULL;
    return job;
}

/* Whoever took it out of where it waited answers it. */
void
tool_execution_settle(struct tool_executions *x, struct tool_job *job,
                      const struct tool_outcome *outcome)
{
    struct tool_job *detached = NULL;

    pthread_mutex_lock(&x->lock);
    job->answered = true;
    if (job->listed)
        LIST_REMOVE(job, of_all);
    job->listed = false;
    if (job->execution)
        detached = tool_execution_detach(job->execution);
    tool_queue_leave(&x->queue, job);
    pthread_mutex_unlock(&x->lock);
    if (detached)
        tool_job_unref(detached);
    tool_news_answer(x->cfg.events, job->origin, outcome);
    tool_job_done(job, outcome);
}

void
tool_execution_on_flight(void *arg, struct tool_value *value, const void *note)
{
    struct tool_job *job = arg;
    struct tool_outcome outcome = *(const struct tool_outcome *) note;

    outcome.value = value;
    tool_execution_settle(job->executions, job, &outcome);
}

/* Those for whom a run was, taken out of it under the lock. */
struct audience {
    struct tool_flight *flight;
    struct tool_job *job; /* the run's share */
};

static struct audience
audience_take(struct tool_execution *e)
{
    struct audience a = {e->flight, NULL};

    e->flight = NULL;
    a.job = tool_execution_detach(e);
    return a;
}

static void
audience_tell(struct tool_execution *e, struct audience *a,
              const struct tool_outcome *outcome,
              const struct tool_result *result)
{
    struct tool_cache_result kept = {
        .value = outcome->value,
        .now_ms = clock_now_ms(),
        .note = outcome,
    };

    if (result && outcome->value && !result->unsettled)
        kept.ttl_ms = e->tool->spec.ttl_ms;
    if (result)
        memcpy(kept.stamp.words, result->stamp.words, sizeof(kept.stamp.words));
    if (a->flight)
        tool_cache_done(e->owner->cfg.cache, &a->flight, &kept);
    else if (a->job)
        tool_execution_settle(e->owner, a->job, outcome);
    if (a->job)
        tool_job_unref(a->job);
}

/* --- places */

static void on_pool(struct tool_pool_task *task);
static void on_start(struct loop_task *task, void *arg);
static void on_cancel(struct loop_task *task, void *arg);

/* Those that may run now; with the lock. */
struct tool_execution *
tool_executions_take(struct tool_executions *x)
{
    struct tool_execution *first = NULL, **last = &first;
    struct tool_place *p;

    while ((p = tool_queue_take(&x->queue)) != NULL) {
        struct tool_execution *e =
            (void *) ((char *) p - offsetof(struct tool_execution, place));

        e->state = TOOL_RUN_READY;
        e->next_ready = NULL;
        *last = e;
        last = &e->next_ready;
    }
    metric_set(x->running, x->queue.running);
    metric_set(x->waiting, x->queue.waiting);
    return first;
}

/* Without the lock. Without a thread the loop tells the failure. */
void
tool_executions_dispatch(struct tool_execution *e)
{
    while (e) {
        struct tool_execution *next = e->next_ready;

        if (!e->tool->ops->work
            || tool_pool_push(e->owner->pool, &e->pool_task) != 0)
            loop_post(e->owner->cfg.loop, &e->start_task);
        e = next;
    }
}

/* --- the end */

/* With the lock. Gives the places that it leaves. */
static struct tool_execution *
end_locked(struct tool_execution *e, struct audience *a)
{
    e->state = TOOL_RUN_ENDED;
    tool_queue_end(&e->owner->queue, &e->place);
    LIST_REMOVE(e, of_all);
    *a = audience_take(e);
    return tool_executions_take(e->owner);
}

/* It ran: whatever came of it. */
static void
run_count(const struct tool_execution *e, uint64_t took_us, bool good)
{
    struct usage *usage = e->owner->cfg.usage;

    tool_meter_ran(e->tool->meter, took_us, good);
    if (usage)
        usage_add_tool_run(usage, e->origin->tenant, e->origin->model);
}

/* Without the lock, once. Writers have bumped before anybody is answered. Uses
 * the run's own share up. */
static void
end_tell(struct tool_execution *e, struct audience *a,
         const struct tool_outcome *outcome, const struct tool_result *result)
{
    if (e->begun) {
        uint64_t took_us = clock_now_us() - e->began_us;

        domain_bump(e);
        run_count(e, took_us, outcome->value != NULL);
        tool_news_ran(e->id, e->origin, outcome, took_us);
    }
    audience_tell(e, a, outcome, result);
    tool_execution_unref(e);
}

static void
execution_end(struct tool_execution *e, const struct tool_outcome *outcome,
              const struct tool_result *result)
{
    struct tool_executions *x = e->owner;
    struct audience a;

    pthread_mutex_lock(&x->lock);
    struct tool_execution *ready = end_locked(e, &a);
    pthread_mutex_unlock(&x->lock);
    end_tell(e, &a, outcome, result);
    tool_executions_dispatch(ready);
}

/* Why it is answered without a result. */
struct tool_outcome
tool_execution_outcome(enum tool_ending ending, const struct tool *tool,
                       char text[TOOL_RUNNER_ERROR_BYTES])
{
    struct tool_outcome outcome = {.ending = ending, .error = text};

    const char *name = tool->spec.name;

    switch (ending) {
    case TOOL_TIMED_OUT:
        outcome.type = "timeout";
        snprintf(text, TOOL_RUNNER_ERROR_BYTES,
                 "%s did not end within %llu ms and was stopped.", name,
                 (unsigned long long) tool->spec.timeout_ms);
        break;
    case TOOL_CANCELLED:
        outcome.type = "cancelled";
        snprintf(text, TOOL_RUNNER_ERROR_BYTES, "%s was cancelled.", name);
        break;
    case TOOL_BUSY:
        outcome.type = "busy";
        snprintf(text, TOOL_RUNNER_ERROR_BYTES,
                 "The server has no room left to run %s.", name);
        break;
    default:
        outcome.type = "failed";
        snprintf(text, TOOL_RUNNER_ERROR_BYTES, "%s ended without a result.",
                 name);
    }
    return outcome;
}

static void
execution_end_bare(struct tool_execution *e, enum tool_ending ending, bool here)
{
    char text[TOOL_RUNNER_ERROR_BYTES];
    struct tool_outcome outcome = tool_execution_outcome(ending, e->tool, text);

    outcome.here = here;
    execution_end(e, &outcome, NULL);
}

/* Answers whoever waits, at once. */
void
tool_execution_abort(struct tool_execution *e, enum tool_ending ending,
                     bool here)
{
    struct tool_executions *x = e->owner;
    struct tool_execution *ready = NULL;
    char text[TOOL_RUNNER_ERROR_BYTES];
    struct tool_outcome outcome = tool_execution_outcome(ending, e->tool, text);
    struct audience a;
    bool tell = false;

    outcome.here = here;
    pthread_mutex_lock(&x->lock);
    enum tool_execution_state state = e->state;
    if (state == TOOL_RUN_ENDED || e->aborted) {
        pthread_mutex_unlock(&x->lock);
        return;
    }
    e->aborted = true;
    metric_add(x->aborted, 1);
    tool_run_cancel(&e->run);
    if (state == TOOL_RUN_WAITING || state == TOOL_RUN_PAUSED) {
        ready = end_locked(e, &a);
    } else {
        a = audience_take(e);
        tell = e->tool->ops->start && e->tool->ops->cancel;
        if (tell)
            tool_execution_ref(e);
    }
    pthread_mutex_unlock(&x->lock);
    if (tell)
        loop_post(x->cfg.loop, &e->cancel_task);
    if (state == TOOL_RUN_WAITING || state == TOOL_RUN_PAUSED)
        end_tell(e, &a, &outcome, NULL);
    else
        audience_tell(e, &a, &outcome, NULL);
    tool_executions_dispatch(ready);
}

/* --- what the tool says */

static int
on_run_page(void *arg, json_t *page)
{
    struct tool_execution *e = arg;
    int result =
        e->page ? UV_EBUSY : tool_value_dump(&e->page, page, TOOL_BYTES_MAX);

    json_decref(page);
    return result;
}

/* A share; NULL: nobody waits any more. */
static struct tool_job *
job_of(struct tool_execution *e)
{
    struct tool_job *job;

    pthread_mutex_lock(&e->owner->lock);
    job = e->place.job ? tool_job_ref(e->place.job) : NULL;
    pthread_mutex_unlock(&e->owner->lock);
    return job;
}

static void
on_run_progress(void *arg, double progress, double total, const char *message)
{
    struct tool_job *job = job_of(arg);

    if (!job)
        return;
    tool_job_progress(job, progress, total, message);
    tool_job_unref(job);
}

/* From now on its place is another's; who can't be told early keeps it. */
static void
on_run_acknowledged(void *arg, json_t *output)
{
    struct tool_execution *e = arg;
    struct tool_executions *x = e->owner;
    struct tool_execution *ready = NULL;
    struct tool_value *value = NULL;
    struct tool_job *job = job_of(e);

    if (job && job->handlers.on_acknowledged
        && tool_value_dump(&value, output, e->tool->spec.max_bytes) == 0) {
        pthread_mutex_lock(&x->lock);
        tool_queue_postpone(&x->queue, &e->place);
        ready = tool_executions_take(x);
        pthread_mutex_unlock(&x->lock);
        tool_job_acknowledge(job, value);
        tool_executions_dispatch(ready);
    }
    if (job)
        tool_job_unref(job);
    json_decref(output);
}

static void
on_run_finished(void *arg, struct tool_result *result)
{
    struct tool_execution *e = arg;
    struct tool_result_text text;

    tool_result_read(e->captured ? e->captured : &text, e->tool, result);
    if (e->captured)
        return;
    struct tool_outcome outcome = tool_result_outcome(&text);
    outcome.here = true;
    execution_end(e, &outcome, result);
    tool_result_text_deinit(&text);
}

static const struct tool_run_handlers run_handlers = {
    .on_page = on_run_page,
    .on_progress = on_run_progress,
    .on_acknowledged = on_run_acknowledged,
    .on_finished = on_run_finished,
};

/* --- running */

/* False: it was aborted before, and has ended now. */
static bool
execution_begin(struct tool_execution *e)
{
    struct tool_executions *x = e->owner;

    pthread_mutex_lock(&x->lock);
    bool goes = !e->aborted;
    bool is_first = goes && !e->begun;
    if (goes) {
        e->state = TOOL_RUN_RUNNING;
        e->begun = true;
        e->run.cfg.deadline_ms = e->deadline_ms;
    }
    pthread_mutex_unlock(&x->lock);
    if (!goes) {
        execution_end_bare(e, TOOL_CANCELLED, true);
    } else if (is_first) {
        e->began_us = clock_now_us();
        domain_bump(e);
    }
    return goes;
}

/* After a step that has left a page. */
static void
execution_pause(struct tool_execution *e)
{
    struct tool_executions *x = e->owner;
    struct tool_execution *ready = NULL;
    struct tool_job *job = NULL;
    struct tool_value *page = e->page;

    e->page = NULL;
    pthread_mutex_lock(&x->lock);
    if (page && e->place.job && !e->aborted) {
        job = tool_job_ref(e->place.job);
        e->state = TOOL_RUN_PAUSED;
        e->deadline_ms = clock_now_ms() + TOOL_RUNNER_PAUSE_MS;
        tool_queue_remove(&x->queue, &e->place);
        ready = tool_executions_take(x);
    }
    pthread_mutex_unlock(&x->lock);
    if (!job) {
        execution_end_bare(e, page ? TOOL_CANCELLED : TOOL_FAILED, true);
        tool_value_unref(page);
        return;
    }
    tool_job_page(job, page);
    tool_job_unref(job);
    tool_executions_dispatch(ready);
}

static void
on_pool(struct tool_pool_task *task)
{
    struct tool_execution *e =
        (void *) ((char *) task - offsetof(struct tool_execution, pool_task));
    tool_execution_ref(e);
    if (execution_begin(e)) {
        enum tool_step step = e->tool->ops->work(e->tool, &e->run);

        if (!e->run.finished && step == TOOL_STEP_PAGE)
            execution_pause(e);
        else if (!e->run.finished)
            execution_end_bare(e, TOOL_FAILED, true);
    }
    tool_execution_unref(e);
}

void
tool_execution_run_here(struct tool_execution *e, struct tool_result_text *text)
{
    struct tool_result none = {.type = "failed"};

    e->captured = text;
    e->began_us = clock_now_us();
    domain_bump(e);
    e->tool->ops->work(e->tool, &e->run);
    if (!e->run.finished)
        tool_run_finish(&e->run, &none);
    domain_bump(e);
    run_count(e, clock_now_us() - e->began_us, text->value != NULL);
    tool_execution_unref(e);
}

static void
on_start(struct loop_task *task, void *arg)
{
    struct tool_execution *e = arg;

    (void) task;
    if (!e->tool->ops->start) {
        execution_end_bare(e, TOOL_BUSY, true);
        return;
    }
    tool_execution_ref(e);
    if (execution_begin(e))
        e->tool->ops->start(e->tool, &e->run);
    tool_execution_unref(e);
}

/* On the loop, where it was started and will finish. */
static void
on_cancel(struct loop_task *task, void *arg)
{
    struct tool_execution *e = arg;

    (void) task;
    pthread_mutex_lock(&e->owner->lock);
    bool runs = e->state == TOOL_RUN_RUNNING;
    pthread_mutex_unlock(&e->owner->lock);
    if (runs)
        e->tool->ops->cancel(e->tool, &e->run);
    tool_execution_unref(e);
}

/* --- life */

struct tool_execution *
tool_execution_make(struct tool_executions *x, const struct tool_start *start)
{
    struct tool_execution *e = calloc(1, sizeof(*e));
    struct tool_origin *origin = start->origin;

    if (!e)
        return NULL;
    e->owner = x;
    e->origin = tool_origin_ref(origin);
    e->tool = origin->tool;
    e->flight = start->flight;
    if (start->key)
        e->key = *start->key;
    e->deadline_ms = origin->ordered_us / 1000 + e->tool->spec.timeout_ms;
    snprintf(e->id, sizeof(e->id), "run_%u", atomic_fetch_add(&x->ids, 1) + 1);
    const struct tool_run_config run = {
        .loop = x->cfg.loop,
        .id = e->id,
        .tenant = origin->tenant,
        .session_id = origin->session_id,
        .arguments = origin->arguments,
        .deadline_ms = e->deadline_ms,
        .wants_pages = start->wants_pages,
        .traceparent = origin->traceparent,
    };
    tool_run_init(&e->run, &run, &run_handlers, e);
    e->pool_task.run = on_pool;
    e->start_task = (struct loop_task){.run = on_start, .arg = e};
    e->cancel_task = (struct loop_task){.run = on_cancel, .arg = e};
    atomic_init(&e->shares, 1);
    atomic_fetch_add_explicit(&x->live, 1, memory_order_relaxed);
    return e;
}
