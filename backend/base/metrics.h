/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Process-wide counters and gauges by name. Registered once (start-up or first
 * use), then changed by atomics from any thread; never unregistered. Owns all
 * metrics. Refuses more than METRICS_MAX: later names share one overflow
 * metric, so that nobody has to check.
 */

#ifndef VOICE_METRICS_H
#define VOICE_METRICS_H

#include "base/buffer.h"

#include <stdatomic.h>
#include <stdint.h>

#define METRICS_MAX 512

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE };

struct metric {
    _Atomic int64_t value;
    const char *name;
    const char *help;
    enum metric_kind kind;
};

/*
 * The metric of that name, made if it is new. `name` in Prometheus form, with
 * its labels if any: `voiced_sessions_ended_total{reason="shutdown"}`; the
 * metrics of one family share the part before the brace. Both texts are copied.
 */
struct metric *metric_register(enum metric_kind kind, const char *name,
                               const char *help);

static inline void
metric_add(struct metric *metric, int64_t n)
{
    atomic_fetch_add_explicit(&metric->value, n, memory_order_relaxed);
}

static inline void
metric_set(struct metric *metric, int64_t value)
{
    atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

static inline int64_t
metric_get(const struct metric *metric)
{
    return atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* Histograms included: Prometheus text (families together, with HELP and
 * TYPE), or one JSON object of name: value. Any thread. 0 or as buffer_append.
 */
int metrics_dump_prometheus(struct buffer *out);
int metrics_dump_json(struct buffer *out);

#endif
