/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   acknowledge, progress, page, done ─► news (locked) ─┬─ order's loop ─► tell
 *                                                       └─ this thread ──► tell
 */

#include "service/tool_job.h"

#include "base/clock.h"
#include "codec/tool_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NEWS_ACKNOWLEDGED = 1, NEWS_PROGRESS = 2, NEWS_PAGE = 4, NEWS_DONE = 8 };

#define PROGRESS_TEXT_MAX 512

/* --- what was ordered */

static const char *
text_copy(char **at, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    char *copy = *at;

    if (bytes)
        memcpy(copy, text, bytes);
    copy[bytes] = '\0';
    *at += bytes + 1;
    return copy;
}

static size_t
text_room(const char *text)
{
    return (text ? strlen(text) : 0) + 1;
}

struct tool_origin *
tool_origin_make(struct tool *tool, const struct tool_order *order)
{
    size_t room = text_room(order->tenant) + text_room(order->session_id)
                  + text_room(order->call_id) + text_room(order->traceparent)
                  + text_room(order->model);
    struct tool_origin *origin = malloc(sizeof(*origin) + room);
    char *at;

    if (!origin)
        return NULL;
    atomic_init(&origin->shares, 1);
    /* A tree's counts are the library's, and none of two threads'. */
    origin->arguments = json_deep_copy(order->arguments);
    if (!origin->arguments) {
        free(origin);
        return NULL;
    }
    origin->tool = tool_ref(tool);
    at = origin->texts;
    origin->tenant = text_copy(&at, order->tenant);
    origin->session_id = text_copy(&at, order->session_id);
    origin->call_id = text_copy(&at, order->call_id);
    origin->traceparent = text_copy(&at, order->traceparent);
    origin->model = text_copy(&at, order->model);
    origin->ordered_us = clock_now_us();
    return origin;
}

struct tool_origin *
tool_origin_ref(struct tool_origin *origin)
{
    atomic_fetch_add_explicit(&origin->shares, 1, memory_order_relaxed);
    return origin;
}

void
tool_origin_unref(struct tool_origin *origin)
{
    if (atomic_fetch_sub_explicit(&origin->shares, 1, memory_order_acq_rel)
        != 1)
        return;
    tool_unref(&origin->tool);
    json_decref(origin->arguments);
    free(origin);
}

/* --- telling */

/* The first of what there is, out of the news; 0: none. */
static unsigned
news_take(struct tool_job *job, struct tool_value **value, char **text)
{
    unsigned first = job->news & -job->news;

    job->news &= ~first;
    *value = NULL;
    *text = NULL;
    if (first == NEWS_ACKNOWLEDGED) {
        *value = job->acknowledged;
        job->acknowledged = NULL;
    } else if (first == NEWS_PAGE) {
        *value = job->page;
        job->page = NULL;
    } else if (first == NEWS_PROGRESS) {
        *text = job->progress_text;
        job->progress_text = NULL;
    }
    return first;
}

/* The last call; then the job's own share is given back. What the caller keeps
 * holds no tool: it may outlive them all. */
static void
done_tell(struct tool_job *job)
{
    atomic_uint *live = job->live;

    tool_origin_unref(job->origin);
    job->origin = NULL;

    job->handlers.on_done(job->arg, &job->answer);
    tool_value_unref(job->answer.output);
    job->answer.output = NULL;
    tool_job_unref(job);
    atomic_fetch_sub_explicit(live, 1, memory_order_acq_rel);
}

static void
news_tell(struct tool_job *job)
{
    for (;;) {
        struct tool_value *value;
        double progress, total;
        char *text;

        pthread_mutex_lock(&job->lock);
        unsigned what = news_take(job, &value, &text);
        progress = job->progress;
        total = job->progress_total;
        if (!what)
            job->telling = false;
        pthread_mutex_unlock(&job->lock);
        if (!what)
            return;
        if (what == NEWS_DONE) {
            done_tell(job);
            return;
        }
        if (what == NEWS_ACKNOWLEDGED)
            job->handlers.on_acknowledged(job->arg, value->text, value->bytes);
        else if (what == NEWS_PAGE)
            job->handlers.on_page(job->arg, value->text, value->bytes);
        else
            job->handlers.on_progress(job->arg, progress, total, text);
        tool_value_unref(value);
        free(text);
    }
}

static void
on_task(struct loop_task *task, void *arg)
{
    (void) task;
    news_tell(arg);
}

/* Unlocks. Whoever finds nobody telling sees to it. */
static void
news_bring(struct tool_job *job, unsigned what, bool here)
{
    bool must_tell = !job->telling;

    job->news |= what;
    job->telling = true;
    pthread_mutex_unlock(&job->lock);
    if (!must_tell)
        return;
    if (job->loop)
        loop_post(job->loop, &job->task);
    else if (here)
        news_tell(job);
    else
        loop_post(job->spare_loop, &job->task);
}

void
tool_job_acknowledge(struct tool_job *job, struct tool_value *value)
{
    if (!value)
        return;
    pthread_mutex_lock(&job->lock);
    if (job->over || job->acknowledged || !job->handlers.on_acknowledged) {
        pthread_mutex_unlock(&job->lock);
        tool_value_unref(value);
        return;
    }
    job->acknowledged = value;
    news_bring(job, NEWS_ACKNOWLEDGED, true);
}

void
tool_job_page(struct tool_job *job, struct tool_value *page)
{
    pthread_mutex_lock(&job->lock);
    if (job->over || job->page || !job->handlers.on_page) {
        pthread_mutex_unlock(&job->lock);
        tool_value_unref(page);
        return;
    }
    job->page = page;
    news_bring(job, NEWS_PAGE, true);
}

static char *
progress_text(const char *message)
{
    size_t bytes = message ? strnlen(message, PROGRESS_TEXT_MAX + 4) : 0;
    char *text = NULL;

    if (message)
        text = strndup(message,
                       tool_limits_cut(message, bytes, PROGRESS_TEXT_MAX));
    if (text)
        tool_limits_clean(text, strlen(text));
    return text;
}

void
tool_job_progress(struct tool_job *job, double progress, double total,
                  const char *message)
{
    if (!job->handlers.on_progress)
        return;
    char *text = progress_text(message);
    pthread_mutex_lock(&job->lock);
    if (job->over) {
        pthread_mutex_unlock(&job->lock);
        free(text);
        return;
    }
    free(job->progress_text);
    job->progress_text = text;
    job->progress = progress;
    job->progress_total = total;
    news_bring(job, NEWS_PROGRESS, true);
}

void
tool_outcome_answer(const struct tool_outcome *outcome,
                    const struct tool_origin *origin,
                    struct tool_answer *answer)
{
    *answer = (struct tool_answer){
        .ending = outcome->ending,
        .output = outcome->value,
        .error = outcome->value ? NULL : outcome->error,
        .type = outcome->value ? NULL : outcome->type,
        .truncated = outcome->value && outcome->value->truncated,
        .took_us = clock_now_us() - origin->ordered_us,
    };
}

void
tool_job_done(struct tool_job *job, const struct tool_outcome *outcome)
{
    pthread_mutex_lock(&job->lock);
    job->over = true;
    tool_outcome_answer(outcome, job->origin, &job->answer);
    if (job->answer.output)
        tool_value_ref(job->answer.output);
    if (job->answer.error) {
        snprintf(job->error, sizeof(job->error), "%s", job->answer.error);
        job->answer.error = job->error;
    }
    news_bring(job, NEWS_DONE, outcome->here);
}

/* --- life */

struct tool_job *
tool_job_make(struct tool_origin *origin, const struct tool_order *order,
              const struct tool_order_caller *caller,
              const struct tool_job_home *home)
{
    struct tool_job *job = calloc(1, sizeof(*job));

    if (!job)
        return NULL;
    job->origin = tool_origin_ref(origin);
    job->lane = order->lane;
    job->loop = order->loop;
    job->spare_loop = home->loop;
    job->handlers = *caller->handlers;
    job->arg = caller->arg;
    job->live = home->live;
    atomic_fetch_add_explicit(job->live, 1, memory_order_relaxed);
    atomic_init(&job->shares, 1);
    pthread_mutex_init(&job->lock, NULL);
    job->task = (struct loop_task){.run = on_task, .arg = job};
    return job;
}

struct tool_job *
tool_job_ref(struct tool_job *job)
{
    atomic_fetch_add_explicit(&job->shares, 1, memory_order_relaxed);
    return job;
}

void
tool_job_unref(struct tool_job *job)
{
    if (atomic_fetch_sub_explicit(&job->shares, 1, memory_order_acq_rel) != 1)
        return;
    tool_value_unref(job->acknowledged);
    tool_value_unref(job->page);
    tool_value_unref(job->answer.output);
    free(job->progress_text);
    pthread_mutex_destroy(&job->lock);
    if (job->origin)
        tool_origin_unref(job->origin);
    free(job);
}

void
tool_job_drop(struct tool_job *job)
{
    atomic_uint *live = job->live;

    tool_job_unref(job);
    atomic_fetch_sub_explicit(live, 1, memory_order_acq_rel);
}
