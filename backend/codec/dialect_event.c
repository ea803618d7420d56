/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const char usage_whole[] =
    "{\"total_tokens\":0,\"input_tokens\":0,\"output_tokens\":0,"
    "\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":0,"
    "\"image_tokens\":0,\"cached_tokens\":0,\"cached_tokens_details\":"
    "{\"text_tokens\":0,\"audio_tokens\":0,\"image_tokens\":0}},"
    "\"output_token_details\":{\"text_tokens\":0,\"audio_tokens\":0}}";

int
dialect_event_emit(struct dialect_event *e, const json_t *tree)
{
    /* Fifteen digits give 0.8 back as it came. */
    char *text = json_dumps(tree, JSON_COMPACT | JSON_REAL_PRECISION(15));

    if (!text)
        return UV_ENOMEM;
    e->emit(e->arg, text, strlen(text));
    free(text);
    return 0;
}

int
dialect_event_emit_new(struct dialect_event *e, json_t *tree)
{
    int result = tree ? dialect_event_emit(e, tree) : UV_ENOMEM;

    json_decref(tree);
    return result;
}

json_t *
dialect_event_make(struct dialect_event *e, const char *type)
{
    const char *id = dialect_string(e->tree, "event_id");
    char made[160];

    if (id && strlen(id) < sizeof(made) - 16)
        snprintf(made, sizeof(made), "%s_%u", id, ++e->made);
    else
        snprintf(made, sizeof(made), "event_made_%u", ++e->memory->made);
    return json_pack("{s:s, s:s}", "type", type, "event_id", made);
}

int
dialect_event_identify(struct dialect_event *e)
{
    char made[32];

    if (dialect_string(e->tree, "event_id"))
        return 0;
    snprintf(made, sizeof(made), "event_made_%u", ++e->memory->made);
    return json_object_set_new(e->tree, "event_id", json_string(made))
               ? UV_ENOMEM
               : 0;
}

int
dialect_event_member(struct dialect_event *e, const char *key,
                     dialect_translate_h *run)
{
    json_t *to;
    int result = run(json_object_get(e->tree, key), &to);

    if (result == UV_EINVAL)
        return DIALECT_PASS;
    if (result || json_object_set_new(e->tree, key, to))
        return UV_ENOMEM;
    return DIALECT_PASS;
}

const char *
dialect_string(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

bool
dialect_string_is(const json_t *object, const char *key, const char *text)
{
    const char *value = dialect_string(object, key);

    return value && strcmp(value, text) == 0;
}

/* The depth is that of the defaults, which are ours. */
int
dialect_fill(json_t *object, const json_t *defaults)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *) defaults, key, value)
    {
        json_t *has = json_object_get(object, key);
        if (!has) {
            if (json_object_set_new(object, key, json_deep_copy(value)))
                return UV_ENOMEM;
        } else if (json_is_object(has) && json_is_object(value)
                   && !json_object_get(has, "type")
                   && dialect_fill(has, value)) {
            return UV_ENOMEM;
        }
    }
    return 0;
}

int
dialect_fill_text(json_t *object, const char *defaults)
{
    json_t *tree = json_loads(defaults, 0, NULL);
    int result = tree ? dialect_fill(object, tree) : UV_ENOMEM;

    json_decref(tree);
    return result;
}

int
dialect_fill_usage(json_t *response)
{
    json_t *usage = json_object_get(response, "usage");

    if (!json_is_object(usage)) {
        usage = json_object();
        if (json_object_set_new(response, "usage", usage))
            return UV_ENOMEM;
    }
    return dialect_fill_text(usage, usage_whole);
}
