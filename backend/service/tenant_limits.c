/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tenant_limits.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "service/usage.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#define BUCKETS   4096
#define MINUTE_MS 60000
#define DAY_MS    (24 * 3600 * 1000ll)
#define SWEEP_MS  1000 /* a full table is swept no more often */

struct tenant {
    LIST_ENTRY(tenant) in_bucket;
    uint64_t sessions;
    uint64_t used;    /* of the bucket, in requests × MINUTE_MS */
    uint64_t seen_ms; /* when `used` was true */
    char name[];
};

struct tenant_limits {
    struct tenant_limits_config cfg;
    uv_mutex_t lock; /* the rest */
    LIST_HEAD(, tenant) buckets[BUCKETS];
    unsigned count;
    uint64_t swept_ms;
    struct metric *refused[TENANT_REFUSAL_COUNT];
};

static const struct {
    const char *code, *text;
} refusals[TENANT_REFUSAL_COUNT] = {
#define X(id, code, text) [id] = {code, text},
    TENANT_REFUSALS(X)
#undef X
};

const char *
tenant_refusal_code(enum tenant_refusal refusal)
{
    return refusals[refusal].code;
}

const char *
tenant_refusal_text(enum tenant_refusal refusal)
{
    return refusals[refusal].text;
}

/* --- the table, under the lock */

static size_t
bucket_of(const char *name)
{
    uint64_t hash = 1469598103934665603ull;

    for (; *name; name++)
        hash = (hash ^ (unsigned char) *name) * 1099511628211ull;
    return (hash ^ hash >> 32) % BUCKETS;
}

/* What has flowed off since it was last looked at. */
static void
bucket_leak(const struct tenant_limits *l, struct tenant *t, uint64_t now)
{
    uint64_t passed = now - t->seen_ms;
    uint64_t flowed = passed >= MINUTE_MS ? t->used : passed * l->cfg.requests;

    t->used = flowed < t->used ? t->used - flowed : 0;
    t->seen_ms = now;
}

static void
sweep(struct tenant_limits *l, uint64_t now)
{
    struct tenant *t, *next;

    if (l->swept_ms && now - l->swept_ms < SWEEP_MS)
        return;
    l->swept_ms = now;
    for (size_t i = 0; i < BUCKETS; i++) {
        for (t = LIST_FIRST(&l->buckets[i]); t; t = next) {
            next = LIST_NEXT(t, in_bucket);
            bucket_leak(l, t, now);
            if (t->sessions || t->used)
                continue;
            LIST_REMOVE(t, in_bucket);
            l->count--;
            free(t);
        }
    }
}

static struct tenant *
tenant_find(struct tenant_limits *l, const char *name)
{
    struct tenant *t;

    LIST_FOREACH(t, &l->buckets[bucket_of(name)], in_bucket)
    {
        if (strcmp(t->name, name) == 0)
            return t;
    }
    return NULL;
}

/* NULL: no room. */
static struct tenant *
tenant_get(struct tenant_limits *l, const char *name, uint64_t now)
{
    struct tenant *t = tenant_find(l, name);
    size_t bytes = strlen(name) + 1;

    if (t)
        return t;
    if (l->count >= TENANT_LIMITS_MAX)
        sweep(l, now);
    t = l->count < TENANT_LIMITS_MAX ? calloc(1, sizeof(*t) + bytes) : NULL;
    if (!t)
        return NULL;
    memcpy(t->name, name, bytes);
    t->seen_ms = now;
    LIST_INSERT_HEAD(&l->buckets[bucket_of(name)], t, in_bucket);
    l->count++;
    return t;
}

/* --- questions */

static uint64_t
now_of(const struct tenant_limits *l)
{
    return l->cfg.now_ms ? l->cfg.now_ms() : clock_now_ms();
}

static enum tenant_refusal
refuse(struct tenant_limits *l, enum tenant_refusal why)
{
    if (why != TENANT_MAY)
        metric_add(l->refused[why], 1);
    return why;
}

enum tenant_refusal
tenant_limits_request(struct tenant_limits *l, const char *tenant,
                      unsigned *retry_s)
{
    enum tenant_refusal why = TENANT_MAY;
    uint64_t full = l->cfg.requests * MINUTE_MS, now = now_of(l);

    if (!l->cfg.requests)
        return TENANT_MAY;
    uv_mutex_lock(&l->lock);
    struct tenant *t = tenant_get(l, tenant, now);
    *retry_s = 1;
    if (!t) {
        why = TENANT_NO_ROOM;
    } else {
        bucket_leak(l, t, now);
        if (t->used + MINUTE_MS > full) {
            uint64_t over = t->used + MINUTE_MS - full;
            *retry_s = (unsigned) (over / l->cfg.requests / 1000 + 1);
            why = TENANT_REQUESTS;
        } else {
            t->used += MINUTE_MS;
        }
    }
    uv_mutex_unlock(&l->lock);
    return refuse(l, why);
}

/* Until the next UTC day. */
static unsigned
day_left_s(const struct tenant_limits *l)
{
    int64_t now = l->cfg.wall_ms ? l->cfg.wall_ms() : clock_wall_ms();

    return (unsigned) ((DAY_MS - now % DAY_MS) / 1000 + 1);
}

enum tenant_refusal
tenant_limits_enter(struct tenant_limits *l, const char *tenant,
                    unsigned *retry_s)
{
    enum tenant_refusal why = TENANT_MAY;

    if (l->cfg.tokens && l->cfg.usage
        && usage_today(l->cfg.usage, tenant) >= l->cfg.tokens) {
        *retry_s = day_left_s(l);
        return refuse(l, TENANT_TOKENS);
    }
    if (!l->cfg.sessions)
        return TENANT_MAY;
    *retry_s = 5; /* sessions end when they end */
    uv_mutex_lock(&l->lock);
    struct tenant *t = tenant_get(l, tenant, now_of(l));
    if (!t)
        why = TENANT_NO_ROOM;
    else if (t->sessions >= l->cfg.sessions)
        why = TENANT_SESSIONS;
    else
        t->sessions++;
    uv_mutex_unlock(&l->lock);
    return refuse(l, why);
}

void
tenant_limits_leave(struct tenant_limits *l, const char *tenant)
{
    if (!l->cfg.sessions)
        return;
    uv_mutex_lock(&l->lock);
    struct tenant *t = tenant_find(l, tenant);
    if (t && t->sessions)
        t->sessions--;
    uv_mutex_unlock(&l->lock);
}

/* --- life */

int
tenant_limits_create(struct tenant_limits **lp,
                     const struct tenant_limits_config *cfg)
{
    struct tenant_limits *l = calloc(1, sizeof(*l));

    if (!l)
        return UV_ENOMEM;
    l->cfg = *cfg;
    uv_mutex_init(&l->lock);
    for (int i = TENANT_MAY + 1; i < TENANT_REFUSAL_COUNT; i++) {
        char name[96];
        snprintf(name, sizeof(name),
                 "voiced_limits_refused_total{reason=\"%s\"}",
                 refusals[i].code);
        l->refused[i] = metric_register(METRIC_COUNTER, name,
                                        "What tenants' limits have refused.");
    }
    *lp = l;
    return 0;
}

void
tenant_limits_destroy(struct tenant_limits **lp)
{
    struct tenant_limits *l = *lp;
    struct tenant *t;

    *lp = NULL;
    if (!l)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while ((t = LIST_FIRST(&l->buckets[i])) != NULL) {
            LIST_REMOVE(t, in_bucket);
            free(t);
        }
    }
    uv_mutex_destroy(&l->lock);
    free(l);
}
