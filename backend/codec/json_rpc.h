/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Messages of JSON-RPC 2.0 as MCP has them: one read into its parts, and texts
 * made. Pure, any thread; owns nothing, the parts are borrowed of the tree.
 * Requests of ours are numbered; an answer to anything else is nobody's.
 */

#ifndef VOICE_JSON_RPC_H
#define VOICE_JSON_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_RPC_PARSE_ERROR      (-32700)
#define JSON_RPC_INVALID_REQUEST  (-32600)
#define JSON_RPC_METHOD_NOT_FOUND (-32601)
#define JSON_RPC_INVALID_PARAMS   (-32602)
#define JSON_RPC_INTERNAL_ERROR   (-32603)

enum json_rpc_kind {
    JSON_RPC_REQUEST,
    JSON_RPC_NOTIFICATION,
    JSON_RPC_RESULT,
    JSON_RPC_ERROR
};

struct json_rpc {
    enum json_rpc_kind kind;
    const char *method;   /* of the first two */
    const json_t *params; /* an object or an array; NULL: none */
    const json_t *id;     /* text or number; NULL: of an error, no one's */
    uint64_t number;      /* of an answer: the id, if it may be ours; or 0 */
    json_t *result;       /* of a result */
    int64_t code;         /* of an error */
    const char *message;  /* never NULL there */
    const json_t *data;   /* NULL: none */
};

/* A tree out of text, which may hold NULs in its texts. NULL: no JSON, keys
 * twice, too deep, or no memory. */
json_t *json_rpc_load(const char *text, size_t bytes);

/* 0; UV_EINVAL: no message. Of an array (a batch) each on its own. */
int json_rpc_read(struct json_rpc *message, const json_t *tree);

/*
 * The text of a message on one line, for free(); NULL: no memory. `params` and
 * `result` are taken; NULL: there are none.
 */
char *json_rpc_request(uint64_t number, const char *method, json_t *params);
char *json_rpc_notification(const char *method, json_t *params);
char *json_rpc_result(const json_t *id, json_t *result);
char *json_rpc_error(const json_t *id, int code, const char *message);

#endif
