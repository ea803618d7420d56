/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_answer.h"

#include "service/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* In the memory that the gate keeps for us. */
struct local {
    char tenant[API_TENANT_BYTES];
    char id[API_ID_BYTES];
    const struct secret_grant *grant; /* the router's */
};

_Static_assert(sizeof(struct local) <= GATE_LOCAL_BYTES, "local memory");

const char *
api_tenant(struct gate_request *rq)
{
    return ((struct local *) gate_local(rq))->tenant;
}

const char *
api_path_id(struct gate_request *rq)
{
    return ((struct local *) gate_local(rq))->id;
}

const char *
api_secret_session(struct gate_request *rq)
{
    const struct secret_grant *grant = ((struct local *) gate_local(rq))->grant;

    return grant != NULL ? grant->session : NULL;
}

const char *
api_secret_model(struct gate_request *rq)
{
    const struct secret_grant *grant = ((struct local *) gate_local(rq))->grant;

    return grant != NULL ? grant->model : NULL;
}

void
api_set_grant(struct gate_request *rq, const struct secret_grant *grant)
{
    ((struct local *) gate_local(rq))->grant = grant;
}

void
api_set_tenant(struct gate_request *rq, const char *tenant)
{
    struct local *local = gate_local(rq);

    snprintf(local->tenant, sizeof(local->tenant), "%s", tenant);
}

int
api_set_path_id(struct gate_request *rq, const char *id, size_t bytes)
{
    struct local *local = gate_local(rq);

    if (bytes >= sizeof(local->id)) {
        return UV_E2BIG;
    }
    memcpy(local->id, id, bytes);
    local->id[bytes] = '\0';
    return 0;
}

static const char *
error_type(unsigned status)
{
    return status == 401   ? "authentication_error"
           : status == 403 ? "permission_error"
           : status >= 500 ? "server_error"
                           : "invalid_request_error";
}

void
api_error(struct gate_request *rq, unsigned status, const char *code,
          const char *message, const char *param)
{
    json_t *tree =
        json_pack("{s:{s:s, s:s, s:s?, s:s}}", "error", "message", message,
                  "type", error_type(status), "param", param, "code", code);

    api_json(rq, status, &tree);
}

void
api_busy(struct gate_request *rq, const char *code, const char *message)
{
    static const struct gate_header later = {"Retry-After", API_RETRY_AFTER};
    char body[512];
    int bytes = snprintf(body, sizeof(body),
                         "{\"error\":{\"message\":\"%s\","
                         "\"type\":\"server_error\",\"param\":null,"
                         "\"code\":\"%s\"}}",
                         message, code);
    const struct gate_answer answer = {
        .status = 503,
        .content_type = "application/json",
        .headers = &later,
        .header_count = 1,
        .body = body,
        .body_bytes = (size_t) bytes,
    };

    gate_answer(rq, &answer);
}

void
api_json_text(struct gate_request *rq, unsigned status, const char *text,
              size_t bytes)
{
    static const struct gate_header later = {"Retry-After", "1"};

    gate_answer(rq, &(struct gate_answer){
                        .status = status,
                        .content_type = "application/json",
                        .headers = &later,
                        .header_count = status == 503,
                        .body = text,
                        .body_bytes = bytes,
                    });
}

void
api_json(struct gate_request *rq, unsigned status, json_t **tree)
{
    static const char failed[] =
        "{\"error\":{\"message\":\"The answer can't be written.\","
        "\"type\":\"server_error\",\"param\":null,"
        "\"code\":\"internal_error\"}}";
    char *text = *tree != NULL ? json_dumps(*tree, API_JSON) : NULL;

    json_decref(*tree);
    *tree = NULL;
    if (text == NULL) {
        api_json_text(rq, 500, failed, sizeof(failed) - 1);
        return;
    }
    api_json_text(rq, status, text, strlen(text));
    free(text);
}

static bool
content_is_json(struct gate_request *rq)
{
    static const char json[] = "application/json";
    const char *type = gate_param(rq, "CONTENT_TYPE");
    size_t bytes = sizeof(json) - 1;

    return type != NULL && strncasecmp(type, json, bytes) == 0
           && strchr("; \t", type[bytes]) != NULL;
}

static int
body_refuse(struct api_body_fault *fault, unsigned status, const char *code,
            const char *message)
{
    fault->status = status;
    fault->code = code;
    snprintf(fault->message, sizeof(fault->message), "%s", message);
    return status == 413 ? UV_E2BIG : UV_EINVAL;
}

static int
body_parse(const char *body, size_t bytes, json_t **tree,
           struct api_body_fault *fault)
{
    char message[JSON_ERROR_TEXT_LENGTH + 64];
    json_error_t error;

    *tree = json_loadb(body, bytes, JSON_REJECT_DUPLICATES, &error);
    if (*tree != NULL) {
        return 0;
    }
    snprintf(message, sizeof(message), "line %d column %d: %s", error.line,
             error.column, error.text);
    return body_refuse(fault, 400, "invalid_json", message);
}

int
api_body_read(struct gate_request *rq, size_t max_bytes, json_t **tree,
              struct api_body_fault *fault)
{
    const char *body;
    size_t bytes;
    int err;

    if (!content_is_json(rq)) {
        return body_refuse(fault, 415, "unsupported_media_type",
                           "The request body must be application/json.");
    }
    err = gate_body(rq, &body, &bytes);
    if (err == UV_E2BIG || (err == 0 && bytes > max_bytes)) {
        return body_refuse(fault, 413, "body_too_large",
                           "The request body is too large.");
    }
    if (err != 0) {
        return body_refuse(fault, 400, "body_incomplete",
                           "The request body did not come as announced.");
    }
    return body_parse(body, bytes, tree, fault);
}

int
api_body_json(struct gate_request *rq, json_t **tree)
{
    struct api_body_fault fault;
    int err = api_body_read(rq, SIZE_MAX, tree, &fault);

    if (err != 0) {
        api_error(rq, fault.status, fault.code, fault.message, NULL);
    }
    return err;
}

static int
hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* One character of application/x-www-form-urlencoded; -1: not to be had. */
static int
query_char(const char **at, const char *end)
{
    const char *p = *at;
    int high, low;

    *at = p + 1;
    if (*p == '+') {
        return ' ';
    }
    if (*p != '%') {
        return (unsigned char) *p;
    }
    if (end - p < 3) {
        return -1;
    }
    high = hex_digit(p[1]);
    low = hex_digit(p[2]);
    *at = p + 3;
    return high < 0 || low < 0 || (high == 0 && low == 0) ? -1
                                                          : high * 16 + low;
}

static bool
query_decode(const char *from, const char *end, char *out, size_t out_bytes)
{
    size_t used = 0;

    while (from < end) {
        int c = query_char(&from, end);

        if (c < 0 || used + 1 >= out_bytes) {
            return false;
        }
        out[used++] = (char) c;
    }
    out[used] = '\0';
    return true;
}

bool
api_query(struct gate_request *rq, const char *key, char *out, size_t out_bytes)
{
    const char *at = gate_query(rq);
    size_t key_bytes = strlen(key);

    while (*at != '\0') {
        size_t bytes = strcspn(at, "&");

        if (bytes > key_bytes && at[key_bytes] == '='
            && memcmp(at, key, key_bytes) == 0) {
            return query_decode(at + key_bytes + 1, at + bytes, out, out_bytes);
        }
        at += bytes + (at[bytes] == '&');
    }
    return false;
}

bool
api_accepts(struct gate_request *rq, const char *media_type)
{
    const char *at = gate_param(rq, "HTTP_ACCEPT");
    size_t bytes = strlen(media_type);

    while (at != NULL && *at != '\0') {
        at += strspn(at, " \t,");
        if (strncasecmp(at, media_type, bytes) == 0
            && strchr(",; \t", at[bytes]) != NULL) {
            return true;
        }
        at += strcspn(at, ",");
    }
    return false;
}

bool
api_origin_is_listed(const struct api_context *api, const char *origin)
{
    const struct config_list *list = &api->config->auth.cors_origins;

    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i], "*") == 0
            || strcasecmp(list->items[i], origin) == 0) {
            return true;
        }
    }
    return false;
}
