/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The threads of the speech gate and the queue they take jobs from. A job is
 * asked for and ends on its loop; its work is done on a thread, in one go or in
 * several (it goes to the back of the queue in between, so that a long story
 * holds nobody up). Owns the threads, and an ears for each that needed one.
 *
 * One lock guards the queue and all that may change in the jobs. A job is
 * freed when nobody refers to it: the asker's handle, its place in the queue
 * or on a thread, and its task while posted hold a reference each, and each
 * job holds one to the pool.
 */

#ifndef VOICE_SPEECH_POOL_H
#define VOICE_SPEECH_POOL_H

#include "gate/speech.h"

struct speech_pool;

enum speech_job_place {
    SPEECH_JOB_IDLE, /* no thread will touch it */
    SPEECH_JOB_QUEUED,
    SPEECH_JOB_RUNNING,
    SPEECH_JOB_PARKED /* its loop has enough for now */
};

/* What every kind of job begins with. All but `loop`, `task`, `work` and
 * `release` is guarded by the pool's lock. */
struct speech_job {
    struct speech_job *next;
    struct speech_pool *pool;
    struct loop *loop;
    struct loop_task task;
    void (*work)(struct speech_job *job, struct speech_ears **ears);
    void (*release)(struct speech_job *job); /* frees it, any thread */
    enum speech_job_place place;
    unsigned refs;
    bool posted;
    bool cancelled;
    bool done;
    int error;
};

/* api is borrowed for life. 0, UV_ENOMEM or what a thread could not start
 * for. */
int speech_pool_create(struct speech_pool **pp,
                       const struct speech_plugin_api *api, unsigned threads,
                       unsigned max_jobs);
/* Joins the threads. What cancelled jobs still hold goes with the last. */
void speech_pool_destroy(struct speech_pool **pp);

void speech_pool_lock(struct speech_pool *pool);
void speech_pool_unlock(struct speech_pool *pool);

/* On the loop. Counts the job in and queues it, or UV_EBUSY; the asker's
 * reference is made. Without the lock. */
int speech_pool_start(struct speech_pool *pool, struct speech_job *job);

/* On the loop, once: the asker's handle is gone, nothing is posted any more.
 * Without the lock. */
void speech_job_finish(struct speech_job *job);
void speech_job_unref(struct speech_job *job);

/* With the lock: puts an idle or parked job at the back of the queue. */
void speech_job_push(struct speech_job *job);

/* With the lock. True: the caller posts job->task once it has let go; the task
 * holds a reference. */
bool speech_job_claim_post(struct speech_job *job);

/* With the lock: the pool is not ending. */
bool speech_pool_is_running(const struct speech_pool *pool);
const struct speech_plugin_api *speech_pool_api(const struct speech_pool *pool);
void speech_pool_count(struct speech_pool *pool, struct speech_counts *counts);

#endif
