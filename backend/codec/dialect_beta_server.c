/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   upstream ◄─ flat sessions, items of the beta ◄─ GA events
 *   upstream ─► names, shapes ─► item.created: added (and done) ─► GA events
 *                                output_item.done: item.done before it
 */

#include "codec/dialect_beta_server.h"

#include "codec/dialect_item.h"
#include "codec/dialect_session.h"
#include "codec/dialect_told.h"

#include <string.h>
#include <uv.h>

/* --- up */

static int
session_up(struct dialect_event *e)
{
    json_t *session = json_object_get(e->tree, "session");

    if (dialect_string_is(session, "type", "transcription")
        && json_object_set_new(e->tree, "type",
                               json_string("transcription_session.update")))
        return UV_ENOMEM;
    return dialect_event_member(e, "session", dialect_session_to_beta);
}

static int
item_up(struct dialect_event *e)
{
    return dialect_item_to_beta(json_object_get(e->tree, "item"));
}

static int
response_up(struct dialect_event *e)
{
    return dialect_event_member(e, "response", dialect_response_to_beta);
}

static const struct dialect_rule up[] = {
    {.type = "session.update", .rewrite = session_up},
    {.type = "conversation.item.create", .rewrite = item_up},
    {.type = "response.create", .rewrite = response_up},
    {0},
};

/* --- down */

static int
session_down(struct dialect_event *e)
{
    int result = dialect_event_member(e, "session", dialect_session_from_beta);

    if (!result)
        result = dialect_session_fill(json_object_get(e->tree, "session"));
    return result;
}

static int
transcription_down(struct dialect_event *e)
{
    return dialect_event_member(e, "session",
                                dialect_session_from_beta_transcription);
}

static int
item_down(struct dialect_event *e)
{
    return dialect_item_from_beta(json_object_get(e->tree, "item"));
}

static int
created_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");

    if (!json_is_object(item))
        return DIALECT_PASS;
    if (dialect_item_from_beta(item))
        return UV_ENOMEM;
    return dialect_told_added(e, e->tree);
}

/* Servers between the generations say both. */
static int
done_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (note && note->done)
        return DIALECT_DROP;
    if (note)
        note->done = true;
    return dialect_item_from_beta(item);
}

/* The only place where the beta names the function. */
static int
output_added_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, true);

    if (note)
        dialect_memory_set(note->name, json_object_get(item, "name"));
    return dialect_item_from_beta(item);
}

static int
output_done_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");

    if (dialect_item_from_beta(item) || dialect_told_done(e, item))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static int
arguments_down(struct dialect_event *e)
{
    const json_t *id = json_object_get(e->tree, "item_id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (!dialect_string(e->tree, "name") && note && note->name[0]
        && json_object_set_new(e->tree, "name", json_string(note->name)))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

/* The first servers of the beta counted nothing here. */
static int
heard_down(struct dialect_event *e)
{
    if (!json_is_object(json_object_get(e->tree, "usage"))
        && json_object_set_new(
            e->tree, "usage",
            json_pack("{s:s, s:i}", "type", "duration", "seconds", 0)))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static int
response_down(struct dialect_event *e)
{
    if (dialect_event_member(e, "response", dialect_answer_from_beta))
        return UV_ENOMEM;
    json_t *response = json_object_get(e->tree, "response");
    if (!json_is_object(response))
        return DIALECT_PASS;
    if (dialect_string_is(e->tree, "type", "response.done")
        && dialect_fill_usage(response))
        return UV_ENOMEM;
    if (dialect_fill_text(response, "{\"object\":\"realtime.response\","
                                    "\"status_details\":null,\"output\":[],"
                                    "\"usage\":null,\"metadata\":null}"))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static int
error_down(struct dialect_event *e)
{
    json_t *error = json_object_get(e->tree, "error");
    const char *param = dialect_string(error, "param");
    char ga[DIALECT_PARAM_BYTES];

    if (param && dialect_param_from_beta(param, ga)
        && json_object_set_new(error, "param", json_string(ga)))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static const struct dialect_rule down[] = {
    {.type = "response.audio.delta", .to = "response.output_audio.delta"},
    {.type = "response.audio.done", .to = "response.output_audio.done"},
    {.type = "response.audio_transcript.delta",
     .to = "response.output_audio_transcript.delta"},
    {.type = "response.audio_transcript.done",
     .to = "response.output_audio_transcript.done"},
    {.type = "response.text.delta", .to = "response.output_text.delta"},
    {.type = "response.text.done", .to = "response.output_text.done"},
    {.type = "session.created", .rewrite = session_down},
    {.type = "session.updated", .rewrite = session_down},
    {.type = "transcription_session.created",
     .to = "session.created",
     .rewrite = transcription_down},
    {.type = "transcription_session.updated",
     .to = "session.updated",
     .rewrite = transcription_down},
    {.type = "conversation.created"},
    {.type = "conversation.item.created",
     .to = "conversation.item.added",
     .rewrite = created_down},
    {.type = "conversation.item.added", .rewrite = created_down},
    {.type = "conversation.item.done", .rewrite = done_down},
    {.type = "conversation.item.retrieved", .rewrite = item_down},
    {.type = "response.created", .rewrite = response_down},
    {.type = "response.done", .rewrite = response_down},
    {.type = "response.output_item.added", .rewrite = output_added_down},
    {.type = "response.output_item.done", .rewrite = output_done_down},
    {.type = "response.function_call_arguments.done",
     .rewrite = arguments_down},
    {.type = "conversation.item.input_audio_transcription.completed",
     .rewrite = heard_down},
    {.type = "error", .rewrite = error_down},
    {0},
};

const struct dialect_table dialect_beta_server = {up, down};
