/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_request.h"

#include "model/offline_fields.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define CONTEXT_TOKENS_MAX 28224u
#define INPUT_ITEMS_MAX    512

static const struct schema_field input_element[] = {
    {.name = "item", .kinds = SCHEMA_OBJECT},
};

static const struct schema_field output_fields[] = {
    {.name = "format", .kinds = SCHEMA_OBJECT},
    {.name = "voice",
     .kinds = SCHEMA_STRING | SCHEMA_OBJECT,
     .choices = OFFLINE_VOICES,
     .fields = offline_voice_fields},
    {0},
};

static const struct schema_field audio_fields[] = {
    {.name = "output", .kinds = SCHEMA_OBJECT, .fields = output_fields},
    {0},
};

static const struct schema_field response_fields[] = {
    {.name = "conversation", .kinds = SCHEMA_STRING, .choices = "auto|none"},
    {.name = "input",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = INPUT_ITEMS_MAX,
     .element = input_element},
    {.name = "instructions", .kinds = SCHEMA_STRING | SCHEMA_NULL},
    {.name = "tools",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .max = OFFLINE_TOOLS_MAX,
     .element = offline_tool_element},
    {.name = "tool_choice",
     .kinds = SCHEMA_STRING | SCHEMA_OBJECT | SCHEMA_NULL,
     .choices = "auto|none|required",
     .fields = offline_tool_choice_fields},
    {.name = "output_modalities",
     .kinds = SCHEMA_ARRAY | SCHEMA_NULL,
     .min = 1,
     .max = 1,
     .element = offline_modality_element},
    {.name = "audio", .kinds = SCHEMA_OBJECT, .fields = audio_fields},
    {.name = "max_output_tokens",
     .kinds = SCHEMA_INTEGER | SCHEMA_STRING | SCHEMA_NULL,
     .min = 1,
     .max = 4096,
     .choices = "inf"},
    {.name = "metadata", .kinds = SCHEMA_OBJECT | SCHEMA_NULL},
    {.name = "prompt",
     .kinds = SCHEMA_OBJECT | SCHEMA_NULL,
     .fields = offline_prompt_fields},
    {.name = "reasoning",
     .kinds = SCHEMA_OBJECT | SCHEMA_NULL,
     .fields = offline_reasoning_fields},
    {.name = "parallel_tool_calls", .kinds = SCHEMA_BOOL | SCHEMA_NULL},
    {0},
};

static int
check_metadata(const json_t *metadata, struct offline_fault *fault)
{
    const char *key;
    json_t *value;

    if (json_object_size(metadata) > 16)
        return offline_fault_set(fault, "invalid_value", "response.metadata",
                                 "Invalid 'response.metadata': at most 16 "
                                 "pairs.");
    json_object_foreach((json_t *) metadata, key, value)
    {
        if (strlen(key) > 64 || !json_is_string(value)
            || json_string_length(value) > 512)
            return offline_fault_set(fault, "invalid_value",
                                     "response.metadata",
                                     "Invalid 'response.metadata': keys of "
                                     "at most 64 and string values of at "
                                     "most 512 bytes.");
    }
    return 0;
}

/* --- its fields over the session's */

static json_t *
choose(const json_t *own, json_t *session)
{
    if (own != NULL && !json_is_null(own))
        return json_incref((json_t *) own);
    return json_incref(session);
}

static void
fields_fill(struct offline_request *r, const struct offline_settings *s,
            const json_t *json)
{
    const json_t *output =
        json_object_get(json_object_get(json, "audio"), "output");
    const char *conversation =
        json_string_value(json_object_get(json, "conversation"));
    const json_t *max;

    r->out_of_band = conversation != NULL && strcmp(conversation, "none") == 0;
    r->own_instructions = json_is_string(json_object_get(json, "instructions"));
    r->own_tools = json_is_array(json_object_get(json, "tools"));
    r->own_choice = json_object_get(json, "tool_choice") != NULL;
    r->instructions = choose(json_object_get(json, "instructions"),
                             offline_settings_get(s, "instructions"));
    r->tools = choose(json_object_get(json, "tools"),
                      offline_settings_get(s, "tools"));
    r->tool_choice = choose(json_object_get(json, "tool_choice"),
                            offline_settings_get(s, "tool_choice"));
    r->modalities = choose(json_object_get(json, "output_modalities"),
                           offline_settings_get(s, "output_modalities"));
    r->max_tokens = choose(json_object_get(json, "max_output_tokens"),
                           offline_settings_get(s, "max_output_tokens"));
    r->format = choose(json_object_get(output, "format"),
                       offline_settings_get(s, "audio.output.format"));
    r->voice = choose(json_object_get(output, "voice"),
                      offline_settings_get(s, "audio.output.voice"));
    r->speed = json_number_value(offline_settings_get(s, "audio.output.speed"));
    r->metadata = json_is_object(json_object_get(json, "metadata"))
                      ? json_incref(json_object_get(json, "metadata"))
                      : json_null();
    max = r->max_tokens;
    r->max_output_tokens =
        json_is_integer(max) ? (unsigned) json_integer_value(max) : 0;
    r->audio =
        strcmp(json_string_value(json_array_get(r->modalities, 0)), "audio")
        == 0;
}

/* --- its items */

static int
item_reference(struct offline_item **ip,
               const struct offline_request_sources *sources,
               const json_t *json, const char *path,
               struct offline_fault *fault)
{
    static const struct schema_field fields[] = {
        {.name = "type", .kinds = SCHEMA_STRING, .required = true},
        {.name = "id", .kinds = SCHEMA_STRING, .required = true},
        {0},
    };
    struct offline_item *item;
    const char *id;

    if (schema_check(fields, json, path, fault) != 0)
        return UV_EINVAL;
    id = json_string_value(json_object_get(json, "id"));
    item = offline_conversation_find(sources->conversation, id);
    if (item == NULL)
        return offline_fault_set(fault, "invalid_value", path,
                                 "Item with item_id '%.64s' not found.", id);
    *ip = offline_item_ref(item);
    return 0;
}

static int
items_from_input(struct offline_request *r,
                 const struct offline_request_sources *sources,
                 const json_t *input, struct offline_fault *fault)
{
    char path[64];
    int rc = 0;

    for (size_t i = 0; i < json_array_size(input) && rc == 0; i++) {
        const json_t *json = json_array_get(input, i);
        const char *type = json_string_value(json_object_get(json, "type"));

        snprintf(path, sizeof(path), "response.input[%zu]", i);
        if (type != NULL && strcmp(type, "item_reference") == 0)
            rc =
                item_reference(&r->items[r->count], sources, json, path, fault);
        else
            rc = offline_item_parse(&r->items[r->count], &sources->parser, json,
                                    path, fault);
        r->count += rc == 0;
    }
    return rc;
}

static int
items_fill(struct offline_request *r,
           const struct offline_request_sources *sources, const json_t *json,
           struct offline_fault *fault)
{
    const json_t *input = json_object_get(json, "input");
    bool own = json_is_array(input);
    size_t count = own ? json_array_size(input)
                       : offline_conversation_count(sources->conversation);

    r->items = calloc(count + 1, sizeof(*r->items));
    if (r->items == NULL)
        return offline_fault_server(fault, "server_error", "Out of memory.");
    if (own)
        return items_from_input(r, sources, input, fault);
    for (size_t i = 0; i < count; i++)
        r->items[r->count++] =
            offline_item_ref(offline_conversation_at(sources->conversation, i));
    return 0;
}

static void
items_drop_first(struct offline_request *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        offline_item_unref(&r->items[i]);
    r->count -= n;
    memmove(r->items, r->items + n, r->count * sizeof(*r->items));
}

/* The session's truncation decides what a context too long loses. */
static int
context_fit(struct offline_request *r, const struct offline_settings *s,
            struct offline_fault *fault)
{
    const json_t *how = offline_settings_get(s, "truncation");
    double ratio = json_number_value(json_object_get(how, "retention_ratio"));
    struct offline_context context;
    size_t excess;

    offline_request_context(r, &context);
    excess = offline_usage_excess(&context, CONTEXT_TOKENS_MAX,
                                  ratio > 0 ? ratio : 1.0);
    if (excess == 0)
        return 0;
    if (json_is_string(how) && strcmp(json_string_value(how), "disabled") == 0)
        return offline_fault_set(fault, "context_length_exceeded", NULL,
                                 "The conversation is longer than %u tokens "
                                 "and truncation is disabled.",
                                 CONTEXT_TOKENS_MAX);
    items_drop_first(r, excess);
    return 0;
}

/* --- */

int
offline_request_parse(struct offline_request *r,
                      const struct offline_request_sources *sources,
                      const json_t *json, struct offline_fault *fault)
{
    const json_t *format = json_object_get(
        json_object_get(json_object_get(json, "audio"), "output"), "format");
    int rc;

    memset(r, 0, sizeof(*r));
    if (json != NULL
        && (schema_check(response_fields, json, "response", fault) != 0
            || check_metadata(json_object_get(json, "metadata"), fault) != 0
            || offline_format_check(format, "response.audio.output.format",
                                    fault)
                   != 0
            || offline_tools_check(json_object_get(json, "tools"),
                                   "response.tools", fault)
                   != 0))
        return UV_EINVAL;
    fields_fill(r, sources->settings, json);
    rc = offline_tool_choice_check(r->tool_choice, r->tools,
                                   "response.tool_choice", fault);
    if (rc == 0)
        rc = items_fill(r, sources, json, fault);
    if (rc == 0)
        rc = context_fit(r, sources->settings, fault);
    if (rc != 0)
        offline_request_deinit(r);
    return rc;
}

void
offline_request_deinit(struct offline_request *r)
{
    json_decref(r->instructions);
    json_decref(r->tools);
    json_decref(r->tool_choice);
    json_decref(r->modalities);
    json_decref(r->max_tokens);
    json_decref(r->format);
    json_decref(r->voice);
    json_decref(r->metadata);
    for (size_t i = 0; i < r->count; i++)
        offline_item_unref(&r->items[i]);
    free(r->items);
    memset(r, 0, sizeof(*r));
}

struct offline_item *
offline_request_subject(const struct offline_request *r)
{
    if (r->count > 0 && r->items[r->count - 1]->kind == ITEM_OUTPUT)
        return r->items[r->count - 1];
    for (size_t i = r->count; i-- > 0;)
        if (r->items[i]->kind == ITEM_USER)
            return r->items[i];
    return NULL;
}

void
offline_request_context(const struct offline_request *r,
                        struct offline_context *context)
{
    context->instructions = json_string_value(r->instructions);
    context->tools = r->tools;
    context->items = r->items;
    context->count = r->count;
}
