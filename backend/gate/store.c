/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   store_… ─► operation ─► first … last ─► batch ─► begin ─► run each ─►
 *   commit ─► handler of each
 */

#include "gate/store.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "gate/store_driver.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PURGE_EVERY_MS (10 * 60 * 1000)
#define PURGE_AGE_MS   (24 * 3600 * 1000ll) /* what is over is kept as long */

struct store {
    struct store_driver *driver;
    uv_thread_t thread;
    uv_mutex_t lock;
    uv_cond_t wake;
    struct store_op *first, *last; /* under the lock, as is the rest */
    size_t queued;
    bool stopping;
    struct metric *metric_queued, *metric_refused, *metric_done, *metric_failed,
        *metric_transactions;
};

static bool
kind_writes(enum store_kind kind)
{
    return kind != STORE_SECRET_GET && kind != STORE_CALL_GET
           && kind != STORE_USAGE_SUM;
}

/* --- the store's thread */

static void
op_tell(struct store_op *op)
{
    int result = op->result;

    switch (op->kind) {
    case STORE_SECRET_GET:
        op->handler.secret(op->arg, result, result ? NULL : op->rows.secrets);
        break;
    case STORE_CALL_GET:
    case STORE_CALLS_CLAIM:
        op->handler.calls(op->arg, result, op->rows.calls,
                          result ? 0 : op->count);
        break;
    case STORE_USAGE_SUM:
        op->handler.usage(op->arg, result, op->rows.usage,
                          result ? 0 : op->count);
        break;
    default:
        if (op->handler.done)
            op->handler.done(op->arg, result);
    }
}

static void
batch_tell(struct store *store, struct store_op *op)
{
    while (op) {
        struct store_op *next = op->next;
        bool failed = op->result < 0 && op->result != UV_ENOENT
                      && op->result != UV_EEXIST;
        metric_add(failed ? store->metric_failed : store->metric_done, 1);
        op_tell(op);
        store_op_destroy(&op);
        op = next;
    }
}

static void
batch_run(struct store *store, struct store_op *batch)
{
    struct store_driver *driver = store->driver;
    bool writes = false;
    int result = 0;

    for (struct store_op *op = batch; op; op = op->next)
        writes |= kind_writes(op->kind);
    if (writes)
        result = driver->ops->begin(driver);
    for (struct store_op *op = batch; op; op = op->next)
        op->result = result && kind_writes(op->kind)
                         ? result
                         : driver->ops->run(driver, op);
    if (writes && !result) {
        result = driver->ops->commit(driver);
        metric_add(store->metric_transactions, 1);
        /* Reads too: they have seen what is not there now. */
        for (struct store_op *op = batch; op && result; op = op->next)
            op->result = result;
        if (result)
            driver->ops->rollback(driver);
    }
    batch_tell(store, batch);
}

/* NULL: none, and it is time to look after other things. */
static struct store_op *
batch_take(struct store *store, uint64_t until_ms, bool *stopping)
{
    struct store_op *batch, *last;
    size_t n = 1;

    uv_mutex_lock(&store->lock);
    while (!store->first && !store->stopping) {
        uint64_t now = clock_now_ms();
        if (now >= until_ms)
            break;
        uv_cond_timedwait(&store->wake, &store->lock,
                          (until_ms - now) * 1000000);
    }
    batch = last = store->first;
    while (last && last->next && n < STORE_BATCH_MAX) {
        last = last->next;
        n++;
    }
    if (last) {
        store->first = last->next;
        last->next = NULL;
        store->queued -= n;
        if (!store->first)
            store->last = NULL;
    }
    metric_set(store->metric_queued, (int64_t) store->queued);
    *stopping = store->stopping;
    uv_mutex_unlock(&store->lock);
    return batch;
}

static void
purge(struct store *store)
{
    struct store_driver *driver = store->driver;

    if (driver->ops->begin(driver))
        return;
    if (driver->ops->purge(driver, clock_wall_ms() - PURGE_AGE_MS)
        || driver->ops->commit(driver))
        driver->ops->rollback(driver);
}

static void
store_run(void *arg)
{
    struct store *store = arg;
    uint64_t purge_at = clock_now_ms();
    bool stopping = false;

    for (;;) {
        struct store_op *batch = batch_take(store, purge_at, &stopping);
        if (batch)
            batch_run(store, batch);
        else if (stopping)
            return;
        if (clock_now_ms() >= purge_at && !stopping) {
            purge(store);
            purge_at = clock_now_ms() + PURGE_EVERY_MS;
        }
    }
}

/* --- life */

static void
metrics_open(struct store *store)
{
    store->metric_queued =
        metric_register(METRIC_GAUGE, "voiced_store_queued",
                        "Operations that wait for the store's thread.");
    store->metric_refused =
        metric_register(METRIC_COUNTER, "voiced_store_refused_total",
                        "Operations refused since the queue was full.");
    store->metric_done =
        metric_register(METRIC_COUNTER, "voiced_store_operations_total",
                        "Operations that the store has answered.");
    store->metric_failed =
        metric_register(METRIC_COUNTER, "voiced_store_failed_total",
                        "Operations that the database "
                        "could not do.");
    store->metric_transactions =
        metric_register(METRIC_COUNTER, "voiced_store_transactions_total",
                        "Transactions that wrote.");
}

int
store_create(struct store **sp, struct store_driver **driver)
{
    struct store *store = calloc(1, sizeof(*store));
    int result;

    if (!store)
        return UV_ENOMEM;
    metrics_open(store);
    uv_mutex_init(&store->lock);
    uv_cond_init(&store->wake);
    store->driver = *driver;
    result = uv_thread_create(&store->thread, store_run, store);
    if (result) {
        uv_cond_destroy(&store->wake);
        uv_mutex_destroy(&store->lock);
        free(store);
        return result;
    }
    *driver = NULL;
    *sp = store;
    return 0;
}

void
store_destroy(struct store **sp)
{
    struct store *store = *sp;

    *sp = NULL;
    if (!store)
        return;
    uv_mutex_lock(&store->lock);
    store->stopping = true;
    uv_cond_signal(&store->wake);
    uv_mutex_unlock(&store->lock);
    uv_thread_join(&store->thread);
    store->driver->ops->close(store->driver);
    uv_cond_destroy(&store->wake);
    uv_mutex_destroy(&store->lock);
    free(store);
}

/* --- submitting */

/* Takes op, also when it is refused. `copied` false: its texts did not fit. */
static int
submit(struct store *store, struct store_op *op, int result)
{
    if (!result) {
        op->now_ms = clock_wall_ms();
        uv_mutex_lock(&store->lock);
        if (store->queued == STORE_QUEUE_MAX || store->stopping) {
            result = UV_EBUSY;
        } else {
            if (store->last)
                store->last->next = op;
            else
                store->first = op;
            store->last = op;
            store->queued++;
            uv_cond_signal(&store->wake);
        }
        uv_mutex_unlock(&store->lock);
    }
    if (!result)
        return 0;
    store_op_destroy(&op);
    if (result == UV_EBUSY) {
        metric_add(store->metric_refused, 1);
        LOG_LIMITED(ERROR, "store", "event=queue_full max=%d", STORE_QUEUE_MAX);
    }
    return result;
}

/* Copies each text of a list that ends with NULL. */
static int
texts_copy(struct store_op *op, const char **const *texts)
{
    size_t left = STORE_ROW_MAX;

    for (; *texts; texts++) {
        size_t bytes = **texts ? strlen(**texts) : 0;
        if (bytes > left)
            return UV_E2BIG;
        left -= bytes;
        **texts = store_op_text(op, **texts);
        if (!**texts)
            return UV_ENOMEM;
    }
    return 0;
}

static int
secret_copy(struct store_op *op)
{
    struct store_secret *in = &op->in.secret;
    const char **const texts[] = {&in->tenant, &in->id, &in->model,
                                  &in->session, NULL};
    return texts_copy(op, texts);
}

static int
call_copy(struct store_op *op)
{
    struct store_call *in = &op->in.call;
    const char **const texts[] = {&in->tenant, &in->id,     &in->upstream,
                                  &in->model,  &in->policy, &in->session,
                                  &in->owner,  &in->reason, NULL};
    return texts_copy(op, texts);
}

int
store_secret_put(struct store *store, const struct store_secret *secret,
                 store_done_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_SECRET_PUT);

    if (!op)
        return UV_ENOMEM;
    op->in.secret = *secret;
    op->handler.done = done;
    op->arg = arg;
    return submit(store, op, secret_copy(op));
}

int
store_secret_get(struct store *store, const uint8_t hash[STORE_HASH_BYTES],
                 store_secret_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_SECRET_GET);

    if (!op)
        return UV_ENOMEM;
    memcpy(op->in.secret.hash, hash, STORE_HASH_BYTES);
    op->handler.secret = done;
    op->arg = arg;
    return submit(store, op, 0);
}

int
store_secret_revoke(struct store *store, const char *tenant, const char *id,
                    store_done_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_SECRET_REVOKE);

    if (!op)
        return UV_ENOMEM;
    op->in.secret.tenant = tenant;
    op->in.secret.id = id;
    op->handler.done = done;
    op->arg = arg;
    return submit(store, op, secret_copy(op));
}

int
store_call_put(struct store *store, const struct store_call *call,
               store_done_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_CALL_PUT);

    if (!op)
        return UV_ENOMEM;
    op->in.call = *call;
    op->handler.done = done;
    op->arg = arg;
    return submit(store, op, call_copy(op));
}

int
store_call_get(struct store *store, const char *tenant, const char *id,
               store_calls_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_CALL_GET);

    if (!op)
        return UV_ENOMEM;
    op->all = tenant == NULL;
    op->in.call.tenant = tenant;
    op->in.call.id = id;
    op->handler.calls = done;
    op->arg = arg;
    return submit(store, op, call_copy(op));
}

int
store_call_end(struct store *store, const struct store_call *call,
               store_done_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_CALL_END);

    if (!op)
        return UV_ENOMEM;
    op->in.call.tenant = call->tenant;
    op->in.call.id = call->id;
    op->in.call.reason = call->reason;
    op->handler.done = done;
    op->arg = arg;
    return submit(store, op, call_copy(op));
}

static struct store_op *
lease_op(enum store_kind kind, const struct store_lease *lease, void *arg)
{
    struct store_op *op = store_op_create(kind);

    if (!op)
        return NULL;
    op->in.call.owner = lease->owner;
    op->in.call.lease_ms = lease->lease_ms;
    op->max = lease->max < STORE_ROWS_MAX ? lease->max : STORE_ROWS_MAX;
    op->arg = arg;
    return op;
}

int
store_calls_renew(struct store *store, const struct store_lease *lease,
                  store_done_h *done, void *arg)
{
    struct store_op *op = lease_op(STORE_CALLS_RENEW, lease, arg);

    if (!op)
        return UV_ENOMEM;
    op->handler.done = done;
    return submit(store, op, call_copy(op));
}

int
store_calls_claim(struct store *store, const struct store_lease *lease,
                  store_calls_h *done, void *arg)
{
    struct store_op *op = lease_op(STORE_CALLS_CLAIM, lease, arg);

    if (!op)
        return UV_ENOMEM;
    op->handler.calls = done;
    return submit(store, op, call_copy(op));
}

static int
usage_copy(struct store_op *op)
{
    const char **const texts[] = {&op->in.usage.tenant, &op->in.usage.model,
                                  NULL};
    return texts_copy(op, texts);
}

int
store_usage_add(struct store *store, const struct store_usage *usage,
                store_done_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_USAGE_ADD);

    if (!op)
        return UV_ENOMEM;
    op->in.usage = *usage;
    op->handler.done = done;
    op->arg = arg;
    return submit(store, op, usage_copy(op));
}

int
store_usage_sum(struct store *store, const struct store_days *days,
                store_usage_h *done, void *arg)
{
    struct store_op *op = store_op_create(STORE_USAGE_SUM);

    if (!op)
        return UV_ENOMEM;
    op->all = days->tenant == NULL;
    op->in.usage.tenant = days->tenant;
    op->in.usage.day = days->from;
    op->to_day = days->to;
    op->handler.usage = done;
    op->arg = arg;
    return submit(store, op, usage_copy(op));
}
