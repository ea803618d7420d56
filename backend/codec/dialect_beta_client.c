/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► session.update · item.create · response.create ─► GA shapes
 *   client ◄─ names, flat sessions, items of the beta ◄─ GA events
 */

#include "codec/dialect_beta_client.h"

#include "codec/dialect_item.h"
#include "codec/dialect_session.h"

#include <string.h>
#include <uv.h>

/* --- up */

static int
session_up(struct dialect_event *e)
{
    return dialect_event_member(e, "session", dialect_session_from_beta);
}

/* Early clients wrote the settings beside the type. */
static int
settings_gather(struct dialect_event *e)
{
    json_t *session = json_object(), *value;
    const char *key;
    void *next;

    if (!session)
        return UV_ENOMEM;
    json_object_foreach_safe(e->tree, next, key, value)
    {
        if (strcmp(key, "type") == 0 || strcmp(key, "event_id") == 0)
            continue;
        if (json_object_set(session, key, value)) {
            json_decref(session);
            return UV_ENOMEM;
        }
        json_object_del(e->tree, key);
    }
    return json_object_set_new(e->tree, "session", session) ? UV_ENOMEM : 0;
}

static int
transcription_up(struct dialect_event *e)
{
    if (!json_object_get(e->tree, "session") && settings_gather(e))
        return UV_ENOMEM;
    return dialect_event_member(e, "session",
                                dialect_session_from_beta_transcription);
}

static int
item_up(struct dialect_event *e)
{
    return dialect_item_from_beta(json_object_get(e->tree, "item"));
}

static int
response_up(struct dialect_event *e)
{
    return dialect_event_member(e, "response", dialect_response_from_beta);
}

static const struct dialect_rule up[] = {
    {.type = "session.update", .rewrite = session_up},
    {.type = "transcription_session.update",
     .to = "session.update",
     .rewrite = transcription_up},
    {.type = "conversation.item.create", .rewrite = item_up},
    {.type = "response.create", .rewrite = response_up},
    {0},
};

/* --- down */

static int
session_down(struct dialect_event *e)
{
    json_t *session = json_object_get(e->tree, "session");
    bool created = dialect_string_is(e->tree, "type", "session.created");

    if (dialect_string_is(session, "type", "transcription")
        && json_object_set_new(
            e->tree, "type",
            json_string(created ? "transcription_session.created"
                                : "transcription_session.updated")))
        return UV_ENOMEM;
    return dialect_event_member(e, "session", dialect_session_to_beta);
}

static int
item_down(struct dialect_event *e)
{
    return dialect_item_to_beta(json_object_get(e->tree, "item"));
}

static int
response_down(struct dialect_event *e)
{
    return dialect_event_member(e, "response", dialect_answer_to_beta);
}

/* Clients append deltas to what stands here. */
static int
part_down(struct dialect_event *e)
{
    json_t *part = json_object_get(e->tree, "part");
    const char *key = dialect_string_is(part, "type", "text")    ? "text"
                      : dialect_string_is(part, "type", "audio") ? "transcript"
                                                                 : NULL;

    if (key && !json_is_string(json_object_get(part, key))
        && json_object_set_new(part, key, json_string("")))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static int
error_down(struct dialect_event *e)
{
    json_t *error = json_object_get(e->tree, "error");
    const char *param = dialect_string(error, "param");
    char beta[DIALECT_PARAM_BYTES];

    if (param && dialect_param_to_beta(param, beta)
        && json_object_set_new(error, "param", json_string(beta)))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

/* What is swallowed came after the beta, whose clients may die of it. */
static const struct dialect_rule down[] = {
    {.type = "response.output_audio.delta", .to = "response.audio.delta"},
    {.type = "response.output_audio.done", .to = "response.audio.done"},
    {.type = "response.output_audio_transcript.delta",
     .to = "response.audio_transcript.delta"},
    {.type = "response.output_audio_transcript.done",
     .to = "response.audio_transcript.done"},
    {.type = "response.output_text.delta", .to = "response.text.delta"},
    {.type = "response.output_text.done", .to = "response.text.done"},
    {.type = "session.created", .rewrite = session_down},
    {.type = "session.updated", .rewrite = session_down},
    {.type = "conversation.item.added",
     .to = "conversation.item.created",
     .rewrite = item_down},
    {.type = "conversation.item.done"},
    {.type = "conversation.item.retrieved", .rewrite = item_down},
    {.type = "response.created", .rewrite = response_down},
    {.type = "response.done", .rewrite = response_down},
    {.type = "response.output_item.added", .rewrite = item_down},
    {.type = "response.output_item.done", .rewrite = item_down},
    {.type = "response.content_part.added", .rewrite = part_down},
    {.type = "error", .rewrite = error_down},
    {.type = "conversation.item.input_audio_transcription.segment"},
    {.type = "input_audio_buffer.timeout_triggered"},
    {.type = "input_audio_buffer.dtmf_event_received"},
    {.type = "mcp_list_tools.in_progress"},
    {.type = "mcp_list_tools.completed"},
    {.type = "mcp_list_tools.failed"},
    {.type = "response.mcp_call_arguments.delta"},
    {.type = "response.mcp_call_arguments.done"},
    {.type = "response.mcp_call.in_progress"},
    {.type = "response.mcp_call.completed"},
    {.type = "response.mcp_call.failed"},
    {0},
};

const struct dialect_table dialect_beta_client = {down, up};
