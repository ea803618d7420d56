/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/strict_event.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Fields by first letter of their kind: s string, i integer, o object, a
 * array, n string or null. */
static const struct {
    const char *type;
    const char *fields; /* "kind:name …" */
} events[] = {
    {"error", "o:error"},
    {"session.created", "o:session"},
    {"session.updated", "o:session"},
    {"conversation.item.added", "n:previous_item_id o:item"},
    {"conversation.item.done", "n:previous_item_id o:item"},
    {"conversation.item.retrieved", "o:item"},
    {"conversation.item.deleted", "s:item_id"},
    {"conversation.item.truncated", "s:item_id i:content_index i:audio_end_ms"},
    {"conversation.item.input_audio_transcription.delta",
     "s:item_id i:content_index s:delta"},
    {"conversation.item.input_audio_transcription.completed",
     "s:item_id i:content_index s:transcript o:usage"},
    {"conversation.item.input_audio_transcription.failed",
     "s:item_id i:content_index o:error"},
    {"input_audio_buffer.committed", "s:item_id n:previous_item_id"},
    {"input_audio_buffer.cleared", ""},
    {"input_audio_buffer.speech_started", "s:item_id i:audio_start_ms"},
    {"input_audio_buffer.speech_stopped", "s:item_id i:audio_end_ms"},
    {"response.created", "o:response"},
    {"response.done", "o:response"},
    {"response.output_item.added", "s:response_id i:output_index o:item"},
    {"response.output_item.done", "s:response_id i:output_index o:item"},
    {"response.content_part.added",
     "s:response_id s:item_id i:output_index i:content_index o:part"},
    {"response.content_part.done",
     "s:response_id s:item_id i:output_index i:content_index o:part"},
    {"response.output_text.delta",
     "s:response_id s:item_id i:output_index i:content_index s:delta"},
    {"response.output_text.done",
     "s:response_id s:item_id i:output_index i:content_index s:text"},
    {"response.output_audio.delta",
     "s:response_id s:item_id i:output_index i:content_index s:delta"},
    {"response.output_audio.done",
     "s:response_id s:item_id i:output_index i:content_index"},
    {"response.output_audio_transcript.delta",
     "s:response_id s:item_id i:output_index i:content_index s:delta"},
    {"response.output_audio_transcript.done",
     "s:response_id s:item_id i:output_index i:content_index s:transcript"},
    {"response.function_call_arguments.delta",
     "s:response_id s:item_id i:output_index s:call_id s:delta"},
    {"response.function_call_arguments.done",
     "s:response_id s:item_id i:output_index s:call_id s:name s:arguments"},
    {"rate_limits.updated", "a:rate_limits"},
};

static bool
kind_is(char kind, const json_t *value)
{
    switch (kind) {
    case 's':
        return json_is_string(value);
    case 'n':
        return json_is_string(value) || json_is_null(value);
    case 'i':
        return json_is_integer(value);
    case 'o':
        return json_is_object(value);
    default:
        return json_is_array(value);
    }
}

static bool
fields_hold(const json_t *object, const char *fields)
{
    char copy[256], *at = copy, *field;

    snprintf(copy, sizeof(copy), "%s", fields);
    while ((field = strsep(&at, " ")) != NULL)
        if (field[0] && !kind_is(field[0], json_object_get(object, field + 2)))
            return false;
    return true;
}

static bool
is_one_of(const json_t *value, const char *const *names)
{
    const char *text = json_string_value(value);

    for (; text && *names; names++)
        if (strcmp(text, *names) == 0)
            return true;
    return false;
}

static const char *
content_fault(const json_t *content)
{
    static const char *const types[] = {"input_text",   "input_audio",
                                        "input_image",  "output_text",
                                        "output_audio", NULL};
    size_t i;
    json_t *part;

    json_array_foreach((json_t *) content, i, part)
    {
        if (!is_one_of(json_object_get(part, "type"), types))
            return "an item's content has an unknown type";
        if (json_is_null(json_object_get(part, "text")))
            return "an item's text is null";
    }
    return NULL;
}

static const char *
item_fault(const json_t *item)
{
    static const char *const types[] = {"message", "function_call",
                                        "function_call_output", NULL};
    static const char *const roles[] = {"user", "assistant", "system", NULL};
    const json_t *role = json_object_get(item, "role");
    const char *type = json_string_value(json_object_get(item, "type"));

    if (!is_one_of(json_object_get(item, "type"), types))
        return "an item has an unknown type";
    if (!fields_hold(item, "s:id"))
        return "an item has no id";
    if (role && !is_one_of(role, roles))
        return "an item has an unknown role";
    if (strcmp(type, "message") == 0) {
        if (!role || !fields_hold(item, "a:content"))
            return "a message lacks role or content";
        return content_fault(json_object_get(item, "content"));
    }
    if (role)
        return "what is no message has a role";
    if (strcmp(type, "function_call") == 0)
        return fields_hold(item, "s:name s:call_id s:arguments")
                   ? NULL
                   : "a call lacks a field";
    return fields_hold(item, "s:call_id s:output") ? NULL
                                                   : "an output lacks a field";
}

static const char *
usage_fault(const json_t *usage)
{
    const json_t *in = json_object_get(usage, "input_token_details");
    const json_t *out = json_object_get(usage, "output_token_details");

    if (!fields_hold(usage, "i:total_tokens i:input_tokens i:output_tokens"))
        return "the usage lacks a count";
    if (!fields_hold(in, "i:text_tokens i:audio_tokens i:cached_tokens")
        || !fields_hold(out, "i:text_tokens i:audio_tokens"))
        return "the usage lacks details";
    return NULL;
}

static const char *
response_fault(const json_t *response, bool done)
{
    static const char *const states[] = {
        "in_progress", "completed", "cancelled", "failed", "incomplete", NULL};
    const json_t *details = json_object_get(response, "status_details");
    const char *fault = NULL;
    size_t i;
    json_t *item;

    if (!fields_hold(response, "s:id s:object a:output a:output_modalities")
        || !is_one_of(json_object_get(response, "status"), states))
        return "the response lacks a field";
    if (!json_is_null(details) && !json_is_object(details))
        return "status_details is neither null nor an object";
    json_array_foreach(json_object_get(response, "output"), i, item) if (!fault)
        fault = item_fault(item);
    if (fault || !done)
        return fault;
    return usage_fault(json_object_get(response, "usage"));
}

static const char *
session_fault(const json_t *session)
{
    const json_t *audio = json_object_get(session, "audio");
    const json_t *in = json_object_get(audio, "input");
    const json_t *out = json_object_get(audio, "output");
    const json_t *object = json_object_get(session, "object");

    if (!fields_hold(session, "s:type s:id s:object")
        || strcmp(json_string_value(object), "realtime.session") != 0)
        return "the session lacks a field";
    if (!fields_hold(session, "a:output_modalities a:tools s:tool_choice"))
        return "the session lacks a setting";
    if (!fields_hold(in, "o:format") || !fields_hold(out, "o:format s:voice")
        || !json_object_get(in, "turn_detection"))
        return "the session's audio lacks a setting";
    size_t i;
    json_t *tool;
    json_array_foreach(
        json_object_get(session, "tools"), i,
        tool) if (!fields_hold(tool,
                               "s:type s:name")) return "a tool lacks a field";
    return NULL;
}

static const char *
part_fault(const json_t *part)
{
    static const char *const types[] = {"text", "audio", NULL};

    if (!is_one_of(json_object_get(part, "type"), types))
        return "a part has an unknown type";
    if (json_is_null(json_object_get(part, "text"))
        || json_is_null(json_object_get(part, "transcript")))
        return "a part has a null";
    return NULL;
}

static const char *
inside_fault(const json_t *event, const char *type)
{
    const json_t *value;

    if ((value = json_object_get(event, "item")) != NULL)
        return item_fault(value);
    if ((value = json_object_get(event, "session")) != NULL)
        return session_fault(value);
    if ((value = json_object_get(event, "part")) != NULL)
        return part_fault(value);
    if ((value = json_object_get(event, "response")) != NULL)
        return response_fault(value, strcmp(type, "response.done") == 0);
    if (strcmp(type, "error") == 0
        && !fields_hold(json_object_get(event, "error"), "s:type s:message"))
        return "the error lacks a field";
    return NULL;
}

const char *
strict_event_fault(const json_t *event)
{
    const char *type = json_string_value(json_object_get(event, "type"));

    if (!type || !json_is_string(json_object_get(event, "event_id")))
        return "no type or no event_id";
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        if (strcmp(type, events[i].type) != 0)
            continue;
        if (!fields_hold(event, events[i].fields))
            return "a field of the event is missing";
        return inside_fault(event, type);
    }
    return "an unknown type";
}
