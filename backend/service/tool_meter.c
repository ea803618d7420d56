/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_meter.h"

#include "base/histogram.h"
#include "base/metrics.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define NAME_BYTES 128

struct tool_meter {
    char name[NAME_BYTES];
    struct histogram *seconds;
    struct metric *hits, *misses, *failed;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tool_meter meters[TOOL_METERS + 1]; /* the last: "other" */
static unsigned count;

static struct metric *
counter_of(const char *family, const char *name, const char *help)
{
    char text[256];

    snprintf(text, sizeof(text), "%s{tool_name=\"%s\"}", family, name);
    return metric_register(METRIC_COUNTER, text, help);
}

static void
meter_init(struct tool_meter *meter, const char *name)
{
    static const double bounds[] = {0.1, 0.5, 1, 2, 5, 10};
    char text[256];

    snprintf(meter->name, sizeof(meter->name), "%s", name);
    snprintf(text, sizeof(text), "tool_execution_seconds{tool_name=\"%s\"}",
             meter->name);
    meter->seconds = histogram_register(
        text, "How long tools ran, without the wait for a place.", bounds,
        sizeof(bounds) / sizeof(bounds[0]));
    meter->hits = counter_of("tool_cache_hits_total", meter->name,
                             "Results of tools that were given again.");
    meter->misses = counter_of("tool_cache_misses_total", meter->name,
                               "Results that might have been kept and had to "
                               "be made.");
    meter->failed = counter_of("tool_failures_total", meter->name,
                               "Runs of tools that ended without a result.");
}

struct tool_meter *
tool_meter_get(const char *name)
{
    struct tool_meter *meter = NULL;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < count && !meter; i++) {
        if (strcmp(meters[i].name, name) == 0)
            meter = &meters[i];
    }
    if (!meter) {
        bool is_full = count >= TOOL_METERS;

        meter = &meters[is_full ? TOOL_METERS : count];
        if (!meter->seconds)
            meter_init(meter, is_full ? "other" : name);
        count += !is_full;
    }
    pthread_mutex_unlock(&lock);
    return meter;
}

void
tool_meter_ran(struct tool_meter *meter, uint64_t took_us, bool good)
{
    if (!meter)
        return;
    histogram_observe(meter->seconds, (double) took_us / 1e6);
    if (!good)
        metric_add(meter->failed, 1);
}

void
tool_meter_hit(struct tool_meter *meter)
{
    if (meter)
        metric_add(meter->hits, 1);
}

void
tool_meter_missed(struct tool_meter *meter)
{
    if (meter)
        metric_add(meter->misses, 1);
}
