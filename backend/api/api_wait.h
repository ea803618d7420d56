/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A request that waits, parked, for one result from another thread. Whoever
 * asks holds the wait until it calls api_wait_done, once; the request may be
 * answered by its deadline or gone before. Owns `arg` from a successful start
 * on and releases it when both sides are through.
 */

#ifndef VOICE_API_WAIT_H
#define VOICE_API_WAIT_H

#include "api/api_answer.h"

struct api_wait;

struct api_wait_config {
    unsigned deadline_ms;
    /* On a request thread; must end rq. result is what api_wait_done was told,
     * UV_ETIMEDOUT at the deadline: then arg's results may not be looked at. */
    void (*answer)(struct gate_request *rq, struct api_context *api, int result,
                   void *arg);
    /* The request is gone and nobody will answer it (its peer left, or the
     * gate stops); any thread; before release. May be NULL. */
    void (*gone)(void *arg);
    void (*release)(void *arg); /* may be NULL */
    void *arg;
};

/* 0: rq is parked and *wp the caller's, for api_wait_done. UV_EBUSY or
 * UV_ENOMEM: rq and arg are still the caller's. */
int api_wait_start(struct api_wait **wp, struct gate_request *rq,
                   struct api_context *api, const struct api_wait_config *cfg);

/* Any thread. *wp becomes NULL. */
void api_wait_done(struct api_wait **wp, int result);

#endif
