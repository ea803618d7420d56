/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   put ─► kept ─► end, forget ─► gone
 *            └► release ─► free ─► keep handler ─► kept
 *   claimed from the store ─► free
 */

#include "service/calls.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "gate/crypto.h"
#include "gate/store.h"
#include "service/call_table.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM_MAX 64 /* calls a look */

struct calls {
    struct calls_config cfg;
    pthread_mutex_t mutex; /* of what follows, down to the tasks */
    struct call_table table;
    bool draining;
    bool given; /* while draining: nothing is ours any more */
    bool closing;
    bool renewing; /* the store has not answered yet */
    bool claiming;
    bool free_posted;
    struct loop_task free_task; /* asks the handler about what is free */
    struct loop_task start_task;
    struct loop_task close_task;
    uv_timer_t timer;
    struct metric *gauge;
    struct metric *claimed_total;
    char owner[CRYPTO_ID_BYTES];
};

static void
count_show(struct calls *c)
{
    metric_set(c->gauge, (int64_t) c->table.count);
}

/* --- what the store says; on its thread */

static void
free_post(struct calls *c)
{
    if (c->closing || c->free_posted)
        return;
    c->free_posted = true;
    loop_post(c->cfg.loop, &c->free_task);
}

/* A question about one call. */
struct look {
    struct calls *calls;
    char id[CALLS_ID_BYTES];
};

static struct look *
look_create(struct calls *c, const char *id)
{
    struct look *look = calloc(1, sizeof(*look));

    if (look) {
        look->calls = c;
        snprintf(look->id, sizeof(look->id), "%s", id);
    }
    return look;
}

static void
on_put(void *arg, int result)
{
    struct look *look = arg;
    struct calls *c = look->calls;

    if (result)
        LOG(ERROR, "calls", "event=call_not_stored call=%s error=\"%s\"",
            look->id, uv_strerror(result));
    pthread_mutex_lock(&c->mutex);
    struct call *call = call_table_find(&c->table, look->id);
    if (call && !result)
        call->stored = true;
    pthread_mutex_unlock(&c->mutex);
    free(look);
}

/* `arg` is what was asked for. A row may never have come to be: that has been
 * told before. */
static void
on_told(void *arg, int result)
{
    if (result < 0 && result != UV_ENOENT)
        LOG_LIMITED(ERROR, "calls", "event=%s error=\"%s\"", (const char *) arg,
                    uv_strerror(result));
}

static void
row_claimed(struct calls *c, const struct store_call *row)
{
    const struct call_info info = {
        .id = row->id,
        .tenant = row->tenant,
        .upstream = row->upstream,
        .model = row->model,
        .policy = row->policy,
        .session = row->session,
        .created_ms = row->created_ms,
    };
    struct call *call = call_table_find(&c->table, row->id);
    int result = call ? 0 : call_table_add(&c->table, &info, &call);

    if (result) {
        LOG(ERROR, "calls", "event=call_claimed call=%s error=\"%s\"", row->id,
            uv_strerror(result));
        return;
    }
    if (!call->kept) {
        metric_add(c->claimed_total, 1);
        LOG(NOTICE, "calls", "event=call_claimed call=%s", row->id);
    }
    call->stored = true;
    call->lost = false;
}

static void
on_claimed(void *arg, int result, const struct store_call *rows, size_t count)
{
    struct calls *c = arg;

    pthread_mutex_lock(&c->mutex);
    c->claiming = false;
    for (size_t i = 0; result >= 0 && i < count; i++)
        row_claimed(c, &rows[i]);
    count_show(c);
    if (count > 0)
        free_post(c);
    pthread_mutex_unlock(&c->mutex);
}

/* Whether one of ours has changed hands while we were held up. */
static void
on_looked(void *arg, int result, const struct store_call *rows, size_t count)
{
    struct look *look = arg;
    struct calls *c = look->calls;
    bool lost =
        result == UV_ENOENT
        || (result >= 0 && count > 0
            && (rows[0].ended_ms || strcmp(rows[0].owner, c->owner) != 0));

    if (lost) {
        pthread_mutex_lock(&c->mutex);
        struct call *call = call_table_find(&c->table, look->id);
        if (call)
            call->lost = true;
        pthread_mutex_unlock(&c->mutex);
        if (call)
            LOG(WARN, "calls", "event=call_lost call=%s", look->id);
    }
    free(look);
}

static bool
visit_look(void *arg, struct call *call)
{
    struct calls *c = arg;

    if (!call->stored || call->lost)
        return true;
    struct look *look = look_create(c, call->info.id);
    if (look
        && store_call_get(c->cfg.store, call->info.tenant, call->info.id,
                          on_looked, look))
        free(look);
    return true;
}

static bool
visit_stored(void *arg, struct call *call)
{
    *(size_t *) arg += call->stored && !call->lost;
    return true;
}

/* Fewer than we have: some are another's by now. */
static void
on_renewed(void *arg, int result)
{
    struct calls *c = arg;
    size_t stored = 0;

    pthread_mutex_lock(&c->mutex);
    c->renewing = false;
    call_table_visit(&c->table, visit_stored, &stored);
    if (result >= 0 && (size_t) result < stored && !c->closing)
        call_table_visit(&c->table, visit_look, c);
    pthread_mutex_unlock(&c->mutex);
}

/* --- the loop's turn */

static bool
visit_is_given(void *arg, struct call *call)
{
    (void) arg;
    return !call->kept;
}

/* Under the mutex. Once nothing is kept here, others need not wait. */
static void
give_all(struct calls *c)
{
    if (!c->draining || c->given || !c->cfg.store
        || call_table_visit(&c->table, visit_is_given, NULL))
        return;
    const struct store_lease none = {.owner = c->owner};
    if (!store_calls_renew(c->cfg.store, &none, on_told,
                           (void *) "calls_not_given"))
        c->given = true;
}

/* Under the mutex. */
static void
store_ask(struct calls *c)
{
    const struct store_lease lease = {
        .owner = c->owner,
        .lease_ms = clock_wall_ms() + CALLS_LEASE_MS,
        .max = CLAIM_MAX,
    };

    if (!c->cfg.store || c->given)
        return;
    if (!c->renewing && !store_calls_renew(c->cfg.store, &lease, on_renewed, c))
        c->renewing = true;
    if (!c->draining && !c->claiming
        && !store_calls_claim(c->cfg.store, &lease, on_claimed, c))
        c->claiming = true;
}

static bool
visit_is_no_wish(void *arg, struct call *call)
{
    (void) arg;
    return call->kept || call->unfit || call->lost;
}

/* A copy of one that wants a keeper; it counts as kept from now on. */
static struct call *
free_next(struct calls *c)
{
    struct call *copy = NULL;

    pthread_mutex_lock(&c->mutex);
    if (!c->draining && !c->closing) {
        struct call *call = call_table_visit(&c->table, visit_is_no_wish, NULL);
        copy = call ? call_copy(&call->info) : NULL;
        if (copy)
            call->kept = true;
    }
    pthread_mutex_unlock(&c->mutex);
    return copy;
}

static void
refusal_note(struct calls *c, const char *id, int result)
{
    pthread_mutex_lock(&c->mutex);
    struct call *call = call_table_find(&c->table, id);
    if (call) {
        call->kept = false;
        call->unfit = result == UV_EINVAL;
    }
    pthread_mutex_unlock(&c->mutex);
    LOG(WARN, "calls", "event=call_not_kept call=%s error=\"%s\"", id,
        uv_strerror(result));
}

/* Until nobody is free, or the handler has no room. */
static void
free_ask(struct calls *c)
{
    struct call *call;
    int result = 0;

    while ((!result || result == UV_EINVAL) && (call = free_next(c)) != NULL) {
        result = c->cfg.keep(c->cfg.arg, &call->info);
        if (result)
            refusal_note(c, call->info.id, result);
        free(call);
    }
}

static void
on_free_task(struct loop_task *task, void *arg)
{
    struct calls *c = arg;

    (void) task;
    pthread_mutex_lock(&c->mutex);
    c->free_posted = false;
    pthread_mutex_unlock(&c->mutex);
    free_ask(c);
}

static void
on_look(uv_timer_t *timer)
{
    struct calls *c = timer->data;

    free_ask(c);
    pthread_mutex_lock(&c->mutex);
    store_ask(c);
    give_all(c);
    pthread_mutex_unlock(&c->mutex);
}

static void
on_start_task(struct loop_task *task, void *arg)
{
    struct calls *c = arg;

    (void) task;
    uv_timer_init(loop_uv(c->cfg.loop), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_look, 0, CALLS_LOOK_MS);
}

static void
on_close_task(struct loop_task *task, void *arg)
{
    struct calls *c = arg;

    (void) task;
    uv_close((uv_handle_t *) &c->timer, NULL);
}

/* --- life */

int
calls_create(struct calls **cp, const struct calls_config *cfg)
{
    struct calls *c = calloc(1, sizeof(*c));

    if (!c)
        return UV_ENOMEM;
    int result = uv_translate_sys_error(pthread_mutex_init(&c->mutex, NULL));
    if (result) {
        free(c);
        return result;
    }
    c->cfg = *cfg;
    crypto_id("inst_", c->owner);
    c->gauge = metric_register(METRIC_GAUGE, "voiced_calls",
                               "Calls of this instance.");
    c->claimed_total =
        metric_register(METRIC_COUNTER, "voiced_calls_claimed_total",
                        "Calls taken over from an instance that is gone.");
    c->free_task = (struct loop_task){.run = on_free_task, .arg = c};
    c->start_task = (struct loop_task){.run = on_start_task, .arg = c};
    c->close_task = (struct loop_task){.run = on_close_task, .arg = c};
    *cp = c;
    return 0;
}

void
calls_start(struct calls *c)
{
    loop_post(c->cfg.loop, &c->start_task);
}

void
calls_close(struct calls *c)
{
    pthread_mutex_lock(&c->mutex);
    bool first = !c->closing;
    c->closing = true;
    pthread_mutex_unlock(&c->mutex);
    if (first)
        loop_post(c->cfg.loop, &c->close_task);
}

void
calls_destroy(struct calls **cp)
{
    struct calls *c = *cp;

    if (!c)
        return;
    *cp = NULL;
    call_table_deinit(&c->table);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

void
calls_drain(struct calls *c)
{
    pthread_mutex_lock(&c->mutex);
    c->draining = true;
    give_all(c);
    pthread_mutex_unlock(&c->mutex);
}

/* --- a call's life */

/* Under the mutex. Without a row a call is this process's alone. */
static void
store_put(struct calls *c, const struct call_info *info)
{
    const struct store_call row = {
        .tenant = info->tenant,
        .id = info->id,
        .upstream = info->upstream,
        .model = info->model,
        .policy = info->policy,
        .session = info->session,
        .owner = c->owner,
        .lease_ms = clock_wall_ms() + CALLS_LEASE_MS,
        .created_ms = info->created_ms,
        .reason = "",
    };
    struct look *look = look_create(c, info->id);
    int result =
        look ? store_call_put(c->cfg.store, &row, on_put, look) : UV_ENOMEM;

    if (!result)
        return;
    free(look);
    LOG(ERROR, "calls", "event=call_not_stored call=%s error=\"%s\"", info->id,
        uv_strerror(result));
}

int
calls_put(struct calls *c, const struct call_info *info)
{
    struct call *call;

    if (!call_id_is_sound(info->id))
        return UV_EINVAL;
    pthread_mutex_lock(&c->mutex);
    int result =
        c->closing ? UV_ECANCELED : call_table_add(&c->table, info, &call);
    if (!result) {
        call->kept = true;
        c->given = false;
        count_show(c);
        if (c->cfg.store)
            store_put(c, info);
    }
    pthread_mutex_unlock(&c->mutex);
    return result;
}

static void
row_end(struct calls *c, const struct call *call, const char *why)
{
    const struct store_call row = {
        .tenant = call->info.tenant, .id = call->info.id, .reason = why};
    int result =
        store_call_end(c->cfg.store, &row, on_told, (void *) "call_not_ended");

    if (result)
        on_told((void *) "call_not_ended", result);
}

static void
call_drop(struct calls *c, const char *id, const char *why)
{
    pthread_mutex_lock(&c->mutex);
    struct call *call = call_table_find(&c->table, id);
    if (call && why && c->cfg.store)
        row_end(c, call, why);
    call_table_remove(&c->table, id);
    count_show(c);
    give_all(c);
    pthread_mutex_unlock(&c->mutex);
}

void
calls_end(struct calls *c, const char *id, const char *why)
{
    call_drop(c, id, why);
}

void
calls_forget(struct calls *c, const char *id)
{
    call_drop(c, id, NULL);
}

void
calls_release(struct calls *c, const char *id)
{
    pthread_mutex_lock(&c->mutex);
    struct call *call = call_table_find(&c->table, id);
    if (call)
        call->kept = false;
    give_all(c);
    pthread_mutex_unlock(&c->mutex);
}

enum call_standing
calls_standing(struct calls *c, const char *id)
{
    enum call_standing standing = CALL_OURS;

    pthread_mutex_lock(&c->mutex);
    const struct call *call = call_table_find(&c->table, id);
    if (!call || call->lost)
        standing = CALL_LOST;
    else if (c->draining && call->stored)
        standing = CALL_WANTED;
    pthread_mutex_unlock(&c->mutex);
    return standing;
}

size_t
calls_count(struct calls *c)
{
    pthread_mutex_lock(&c->mutex);
    size_t count = c->table.count;
    pthread_mutex_unlock(&c->mutex);
    return count;
}

int
calls_copy(struct calls *c, const char *tenant, const char *id,
           struct call **copy)
{
    int result = UV_ENOENT;

    *copy = NULL;
    pthread_mutex_lock(&c->mutex);
    const struct call *call = call_table_find(&c->table, id);
    if (call && !call->lost) {
        result = UV_EACCES;
        if (strcmp(call->info.tenant, tenant) == 0) {
            *copy = call_copy(&call->info);
            result = *copy ? 0 : UV_ENOMEM;
        }
    }
    pthread_mutex_unlock(&c->mutex);
    return result;
}

struct store *
calls_store(const struct calls *c)
{
    return c->cfg.store;
}
