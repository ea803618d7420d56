/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   value_check ─► $ref ─► type ─► enum, const ─► by kind: object, array,
 *       ▲                                         string, number ─► anyOf …
 *       └──────────── each part of the value ◄────────┘
 */

#include "codec/tool_schema.h"

#include "codec/tool_schema_kind.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PATH_BYTES 256
#define NAME_SHOWN 48 /* bytes of a property's name in an error */
#define LIST_BYTES 160
#define REFS_MAX   16 /* one to the other, before there is a schema */

struct check {
    const json_t *root;
    char *error;
    char path[PATH_BYTES];
    size_t path_bytes;
    unsigned depth, steps;
    unsigned tries; /* inside anyOf and the like: nobody reads errors */
};

static int value_check(struct check *c, const json_t *schema,
                       const json_t *value);

/* --- errors */

static int refuse(struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int
refuse(struct check *c, const char *format, ...)
{
    char text[TOOL_SCHEMA_ERROR_BYTES - PATH_BYTES];
    va_list args;

    if (c->tries > 0)
        return UV_EINVAL;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(c->error, TOOL_SCHEMA_ERROR_BYTES, "%s %s", c->path, text);
    return UV_EINVAL;
}

static int
exhaust(struct check *c)
{
    snprintf(c->error, TOOL_SCHEMA_ERROR_BYTES,
             "The arguments are too deep or too large to be checked.");
    return UV_E2BIG;
}

/* A name as it may stand in an error: cut between characters. */
static int
shown_bytes(const char *name)
{
    size_t bytes = strlen(name);

    if (bytes <= NAME_SHOWN)
        return (int) bytes;
    bytes = NAME_SHOWN;
    while (bytes > 0 && ((unsigned char) name[bytes] & 0xc0) == 0x80)
        bytes--;
    return (int) bytes;
}

/* What does not fit is left out: the way up stays right. */
static size_t path_enter(struct check *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static size_t
path_enter(struct check *c, const char *format, ...)
{
    size_t before = c->path_bytes;
    size_t room = PATH_BYTES - before;
    va_list args;

    va_start(args, format);
    int bytes = vsnprintf(c->path + before, room, format, args);
    va_end(args);
    if (bytes < 0 || (size_t) bytes >= room)
        c->path[before] = 0;
    else
        c->path_bytes += (size_t) bytes;
    return before;
}

static void
path_leave(struct check *c, size_t before)
{
    c->path_bytes = before;
    c->path[before] = 0;
}

/* --- kinds */

static int
kinds_refuse(struct check *c, const json_t *kinds, const json_t *value)
{
    char list[LIST_BYTES] = "";
    size_t i, bytes = 0;
    const json_t *kind;

    json_array_foreach(kinds, i, kind)
    {
        const char *name = tool_schema_kind_named(json_string_value(kind));
        int more = snprintf(list + bytes, sizeof(list) - bytes, "%s%s",
                            i > 0 ? " or " : "", name);
        if (more < 0 || (size_t) more >= sizeof(list) - bytes)
            break;
        bytes += (size_t) more;
    }
    return refuse(c, "must be %s, not %s.", list, tool_schema_kind_of(value));
}

static int
type_check(struct check *c, const json_t *type, const json_t *value)
{
    const json_t *kind;
    size_t i;

    if (json_is_string(type))
        return tool_schema_kind_fits(json_string_value(type), value)
                   ? 0
                   : refuse(c, "must be %s, not %s.",
                            tool_schema_kind_named(json_string_value(type)),
                            tool_schema_kind_of(value));
    if (json_array_size(type) == 0)
        return 0;
    json_array_foreach(type, i, kind)
    {
        if (!json_is_string(kind)
            || tool_schema_kind_fits(json_string_value(kind), value))
            return 0;
    }
    return kinds_refuse(c, type, value);
}

/* --- one of these, and no other */

static bool
equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_is_integer(a) && json_is_integer(b)
                   ? json_integer_value(a) == json_integer_value(b)
                   : json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

static int
choice_refuse(struct check *c, const json_t *choices)
{
    char list[LIST_BYTES] = "";
    size_t i, bytes = 0;
    const json_t *choice;

    json_array_foreach(choices, i, choice)
    {
        char *text = json_dumps(choice, JSON_ENCODE_ANY | JSON_COMPACT);
        int more = snprintf(list + bytes, sizeof(list) - bytes, "%s%s",
                            i > 0 ? ", " : "", text ? text : "…");

        free(text);
        if (more < 0 || (size_t) more >= sizeof(list) - bytes) {
            list[bytes] = 0;
            return refuse(c, "must be one of %s, ….", list);
        }
        bytes += (size_t) more;
    }
    return refuse(c, "must be one of %s.", list);
}

static int
choice_check(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *choices = json_object_get(schema, "enum");
    const json_t *only = json_object_get(schema, "const");
    const json_t *choice;
    size_t i;

    if (only && !equal(only, value))
        return refuse(c, "is not the one value that it may have.");
    if (!json_is_array(choices))
        return 0;
    json_array_foreach(choices, i, choice)
    {
        if (++c->steps > TOOL_SCHEMA_STEPS_MAX)
            return exhaust(c);
        if (equal(choice, value))
            return 0;
    }
    return choice_refuse(c, choices);
}

/* --- objects */

static int
required_check(struct check *c, const json_t *schema, const json_t *object)
{
    const json_t *required = json_object_get(schema, "required");
    const json_t *name;
    size_t i;

    json_array_foreach(required, i, name)
    {
        const char *text = json_string_value(name);

        if (text && !json_object_get(object, text))
            return refuse(c, "lacks \"%.*s\".", shown_bytes(text), text);
    }
    return 0;
}

/* What the schema does not name; with patternProperties nobody can say. */
static int
additional_check(struct check *c, const json_t *schema, const char *name,
                 const json_t *value)
{
    const json_t *additional = json_object_get(schema, "additionalProperties");

    if (!additional || json_object_get(schema, "patternProperties"))
        return 0;
    if (json_is_false(additional))
        return refuse(c, "may not have \"%.*s\".", shown_bytes(name), name);
    size_t before = path_enter(c, ".%.*s", shown_bytes(name), name);
    int result = value_check(c, additional, value);
    path_leave(c, before);
    return result;
}

static int
object_check(struct check *c, const json_t *schema, const json_t *object)
{
    const json_t *properties = json_object_get(schema, "properties");
    const char *name;
    json_t *value;
    int result = required_check(c, schema, object);

    /* The walk changes nothing; jansson's iterator takes no const. */
    json_object_foreach((json_t *) (uintptr_t) object, name, value)
    {
        const json_t *property = json_object_get(properties, name);

        if (result)
            break;
        if (!property) {
            result = additional_check(c, schema, name, value);
            continue;
        }
        size_t before = path_enter(c, ".%.*s", shown_bytes(name), name);
        result = value_check(c, property, value);
        path_leave(c, before);
    }
    return result;
}

/* --- arrays, strings, numbers */

/* A keyword that counts; *out untouched: there is none. */
static bool
count_of(const json_t *schema, const char *keyword, size_t *out)
{
    const json_t *count = json_object_get(schema, keyword);

    if (!json_is_integer(count) || json_integer_value(count) < 0)
        return false;
    *out = (size_t) json_integer_value(count);
    return true;
}

static int
unique_check(struct check *c, const json_t *array)
{
    for (size_t i = 1; i < json_array_size(array); i++)
        for (size_t j = 0; j < i; j++) {
            if (++c->steps > TOOL_SCHEMA_STEPS_MAX)
                return exhaust(c);
            if (equal(json_array_get(array, i), json_array_get(array, j)))
                return refuse(c, "has the same item twice.");
        }
    return 0;
}

static int
array_check(struct check *c, const json_t *schema, const json_t *array)
{
    const json_t *items = json_object_get(schema, "items");
    size_t bound, i, have = json_array_size(array);
    const json_t *item;
    int result = 0;

    if (count_of(schema, "minItems", &bound) && have < bound)
        return refuse(c, "must have at least %zu items.", bound);
    if (count_of(schema, "maxItems", &bound) && have > bound)
        return refuse(c, "may have at most %zu items.", bound);
    if (json_is_true(json_object_get(schema, "uniqueItems")))
        result = unique_check(c, array);
    if (!items || json_object_get(schema, "prefixItems"))
        return result;
    json_array_foreach(array, i, item)
    {
        if (result)
            break;
        size_t before = path_enter(c, "[%zu]", i);
        result = value_check(c, items, item);
        path_leave(c, before);
    }
    return result;
}

static size_t
characters_of(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t bytes = json_string_length(string), count = 0;

    for (size_t i = 0; i < bytes; i++)
        count += ((unsigned char) text[i] & 0xc0) != 0x80;
    return count;
}

static int
string_check(struct check *c, const json_t *schema, const json_t *string)
{
    size_t bound;

    if (count_of(schema, "minLength", &bound) && characters_of(string) < bound)
        return refuse(c, "must have at least %zu characters.", bound);
    if (count_of(schema, "maxLength", &bound) && characters_of(string) > bound)
        return refuse(c, "may have at most %zu characters.", bound);
    return 0;
}

static int
number_check(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *least = json_object_get(schema, "minimum");
    const json_t *most = json_object_get(schema, "maximum");
    const json_t *above = json_object_get(schema, "exclusiveMinimum");
    const json_t *below = json_object_get(schema, "exclusiveMaximum");
    const json_t *step = json_object_get(schema, "multipleOf");
    double number = json_number_value(value);

    if (json_is_number(least) && number < json_number_value(least))
        return refuse(c, "must be at least %g.", json_number_value(least));
    if (json_is_number(most) && number > json_number_value(most))
        return refuse(c, "must be at most %g.", json_number_value(most));
    if (json_is_number(above) && number <= json_number_value(above))
        return refuse(c, "must be more than %g.", json_number_value(above));
    if (json_is_number(below) && number >= json_number_value(below))
        return refuse(c, "must be less than %g.", json_number_value(below));
    if (json_is_number(step) && json_number_value(step) > 0
        && fabs(remainder(number, json_number_value(step)))
               > json_number_value(step) * 1e-9)
        return refuse(c, "must be a multiple of %g.", json_number_value(step));
    return 0;
}

/* --- several schemas for one value */

/* How many of them fit, or UV_E2BIG. */
static int
fitting_count(struct check *c, const json_t *schemas, const json_t *value)
{
    const json_t *schema;
    int count = 0;
    size_t i;

    json_array_foreach(schemas, i, schema)
    {
        c->tries++;
        int result = value_check(c, schema, value);
        c->tries--;
        if (result == UV_E2BIG)
            return result;
        count += result == 0;
    }
    return count;
}

static int
any_check(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *any = json_object_get(schema, "anyOf");
    const json_t *one = json_object_get(schema, "oneOf");
    const json_t *no = json_object_get(schema, "not");
    int count;

    if (json_array_size(any) > 0) {
        count = fitting_count(c, any, value);
        if (count <= 0)
            return count < 0 ? count
                             : refuse(c, "fits none of the forms it may have.");
    }
    if (json_array_size(one) > 0) {
        count = fitting_count(c, one, value);
        if (count != 1)
            return count < 0
                       ? count
                       : refuse(c, "must fit one of its forms, not %d.", count);
    }
    if (!no)
        return 0;
    c->tries++;
    int result = value_check(c, no, value);
    c->tries--;
    return result == UV_EINVAL ? 0
           : result            ? result
                               : refuse(c, "is what it may not be.");
}

static int
all_check(struct check *c, const json_t *schema, const json_t *value)
{
    const json_t *all = json_object_get(schema, "allOf");
    const json_t *each;
    int result = 0;
    size_t i;

    json_array_foreach(all, i, each)
    {
        result = value_check(c, each, value);
        if (result)
            break;
    }
    return result;
}

/* --- references */

/* The next part of a JSON pointer, unescaped; false: none, or too long. */
static bool
pointer_next(const char **at, char out[PATH_BYTES])
{
    size_t bytes = 0;

    if (**at != '/')
        return false;
    ++*at;
    while (**at && **at != '/' && bytes < PATH_BYTES - 1) {
        char byte = *(*at)++;

        if (byte == '~' && (**at == '0' || **at == '1'))
            byte = *(*at)++ == '0' ? '~' : '/';
        out[bytes++] = byte;
    }
    out[bytes] = 0;
    return **at == 0 || **at == '/';
}

/* NULL: it leads nowhere. */
static const json_t *
reference_follow(const struct check *c, const char *reference)
{
    const json_t *schema = c->root;
    char part[PATH_BYTES];

    if (*reference++ != '#')
        return NULL;
    while (schema && *reference) {
        if (!pointer_next(&reference, part))
            return NULL;
        schema = json_is_array(schema)
                     ? json_array_get(schema, strtoul(part, NULL, 10))
                     : json_object_get(schema, part);
    }
    return schema;
}

/* The schema itself, or what it refers to; NULL: anything is allowed. */
static const json_t *
schema_resolve(const struct check *c, const json_t *schema)
{
    for (unsigned i = 0; i < REFS_MAX && schema; i++) {
        const char *reference =
            json_string_value(json_object_get(schema, "$ref"));

        if (!reference)
            return schema;
        schema = reference_follow(c, reference);
    }
    return NULL;
}

/* --- one value */

static int
parts_check(struct check *c, const json_t *schema, const json_t *value)
{
    int result = type_check(c, json_object_get(schema, "type"), value);

    if (!result)
        result = choice_check(c, schema, value);
    if (!result && json_is_object(value))
        result = object_check(c, schema, value);
    if (!result && json_is_array(value))
        result = array_check(c, schema, value);
    if (!result && json_is_string(value))
        result = string_check(c, schema, value);
    if (!result && json_is_number(value))
        result = number_check(c, schema, value);
    if (!result)
        result = all_check(c, schema, value);
    return result ? result : any_check(c, schema, value);
}

static int
value_check(struct check *c, const json_t *schema, const json_t *value)
{
    if (++c->steps > TOOL_SCHEMA_STEPS_MAX || c->depth >= TOOL_SCHEMA_DEPTH_MAX)
        return exhaust(c);
    schema = schema_resolve(c, schema);
    if (json_is_false(schema))
        return refuse(c, "may not be there.");
    if (!json_is_object(schema))
        return 0;
    c->depth++;
    int result = parts_check(c, schema, value);
    c->depth--;
    return result;
}

int
tool_schema_check(const json_t *schema, const json_t *arguments,
                  char error[TOOL_SCHEMA_ERROR_BYTES])
{
    struct check c = {.root = schema, .error = error, .path = "arguments"};

    c.path_bytes = strlen(c.path);
    error[0] = 0;
    return value_check(&c, schema, arguments);
}
