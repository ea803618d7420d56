/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   flat ─► copy ─► each row: taken out, converted, put at its path ─► GA
 *   flat ◄─ each row: taken from its path, converted, put in ◄─ copy ◄─ GA
 */

#include "codec/dialect_session.h"

#include "codec/dialect_event.h"
#include "codec/dialect_item.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

/* Gives a new value; NULL: no memory. */
typedef json_t *convert_h(const json_t *value);

enum shape {
    SHAPE_SESSION = 1,
    SHAPE_CREATE = 2, /* of a response.create */
    SHAPE_ANSWER = 4, /* of response.created and response.done */
};

struct field {
    const char *flat;
    const char *path[4]; /* in GA, NULL behind the last */
    const char *param;   /* the path as an error names it */
    unsigned shapes;
    convert_h *to_ga, *to_flat; /* NULL: the value is the same */
};

static const struct {
    const char *flat;
    const char *ga;
} formats[] = {
    {"pcm16", "audio/pcm"},
    {"g711_ulaw", "audio/pcmu"},
    {"g711_alaw", "audio/pcma"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char session_whole[] =
    "{\"object\":\"realtime.session\",\"output_modalities\":[\"audio\"],"
    "\"instructions\":\"\",\"tools\":[],\"tool_choice\":\"auto\","
    "\"max_output_tokens\":\"inf\",\"tracing\":null,\"truncation\":\"auto\","
    "\"prompt\":null,\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\","
    "\"rate\":24000},\"transcription\":null,\"noise_reduction\":null,"
    "\"turn_detection\":null},\"output\":{\"format\":{\"type\":\"audio/pcm\","
    "\"rate\":24000},\"speed\":1.0}},\"include\":null}";

static bool
array_has(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const char *one = json_string_value(json_array_get(array, i));
        if (one && strcmp(one, text) == 0)
            return true;
    }
    return false;
}

/* GA speaks or writes, never both; its audio has a transcript. */
static json_t *
modalities_to_ga(const json_t *value)
{
    if (array_has(value, "audio"))
        return json_pack("[s]", "audio");
    return json_deep_copy(value);
}

static json_t *
modalities_to_flat(const json_t *value)
{
    if (array_has(value, "audio"))
        return json_pack("[s, s]", "audio", "text");
    return json_deep_copy(value);
}

/* A name that is no format stands in `type`, where the model refuses it. */
static json_t *
format_to_ga(const json_t *value)
{
    const char *name = json_string_value(value);

    if (!name)
        return json_deep_copy(value);
    for (size_t i = 0; i < COUNT(formats); i++) {
        if (strcmp(name, formats[i].flat) != 0)
            continue;
        if (i == 0)
            return json_pack("{s:s, s:i}", "type", formats[i].ga, "rate",
                             24000);
        return json_pack("{s:s}", "type", formats[i].ga);
    }
    return json_pack("{s:s}", "type", name);
}

static json_t *
format_to_flat(const json_t *value)
{
    const char *name = json_string_value(json_object_get(value, "type"));

    if (!name)
        return json_deep_copy(value);
    for (size_t i = 0; i < COUNT(formats); i++)
        if (strcmp(name, formats[i].ga) == 0)
            return json_string(formats[i].flat);
    return json_string(name);
}

/* "none", and xAI's null, say what GA says with null. */
static json_t *
turn_to_ga(const json_t *value)
{
    const json_t *type = json_object_get(value, "type");

    if (json_is_null(type)
        || (json_is_string(type)
            && strcmp(json_string_value(type), "none") == 0))
        return json_null();
    return json_deep_copy(value);
}

/* One server has {name, type} where GA has the name. */
static json_t *
voice_to_ga(const json_t *value)
{
    json_t *name = json_object_get(value, "name");

    if (json_is_string(name) && !json_object_get(value, "id"))
        return json_incref(name);
    return json_deep_copy(value);
}

#define INPUT(name)  {"audio", "input", name}, "audio.input." name
#define OUTPUT(name) {"audio", "output", name}, "audio.output." name
#define TOP(name)    {name}, name

static const struct field fields[] = {
    {"modalities", TOP("output_modalities"),
     SHAPE_SESSION | SHAPE_CREATE | SHAPE_ANSWER, modalities_to_ga,
     modalities_to_flat},
    {"voice", OUTPUT("voice"), SHAPE_SESSION | SHAPE_CREATE | SHAPE_ANSWER,
     voice_to_ga, NULL},
    {"speed", OUTPUT("speed"), SHAPE_SESSION, NULL, NULL},
    {"input_audio_format", INPUT("format"), SHAPE_SESSION, format_to_ga,
     format_to_flat},
    {"output_audio_format", OUTPUT("format"),
     SHAPE_SESSION | SHAPE_CREATE | SHAPE_ANSWER, format_to_ga, format_to_flat},
    {"input_audio_transcription", INPUT("transcription"), SHAPE_SESSION, NULL,
     NULL},
    {"input_audio_noise_reduction", INPUT("noise_reduction"), SHAPE_SESSION,
     NULL, NULL},
    {"turn_detection", INPUT("turn_detection"), SHAPE_SESSION, turn_to_ga,
     NULL},
    {"max_response_output_tokens", TOP("max_output_tokens"),
     SHAPE_SESSION | SHAPE_CREATE, NULL, NULL},
};

/* What the beta has and GA has not, and the other way round. */
static const char *const flat_only[] = {"temperature", "client_secret"};
static const char *const ga_only[] = {
    "type", "audio", "truncation", "prompt", "reasoning", "parallel_tool_calls",
};

static void
keys_drop(json_t *object, const char *const *keys, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_object_del(object, keys[i]);
}

static json_t *
path_get(const json_t *object, const char *const path[4])
{
    json_t *at = (json_t *) object;

    for (size_t i = 0; at && path[i]; i++)
        at = json_object_get(at, path[i]);
    return at;
}

/* Takes the value. What stands in the way and is no object stays there. */
static int
path_set(json_t *object, const char *const path[4], json_t *value)
{
    json_t *at = object;
    size_t i = 0;

    for (; path[i + 1] && json_is_object(at); i++) {
        json_t *next = json_object_get(at, path[i]);
        if (!next) {
            next = json_object();
            if (json_object_set_new(at, path[i], next)) {
                json_decref(value);
                return UV_ENOMEM;
            }
        }
        at = next;
    }
    if (!json_is_object(at)) {
        json_decref(value);
        return 0;
    }
    return json_object_set_new(at, path[i], value) ? UV_ENOMEM : 0;
}

static json_t *
converted(convert_h *convert, const json_t *value)
{
    return convert ? convert(value) : json_deep_copy(value);
}

static int
fields_to_ga(json_t *object, unsigned shape)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        json_t *value = json_object_get(object, f->flat);
        if (!value || !(f->shapes & shape))
            continue;
        json_t *ga = converted(f->to_ga, value);
        json_object_del(object, f->flat);
        if (!ga || path_set(object, f->path, ga))
            return UV_ENOMEM;
    }
    keys_drop(object, flat_only, COUNT(flat_only));
    return 0;
}

static int
fields_to_flat(json_t *object, unsigned shape)
{
    for (size_t i = 0; i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        json_t *value = path_get(object, f->path);
        if (!value || !(f->shapes & shape))
            continue;
        json_t *flat = converted(f->to_flat, value);
        if (!f->path[1])
            json_object_del(object, f->path[0]);
        if (!flat || json_object_set_new(object, f->flat, flat))
            return UV_ENOMEM;
    }
    keys_drop(object, ga_only, COUNT(ga_only));
    return 0;
}

/* The beta's tools may leave out what kind they are. */
static int
tools_type(json_t *object)
{
    json_t *tools = json_object_get(object, "tools"), *tool;
    size_t i;

    json_array_foreach(tools, i, tool)
    {
        if (json_is_object(tool) && !json_object_get(tool, "type")
            && json_object_set_new(tool, "type", json_string("function")))
            return UV_ENOMEM;
    }
    return 0;
}

/* Gives the copy, or nothing and an error. */
static int
copy_give(json_t **to, json_t *copy, int result)
{
    if (result)
        json_decref(copy);
    else
        *to = copy;
    return result;
}

/* UV_EINVAL or UV_ENOMEM, or 0 and a copy to work on. */
static int
copy_open(const json_t *from, json_t **copy)
{
    if (!json_is_object(from))
        return UV_EINVAL;
    *copy = json_deep_copy(from);
    return *copy ? 0 : UV_ENOMEM;
}

static bool
text_is(const json_t *object, const char *key, const char *text)
{
    const char *value = json_string_value(json_object_get(object, key));

    return value && strcmp(value, text) == 0;
}

static bool
is_transcription(const json_t *session)
{
    return text_is(session, "type", "transcription")
           || text_is(session, "object", "realtime.transcription_session");
}

static int
session_to_ga(const json_t *flat, const char *type, json_t **ga)
{
    json_t *copy;
    int result = copy_open(flat, &copy);

    if (result)
        return result;
    result = fields_to_ga(copy, SHAPE_SESSION);
    if (!result)
        result = tools_type(copy);
    if (!result && json_object_set_new(copy, "type", json_string(type)))
        result = UV_ENOMEM;
    return copy_give(ga, copy, result);
}

int
dialect_session_from_beta(const json_t *flat, json_t **ga)
{
    const char *type = is_transcription(flat) ? "transcription" : "realtime";

    return session_to_ga(flat, type, ga);
}

int
dialect_session_from_beta_transcription(const json_t *flat, json_t **ga)
{
    int result = session_to_ga(flat, "transcription", ga);

    /* Nothing is ever said in one, and GA has no place to say so. */
    if (!result)
        json_object_del(*ga, "output_modalities");
    return result;
}

/* A null is no format. */
static void
format_drop_null(json_t *audio, const char *side)
{
    json_t *one = json_object_get(audio, side);

    if (json_is_null(json_object_get(one, "format")))
        json_object_del(one, "format");
}

int
dialect_session_fill(json_t *ga)
{
    if (!text_is(ga, "type", "realtime"))
        return 0;
    if (!json_is_object(json_object_get(ga, "audio")))
        json_object_del(ga, "audio");
    format_drop_null(json_object_get(ga, "audio"), "input");
    format_drop_null(json_object_get(ga, "audio"), "output");
    return dialect_fill_text(ga, session_whole);
}

int
dialect_session_to_beta(const json_t *ga, json_t **flat)
{
    json_t *copy;
    int result = copy_open(ga, &copy);

    if (result)
        return result;
    bool whole = json_object_get(ga, "object") != NULL;
    bool speaks = !is_transcription(ga);
    result = fields_to_flat(copy, SHAPE_SESSION);
    /* Clients of the beta read it; GA's models have it fixed. */
    if (!result && whole && speaks
        && json_object_set_new(copy, "temperature", json_real(0.8)))
        result = UV_ENOMEM;
    return copy_give(flat, copy, result);
}

int
dialect_response_from_beta(const json_t *beta, json_t **ga)
{
    json_t *copy;
    int result = copy_open(beta, &copy);

    if (result)
        return result;
    result = fields_to_ga(copy, SHAPE_CREATE);
    if (!result)
        result = tools_type(copy);
    if (!result)
        result = dialect_items_from_beta(json_object_get(copy, "input"));
    return copy_give(ga, copy, result);
}

int
dialect_response_to_beta(const json_t *ga, json_t **beta)
{
    json_t *copy;
    int result = copy_open(ga, &copy);

    if (result)
        return result;
    result = fields_to_flat(copy, SHAPE_CREATE);
    if (!result)
        result = dialect_items_to_beta(json_object_get(copy, "input"));
    return copy_give(beta, copy, result);
}

int
dialect_answer_from_beta(const json_t *beta, json_t **ga)
{
    json_t *copy;
    int result = copy_open(beta, &copy);

    if (result)
        return result;
    result = fields_to_ga(copy, SHAPE_ANSWER);
    if (!result)
        result = dialect_items_from_beta(json_object_get(copy, "output"));
    return copy_give(ga, copy, result);
}

int
dialect_answer_to_beta(const json_t *ga, json_t **beta)
{
    json_t *copy;
    int result = copy_open(ga, &copy);

    if (result)
        return result;
    result = fields_to_flat(copy, SHAPE_ANSWER);
    if (!result)
        result = dialect_items_to_beta(json_object_get(copy, "output"));
    if (!result && json_object_set_new(copy, "temperature", json_real(0.8)))
        result = UV_ENOMEM;
    return copy_give(beta, copy, result);
}

/* Behind `name` when the path begins with it, else NULL. */
static const char *
behind(const char *path, const char *name)
{
    size_t bytes = strlen(name);

    if (strncmp(path, name, bytes) != 0)
        return NULL;
    return path[bytes] == 0 || path[bytes] == '.' ? path + bytes : NULL;
}

static bool
param_map(const char *param, char out[DIALECT_PARAM_BYTES], bool to_ga)
{
    const char *dot = strchr(param, '.');

    if (!behind(param, "session") && !behind(param, "response"))
        return false;
    for (size_t i = 0; dot && i < COUNT(fields); i++) {
        const struct field *f = &fields[i];
        const char *rest = behind(dot + 1, to_ga ? f->flat : f->param);
        if (!rest)
            continue;
        /* What was converted has another inside. */
        snprintf(out, DIALECT_PARAM_BYTES, "%.*s.%s%s", (int) (dot - param),
                 param, to_ga ? f->param : f->flat, f->to_flat ? "" : rest);
        return true;
    }
    return false;
}

bool
dialect_param_from_beta(const char *param, char out[DIALECT_PARAM_BYTES])
{
    return param_map(param, out, true);
}

bool
dialect_param_to_beta(const char *param, char out[DIALECT_PARAM_BYTES])
{
    return param_map(param, out, false);
}
