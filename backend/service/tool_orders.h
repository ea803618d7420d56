/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The orders' side of running tools: how an order comes in, is cancelled, goes
 * on to its next page, and what ends when its time is over. Owns the runs, the
 * pool and the list of orders; any thread.
 */

#ifndef VOICE_TOOL_ORDERS_H
#define VOICE_TOOL_ORDERS_H

#include "service/tool_execution.h"

int tool_orders_create(struct tool_executions **xp,
                       const struct tool_executions_config *cfg);
/* Nothing begins any more; all is cancelled. */
void tool_orders_close(struct tool_executions *x);
/* When _live is 0. */
void tool_orders_destroy(struct tool_executions **xp);
unsigned tool_orders_live(const struct tool_executions *x);

/* What jobs are made with. */
struct tool_job_home tool_orders_home(struct tool_executions *x);

/* An order comes: 0; UV_EBUSY: too many; UV_ECANCELED: closed. Then one of
 * three: it is answered otherwise, and the job gone; it waits in a flight of
 * another's; or a run is started for it. */
int tool_orders_enter(struct tool_executions *x, struct tool_job *job);
void tool_orders_leave(struct tool_executions *x, struct tool_job *job);
void tool_orders_join(struct tool_executions *x, struct tool_job *job);
/* What can't be started is answered so. */
void tool_orders_start(struct tool_executions *x,
                       const struct tool_start *start);

/* Work that is done within the call; the text is the caller's. UV_ENOMEM. */
int tool_orders_run_here(struct tool_executions *x, struct tool_origin *origin,
                         struct tool_result_text *text);

void tool_orders_cancel(struct tool_executions *x, struct tool_job *job);
void tool_orders_continue(struct tool_executions *x, struct tool_job *job);

/* Ends those whose time is over. When to look again, UINT64_MAX: nothing is
 * there. On the services' loop. */
uint64_t tool_orders_expire(struct tool_executions *x, uint64_t now_ms);

/* Whose orders. */
struct tool_choice {
    const char *tenant;
    const char *session_id; /* NULL: any */
};
/* As tool_runner_cancel and tool_runner_list. */
unsigned tool_orders_cancel_all(struct tool_executions *x,
                                const struct tool_choice *choice,
                                bool immediate, struct buffer *names);
unsigned tool_orders_list(struct tool_executions *x,
                          const struct tool_choice *choice,
                          struct buffer *names);

#endif
