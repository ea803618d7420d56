/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_drain.h"

#include "base/clock.h"

#include <stdlib.h>

struct session_drain {
    uv_timer_t timer;
    const struct session_drain_handlers *handlers;
    void *arg;
    uint64_t over_ms; /* clock_now_ms */
};

uint32_t
session_drain_patience_ms(uint32_t ms)
{
    return ms > 2 * SESSION_DRAIN_LAST_MS ? ms - SESSION_DRAIN_LAST_MS : ms / 2;
}

static void
on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
session_drain_stop(struct session_drain **dp)
{
    struct session_drain *drain = *dp;

    *dp = NULL;
    if (drain)
        uv_close((uv_handle_t *) &drain->timer, on_timer_closed);
}

static void
on_look(uv_timer_t *timer)
{
    struct session_drain *drain = timer->data;

    if (clock_now_ms() < drain->over_ms
        && !drain->handlers->is_calm(drain->arg))
        uv_timer_start(timer, on_look, SESSION_DRAIN_LOOK_MS, 0);
    else
        drain->handlers->on_over(drain->arg);
}

int
session_drain_start(struct session_drain **dp,
                    const struct session_drain_config *cfg,
                    const struct session_drain_handlers *handlers, void *arg)
{
    struct session_drain *drain = calloc(1, sizeof(*drain));

    if (!drain)
        return UV_ENOMEM;
    drain->handlers = handlers;
    drain->arg = arg;
    drain->over_ms = clock_now_ms() + cfg->ms + SESSION_DRAIN_GRACE_MS;
    uv_timer_init(loop_uv(cfg->loop), &drain->timer);
    drain->timer.data = drain;
    uv_timer_start(&drain->timer, on_look, cfg->patience_ms, 0);
    *dp = drain;
    return 0;
}
