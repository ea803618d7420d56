/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/speech_pool.h"

#include "base/log.h"

#include <stdlib.h>

#define MAX_THREADS 64u

struct speech_pool {
    const struct speech_plugin_api *api;
    uv_mutex_t lock;
    uv_cond_t wake;
    struct speech_job *first;
    struct speech_job *last;
    struct speech_counts counts;
    unsigned max_jobs;
    unsigned refs; /* under the lock: the owner and every job */
    bool stopping;
    unsigned threads;
    uv_thread_t thread[MAX_THREADS];
};

/* --- references and the queue */

static void
pool_unref(struct speech_pool *pool)
{
    bool last;

    uv_mutex_lock(&pool->lock);
    last = --pool->refs == 0;
    uv_mutex_unlock(&pool->lock);
    if (!last)
        return;
    uv_cond_destroy(&pool->wake);
    uv_mutex_destroy(&pool->lock);
    free(pool);
}

void
speech_job_unref(struct speech_job *job)
{
    struct speech_pool *pool = job->pool;
    bool last;

    uv_mutex_lock(&pool->lock);
    last = --job->refs == 0;
    uv_mutex_unlock(&pool->lock);
    if (!last)
        return;
    job->release(job);
    pool_unref(pool);
}

/* Under the lock. */
void
speech_job_push(struct speech_job *job)
{
    struct speech_pool *pool = job->pool;

    job->place = SPEECH_JOB_QUEUED;
    job->next = NULL;
    job->refs++;
    if (pool->last != NULL)
        pool->last->next = job;
    else
        pool->first = job;
    pool->last = job;
    pool->counts.waiting++;
    uv_cond_signal(&pool->wake);
}

/* Under the lock: takes job out, wherever it is; gives its reference. */
static void
job_take(struct speech_job *job)
{
    struct speech_pool *pool = job->pool;
    struct speech_job *before = NULL;

    for (struct speech_job *at = pool->first; at != job; at = at->next)
        before = at;
    if (before != NULL)
        before->next = job->next;
    else
        pool->first = job->next;
    if (pool->last == job)
        pool->last = before;
    job->next = NULL;
    pool->counts.waiting--;
}

/* Under the lock. True: the caller posts the task once it has let go. */
bool
speech_job_claim_post(struct speech_job *job)
{
    if (job->posted || job->cancelled)
        return false;
    job->posted = true;
    job->refs++;
    return true;
}

/* Counts the job in, or refuses it; queues it. On the loop. */
int
speech_pool_start(struct speech_pool *pool, struct speech_job *job)
{
    int error = 0;

    job->pool = pool;
    job->refs = 1;
    uv_mutex_lock(&pool->lock);
    if (pool->counts.jobs >= pool->max_jobs || pool->stopping) {
        pool->counts.refused++;
        error = UV_EBUSY;
    } else {
        pool->counts.jobs++;
        pool->refs++;
        speech_job_push(job);
    }
    uv_mutex_unlock(&pool->lock);
    return error;
}

/* On the loop: the asker has no handle any more. */
void
speech_job_finish(struct speech_job *job)
{
    struct speech_pool *pool = job->pool;
    bool queued;

    uv_mutex_lock(&pool->lock);
    pool->counts.jobs--;
    job->cancelled = true;
    queued = job->place == SPEECH_JOB_QUEUED;
    if (queued)
        job_take(job);
    if (queued || job->place == SPEECH_JOB_PARKED)
        job->place = SPEECH_JOB_IDLE;
    uv_mutex_unlock(&pool->lock);
    if (queued)
        speech_job_unref(job);
    speech_job_unref(job);
}

/* --- the threads */

static struct speech_job *
job_wait(struct speech_pool *pool)
{
    struct speech_job *job;

    uv_mutex_lock(&pool->lock);
    while (pool->first == NULL && !pool->stopping)
        uv_cond_wait(&pool->wake, &pool->lock);
    job = pool->stopping ? NULL : pool->first;
    if (job != NULL) {
        job_take(job);
        job->place = SPEECH_JOB_RUNNING;
        pool->counts.running++;
    }
    uv_mutex_unlock(&pool->lock);
    return job;
}

static void
thread_run(void *arg)
{
    struct speech_pool *pool = arg;
    struct speech_ears *ears = NULL; /* made when first needed */
    struct speech_job *job;

    while ((job = job_wait(pool)) != NULL) {
        job->work(job, &ears);
        uv_mutex_lock(&pool->lock);
        pool->counts.running--;
        uv_mutex_unlock(&pool->lock);
        speech_job_unref(job);
    }
    if (ears != NULL)
        pool->api->ears_destroy(ears);
}

static void
threads_stop(struct speech_pool *pool)
{
    uv_mutex_lock(&pool->lock);
    pool->stopping = true;
    uv_cond_broadcast(&pool->wake);
    uv_mutex_unlock(&pool->lock);
    while (pool->threads > 0)
        uv_thread_join(&pool->thread[--pool->threads]);
}

static int
threads_start(struct speech_pool *pool, unsigned count)
{
    while (pool->threads < count) {
        int error =
            uv_thread_create(&pool->thread[pool->threads], thread_run, pool);

        if (error != 0) {
            threads_stop(pool);
            return error;
        }
        pool->threads++;
    }
    return 0;
}

int
speech_pool_create(struct speech_pool **pp, const struct speech_plugin_api *api,
                   unsigned threads, unsigned max_jobs)
{
    struct speech_pool *pool = calloc(1, sizeof *pool);
    int error;

    if (pool == NULL)
        return UV_ENOMEM;
    pool->refs = 1;
    pool->api = api;
    pool->max_jobs = max_jobs;
    error = uv_mutex_init(&pool->lock);
    if (error != 0) {
        free(pool);
        return error;
    }
    error = uv_cond_init(&pool->wake);
    if (error != 0) {
        uv_mutex_destroy(&pool->lock);
        free(pool);
        return error;
    }
    error = threads_start(pool, threads < MAX_THREADS ? threads : MAX_THREADS);
    if (error != 0) {
        pool_unref(pool);
        return error;
    }
    *pp = pool;
    return 0;
}

void
speech_pool_destroy(struct speech_pool **pp)
{
    struct speech_pool *pool = *pp;

    *pp = NULL;
    if (pool == NULL)
        return;
    threads_stop(pool);
    if (pool->counts.jobs > 0)
        LOG(ALERT, "speech", "jobs_left=%u", pool->counts.jobs);
    pool_unref(pool);
}

void
speech_pool_lock(struct speech_pool *pool)
{
    uv_mutex_lock(&pool->lock);
}

void
speech_pool_unlock(struct speech_pool *pool)
{
    uv_mutex_unlock(&pool->lock);
}

bool
speech_pool_is_running(const struct speech_pool *pool)
{
    return !pool->stopping;
}

const struct speech_plugin_api *
speech_pool_api(const struct speech_pool *pool)
{
    return pool->api;
}

void
speech_pool_count(struct speech_pool *pool, struct speech_counts *counts)
{
    speech_pool_lock(pool);
    *counts = pool->counts;
    speech_pool_unlock(pool);
}
