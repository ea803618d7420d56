/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_fields.h"

#include <string.h>
#include <uv.h>

#define OPTIONAL_STRING (SCHEMA_STRING | SCHEMA_NULL)
#define OPTIONAL_OBJECT (SCHEMA_OBJECT | SCHEMA_NULL)

const struct schema_field offline_format_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "audio/pcm|audio/pcmu|audio/pcma"},
    {.name = "rate", .kinds = SCHEMA_INTEGER},
    {0},
};

static const struct schema_field tool_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "function"},
    {.name = "name",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 64},
    {.name = "description", .kinds = OPTIONAL_STRING},
    {.name = "parameters", .kinds = OPTIONAL_OBJECT},
    {0},
};

const struct schema_field offline_tool_element[] = {
    {.name = "tool", .kinds = SCHEMA_OBJECT, .fields = tool_fields},
};

const struct schema_field offline_tool_choice_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "function"},
    {.name = "name",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 64},
    {0},
};

const struct schema_field offline_voice_fields[] = {
    {.name = "id",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 128},
    {0},
};

const struct schema_field offline_modality_element[] = {
    {.name = "modality", .kinds = SCHEMA_STRING, .choices = "audio|text"},
};

static const struct schema_field word_element[] = {
    {.name = "word", .kinds = SCHEMA_STRING, .max = 256},
};

static const struct schema_field transcription_fields[] = {
    {.name = "model", .kinds = SCHEMA_STRING, .min = 1, .max = 128},
    {.name = "language", .kinds = OPTIONAL_STRING, .max = 32},
    {.name = "prompt", .kinds = OPTIONAL_STRING, .max = 1024},
    {.name = "languages",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = 32,
     .element = word_element},
    {.name = "keywords",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = 256,
     .element = word_element},
    {.name = "delay",
     .kinds = OPTIONAL_STRING,
     .choices = "minimal|low|medium|high|xhigh"},
    {0},
};

static const struct schema_field noise_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "near_field|far_field"},
    {.name = "strength", .kinds = SCHEMA_STRING | SCHEMA_NUMBER | SCHEMA_NULL},
    {0},
};

const struct schema_field offline_server_vad_fields[] = {
    {.name = "type", .kinds = SCHEMA_STRING, .choices = "server_vad"},
    {.name = "threshold", .kinds = SCHEMA_NUMBER, .max = 1},
    {.name = "prefix_padding_ms", .kinds = SCHEMA_INTEGER, .max = 10000},
    {.name = "silence_duration_ms", .kinds = SCHEMA_INTEGER, .max = 20000},
    {.name = "idle_timeout_ms",
     .kinds = SCHEMA_INTEGER | SCHEMA_NULL,
     .min = 5000,
     .max = 30000},
    {.name = "create_response", .kinds = SCHEMA_BOOL},
    {.name = "interrupt_response", .kinds = SCHEMA_BOOL},
    {0},
};

const struct schema_field offline_semantic_vad_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "semantic_vad"},
    {.name = "eagerness",
     .kinds = SCHEMA_STRING,
     .choices = "low|medium|high|auto"},
    {.name = "create_response", .kinds = SCHEMA_BOOL},
    {.name = "interrupt_response", .kinds = SCHEMA_BOOL},
    {0},
};

static const struct schema_field input_fields[] = {
    {.name = "format", .kinds = SCHEMA_OBJECT},
    {.name = "transcription",
     .kinds = OPTIONAL_OBJECT,
     .fields = transcription_fields},
    {.name = "noise_reduction",
     .kinds = OPTIONAL_OBJECT,
     .fields = noise_fields},
    {.name = "turn_detection", .kinds = OPTIONAL_OBJECT},
    {0},
};

static const struct schema_field output_fields[] = {
    {.name = "format", .kinds = SCHEMA_OBJECT},
    {.name = "voice",
     .kinds = SCHEMA_STRING | SCHEMA_OBJECT,
     .choices = OFFLINE_VOICES,
     .fields = offline_voice_fields},
    {.name = "speed", .kinds = SCHEMA_NUMBER, .min = 0.25, .max = 1.5},
    {0},
};

static const struct schema_field audio_fields[] = {
    {.name = "input", .kinds = SCHEMA_OBJECT, .fields = input_fields},
    {.name = "output", .kinds = SCHEMA_OBJECT, .fields = output_fields},
    {0},
};

const struct schema_field offline_reasoning_fields[] = {
    {.name = "effort",
     .kinds = OPTIONAL_STRING,
     .choices = "minimal|low|medium|high|xhigh"},
    {0},
};

static const struct schema_field truncation_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "retention_ratio"},
    {.name = "retention_ratio",
     .kinds = SCHEMA_NUMBER,
     .required = true,
     .max = 1},
    {.name = "token_limits", .kinds = OPTIONAL_OBJECT},
    {0},
};

const struct schema_field offline_prompt_fields[] = {
    {.name = "id",
     .kinds = SCHEMA_STRING,
     .required = true,
     .min = 1,
     .max = 256},
    {.name = "version", .kinds = OPTIONAL_STRING, .max = 256},
    {.name = "variables", .kinds = OPTIONAL_OBJECT},
    {0},
};

static const struct schema_field tracing_fields[] = {
    {.name = "workflow_name", .kinds = OPTIONAL_STRING, .max = 512},
    {.name = "group_id", .kinds = OPTIONAL_STRING, .max = 512},
    {.name = "metadata", .kinds = OPTIONAL_OBJECT},
    {0},
};

static const struct schema_field include_element[] = {
    {.name = "include",
     .kinds = SCHEMA_STRING,
     .choices = "item.input_audio_transcription.logprobs"},
};

const struct schema_field offline_session_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "realtime|transcription"},
    {.name = "model", .kinds = SCHEMA_STRING, .min = 1, .max = 256},
    {.name = "instructions", .kinds = OPTIONAL_STRING},
    {.name = "output_modalities",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .min = 1,
     .max = 1,
     .element = offline_modality_element},
    {.name = "tools",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = OFFLINE_TOOLS_MAX,
     .element = offline_tool_element},
    {.name = "tool_choice",
     .kinds = SCHEMA_STRING | SCHEMA_OBJECT | SCHEMA_NULL,
     .choices = "auto|none|required",
     .fields = offline_tool_choice_fields},
    {.name = "parallel_tool_calls", .kinds = SCHEMA_BOOL | SCHEMA_NULL},
    {.name = "reasoning",
     .kinds = OPTIONAL_OBJECT,
     .fields = offline_reasoning_fields},
    {.name = "max_output_tokens",
     .kinds = SCHEMA_INTEGER | SCHEMA_STRING | SCHEMA_NULL,
     .min = 1,
     .max = 4096,
     .choices = "inf"},
    {.name = "truncation",
     .kinds = SCHEMA_STRING | OPTIONAL_OBJECT,
     .choices = "auto|disabled",
     .fields = truncation_fields},
    {.name = "prompt",
     .kinds = OPTIONAL_OBJECT,
     .fields = offline_prompt_fields},
    {.name = "tracing",
     .kinds = SCHEMA_STRING | OPTIONAL_OBJECT,
     .choices = "auto",
     .fields = tracing_fields},
    {.name = "include",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = 8,
     .element = include_element},
    {.name = "audio", .kinds = SCHEMA_OBJECT, .fields = audio_fields},
    {0},
};

static const struct schema_field hearing_audio_fields[] = {
    {.name = "input", .kinds = SCHEMA_OBJECT, .fields = input_fields},
    {0},
};

const struct schema_field offline_transcription_session_fields[] = {
    {.name = "type",
     .kinds = SCHEMA_STRING,
     .required = true,
     .choices = "realtime|transcription"},
    {.name = "include",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = 8,
     .element = include_element},
    {.name = "audio", .kinds = SCHEMA_OBJECT, .fields = hearing_audio_fields},
    {0},
};

int
offline_format_check(const json_t *format, const char *path,
                     struct offline_fault *fault)
{
    const json_t *rate;
    char name[128];
    json_int_t wanted;

    if (format == NULL)
        return 0;
    if (schema_check(offline_format_fields, format, path, fault) != 0)
        return UV_EINVAL;
    rate = json_object_get(format, "rate");
    wanted = offline_format_of(format) == OFFLINE_PCM ? 24000 : 8000;
    if (rate == NULL || json_integer_value(rate) == wanted)
        return 0;
    schema_path(name, sizeof(name), path, "rate");
    return offline_fault_set(fault, "invalid_value", name,
                             "Invalid value: %lld. Supported values are: "
                             "%lld.",
                             (long long) json_integer_value(rate),
                             (long long) wanted);
}

enum offline_format
offline_format_of(const json_t *format)
{
    const char *type = json_string_value(json_object_get(format, "type"));

    if (type != NULL && strcmp(type, "audio/pcmu") == 0)
        return OFFLINE_PCMU;
    if (type != NULL && strcmp(type, "audio/pcma") == 0)
        return OFFLINE_PCMA;
    return OFFLINE_PCM;
}

static bool
tool_name_is_legal(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz"
                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")]
           == '\0';
}

static const json_t *
tool_find(const json_t *tools, const char *name, size_t before)
{
    for (size_t i = 0; i < before && i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *own = json_string_value(json_object_get(tool, "name"));

        if (own != NULL && strcmp(own, name) == 0)
            return tool;
    }
    return NULL;
}

int
offline_tools_check(const json_t *tools, const char *path,
                    struct offline_fault *fault)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        const char *name = json_string_value(json_object_get(tool, "name"));

        if (!tool_name_is_legal(name))
            return offline_fault_set(fault, "invalid_value", path,
                                     "Invalid tool name '%s': letters, "
                                     "digits, '_' and '-' only.",
                                     name);
        if (tool_find(tools, name, i) != NULL)
            return offline_fault_set(fault, "invalid_value", path,
                                     "Tool name '%s' is declared twice.", name);
    }
    return 0;
}

int
offline_tool_choice_check(const json_t *choice, const json_t *tools,
                          const char *path, struct offline_fault *fault)
{
    const char *name = json_string_value(json_object_get(choice, "name"));

    if (name == NULL || tool_find(tools, name, SIZE_MAX) != NULL)
        return 0;
    return offline_fault_set(fault, "invalid_value", path,
                             "Tool choice '%s' not found in 'tools'.", name);
}

/* --- client events */

#define EVENT_COMMON                                                           \
    {.name = "type", .kinds = SCHEMA_STRING, .required = true},                \
    {                                                                          \
        .name = "event_id", .kinds = SCHEMA_STRING | SCHEMA_NULL,              \
        .max = OFFLINE_EVENT_ID_MAX                                            \
    }

static const struct schema_field event_plain_fields[] = {EVENT_COMMON, {0}};

static const struct schema_field event_update_fields[] = {
    EVENT_COMMON,
    {.name = "session", .kinds = SCHEMA_OBJECT, .required = true},
    {0},
};

static const struct schema_field event_append_fields[] = {
    EVENT_COMMON,
    {.name = "audio", .kinds = SCHEMA_STRING, .required = true},
    {0},
};

static const struct schema_field event_create_fields[] = {
    EVENT_COMMON,
    {.name = "item", .kinds = SCHEMA_OBJECT, .required = true},
    {.name = "previous_item_id", .kinds = SCHEMA_STRING | SCHEMA_NULL},
    {0},
};

static const struct schema_field event_item_id_fields[] = {
    EVENT_COMMON,
    {.name = "item_id", .kinds = SCHEMA_STRING, .required = true},
    {0},
};

static const struct schema_field event_truncate_fields[] = {
    EVENT_COMMON,
    {.name = "item_id", .kinds = SCHEMA_STRING, .required = true},
    {.name = "content_index", .kinds = SCHEMA_INTEGER, .required = true},
    {.name = "audio_end_ms", .kinds = SCHEMA_INTEGER, .required = true},
    {0},
};

static const struct schema_field event_response_fields[] = {
    EVENT_COMMON,
    {.name = "response", .kinds = SCHEMA_OBJECT | SCHEMA_NULL},
    {0},
};

static const struct schema_field event_cancel_fields[] = {
    EVENT_COMMON,
    {.name = "response_id", .kinds = SCHEMA_STRING | SCHEMA_NULL},
    {0},
};

static const struct {
    const char *type;
    const struct schema_field *fields;
} client_events[] = {
    {"input_audio_buffer.append", event_append_fields},
    {"session.update", event_update_fields},
    {"input_audio_buffer.commit", event_plain_fields},
    {"input_audio_buffer.clear", event_plain_fields},
    {"output_audio_buffer.clear", event_plain_fields},
    {"conversation.item.create", event_create_fields},
    {"conversation.item.retrieve", event_item_id_fields},
    {"conversation.item.truncate", event_truncate_fields},
    {"conversation.item.delete", event_item_id_fields},
    {"response.create", event_response_fields},
    {"response.cancel", event_cancel_fields},
};

int
offline_event_check(const json_t *event, struct offline_fault *fault)
{
    const json_t *type = json_object_get(event, "type");

    if (type == NULL || !json_is_string(type)) {
        return schema_check(event_plain_fields, event, "", fault);
    }
    for (size_t i = 0; i < sizeof(client_events) / sizeof(client_events[0]);
         i++) {
        if (strcmp(client_events[i].type, json_string_value(type)) == 0) {
            return schema_check(client_events[i].fields, event, "", fault);
        }
    }
    return offline_fault_set(fault, "invalid_value", "type",
                             "Invalid value: '%.64s'. It is the type of no "
                             "event that a client may send.",
                             json_string_value(type));
}
