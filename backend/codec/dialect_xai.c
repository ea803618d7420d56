/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   upstream ◄─ turn_detection, voice at the top ◄─ session.update
 *            └─ truncate: answered here
 *   upstream ─► ping, conversation.created: swallowed
 *            ─► user's item, at the start of speech: waits for the commit
 *            ─► transcripts so far: deltas, one completed
 *            ─► responses, items: what GA has and xAI leaves out is put in
 */

#include "codec/dialect_xai.h"

#include "codec/dialect_item.h"
#include "codec/dialect_session.h"
#include "codec/dialect_told.h"
#include "codec/dialect_xai_speech.h"
#include "codec/turn_detection.h"

#include <string.h>
#include <uv.h>

static const char response_whole[] =
    "{\"object\":\"realtime.response\",\"output\":[],\"conversation_id\":null,"
    "\"output_modalities\":[\"audio\"],\"max_output_tokens\":\"inf\","
    "\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcm\","
    "\"rate\":24000}}},\"usage\":null,\"metadata\":null}";

/* --- up */

/* xAI has one kind of turn detection, and says with a null inside that there
 * is none. */
static json_t *
turn_up(const json_t *turn)
{
    if (!json_is_object(turn))
        return json_pack("{s:n}", "type");
    if (!dialect_string_is(turn, "type", "semantic_vad"))
        return json_deep_copy(turn);
    json_t *server = turn_detection_named("normal");
    static const char *const kept[] = {"create_response", "interrupt_response"};
    for (size_t i = 0; server && i < 2; i++) {
        json_t *value = json_object_get(turn, kept[i]);
        if (value && json_object_set(server, kept[i], value)) {
            json_decref(server);
            return NULL;
        }
    }
    return server;
}

/* Another provider's model can't hear here. */
static int
transcription_up(json_t *input)
{
    json_t *transcription = json_object_get(input, "transcription");
    const char *model = dialect_string(transcription, "model");

    if (!json_is_object(transcription)
        || (model && strncmp(model, "grok", 4) == 0))
        return 0;
    return json_object_set_new(transcription, "model",
                               json_string("grok-transcribe"))
               ? UV_ENOMEM
               : 0;
}

static int
session_up(struct dialect_event *e)
{
    static const char *const unknown[] = {"type",    "output_modalities",
                                          "tracing", "truncation",
                                          "prompt",  "include"};
    json_t *session = json_object_get(e->tree, "session");
    json_t *audio = json_object_get(session, "audio");
    json_t *input = json_object_get(audio, "input");
    json_t *output = json_object_get(audio, "output");
    json_t *turn = json_object_get(input, "turn_detection");
    json_t *voice = json_object_get(output, "voice");

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        json_object_del(session, unknown[i]);
    if (turn && json_object_set_new(session, "turn_detection", turn_up(turn)))
        return UV_ENOMEM;
    if (voice) {
        dialect_memory_set(e->memory->voice, voice);
        if (json_object_set(session, "voice", voice))
            return UV_ENOMEM;
    }
    json_object_del(input, "turn_detection");
    json_object_del(output, "voice");
    return transcription_up(input);
}

static int
response_up(struct dialect_event *e)
{
    json_t *response = json_object_get(e->tree, "response");

    dialect_memory_ask(e->memory, json_object_get(response, "metadata"),
                       e->bytes);
    return DIALECT_PASS;
}

/* xAI can't take back what it has said; the client must not wait for it. */
static int
truncate_up(struct dialect_event *e)
{
    char id[DIALECT_ID_BYTES];
    json_t *answer = dialect_event_make(e, "conversation.item.truncated");
    const json_t *end = json_object_get(e->tree, "audio_end_ms");
    const json_t *index = json_object_get(e->tree, "content_index");

    dialect_memory_set(id, json_object_get(e->tree, "item_id"));
    if (!answer || json_object_set_new(answer, "item_id", json_string(id))
        || json_object_set_new(answer, "content_index",
                               json_integer(json_integer_value(index)))
        || json_object_set_new(answer, "audio_end_ms",
                               json_integer(json_integer_value(end)))) {
        json_decref(answer);
        return UV_ENOMEM;
    }
    char *text = json_dumps(answer, JSON_COMPACT);
    json_decref(answer);
    if (!text)
        return UV_ENOMEM;
    dialect_memory_answer(e->memory, text);
    return DIALECT_DROP;
}

static const struct dialect_rule up[] = {
    {.type = "session.update", .rewrite = session_up},
    {.type = "response.create", .rewrite = response_up},
    {.type = "conversation.item.truncate", .rewrite = truncate_up},
    {0},
};

/* --- sessions down */

/* {type, function: {name, …}} as GA's {type, name, …}. */
static int
tools_flatten(json_t *session)
{
    json_t *tools = json_object_get(session, "tools"), *tool;
    size_t i;

    json_array_foreach(tools, i, tool)
    {
        json_t *function = json_object_get(tool, "function");
        if (!json_is_object(function))
            continue;
        if (json_object_update_missing(tool, function))
            return UV_ENOMEM;
        json_object_del(tool, "function");
    }
    return 0;
}

static int
string_fill(json_t *object, const char *key, const char *text)
{
    if (!text[0] || dialect_string(object, key))
        return 0;
    return json_object_set_new(object, key, json_string(text)) ? UV_ENOMEM : 0;
}

static int
session_fill(struct dialect_memory *m, json_t *session)
{
    if (tools_flatten(session) || dialect_session_fill(session))
        return UV_ENOMEM;
    json_t *audio = json_object_get(session, "audio");
    json_object_del(json_object_get(audio, "input"), "transport");
    json_object_del(json_object_get(audio, "output"), "transport");
    if (string_fill(session, "id", m->session_id)
        || string_fill(session, "model", m->model)
        || string_fill(json_object_get(audio, "output"), "voice", m->voice))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

/* Only the first tells all; later ones leave out what they take as known. */
static void
session_note(struct dialect_memory *m, const json_t *session)
{
    if (dialect_string(session, "id"))
        dialect_memory_set(m->session_id, json_object_get(session, "id"));
    if (dialect_string(session, "model"))
        dialect_memory_set(m->model, json_object_get(session, "model"));
    if (dialect_string(session, "voice"))
        dialect_memory_set(m->voice, json_object_get(session, "voice"));
}

static int
session_down(struct dialect_event *e)
{
    static const char *const noise[] = {
        "enable_noise_suppression", "keep_context",
        "enable_phonetic_spelling", "input_audio_format",
        "output_audio_format",      "resumption"};
    json_t *session = json_object_get(e->tree, "session"), *ga;

    if (!json_is_object(session))
        return DIALECT_PASS;
    for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
        json_object_del(session, noise[i]);
    json_object_del(e->tree, "previous_item_id");
    session_note(e->memory, session);
    int result = dialect_session_from_beta(session, &ga);
    if (result)
        return result;
    if (session_fill(e->memory, ga) || json_object_set(e->tree, "session", ga))
        result = UV_ENOMEM;
    json_decref(ga);
    return result;
}

static int
conversation_down(struct dialect_event *e)
{
    json_t *conversation = json_object_get(e->tree, "conversation");

    dialect_memory_set(e->memory->conversation_id,
                       json_object_get(conversation, "id"));
    return DIALECT_DROP;
}

/* --- responses down */

/* xAI writes "unimplemented". */
static int
details_repair(const struct dialect_memory *m, json_t *response)
{
    const char *status = dialect_string(response, "status");
    json_t *details;

    if (json_is_object(json_object_get(response, "status_details")))
        return 0;
    if (!status || strcmp(status, "completed") == 0
        || strcmp(status, "in_progress") == 0)
        details = json_null();
    else if (strcmp(status, "cancelled") == 0)
        details =
            json_pack("{s:s, s:s}", "type", status, "reason",
                      m->interrupted ? "turn_detected" : "client_cancelled");
    else
        details = json_pack("{s:s}", "type", status);
    return json_object_set_new(response, "status_details", details) ? UV_ENOMEM
                                                                    : 0;
}

/* Calls say who speaks, and strict clients know no `tool`. */
static int
item_repair(json_t *item)
{
    if (!json_is_object(item))
        return 0;
    if (dialect_item_from_beta(item))
        return UV_ENOMEM;
    if (dialect_string_is(item, "type", "message"))
        return dialect_fill_text(item, "{\"content\":[]}");
    json_object_del(item, "role");
    if (dialect_string_is(item, "type", "function_call_output"))
        json_object_del(item, "status");
    return 0;
}

static int
response_repair(struct dialect_memory *m, json_t *response)
{
    json_t *output = json_object_get(response, "output"), *item;
    size_t i;

    json_array_foreach(output, i, item) if (item_repair(item)) return UV_ENOMEM;
    if (details_repair(m, response))
        return UV_ENOMEM;
    if (m->current && !json_is_object(json_object_get(response, "metadata"))
        && json_object_set(response, "metadata", m->current))
        return UV_ENOMEM;
    if (string_fill(response, "conversation_id", m->conversation_id)
        || dialect_fill_text(response, response_whole))
        return UV_ENOMEM;
    json_t *audio = json_object_get(response, "audio");
    return string_fill(json_object_get(audio, "output"), "voice", m->voice);
}

/* Gives the event's response in GA's shape; NULL: it has none. */
static int
response_take(struct dialect_event *e, json_t **response)
{
    int result = dialect_answer_from_beta(json_object_get(e->tree, "response"),
                                          response);

    json_object_del(e->tree, "previous_item_id");
    if (result == UV_EINVAL) {
        *response = NULL;
        return 0;
    }
    return result;
}

static int
response_put(struct dialect_event *e, json_t *response)
{
    int result = response_repair(e->memory, response);

    if (!result && json_object_set(e->tree, "response", response))
        result = UV_ENOMEM;
    json_decref(response);
    return result;
}

static int
created_down(struct dialect_event *e)
{
    json_t *response;
    int result = response_take(e, &response);

    if (result || !response)
        return result;
    dialect_memory_create(e->memory);
    if (json_object_set_new(response, "usage", json_null())) {
        json_decref(response);
        return UV_ENOMEM;
    }
    return response_put(e, response);
}

/* The count stands beside the response. */
static int
done_down(struct dialect_event *e)
{
    json_t *response, *usage = json_object_get(e->tree, "usage");
    int result = response_take(e, &response);

    if (result || !response)
        return result;
    json_t *inner = json_object_get(response, "usage");
    if (json_is_object(usage) && json_object_size(inner) == 0
        && json_object_set(response, "usage", usage))
        result = UV_ENOMEM;
    json_object_del(e->tree, "usage");
    json_object_del(e->tree, "response_id");
    if (result || dialect_fill_usage(response)) {
        json_decref(response);
        return UV_ENOMEM;
    }
    return response_put(e, response);
}

/* --- items of a response down */

/* xAI counts every item of a response as the first. */
static int
index_repair(struct dialect_event *e, const json_t *id)
{
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    json_object_del(e->tree, "previous_item_id");
    if (!note && json_object_get(e->tree, "output_index"))
        return 0;
    return json_object_set_new(e->tree, "output_index",
                               json_integer(note ? note->index : 0))
               ? UV_ENOMEM
               : 0;
}

static int
output_added_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, true);

    if (note) {
        note->index = e->memory->outputs++;
        dialect_memory_set(note->name, json_object_get(item, "name"));
    }
    if (item_repair(item))
        return UV_ENOMEM;
    return index_repair(e, id);
}

/* The item's words, which xAI tells of in the transcript alone. */
static int
content_repair(const struct dialect_note *note, json_t *item)
{
    const json_t *content = json_object_get(item, "content");

    if (!note || !note->text || !dialect_string_is(item, "type", "message")
        || json_array_size(content) > 0)
        return 0;
    return json_object_set_new(item, "content",
                               json_pack("[{s:s, s:s}]", "type", "output_audio",
                                         "transcript", note->text))
               ? UV_ENOMEM
               : 0;
}

static int
output_done_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");
    const json_t *id = json_object_get(item, "id");

    if (item_repair(item)
        || content_repair(dialect_memory_note(e->memory, id, false), item)
        || dialect_told_done(e, item))
        return UV_ENOMEM;
    return index_repair(e, id);
}

static int
index_down(struct dialect_event *e)
{
    return index_repair(e, json_object_get(e->tree, "item_id"));
}

static int
transcript_down(struct dialect_event *e)
{
    const json_t *id = json_object_get(e->tree, "item_id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (note)
        dialect_note_text(note, dialect_string(e->tree, "transcript"));
    return index_repair(e, id);
}

static int
part_done_down(struct dialect_event *e)
{
    const json_t *id = json_object_get(e->tree, "item_id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (!json_is_object(json_object_get(e->tree, "part"))
        && json_object_set_new(e->tree, "part",
                               json_pack("{s:s, s:s}", "type", "audio",
                                         "transcript",
                                         note && note->text ? note->text : "")))
        return UV_ENOMEM;
    return index_repair(e, id);
}

static int
arguments_down(struct dialect_event *e)
{
    const json_t *id = json_object_get(e->tree, "item_id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (note && string_fill(e->tree, "name", note->name))
        return UV_ENOMEM;
    return index_repair(e, id);
}

/* Audio is nearly all there is; the first item's index is right as it is. */
static bool
index_is_right(const struct dialect_memory *m)
{
    return m->outputs <= 1;
}

/* --- the conversation down */

/* What the user says is told of before it has been said. */
static int
item_down(struct dialect_event *e)
{
    json_t *item = json_object_get(e->tree, "item");
    const json_t *id = json_object_get(item, "id");

    if (!json_is_object(item))
        return DIALECT_PASS;
    if (item_repair(item))
        return UV_ENOMEM;
    if (dialect_string_is(item, "role", "user")
        && dialect_string_is(item, "status", "in_progress"))
        return dialect_xai_hold(e, item);
    struct dialect_note *note = dialect_memory_note(e->memory, id, true);
    if (note && !note->name[0])
        dialect_memory_set(note->name, json_object_get(item, "name"));
    return dialect_told_added(e, e->tree);
}

/* Not every one has the shape of an `error`. */
static int
error_down(struct dialect_event *e)
{
    json_t *error = json_object_get(e->tree, "error");
    const char *text = json_string_value(error);
    const char *beside = dialect_string(e->tree, "message");

    json_object_del(e->tree, "previous_item_id");
    if (!json_is_object(error)) {
        error = json_pack("{s:s}", "message",
                          text     ? text
                          : beside ? beside
                                   : "The model reports an error.");
        if (!error || json_object_set_new(e->tree, "error", error))
            return UV_ENOMEM;
    }
    if (dialect_event_identify(e)
        || dialect_fill_text(error, "{\"type\":\"server_error\",\"code\":null,"
                                    "\"message\":\"\",\"param\":null,"
                                    "\"event_id\":null}"))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

static const struct dialect_rule down[] = {
    {.type = "response.output_audio.delta",
     .rewrite = index_down,
     .idle = index_is_right},
    {.type = "response.output_audio_transcript.delta",
     .rewrite = index_down,
     .idle = index_is_right},
    {.type = "ping"},
    {.type = "conversation.created", .rewrite = conversation_down},
    {.type = "session.created", .rewrite = session_down},
    {.type = "session.updated", .rewrite = session_down},
    {.type = "input_audio_buffer.speech_started",
     .rewrite = dialect_xai_started},
    {.type = "input_audio_buffer.speech_stopped",
     .rewrite = dialect_xai_stopped},
    {.type = "input_audio_buffer.committed", .rewrite = dialect_xai_committed},
    {.type = "conversation.item.input_audio_transcription.updated",
     .rewrite = dialect_xai_heard},
    {.type = "conversation.item.input_audio_transcription.completed",
     .rewrite = dialect_xai_heard},
    {.type = "conversation.item.added", .rewrite = item_down},
    {.type = "conversation.item.created",
     .to = "conversation.item.added",
     .rewrite = item_down},
    {.type = "response.created", .rewrite = created_down},
    {.type = "response.done", .rewrite = done_down},
    {.type = "response.output_item.added", .rewrite = output_added_down},
    {.type = "response.output_item.done", .rewrite = output_done_down},
    {.type = "response.content_part.added", .rewrite = index_down},
    {.type = "response.content_part.done", .rewrite = part_done_down},
    {.type = "response.output_audio.done", .rewrite = index_down},
    {.type = "response.output_audio_transcript.done",
     .rewrite = transcript_down},
    {.type = "response.function_call_arguments.delta", .rewrite = index_down},
    {.type = "response.function_call_arguments.done",
     .rewrite = arguments_down},
    {.type = "error", .rewrite = error_down},
    {0},
};

const struct dialect_table dialect_xai = {up, down};
