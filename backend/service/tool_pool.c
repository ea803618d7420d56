/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   any thread ─► push ─► queue (locked) ─► first thread that is free ─► run
 */

#include "service/tool_pool.h"

#include "base/log.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

struct tool_pool {
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t pushed;
    struct tool_pool_task *first, **last;
    unsigned queued, idle, threads, max_threads;
    bool ending;
    pthread_t ids[];
};

static struct tool_pool_task *
task_take(struct tool_pool *p)
{
    while (!p->first && !p->ending) {
        p->idle++;
        pthread_cond_wait(&p->pushed, &p->lock);
        p->idle--;
    }
    struct tool_pool_task *task = p->first;
    if (!task)
        return NULL;
    p->first = task->next;
    if (!p->first)
        p->last = &p->first;
    p->queued--;
    return task;
}

static void *
pool_thread(void *arg)
{
    struct tool_pool *p = arg;
    struct tool_pool_task *task;

    pthread_setname_np(pthread_self(), "tool");
    pthread_mutex_lock(&p->lock);
    while ((task = task_take(p)) != NULL) {
        pthread_mutex_unlock(&p->lock);
        task->run(task);
        pthread_mutex_lock(&p->lock);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

/* A signal is for the main thread. With the lock. */
static int
thread_start(struct tool_pool *p)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&p->ids[p->threads], NULL, pool_thread, p);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        LOG_LIMITED(ERROR, "tools", "event=thread_failed threads=%u error=%s",
                    p->threads, uv_err_name(uv_translate_sys_error(error)));
        return UV_EAGAIN;
    }
    p->threads++;
    return 0;
}

int
tool_pool_push(struct tool_pool *p, struct tool_pool_task *task)
{
    int result = 0;

    pthread_mutex_lock(&p->lock);
    if (p->queued >= p->idle && p->threads < p->max_threads)
        result = thread_start(p);
    if (p->threads) {
        result = 0;
        task->next = NULL;
        *p->last = task;
        p->last = &task->next;
        p->queued++;
        pthread_cond_signal(&p->pushed);
    }
    pthread_mutex_unlock(&p->lock);
    return result;
}

int
tool_pool_create(struct tool_pool **pp, unsigned max_threads)
{
    if (max_threads == 0 || max_threads > TOOL_POOL_THREADS_MAX)
        return UV_EINVAL;
    struct tool_pool *p =
        calloc(1, sizeof(*p) + max_threads * sizeof(p->ids[0]));
    if (!p)
        return UV_ENOMEM;
    p->max_threads = max_threads;
    p->last = &p->first;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->pushed, NULL);
    *pp = p;
    return 0;
}

void
tool_pool_destroy(struct tool_pool **pp)
{
    struct tool_pool *p = *pp;

    *pp = NULL;
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->ending = true;
    pthread_cond_broadcast(&p->pushed);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->threads; i++)
        pthread_join(p->ids[i], NULL);
    pthread_cond_destroy(&p->pushed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
