/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/warm_mint.h"

#include "base/log.h"
#include "model/upstream_request.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* {value, expires_at}; before, that stood in `client_secret`. */
static void
on_answer(void *arg, const struct http_response *rs)
{
    struct warm_secret *secret = arg;
    bool good = !rs->error && rs->status >= 200 && rs->status <= 299;
    json_t *tree = good ? json_loadb(rs->body, rs->body_bytes, 0, NULL) : NULL;
    const json_t *inner = json_object_get(tree, "client_secret");
    const json_t *from = json_is_object(inner) ? inner : tree;
    const char *value = json_string_value(json_object_get(from, "value"));

    if (!value)
        LOG_LIMITED(WARN, "warm", "event=not_minted status=%u why=\"%s\"",
                    rs->status, rs->error ? rs->why : "no secret");
    warm_secrets_minted(
        secret, value, json_integer_value(json_object_get(from, "expires_at")));
    json_decref(tree);
}

int
warm_mint_send(struct warm_secret *secret, const char *upstream,
               const char *settings, void *arg)
{
    const struct warm_mint *mint = arg;
    const struct upstream *to = upstream_find(mint->upstreams, upstream);
    size_t room = strlen(settings) + 16;
    char *url = to ? upstream_secrets_url(to) : NULL;
    char *body = malloc(room);
    int result = to ? UV_ENOMEM : UV_ENOENT;

    if (url && body) {
        int bytes = snprintf(body, room, "{\"session\":%s}", settings);
        const struct upstream_request request = {
            .to = to,
            .url = url,
            .type = "application/json",
            .accept = "application/json",
            .body = body,
            .bytes = (size_t) bytes,
        };
        result = upstream_request_send(mint->http, &request, on_answer, secret);
    }
    free(body);
    free(url);
    return result;
}
