/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_cache.h"

#include "gate/crypto.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUCKETS       256
#define KEY_PARTS     4
#define KEY_BYTES     1024 /* of parts that need no memory of their own */
#define REFRESH_SHARE 10   /* of its time, before its end */

struct entry {
    struct entry *next;          /* of its bucket */
    struct entry *newer, *older; /* by use */
    struct tool_cache_key key;
    struct tool_cache_stamp stamp;
    struct tool_value *value;
    uint64_t generation, expires_ms, refresh_ms;
    unsigned domain;
};

struct tool_flight {
    struct tool_flight *next, **prev; /* of its bucket */
    struct tool_cache_waiter *waiters;
    struct tool_cache_key key;
    struct tool_cache_stamp stamp;
    uint64_t generation;
    unsigned domain;
    bool is_refresh;
};

struct tool_cache {
    struct tool_cache_config cfg;
    pthread_mutex_t lock; /* of all below */
    struct entry *entries[BUCKETS];
    struct tool_flight *flights[BUCKETS];
    struct entry *newest, *oldest;
    uint64_t generations[TOOL_CACHE_DOMAINS];
    struct tool_cache_counts counts;
};

/* --- keys */

/* Each part behind its length, so that no two lists of parts are one text. */
static void
parts_write(uint8_t *out, const char *const parts[KEY_PARTS],
            const size_t bytes[KEY_PARTS])
{
    for (unsigned i = 0; i < KEY_PARTS; i++) {
        memcpy(out, &bytes[i], sizeof(bytes[i]));
        memcpy(out + sizeof(bytes[i]), parts[i], bytes[i]);
        out += sizeof(bytes[i]) + bytes[i];
    }
}

int
tool_cache_key_make(struct tool_cache_key *key, const char *tenant,
                    const char *root, const char *tool, const json_t *arguments)
{
    char *text =
        json_dumps(arguments, JSON_SORT_KEYS | JSON_COMPACT | JSON_ENCODE_ANY);
    const char *const parts[KEY_PARTS] = {tenant, root, tool, text};
    size_t bytes[KEY_PARTS], all = 0;
    uint8_t some[KEY_BYTES], *room = some;

    if (!text)
        return UV_ENOMEM;
    for (unsigned i = 0; i < KEY_PARTS; i++) {
        bytes[i] = strlen(parts[i]);
        all += sizeof(bytes[i]) + bytes[i];
    }
    if (all > sizeof(some))
        room = malloc(all);
    if (room) {
        parts_write(room, parts, bytes);
        crypto_sha256(room, all, key->hash);
    }
    if (room != some)
        free(room);
    free(text);
    return room ? 0 : UV_ENOMEM;
}

static unsigned
bucket_of(const struct tool_cache_key *key)
{
    return key->hash[0]; /* of BUCKETS */
}

static bool
key_is(const struct tool_cache_key *a, const struct tool_cache_key *b)
{
    return memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

static bool
stamp_is(const struct tool_cache_stamp *a, const struct tool_cache_stamp *b)
{
    return memcmp(a->words, b->words, sizeof(a->words)) == 0;
}

/* --- entries, with the lock */

static size_t
entry_bytes(const struct entry *e)
{
    return sizeof(*e) + sizeof(*e->value) + e->value->bytes + 1;
}

static void
use_unlink(struct tool_cache *c, struct entry *e)
{
    *(e->newer ? &e->newer->older : &c->newest) = e->older;
    *(e->older ? &e->older->newer : &c->oldest) = e->newer;
}

static void
use_link(struct tool_cache *c, struct entry *e)
{
    e->newer = NULL;
    e->older = c->newest;
    *(c->newest ? &c->newest->newer : &c->oldest) = e;
    c->newest = e;
}

static void
entry_remove(struct tool_cache *c, struct entry *e)
{
    struct entry **at = &c->entries[bucket_of(&e->key)];

    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    use_unlink(c, e);
    c->counts.entries--;
    c->counts.bytes -= entry_bytes(e);
    tool_value_unref(e->value);
    free(e);
}

static struct entry *
entry_find(struct tool_cache *c, const struct tool_cache_key *key)
{
    struct entry *e = c->entries[bucket_of(key)];

    while (e && !key_is(&e->key, key))
        e = e->next;
    return e;
}

/* One that may be given; what may not is gone. */
static struct entry *
entry_fresh(struct tool_cache *c, const struct tool_cache_question *q)
{
    struct entry *e = entry_find(c, &q->key);

    if (!e)
        return NULL;
    if (e->domain == q->domain && q->now_ms < e->expires_ms
        && e->generation == c->generations[q->domain]
        && stamp_is(&e->stamp, &q->stamp)) {
        use_unlink(c, e);
        use_link(c, e);
        return e;
    }
    entry_remove(c, e);
    return NULL;
}

static void
entries_fit(struct tool_cache *c)
{
    while (c->counts.entries > c->cfg.max_entries
           || c->counts.bytes > c->cfg.max_bytes) {
        entry_remove(c, c->oldest);
        c->counts.evicted++;
    }
}

static void
entry_add(struct tool_cache *c, const struct tool_flight *f,
          const struct tool_cache_result *result)
{
    struct entry *old = entry_find(c, &f->key);
    struct entry *e = calloc(1, sizeof(*e));

    if (old)
        entry_remove(c, old);
    if (!e)
        return;
    e->key = f->key;
    e->stamp = result->stamp;
    e->domain = f->domain;
    e->generation = f->generation;
    e->value = tool_value_ref(result->value);
    e->expires_ms = result->now_ms + result->ttl_ms;
    e->refresh_ms = e->expires_ms - result->ttl_ms / REFRESH_SHARE;
    e->next = c->entries[bucket_of(&e->key)];
    c->entries[bucket_of(&e->key)] = e;
    use_link(c, e);
    c->counts.entries++;
    c->counts.bytes += entry_bytes(e);
    entries_fit(c);
}

/* --- flights, with the lock */

/* One whose result is what the question is about: begun after the last bump,
 * of the same stamp. */
static struct tool_flight *
flight_find(struct tool_cache *c, const struct tool_cache_question *q)
{
    struct tool_flight *f = c->flights[bucket_of(&q->key)];

    while (f
           && (!key_is(&f->key, &q->key) || f->domain != q->domain
               || f->generation != c->generations[q->domain]
               || !stamp_is(&f->stamp, &q->stamp)))
        f = f->next;
    return f;
}

static struct tool_flight *
flight_make(struct tool_cache *c, const struct tool_cache_question *q)
{
    struct tool_flight *f = calloc(1, sizeof(*f));
    struct tool_flight **first = &c->flights[bucket_of(&q->key)];

    if (!f)
        return NULL;
    f->key = q->key;
    f->stamp = q->stamp;
    f->domain = q->domain;
    f->generation = c->generations[q->domain];
    f->next = *first;
    f->prev = first;
    if (f->next)
        f->next->prev = &f->next;
    *first = f;
    c->counts.flights++;
    return f;
}

/* One that was abandoned is out already. */
static void
flight_unlink(struct tool_flight *f)
{
    if (!f->prev)
        return;
    *f->prev = f->next;
    if (f->next)
        f->next->prev = f->prev;
    f->prev = NULL;
}

static void
flight_join(struct tool_flight *f, struct tool_cache_waiter *waiter)
{
    waiter->flight = f;
    waiter->next = f->waiters;
    waiter->prev = &f->waiters;
    if (waiter->next)
        waiter->next->prev = &waiter->next;
    f->waiters = waiter;
}

/* --- asking */

static enum tool_cache_found
ask_hit(struct tool_cache *c, const struct tool_cache_question *q,
        struct entry *e, struct tool_value **value, struct tool_flight **flight)
{
    *value = tool_value_ref(e->value);
    c->counts.hits++;
    if (q->now_ms >= e->refresh_ms && !flight_find(c, q)) {
        *flight = flight_make(c, q);
        if (*flight) {
            (*flight)->is_refresh = true;
            c->counts.refreshed++;
        }
    }
    return TOOL_CACHE_HIT;
}

static enum tool_cache_found
ask_flight(struct tool_cache *c, const struct tool_cache_question *q,
           struct tool_cache_waiter *waiter, struct tool_flight **flight)
{
    struct tool_flight *f = flight_find(c, q);

    if (f) {
        c->counts.joined++;
    } else {
        f = *flight = flight_make(c, q);
        if (!f)
            return TOOL_CACHE_FAILED;
        c->counts.misses++;
    }
    flight_join(f, waiter);
    return TOOL_CACHE_WAIT;
}

struct tool_value *
tool_cache_find(struct tool_cache *c, const struct tool_cache_question *q,
                struct tool_flight **flight)
{
    struct tool_value *value = NULL;

    *flight = NULL;
    pthread_mutex_lock(&c->lock);
    struct entry *e = entry_fresh(c, q);
    if (e)
        ask_hit(c, q, e, &value, flight);
    pthread_mutex_unlock(&c->lock);
    return value;
}

enum tool_cache_found
tool_cache_ask(struct tool_cache *c, const struct tool_cache_question *q,
               struct tool_cache_waiter *waiter, struct tool_value **value,
               struct tool_flight **flight)
{
    enum tool_cache_found found;

    *value = NULL;
    *flight = NULL;
    waiter->flight = NULL;
    pthread_mutex_lock(&c->lock);
    struct entry *e = entry_fresh(c, q);
    found =
        e ? ask_hit(c, q, e, value, flight) : ask_flight(c, q, waiter, flight);
    pthread_mutex_unlock(&c->lock);
    return found;
}

bool
tool_cache_leave(struct tool_cache *c, struct tool_cache_waiter *waiter)
{
    pthread_mutex_lock(&c->lock);
    bool waits = waiter->flight != NULL;
    if (waits) {
        *waiter->prev = waiter->next;
        if (waiter->next)
            waiter->next->prev = waiter->prev;
        waiter->flight = NULL;
    }
    pthread_mutex_unlock(&c->lock);
    return waits;
}

/* --- the answer */

static bool
is_kept(const struct tool_cache *c, const struct tool_flight *f,
        const struct tool_cache_result *result)
{
    return result->value && result->ttl_ms > 0
           && f->generation == c->generations[f->domain]
           && result->value->bytes < c->cfg.max_bytes / 4;
}

/* A waiter may be gone once its handler runs. */
static void
waiters_tell(struct tool_cache_waiter *first,
             const struct tool_cache_result *result)
{
    while (first) {
        struct tool_cache_waiter *waiter = first;

        first = waiter->next;
        waiter->handler(waiter->arg, result->value, result->note);
    }
}

void
tool_cache_done(struct tool_cache *c, struct tool_flight **flight,
                const struct tool_cache_result *result)
{
    struct tool_flight *f = *flight;

    *flight = NULL;
    pthread_mutex_lock(&c->lock);
    flight_unlink(f);
    c->counts.flights--;
    struct tool_cache_waiter *first = f->waiters;
    for (struct tool_cache_waiter *w = first; w; w = w->next)
        w->flight = NULL;
    if (is_kept(c, f, result))
        entry_add(c, f, result);
    pthread_mutex_unlock(&c->lock);
    free(f);
    waiters_tell(first, result);
}

void
tool_cache_bump(struct tool_cache *c, unsigned domain)
{
    pthread_mutex_lock(&c->lock);
    c->generations[domain]++;
    pthread_mutex_unlock(&c->lock);
}

bool
tool_cache_abandon(struct tool_cache *c, struct tool_flight *flight)
{
    pthread_mutex_lock(&c->lock);
    bool unwanted = !flight->waiters && !flight->is_refresh;
    if (unwanted)
        flight_unlink(flight);
    pthread_mutex_unlock(&c->lock);
    return unwanted;
}

void
tool_cache_get_counts(struct tool_cache *c, struct tool_cache_counts *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->counts;
    pthread_mutex_unlock(&c->lock);
}

/* --- life */

int
tool_cache_create(struct tool_cache **cp, const struct tool_cache_config *cfg)
{
    if (cfg->max_entries == 0 || cfg->max_bytes == 0)
        return UV_EINVAL;
    struct tool_cache *c = calloc(1, sizeof(*c));
    if (!c)
        return UV_ENOMEM;
    c->cfg = *cfg;
    pthread_mutex_init(&c->lock, NULL);
    *cp = c;
    return 0;
}

void
tool_cache_destroy(struct tool_cache **cp)
{
    struct tool_cache *c = *cp;

    *cp = NULL;
    if (!c)
        return;
    while (c->oldest)
        entry_remove(c, c->oldest);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
