/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One run of a tool. It waits for a place, runs on the pool or on the services'
 * loop, perhaps in pages, and ends once; it answers the orders of its flight,
 * or one. At its deadline, or when nobody waits any more, it is aborted: those
 * who wait are answered at once, and it goes on to its end unseen, holding its
 * place. Counted: its run's own share until its end, that of each task posted.
 * Any thread; one lock of all of them, no foreign code under it but the
 * cache's. The orders' side is tool_orders.
 *
 *   WAITING ─► READY ─► RUNNING ─► ENDED        abort: WAITING, PAUSED end at
 *      ▲                   │ page               once; READY, RUNNING are told,
 *      └──── PAUSED ◄──────┘                    and end later
 */

#ifndef VOICE_TOOL_EXECUTION_H
#define VOICE_TOOL_EXECUTION_H

#include "service/tool_job.h"
#include "service/tool_pool.h"
#include "service/tool_queue.h"
#include "tools/tool_run.h"

#define TOOL_EXECUTION_ID_BYTES 24

struct metric;
struct tool_result_text;

enum tool_execution_state {
    TOOL_RUN_WAITING,
    TOOL_RUN_READY, /* on its way to its thread */
    TOOL_RUN_RUNNING,
    TOOL_RUN_PAUSED, /* until the next page is asked for */
    TOOL_RUN_ENDED
};

struct tool_execution {
    struct tool_executions *owner;
    struct tool_origin *origin;
    struct tool *tool; /* the origin's */
    struct tool_run run;
    struct tool_pool_task pool_task;
    struct loop_task start_task, cancel_task;
    atomic_uint shares;
    struct tool_cache_key key; /* with a flight */
    char id[TOOL_EXECUTION_ID_BYTES];
    /* By the owner's lock. */
    LIST_ENTRY(tool_execution) of_all;
    struct tool_place place; /* place.job: a share */
    struct tool_execution *next_ready;
    struct tool_flight *flight;
    enum tool_execution_state state;
    uint64_t deadline_ms;
    bool aborted;
    bool begun;
    /* On its thread. */
    struct tool_value *page;
    struct tool_result_text *captured; /* not NULL: run within an order */
    uint64_t began_us;
};

LIST_HEAD(tool_job_list, tool_job);
LIST_HEAD(tool_execution_list, tool_execution);

struct tool_executions_config {
    struct tool_cache *cache; /* NULL: none; borrowed, as all */
    struct event_bus *events; /* NULL: none */
    struct usage *usage;      /* NULL: nobody counts */
    struct loop *loop;
    unsigned threads, max_running, max_waiting;
};

struct tool_executions {
    struct tool_executions_config cfg;
    struct tool_pool *pool;
    atomic_uint live; /* orders not told done, runs not freed */
    atomic_uint ids;
    pthread_mutex_t lock; /* of all below */
    struct tool_job_list jobs;
    struct tool_execution_list all;
    struct tool_queue queue;
    bool closed;
    struct metric *running, *waiting, *aborted;
};

struct tool_start {
    struct tool_origin *origin;       /* shared */
    struct tool_job *job;             /* that it is for; NULL: nobody's */
    struct tool_flight *flight;       /* NULL: it answers the job alone */
    const struct tool_cache_key *key; /* with a flight */
    bool wants_pages;
};

/* In no list yet, without the job; one share. NULL: no memory. */
struct tool_execution *tool_execution_make(struct tool_executions *x,
                                           const struct tool_start *start);
struct tool_execution *tool_execution_ref(struct tool_execution *e);
void tool_execution_unref(struct tool_execution *e);

/* Work that is done within the call, in no list; takes the share. */
void tool_execution_run_here(struct tool_execution *e,
                             struct tool_result_text *text);

/* With the lock: the job is no more the run's, whose share of it is given. */
struct tool_job *tool_execution_detach(struct tool_execution *e);

/* With the lock: those that may run now. Without: they go to their threads. */
struct tool_execution *tool_executions_take(struct tool_executions *x);
void tool_executions_dispatch(struct tool_execution *ready);

/* Without the lock, all below. `here`: handlers may run inside the call. */
void tool_execution_abort(struct tool_execution *e, enum tool_ending ending,
                          bool here);
/* An order that was taken out of where it waited is answered. */
void tool_execution_settle(struct tool_executions *x, struct tool_job *job,
                           const struct tool_outcome *outcome);
/* A cache's waiter: settles the job that is its argument; note: an outcome. */
void tool_execution_on_flight(void *job, struct tool_value *value,
                              const void *note);
/* An ending without a result, in words. */
struct tool_outcome tool_execution_outcome(enum tool_ending ending,
                                           const struct tool *tool,
                                           char text[TOOL_RUNNER_ERROR_BYTES]);

#endif
