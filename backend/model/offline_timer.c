/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_timer.h"

#include <stdlib.h>

struct offline_timer {
    uv_timer_t uv;
    offline_timer_h *handler;
    void *arg;
};

int
offline_timer_create(struct offline_timer **tp, struct loop *loop,
                     offline_timer_h *handler, void *arg)
{
    struct offline_timer *timer = calloc(1, sizeof(*timer));
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
offline_timer_destroy(struct offline_timer **tp)
{
    struct offline_timer *timer = *tp;

    *tp = NULL;
    if (timer != NULL)
        uv_close((uv_handle_t *) &timer->uv, on_timer_closed);
}

static void
on_timer(uv_timer_t *handle)
{
    struct offline_timer *timer = handle->data;

    timer->handler(timer->arg);
}

void
offline_timer_start(struct offline_timer *timer, uint64_t delay_ms,
                    uint64_t repeat_ms)
{
    /* The loop's idea of now may be as old as its last round began. */
    uv_update_time(timer->uv.loop);
    uv_timer_start(&timer->uv, on_timer, delay_ms, repeat_ms);
}

void
offline_timer_stop(struct offline_timer *timer)
{
    uv_timer_stop(&timer->uv);
}
