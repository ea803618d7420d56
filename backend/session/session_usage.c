/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_usage.h"

#include "service/tenant_limits.h"

#define BYTES_A_MS 48 /* 24 kHz, 16 bits */

void
session_usage_start(struct session_usage *u, struct usage *usage,
                    struct tenant_limits *limits,
                    const struct session_entry *entry)
{
    *u = (struct session_usage){.usage = usage,
                                .limits = limits,
                                .tenant = entry->tenant,
                                .model = entry->model};
}

/* Characters of a JSON string without its quotes. */
static size_t
chars_of(const struct realtime_span *span)
{
    return span->bytes > 2 ? span->bytes - 2 : 0;
}

static uint64_t
audio_ms(const struct realtime_span *base64)
{
    return chars_of(base64) * 3 / 4 / BYTES_A_MS;
}

void
session_usage_up(struct session_usage *u, const struct realtime_peek *peek,
                 size_t bytes)
{
    if (!u->usage)
        return;
    if (peek->type == REALTIME_AUDIO_APPEND)
        u->seen.input_audio_ms += audio_ms(&peek->value[REALTIME_KEY_AUDIO]);
    else if (peek->type == REALTIME_ITEM_CREATE
             || peek->type == REALTIME_SESSION_UPDATE
             || peek->type == REALTIME_RESPONSE_CREATE)
        u->seen.input_chars += bytes;
}

/* What the response said is context of the next one. */
static void
response_over(struct session_usage *u)
{
    u->seen.input_chars += u->seen.output_chars;
    u->seen.output_chars = 0;
    u->seen.output_audio_ms = 0;
}

static void
response_done(struct session_usage *u, struct session_event *e)
{
    const json_t *response = json_object_get(session_event_tree(e), "response");
    struct usage_tokens tokens;

    if (usage_tokens_read(&tokens, json_object_get(response, "usage")) != 0
        && (u->seen.output_chars || u->seen.output_audio_ms))
        usage_tokens_estimate(&tokens, &u->seen);
    usage_add(u->usage, u->tenant, u->model, &tokens);
    response_over(u);
}

static void
transcription_done(struct session_usage *u, struct session_event *e)
{
    const json_t *usage = json_object_get(session_event_tree(e), "usage");
    struct usage_tokens tokens;

    if (usage_tokens_read_transcription(&tokens, usage) == 0
        && (tokens.transcribed || tokens.transcribed_ms))
        usage_add(u->usage, u->tenant, u->model, &tokens);
}

void
session_usage_down(struct session_usage *u, struct session_event *e)
{
    const struct realtime_span *delta = &e->peek.value[REALTIME_KEY_DELTA];

    if (!u->usage)
        return;
    switch (e->type) {
    case REALTIME_OUTPUT_AUDIO_DELTA:
        u->seen.output_audio_ms += audio_ms(delta);
        break;
    case REALTIME_OUTPUT_TRANSCRIPT_DELTA:
    case REALTIME_OUTPUT_TEXT_DELTA:
    case REALTIME_ARGUMENTS_DELTA:
        u->seen.output_chars += chars_of(delta);
        break;
    case REALTIME_RESPONSE_DONE:
        response_done(u, e);
        break;
    case REALTIME_HEARD_COMPLETED:
        transcription_done(u, e);
        break;
    default:
        break;
    }
}

void
session_usage_end(struct session_usage *u, uint64_t duration_ms)
{
    if (u->usage)
        usage_add_session(u->usage, u->tenant, u->model, duration_ms);
    if (u->limits)
        tenant_limits_leave(u->limits, u->tenant);
    u->usage = NULL;
    u->limits = NULL;
}
