/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/realtime_fault.h"

#include "codec/ws_frame.h"
#include "gate/crypto.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define CLOSE_REFUSED   4000 /* as OpenAI: the reason is `type.code` */
#define CLOSE_BETA_AUTH 3000 /* of the beta API: a bad key */

/* Kinds with one thing to say. */
static const struct {
    enum realtime_fault_kind kind;
    uint16_t close_code;
    const char *type, *code, *message;
} told[] = {
    {REALTIME_FAULT_UNAUTHORIZED, WS_CLOSE_INTERNAL, "server_error",
     "upstream_unauthorized",
     "The model's server does not let the gateway in."},
    {REALTIME_FAULT_UNAVAILABLE, WS_CLOSE_INTERNAL, "server_error",
     "upstream_unavailable", "The model's server can't be reached."},
    {REALTIME_FAULT_TIMEOUT, WS_CLOSE_INTERNAL, "server_error",
     "upstream_timeout", "The model's server did not answer in time."},
    {REALTIME_FAULT_BUSY, WS_CLOSE_TRY_LATER, "server_error",
     "rate_limit_exceeded", "The model's server takes no more sessions now."},
    {REALTIME_FAULT_REFUSED, CLOSE_REFUSED, "invalid_request_error",
     "upstream_refused", "The model's server refuses the session."},
    {REALTIME_FAULT_NOT_FOUND, CLOSE_REFUSED, "invalid_request_error",
     "model_not_found", "The model does not exist or is not served here."},
};

/* What an upstream calls trouble with our key or account. */
static const char *const key_codes[] = {
    "invalid_api_key",     "missing_api_key",   "incorrect_api_key",
    "account_deactivated", "invalid_api_token", "expired_api_key",
    "unauthorized",
};

/* Valid UTF-8 as far as it fits. */
static void
text_set(char *out, size_t room, const char *text)
{
    struct ws_utf8 utf8;
    size_t good = 0;

    ws_utf8_init(&utf8);
    for (size_t i = 0; text && text[i] && i + 1 < room; i++) {
        out[i] = text[i];
        if (!ws_utf8_push(&utf8, (const uint8_t *) text + i, 1))
            break;
        if (ws_utf8_is_complete(&utf8))
            good = i + 1;
    }
    out[good] = 0;
}

static void
reason_fill(struct realtime_fault *fault)
{
    char reason[sizeof(fault->type) + sizeof(fault->code)];

    snprintf(reason, sizeof(reason), "%s.%s", fault->type, fault->code);
    text_set(fault->close_reason, sizeof(fault->close_reason), reason);
}

static void
fault_set(struct realtime_fault *fault, enum realtime_fault_kind kind)
{
    *fault = (struct realtime_fault){.kind = kind};
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        if (told[i].kind != kind)
            continue;
        fault->close_code = told[i].close_code;
        text_set(fault->type, sizeof(fault->type), told[i].type);
        text_set(fault->code, sizeof(fault->code), told[i].code);
        text_set(fault->message, sizeof(fault->message), told[i].message);
    }
    if (kind == REALTIME_FAULT_NOT_FOUND)
        text_set(fault->param, sizeof(fault->param), "model");
    reason_fill(fault);
}

static bool
is_key_code(const char *code)
{
    for (size_t i = 0; i < sizeof(key_codes) / sizeof(key_codes[0]); i++)
        if (strcmp(code, key_codes[i]) == 0)
            return true;
    return false;
}

/* --- what the upstream's own words say */

/* An {"error":{…}}, from an event or from a body, over the fault's texts. */
static void
words_take(struct realtime_fault *fault, const json_t *tree)
{
    const json_t *error = json_object_get(tree, "error");
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *param = json_string_value(json_object_get(error, "param"));

    if (type && *type)
        text_set(fault->type, sizeof(fault->type), type);
    if (code && *code)
        text_set(fault->code, sizeof(fault->code), code);
    if (message && *message)
        text_set(fault->message, sizeof(fault->message), message);
    text_set(fault->param, sizeof(fault->param), param);
    reason_fill(fault);
}

static bool
words_are_about_key(const json_t *tree)
{
    const json_t *error = json_object_get(tree, "error");
    const char *type = json_string_value(json_object_get(error, "type"));
    const char *code = json_string_value(json_object_get(error, "code"));

    return (code && is_key_code(code))
           || (type && strcmp(type, "authentication_error") == 0)
           || (type && strcmp(type, "permission_error") == 0);
}

/* Four kinds of words in a body are the client's business; ours stay ours. */
static void
body_take(struct realtime_fault *fault, const char *body)
{
    json_t *tree = body ? json_loads(body, 0, NULL) : NULL;

    if (tree && words_are_about_key(tree))
        fault_set(fault, REALTIME_FAULT_UNAUTHORIZED);
    else if (tree)
        words_take(fault, tree);
    json_decref(tree);
}

void
realtime_fault_of_event(struct realtime_fault *fault, const char *json,
                        size_t bytes)
{
    json_t *tree = json_loadb(json, bytes, 0, NULL);

    fault_set(fault, REALTIME_FAULT_REFUSED);
    fault->close_code = WS_CLOSE_INTERNAL; /* until its own comes */
    if (tree && words_are_about_key(tree)) {
        fault_set(fault, REALTIME_FAULT_UNAUTHORIZED);
    } else if (tree) {
        words_take(fault, tree);
        if (strcmp(fault->code, "model_not_found") == 0)
            fault->kind = REALTIME_FAULT_NOT_FOUND;
        else if (strcmp(fault->code, "rate_limit_exceeded") == 0)
            fault->kind = REALTIME_FAULT_BUSY;
        else if (strcmp(fault->type, "server_error") == 0)
            fault->kind = REALTIME_FAULT_UNAVAILABLE;
    }
    json_decref(tree);
}

void
realtime_fault_closed(struct realtime_fault *fault, uint16_t code,
                      const char *reason)
{
    if (fault->kind == REALTIME_FAULT_UNAUTHORIZED)
        return;
    if (code == CLOSE_BETA_AUTH) {
        fault_set(fault, REALTIME_FAULT_UNAUTHORIZED);
    } else if (ws_close_code_is_valid(code) && code != WS_CLOSE_NORMAL) {
        fault->close_code = code;
        text_set(fault->close_reason, sizeof(fault->close_reason), reason);
    }
}

/* --- how a connection ended */

static void
status_take(struct realtime_fault *fault, const struct realtime_end *end)
{
    if (end->status == 401 || end->status == 403 || end->status == 407) {
        fault_set(fault, REALTIME_FAULT_UNAUTHORIZED);
    } else if (end->status == 404) {
        fault_set(fault, REALTIME_FAULT_NOT_FOUND);
        if (end->call) {
            text_set(fault->code, sizeof(fault->code), "call_id_not_found");
            text_set(fault->param, sizeof(fault->param), "call_id");
            text_set(fault->message, sizeof(fault->message),
                     "The call does not exist or has ended.");
            reason_fill(fault);
        }
    } else if (end->status == 408 || end->status == 504) {
        fault_set(fault, REALTIME_FAULT_TIMEOUT);
    } else if (end->status == 429) {
        fault_set(fault, REALTIME_FAULT_BUSY);
        body_take(fault, end->refusal);
    } else if (end->status >= 400 && end->status < 500) {
        fault_set(fault, REALTIME_FAULT_REFUSED);
        body_take(fault, end->refusal);
    } else {
        fault_set(fault, REALTIME_FAULT_UNAVAILABLE);
    }
}

void
realtime_fault_of_end(struct realtime_fault *fault,
                      const struct realtime_end *end)
{
    if (end->fault == WS_FAULT_STATUS) {
        status_take(fault, end);
    } else if (end->fault == WS_FAULT_TIMEOUT
               || end->fault == WS_FAULT_SILENT) {
        fault_set(fault, REALTIME_FAULT_TIMEOUT);
    } else if (end->fault == WS_FAULT_NONE && end->code == CLOSE_BETA_AUTH) {
        fault_set(fault, REALTIME_FAULT_UNAUTHORIZED);
    } else if (end->fault == WS_FAULT_NONE && end->code >= CLOSE_REFUSED) {
        fault_set(fault, REALTIME_FAULT_REFUSED);
        fault->close_code = end->code;
        text_set(fault->close_reason, sizeof(fault->close_reason), end->reason);
    } else if (end->fault == WS_FAULT_NONE && end->code == WS_CLOSE_TRY_LATER) {
        fault_set(fault, REALTIME_FAULT_BUSY);
    } else {
        fault_set(fault, REALTIME_FAULT_UNAVAILABLE);
    }
}

void
realtime_fault_of_silence(struct realtime_fault *fault)
{
    fault_set(fault, REALTIME_FAULT_TIMEOUT);
}

void
realtime_fault_of_limit(struct realtime_fault *fault)
{
    fault_set(fault, REALTIME_FAULT_BUSY);
    text_set(fault->code, sizeof(fault->code), "upstream_busy");
    reason_fill(fault);
}

void
realtime_fault_blank(struct realtime_fault *fault)
{
    fault_set(fault, fault->kind);
}

/* --- questions */

bool
realtime_fault_is_upstreams(const struct realtime_fault *fault)
{
    return fault->kind >= REALTIME_FAULT_UNAUTHORIZED
           && strcmp(fault->code, "upstream_busy") != 0;
}

void
realtime_fault_keep(struct realtime_fault *best,
                    const struct realtime_fault *fault)
{
    if (fault->kind > best->kind)
        *best = *fault;
}

size_t
realtime_fault_write(const struct realtime_fault *fault,
                     char out[REALTIME_ERROR_BYTES])
{
    const struct realtime_error error = {
        .type = fault->type,
        .code = fault->code,
        .message = fault->message,
        .param = fault->param[0] ? fault->param : NULL,
    };
    char id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    return realtime_error_write(out, id, &error);
}

const char *
realtime_fault_name(enum realtime_fault_kind kind)
{
    static const char *const names[] = {
#define X(id, text) text,
        REALTIME_FAULTS(X)
#undef X
    };

    return names[kind];
}

const char *
realtime_end_text(const struct realtime_end *end)
{
    static const char *const texts[] = {
        [WS_FAULT_NONE] = "closed",
        [WS_FAULT_RESOLVE] = "no such host",
        [WS_FAULT_CONNECT] = "no connection",
        [WS_FAULT_PROXY] = "the proxy refuses",
        [WS_FAULT_TLS] = "TLS fails",
        [WS_FAULT_TIMEOUT] = "timeout while opening",
        [WS_FAULT_STATUS] = "an HTTP status",
        [WS_FAULT_ANSWER] = "bad handshake",
        [WS_FAULT_FRAME] = "bad frame",
        [WS_FAULT_SILENT] = "silence",
        [WS_FAULT_LOST] = "the connection broke",
    };

    return texts[end->fault];
}
