/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_result.h"

#include "base/buffer.h"
#include "codec/base64.h"
#include "codec/tool_limits.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FIELD_BYTES 512 /* of a name, a type or an address of an attachment */

/* --- texts */

struct texts {
    size_t max_bytes;
    struct buffer kept; /* the first max_bytes of all */
    size_t total_bytes; /* of all, with line ends between */
    size_t count;
    bool is_said; /* in structure */
};

static int
texts_add(struct texts *t, const char *text, size_t bytes)
{
    size_t room = t->max_bytes - t->kept.bytes;
    bool full = t->total_bytes > t->kept.bytes;
    int result = 0;

    if (t->count++) {
        t->total_bytes++;
        if (!full && room) {
            result = buffer_append(&t->kept, "\n", 1);
            room--;
        }
    }
    full = full || t->total_bytes > t->kept.bytes;
    t->total_bytes += bytes;
    if (full || result)
        return result;
    return buffer_append(&t->kept, text,
                         bytes > room ? tool_limits_cut(text, bytes, room)
                                      : bytes);
}

/* --- attachments */

static int
field_copy(json_t *to, const char *key, const json_t *from, const char *name)
{
    const json_t *value = json_object_get(from, name);
    const char *text = json_string_value(value);

    if (!text)
        return 0;
    size_t n = json_string_length(value);
    if (n > FIELD_BYTES)
        n = tool_limits_cut(text, n, FIELD_BYTES);
    return json_object_set_new(to, key, json_stringn(text, n));
}

/* An attachment's size, where its bytes came along. */
static int
size_set(json_t *to, const json_t *from, const char *name)
{
    const json_t *data = json_object_get(from, name);

    if (!json_is_string(data))
        return 0;
    ssize_t n =
        base64_decoded_bytes(json_string_value(data), json_string_length(data));
    return n < 0 ? 0 : json_object_set_new(to, "bytes", json_integer(n));
}

static int
attachment_add(json_t *list, const json_t *item, const char *data)
{
    json_t *to = json_object();
    int failed = !to;

    if (json_array_size(list) >= MCP_ATTACHMENTS_MAX) {
        json_decref(to);
        return 0;
    }
    failed = failed || field_copy(to, "type", item, "type")
             || field_copy(to, "name", item, "name")
             || field_copy(to, "mime_type", item, "mimeType")
             || field_copy(to, "uri", item, "uri") || size_set(to, item, data);
    if (failed) {
        json_decref(to);
        return UV_ENOMEM;
    }
    return json_array_append_new(list, to) ? UV_ENOMEM : 0;
}

/* --- contents */

static int
resource_add(struct texts *t, json_t *list, const json_t *resource)
{
    const json_t *text = json_object_get(resource, "text");

    if (json_is_string(text))
        return texts_add(t, json_string_value(text), json_string_length(text));
    return attachment_add(list, resource, "blob");
}

static int
content_add(struct texts *t, json_t *list, const json_t *item)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    const json_t *text = json_object_get(item, "text");

    if (!type)
        return UV_EPROTO;
    if (strcmp(type, "text") == 0)
        return json_is_string(text) ? texts_add(t, json_string_value(text),
                                                json_string_length(text))
                                    : UV_EPROTO;
    if (strcmp(type, "resource") == 0)
        return resource_add(t, list, json_object_get(item, "resource"));
    return attachment_add(list, item, "data");
}

static int
contents_read(struct texts *t, json_t *list, const json_t *content)
{
    json_t *item;
    size_t i;
    int result = 0;

    if (content && !json_is_array(content))
        return UV_EPROTO;
    json_array_foreach(content, i, item)
    {
        result = content_add(t, list, item);
        if (result)
            return result;
    }
    return 0;
}

/* --- the whole */

/* Servers say in text again what they say in structure, for clients that don't
 * know it: the whole, or the only text in it. */
static bool
says_the_same(const char *text, size_t bytes, const json_t *structure)
{
    json_t *tree =
        json_loadb(text, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool same = tree && json_equal(tree, structure);

    json_decref(tree);
    return same;
}

static bool
is_in(const char *text, size_t bytes, json_t *structure)
{
    const char *key;
    json_t *value;

    if (json_object_size(structure) != 1)
        return false;
    json_object_foreach(structure, key, value)
    {
        if (json_string_length(value) == bytes && json_is_string(value)
            && memcmp(json_string_value(value), text, bytes) == 0)
            return true;
    }
    return false;
}

/* Structure that is no larger than allowed goes in as it is; else it is text,
 * unless there is text already. */
static int
structure_add(struct texts *t, json_t *output, json_t *structure,
              bool *truncated)
{
    char *text = json_dumps(structure, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *said = (const char *) t->kept.data;
    size_t bytes = text ? strlen(text) : 0;
    int result = text ? 0 : UV_ENOMEM;

    if (!result && bytes > t->max_bytes) {
        *truncated = true;
        if (!t->count)
            result = texts_add(t, text, bytes);
    } else if (!result && !is_in(said, t->kept.bytes, structure)) {
        t->is_said = says_the_same(said, t->kept.bytes, structure);
        if (json_object_set(output, "structured_content", structure))
            result = UV_ENOMEM;
    }
    free(text);
    return result;
}

static int
text_set(json_t *output, struct texts *t)
{
    char *text = buffer_text(&t->kept);

    if (!text)
        return UV_ENOMEM;
    if (t->is_said)
        return 0;
    tool_limits_clean(text, t->kept.bytes);
    return json_object_set_new(output, "content",
                               json_stringn(text, t->kept.bytes))
               ? UV_ENOMEM
               : 0;
}

static int
output_make(struct mcp_result *r, struct texts *t, json_t *list,
            const json_t *result)
{
    json_t *structure = json_object_get(result, "structuredContent");
    json_t *output = json_object();
    int error = output ? 0 : UV_ENOMEM;

    if (!error && structure && !json_is_null(structure))
        error = structure_add(t, output, structure, &r->truncated);
    if (!error)
        error = text_set(output, t);
    if (!error && json_array_size(list)
        && json_object_set(output, "attachments", list))
        error = UV_ENOMEM;
    r->truncated |= t->total_bytes > t->kept.bytes;
    if (!error
        && (json_object_set_new(output, "truncated", json_boolean(r->truncated))
            || json_object_set_new(output, "total_bytes",
                                   json_integer((json_int_t) t->total_bytes))))
        error = UV_ENOMEM;
    if (error)
        json_decref(output);
    else
        r->output = output;
    return error;
}

void
mcp_result_error(char error[MCP_RESULT_ERROR_BYTES], const char *text)
{
    size_t n = strlen(text);

    if (n >= MCP_RESULT_ERROR_BYTES)
        n = tool_limits_cut(text, n, MCP_RESULT_ERROR_BYTES - 1);
    memcpy(error, text, n);
    error[n] = '\0';
    tool_limits_clean(error, n);
}

static int
failure_read(struct mcp_result *r, struct texts *t)
{
    const char *text = buffer_text(&t->kept);

    mcp_result_error(
        r->error, text && text[0] ? text : "The tool failed and said nothing.");
    return UV_ECANCELED;
}

static int
parts_read(struct mcp_result *r, struct texts *t, json_t *list,
           const json_t *result)
{
    int error = contents_read(t, list, json_object_get(result, "content"));

    if (error)
        return error;
    if (json_is_true(json_object_get(result, "isError")))
        return failure_read(r, t);
    return output_make(r, t, list, result);
}

int
mcp_result_read(struct mcp_result *r, const json_t *result, size_t max_bytes)
{
    const char *type = json_string_value(json_object_get(result, "resultType"));
    struct texts texts = {.max_bytes = max_bytes};

    *r = (struct mcp_result){.output = NULL};
    if (!json_is_object(result))
        return UV_EPROTO;
    if (type && strcmp(type, "complete") != 0)
        return UV_ENOTSUP;
    json_t *list = json_array();
    if (!list)
        return UV_ENOMEM;
    buffer_init(&texts.kept, max_bytes + 1); /* and an end */
    int error = parts_read(r, &texts, list, result);
    json_decref(list);
    buffer_deinit(&texts.kept);
    return error;
}
