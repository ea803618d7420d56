/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/upstream_request.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADERS_MAX 40

struct headers {
    struct http_header items[HEADERS_MAX];
    size_t count;
    char *colons[HEADERS_MAX]; /* where lines were cut in two */
    size_t colon_count;
};

static void
header_put(struct headers *headers, const char *name, const char *value)
{
    if (value && *value && headers->count < HEADERS_MAX)
        headers->items[headers->count++] = (struct http_header){name, value};
}

/* A secret stands in the place of the key, wherever that is said. */
static bool
is_key(const char *name)
{
    return strcasecmp(name, "Authorization") == 0
           || strcasecmp(name, "api-key") == 0;
}

/* "Name: value" cut in two, in place, until lines_mend. */
static void
line_put(struct headers *headers, char *line, bool keys)
{
    char *colon = strchr(line, ':');

    if (!colon || headers->colon_count == HEADERS_MAX)
        return;
    *colon = 0;
    headers->colons[headers->colon_count++] = colon;
    if (keys || !is_key(line))
        header_put(headers, line, colon + 1 + strspn(colon + 1, " "));
}

/* Whole again: they are wiped as texts. */
static void
lines_mend(struct headers *headers)
{
    while (headers->colon_count)
        *headers->colons[--headers->colon_count] = ':';
}

static int
request_send(struct http_client *http, const struct upstream_request *rq,
             const struct headers *headers, http_done_h *done, void *arg)
{
    const struct config_upstream *cfg = upstream_config(rq->to);
    const struct http_request request = {
        .method = "POST",
        .url = rq->url,
        .headers = headers->items,
        .header_count = headers->count,
        .body = rq->body,
        .body_bytes = rq->bytes,
        .max_answer_bytes = UPSTREAM_ANSWER_MAX,
        .ca_file = cfg->ca_file,
        .proxy = cfg->proxy,
    };

    return http_client_send(http, &request, done, arg, NULL);
}

int
upstream_request_send(struct http_client *http,
                      const struct upstream_request *rq, http_done_h *done,
                      void *arg)
{
    bool safety = rq->safety_id && *rq->safety_id;
    struct headers headers = {.count = 0};
    char bearer[512] = "";
    char **lines = NULL;
    int result =
        upstream_headers(rq->to, safety ? rq->safety_id : NULL, &lines);

    if (!result && rq->bearer
        && (size_t) snprintf(bearer, sizeof(bearer), "Bearer %s", rq->bearer)
               >= sizeof(bearer))
        result = UV_E2BIG;
    if (!result) {
        header_put(&headers, "Content-Type", rq->type);
        header_put(&headers, "Accept", rq->accept);
        header_put(&headers, "Authorization", bearer);
        for (size_t i = 0; lines && lines[i]; i++)
            line_put(&headers, lines[i], !rq->bearer);
        result = request_send(http, rq, &headers, done, arg);
        lines_mend(&headers);
    }
    explicit_bzero(bearer, sizeof(bearer));
    upstream_headers_free(&lines);
    return result;
}

static void
on_hung_up(void *arg, const struct http_response *rs)
{
    (void) arg;
    (void) rs;
}

void
upstream_request_hangup(struct http_client *http, const struct upstream *to,
                        const char *call_id)
{
    char tail[256];

    snprintf(tail, sizeof(tail), "/%s/hangup", call_id);
    char *url = upstream_calls_url(to, tail);
    const struct upstream_request request = {.to = to, .url = url, .body = ""};
    int result = url ? upstream_request_send(http, &request, on_hung_up, NULL)
                     : UV_ENOMEM;

    if (result)
        LOG_LIMITED(WARN, "calls", "event=not_hung_up error=\"%s\"",
                    uv_strerror(result));
    free(url);
}
