/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_summary.h"

#include "base/log.h"
#include "base/metrics.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

static const char *const texts[END_REASON_COUNT] = {
#define X(id, text, code) [id] = text,
    SESSION_END_REASONS(X)
#undef X
};

static struct metric *ended_metrics[END_REASON_COUNT];

static void
metrics_make(void)
{
    for (unsigned i = 0; i < END_REASON_COUNT; i++) {
        char name[96];
        snprintf(name, sizeof(name),
                 "voiced_sessions_ended_total{reason=\"%s\"}", texts[i]);
        ended_metrics[i] =
            metric_register(METRIC_COUNTER, name, "Sessions by their end.");
    }
}

void
session_end_count(enum session_end_reason reason)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, metrics_make);
    metric_add(ended_metrics[reason], 1);
}

void
session_summary_log(const struct session_summary *m)
{
    LOG(NOTICE, NULL,
        "session=%s ended=%s code=%u duration_ms=%" PRIu64
        " up_messages=%" PRIu64 " down_messages=%" PRIu64 " up_bytes=%" PRIu64
        " down_bytes=%" PRIu64 " turns=%" PRIu64 " rtt_us=%" PRIu32
        " gateway_us=%" PRIu64 " stall_ms=%" PRIu64 " model=%s",
        m->id, m->reason, m->code, m->duration_ms, m->stream.up_messages,
        m->stream.down_messages, m->stream.up_bytes, m->stream.down_bytes,
        m->turns, m->rtt_us, m->gateway_us, m->stream.stall_us / 1000,
        m->model);
}
