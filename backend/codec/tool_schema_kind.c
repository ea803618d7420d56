/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/tool_schema_kind.h"

#include <math.h>
#include <string.h>

static bool
is_whole(const json_t *value)
{
    double number = json_number_value(value);

    return json_is_integer(value)
           || (json_is_real(value) && floor(number) == number);
}

bool
tool_schema_kind_fits(const char *kind, const json_t *value)
{
    if (strcmp(kind, "object") == 0)
        return json_is_object(value);
    if (strcmp(kind, "array") == 0)
        return json_is_array(value);
    if (strcmp(kind, "string") == 0)
        return json_is_string(value);
    if (strcmp(kind, "integer") == 0)
        return is_whole(value);
    if (strcmp(kind, "number") == 0)
        return json_is_number(value);
    if (strcmp(kind, "boolean") == 0)
        return json_is_boolean(value);
    if (strcmp(kind, "null") == 0)
        return json_is_null(value);
    return true; /* of a later JSON Schema */
}

const char *
tool_schema_kind_named(const char *kind)
{
    static const char *const names[][2] = {
        {"object", "an object"}, {"array", "an array"},
        {"string", "a string"},  {"integer", "an integer"},
        {"number", "a number"},  {"boolean", "true or false"},
        {"null", "null"},
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i][0], kind) == 0)
            return names[i][1];
    return "of another type";
}

const char *
tool_schema_kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_NULL:
        return "null";
    default:
        return "true or false";
    }
}
