/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One order as its caller sees it: what was ordered, and the way back to the
 * caller's handlers. News comes from any thread and is told one at a time, in
 * this order: acknowledged, progress (the newest alone), page, done; on the
 * order's loop, or, when it names none, on the thread that brings it. Done is
 * told once, and nothing after it. Counted: the caller's share, that of who
 * runs it, and its own until done is told. Knows neither runs nor caches.
 */

#ifndef VOICE_TOOL_JOB_H
#define VOICE_TOOL_JOB_H

#include "service/tool_cache.h"
#include "service/tool_runner.h"
#include "tools/tool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* What was ordered; shared by the job and by what runs for it. */
struct tool_origin {
    atomic_uint shares;
    struct tool *tool;
    json_t *arguments;
    const char *tenant, *session_id, *call_id, *traceparent, *model;
    uint64_t ordered_us;
    char texts[];
};

/* How it ended; borrowed. */
struct tool_outcome {
    enum tool_ending ending;
    struct tool_value *value; /* TOOL_DONE */
    const char *error, *type; /* else; type is a literal */
    bool here; /* handlers may run on this thread, inside the call */
};

struct tool_execution;

struct tool_executions;
struct tool_share;

/* What an order counts as in its lane. */
enum tool_lane_state {
    TOOL_LANE_NONE,
    TOOL_LANE_WAITING,
    TOOL_LANE_RUNNING,
    TOOL_LANE_LATER /* acknowledged */
};

struct tool_job {
    /* Who runs it: under their lock. */
    struct tool_executions *executions;
    LIST_ENTRY(tool_job) of_all;
    bool listed, answered;
    bool chained; /* somebody cancels it, with others */
    struct tool_job *next_chosen;
    struct tool_lane *lane; /* NULL: none */
    enum tool_lane_state lane_state;
    struct tool_share *share;         /* of its tenant; NULL: none */
    struct tool_execution *execution; /* that it caused and that goes on */
    /* The cache's. */
    struct tool_cache_waiter waiter;
    struct tool_cache_key key;
    bool in_flight; /* answered by the waiter's handler */

    struct tool_origin *origin; /* NULL once done is told */
    struct loop *loop, *spare_loop;
    struct tool_order_handlers handlers;
    void *arg;
    atomic_uint shares;
    atomic_uint *live;    /* one less once done is told */
    pthread_mutex_t lock; /* of all below */
    struct loop_task task;
    unsigned news;
    bool telling, over;
    struct tool_value *acknowledged, *page;
    double progress, progress_total;
    char *progress_text;
    struct tool_answer answer;
    char error[TOOL_RUNNER_ERROR_BYTES];
};

/* NULL: no memory. One share. */
struct tool_origin *tool_origin_make(struct tool *tool,
                                     const struct tool_order *order);
struct tool_origin *tool_origin_ref(struct tool_origin *origin);
void tool_origin_unref(struct tool_origin *origin);

/* Of whoever keeps the jobs. */
struct tool_job_home {
    struct loop *loop; /* for what may not be told at once */
    atomic_uint *live;
};

/* One share, the job's own; *live is one more. Copies the handlers, shares the
 * origin. NULL: no memory. */
struct tool_job *tool_job_make(struct tool_origin *origin,
                               const struct tool_order *order,
                               const struct tool_order_caller *caller,
                               const struct tool_job_home *home);
/* Instead of telling done: nobody has been told of it. */
void tool_job_drop(struct tool_job *job);
struct tool_job *tool_job_ref(struct tool_job *job);
void tool_job_unref(struct tool_job *job);

/* Each takes the value. */
void tool_job_acknowledge(struct tool_job *job, struct tool_value *value);
void tool_job_page(struct tool_job *job, struct tool_value *page);
void tool_job_progress(struct tool_job *job, double progress, double total,
                       const char *message);

/* Once; uses the job's own share up. */
void tool_job_done(struct tool_job *job, const struct tool_outcome *outcome);

/* An outcome as an answer that does not outlive it. */
void tool_outcome_answer(const struct tool_outcome *outcome,
                         const struct tool_origin *origin,
                         struct tool_answer *answer);

#endif
