/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_filtered.h"

#include "base/metrics.h"

#include <pthread.h>

static struct metric *metrics[SESSION_FILTERED_COUNT];

static void
metrics_make(void)
{
#define X(id, label)                                                           \
    metrics[id] = metric_register(METRIC_COUNTER,                              \
                                  "voiced_filter_total{filter=\"" label "\"}", \
                                  "Events that a session's filter changed or " \
                                  "kept back.");
    SESSION_FILTERED(X)
#undef X
}

void
session_filtered(enum session_filtered which)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, metrics_make);
    metric_add(metrics[which], 1);
}
