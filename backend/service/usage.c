/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   add ─► pending rows ─► thread, once a second ─► store_usage_add
 *               ▲                                        │ failed
 *               └────────────────────────────────────────┘
 */

#include "service/usage.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <uv.h>

#define BUCKETS     4096
#define NAME_BYTES  256
#define MEMORY_DAYS 31
#define DAY_MS      (24 * 3600 * 1000ll)

/* A row of counters, in one bucket of one table. */
struct row {
    LIST_ENTRY(row) in_bucket;
    struct store_usage usage; /* its texts are behind */
    struct usage *owner;
    struct row *next; /* once it is out of the table */
    char texts[];
};

struct table {
    LIST_HEAD(, row) buckets[BUCKETS];
    unsigned count;
};

struct usage {
    struct store *store;
    int64_t (*wall_ms)(void);
    uv_thread_t thread;
    uv_mutex_t lock; /* the rest */
    uv_cond_t wake;
    struct table pending; /* not in the store yet; without one: all there is */
    struct table today;   /* by tenant; INPUT holds all tokens */
    bool dirty, stopping, started;
    bool last; /* the last flush is on its way */
    struct metric *metric_rows, *metric_dropped;
};

int64_t
usage_day_of(int64_t wall_ms)
{
    return wall_ms / DAY_MS;
}

/* --- tables, under the lock */

static size_t
bucket_of(const char *tenant, int64_t day, const char *model)
{
    uint64_t hash = 1469598103934665603ull ^ (uint64_t) day;

    for (const char *p = tenant; *p; p++)
        hash = (hash ^ (unsigned char) *p) * 1099511628211ull;
    hash *= 1099511628211ull;
    for (const char *p = model; *p; p++)
        hash = (hash ^ (unsigned char) *p) * 1099511628211ull;
    return (hash ^ hash >> 32) % BUCKETS;
}

static struct row *
row_find(struct table *table, const char *tenant, int64_t day,
         const char *model)
{
    struct row *row;

    LIST_FOREACH(row, &table->buckets[bucket_of(tenant, day, model)], in_bucket)
    {
        if (row->usage.day == day && strcmp(row->usage.tenant, tenant) == 0
            && strcmp(row->usage.model, model) == 0)
            return row;
    }
    return NULL;
}

static void
row_drop(struct table *table, struct row *row)
{
    LIST_REMOVE(row, in_bucket);
    table->count--;
    free(row);
}

/* The row, made when it is new; NULL: no room. */
static struct row *
row_get(struct usage *u, struct table *table, const struct store_usage *like)
{
    struct row *row = row_find(table, like->tenant, like->day, like->model);
    size_t tenant = strlen(like->tenant) + 1, model = strlen(like->model) + 1;

    if (row)
        return row;
    if (table->count >= USAGE_ROWS_MAX || tenant > NAME_BYTES
        || model > NAME_BYTES)
        return NULL;
    row = calloc(1, sizeof(*row) + tenant + model);
    if (!row)
        return NULL;
    memcpy(row->texts, like->tenant, tenant);
    memcpy(row->texts + tenant, like->model, model);
    row->usage.tenant = row->texts;
    row->usage.model = row->texts + tenant;
    row->usage.day = like->day;
    row->owner = u;
    size_t bucket = bucket_of(like->tenant, like->day, like->model);
    LIST_INSERT_HEAD(&table->buckets[bucket], row, in_bucket);
    table->count++;
    return row;
}

static void
table_clear(struct table *table)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        while (!LIST_EMPTY(&table->buckets[i]))
            row_drop(table, LIST_FIRST(&table->buckets[i]));
    }
}

static void
rows_drop_before(struct table *table, int64_t day)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct row *next, *at = LIST_FIRST(&table->buckets[i]);
        for (; at; at = next) {
            next = LIST_NEXT(at, in_bucket);
            if (at->usage.day < day)
                row_drop(table, at);
        }
    }
}

static void
pending_add(struct usage *u, const struct store_usage *more)
{
    struct row *row = row_get(u, &u->pending, more);

    if (!row && !u->store) { /* memory keeps a month when it is full */
        rows_drop_before(&u->pending, more->day - MEMORY_DAYS);
        row = row_get(u, &u->pending, more);
    }
    if (!row) {
        metric_add(u->metric_dropped, 1);
        LOG_LIMITED(ERROR, "usage", "event=dropped rows=%u", u->pending.count);
        return;
    }
    for (size_t i = 0; i < STORE_USAGE_COUNT; i++)
        row->usage.counts[i] += more->counts[i];
    metric_set(u->metric_rows, u->pending.count);
    if (!u->dirty) {
        u->dirty = true;
        uv_cond_signal(&u->wake);
    }
}

static uint64_t
tokens_of(const struct store_usage *usage)
{
    return usage->counts[STORE_USAGE_INPUT] + usage->counts[STORE_USAGE_OUTPUT]
           + usage->counts[STORE_USAGE_TRANSCRIBED];
}

/* Yesterday's make room. */
static struct row *
today_get(struct usage *u, const char *tenant, int64_t day)
{
    const struct store_usage like = {.tenant = tenant, .day = day, .model = ""};
    struct row *row = row_get(u, &u->today, &like);

    if (!row)
        rows_drop_before(&u->today, day);
    return row ? row : row_get(u, &u->today, &like);
}

/* --- to the store */

/* On the store's thread; the row is out of the table and ours. */
static void
on_written(void *arg, int result)
{
    struct row *row = arg;
    struct usage *u = row->owner;

    if (result) { /* counted again, and tried again */
        uv_mutex_lock(&u->lock);
        bool lost = u->last;
        if (!lost)
            pending_add(u, &row->usage);
        uv_mutex_unlock(&u->lock);
        if (lost)
            LOG(ALERT, "usage", "event=lost tenant=\"%s\" tokens=%llu",
                row->usage.tenant, (unsigned long long) tokens_of(&row->usage));
    }
    free(row);
}

/* Takes every pending row out, into a list. */
static struct row *
pending_take(struct usage *u, bool last)
{
    struct row *row, *all = NULL;

    uv_mutex_lock(&u->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        while ((row = LIST_FIRST(&u->pending.buckets[i])) != NULL) {
            LIST_REMOVE(row, in_bucket);
            row->next = all;
            all = row;
        }
    }
    u->pending.count = 0;
    u->dirty = false;
    u->last |= last;
    metric_set(u->metric_rows, 0);
    uv_mutex_unlock(&u->lock);
    return all;
}

/* The store's queue is short when it is full: what it refuses comes later, at
 * the end as soon as it has room. */
static int
row_write(struct usage *u, struct row *row, bool last)
{
    int result;

    do {
        result = store_usage_add(u->store, &row->usage, on_written, row);
        if (result != UV_EBUSY || !last)
            break;
        uv_sleep(1);
    } while (true);
    return result;
}

static void
flush(struct usage *u, bool last)
{
    struct row *next;

    for (struct row *row = pending_take(u, last); row; row = next) {
        next = row->next;
        int result = row_write(u, row, last);
        if (result)
            on_written(row, result);
    }
}

/* On the store's thread: what all instances have used today. */
static void
on_today(void *arg, int result, const struct store_usage *rows, size_t count)
{
    struct usage *u = arg;

    if (result)
        return;
    uv_mutex_lock(&u->lock);
    for (size_t i = 0; i < count; i++) {
        struct row *row = today_get(u, rows[i].tenant, rows[i].day);
        uint64_t tokens = tokens_of(&rows[i]);
        /* It only grows; ours may be ahead by what is on its way. */
        if (row && row->usage.counts[STORE_USAGE_INPUT] < tokens)
            row->usage.counts[STORE_USAGE_INPUT] = tokens;
    }
    uv_mutex_unlock(&u->lock);
}

static void
look(struct usage *u)
{
    int64_t day = usage_day_of(u->wall_ms());
    const struct store_days days = {NULL, day, day};
    int result = store_usage_sum(u->store, &days, on_today, u);

    if (result)
        LOG_LIMITED(WARN, "usage", "event=not_looked error=%s",
                    uv_err_name(result));
}

/* Until there is something to write, or time to look, or to stop. */
static bool
wait_for_work(struct usage *u, uint64_t flush_at, uint64_t look_at)
{
    bool stopping;

    uv_mutex_lock(&u->lock);
    for (;;) {
        uint64_t now = clock_now_ms();
        uint64_t until = u->dirty && flush_at < look_at ? flush_at : look_at;
        if (u->stopping || now >= until)
            break;
        uv_cond_timedwait(&u->wake, &u->lock, (until - now) * 1000000);
    }
    stopping = u->stopping;
    uv_mutex_unlock(&u->lock);
    return !stopping;
}

static void
usage_run(void *arg)
{
    struct usage *u = arg;
    uint64_t flush_at = 0, look_at = 0;

    while (wait_for_work(u, flush_at, look_at)) {
        if (clock_now_ms() >= look_at) {
            look(u);
            look_at = clock_now_ms() + USAGE_LOOK_MS;
        }
        if (clock_now_ms() >= flush_at) {
            flush(u, false);
            flush_at = clock_now_ms() + USAGE_FLUSH_MS;
        }
    }
    flush(u, true);
}

/* --- adding and asking */

static void
usage_count(struct usage *u, const struct store_usage *more)
{
    uint64_t tokens = tokens_of(more);

    uv_mutex_lock(&u->lock);
    pending_add(u, more);
    struct row *today = tokens ? today_get(u, more->tenant, more->day) : NULL;
    if (today)
        today->usage.counts[STORE_USAGE_INPUT] += tokens;
    uv_mutex_unlock(&u->lock);
}

void
usage_add(struct usage *u, const char *tenant, const char *model,
          const struct usage_tokens *t)
{
    bool transcription = t->transcribed || t->transcribed_ms;
    struct store_usage more = {
        .tenant = tenant,
        .day = usage_day_of(u->wall_ms()),
        .model = model,
        .counts = {
            [STORE_USAGE_RESPONSES] = !transcription,
            [STORE_USAGE_ESTIMATED] = t->estimated,
            [STORE_USAGE_INPUT] = t->input,
            [STORE_USAGE_INPUT_TEXT] = t->input_text,
            [STORE_USAGE_INPUT_AUDIO] = t->input_audio,
            [STORE_USAGE_INPUT_IMAGE] = t->input_image,
            [STORE_USAGE_CACHED] = t->cached,
            [STORE_USAGE_CACHED_TEXT] = t->cached_text,
            [STORE_USAGE_CACHED_AUDIO] = t->cached_audio,
            [STORE_USAGE_CACHED_IMAGE] = t->cached_image,
            [STORE_USAGE_OUTPUT] = t->output,
            [STORE_USAGE_OUTPUT_TEXT] = t->output_text,
            [STORE_USAGE_OUTPUT_AUDIO] = t->output_audio,
            [STORE_USAGE_TRANSCRIBED] = t->transcribed,
            [STORE_USAGE_TRANSCRIBED_MS] = t->transcribed_ms,
        }};

    usage_count(u, &more);
}

void
usage_add_session(struct usage *u, const char *tenant, const char *model,
                  uint64_t duration_ms)
{
    const struct store_usage more = {
        .tenant = tenant,
        .day = usage_day_of(u->wall_ms()),
        .model = model,
        .counts = {[STORE_USAGE_SESSIONS] = 1,
                   [STORE_USAGE_SESSION_MS] = duration_ms}};

    usage_count(u, &more);
}

void
usage_add_tool_run(struct usage *u, const char *tenant, const char *model)
{
    const struct store_usage more = {.tenant = tenant,
                                     .day = usage_day_of(u->wall_ms()),
                                     .model = model,
                                     .counts = {[STORE_USAGE_TOOL_RUNS] = 1}};

    usage_count(u, &more);
}

uint64_t
usage_today(struct usage *u, const char *tenant)
{
    int64_t day = usage_day_of(u->wall_ms());

    uv_mutex_lock(&u->lock);
    struct row *row = row_find(&u->today, tenant, day, "");
    uint64_t tokens = row ? row->usage.counts[STORE_USAGE_INPUT] : 0;
    uv_mutex_unlock(&u->lock);
    return tokens;
}

static int
row_order(const void *a, const void *b)
{
    const struct store_usage *x = a, *y = b;

    return x->day != y->day ? (x->day > y->day) - (x->day < y->day)
                            : strcmp(x->model, y->model);
}

static void
rows_free(struct store_usage *rows, size_t count)
{
    while (count > 0)
        free((char *) (uintptr_t) rows[--count].model);
    free(rows);
}

/* Under the lock: copies, since a full table drops its oldest rows. NULL: no
 * memory. */
static struct store_usage *
rows_copy(const struct usage *u, const struct store_days *days, size_t *count)
{
    struct store_usage *rows = calloc(u->pending.count + 1u, sizeof(*rows));
    const struct row *row;

    *count = 0;
    for (size_t i = 0; i < BUCKETS && rows; i++) {
        LIST_FOREACH(row, &u->pending.buckets[i], in_bucket)
        {
            if (row->usage.day < days->from || row->usage.day > days->to
                || strcmp(row->usage.tenant, days->tenant) != 0)
                continue;
            rows[*count] = row->usage;
            rows[*count].tenant = days->tenant;
            rows[*count].model = strdup(row->usage.model);
            if (!rows[(*count)++].model) {
                rows_free(rows, *count);
                return NULL;
            }
        }
    }
    return rows;
}

/* Without a store: memory's own rows. */
static int
memory_tell(struct usage *u, const struct store_days *days, store_usage_h *told,
            void *arg)
{
    size_t count;

    uv_mutex_lock(&u->lock);
    struct store_usage *rows = rows_copy(u, days, &count);
    uv_mutex_unlock(&u->lock);
    if (!rows)
        return UV_ENOMEM;
    qsort(rows, count, sizeof(*rows), row_order);
    told(arg, 0, rows, count);
    rows_free(rows, count);
    return 0;
}

int
usage_ask(struct usage *u, const struct store_days *days, store_usage_h *told,
          void *arg)
{
    int result;

    if (!u->store)
        return memory_tell(u, days, told, arg);
    flush(u, false); /* before it in the store's queue */
    result = store_usage_sum(u->store, days, told, arg);
    return result ? result : 1;
}

/* --- life */

int
usage_create(struct usage **up, const struct usage_config *cfg)
{
    struct usage *u = calloc(1, sizeof(*u));
    int result;

    if (!u)
        return UV_ENOMEM;
    u->store = cfg->store;
    u->wall_ms = cfg->wall_ms ? cfg->wall_ms : clock_wall_ms;
    u->metric_rows = metric_register(METRIC_GAUGE, "voiced_usage_rows",
                                     "Rows of usage not in the store yet.");
    u->metric_dropped =
        metric_register(METRIC_COUNTER, "voiced_usage_dropped_total",
                        "Additions of usage lost: no room.");
    uv_mutex_init(&u->lock);
    uv_cond_init(&u->wake);
    if (u->store) {
        result = uv_thread_create(&u->thread, usage_run, u);
        if (result) {
            usage_destroy(&u);
            return result;
        }
        u->started = true;
    }
    *up = u;
    return 0;
}

void
usage_stop(struct usage *u)
{
    if (!u || !u->started)
        return;
    uv_mutex_lock(&u->lock);
    u->stopping = true;
    uv_cond_signal(&u->wake);
    uv_mutex_unlock(&u->lock);
    uv_thread_join(&u->thread);
    u->started = false;
}

void
usage_destroy(struct usage **up)
{
    struct usage *u = *up;

    *up = NULL;
    if (!u)
        return;
    if (u->store && u->pending.count)
        LOG(ALERT, "usage", "event=lost rows=%u", u->pending.count);
    table_clear(&u->pending);
    table_clear(&u->today);
    uv_cond_destroy(&u->wake);
    uv_mutex_destroy(&u->lock);
    free(u);
}
