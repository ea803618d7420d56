/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Links to models that are open before anybody asks: each has seen its
 * session.created and waits, on one loop, for the one session that gets it. A
 * link is given once and never beyond its time. Owns the waiting links and a
 * timer a loop. Take and give_back are for any thread; claim is for the
 * link's loop. Models come from the configuration and from what is asked for
 * (warm_models). An upstream that fails is
 * asked again after a while, by one link, longer each time.
 *
 *   take (request thread) ─► ticket ─► claim (link's loop) ─► model_link_adopt
 *     └► missing: loop ─► open ─► session.created ─► ready, until its time
 */

#ifndef VOICE_WARM_POOL_H
#define VOICE_WARM_POOL_H

#include "base/loop.h"
#include "model/model_link.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WARM_CLAIM_MS 10000 /* from take to claim */

struct warm_pool;

/* Opens one link that keeps its session.created for model_link_adopt. On
 * cfg->loop. */
typedef int warm_open_h(struct model_link **lp,
                        const struct model_link_config *cfg,
                        const struct model_link_handlers *handlers,
                        void *link_arg, void *arg);

struct warm_pool_config {
    struct loop **loops; /* borrowed for life, the array is copied */
    unsigned loop_count;
    const char *upstream; /* the one that all links go to; copied */
    const char *model;    /* warm from the start; NULL or "": none; copied */
    unsigned links;       /* a model */
    unsigned max;         /* in all */
    uint64_t ttl_ms;
    uint64_t refill_ms;
    warm_open_h *open;
    void *open_arg;
};

/* 0, UV_ENOMEM. Loops are running; opens begin at once. */
int warm_pool_create(struct warm_pool **pp, const struct warm_pool_config *cfg);

/* Any thread: no link is taken or opened any more, those there are close.
 * Idempotent. */
void warm_pool_stop(struct warm_pool *pool);
/* Nothing of it is left on any loop: it may be destroyed. */
bool warm_pool_is_stopped(struct warm_pool *pool);
/* Stopped, or its loops are gone. NULL in *pp is fine. */
void warm_pool_destroy(struct warm_pool **pp);

/*
 * Any thread: reserves an open link for a session with this model, which must
 * then be claimed on *loop or given back. 0; UV_ENOENT: none is ready. Either
 * way the model counts as asked for.
 */
int warm_pool_take(struct warm_pool *pool, const char *model,
                   struct loop **loop, uint64_t *ticket);
/* The session of that ticket did not come about. Any thread. */
void warm_pool_give_back(struct warm_pool *pool, uint64_t ticket);

/*
 * On the loop that take named, once: the link is given, and its
 * session.created follows by itself. 0; UV_ENOENT: it is gone meanwhile, open
 * another.
 */
int warm_pool_claim(struct warm_pool *pool, uint64_t ticket,
                    struct model_link **lp,
                    const struct model_link_handlers *handlers, void *arg);

/* Links that wait, ready. Any thread. */
unsigned warm_pool_count(struct warm_pool *pool);
const char *warm_pool_upstream(const struct warm_pool *pool);

#endif
