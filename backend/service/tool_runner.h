/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs tools for sessions and for HTTP: finds the tool, checks the arguments
 * against its schema, asks the cache, runs what has to run (file tools on the
 * pool, the rest on the services' loop), keeps successes, bumps what a write
 * changes, and answers every order exactly once, whatever happens: with its
 * result, its error, at its deadline, or as cancelled. Single-flight is the
 * cache's: one who leaves takes nobody along; what nobody waits for any more
 * is cancelled, unless it changes something, has begun and has no ops->cancel:
 * then it ends by itself. Any thread. Owns its jobs; shares tools.
 *
 *   order ─► schema ─► cache ─ hit ─────────────────────────► answer at once
 *                        └ miss ─► waits for a place ─► run ─► cache ─► answer
 */

#ifndef VOICE_TOOL_RUNNER_H
#define VOICE_TOOL_RUNNER_H

#include "base/buffer.h"
#include "base/loop.h"
#include "service/tool_value.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define TOOL_RUNNER_ERROR_BYTES     512
#define TOOL_RUNNER_ARGUMENTS_BYTES 262144 /* of JSON text */
#define TOOL_RUNNER_LANE_MAX        8  /* at once for one session or caller */
#define TOOL_RUNNER_LANE_WAITING    32 /* beyond: refused, "busy" */
#define TOOL_RUNNER_LANE_LATER      16 /* acknowledged, their results to come */
#define TOOL_RUNNER_PAUSE_MS        60000 /* that a page waits for its next */

struct event_bus;
struct tool_cache;
struct tool_job;
struct tool_registry;
struct tool_runner;
struct usage;

struct tool_runner_config {
    struct tool_registry *registry;
    struct tool_cache *cache; /* NULL: nothing is kept */
    struct event_bus *events; /* tool_call, tool_result, tool_error; or NULL */
    struct usage *usage;      /* each run is counted; or NULL */
    struct loop *loop;        /* the services' */
    const char *root;         /* a part of the cache's keys; copied */
    unsigned threads;         /* of the pool, at most */
    unsigned max_running;     /* in the process; the rest waits */
    unsigned max_waiting;     /* beyond: refused, "busy" */
};
int tool_runner_create(struct tool_runner **rp,
                       const struct tool_runner_config *cfg);
/* New orders are refused, running ones cancelled; every on_done is told. Then
 * wait until _count is 0, and destroy, while the loops run and on none. */
void tool_runner_close(struct tool_runner *r);
void tool_runner_destroy(struct tool_runner **rp);

/* What one session or caller may have at once; zeroed, outlives its orders. */
struct tool_lane {
    unsigned running, waiting, later; /* the runner's, under its lock */
};

struct tool_order {
    const char *name;
    const json_t *arguments; /* an object; copied when it has to run */
    const char *tenant;      /* copied, "" = default */
    const char *session_id;  /* copied, "" : over HTTP */
    const char *call_id;     /* copied, "" none; for events and status */
    const char *model;       /* copied; NULL or "": none; for usage */
    const char *traceparent; /* copied; NULL or "": none */
    struct tool_lane *lane;  /* NULL: none */
    struct loop *loop;       /* handlers run on it; NULL: on any thread */
    bool wants_pages;
};

enum tool_ending {
    TOOL_DONE,
    TOOL_FAILED,  /* by the tool, or its answer was too large */
    TOOL_INVALID, /* the arguments */
    TOOL_UNKNOWN, /* no such tool */
    TOOL_BUSY,    /* too many at once */
    TOOL_TIMED_OUT,
    TOOL_CANCELLED
};

struct tool_answer {
    enum tool_ending ending;
    struct tool_value *output; /* TOOL_DONE: JSON text; borrowed (ref it) */
    const char *error;         /* else a sentence; borrowed */
    const char *type;          /* as in tool_run.h, or "unknown_tool", "busy" */
    bool cached, truncated;
    uint64_t took_us;
    char *text; /* the answer's own */
};

struct tool_order_handlers {
    /* A page as JSON text, borrowed; the next one is made after
     * tool_job_continue. This one and the next two may be NULL. */
    void (*on_page)(void *arg, const char *json, size_t bytes);
    void (*on_progress)(void *arg, double progress, double total,
                        const char *message);
    /* A long tool's first word, JSON text, borrowed; on_done still follows. */
    void (*on_acknowledged)(void *arg, const char *json, size_t bytes);
    /* Once, the last; never within tool_runner_order or a verb here, but
     * without a loop maybe on another thread before the verb has returned. Then
     * the job is gone but for the caller's share. */
    void (*on_done)(void *arg, const struct tool_answer *answer);
};

struct tool_order_caller {
    const struct tool_order_handlers *handlers;
    void *arg; /* theirs */
};

/*
 * 0: on_done follows; *job (may be NULL: not wanted) is the caller's share,
 * written before any handler runs. The caller's structs are copied.
 * 1: it is answered already: *answer, whose texts live until the caller's
 * tool_answer_deinit; no handler is called. This is how hits come, and how
 * orders are refused. UV_ENOMEM: nothing has happened.
 */
int tool_runner_order(struct tool_runner *r, const struct tool_order *order,
                      const struct tool_order_caller *caller,
                      struct tool_job **job, struct tool_answer *answer);
void tool_answer_deinit(struct tool_answer *answer);

/* Makes the next page. On the order's loop. */
void tool_job_continue(struct tool_job *job);

/* Both take the share. Cancelled: on_done follows, TOOL_CANCELLED unless it was
 * on its way. Any thread. */
void tool_job_cancel(struct tool_job **job);
void tool_job_put(struct tool_job **job);

/* All of a tenant (session_id NULL) or of one session. Graceful: what waits is
 * cancelled, what runs may end. Immediate: all is cancelled. Appends the names
 * of what ran, as a JSON array, to `names` (may be NULL). How many were
 * cancelled or are ending. */
unsigned tool_runner_cancel(struct tool_runner *r, const char *tenant,
                            const char *session_id, bool immediate,
                            struct buffer *names);

/* What runs, as above. */
unsigned tool_runner_list(struct tool_runner *r, const char *tenant,
                          struct buffer *names);
unsigned tool_runner_count(struct tool_runner *r);

#endif
