/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_header.h"

#include "codec/base64.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define DEPTH_MAX   64
#define WRAP_BEGIN  "=?base64?"
#define WRAP_END    "?="
#define INTEGER_MAX 9007199254740991 /* beyond, readers differ */

/* --- values */

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool
is_wrapped(const char *text, size_t bytes)
{
    size_t begin = strlen(WRAP_BEGIN), end = strlen(WRAP_END);

    return bytes >= begin + end && memcmp(text, WRAP_BEGIN, begin) == 0
           && memcmp(text + bytes - end, WRAP_END, end) == 0;
}

static bool
is_plain(const char *text, size_t bytes)
{
    if (!bytes || is_blank(text[0]) || is_blank(text[bytes - 1])
        || is_wrapped(text, bytes))
        return false;
    for (size_t i = 0; i < bytes; i++) {
        if ((text[i] < ' ' || text[i] > '~') && text[i] != '\t')
            return false;
    }
    return true;
}

int
mcp_header_value(struct buffer *out, const char *text, size_t bytes)
{
    size_t begin = strlen(WRAP_BEGIN), end = strlen(WRAP_END);

    if (is_plain(text, bytes))
        return buffer_append(out, text, bytes);
    size_t all = begin + base64_encoded_bytes(bytes) + end;
    char *to = (char *) buffer_reserve(out, all);
    if (!to)
        return UV_ENOBUFS;
    memcpy(to, WRAP_BEGIN, begin);
    base64_encode(to + begin, text, bytes);
    memcpy(to + all - end, WRAP_END, end);
    buffer_commit(out, all);
    return 0;
}

int
mcp_header_argument(struct buffer *out, const json_t *value)
{
    if (json_is_string(value))
        return mcp_header_value(out, json_string_value(value),
                                json_string_length(value));
    if (json_is_boolean(value))
        return buffer_printf(out, "%s", json_is_true(value) ? "true" : "false");
    if (!json_is_integer(value))
        return UV_EINVAL;
    json_int_t n = json_integer_value(value);
    return n > INTEGER_MAX || n < -INTEGER_MAX
               ? UV_EINVAL
               : buffer_printf(out, "%lld", (long long) n);
}

/* --- marks of a schema */

struct marks {
    const char *names[MCP_HEADERS_MAX];
    size_t count;
};

/* RFC 9110, 5.6.2. */
static bool
is_token(const char *text)
{
    const char *p = text;

    while (isalnum((unsigned char) *p) || (*p && strchr("!#$%&'*+-.^_`|~", *p)))
        p++;
    return p > text && !*p;
}

static bool
type_may_be_marked(const json_t *schema)
{
    const char *type = json_string_value(json_object_get(schema, "type"));

    return type
           && (strcmp(type, "string") == 0 || strcmp(type, "integer") == 0
               || strcmp(type, "boolean") == 0);
}

static int
mark_take(struct marks *marks, const json_t *schema, const json_t *mark)
{
    const char *name = json_string_value(mark);

    if (!name || !is_token(name) || strlen(name) != json_string_length(mark)
        || !type_may_be_marked(schema) || marks->count == MCP_HEADERS_MAX)
        return UV_EINVAL;
    for (size_t i = 0; i < marks->count; i++) {
        if (strcasecmp(marks->names[i], name) == 0)
            return UV_EINVAL;
    }
    marks->names[marks->count++] = name;
    return 0;
}

/* What a schema holds other schemas in, but for `properties`: nothing may be
 * marked there. */
static const char *const elsewhere[] = {"items",
                                        "prefixItems",
                                        "contains",
                                        "additionalProperties",
                                        "unevaluatedProperties",
                                        "unevaluatedItems",
                                        "propertyNames",
                                        "oneOf",
                                        "anyOf",
                                        "allOf",
                                        "not",
                                        "if",
                                        "then",
                                        "else"};
static const char *const named_elsewhere[] = {
    "patternProperties", "dependentSchemas", "$defs", "definitions"};

static int schema_walk(struct marks *marks, const json_t *schema, int depth);

/* NULL marks: none is allowed. */
static int
members_walk(struct marks *marks, const json_t *holder, int depth)
{
    const char *key;
    json_t *child;
    size_t i;
    int result = 0;

    json_array_foreach(holder, i, child)
    {
        if (!result)
            result = schema_walk(marks, child, depth);
    }
    json_object_foreach((json_t *) holder, key, child)
    {
        if (!result)
            result = schema_walk(marks, child, depth);
    }
    return result;
}

static int
elsewhere_walk(const json_t *schema, int depth)
{
    int result = 0;

    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(char *) && !result; i++) {
        const json_t *held = json_object_get(schema, elsewhere[i]);
        result = json_is_array(held) ? members_walk(NULL, held, depth)
                                     : schema_walk(NULL, held, depth);
    }
    for (size_t i = 0; i < sizeof(named_elsewhere) / sizeof(char *) && !result;
         i++)
        result = members_walk(NULL, json_object_get(schema, named_elsewhere[i]),
                              depth);
    return result;
}

static int
schema_walk(struct marks *marks, const json_t *schema, int depth)
{
    const json_t *mark = json_object_get(schema, MCP_HEADER_MARK);
    int result = 0;

    if (!json_is_object(schema))
        return 0;
    if (depth > DEPTH_MAX)
        return UV_EINVAL;
    /* Of the whole there is no argument. */
    if (mark)
        result = marks && depth ? mark_take(marks, schema, mark) : UV_EINVAL;
    if (!result)
        result = members_walk(marks, json_object_get(schema, "properties"),
                              depth + 1);
    return result ? result : elsewhere_walk(schema, depth + 1);
}

int
mcp_header_check(const json_t *schema)
{
    struct marks marks = {.count = 0};

    return schema_walk(&marks, schema, 0);
}

/* --- arguments */

int
mcp_header_each(const json_t *schema, const json_t *arguments,
                mcp_header_h *handler, void *arg)
{
    json_t *properties = json_object_get(schema, "properties");
    const char *key;
    json_t *child;
    int result = 0;

    json_object_foreach(properties, key, child)
    {
        const json_t *value = json_object_get(arguments, key);
        const char *name =
            json_string_value(json_object_get(child, MCP_HEADER_MARK));

        if (!value || json_is_null(value))
            continue;
        if (name)
            result = handler(arg, name, value);
        else if (json_is_object(value))
            result = mcp_header_each(child, value, handler, arg);
        if (result)
            return result;
    }
    return 0;
}
