/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   up:    hidden items ─► truncate clamped ─► responses one at a time ─► model
 *   down:  responses ─► cancelled ─► errors ─► scrub ─► strict ─► client
 *              └─► a create that waited ─► model
 */

#include "session/session_filters.h"

#include "gate/crypto.h"
#include "session/session_errors.h"
#include "session/session_filtered.h"
#include "session/session_strict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const struct realtime_error session_filters_active = {
    .code = "conversation_already_has_active_response",
    .message = "The conversation already has an active response, and the "
               "response that was to follow it is not made.",
};

void
session_filters_init(struct session_filters *f, const struct policy *policy,
                     const char *id)
{
    f->scrub.policy = policy;
    f->scrub.id = id;
}

void
session_filters_deinit(struct session_filters *f)
{
    session_responses_deinit(&f->responses);
    session_scrub_deinit(&f->scrub);
    turn_detection_deinit(&f->turns);
}

int
session_filters_open(struct session_filters *f, const json_t *settings)
{
    int result = turn_detection_told(&f->turns, settings);

    return result ? result : session_scrub_open(&f->scrub, settings);
}

/* --- down: each stage may look, change, or swallow (false) */

typedef bool filter_stage_h(struct session_filters *f, struct session_event *e,
                            uint64_t now_ms);

static bool
responses_stage(struct session_filters *f, struct session_event *e,
                uint64_t now_ms)
{
    if (session_responses_look(&f->responses, e, now_ms))
        return true;
    session_filtered(FILTERED_RESPONSE_RETRIED);
    return false;
}

static bool
cancelled_stage(struct session_filters *f, struct session_event *e,
                uint64_t now_ms)
{
    if (!session_cancelled_look(&f->cancelled, e, now_ms))
        return true;
    session_filtered(FILTERED_LATE);
    return false;
}

static bool
errors_stage(struct session_filters *f, struct session_event *e,
             uint64_t now_ms)
{
    (void) now_ms;
    if (e->type != REALTIME_ERROR)
        return true;
    turn_detection_failed(&f->turns);
    if (!session_errors_is_harmless(
            json_object_get(session_event_tree(e), "error")))
        return true;
    session_filtered(FILTERED_ERROR);
    return false;
}

/* What the model makes of formats and items, before it is changed. */
static bool
playback_stage(struct session_filters *f, struct session_event *e,
               uint64_t now_ms)
{
    (void) now_ms;
    if (e->type == REALTIME_SESSION_UPDATED)
        turn_detection_shown(&f->turns,
                             json_object_get(session_event_tree(e), "session"));
    if (e->type == REALTIME_SESSION_CREATED
        || e->type == REALTIME_SESSION_UPDATED)
        session_playback_format(
            &f->playback, json_object_get(session_event_tree(e), "session"));
    else if (e->type == REALTIME_RESPONSE_CREATED)
        session_playback_format(
            &f->playback, json_object_get(session_event_tree(e), "response"));
    else if (e->type == REALTIME_ITEM_TRUNCATED)
        session_playback_truncated(&f->playback, &e->peek);
    return true;
}

static bool
scrub_stage(struct session_filters *f, struct session_event *e, uint64_t now_ms)
{
    (void) now_ms;
    switch (session_scrub_look(&f->scrub, e)) {
    case SCRUB_SHOW:
        return true;
    case SCRUB_CHANGED:
        session_filtered(FILTERED_SCRUBBED);
        return true;
    case SCRUB_HIDE:
        session_filtered(FILTERED_ITEM);
        return false;
    default:
        session_filtered(FILTERED_UNREADABLE);
        return false;
    }
}

static bool
strict_stage(struct session_filters *f, struct session_event *e,
             uint64_t now_ms)
{
    bool has_id = session_strict_has_id(e);
    char id[CRYPTO_ID_BYTES];
    bool repaired;

    (void) f;
    (void) now_ms;
    if (session_strict_is_unknown(e)) {
        session_filtered(FILTERED_TYPE);
        return false;
    }
    if (!has_id) {
        crypto_id("event_", id);
        session_filtered(FILTERED_EVENT_ID);
    }
    if (session_strict_apply(e, has_id ? NULL : id, &repaired)) {
        session_filtered(FILTERED_UNREADABLE);
        return false;
    }
    if (repaired)
        session_filtered(FILTERED_REPAIRED);
    return true;
}

static filter_stage_h *const stages[] = {
    responses_stage, cancelled_stage, errors_stage,
    playback_stage,  scrub_stage,     strict_stage,
};

bool
session_filters_down(struct session_filters *f, struct session_event *e,
                     uint64_t now_ms)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
        if (!stages[i](f, e, now_ms))
            return false;
    return true;
}

void
session_filters_sent(struct session_filters *f, const struct session_event *e)
{
    if (e->type == REALTIME_OUTPUT_AUDIO_DELTA)
        session_playback_sent(&f->playback, &e->peek);
}

bool
session_filters_is_idle(const struct session_filters *f, uint64_t now_ms)
{
    return session_responses_is_idle(&f->responses, now_ms);
}

void
session_filters_asked(struct session_filters *f,
                      const struct realtime_peek *peek, uint64_t now_ms)
{
    session_responses_asked(&f->responses, peek, now_ms);
}

void
session_filters_block(struct session_filters *f, bool blocked)
{
    f->responses.blocked = blocked;
}

const char *
session_filters_next(struct session_filters *f, size_t *bytes, uint64_t now_ms)
{
    return session_responses_next(&f->responses, bytes, now_ms);
}

bool
session_filters_drop(struct session_filters *f, char **event_id)
{
    if (!session_responses_drop(&f->responses, event_id))
        return false;
    session_filtered(FILTERED_RESPONSE_DROPPED);
    return true;
}

/* --- up */

static enum session_filters_verdict
hidden_refuse(const struct realtime_peek *peek, struct session_filters_out *out)
{
    out->error.code = peek->type == REALTIME_ITEM_RETRIEVE
                          ? "item_retrieve_invalid_item_id"
                          : "invalid_value";
    out->error.message = "The conversation has no such item.";
    out->error.param = "item_id";
    out->error.event_id = peek->value[REALTIME_KEY_EVENT_ID];
    session_filtered(FILTERED_ITEM);
    return FILTERS_REFUSE;
}

/* The item's id is one that playback could read: plain and short. */
static enum session_filters_verdict
truncate_answer(const struct realtime_peek *peek,
                struct session_filters_out *out)
{
    struct realtime_span item = peek->value[REALTIME_KEY_ITEM_ID];
    struct realtime_span index = peek->value[REALTIME_KEY_CONTENT_INDEX];
    struct realtime_span ms = peek->value[REALTIME_KEY_AUDIO_END_MS];
    char id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    snprintf(out->answer, sizeof(out->answer),
             "{\"type\":\"conversation.item.truncated\",\"event_id\":\"%s\","
             "\"item_id\":%.*s,\"content_index\":%.*s,\"audio_end_ms\":%.*s}",
             id, (int) item.bytes, item.text, (int) index.bytes, index.text,
             (int) ms.bytes, ms.text);
    session_filtered(FILTERED_TRUNCATE_ANSWERED);
    return FILTERS_ANSWER;
}

/* As the client's, with another time; its event_id is no longer than what
 * there is room for, or left out. */
static enum session_filters_verdict
truncate_clamp(const struct realtime_peek *peek, uint64_t audio_end_ms,
               struct session_filters_out *out)
{
    struct realtime_span item = peek->value[REALTIME_KEY_ITEM_ID];
    struct realtime_span index = peek->value[REALTIME_KEY_CONTENT_INDEX];
    struct realtime_span id = peek->value[REALTIME_KEY_EVENT_ID];
    bool has_id = id.text && id.bytes <= REALTIME_ID_MAX;
    int bytes = snprintf(
        out->answer, sizeof(out->answer),
        "{\"type\":\"conversation.item.truncate\",%s%.*s%s\"item_id\":%.*s,"
        "\"content_index\":%.*s,\"audio_end_ms\":%" PRIu64 "}",
        has_id ? "\"event_id\":" : "", has_id ? (int) id.bytes : 0,
        has_id ? id.text : "", has_id ? "," : "", (int) item.bytes, item.text,
        (int) index.bytes, index.text, audio_end_ms);

    out->text.text = out->answer;
    out->text.bytes = (size_t) bytes;
    session_filtered(FILTERED_TRUNCATE_CLAMPED);
    return FILTERS_SEND;
}

static enum session_filters_verdict
truncate_pass(struct session_filters *f, const struct realtime_peek *peek,
              struct session_filters_out *out)
{
    uint64_t ms;

    switch (session_playback_look(&f->playback, peek, &ms)) {
    case TRUNCATE_CLAMP:
        return truncate_clamp(peek, ms, out);
    case TRUNCATE_ANSWER:
        return truncate_answer(peek, out);
    default:
        return FILTERS_SEND;
    }
}

static enum session_filters_verdict
create_pass(struct session_filters *f, const struct realtime_peek *peek,
            uint64_t now_ms, struct session_filters_out *out)
{
    switch (session_responses_create(&f->responses, peek, out->text, now_ms)) {
    case RESPONSES_HELD:
        session_filtered(FILTERED_RESPONSE_HELD);
        return FILTERS_KEEP;
    case RESPONSES_FULL:
        out->error = session_filters_active;
        out->error.event_id = peek->value[REALTIME_KEY_EVENT_ID];
        session_filtered(FILTERED_RESPONSE_REFUSED);
        return FILTERS_REFUSE;
    default:
        return FILTERS_SEND;
    }
}

static enum session_filters_verdict
cancel_pass(struct session_filters *f, const struct realtime_peek *peek,
            struct session_filters_out *out)
{
    if (session_responses_cancel(&f->responses, peek, &out->drops)
        == RESPONSES_SEND)
        return FILTERS_SEND;
    session_filtered(FILTERED_CANCEL);
    return FILTERS_KEEP;
}

enum session_filters_verdict
session_filters_up(struct session_filters *f, const struct realtime_peek *peek,
                   struct realtime_span text, uint64_t now_ms,
                   struct session_filters_out *out)
{
    out->text = text;
    out->drops = false;
    memset(&out->error, 0, sizeof(out->error));
    if (session_scrub_is_hidden(&f->scrub, peek))
        return hidden_refuse(peek, out);
    switch (peek->type) {
    case REALTIME_ITEM_TRUNCATE:
        return truncate_pass(f, peek, out);
    case REALTIME_RESPONSE_CREATE:
        return create_pass(f, peek, now_ms, out);
    case REALTIME_RESPONSE_CANCEL:
        return cancel_pass(f, peek, out);
    case REALTIME_SESSION_UPDATE:
        session_scrub_said(&f->scrub, peek);
        return FILTERS_SEND;
    default:
        return FILTERS_SEND;
    }
}
