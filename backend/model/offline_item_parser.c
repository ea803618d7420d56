/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_item_parser.h"

#include "model/offline_schema.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define PARTS_MAX       64
#define PATH_BYTES      128
#define OPTIONAL_STRING (SCHEMA_STRING | SCHEMA_NULL)

#define ITEM_COMMON                                                            \
    {.name = "id", .kinds = OPTIONAL_STRING, .min = 1, .max = 32},             \
        {.name = "type", .kinds = SCHEMA_STRING, .required = true},            \
        {.name = "object", .kinds = OPTIONAL_STRING, .max = 64},               \
    {                                                                          \
        .name = "status", .kinds = SCHEMA_STRING,                              \
        .choices = "completed|incomplete|in_progress"                          \
    }

static const struct schema_field any_part_element[] = {
    {.name = "part", .kinds = SCHEMA_OBJECT},
};

static const struct schema_field message_fields[] = {
    ITEM_COMMON,
    {.name = "role",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "system|user|assistant"},
    {.name = "phase", .kinds = OPTIONAL_STRING, .max = 64},
    {.name = "content",
     .kinds = SCHEMA_ARRAY,
     .required = true,
     .max = PARTS_MAX,
     .element = any_part_element},
    {0},
};

static const struct schema_field call_fields[] = {
    ITEM_COMMON,
    {.name = "name",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 64},
    {.name = "call_id", .kinds = OPTIONAL_STRING, .min = 1, .max = 64},
    {.name = "arguments", .kinds = SCHEMA_STRING, .required = true},
    {0},
};

static const struct schema_field output_fields[] = {
    ITEM_COMMON,
    {.name = "call_id",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 64},
    {.name = "output", .kinds = SCHEMA_STRING, .required = true},
    {0},
};

static const struct schema_field text_part_fields[] = {
    {.name = "type", .kinds = SCHEMA_STRING, .required = true},
    {.name = "text", .kinds = SCHEMA_STRING, .required = true},
    {0},
};

static const struct schema_field input_audio_fields[] = {
    {.name = "type", .kinds = SCHEMA_STRING, .required = true},
    {.name = "audio", .kinds = OPTIONAL_STRING},
    {.name = "transcript", .kinds = OPTIONAL_STRING},
    {0},
};

static const struct schema_field image_fields[] = {
    {.name = "type", .kinds = SCHEMA_STRING, .required = true},
    {.name = "image_url", .kinds = SCHEMA_STRING, .required = true},
    {.name = "detail", .kinds = SCHEMA_STRING, .choices = "auto|low|high"},
    {0},
};

/* A past answer's audio can't be made again: its words count, audio sent
 * along is left out. */
static const struct schema_field output_audio_fields[] = {
    {.name = "type", .kinds = SCHEMA_STRING, .required = true},
    {.name = "audio", .kinds = OPTIONAL_STRING},
    {.name = "transcript", .kinds = OPTIONAL_STRING},
    {0},
};

static const struct part_kind {
    const char *type;
    enum offline_item_kind item;
    const struct schema_field *fields;
} part_kinds[] = {
    {"input_text", ITEM_SYSTEM, text_part_fields},
    {"input_text", ITEM_USER, text_part_fields},
    {"input_audio", ITEM_USER, input_audio_fields},
    {"input_image", ITEM_USER, image_fields},
    {"output_text", ITEM_ASSISTANT, text_part_fields},
    {"output_audio", ITEM_ASSISTANT, output_audio_fields},
};

static int
part_check(enum offline_item_kind kind, const json_t *part, const char *path,
           struct offline_fault *fault)
{
    const char *type = json_string_value(json_object_get(part, "type"));
    char name[PATH_BYTES], list[96] = "";
    size_t used = 0;

    schema_path(name, sizeof(name), path, "type");
    if (type == NULL)
        return schema_check(text_part_fields, part, path, fault);
    for (size_t i = 0; i < sizeof(part_kinds) / sizeof(part_kinds[0]); i++) {
        if (part_kinds[i].item != kind)
            continue;
        if (strcmp(part_kinds[i].type, type) == 0)
            return schema_check(part_kinds[i].fields, part, path, fault);
        used += (size_t) snprintf(list + used, sizeof(list) - used, "%s'%s'",
                                  used > 0 ? ", " : "", part_kinds[i].type);
    }
    return offline_fault_set(fault, "invalid_value", name,
                             "Invalid value: '%.64s'. Supported values are: "
                             "%s.",
                             type, list);
}

/* What the conversation keeps of a part: all but the audio. */
static json_t *
part_kept(const json_t *part)
{
    json_t *kept = json_copy((json_t *) part);

    json_object_del(kept, "audio");
    if (json_is_null(json_object_get(kept, "transcript"))
        && strcmp(json_string_value(json_object_get(kept, "type")),
                  "output_audio")
               == 0)
        json_object_del(kept, "transcript");
    return kept;
}

/* Builds the content and finds the one part that may carry audio. */
static int
content_parse(enum offline_item_kind kind, const json_t *content, json_t *kept,
              const char *path, struct offline_fault *fault)
{
    char name[PATH_BYTES];
    bool audio = false;

    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *part = json_array_get(content, i);

        snprintf(name, sizeof(name), "%s.content[%zu]", path, i);
        if (part_check(kind, part, name, fault) != 0)
            return UV_EINVAL;
        if (json_string_length(json_object_get(part, "audio")) > 0 && audio)
            return offline_fault_set(fault, "invalid_value", name,
                                     "An item holds one part with audio at "
                                     "most.");
        audio = audio || json_string_length(json_object_get(part, "audio")) > 0;
        if (json_array_append_new(kept, part_kept(part)) != 0)
            return offline_fault_server(fault, "server_error",
                                        "Out of memory.");
    }
    return 0;
}

static int
audio_parse(struct offline_item *item, const struct offline_item_parser *parser,
            const json_t *content, const char *path,
            struct offline_fault *fault)
{
    struct offline_audio audio;
    char name[PATH_BYTES];
    int rc = 0;

    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *text =
            json_object_get(json_array_get(content, i), "audio");

        if (item->kind != ITEM_USER || json_string_length(text) == 0)
            continue;
        snprintf(name, sizeof(name), "%s.content[%zu].audio", path, i);
        offline_audio_init(&audio, parser->format);
        rc = offline_audio_decode(&audio, text, parser->max_audio_bytes,
                                  &item->pcm, &item->samples);
        if (rc == UV_ENOMEM)
            return offline_fault_server(fault, "server_error",
                                        "Out of memory.");
        if (rc != 0)
            return offline_fault_set(
                fault, "invalid_value", name, "Invalid '%s': expected %s.",
                name, rc == UV_E2BIG ? "less audio" : "base64 audio");
        item->capacity = item->samples;
        item->has_audio = item->samples > 0;
        item->audio_index = i;
    }
    return 0;
}

static int
message_parse(struct offline_item **ip,
              const struct offline_item_parser *parser, const json_t *json,
              const char *path, struct offline_fault *fault)
{
    const json_t *content = json_object_get(json, "content");
    const char *role, *id;
    enum offline_item_kind kind;
    struct offline_item *item;
    json_t *kept;

    if (schema_check(message_fields, json, path, fault) != 0)
        return UV_EINVAL;
    role = json_string_value(json_object_get(json, "role"));
    kind = role[0] == 's'   ? ITEM_SYSTEM
           : role[0] == 'u' ? ITEM_USER
                            : ITEM_ASSISTANT;
    kept = json_array();
    if (content_parse(kind, content, kept, path, fault) != 0) {
        json_decref(kept);
        return UV_EINVAL;
    }
    id = json_string_value(json_object_get(json, "id"));
    item = offline_item_make(kind, id,
                             json_pack("{s:s, s:s, s:s, s:o}", "type",
                                       "message", "status", "completed", "role",
                                       role, "content", kept));
    if (item == NULL)
        return offline_fault_server(fault, "server_error", "Out of memory.");
    if (audio_parse(item, parser, content, path, fault) != 0) {
        offline_item_unref(&item);
        return UV_EINVAL;
    }
    *ip = item;
    return 0;
}

static json_t *
call_json(const json_t *json)
{
    json_t *call_id = json_object_get(json, "call_id");
    char fresh[OFFLINE_ID_BYTES];

    offline_id_make(fresh, "call_", 16);
    return json_pack(
        "{s:s, s:s, s:O, s:o, s:O}", "type", "function_call", "status",
        "completed", "name", json_object_get(json, "name"), "call_id",
        json_is_string(call_id) ? json_incref(call_id) : json_string(fresh),
        "arguments", json_object_get(json, "arguments"));
}

static json_t *
output_json(const json_t *json)
{
    return json_pack("{s:s, s:O, s:O}", "type", "function_call_output",
                     "call_id", json_object_get(json, "call_id"), "output",
                     json_object_get(json, "output"));
}

static int
plain_parse(struct offline_item **ip, enum offline_item_kind kind,
            const json_t *json, const char *path, struct offline_fault *fault)
{
    const char *id = json_string_value(json_object_get(json, "id"));

    if (schema_check(kind == ITEM_CALL ? call_fields : output_fields, json,
                     path, fault)
        != 0)
        return UV_EINVAL;
    *ip = offline_item_make(
        kind, id, kind == ITEM_CALL ? call_json(json) : output_json(json));
    if (*ip == NULL)
        return offline_fault_server(fault, "server_error", "Out of memory.");
    return 0;
}

int
offline_item_parse(struct offline_item **ip,
                   const struct offline_item_parser *parser, const json_t *json,
                   const char *path, struct offline_fault *fault)
{
    static const struct schema_field type_only[] = {
        {.name = "type",
         .kinds = SCHEMA_STRING,
         .required = true,
         .choices = "message|function_call|function_call_output"},
        {0},
    };
    json_t *type = json_object_get(json, "type");
    json_t *alone = json_object();
    const char *name;
    int rc;

    if (type != NULL)
        json_object_set(alone, "type", type);
    rc = schema_check(type_only, json_is_object(json) ? alone : json, path,
                      fault);
    json_decref(alone);
    if (rc != 0)
        return rc;
    name = json_string_value(type);
    if (strcmp(name, "message") == 0)
        return message_parse(ip, parser, json, path, fault);
    return plain_parse(
        ip, strcmp(name, "function_call") == 0 ? ITEM_CALL : ITEM_OUTPUT, json,
        path, fault);
}
