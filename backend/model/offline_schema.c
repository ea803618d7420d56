/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_schema.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#define PATH_BYTES 128

static const struct {
    unsigned kind;
    const char *name;
} kind_names[] = {
    {SCHEMA_STRING, "a string"},  {SCHEMA_INTEGER, "an integer"},
    {SCHEMA_NUMBER, "a number"},  {SCHEMA_BOOL, "a boolean"},
    {SCHEMA_OBJECT, "an object"}, {SCHEMA_ARRAY, "an array"},
    {SCHEMA_NULL, "null"},
};

#define KIND_COUNT (sizeof(kind_names) / sizeof(kind_names[0]))

void
schema_path(char *to, size_t bytes, const char *path, const char *name)
{
    snprintf(to, bytes, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
}

/* The kinds a value counts as. */
static unsigned
value_kinds(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return SCHEMA_OBJECT;
    case JSON_ARRAY:
        return SCHEMA_ARRAY;
    case JSON_STRING:
        return SCHEMA_STRING;
    case JSON_INTEGER:
        return SCHEMA_INTEGER | SCHEMA_NUMBER;
    case JSON_REAL:
        return SCHEMA_NUMBER;
    case JSON_NULL:
        return SCHEMA_NULL;
    default:
        return SCHEMA_BOOL;
    }
}

static const char *
kind_name(unsigned kinds)
{
    for (size_t i = 0; i < KIND_COUNT; i++)
        if (kinds & kind_names[i].kind)
            return kind_names[i].name;
    return "nothing";
}

static int
fault_type(unsigned wanted, unsigned got, const char *path,
           struct offline_fault *fault)
{
    char list[96] = "";
    size_t used = 0;

    for (size_t i = 0; i < KIND_COUNT; i++)
        if (wanted & kind_names[i].kind)
            used +=
                (size_t) snprintf(list + used, sizeof(list) - used, "%s%s",
                                  used > 0 ? " or " : "", kind_names[i].name);
    return offline_fault_set(fault, "invalid_type", path,
                             "Invalid type for '%s': expected %s, but got %s "
                             "instead.",
                             path, list, kind_name(got));
}

static bool
is_choice(const char *choices, const char *text)
{
    size_t n = strlen(text);

    for (const char *at = choices; at != NULL; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, text, n) == 0 && (at[n] == '|' || at[n] == '\0')
            && n > 0)
            return true;
    }
    return false;
}

static int
check_string(const struct schema_field *field, const json_t *value,
             const char *path, struct offline_fault *fault)
{
    size_t bytes = json_string_length(value);

    if (field->choices != NULL) {
        if (is_choice(field->choices, json_string_value(value)))
            return 0;
        return offline_fault_set(fault, "invalid_value", path,
                                 "Invalid value: '%.64s'. Supported values "
                                 "are: %s.",
                                 json_string_value(value), field->choices);
    }
    /* The bounds of "number or string" are the number's. */
    if (field->max == 0 || (field->kinds & SCHEMA_NUMBER))
        return 0;
    if ((double) bytes > field->max)
        return offline_fault_set(fault, "string_above_max_length", path,
                                 "Invalid '%s': string too long. Expected a "
                                 "string with maximum length %.0f, but got a "
                                 "string with length %zu instead.",
                                 path, field->max, bytes);
    if ((double) bytes < field->min)
        return offline_fault_set(fault, "invalid_value", path,
                                 "Invalid '%s': expected a string with "
                                 "minimum length %.0f.",
                                 path, field->min);
    return 0;
}

static int
check_number(const struct schema_field *field, const json_t *value,
             const char *path, struct offline_fault *fault)
{
    double number = json_number_value(value);

    if (field->max == 0 || (number >= field->min && number <= field->max))
        return 0;
    return offline_fault_set(fault, "invalid_value", path,
                             "Invalid value for '%s': expected a value "
                             "between %g and %g, but got %g.",
                             path, field->min, field->max, number);
}

static int check_value(const struct schema_field *field, const json_t *value,
                       const char *path, struct offline_fault *fault);

static int
check_array(const struct schema_field *field, const json_t *value,
            const char *path, struct offline_fault *fault)
{
    size_t count = json_array_size(value);
    char name[PATH_BYTES];

    if (field->max != 0
        && ((double) count > field->max || (double) count < field->min))
        return offline_fault_set(fault, "invalid_value", path,
                                 "Invalid '%s': expected an array of %.0f to "
                                 "%.0f elements, but got %zu.",
                                 path, field->min, field->max, count);
    if (field->element == NULL)
        return 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "%s[%zu]", path, i);
        if (check_value(field->element, json_array_get(value, i), name, fault)
            != 0)
            return UV_EINVAL;
    }
    return 0;
}

/* Depth is the tables' own: a table never refers to itself. */
static int
check_value(const struct schema_field *field, const json_t *value,
            const char *path, struct offline_fault *fault)
{
    unsigned kinds = value_kinds(value);

    if ((kinds & field->kinds) == 0)
        return fault_type(field->kinds, kinds, path, fault);
    if (kinds & SCHEMA_STRING)
        return check_string(field, value, path, fault);
    if (kinds & SCHEMA_NUMBER)
        return check_number(field, value, path, fault);
    if (kinds & SCHEMA_ARRAY)
        return check_array(field, value, path, fault);
    if ((kinds & SCHEMA_OBJECT) && field->fields != NULL)
        return schema_check(field->fields, value, path, fault);
    return 0;
}

static const struct schema_field *
field_find(const struct schema_field *fields, const char *name)
{
    for (; fields->name != NULL; fields++)
        if (strcmp(fields->name, name) == 0)
            return fields;
    return NULL;
}

int
schema_check(const struct schema_field *fields, const json_t *object,
             const char *path, struct offline_fault *fault)
{
    const struct schema_field *field;
    char name[PATH_BYTES];
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return fault_type(SCHEMA_OBJECT, value_kinds(object), path, fault);
    for (field = fields; field->name != NULL; field++) {
        if (!field->required || json_object_get(object, field->name) != NULL)
            continue;
        schema_path(name, sizeof(name), path, field->name);
        return offline_fault_set(fault, "missing_required_parameter", name,
                                 "Missing required parameter: '%s'.", name);
    }
    json_object_foreach((json_t *) object, key, value)
    {
        schema_path(name, sizeof(name), path, key);
        field = field_find(fields, key);
        if (field == NULL)
            return offline_fault_set(fault, "unknown_parameter", name,
                                     "Unknown parameter: '%s'.", name);
        if (check_value(field, value, name, fault) != 0)
            return UV_EINVAL;
    }
    return 0;
}
