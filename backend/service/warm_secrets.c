/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/warm_secrets.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "base/metrics.h"
#include "service/warm_models.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES (WARM_SETTINGS_MAX + 128)
#define KEY_SPLIT '\n' /* upstream, this, settings */

enum secret_state { SECRET_WANTED, SECRET_MINTING, SECRET_READY };

struct warm_secret {
    struct warm_secret *next;
    struct warm_secrets *all;
    struct warm_model *key;
    enum secret_state state;
    uint64_t until_ms;
    char value[WARM_SECRET_BYTES];
};

struct warm_secrets {
    pthread_mutex_t mutex;
    struct warm_secrets_config cfg;
    struct warm_secret *first;
    struct warm_models keys;
    unsigned ready, minting;
    struct metric *taken, *missed, *gauge;
    struct loop_timer *timer; /* of the loop */
    struct loop_task task;
    bool posted;
    bool stopping;
    bool gone; /* nothing is left on the loop */
};

/* --- with the mutex held */

static void
ready_set(struct warm_secrets *w, unsigned ready)
{
    w->ready = ready;
    metric_set(w->gauge, ready);
}

static void
secret_remove(struct warm_secret *s)
{
    struct warm_secrets *w = s->all;
    struct warm_secret **at = &w->first;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    if (s->state == SECRET_READY)
        ready_set(w, w->ready - 1);
    s->key->links--;
    explicit_bzero(s, sizeof(*s));
    free(s);
}

static void
expired_remove(struct warm_secrets *w, uint64_t now_ms)
{
    struct warm_secret *next;

    for (struct warm_secret *s = w->first; s; s = next) {
        next = s->next;
        if (s->state == SECRET_READY && (w->stopping || now_ms >= s->until_ms))
            secret_remove(s);
    }
}

static unsigned
count_of(const struct warm_secrets *w, const struct warm_model *key)
{
    unsigned count = 0;

    for (const struct warm_secret *s = w->first; s; s = s->next)
        count += !key || s->key == key;
    return count;
}

static bool
secret_want(struct warm_secrets *w, struct warm_model *key)
{
    struct warm_secret *s = calloc(1, sizeof(*s));

    if (!s)
        return false;
    s->all = w;
    s->key = key;
    s->next = w->first;
    w->first = s;
    key->links++;
    return true;
}

static void
plan(struct warm_secrets *w, uint64_t now_ms)
{
    struct warm_model *key = NULL;

    expired_remove(w, now_ms);
    if (w->stopping)
        return;
    unsigned room = count_of(w, NULL);
    room = room < w->cfg.max ? w->cfg.max - room : 0;
    while ((key = warm_models_next(&w->keys, key, now_ms)) != NULL) {
        unsigned have = count_of(w, key);
        unsigned want = warm_model_want(key, w->cfg.secrets, now_ms);
        for (; have < want && room && secret_want(w, key); have++)
            room--;
    }
}

static struct warm_secret *
wanted_find(const struct warm_secrets *w)
{
    for (struct warm_secret *s = w->first; s; s = s->next)
        if (s->state == SECRET_WANTED)
            return s;
    return NULL;
}

static void
mint_failed(struct warm_secret *s)
{
    warm_model_failed(s->key, clock_now_ms());
    secret_remove(s);
}

/* --- minting; the mutex is held on entry and on return, not meanwhile */

static int
mint(struct warm_secret *s)
{
    const struct warm_secrets_config *cfg = &s->all->cfg;
    const char *split = strchr(s->key->name, KEY_SPLIT);
    char *upstream = strndup(s->key->name, (size_t) (split - s->key->name));
    int result =
        upstream ? cfg->mint(s, upstream, split + 1, cfg->mint_arg) : UV_ENOMEM;

    free(upstream);
    return result;
}

static void
wanted_mint(struct warm_secrets *w)
{
    struct warm_secret *s;

    while ((s = wanted_find(w)) != NULL) {
        if (w->stopping) {
            secret_remove(s);
            continue;
        }
        s->state = SECRET_MINTING;
        w->minting++;
        pthread_mutex_unlock(&w->mutex);
        int result = mint(s);
        pthread_mutex_lock(&w->mutex);
        if (!result) /* s may be answered already */
            continue;
        LOG_LIMITED(WARN, "warm", "event=not_minted error=\"%s\"",
                    uv_strerror(result));
        w->minting--;
        mint_failed(s);
    }
}

static uint64_t
until_of(const struct warm_secrets *w, int64_t expires_at_s)
{
    uint64_t ms = w->cfg.ttl_ms - warm_jitter(w->cfg.ttl_ms / 5);

    if (expires_at_s) {
        int64_t left = expires_at_s * 1000 - clock_wall_ms();
        left -= WARM_SECRET_SAFETY;
        if (left < (int64_t) ms)
            ms = left > 0 ? (uint64_t) left : 0;
    }
    return clock_now_ms() + ms;
}

void
warm_secrets_minted(struct warm_secret *s, const char *value,
                    int64_t expires_at_s)
{
    struct warm_secrets *w = s->all;

    pthread_mutex_lock(&w->mutex);
    w->minting--;
    if (!value || !*value || strlen(value) >= sizeof(s->value)
        || strpbrk(value, "\r\n")) {
        mint_failed(s);
    } else if (w->stopping) {
        secret_remove(s);
    } else {
        snprintf(s->value, sizeof(s->value), "%s", value);
        s->until_ms = until_of(w, expires_at_s);
        s->state = SECRET_READY;
        ready_set(w, w->ready + 1);
        warm_model_proven(s->key);
        warm_model_succeeded(s->key);
        plan(w, clock_now_ms());
        wanted_mint(w);
    }
    pthread_mutex_unlock(&w->mutex);
}

/* --- the loop's part */

static void
on_timer(void *arg)
{
    struct warm_secrets *w = arg;
    uint64_t refill_ms = w->cfg.refill_ms;

    pthread_mutex_lock(&w->mutex);
    plan(w, clock_now_ms());
    wanted_mint(w);
    if (w->timer)
        loop_timer_start(w->timer, refill_ms - warm_jitter(refill_ms / 4), 0);
    pthread_mutex_unlock(&w->mutex);
}

static void
on_task(struct loop_task *task, void *arg)
{
    struct warm_secrets *w = arg;

    (void) task;
    pthread_mutex_lock(&w->mutex);
    w->posted = false;
    if (w->stopping) {
        loop_timer_destroy(&w->timer);
        w->gone = true;
    } else if (loop_timer_create(&w->timer, w->cfg.loop, on_timer, w) == 0) {
        loop_timer_start(w->timer, w->cfg.refill_ms, 0);
    }
    pthread_mutex_unlock(&w->mutex);
}

static void
task_post(struct warm_secrets *w)
{
    if (w->posted)
        return;
    w->posted = true;
    loop_post(w->cfg.loop, &w->task);
}

/* --- life */

int
warm_secrets_create(struct warm_secrets **wp,
                    const struct warm_secrets_config *cfg)
{
    struct warm_secrets *w = calloc(1, sizeof(*w));

    if (!w)
        return UV_ENOMEM;
    w->cfg = *cfg;
    pthread_mutex_init(&w->mutex, NULL);
    w->taken =
        metric_register(METRIC_COUNTER, "voiced_warm_secrets_taken_total",
                        "Calls that went out under a warm secret");
    w->missed =
        metric_register(METRIC_COUNTER, "voiced_warm_secrets_missed_total",
                        "Calls that found no warm secret");
    w->gauge = metric_register(METRIC_GAUGE, "voiced_warm_secrets",
                               "Warm secrets ready");
    w->task.run = on_task;
    w->task.arg = w;
    *wp = w;
    pthread_mutex_lock(&w->mutex);
    task_post(w);
    pthread_mutex_unlock(&w->mutex);
    return 0;
}

void
warm_secrets_stop(struct warm_secrets *w)
{
    pthread_mutex_lock(&w->mutex);
    if (!w->stopping) {
        w->stopping = true;
        expired_remove(w, 0);
        task_post(w);
    }
    pthread_mutex_unlock(&w->mutex);
}

bool
warm_secrets_is_stopped(struct warm_secrets *w)
{
    pthread_mutex_lock(&w->mutex);
    bool stopped = w->gone && !w->posted && !w->minting;
    pthread_mutex_unlock(&w->mutex);
    return stopped;
}

void
warm_secrets_destroy(struct warm_secrets **wp)
{
    struct warm_secrets *w = *wp;

    *wp = NULL;
    if (!w)
        return;
    while (w->first)
        secret_remove(w->first);
    warm_models_deinit(&w->keys);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

/* --- taking */

static bool
key_make(char key[KEY_BYTES], const char *upstream, const char *settings)
{
    int bytes =
        snprintf(key, KEY_BYTES, "%s%c%s", upstream, KEY_SPLIT, settings);

    return bytes < KEY_BYTES && strlen(settings) <= WARM_SETTINGS_MAX;
}

/* The one that ends first. */
static struct warm_secret *
ready_find(const struct warm_secrets *w, const struct warm_model *key)
{
    struct warm_secret *best = NULL;

    for (struct warm_secret *s = w->first; s; s = s->next)
        if (s->key == key && s->state == SECRET_READY
            && (!best || s->until_ms < best->until_ms))
            best = s;
    return best;
}

int
warm_secrets_take(struct warm_secrets *w, const char *upstream,
                  const char *settings, char out[WARM_SECRET_BYTES])
{
    uint64_t now_ms = clock_now_ms();
    struct warm_secret *s = NULL;
    char key[KEY_BYTES];

    out[0] = 0;
    if (!key_make(key, upstream, settings))
        return UV_ENOENT;
    pthread_mutex_lock(&w->mutex);
    struct warm_model *model =
        w->stopping ? NULL : warm_models_ask(&w->keys, key, now_ms);
    expired_remove(w, now_ms);
    if (model)
        s = ready_find(w, model);
    if (s) {
        memcpy(out, s->value, sizeof(s->value));
        secret_remove(s);
    }
    plan(w, now_ms);
    wanted_mint(w);
    pthread_mutex_unlock(&w->mutex);
    metric_add(out[0] ? w->taken : w->missed, 1);
    return out[0] ? 0 : UV_ENOENT;
}

unsigned
warm_secrets_count(struct warm_secrets *w)
{
    pthread_mutex_lock(&w->mutex);
    unsigned ready = w->ready;
    pthread_mutex_unlock(&w->mutex);
    return ready;
}
