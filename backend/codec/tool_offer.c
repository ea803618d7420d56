/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/tool_offer.h"

#include "codec/tool_limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* --- lists */

const json_t *
tool_offer_list(const json_t *answer)
{
    const json_t *list = answer;

    if (json_is_object(answer))
        list = json_object_get(answer, "tools");
    return json_is_array(list) ? list : NULL;
}

static const json_t *
schema_find(const json_t *item)
{
    static const char *const names[] = {"parameters", "input_schema",
                                        "inputSchema"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const json_t *schema = json_object_get(item, names[i]);
        if (json_is_object(schema))
            return schema;
    }
    return NULL;
}

int
tool_offer_read(const json_t *item, struct tool_offer *offer)
{
    const json_t *inner = json_object_get(item, "function");
    const char *description;

    if (json_is_object(inner))
        item = inner;
    offer->name = json_string_value(json_object_get(item, "name"));
    if (!offer->name || !*offer->name)
        return UV_EINVAL;
    description = json_string_value(json_object_get(item, "description"));
    offer->description = description ? description : "";
    offer->parameters = schema_find(item);
    offer->read_only =
        json_is_true(json_object_get(item, "read_only"))
        || json_is_true(json_object_get(json_object_get(item, "annotations"),
                                        "readOnlyHint"));
    return 0;
}

/* --- results */

static const char *
status_type(unsigned status)
{
    switch (status) {
    case 400:
    case 422:
        return "invalid_arguments";
    case 401:
    case 403:
        return "denied";
    case 404:
    case 410:
        return "not_found";
    case 408:
    case 504:
        return "timeout";
    case 413:
        return "too_large";
    case 409:
    case 429:
    case 502:
    case 503:
        return "unavailable";
    default:
        return "failed";
    }
}

/* Theirs, where it is one of ours: types are literals. */
static const char *
type_known(const char *type, unsigned status)
{
    static const char *const known[] = {
        "not_found", "denied",      "invalid_arguments", "timeout",
        "cancelled", "unavailable", "too_large",         "failed"};

    for (size_t i = 0; type && i < sizeof(known) / sizeof(*known); i++)
        if (strcmp(known[i], type) == 0)
            return known[i];
    return status_type(status);
}

static void
error_write(struct tool_offer_error *error, const char *text, size_t bytes)
{
    size_t n = sizeof(error->text) - 1;

    n = bytes > n ? tool_limits_cut(text, bytes, n) : bytes;
    memcpy(error->text, text, n);
    error->text[n] = '\0';
    tool_limits_clean(error->text, n);
}

/* A text, an object with one, or whatever it is as JSON. */
static void
error_read(const json_t *value, struct tool_offer_error *error, unsigned status)
{
    const json_t *inner = value;
    char *dump;

    if (json_is_object(value)) {
        inner = json_object_get(value, "message");
        error->type = type_known(
            json_string_value(json_object_get(value, "type")), status);
    }
    if (json_is_string(inner)) {
        error_write(error, json_string_value(inner), json_string_length(inner));
        return;
    }
    dump = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (dump)
        error_write(error, dump, strlen(dump));
    free(dump);
}

/* Where servers put what went wrong. */
static const json_t *
error_find(const json_t *body)
{
    static const char *const names[] = {"error", "detail", "message", "output"};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        const json_t *value = json_object_get(body, names[i]);
        if (value && !json_is_null(value))
            return value;
    }
    return NULL;
}

static bool
result_fails(const struct tool_offer_answer *answer,
             struct tool_offer_error *error)
{
    const json_t *value = error_find(answer->body);

    error->type = status_type(answer->status);
    snprintf(error->text, sizeof(error->text),
             "The tool's server answered with status %u.", answer->status);
    if (value)
        error_read(value, error, answer->status);
    return false;
}

/* An object or a text as they are; others in an object. */
static json_t *
output_wrap(json_t *value)
{
    if (json_is_object(value) || json_is_string(value))
        return json_incref(value);
    return json_pack("{s:O}", "result", value);
}

static json_t *
output_read(const struct tool_offer_answer *answer)
{
    json_t *body = (json_t *) answer->body; /* counted, not changed */
    json_t *value = json_object_get(body, "output");
    json_t *output;
    char *text;

    if (body && json_is_true(json_object_get(body, "success")))
        return value ? output_wrap(value) : json_object();
    if (body)
        return output_wrap(body);
    text = malloc(answer->bytes + 1);
    if (!text)
        return NULL;
    memcpy(text, answer->text, answer->bytes);
    tool_limits_clean(text, answer->bytes);
    output = json_stringn(text, answer->bytes);
    free(text);
    return output;
}

bool
tool_offer_result(const struct tool_offer_answer *answer, json_t **output,
                  struct tool_offer_error *error)
{
    json_t *made = NULL;

    if (answer->status < 200 || answer->status > 299
        || json_is_false(json_object_get(answer->body, "success")))
        return result_fails(answer, error);
    made = output_read(answer);
    if (made) {
        *output = made;
        return true;
    }
    error->type = "failed";
    error_write(error, "There is no memory left for the result.", 39);
    return false;
}

/* Escapes in it may make it longer than it looks. */
static json_t *
beginning_make(const char *text, size_t all, size_t max_bytes)
{
    size_t bytes = tool_limits_cut(text, all, max_bytes);
    json_t *made = NULL;

    do {
        json_decref(made);
        made = json_pack("{s:s%, s:b, s:I}", "output", text, bytes, "truncated",
                         1, "total_bytes", (json_int_t) all);
        bytes = tool_limits_cut(text, bytes, bytes / 2);
    } while (made && json_dumpb(made, NULL, 0, JSON_COMPACT) > 2 * max_bytes);
    return made;
}

json_t *
tool_offer_cut(json_t *output, size_t max_bytes, bool *truncated)
{
    size_t all = json_dumpb(output, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    json_t *made = NULL;
    char *text;

    *truncated = all > max_bytes;
    if (!*truncated)
        return output;
    if (json_is_string(output)) {
        made = beginning_make(json_string_value(output),
                              json_string_length(output), max_bytes);
    } else if ((text = json_dumps(output, JSON_COMPACT)) != NULL) {
        made = beginning_make(text, all, max_bytes);
        free(text);
    }
    json_decref(output);
    return made;
}
