/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   mint ─► memory ─► store ─► done
 *   check ─► memory, and fresh? ─► grant
 *                 └─► store ─► memory ─► checked
 */

#include "service/secrets.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#define BUCKETS   16384
#define KEY_CHARS 43

struct grant {
    struct secret_grant base;
    atomic_uint refs;
    size_t bytes;
    char texts[];
};

/* One secret in memory: in a bucket by its hash and in the order of coming. */
struct entry {
    LIST_ENTRY(entry) in_bucket;
    TAILQ_ENTRY(entry) in_order;
    uint8_t hash[STORE_HASH_BYTES];
    struct grant *grant;
    uint64_t fresh_ms; /* clock_now_ms until which memory's word counts */
};

struct secrets {
    struct store *store;
    int64_t (*wall_ms)(void);
    uv_mutex_t lock; /* the rest */
    LIST_HEAD(, entry) buckets[BUCKETS];
    TAILQ_HEAD(, entry) order;
    unsigned count;
    size_t bytes;
    struct metric *minted, *refused;
};

/* An operation in the store. */
struct asking {
    struct secrets *secrets;
    uint8_t hash[STORE_HASH_BYTES];
    secrets_done_h *done;
    secrets_check_h *checked;
    void *arg;
};

/* --- grants */

static struct grant *
grant_of(const struct secret_grant *base)
{
    return (struct grant *) (uintptr_t) base;
}

const struct secret_grant *
secret_grant_ref(const struct secret_grant *grant)
{
    if (grant)
        atomic_fetch_add(&grant_of(grant)->refs, 1);
    return grant;
}

void
secret_grant_put(const struct secret_grant **grant)
{
    struct grant *g = *grant ? grant_of(*grant) : NULL;

    *grant = NULL;
    if (g && atomic_fetch_sub(&g->refs, 1) == 1)
        free(g);
}

static const char *
text_lay(char **at, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *to = *at;

    memcpy(to, text, bytes);
    *at += bytes;
    return to;
}

/* One share; the texts are copied. */
static struct grant *
grant_create(const struct secret_grant *from)
{
    size_t bytes = strlen(from->tenant) + strlen(from->id) + strlen(from->model)
                   + strlen(from->session) + 4;
    struct grant *g = malloc(sizeof(*g) + bytes);
    char *at;

    if (!g)
        return NULL;
    at = g->texts;
    g->base = *from;
    g->base.tenant = text_lay(&at, from->tenant);
    g->base.id = text_lay(&at, from->id);
    g->base.model = text_lay(&at, from->model);
    g->base.session = text_lay(&at, from->session);
    g->bytes = bytes;
    atomic_init(&g->refs, 1);
    return g;
}

/* --- the table, under the lock */

static size_t
bucket_of(const uint8_t hash[STORE_HASH_BYTES])
{
    return (hash[0] | (size_t) hash[1] << 8) % BUCKETS;
}

static struct entry *
entry_find(struct secrets *s, const uint8_t hash[STORE_HASH_BYTES])
{
    struct entry *e;

    LIST_FOREACH(e, &s->buckets[bucket_of(hash)], in_bucket)
    {
        if (crypto_equal(e->hash, hash, STORE_HASH_BYTES))
            return e;
    }
    return NULL;
}

static void
entry_drop(struct secrets *s, struct entry *e)
{
    const struct secret_grant *grant = &e->grant->base;

    LIST_REMOVE(e, in_bucket);
    TAILQ_REMOVE(&s->order, e, in_order);
    s->count--;
    s->bytes -= e->grant->bytes;
    secret_grant_put(&grant);
    free(e);
}

static void
expired_drop(struct secrets *s, int64_t now)
{
    struct entry *next;

    for (struct entry *e = TAILQ_FIRST(&s->order); e; e = next) {
        next = TAILQ_NEXT(e, in_order);
        if (e->grant->base.expires_ms <= now)
            entry_drop(s, e);
    }
}

static bool
has_room(const struct secrets *s, size_t bytes)
{
    return s->count < SECRETS_MAX && bytes <= SECRETS_MEMORY_BYTES
           && s->bytes <= SECRETS_MEMORY_BYTES - bytes;
}

/* What is in the store too may go from memory. */
static bool
room_make(struct secrets *s, size_t bytes)
{
    if (has_room(s, bytes))
        return true;
    expired_drop(s, s->wall_ms());
    while (s->store && s->count && !has_room(s, bytes))
        entry_drop(s, TAILQ_FIRST(&s->order));
    return has_room(s, bytes);
}

/* Memory's word counts until the time it is fresh; without a store always. */
static uint64_t
fresh_until(const struct secrets *s)
{
    return s->store ? clock_now_ms() + SECRETS_FRESH_MS : UINT64_MAX;
}

/* With a share of its own. 0, UV_EBUSY, UV_ENOMEM. */
static int
entry_add(struct secrets *s, const uint8_t hash[STORE_HASH_BYTES],
          struct grant *grant)
{
    struct entry *e = entry_find(s, hash);

    if (e)
        entry_drop(s, e);
    if (!room_make(s, grant->bytes))
        return UV_EBUSY;
    e = calloc(1, sizeof(*e));
    if (!e)
        return UV_ENOMEM;
    memcpy(e->hash, hash, sizeof(e->hash));
    e->grant = grant_of(secret_grant_ref(&grant->base));
    e->fresh_ms = fresh_until(s);
    LIST_INSERT_HEAD(&s->buckets[bucket_of(hash)], e, in_bucket);
    TAILQ_INSERT_TAIL(&s->order, e, in_order);
    s->count++;
    s->bytes += grant->bytes;
    return 0;
}

/* Whether the grant's tenant may have one more. */
static bool
tenant_has_room(const struct secrets *s, const struct grant *grant, int64_t now)
{
    const struct entry *e;
    size_t bytes = grant->bytes;
    unsigned n = 0;

    /* Counting goes through all: only when there may be as many. */
    if (s->count < SECRETS_TENANT_MAX
        && s->bytes + bytes <= SECRETS_TENANT_BYTES)
        return true;
    TAILQ_FOREACH(e, &s->order, in_order)
    {
        if (e->grant->base.expires_ms <= now
            || strcmp(e->grant->base.tenant, grant->base.tenant) != 0)
            continue;
        n++;
        bytes += e->grant->bytes;
    }
    return n < SECRETS_TENANT_MAX && bytes <= SECRETS_TENANT_BYTES;
}

/* --- minting */

static struct asking *
asking_create(struct secrets *s, const uint8_t *hash, void *arg)
{
    struct asking *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->secrets = s;
    a->arg = arg;
    if (hash)
        memcpy(a->hash, hash, sizeof(a->hash));
    return a;
}

/* On the store's thread. What is not in the store is good nowhere. */
static void
on_put(void *arg, int result)
{
    struct asking *a = arg;

    if (result) {
        uv_mutex_lock(&a->secrets->lock);
        struct entry *e = entry_find(a->secrets, a->hash);
        if (e)
            entry_drop(a->secrets, e);
        uv_mutex_unlock(&a->secrets->lock);
    }
    a->done(a->arg, result);
    free(a);
}

static int
store_put(struct secrets *s, const struct secret_grant *grant,
          struct asking *asking)
{
    struct store_secret row = {
        .tenant = grant->tenant,
        .id = grant->id,
        .model = grant->model,
        .session = grant->session,
        .created_ms = grant->created_ms,
        .expires_ms = grant->expires_ms,
    };

    memcpy(row.hash, asking->hash, sizeof(row.hash));
    return store_secret_put(s->store, &row, on_put, asking);
}

/* Into memory; UV_EBUSY also when the tenant has too many. */
static int
memory_put(struct secrets *s, const uint8_t hash[STORE_HASH_BYTES],
           struct grant *grant)
{
    int result = UV_EBUSY;

    uv_mutex_lock(&s->lock);
    if (tenant_has_room(s, grant, s->wall_ms()))
        result = entry_add(s, hash, grant);
    uv_mutex_unlock(&s->lock);
    return result;
}

static void
memory_drop(struct secrets *s, const uint8_t hash[STORE_HASH_BYTES])
{
    uv_mutex_lock(&s->lock);
    struct entry *e = entry_find(s, hash);
    if (e)
        entry_drop(s, e);
    uv_mutex_unlock(&s->lock);
}

/* 0: kept, 1: the store is at it, or an error and nothing is kept. */
static int
grant_keep(struct secrets *s, struct grant *grant, struct asking *asking)
{
    int result = memory_put(s, asking->hash, grant);

    if (result || !s->store)
        return result;
    uint8_t hash[STORE_HASH_BYTES];
    memcpy(hash, asking->hash, sizeof(hash)); /* asking may be gone then */
    result = store_put(s, &grant->base, asking);
    if (!result)
        return 1;
    memory_drop(s, hash);
    return result;
}

int
secrets_prepare(struct secrets *s, const struct secret_request *request,
                struct secret_minted *out)
{
    if (request->seconds < SECRETS_SECONDS_MIN
        || request->seconds > SECRETS_SECONDS_MAX)
        return UV_EINVAL;
    memcpy(out->key, SECRETS_PREFIX, sizeof(SECRETS_PREFIX));
    crypto_alphanumerics(out->key + sizeof(SECRETS_PREFIX) - 1, KEY_CHARS);
    crypto_id("secret_", out->id);
    out->expires_ms = s->wall_ms() + request->seconds * 1000ll;
    return 0;
}

int
secrets_keep(struct secrets *s, const struct secret_request *request,
             const struct secret_minted *minted, secrets_done_h *done,
             void *arg)
{
    uint8_t hash[STORE_HASH_BYTES];
    const struct secret_grant what = {
        .tenant = request->tenant,
        .id = minted->id,
        .model = request->model,
        .session = request->session,
        .created_ms = minted->expires_ms - request->seconds * 1000ll,
        .expires_ms = minted->expires_ms,
    };
    int result = UV_ENOMEM;

    crypto_sha256(minted->key, strlen(minted->key), hash);
    struct grant *grant = grant_create(&what);
    struct asking *asking = asking_create(s, hash, arg);
    if (grant && asking) {
        asking->done = done;
        result = grant_keep(s, grant, asking);
    }
    const struct secret_grant *share = grant ? &grant->base : NULL;
    secret_grant_put(&share);
    if (result != 1)
        free(asking);
    metric_add(result < 0 ? s->refused : s->minted, 1);
    return result;
}

/* --- checking */

static bool
key_is_sound(const char *key)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789";
    size_t prefix = sizeof(SECRETS_PREFIX) - 1;

    return strncmp(key, SECRETS_PREFIX, prefix) == 0
           && strlen(key + prefix) == KEY_CHARS
           && strspn(key + prefix, chars) == KEY_CHARS;
}

/* The store's row as a share in *grant; memory learns it. */
static int
row_learn(struct asking *a, const struct store_secret *row,
          const struct secret_grant **grant)
{
    struct secrets *s = a->secrets;
    const struct secret_grant what = {
        .tenant = row->tenant,
        .id = row->id,
        .model = row->model,
        .session = row->session,
        .created_ms = row->created_ms,
        .expires_ms = row->expires_ms,
    };
    struct grant *g = grant_create(&what);

    if (!g)
        return UV_ENOMEM;
    *grant = &g->base;
    uv_mutex_lock(&s->lock);
    if (entry_add(s, a->hash, g))
        metric_add(s->refused, 1); /* the store will be asked again */
    uv_mutex_unlock(&s->lock);
    return 0;
}

/* On the store's thread. */
static void
on_row(void *arg, int result, const struct store_secret *row)
{
    struct asking *a = arg;
    const struct secret_grant *grant = NULL;

    if (!result
        && (row->revoked_ms || row->expires_ms <= a->secrets->wall_ms()))
        result = UV_EACCES;
    if (result == UV_ENOENT)
        result = UV_EACCES;
    if (result == UV_EACCES)
        memory_drop(a->secrets, a->hash);
    if (!result)
        result = row_learn(a, row, &grant);
    a->checked(a->arg, result, &grant);
    secret_grant_put(&grant);
    free(a);
}

/* 0, UV_EACCES, or UV_EAGAIN: memory can't say. */
static int
memory_check(struct secrets *s, const uint8_t hash[STORE_HASH_BYTES],
             const struct secret_grant **grant)
{
    int result = s->store ? UV_EAGAIN : UV_EACCES;

    uv_mutex_lock(&s->lock);
    struct entry *e = entry_find(s, hash);
    if (e && e->grant->base.expires_ms <= s->wall_ms()) {
        entry_drop(s, e);
        result = UV_EACCES;
    } else if (e && clock_now_ms() <= e->fresh_ms) {
        *grant = secret_grant_ref(&e->grant->base);
        result = 0;
    }
    uv_mutex_unlock(&s->lock);
    return result;
}

int
secrets_peek(struct secrets *s, const char *key,
             const struct secret_grant **grant)
{
    uint8_t hash[STORE_HASH_BYTES];

    if (!key_is_sound(key))
        return UV_EACCES;
    crypto_sha256(key, strlen(key), hash);
    return memory_check(s, hash, grant);
}

int
secrets_check(struct secrets *s, const char *key,
              const struct secret_grant **grant, secrets_check_h *checked,
              void *arg)
{
    uint8_t hash[STORE_HASH_BYTES];
    int result;

    if (!key_is_sound(key))
        return UV_EACCES;
    crypto_sha256(key, strlen(key), hash);
    result = memory_check(s, hash, grant);
    if (result != UV_EAGAIN)
        return result;
    struct asking *a = asking_create(s, hash, arg);
    if (!a)
        return UV_ENOMEM;
    a->checked = checked;
    result = store_secret_get(s->store, hash, on_row, a);
    if (result)
        free(a);
    return result ? result : 1;
}

/* --- revoking */

/* A row that was read just before may have brought the secret into memory
 * again: the store is asked about all of them. */
static void
on_revoked(void *arg, int result)
{
    struct asking *a = arg;
    struct entry *e;

    uv_mutex_lock(&a->secrets->lock);
    TAILQ_FOREACH(e, &a->secrets->order, in_order)
    {
        e->fresh_ms = 0;
    }
    uv_mutex_unlock(&a->secrets->lock);
    a->done(a->arg, result);
    free(a);
}

/* Whether memory had it. */
static bool
memory_revoke(struct secrets *s, const char *tenant, const char *id)
{
    struct entry *e;
    int64_t now = s->wall_ms();
    bool found = false;

    uv_mutex_lock(&s->lock);
    TAILQ_FOREACH(e, &s->order, in_order)
    {
        if (strcmp(e->grant->base.id, id) == 0
            && strcmp(e->grant->base.tenant, tenant) == 0)
            break;
    }
    if (e) {
        found = e->grant->base.expires_ms > now;
        entry_drop(s, e);
    }
    uv_mutex_unlock(&s->lock);
    return found;
}

int
secrets_revoke(struct secrets *s, const char *tenant, const char *id,
               secrets_done_h *done, void *arg)
{
    bool found = memory_revoke(s, tenant, id);

    if (!s->store)
        return found ? 0 : UV_ENOENT;
    struct asking *a = asking_create(s, NULL, arg);
    if (!a)
        return UV_ENOMEM;
    a->done = done;
    int result = store_secret_revoke(s->store, tenant, id, on_revoked, a);
    if (result)
        free(a);
    return result ? result : 1;
}

/* --- life */

unsigned
secrets_count(struct secrets *s)
{
    uv_mutex_lock(&s->lock);
    unsigned count = s->count;
    uv_mutex_unlock(&s->lock);
    return count;
}

int
secrets_create(struct secrets **sp, const struct secrets_config *cfg)
{
    struct secrets *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    s->store = cfg->store;
    s->wall_ms = cfg->wall_ms ? cfg->wall_ms : clock_wall_ms;
    TAILQ_INIT(&s->order);
    uv_mutex_init(&s->lock);
    s->minted = metric_register(METRIC_COUNTER, "voiced_secrets_minted_total",
                                "Client secrets minted.");
    s->refused =
        metric_register(METRIC_COUNTER, "voiced_secrets_refused_total",
                        "Client secrets that found no room in memory.");
    if (!s->store)
        LOG(NOTICE, "secrets",
            "store=none: minted secrets are of this process alone");
    *sp = s;
    return 0;
}

void
secrets_destroy(struct secrets **sp)
{
    struct secrets *s = *sp;

    *sp = NULL;
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->order))
        entry_drop(s, TAILQ_FIRST(&s->order));
    uv_mutex_destroy(&s->lock);
    free(s);
}
