/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/quality_counts.h"

#include "base/metrics.h"

#include <pthread.h>

#define HELP "Changes of a session's quality, to this level."

static struct metric *metrics[QUALITY_LEVELS];

static void
metrics_make(void)
{
    metrics[QUALITY_HIGH] = metric_register(
        METRIC_COUNTER, "voiced_quality_changes_total{level=\"high\"}", HELP);
    metrics[QUALITY_MEDIUM] = metric_register(
        METRIC_COUNTER, "voiced_quality_changes_total{level=\"medium\"}", HELP);
    metrics[QUALITY_LOW] = metric_register(
        METRIC_COUNTER, "voiced_quality_changes_total{level=\"low\"}", HELP);
}

void
quality_count_change(enum quality_level to)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, metrics_make);
    if ((unsigned) to < QUALITY_LEVELS)
        metric_add(metrics[to], 1);
}
