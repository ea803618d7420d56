/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/loop_timer.h"

#include <stdlib.h>

struct loop_timer {
    uv_timer_t uv;
    loop_timer_h *handler;
    void *arg;
};

int
loop_timer_create(struct loop_timer **tp, struct loop *loop,
                  loop_timer_h *handler, void *arg)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    int rc;

    if (timer == NULL)
        return UV_ENOMEM;
    rc = uv_timer_init(loop_uv(loop), &timer->uv);
    if (rc != 0) {
        free(timer);
        return rc;
    }
    timer->uv.data = timer;
    timer->handler = handler;
    timer->arg = arg;
    *tp = timer;
    return 0;
}

static void
on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void
loop_timer_destroy(struct loop_timer **tp)
{
    struct loop_timer *timer = *tp;

    *tp = NULL;
    if (timer != NULL)
        uv_close((uv_handle_t *) &timer->uv, on_timer_closed);
}

static void
on_timer(uv_timer_t *handle)
{
    struct loop_timer *timer = handle->data;

    timer->handler(timer->arg);
}

void
loop_timer_start(struct loop_timer *timer, uint64_t delay_ms,
                 uint64_t repeat_ms)
{
    /* The loop's idea of now may be as old as its last round began. */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
}

void
loop_timer_stop(struct loop_timer *timer)
{
    uv_timer_stop(&timer->uv);
}
