/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_settings.h"

#include <stdlib.h>
#include <string.h>

#define PCM_BYTES_A_MS  48 /* 24 kHz, 16 bits */
#define G711_BYTES_A_MS 8

void
history_settings_init(struct history_settings *settings)
{
    *settings = (struct history_settings){
        .in_bytes_per_ms = PCM_BYTES_A_MS,
        .out_bytes_per_ms = PCM_BYTES_A_MS,
        .auto_answers = true,
    };
}

void
history_settings_deinit(struct history_settings *settings)
{
    free(settings->update);
    free(settings->tools.in_force);
    free(settings->tools.sent);
    free(settings->instructions.in_force);
    free(settings->instructions.sent);
}

/* --- what the model may not show */

static void
kept_sent(struct history_kept *kept, const json_t *value)
{
    if (!value)
        return;
    free(kept->sent);
    kept->sent = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void
kept_refused(struct history_kept *kept)
{
    free(kept->sent);
    kept->sent = NULL;
}

static void
kept_settle(struct history_kept *kept)
{
    if (!kept->sent)
        return;
    free(kept->in_force);
    kept->in_force = kept->sent;
    kept->sent = NULL;
}

static bool
is_empty(const json_t *value)
{
    return !value || json_is_null(value)
           || (json_is_string(value) && json_string_length(value) == 0)
           || (json_is_array(value) && json_array_size(value) == 0);
}

static bool
has_secrets(const json_t *tools)
{
    const json_t *tool;
    size_t i;

    json_array_foreach(tools, i, tool)
    {
        const char *type = json_string_value(json_object_get(tool, "type"));
        if (type && strcmp(type, "mcp") == 0)
            return true;
    }
    return false;
}

void
history_settings_sent(struct history_settings *settings, const json_t *session)
{
    kept_sent(&settings->tools, json_object_get(session, "tools"));
    kept_sent(&settings->instructions,
              json_object_get(session, "instructions"));
}

void
history_settings_refused(struct history_settings *settings)
{
    kept_refused(&settings->tools);
    kept_refused(&settings->instructions);
}

/* As it was told, where the model shows nothing of it or, of tools, not all. */
static bool
kept_apply(const struct history_kept *kept, json_t *session, const char *key)
{
    json_t *value;

    if (!kept->in_force)
        return true;
    value = json_loads(kept->in_force, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
    if (value && !has_secrets(value)
        && !is_empty(json_object_get(session, key))) {
        json_decref(value);
        return true;
    }
    return json_object_set_new(session, key, value) == 0;
}

/* --- the session object */

/* What it holds of these keys and is not null. */
static json_t *
members_copy(const json_t *from, const char *const *keys)
{
    json_t *to = json_object();

    for (; *keys; keys++) {
        json_t *value = json_object_get(from, *keys);
        if (value && !json_is_null(value))
            json_object_set(to, *keys, value);
    }
    return to;
}

/* Null says something here: no transcription, turns by hand. In the object
 * it says "the default". */
static void
nullable_copy(json_t *to, const json_t *from, const char *key)
{
    json_t *value = json_object_get(from, key);
    json_t *copy;
    const char *name;
    json_t *member;

    if (!value)
        return;
    if (!json_is_object(value)) {
        json_object_set(to, key, value);
        return;
    }
    copy = json_object();
    json_object_foreach(value, name, member) if (!json_is_null(member))
        json_object_set(copy, name, member);
    json_object_set_new(to, key, copy);
}

static json_t *
audio_copy(const json_t *audio)
{
    static const char *const in_keys[] = {"format", NULL};
    static const char *const out_keys[] = {"format", "voice", "speed", NULL};
    const json_t *input = json_object_get(audio, "input");
    const json_t *output = json_object_get(audio, "output");
    json_t *copy = json_object();

    if (json_is_object(input)) {
        json_t *in = members_copy(input, in_keys);
        nullable_copy(in, input, "transcription");
        nullable_copy(in, input, "noise_reduction");
        nullable_copy(in, input, "turn_detection");
        json_object_set_new(copy, "input", in);
    }
    if (json_is_object(output))
        json_object_set_new(copy, "output", members_copy(output, out_keys));
    return copy;
}

/* NULL: no memory. Given. */
static json_t *
session_copy(const json_t *session)
{
    static const char *const keys[] = {
        "type",      "instructions",      "output_modalities",
        "tools",     "tool_choice",       "parallel_tool_calls",
        "reasoning", "max_output_tokens", "truncation",
        "prompt",    "tracing",           "include",
        NULL};
    const json_t *audio = json_object_get(session, "audio");
    json_t *copy = members_copy(session, keys);

    if (json_is_object(audio))
        json_object_set_new(copy, "audio", audio_copy(audio));
    if (!json_object_get(copy, "type"))
        json_object_set_new(copy, "type", json_string("realtime"));
    return copy;
}

static uint32_t
rate_of(const json_t *side, uint32_t otherwise)
{
    const char *type = json_string_value(
        json_object_get(json_object_get(side, "format"), "type"));

    if (!type)
        return otherwise;
    return strcmp(type, "audio/pcm") == 0 ? PCM_BYTES_A_MS : G711_BYTES_A_MS;
}

static void
facts_read(struct history_settings *settings, const json_t *session)
{
    const json_t *audio = json_object_get(session, "audio");
    const json_t *input = json_object_get(audio, "input");
    const json_t *detection = json_object_get(input, "turn_detection");
    const json_t *answers = json_object_get(detection, "create_response");

    settings->in_bytes_per_ms = rate_of(input, settings->in_bytes_per_ms);
    settings->out_bytes_per_ms =
        rate_of(json_object_get(audio, "output"), settings->out_bytes_per_ms);
    if (!detection)
        return;
    settings->by_hand = json_is_null(detection);
    settings->auto_answers = !settings->by_hand && !json_is_false(answers);
}

void
history_settings_shown(struct history_settings *settings, const json_t *session)
{
    json_t *copy;
    char *text;

    if (!json_is_object(session))
        return;
    facts_read(settings, session);
    kept_settle(&settings->tools);
    kept_settle(&settings->instructions);
    copy = session_copy(session);
    text = json_dumps(copy, JSON_COMPACT);
    json_decref(copy);
    if (!text)
        return;
    free(settings->update);
    settings->update = text;
}

json_t *
history_settings_event(const struct history_settings *settings, bool *failed)
{
    json_t *session, *event;

    *failed = false;
    if (!settings->update)
        return NULL;
    session = json_loads(settings->update, JSON_ALLOW_NUL, NULL);
    if (!kept_apply(&settings->tools, session, "tools")
        || !kept_apply(&settings->instructions, session, "instructions"))
        *failed = true;
    event =
        json_pack("{s:s, s:o}", "type", "session.update", "session", session);
    *failed = *failed || !event;
    return event;
}
