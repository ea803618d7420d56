/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What each server event must hold, as strict clients (zod, pydantic) demand
 * it. A field is "path:kinds"; kinds are letters: s string, S string that is
 * not empty, i integer, n number, b true or false, o object, a array, 0 null.
 * A path may lead through "response", "session", "item" or "part".
 */

#ifndef TEST_OFFLINE_SHAPE_H
#define TEST_OFFLINE_SHAPE_H

#define SHAPE_PART "response_id:S item_id:S output_index:i content_index:i"
#define SHAPE_CALL "response_id:S item_id:S output_index:i call_id:S"
#define SHAPE_USAGE                                                            \
    " response.usage.total_tokens:i response.usage.input_tokens:i"             \
    " response.usage.output_tokens:i"                                          \
    " response.usage.input_token_details.text_tokens:i"                        \
    " response.usage.input_token_details.audio_tokens:i"                       \
    " response.usage.input_token_details.image_tokens:i"                       \
    " response.usage.input_token_details.cached_tokens:i"                      \
    " response.usage.input_token_details.cached_tokens_details.text_tokens:i"  \
    " response.usage.input_token_details.cached_tokens_details.audio_tokens:"  \
    "i"                                                                        \
    " response.usage.input_token_details.cached_tokens_details.image_tokens:"  \
    "i"                                                                        \
    " response.usage.output_token_details.text_tokens:i"                       \
    " response.usage.output_token_details.audio_tokens:i"
#define SHAPE_RESPONSE                                                         \
    "response.object:S response.id:S response.status:S"                        \
    " response.status_details:o0 response.output:a"                            \
    " response.conversation_id:S0 response.output_modalities:a"                \
    " response.max_output_tokens:is response.audio.output.format:o"            \
    " response.audio.output.voice:so response.metadata:o0"
#define SHAPE_SESSION                                                          \
    "session.type:S session.object:S session.id:S session.expires_at:i"        \
    " session.audio.input.format:o session.audio.input.transcription:o0"       \
    " session.audio.input.noise_reduction:o0"                                  \
    " session.audio.input.turn_detection:o0 session.include:a0"
#define SHAPE_ITEM          "item.id:S item.type:S"
#define SHAPE_TRANSCRIPTION "item_id:S content_index:i"

static const struct {
    const char *type;
    const char *fields;
} shapes[] = {
    {"error", "error.type:S error.code:S error.message:S error.param:S0"
              " error.event_id:S0"},
    {"session.created", SHAPE_SESSION},
    {"session.updated", SHAPE_SESSION},
    {"conversation.item.added", "previous_item_id:S0 " SHAPE_ITEM},
    {"conversation.item.done", "previous_item_id:S0 " SHAPE_ITEM},
    {"conversation.item.retrieved", SHAPE_ITEM},
    {"conversation.item.deleted", "item_id:S"},
    {"conversation.item.truncated", "item_id:S content_index:i audio_end_ms:i"},
    {"conversation.item.input_audio_transcription.delta",
     SHAPE_TRANSCRIPTION " delta:S"},
    {"conversation.item.input_audio_transcription.completed",
     SHAPE_TRANSCRIPTION " transcript:s usage.type:S"},
    {"conversation.item.input_audio_transcription.failed",
     SHAPE_TRANSCRIPTION " error.type:S error.code:S error.message:S"},
    {"input_audio_buffer.committed", "previous_item_id:S0 item_id:S"},
    {"input_audio_buffer.cleared", ""},
    {"input_audio_buffer.speech_started", "audio_start_ms:i item_id:S"},
    {"input_audio_buffer.speech_stopped", "audio_end_ms:i item_id:S"},
    {"input_audio_buffer.timeout_triggered",
     "audio_start_ms:i audio_end_ms:i item_id:S"},
    {"response.created", SHAPE_RESPONSE " response.usage:0"},
    {"response.done", SHAPE_RESPONSE SHAPE_USAGE},
    {"response.output_item.added",
     "response_id:S output_index:i item.status:S " SHAPE_ITEM},
    {"response.output_item.done",
     "response_id:S output_index:i item.status:S " SHAPE_ITEM},
    {"response.content_part.added", SHAPE_PART " part.type:S"},
    {"response.content_part.done", SHAPE_PART " part.type:S"},
    {"response.output_text.delta", SHAPE_PART " delta:S"},
    {"response.output_text.done", SHAPE_PART " text:s"},
    {"response.output_audio.delta", SHAPE_PART " delta:S"},
    {"response.output_audio.done", SHAPE_PART},
    {"response.output_audio_transcript.delta", SHAPE_PART " delta:S"},
    {"response.output_audio_transcript.done", SHAPE_PART " transcript:s"},
    {"response.function_call_arguments.delta", SHAPE_CALL " delta:S"},
    {"response.function_call_arguments.done", SHAPE_CALL " name:S arguments:S"},
    {"rate_limits.updated", "rate_limits:a"},
};

static bool
shape_is(const json_t *value, char kind)
{
    switch (kind) {
    case 's':
        return json_is_string(value);
    case 'S':
        return json_is_string(value) && json_string_length(value) > 0;
    case 'i':
        return json_is_integer(value);
    case 'n':
        return json_is_number(value);
    case 'b':
        return json_is_boolean(value);
    case 'o':
        return json_is_object(value);
    case 'a':
        return json_is_array(value);
    default:
        return json_is_null(value);
    }
}

static void
shape_field(const json_t *event, const char *field, size_t bytes,
            const char *text)
{
    const json_t *value = event;
    char path[128], *name, *rest, *kinds;

    memcpy(path, field, bytes);
    path[bytes] = '\0';
    kinds = strchr(path, ':');
    *kinds++ = '\0';
    rest = path;
    while ((name = strsep(&rest, ".")) != NULL)
        value = json_object_get(value, name);
    for (; *kinds != '\0'; kinds++)
        if (value != NULL && shape_is(value, *kinds))
            return;
    fail_msg("%.*s is wrong in %s", (int) bytes, field, text);
}

/* Optional strings of parts are left out, never null; what a part is called
 * depends on where it stands. */
static void
shape_parts(const json_t *event, const char *text)
{
    const json_t *part = json_object_get(event, "part");
    const json_t *item = json_object_get(event, "item");
    const json_t *content = json_object_get(item, "content");
    const char *key, *type;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *) part, key, value) if (!json_is_string(value))
        fail_msg("part.%s is wrong in %s", key, text);
    type = json_string_value(json_object_get(part, "type"));
    if (type != NULL && strcmp(type, "text") != 0 && strcmp(type, "audio") != 0)
        fail_msg("part.type is wrong in %s", text);
    json_array_foreach(content, i, part)
    {
        type = json_string_value(json_object_get(part, "type"));
        if (type == NULL
            || strstr("input_text input_audio input_image "
                      "output_text output_audio",
                      type)
                   == NULL)
            fail_msg("content type is wrong in %s", text);
        if (json_is_null(json_object_get(part, "transcript"))
            && strcmp(type, "input_audio") != 0)
            fail_msg("transcript is null in %s", text);
    }
}

static void
shape_item(const json_t *item, const char *text)
{
    const char *type = json_string_value(json_object_get(item, "type"));

    if (item == NULL)
        return;
    if (strcmp(type, "message") == 0) {
        shape_field(item, "role:S", 6, text);
        shape_field(item, "content:a", 9, text);
        shape_field(item, "status:S", 8, text);
    } else if (strcmp(type, "function_call") == 0) {
        shape_field(item, "name:S", 6, text);
        shape_field(item, "call_id:S", 9, text);
        shape_field(item, "arguments:s", 11, text);
    } else {
        assert_string_equal(type, "function_call_output");
        shape_field(item, "call_id:S", 9, text);
        shape_field(item, "output:s", 8, text);
    }
    assert_true(strlen(json_string_value(json_object_get(item, "id"))) <= 32);
}

static void
shape_session(const json_t *session, const char *text)
{
    static const char *const fields[] = {
        "model:S",
        "output_modalities:a",
        "instructions:s",
        "tools:a",
        "tool_choice:so",
        "max_output_tokens:is",
        "tracing:so0",
        "truncation:so",
        "prompt:o0",
        "audio.output.format:o",
        "audio.output.voice:so",
        "audio.output.speed:n",
    };
    const char *object = json_string_value(json_object_get(session, "object"));

    if (session == NULL
        || strcmp(object, "realtime.transcription_session") == 0)
        return;
    assert_string_equal(object, "realtime.session");
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        shape_field(session, fields[i], strlen(fields[i]), text);
}

static void
shape_check(const json_t *event, const char *text)
{
    const char *type = json_string_value(json_object_get(event, "type"));
    const char *fields = NULL;

    if (type == NULL)
        fail_msg("not an event: %s", text);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
        if (strcmp(shapes[i].type, type) == 0)
            fields = shapes[i].fields;
    if (fields == NULL)
        fail_msg("no documented event: %s", text);
    shape_field(event, "event_id:S", 10, text);
    while (*fields != '\0') {
        size_t n = strcspn(fields, " ");

        if (n > 0)
            shape_field(event, fields, n, text);
        fields += n + (fields[n] == ' ');
    }
    shape_parts(event, text);
    shape_item(json_object_get(event, "item"), text);
    shape_session(json_object_get(event, "session"), text);
}

#endif
