/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_limits.h"

#include "base/clock.h"

#include <stdlib.h>

struct session_limits {
    uv_timer_t timer;
    struct session_limits_config cfg;
    const struct session_limits_handlers *handlers;
    void *arg;
    uint64_t since_ms;
};

static void
on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
session_limits_stop(struct session_limits **lp)
{
    struct session_limits *limits = *lp;

    *lp = NULL;
    if (limits)
        uv_close((uv_handle_t *) &limits->timer, on_timer_closed);
}

/* Milliseconds from `since` until the limit; 0: reached. */
static uint64_t
left_ms(uint64_t now_ms, uint64_t since_ms, uint64_t max_ms)
{
    uint64_t past_ms = now_ms > since_ms ? now_ms - since_ms : 0;

    if (!max_ms)
        return UINT64_MAX;
    return past_ms < max_ms ? max_ms - past_ms : 0;
}

static void
on_look(uv_timer_t *timer)
{
    struct session_limits *l = timer->data;
    uint64_t now_ms = clock_now_ms();
    uint64_t stirred_ms = l->handlers->stirred_ms(l->arg);
    uint64_t session_ms = left_ms(now_ms, l->since_ms, l->cfg.max_session_ms);
    uint64_t idle_ms =
        left_ms(now_ms, stirred_ms > l->since_ms ? stirred_ms : l->since_ms,
                l->cfg.max_idle_ms);

    if (session_ms && idle_ms)
        uv_timer_start(timer, on_look,
                       session_ms < idle_ms ? session_ms : idle_ms, 0);
    else
        l->handlers->on_over(l->arg, session_ms != 0);
}

int
session_limits_start(struct session_limits **lp,
                     const struct session_limits_config *cfg,
                     const struct session_limits_handlers *handlers, void *arg)
{
    if (!cfg->max_session_ms && !cfg->max_idle_ms)
        return 0;
    struct session_limits *l = calloc(1, sizeof(*l));
    if (!l)
        return UV_ENOMEM;
    l->cfg = *cfg;
    l->handlers = handlers;
    l->arg = arg;
    l->since_ms = clock_now_ms();
    uv_timer_init(loop_uv(cfg->loop), &l->timer);
    l->timer.data = l;
    *lp = l;
    on_look(&l->timer);
    return 0;
}
