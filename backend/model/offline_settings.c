/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_settings.h"

#include "model/offline_fields.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEFAULT_INSTRUCTIONS                                                   \
    "Answer spoken questions briefly and in a friendly voice. Use the tools "  \
    "you were given when they fit, and say so when something was not "         \
    "understood."
#define DEFAULT_VOICE "marin"

struct offline_settings {
    json_t *session; /* owned: what session.created and .updated show */
    bool transcription;
};

/* --- defaults */

static json_t *
default_turn_detection(const char *type)
{
    if (strcmp(type, "semantic_vad") == 0)
        return json_pack("{s:s, s:s, s:b, s:b}", "type", "semantic_vad",
                         "eagerness", "auto", "create_response", 1,
                         "interrupt_response", 1);
    return json_pack("{s:s, s:f, s:i, s:i, s:n, s:b, s:b}", "type",
                     "server_vad", "threshold", 0.5, "prefix_padding_ms", 300,
                     "silence_duration_ms", 500, "idle_timeout_ms",
                     "create_response", 1, "interrupt_response", 1);
}

static json_t *
default_input(void)
{
    return json_pack("{s:{s:s, s:i}, s:n, s:n, s:o}", "format", "type",
                     "audio/pcm", "rate", 24000, "transcription",
                     "noise_reduction", "turn_detection",
                     default_turn_detection("server_vad"));
}

static json_t *
default_session(const struct offline_settings_config *cfg)
{
    if (cfg->transcription)
        return json_pack(
            "{s:s, s:s, s:s, s:I, s:{s:o}, s:n}", "type", "transcription",
            "object", "realtime.transcription_session", "id", cfg->session_id,
            "expires_at", (json_int_t) cfg->expires_at_s, "audio", "input",
            default_input(), "include");
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:[s], s:s, s:[], s:s, s:s, s:n, s:s, s:n, s:I,"
        " s:{s:o, s:{s:{s:s, s:i}, s:s, s:f}}, s:n}",
        "type", "realtime", "object", "realtime.session", "id", cfg->session_id,
        "model", cfg->model, "output_modalities", "audio", "instructions",
        DEFAULT_INSTRUCTIONS, "tools", "tool_choice", "auto",
        "max_output_tokens", "inf", "tracing", "truncation", "auto", "prompt",
        "expires_at", (json_int_t) cfg->expires_at_s, "audio", "input",
        default_input(), "output", "format", "type", "audio/pcm", "rate", 24000,
        "voice", DEFAULT_VOICE, "speed", 1.0, "include");
}

/* What null means for a field that can't be null. */
static json_t *
cleared_value(const char *key)
{
    if (strcmp(key, "instructions") == 0)
        return json_string(DEFAULT_INSTRUCTIONS);
    if (strcmp(key, "output_modalities") == 0)
        return json_pack("[s]", "audio");
    if (strcmp(key, "tools") == 0)
        return json_array();
    if (strcmp(key, "tool_choice") == 0 || strcmp(key, "truncation") == 0)
        return json_string("auto");
    if (strcmp(key, "max_output_tokens") == 0)
        return json_string("inf");
    return json_null();
}

int
offline_settings_create(struct offline_settings **sp,
                        const struct offline_settings_config *cfg)
{
    struct offline_settings *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return UV_ENOMEM;
    s->transcription = cfg->transcription;
    s->session = default_session(cfg);
    if (s->session == NULL) {
        /* Names that are not UTF-8 are refused the same way. */
        free(s);
        return UV_EINVAL;
    }
    *sp = s;
    return 0;
}

void
offline_settings_destroy(struct offline_settings **sp)
{
    if (*sp == NULL)
        return;
    json_decref((*sp)->session);
    free(*sp);
    *sp = NULL;
}

/* --- update */

static json_t *
at(const json_t *object, const char *a, const char *b)
{
    return json_object_get(json_object_get(object, a), b);
}

/* The type an update of turn_detection is for: its own, else the present. */
static const char *
turn_type(const struct offline_settings *s, const json_t *update)
{
    const char *type = json_string_value(json_object_get(update, "type"));
    const json_t *now = offline_settings_get(s, "audio.input.turn_detection");

    if (type == NULL)
        type = json_string_value(json_object_get(now, "type"));
    return type != NULL ? type : "server_vad";
}

static int
check_turn_detection(const struct offline_settings *s, const json_t *turn,
                     struct offline_fault *fault)
{
    static const char path[] = "session.audio.input.turn_detection";
    const json_t *type = json_object_get(turn, "type");
    const char *name = turn_type(s, turn);

    if (!json_is_object(turn))
        return 0;
    if (type != NULL && strcmp(name, "server_vad") != 0
        && strcmp(name, "semantic_vad") != 0)
        return offline_fault_set(fault, "invalid_value",
                                 "session.audio.input.turn_detection.type",
                                 "Invalid value: '%.64s'. Supported values "
                                 "are: server_vad|semantic_vad.",
                                 name);
    if (type != NULL && strcmp(name, "semantic_vad") == 0)
        return schema_check(offline_semantic_vad_fields, turn, path, fault);
    if (strcmp(name, "semantic_vad") == 0)
        /* The type is understood, the rest is checked without it. */
        return schema_check(offline_semantic_vad_fields + 1, turn, path, fault);
    return schema_check(offline_server_vad_fields, turn, path, fault);
}

static int
check_fixed(const struct offline_settings *s, const json_t *update,
            bool voice_locked, struct offline_fault *fault)
{
    const json_t *model = json_object_get(update, "model");
    const json_t *tracing = json_object_get(update, "tracing");
    const json_t *now = json_object_get(s->session, "tracing");
    const json_t *voice =
        at(json_object_get(update, "audio"), "output", "voice");

    if (model != NULL
        && !json_equal(model, json_object_get(s->session, "model")))
        return offline_fault_set(fault, "invalid_value", "session.model",
                                 "The model of a session can't be changed.");
    if (tracing != NULL && !json_is_null(now) && !json_equal(tracing, now))
        return offline_fault_set(fault, "invalid_value", "session.tracing",
                                 "Tracing can't be changed once enabled.");
    if (voice_locked && voice != NULL
        && !json_equal(voice, offline_settings_get(s, "audio.output.voice")))
        return offline_fault_set(fault, "cannot_update_voice",
                                 "session.audio.output.voice",
                                 "Cannot update a conversation's voice if "
                                 "assistant audio is present.");
    return 0;
}

static int
check_update(const struct offline_settings *s, const json_t *update,
             bool voice_locked, struct offline_fault *fault)
{
    const json_t *audio = json_object_get(update, "audio");
    const json_t *tools = json_object_get(update, "tools");
    const json_t *choice = json_object_get(update, "tool_choice");
    const char *type;

    if (schema_check(s->transcription ? offline_transcription_session_fields
                                      : offline_session_fields,
                     update, "session", fault)
        != 0)
        return UV_EINVAL;
    type = json_string_value(json_object_get(update, "type"));
    if ((strcmp(type, "transcription") == 0) != s->transcription)
        return offline_fault_set(fault, "invalid_value", "session.type",
                                 "The type of a session can't be changed.");
    if (check_fixed(s, update, voice_locked, fault) != 0
        || offline_format_check(at(audio, "input", "format"),
                                "session.audio.input.format", fault)
               != 0
        || offline_format_check(at(audio, "output", "format"),
                                "session.audio.output.format", fault)
               != 0
        || check_turn_detection(s, at(audio, "input", "turn_detection"), fault)
               != 0
        || offline_tools_check(tools, "session.tools", fault) != 0)
        return UV_EINVAL;
    if (tools == NULL)
        tools = json_object_get(s->session, "tools");
    return offline_tool_choice_check(choice, tools, "session.tool_choice",
                                     fault);
}

static json_t *
merged_format(const json_t *update)
{
    if (offline_format_of(update) != OFFLINE_PCM)
        return json_pack("{s:O}", "type", json_object_get(update, "type"));
    return json_pack("{s:s, s:i}", "type", "audio/pcm", "rate", 24000);
}

/* now: what is in force (may be null); update wins; base fills the rest. */
static json_t *
merged_object(json_t *base, const json_t *now, const json_t *update)
{
    if (base == NULL
        || (json_is_object(now)
            && json_object_update(base, (json_t *) now) != 0)
        || json_object_update(base, (json_t *) update) != 0) {
        json_decref(base);
        return NULL;
    }
    return base;
}

static json_t *
merged_input(const struct offline_settings *s, const char *key,
             const json_t *now, json_t *update)
{
    const char *type, *old;

    if (strcmp(key, "format") == 0)
        return merged_format(update);
    if (!json_is_object(update) || strcmp(key, "noise_reduction") == 0)
        return json_incref(update);
    if (strcmp(key, "transcription") == 0)
        return merged_object(json_pack("{s:s, s:n, s:n}", "model", "offline",
                                       "language", "prompt"),
                             now, update);
    type = turn_type(s, update);
    old = json_string_value(json_object_get(now, "type"));
    if (old == NULL || strcmp(old, type) != 0)
        now = NULL;
    return merged_object(default_turn_detection(type), now, update);
}

static int
merge_audio(const struct offline_settings *s, json_t *audio,
            const json_t *update)
{
    const char *key;
    json_t *value, *merged;
    json_t *input = json_object_get(audio, "input");
    json_t *output = json_object_get(audio, "output");
    int rc = 0;

    json_object_foreach(json_object_get(update, "input"), key, value)
    {
        merged = merged_input(s, key, json_object_get(input, key), value);
        rc |= json_object_set_new(input, key, merged);
    }
    json_object_foreach(json_object_get(update, "output"), key, value)
    {
        merged = strcmp(key, "format") == 0 ? merged_format(value)
                                            : json_incref(value);
        rc |= json_object_set_new(output, key, merged);
    }
    return rc;
}

int
offline_settings_update(struct offline_settings *s, const json_t *update,
                        bool voice_locked, struct offline_fault *fault)
{
    json_t *session, *own, *value;
    const char *key;
    int rc = 0;

    if (check_update(s, update, voice_locked, fault) != 0)
        return UV_EINVAL;
    session = json_deep_copy(s->session);
    own = json_deep_copy(update);
    json_object_foreach(own, key, value)
    {
        if (strcmp(key, "audio") == 0)
            rc |= merge_audio(s, json_object_get(session, key), value);
        else if (json_is_null(value))
            rc |= json_object_set_new(session, key, cleared_value(key));
        else
            rc |= json_object_set(session, key, value);
    }
    if (session == NULL || own == NULL || rc != 0) {
        json_decref(session);
        json_decref(own);
        return offline_fault_server(fault, "server_error", "Out of memory.");
    }
    json_decref(own);
    json_decref(s->session);
    s->session = session;
    return 0;
}

/* --- questions */

json_t *
offline_settings_session(const struct offline_settings *s)
{
    return s->session;
}

json_t *
offline_settings_get(const struct offline_settings *s, const char *path)
{
    json_t *value = s->session;
    char name[48];
    size_t n;

    while (value != NULL && *path != '\0') {
        n = strcspn(path, ".");
        if (n >= sizeof(name))
            return NULL;
        memcpy(name, path, n);
        name[n] = '\0';
        value = json_object_get(value, name);
        path += n + (path[n] == '.');
    }
    return value;
}

bool
offline_settings_is_transcription(const struct offline_settings *s)
{
    return s->transcription;
}

enum offline_format
offline_settings_input_format(const struct offline_settings *s)
{
    return offline_format_of(offline_settings_get(s, "audio.input.format"));
}

static unsigned
number_at(const json_t *object, const char *key)
{
    return (unsigned) json_integer_value(json_object_get(object, key));
}

/* How long each eagerness waits: unfinished, finished. */
static void
semantic_waits(const json_t *turn, struct offline_turn_settings *t)
{
    const char *name = json_string_value(json_object_get(turn, "eagerness"));

    t->threshold = 0.5;
    t->prefix_ms = 300;
    t->silence_ms = 4000;
    t->finished_ms = 500;
    if (name != NULL && strcmp(name, "low") == 0) {
        t->silence_ms = 8000;
        t->finished_ms = 800;
    } else if (name != NULL && strcmp(name, "high") == 0) {
        t->silence_ms = 2000;
        t->finished_ms = 300;
    }
}

void
offline_settings_turn(const struct offline_settings *s,
                      struct offline_turn_settings *turn)
{
    const json_t *json = offline_settings_get(s, "audio.input.turn_detection");
    const char *type = json_string_value(json_object_get(json, "type"));

    memset(turn, 0, sizeof(*turn));
    turn->kind = TURN_MANUAL;
    if (type == NULL)
        return;
    turn->create_response =
        !s->transcription
        && json_is_true(json_object_get(json, "create_response"));
    turn->interrupt_response =
        json_is_true(json_object_get(json, "interrupt_response"));
    if (strcmp(type, "semantic_vad") == 0) {
        turn->kind = TURN_SEMANTIC_VAD;
        semantic_waits(json, turn);
        return;
    }
    turn->kind = TURN_SERVER_VAD;
    turn->threshold = json_number_value(json_object_get(json, "threshold"));
    turn->prefix_ms = number_at(json, "prefix_padding_ms");
    turn->silence_ms = number_at(json, "silence_duration_ms");
    turn->idle_ms = number_at(json, "idle_timeout_ms");
}
