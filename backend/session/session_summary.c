/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_summary.h"

#include "base/clock.h"
#include "base/histogram.h"
#include "base/log.h"
#include "base/metrics.h"
#include "service/event_bus.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>

static const struct {
    const char *text;
    uint16_t code;
} reasons[END_REASON_COUNT] = {
#define X(id, text, code) [id] = {text, code},
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
                 "voiced_sessions_ended_total{reason=\"%s\"}", reasons[i].text);
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
session_live_tell(const struct session_entry *e, const char *upstream,
                  uint64_t accepted_us)
{
    static const double bounds[] = {0.1, 0.2, 0.5, 1, 2, 5};
    struct histogram *setup =
        histogram_register("voice_connection_setup_seconds",
                           "From a client's request to its session.created.",
                           bounds, sizeof(bounds) / sizeof(bounds[0]));

    LOG(INFO, e->id, "event=session_live upstream=%s model=%s", upstream,
        e->model);
    histogram_observe(setup, (double) (clock_now_us() - accepted_us) / 1e6);
}

#define OPUS_BYTES 192

/* Of a session with Opus, else "". */
static void
opus_write(char out[OPUS_BYTES], const struct session_voice_figures *voice)
{
    out[0] = 0;
    if (voice->quality)
        snprintf(out, OPUS_BYTES,
                 " opus_up=%" PRIu64 " opus_lost=%" PRIu64
                 " opus_refused=%" PRIu64 " opus_down=%" PRIu64
                 " opus_dropped=%" PRIu64 " interruptions=%u quality=%s",
                 voice->up_packets, voice->up_lost, voice->up_refused,
                 voice->down_packets, voice->down_dropped, voice->interruptions,
                 voice->quality);
}

void
session_summary_log(const struct session_summary *m)
{
    static const struct session_levels_sum none[LEVELS_SIDES];
    const struct session_levels_sum *levels = m->levels ? m->levels : none;
    const struct session_levels_sum *user = &levels[LEVELS_USER];
    const struct session_levels_sum *answers = &levels[LEVELS_ASSISTANT];
    char tenant[SESSION_CLEAN_BYTES], opus[OPUS_BYTES];

    opus_write(opus, &m->voice);
    session_text_clean(tenant, m->entry->tenant);
    LOG(NOTICE, NULL,
        "session=%s ended=%s code=%u duration_ms=%" PRIu64
        " up_messages=%" PRIu64 " down_messages=%" PRIu64 " up_bytes=%" PRIu64
        " down_bytes=%" PRIu64 " turns=%" PRIu32 " rtt_us=%" PRIu32
        " gateway_us=%" PRIu32 " first_ms=%" PRIu32 " voice_ms=%" PRIu32
        " stall_ms=%" PRIu64 " user_ms=%" PRIu64 " user_dbfs=%.1f"
        " answer_ms=%" PRIu64 " answer_dbfs=%.1f"
        "%s model=%s upstream=%s tenant=\"%s\"",
        m->entry->id, m->reason, m->code, m->duration_ms, m->stream.up_messages,
        m->stream.down_messages, m->stream.up_bytes, m->stream.down_bytes,
        m->turns.turns, m->turns.rtt_us, m->turns.gateway_us,
        m->turns.first_us / 1000, m->turns.voice_us / 1000,
        m->stream.stall_us / 1000, user->ms, audio_level_rms_dbfs(&user->level),
        answers->ms, audio_level_rms_dbfs(&answers->level), opus,
        m->entry->model, m->upstream ? m->upstream : "none", tenant);
}

const char *
session_end_text(enum session_end_reason reason)
{
    return reasons[reason].text;
}

uint16_t
session_end_code(enum session_end_reason reason)
{
    return reasons[reason].code;
}

enum session_end_reason
session_end_of(uint16_t code, bool draining)
{
    if (code == WS_CLOSE_GOING_AWAY && draining)
        return END_DRAINED;
    switch (code) {
    case WS_CLOSE_LOST:
        return END_CLIENT_LOST;
    case WS_CLOSE_PROTOCOL_ERROR:
    case WS_CLOSE_BAD_PAYLOAD:
        return END_PROTOCOL_ERROR;
    case WS_CLOSE_TOO_BIG:
        return END_MESSAGE_TOO_BIG;
    case WS_CLOSE_TRY_LATER:
        return END_OVERLOADED;
    default:
        return END_CLIENT_CLOSED;
    }
}

/* Id and model are plain characters; api_realtime lets no others in. */
void
session_publish(struct event_bus *events, const struct session_entry *e,
                const char *type, const char *reason)
{
    char fields[512];

    if (!events)
        return;
    snprintf(fields, sizeof(fields),
             "{\"session_id\":\"%s\",\"model\":\"%s\"%s%s%s}", e->id, e->model,
             reason ? ",\"reason\":\"" : "", reason ? reason : "",
             reason ? "\"" : "");
    int result = event_bus_publish(events, e->tenant, type, fields);
    if (result)
        LOG_LIMITED(WARN, e->id, "event=not_published type=%s error=\"%s\"",
                    type, uv_strerror(result));
}

void
session_text_clean(char out[SESSION_CLEAN_BYTES], const char *text)
{
    size_t i;

    for (i = 0; text[i] && i < SESSION_CLEAN_BYTES - 1; i++)
        out[i] =
            text[i] >= ' ' && text[i] <= '~' && text[i] != '"' ? text[i] : '?';
    out[i] = 0;
}
