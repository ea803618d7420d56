/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_reply.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
api_reply_deinit(struct api_reply *reply)
{
    free(reply->body);
    *reply = (struct api_reply){.status = 0};
}

static const char *
error_type(unsigned status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status < 500  ? "invalid_request_error"
                           : "server_error";
}

void
api_reply_error(struct api_reply *reply, unsigned status, const char *code,
                const char *message, const char *param)
{
    json_t *tree =
        json_pack("{s:{s:s s:s s:s? s:s?}}", "error", "message", message,
                  "type", error_type(status), "param", param, "code", code);

    api_reply_deinit(reply);
    reply->status = status;
    reply->type = "application/json";
    reply->body = tree ? json_dumps(tree, API_JSON) : NULL;
    reply->bytes = reply->body ? strlen(reply->body) : 0;
    json_decref(tree);
}

bool
api_reply_body(struct api_reply *reply, unsigned status, const char *type,
               const char *body, size_t bytes)
{
    char *copy = malloc(bytes + 1);

    if (!copy) {
        api_reply_error(reply, 503, "server_busy", "There is no memory left.",
                        NULL);
        return false;
    }
    api_reply_deinit(reply);
    memcpy(copy, body, bytes);
    copy[bytes] = 0;
    reply->status = status;
    reply->type = bytes ? type : NULL;
    reply->body = copy;
    reply->bytes = bytes;
    return true;
}

void
api_reply_add_header(struct api_reply *reply, const char *name,
                     const char *value)
{
    if (reply->header_count == API_REPLY_HEADERS
        || strlen(value) >= API_REPLY_VALUE_BYTES)
        return;
    struct api_reply_header *header = &reply->headers[reply->header_count++];
    header->name = name;
    snprintf(header->value, sizeof(header->value), "%s", value);
}

void
api_reply_send(struct api_reply *reply, struct gate_request *rq)
{
    struct gate_header headers[API_REPLY_HEADERS];

    for (size_t i = 0; i < reply->header_count; i++)
        headers[i] = (struct gate_header){reply->headers[i].name,
                                          reply->headers[i].value};
    const struct gate_answer answer = {
        .status = reply->status,
        .content_type = reply->type,
        .headers = headers,
        .header_count = reply->header_count,
        .body = reply->body,
        .body_bytes = reply->bytes,
    };
    gate_answer(rq, &answer);
    api_reply_deinit(reply);
}
