/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/json_rpc.h"

#include <string.h>
#include <uv.h>

json_t *
json_rpc_load(const char *text, size_t bytes)
{
    return json_loadb(text, bytes, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES,
                      NULL);
}

/* --- reading */

static int
method_read(struct json_rpc *m, const json_t *tree)
{
    const json_t *method = json_object_get(tree, "method");
    const json_t *params = json_object_get(tree, "params");

    m->method = json_string_value(method);
    m->params = json_is_null(params) ? NULL : params;
    m->kind = m->id ? JSON_RPC_REQUEST : JSON_RPC_NOTIFICATION;
    if (!m->method || strlen(m->method) != json_string_length(method))
        return UV_EINVAL;
    return !m->params || json_is_object(params) || json_is_array(params)
               ? 0
               : UV_EINVAL;
}

static int
error_read(struct json_rpc *m, const json_t *error)
{
    m->kind = JSON_RPC_ERROR;
    m->code = json_integer_value(json_object_get(error, "code"));
    m->message = json_string_value(json_object_get(error, "message"));
    m->data = json_object_get(error, "data");
    if (!m->message)
        m->message = "";
    return json_is_object(error) ? 0 : UV_EINVAL;
}

static int
answer_read(struct json_rpc *m, const json_t *tree)
{
    const json_t *error = json_object_get(tree, "error");

    if (json_is_integer(m->id) && json_integer_value(m->id) > 0)
        m->number = (uint64_t) json_integer_value(m->id);
    if (error)
        return error_read(m, error);
    m->kind = JSON_RPC_RESULT;
    m->result = json_object_get(tree, "result");
    return m->id && m->result ? 0 : UV_EINVAL;
}

int
json_rpc_read(struct json_rpc *m, const json_t *tree)
{
    const char *version = json_string_value(json_object_get(tree, "jsonrpc"));
    const json_t *id = json_object_get(tree, "id");

    *m = (struct json_rpc){.id = json_is_null(id) ? NULL : id};
    if (!version || strcmp(version, "2.0") != 0)
        return UV_EINVAL;
    if (m->id && !json_is_string(id) && !json_is_number(id))
        return UV_EINVAL;
    return json_object_get(tree, "method") ? method_read(m, tree)
                                           : answer_read(m, tree);
}

/* --- writing */

/* Takes the tree. */
static char *
text_of(json_t *tree)
{
    char *text = tree ? json_dumps(tree, JSON_COMPACT) : NULL;

    json_decref(tree);
    return text;
}

/* Takes the member; the tree is gone when it can't. */
static json_t *
with_member(json_t *tree, const char *name, json_t *member)
{
    if (tree && json_object_set_new(tree, name, member) == 0)
        return tree;
    json_decref(tree);
    return NULL;
}

char *
json_rpc_request(uint64_t number, const char *method, json_t *params)
{
    json_t *tree = json_pack("{s:s,s:I,s:s}", "jsonrpc", "2.0", "id",
                             (json_int_t) number, "method", method);

    if (params && tree)
        tree = with_member(tree, "params", params);
    else
        json_decref(params);
    return text_of(tree);
}

char *
json_rpc_notification(const char *method, json_t *params)
{
    json_t *tree = json_pack("{s:s,s:s}", "jsonrpc", "2.0", "method", method);

    if (params && tree)
        tree = with_member(tree, "params", params);
    else
        json_decref(params);
    return text_of(tree);
}

char *
json_rpc_result(const json_t *id, json_t *result)
{
    json_t *tree = json_pack("{s:s,s:O}", "jsonrpc", "2.0", "id", id);

    if (!tree) {
        json_decref(result);
        return NULL;
    }
    return text_of(
        with_member(tree, "result", result ? result : json_object()));
}

char *
json_rpc_error(const json_t *id, int code, const char *message)
{
    return text_of(json_pack("{s:s,s:O,s:{s:i,s:s}}", "jsonrpc", "2.0", "id",
                             id, "error", "code", code, "message", message));
}
