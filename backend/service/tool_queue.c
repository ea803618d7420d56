/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_queue.h"

void
tool_queue_init(struct tool_queue *q, unsigned max_running,
                unsigned max_waiting)
{
    *q = (struct tool_queue){.max_running = max_running,
                             .max_orders = max_running + max_waiting};
    TAILQ_INIT(&q->places);
    LIST_INIT(&q->shares);
}

/* --- lanes */

static unsigned *
lane_count(struct tool_lane *lane, enum tool_lane_state state)
{
    return state == TOOL_LANE_WAITING   ? &lane->waiting
           : state == TOOL_LANE_RUNNING ? &lane->running
           : state == TOOL_LANE_LATER   ? &lane->later
                                        : NULL;
}

static void
lane_enter(struct tool_job *job, enum tool_lane_state state)
{
    unsigned *before, *now;

    if (!job || !job->lane || job->lane_state == state)
        return;
    before = lane_count(job->lane, job->lane_state);
    now = lane_count(job->lane, state);
    if (before)
        --*before;
    if (now)
        ++*now;
    job->lane_state = state;
}

static bool
lane_is_full(const struct tool_job *job)
{
    const struct tool_lane *lane = job->lane;
    bool is_long = job->origin->tool->spec.flags & TOOL_LONG;

    return lane
           && (lane->waiting >= TOOL_RUNNER_LANE_WAITING
               || (is_long && lane->later >= TOOL_RUNNER_LANE_LATER));
}

/* --- shares */

static unsigned
half_of(unsigned count)
{
    return count - count / 2;
}

/* False: it is used up, or there is no memory for it. */
static bool
share_enter(struct tool_queue *q, struct tool_job *job)
{
    if (job->origin->session_id[0] != '\0')
        return true;
    job->share = tool_share_get(&q->shares, job->origin->tenant);
    if (job->share && job->share->orders < half_of(q->max_orders)) {
        job->share->orders++;
        return true;
    }
    tool_share_put(&job->share);
    return false;
}

/* --- orders */

bool
tool_queue_enter(struct tool_queue *q, struct tool_job *job)
{
    if (q->orders >= q->max_orders || lane_is_full(job) || !share_enter(q, job))
        return false;
    q->orders++;
    lane_enter(job, TOOL_LANE_WAITING);
    return true;
}

void
tool_queue_leave(struct tool_queue *q, struct tool_job *job)
{
    lane_enter(job, TOOL_LANE_NONE);
    job->lane = NULL;
    if (job->share)
        job->share->orders--;
    tool_share_put(&job->share);
    q->orders--;
}

/* --- places */

void
tool_queue_push(struct tool_queue *q, struct tool_place *p, bool first)
{
    if (first)
        TAILQ_INSERT_HEAD(&q->places, p, of_queue);
    else
        TAILQ_INSERT_TAIL(&q->places, p, of_queue);
    q->waiting++;
    p->state = TOOL_PLACE_WAITING;
    if (p->job && p->job->share && !p->share)
        p->share = tool_share_ref(p->job->share);
    lane_enter(p->job, TOOL_LANE_WAITING);
}

static bool
place_may_run(const struct tool_queue *q, const struct tool_place *p)
{
    if (p->share && p->share->running >= half_of(q->max_running))
        return false;
    return !p->job || !p->job->lane
           || p->job->lane->running < TOOL_RUNNER_LANE_MAX;
}

struct tool_place *
tool_queue_take(struct tool_queue *q)
{
    struct tool_place *p = NULL;

    if (q->running < q->max_running)
        p = TAILQ_FIRST(&q->places);
    while (p && !place_may_run(q, p))
        p = TAILQ_NEXT(p, of_queue);
    if (!p)
        return NULL;
    tool_queue_remove(q, p);
    q->running++;
    if (p->share)
        p->share->running++;
    p->state = TOOL_PLACE_TAKEN;
    lane_enter(p->job, TOOL_LANE_RUNNING);
    return p;
}

void
tool_queue_remove(struct tool_queue *q, struct tool_place *p)
{
    if (p->state == TOOL_PLACE_WAITING) {
        TAILQ_REMOVE(&q->places, p, of_queue);
        q->waiting--;
    } else if (p->state == TOOL_PLACE_TAKEN) {
        q->running--;
        if (p->share)
            p->share->running--;
    }
    p->state = TOOL_PLACE_NONE;
    lane_enter(p->job, TOOL_LANE_NONE);
}

void
tool_queue_end(struct tool_queue *q, struct tool_place *p)
{
    tool_queue_remove(q, p);
    tool_share_put(&p->share);
}

void
tool_queue_postpone(struct tool_queue *q, struct tool_place *p)
{
    tool_queue_remove(q, p);
    lane_enter(p->job, TOOL_LANE_LATER);
}
