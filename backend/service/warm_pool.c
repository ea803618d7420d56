/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   plan ─► WANTED ─► OPENING ─► READY ─► RESERVED ─► (claimed: not ours)
 *                        │         │          │
 *                        └─────────┴──────────┴─► CLOSING ─► gone
 *
 * Who is what is under one mutex; the links themselves are touched on their
 * loops only, and never with the mutex held. A place is what one loop has of
 * the pool: its task opens what is wanted there and closes what is over.
 */

#include "service/warm_pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "codec/realtime_event.h"
#include "gate/crypto.h"
#include "service/warm_links.h"
#include "service/warm_models.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SETTLED_MS  2000 /* a link that lives so long was a success */
#define WAKE_MIN_MS 10
#define REFILL_LAG_MS                                                          \
    5 /* the session that took a link goes before the next                     \
       */

struct warm_place {
    struct warm_pool *pool;
    struct loop *loop;
    struct loop_timer *timer; /* of the loop */
    struct loop_task task;
    bool posted;
    bool lagging; /* the next task only sets the timer */
    bool gone;    /* stopped: nothing of it is left on the loop */
};

struct warm_pool {
    pthread_mutex_t mutex;
    warm_open_h *open;
    void *open_arg;
    char *upstream;
    unsigned links;
    unsigned max;
    uint64_t ttl_ms;
    uint64_t refill_ms;
    bool stopping;
    uint64_t tickets;
    struct warm_links list;
    struct warm_models models;
    struct metric *taken, *missed, *expired;
    unsigned place_count;
    struct warm_place places[];
};

/* --- with the mutex held */

static void
place_post(struct warm_place *place)
{
    if (place->posted || place->gone)
        return;
    place->posted = true;
    loop_post(place->loop, &place->task);
}

/* A handshake is work for the loop that the session now begins on. */
static void
place_refill(struct warm_place *place)
{
    if (!place->posted)
        place->lagging = true;
    place_post(place);
}

/* Where the fewest of them live. */
static struct warm_place *
place_choose(struct warm_pool *pool)
{
    struct warm_place *best = &pool->places[0];
    unsigned least = UINT32_MAX;

    for (unsigned i = 0; i < pool->place_count; i++) {
        unsigned count = warm_links_at(&pool->list, &pool->places[i]);
        if (count < least) {
            least = count;
            best = &pool->places[i];
        }
    }
    return best;
}

static bool
link_want(struct warm_pool *pool, struct warm_model *model)
{
    struct warm_place *place = place_choose(pool);

    if (!warm_links_add(&pool->list, place, model))
        return false;
    place_post(place);
    return true;
}

/* Older links say nothing about an upstream that has failed since. */
static bool
may_prove(const struct warm_link *l)
{
    return l->state == WARM_READY && l->ready_ms > l->model->failed_ms;
}

/* A link that has lived for a while shows that the upstream is well. */
static void
successes_note(struct warm_pool *pool, uint64_t now_ms)
{
    for (struct warm_link *l = pool->list.first; l; l = l->next)
        if (may_prove(l) && now_ms >= l->ready_ms + SETTLED_MS)
            warm_model_succeeded(l->model);
}

/* Of an upstream that has failed one link is tried at a time, also while
 * there are others from before. */
static unsigned
failing_want(const struct warm_pool *pool, const struct warm_model *model,
             unsigned have)
{
    for (const struct warm_link *l = pool->list.first; l; l = l->next)
        if (l->model == model && (l->state < WARM_READY || may_prove(l)))
            return have;
    return have < pool->links ? have + 1 : have;
}

/* Wants what is missing, the models asked for last first. */
static void
plan(struct warm_pool *pool, uint64_t now_ms)
{
    struct warm_model *model = NULL;

    if (pool->stopping)
        return;
    successes_note(pool, now_ms);
    unsigned room = warm_links_coming(&pool->list, NULL, now_ms);
    room = room < pool->max ? pool->max - room : 0;
    while ((model = warm_models_next(&pool->models, model, now_ms)) != NULL) {
        unsigned have = warm_links_coming(&pool->list, model, now_ms);
        unsigned want = warm_model_want(model, pool->links, now_ms);
        if (want && model->failures)
            want = failing_want(pool, model, have);
        for (; have < want && room && link_want(pool, model); have++)
            room--;
    }
}

/* When this place must look again. */
static uint64_t
wake_ms(const struct warm_place *place, uint64_t now_ms)
{
    const struct warm_pool *pool = place->pool;
    uint64_t at = now_ms + pool->refill_ms - warm_jitter(pool->refill_ms / 4);
    uint64_t due = warm_models_due_ms(&pool->models, now_ms);

    if (due < at)
        at = due;
    for (const struct warm_link *l = pool->list.first; l; l = l->next) {
        due = l->state == WARM_READY      ? l->until_ms
              : l->state == WARM_RESERVED ? l->reserved_ms + WARM_CLAIM_MS
                                          : UINT64_MAX;
        if (may_prove(l) && l->model->failures
            && l->ready_ms + SETTLED_MS < due)
            due = l->ready_ms + SETTLED_MS;
        if (l->place == place && due < at)
            at = due;
    }
    return at > now_ms + WAKE_MIN_MS ? at - now_ms : WAKE_MIN_MS;
}

static bool
is_over(const struct warm_link *l, uint64_t now_ms)
{
    switch (l->state) {
    case WARM_OPENING:
        return l->place->pool->stopping;
    case WARM_READY:
        return l->place->pool->stopping || now_ms >= l->until_ms;
    case WARM_RESERVED:
        return now_ms >= l->reserved_ms + WARM_CLAIM_MS;
    default:
        return false;
    }
}

static struct warm_link *
find_over(const struct warm_place *place, uint64_t now_ms)
{
    for (struct warm_link *l = place->pool->list.first; l; l = l->next)
        if (l->place == place && is_over(l, now_ms))
            return l;
    return NULL;
}

/* --- what links report, on their loops */

static void
on_link_event(void *arg, const char *json, size_t bytes)
{
    struct warm_link *l = arg;
    struct warm_pool *pool = l->place->pool;
    uint64_t now_ms = clock_now_ms();

    if (realtime_type_of(json, bytes) != REALTIME_SESSION_CREATED)
        return;
    pthread_mutex_lock(&pool->mutex);
    if (l->state == WARM_OPENING) {
        l->ready_ms = now_ms;
        l->until_ms = now_ms + pool->ttl_ms - warm_jitter(pool->ttl_ms / 5);
        warm_links_enter(&pool->list, l, WARM_READY);
        warm_model_proven(l->model);
        place_post(l->place); /* more of the model, and the timer */
    }
    pthread_mutex_unlock(&pool->mutex);
}

static void
on_link_writable(void *arg)
{
    (void) arg; /* nothing is sent on a link that waits */
}

static void
on_link_closed(void *arg, uint16_t code, const char *reason)
{
    struct warm_link *l = arg;
    struct warm_pool *pool = l->place->pool;
    uint64_t now_ms = clock_now_ms();

    (void) code;
    (void) reason;
    pthread_mutex_lock(&pool->mutex);
    if (l->state == WARM_OPENING
        || (l->state == WARM_READY && now_ms < l->ready_ms + SETTLED_MS))
        warm_model_failed(l->model, now_ms);
    warm_links_remove(&pool->list, l);
    place_post(l->place);
    pthread_mutex_unlock(&pool->mutex);
    free(l);
}

static const struct model_link_handlers link_handlers = {
    on_link_event, on_link_writable, on_link_closed};

/* --- a place at work, on its loop */

static int
link_open(struct warm_link *l)
{
    struct warm_pool *pool = l->place->pool;
    const char *const names[] = {pool->upstream};
    const struct model_link_config cfg = {
        .loop = l->place->loop,
        .session_id = "warm",
        .model = l->model->name,
        .upstreams = names,
        .upstream_count = 1,
    };

    return pool->open(&l->link, &cfg, &link_handlers, l, pool->open_arg);
}

/* The mutex is held on entry and on return, but not meanwhile. */
static void
wanted_open(struct warm_place *place)
{
    struct warm_pool *pool = place->pool;
    struct warm_link *l;

    while ((l = warm_links_in(&pool->list, place, WARM_WANTED)) != NULL) {
        if (pool->stopping) {
            warm_links_remove(&pool->list, l);
            free(l);
            continue;
        }
        warm_links_enter(&pool->list, l, WARM_OPENING);
        pthread_mutex_unlock(&pool->mutex);
        int result = link_open(l);
        pthread_mutex_lock(&pool->mutex);
        if (result) {
            warm_model_failed(l->model, clock_now_ms());
            warm_links_remove(&pool->list, l);
            free(l);
        }
    }
}

/* As wanted_open. */
static void
over_close(struct warm_place *place)
{
    struct warm_pool *pool = place->pool;
    struct warm_link *l;

    while ((l = find_over(place, clock_now_ms())) != NULL) {
        struct model_link *link = l->link;
        if (l->state == WARM_READY && !pool->stopping)
            metric_add(pool->expired, 1);
        warm_links_enter(&pool->list, l, WARM_CLOSING);
        pthread_mutex_unlock(&pool->mutex);
        model_link_close(link);
        pthread_mutex_lock(&pool->mutex);
    }
}

/* With the mutex held. */
static void
place_rest(struct warm_place *place)
{
    const struct warm_pool *pool = place->pool;
    uint64_t now_ms = clock_now_ms();

    if (!pool->stopping) {
        if (place->timer)
            loop_timer_start(place->timer, wake_ms(place, now_ms), 0);
        return;
    }
    if (place->timer && warm_links_in(&pool->list, place, WARM_RESERVED))
        loop_timer_start(place->timer, wake_ms(place, now_ms), 0);
    if (warm_links_has(&pool->list, place))
        return;
    loop_timer_destroy(&place->timer);
    place->gone = true;
}

static void
place_work(struct warm_place *place)
{
    struct warm_pool *pool = place->pool;

    pthread_mutex_lock(&pool->mutex);
    plan(pool, clock_now_ms());
    wanted_open(place);
    over_close(place);
    place_rest(place);
    pthread_mutex_unlock(&pool->mutex);
}

static void
on_timer(void *arg)
{
    place_work(arg);
}

static void
on_task(struct loop_task *task, void *arg)
{
    struct warm_place *place = arg;

    (void) task;
    pthread_mutex_lock(&place->pool->mutex);
    bool lagging = place->lagging && place->timer;
    place->posted = place->lagging = false;
    if (lagging)
        loop_timer_start(place->timer, REFILL_LAG_MS, 0);
    if (!place->timer && !place->pool->stopping
        && loop_timer_create(&place->timer, place->loop, on_timer, place))
        LOG(ERROR, "warm", "event=no_timer error=\"no memory\"");
    pthread_mutex_unlock(&place->pool->mutex);
    if (!lagging)
        place_work(place);
}

/* --- life */

static void
metrics_open(struct warm_pool *pool)
{
    pool->taken = metric_register(METRIC_COUNTER, "voiced_warm_taken_total",
                                  "Sessions that began on a warm link");
    pool->missed = metric_register(METRIC_COUNTER, "voiced_warm_missed_total",
                                   "Sessions that found no warm link");
    pool->expired = metric_register(METRIC_COUNTER, "voiced_warm_expired_total",
                                    "Warm links closed unused at their time");
    pool->list.gauge =
        metric_register(METRIC_GAUGE, "voiced_warm_links", "Warm links ready");
}

static void
places_init(struct warm_pool *pool, struct loop **loops)
{
    for (unsigned i = 0; i < pool->place_count; i++) {
        struct warm_place *place = &pool->places[i];
        place->pool = pool;
        place->loop = loops[i];
        place->task.run = on_task;
        place->task.arg = place;
    }
}

int
warm_pool_create(struct warm_pool **pp, const struct warm_pool_config *cfg)
{
    struct warm_pool *pool =
        calloc(1, sizeof(*pool) + cfg->loop_count * sizeof(pool->places[0]));
    char *upstream = strdup(cfg->upstream);

    if (!pool || !upstream) {
        free(pool);
        free(upstream);
        return UV_ENOMEM;
    }
    pthread_mutex_init(&pool->mutex, NULL);
    pool->open = cfg->open;
    pool->open_arg = cfg->open_arg;
    pool->upstream = upstream;
    pool->links = cfg->links;
    pool->max = cfg->max;
    pool->ttl_ms = cfg->ttl_ms;
    pool->refill_ms = cfg->refill_ms;
    pool->place_count = cfg->loop_count;
    metrics_open(pool);
    places_init(pool, cfg->loops);
    if (cfg->model && *cfg->model)
        warm_models_keep(&pool->models, cfg->model);
    *pp = pool;
    pthread_mutex_lock(&pool->mutex);
    for (unsigned i = 0; i < pool->place_count; i++)
        place_post(&pool->places[i]);
    pthread_mutex_unlock(&pool->mutex);
    return 0;
}

void
warm_pool_stop(struct warm_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    for (unsigned i = 0; i < pool->place_count; i++)
        place_post(&pool->places[i]);
    pthread_mutex_unlock(&pool->mutex);
}

bool
warm_pool_is_stopped(struct warm_pool *pool)
{
    bool stopped = true;

    pthread_mutex_lock(&pool->mutex);
    for (unsigned i = 0; i < pool->place_count; i++)
        stopped = stopped && pool->places[i].gone && !pool->places[i].posted;
    pthread_mutex_unlock(&pool->mutex);
    return stopped;
}

void
warm_pool_destroy(struct warm_pool **pp)
{
    struct warm_pool *pool = *pp;

    *pp = NULL;
    if (!pool)
        return;
    if (pool->list.first)
        LOG(ALERT, "warm", "event=destroyed links_left=1");
    warm_links_deinit(&pool->list);
    warm_models_deinit(&pool->models);
    pthread_mutex_destroy(&pool->mutex);
    free(pool->upstream);
    free(pool);
}

/* --- taking */

int
warm_pool_take(struct warm_pool *pool, const char *model, struct loop **loop,
               uint64_t *ticket)
{
    uint64_t now_ms = clock_now_ms();
    struct warm_link *l = NULL;

    pthread_mutex_lock(&pool->mutex);
    if (!pool->stopping) {
        struct warm_model *m = warm_models_ask(&pool->models, model, now_ms);
        if (m)
            l = warm_links_ready(&pool->list, m, now_ms);
    }
    if (l) {
        l->ticket = ++pool->tickets;
        l->reserved_ms = now_ms;
        warm_links_enter(&pool->list, l, WARM_RESERVED);
        *loop = l->place->loop;
        *ticket = l->ticket;
    }
    if (l)
        place_refill(l->place);
    else
        plan(pool, now_ms);
    pthread_mutex_unlock(&pool->mutex);
    if (!l)
        metric_add(pool->missed, 1);
    return l ? 0 : UV_ENOENT;
}

void
warm_pool_give_back(struct warm_pool *pool, uint64_t ticket)
{
    pthread_mutex_lock(&pool->mutex);
    struct warm_link *l = warm_links_ticket(&pool->list, ticket);
    if (l) {
        warm_links_enter(&pool->list, l, WARM_READY);
        place_post(l->place);
    }
    pthread_mutex_unlock(&pool->mutex);
}

int
warm_pool_claim(struct warm_pool *pool, uint64_t ticket, struct model_link **lp,
                const struct model_link_handlers *handlers, void *arg)
{
    pthread_mutex_lock(&pool->mutex);
    struct warm_link *l = warm_links_ticket(&pool->list, ticket);
    if (l && clock_now_ms() >= l->ready_ms + pool->ttl_ms) {
        warm_links_enter(&pool->list, l,
                         WARM_READY); /* over: its place closes it */
        place_post(l->place);
        l = NULL;
    }
    if (l) {
        warm_links_remove(&pool->list, l);
        if (pool->stopping)
            place_post(l->place);
    }
    pthread_mutex_unlock(&pool->mutex);
    metric_add(l ? pool->taken : pool->missed, 1);
    if (!l)
        return UV_ENOENT;
    *lp = l->link;
    model_link_adopt(l->link, handlers, arg);
    free(l);
    return 0;
}

unsigned
warm_pool_count(struct warm_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    unsigned ready = pool->list.ready;
    pthread_mutex_unlock(&pool->mutex);
    return ready;
}

const char *
warm_pool_upstream(const struct warm_pool *pool)
{
    return pool->upstream;
}
