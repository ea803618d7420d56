/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who may run next: places in order of arrival, a cap on those that run, and
 * caps of each lane (a session, a caller over HTTP) and of each tenant over
 * HTTP, which hold up nobody else. Over HTTP a tenant has at most half of what
 * there is, of the places and of the orders: as long as a run of it goes on,
 * whoever has hung up. A plain data structure, embedded, under its user's
 * lock; owns the tenants' shares.
 */

#ifndef VOICE_TOOL_QUEUE_H
#define VOICE_TOOL_QUEUE_H

#include "service/tool_job.h"
#include "service/tool_share.h"

#include <stdbool.h>
#include <sys/queue.h>

enum tool_place_state { TOOL_PLACE_NONE, TOOL_PLACE_WAITING, TOOL_PLACE_TAKEN };

struct tool_place {
    TAILQ_ENTRY(tool_place) of_queue; /* while waiting */
    enum tool_place_state state;
    struct tool_job *job;     /* whose lane counts; NULL: nobody's */
    struct tool_share *share; /* that counts it; NULL: none; a user of it */
};

struct tool_queue {
    TAILQ_HEAD(, tool_place) places;
    unsigned max_running, max_orders;
    unsigned running, waiting, orders;
    struct tool_shares shares;
};

/* max_waiting: orders beyond those that run. */
void tool_queue_init(struct tool_queue *q, unsigned max_running,
                     unsigned max_waiting);

/* An order comes, waiting; false: too many of the process or of its lane. It
 * leaves once, when it is answered. */
bool tool_queue_enter(struct tool_queue *q, struct tool_job *job);
void tool_queue_leave(struct tool_queue *q, struct tool_job *job);

/* A place waits, `first` of all; the next one that may run is taken out, or
 * NULL; one that waits or runs is given up, and may wait again, or is at its
 * end. */
void tool_queue_push(struct tool_queue *q, struct tool_place *p, bool first);
struct tool_place *tool_queue_take(struct tool_queue *q);
void tool_queue_remove(struct tool_queue *q, struct tool_place *p);
void tool_queue_end(struct tool_queue *q, struct tool_place *p);

/* It runs on and holds no place any more: a long tool that has acknowledged. */
void tool_queue_postpone(struct tool_queue *q, struct tool_place *p);

#endif
