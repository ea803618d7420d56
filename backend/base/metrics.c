/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/metrics.h"

#include "base/histogram.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <inttypes.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct metric metrics[METRICS_MAX];
static _Atomic size_t count; /* entries below it are complete */

static struct metric *
metric_find(const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(metrics[i].name, name) == 0) {
            return &metrics[i];
        }
    }
    return NULL;
}

/* With the lock. The last place is the overflow's. */
static struct metric *
metric_new(enum metric_kind kind, const char *name, const char *help)
{
    size_t at = count;
    struct metric *metric = &metrics[at];
    bool overflow = at >= METRICS_MAX - 1;

    if (at == METRICS_MAX) {
        return &metrics[METRICS_MAX - 1];
    }
    metric->name = strdup(overflow ? "voiced_metrics_overflow" : name);
    metric->help = strdup(overflow ? "Sum of metrics without a place." : help);
    if (metric->name == NULL || metric->help == NULL) {
        abort();
    }
    metric->kind = overflow ? METRIC_GAUGE : kind;
    atomic_store_explicit(&count, at + 1, memory_order_release);
    return metric;
}

struct metric *
metric_register(enum metric_kind kind, const char *name, const char *help)
{
    struct metric *metric;

    pthread_mutex_lock(&lock);
    metric = metric_find(name);
    if (metric == NULL) {
        metric = metric_new(kind, name, help);
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

static size_t
family_bytes(const char *name)
{
    return strcspn(name, "{");
}

static bool
family_equal(const char *a, const char *b)
{
    size_t bytes = family_bytes(a);

    return bytes == family_bytes(b) && strncmp(a, b, bytes) == 0;
}

static bool
family_is_first(size_t at)
{
    for (size_t i = 0; i < at; i++) {
        if (family_equal(metrics[i].name, metrics[at].name)) {
            return false;
        }
    }
    return true;
}

static int
family_dump(struct buffer *out, size_t first, size_t total)
{
    const struct metric *head = &metrics[first];
    int bytes = (int) family_bytes(head->name);
    int err;

    err = buffer_printf(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", bytes,
                        head->name, head->help, bytes, head->name,
                        head->kind == METRIC_GAUGE ? "gauge" : "counter");
    for (size_t i = first; i < total && err == 0; i++) {
        if (family_equal(metrics[i].name, head->name)) {
            err = buffer_printf(out, "%s %" PRId64 "\n", metrics[i].name,
                                metric_get(&metrics[i]));
        }
    }
    return err;
}

int
metrics_dump_prometheus(struct buffer *out)
{
    size_t total = atomic_load_explicit(&count, memory_order_acquire);
    int err = 0;

    for (size_t i = 0; i < total && err == 0; i++) {
        if (family_is_first(i)) {
            err = family_dump(out, i, total);
        }
    }
    return err == 0 ? histograms_dump_prometheus(out) : err;
}

/* Names are ours; a label's quotes are the one thing to escape. */
static int
json_name(struct buffer *out, const char *name)
{
    int err = buffer_append(out, "\"", 1);

    for (; *name != '\0' && err == 0; name++) {
        if (*name == '"' || *name == '\\') {
            err = buffer_append(out, "\\", 1);
        }
        if (err == 0) {
            err = buffer_append(out, name, 1);
        }
    }
    return err == 0 ? buffer_append(out, "\":", 2) : err;
}

int
metrics_dump_json(struct buffer *out)
{
    size_t total = atomic_load_explicit(&count, memory_order_acquire);
    int err = buffer_append(out, "{", 1);

    for (size_t i = 0; i < total && err == 0; i++) {
        if (i > 0) {
            err = buffer_append(out, ",", 1);
        }
        if (err == 0) {
            err = json_name(out, metrics[i].name);
        }
        if (err == 0) {
            err = buffer_printf(out, "%" PRId64, metric_get(&metrics[i]));
        }
    }
    if (err == 0) {
        err = histograms_dump_json(out, total > 0 ? "," : "");
    }
    return err == 0 ? buffer_append(out, "}", 1) : err;
}
