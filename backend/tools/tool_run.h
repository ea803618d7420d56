/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One run of a tool: its arguments, checked against the schema before, until
 * when it has time, and where its pages, its progress and its end go. Made and
 * owned by who runs the tool (tool_runner); the tool borrows it from `work` or
 * `start` until tool_run_finish, which is the last it may do with it. Verbs on
 * the thread that the tool runs on; questions on any.
 *
 *   runner ─► work / start ─► tool_run_page … tool_run_progress … ─► _finish
 */

#ifndef VOICE_TOOL_RUN_H
#define VOICE_TOOL_RUN_H

#include "tools/tool.h"

#include "base/loop.h"

#define TOOL_RUN_ERROR_BYTES 512

struct tool_result {
    /* Success: the output, taken (an object, or a string for plain text), even
     * when finish refuses it. */
    json_t *output;
    bool truncated; /* the output says of what */
    /* Failure: output NULL, a sentence for a model, copied; and what kind it
     * is, a literal: "not_found", "denied", "invalid_arguments", "timeout",
     * "cancelled", "too_large", "unavailable", "failed". */
    const char *error;
    const char *type;
    /* Success: may it be kept (a file that has just changed may not)? */
    bool unsettled;
    struct tool_stamp stamp;
};

struct tool_run_handlers {
    /* Takes the page (a JSON object). 0; UV_ECANCELED: nobody reads. */
    int (*on_page)(void *arg, json_t *page);
    /* total 0: not known. The message may be NULL. */
    void (*on_progress)(void *arg, double progress, double total,
                        const char *message);
    /* Takes what to tell at once. With TOOL_LONG. */
    void (*on_acknowledged)(void *arg, json_t *output);
    /* The last one. Takes result->output; the texts are borrowed. */
    void (*on_finished)(void *arg, struct tool_result *result);
};

struct tool_run_config {
    struct loop *loop;       /* the services' */
    const char *id;          /* for logs: "run_…" */
    const char *tenant;      /* "" = default */
    const char *session_id;  /* "" : over HTTP */
    const json_t *arguments; /* an object; outlives the run */
    uint64_t deadline_ms;    /* clock_ms(); the runner cancels it then */
    bool wants_pages;
    const char *traceparent; /* W3C trace context to pass on; "" none */
};

struct tool_run {
    struct tool_run_config cfg;
    const struct tool_run_handlers *handlers;
    void *arg;
    void *kept; /* the tool's */
    void (*release)(void *kept);
    atomic_bool cancelled;
    bool finished;
};

/* --- for who makes it */

void tool_run_init(struct tool_run *run, const struct tool_run_config *cfg,
                   const struct tool_run_handlers *handlers, void *arg);
/* Releases what the tool kept. */
void tool_run_deinit(struct tool_run *run);
/* Only says so: ops->cancel is the runner's to call. Any thread. */
void tool_run_cancel(struct tool_run *run);

/* --- for the tool */

/* What it needs from one page to the next, or until its end; `release` is
 * called when the run is over, or something else is kept, on any thread. A run
 * that nobody wants any more may end between two pages, without another call of
 * `work`. */
void tool_run_keep(struct tool_run *run, void *kept,
                   void (*release)(void *kept));

/* `work` alone: takes the page, once a step, then returns TOOL_STEP_PAGE.
 * UV_ECANCELED: nobody reads; finish. UV_ENOMEM. */
int tool_run_page(struct tool_run *run, json_t *page);
void tool_run_progress(struct tool_run *run, double progress, double total,
                       const char *message);
void tool_run_acknowledge(struct tool_run *run, json_t *output);

/* Once. Takes result->output. */
void tool_run_finish(struct tool_run *run, struct tool_result *result);
/* The same in short. `output` is taken; NULL: no memory, which is told. */
void tool_run_succeed(struct tool_run *run, json_t *output);
void tool_run_fail(struct tool_run *run, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* --- questions */

bool tool_run_is_cancelled(const struct tool_run *run);

/* Arguments that the schema has: its text or the default; numbers as they are,
 * cut to the range of the type. */
const char *tool_run_text(const struct tool_run *run, const char *name,
                          size_t *bytes); /* NULL: not given */
int64_t tool_run_integer(const struct tool_run *run, const char *name,
                         int64_t otherwise);
bool tool_run_boolean(const struct tool_run *run, const char *name,
                      bool otherwise);

#endif
