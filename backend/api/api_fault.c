/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_fault.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 1024 /* bytes of a text of an upstream's that is passed on */

/* --- no answer */

static void
silence_reply(struct api_reply *reply, const struct http_response *rs)
{
    switch (rs->error) {
    case UV_ETIMEDOUT:
        api_reply_error(reply, 504, "upstream_timeout",
                        "The model's server did not answer in time.", NULL);
        break;
    case UV_ENOBUFS:
    case UV_ENOMEM:
    case UV_ECANCELED:
        api_reply_error(reply, 503, "server_busy",
                        "The server can't ask the model's server now.", NULL);
        api_reply_add_header(reply, "Retry-After", "5");
        break;
    default:
        api_reply_error(reply, 502, "upstream_unreachable",
                        "The model's server can't be reached.", NULL);
    }
}

/* --- an error of the upstream's */

static const char *
text_of(const json_t *error, const char *key, const struct upstream *u)
{
    const char *text = json_string_value(json_object_get(error, key));

    return text && strlen(text) <= TEXT_MAX && !upstream_key_is_in(u, text)
               ? text
               : NULL;
}

/* Written anew, so that nothing else of its body goes through. */
static void
error_pass(struct api_reply *reply, const struct upstream *u,
           const struct http_response *rs)
{
    json_t *tree = json_loadb(rs->body, rs->body_bytes, 0, NULL);
    const json_t *error = json_object_get(tree, "error");
    const char *message = text_of(error, "message", u);
    const char *code = text_of(error, "code", u);

    api_reply_error(reply, rs->status, code ? code : "upstream_refused",
                    message ? message
                            : "The model's server refused the request.",
                    text_of(error, "param", u));
    json_decref(tree);
}

static bool
is_seconds(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits < 7 && text[digits] == 0;
}

static void
later_pass(struct api_reply *reply, const struct http_response *rs)
{
    const char *after = http_response_header(rs, "Retry-After");

    api_reply_add_header(reply, "Retry-After",
                         after && is_seconds(after) ? after : "5");
}

void
api_fault_reply(struct api_reply *reply, const struct upstream *u,
                const struct http_response *rs)
{
    if (rs->error) {
        silence_reply(reply, rs);
    } else if (rs->status == 401 || rs->status == 403) {
        api_reply_error(reply, 502, "upstream_unauthorized",
                        "The gateway is not allowed to use the model's "
                        "server.",
                        NULL);
    } else if (rs->status >= 400 && rs->status < 500) {
        error_pass(reply, u, rs);
        if (rs->status == 429)
            later_pass(reply, rs);
    } else {
        api_reply_error(reply, 502, "upstream_error",
                        "The model's server failed.", NULL);
    }
}

bool
api_fault_is_elsewhere_fine(const struct http_response *rs)
{
    if (rs->error)
        return rs->error != UV_ECANCELED && rs->error != UV_ENOMEM
               && rs->error != UV_EMSGSIZE
               && !(rs->error == UV_ETIMEDOUT && strcmp(rs->why, "read") == 0);
    return rs->status == 401 || rs->status == 403 || rs->status == 404
           || rs->status == 429 || rs->status >= 500;
}

const char *
api_fault_text(const struct http_response *rs)
{
    return rs->error                                ? rs->why
           : rs->status == 401 || rs->status == 403 ? "unauthorized"
           : rs->status == 429                      ? "busy"
           : rs->status < 500                       ? "refused"
                                                    : "failed";
}
