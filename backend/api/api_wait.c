/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_wait.h"

#include <stdlib.h>
#include <uv.h>

/* One share for the parked request, one for whoever asks. */
struct api_wait {
    struct api_wait_config cfg;
    struct api_context *api;
    struct gate *gate;
    struct gate_ticket ticket;
    atomic_int shares;
    int result; /* written before gate_resume, read after it */
};

static void
wait_put(struct api_wait *wait)
{
    if (atomic_fetch_sub(&wait->shares, 1) != 1)
        return;
    if (wait->cfg.release)
        wait->cfg.release(wait->cfg.arg);
    free(wait);
}

static void
on_resumed(struct gate_request *rq, void *arg)
{
    struct api_wait *wait = arg;

    wait->cfg.answer(rq, wait->api, wait->result, wait->cfg.arg);
    wait_put(wait);
}

static void
on_expired(struct gate_request *rq, void *arg)
{
    struct api_wait *wait = arg;

    wait->cfg.answer(rq, wait->api, UV_ETIMEDOUT, wait->cfg.arg);
    wait_put(wait);
}

static void
on_cancelled(void *arg)
{
    struct api_wait *wait = arg;

    if (wait->cfg.gone)
        wait->cfg.gone(wait->cfg.arg);
    wait_put(wait);
}

int
api_wait_start(struct api_wait **wp, struct gate_request *rq,
               struct api_context *api, const struct api_wait_config *cfg)
{
    struct api_wait *wait = calloc(1, sizeof(*wait));
    struct gate_park park = {
        .deadline_ms = cfg->deadline_ms,
        .resumed = on_resumed,
        .expired = on_expired,
        .cancelled = on_cancelled,
        .arg = wait,
    };

    if (!wait)
        return UV_ENOMEM;
    wait->cfg = *cfg;
    wait->api = api;
    wait->gate = gate_of(rq);
    atomic_init(&wait->shares, 2);
    if (gate_park(rq, &park, &wait->ticket)) {
        free(wait);
        return UV_EBUSY;
    }
    *wp = wait;
    return 0;
}

void
api_wait_done(struct api_wait **wp, int result)
{
    struct api_wait *wait = *wp;

    *wp = NULL;
    wait->result = result;
    gate_resume(wait->gate, wait->ticket);
    wait_put(wait);
}
