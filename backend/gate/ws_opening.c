/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   answer ─► head ─┬► 101: a WebSocket, the rest is frames
 *                   └► refusal ─► body, by length, by chunks or to the end
 */

#include "gate/ws_opening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#define ANSWER_BYTES (64u * 1024)

/* --- what the request says */

/* ws://host:port/path?query is taken apart into what the request says and
 * where curl connects to. */
static int
url_split(struct ws_opening *o, const char *url, char **connect_url)
{
    bool tls = strncasecmp(url, "wss://", 6) == 0;
    if (!tls && strncasecmp(url, "ws://", 5) != 0)
        return UV_EINVAL;
    const char *host = url + (tls ? 6 : 5);
    size_t host_bytes = strcspn(host, "/?#");
    size_t path_bytes = strcspn(host + host_bytes, "#");
    const char *slash = host[host_bytes] == '/' ? "" : "/";

    if (!host_bytes || memchr(host, '@', host_bytes) || strpbrk(url, " \r\n"))
        return UV_EINVAL;
    o->authority = strndup(host, host_bytes);
    if (asprintf(&o->target, "%s%.*s", slash, (int) path_bytes,
                 host + host_bytes)
        < 0)
        o->target = NULL;
    if (asprintf(connect_url, "%s://%.*s/", tls ? "https" : "http",
                 (int) host_bytes, host)
        < 0)
        *connect_url = NULL;
    return o->authority && o->target && *connect_url ? 0 : UV_ENOMEM;
}

static int
headers_copy(struct ws_opening *o, const char *const *headers)
{
    size_t count = 0;
    while (headers && headers[count])
        count++;
    o->headers = calloc(count + 1, sizeof(*o->headers));
    for (size_t i = 0; o->headers && i < count; i++) {
        if (strpbrk(headers[i], "\r\n"))
            return UV_EINVAL;
        o->headers[i] = strdup(headers[i]);
        if (!o->headers[i])
            return UV_ENOMEM;
    }
    return o->headers ? 0 : UV_ENOMEM;
}

static int
subprotocols_copy(struct ws_opening *o, const char *list)
{
    if (!list)
        return 0;
    if (strpbrk(list, "\r\n"))
        return UV_EINVAL;
    o->subprotocols = strdup(list);
    return o->subprotocols ? 0 : UV_ENOMEM;
}

int
ws_opening_init(struct ws_opening *o, const struct ws_opening_config *cfg,
                char **connect_url)
{
    memset(o, 0, sizeof(*o));
    *connect_url = NULL;
    buffer_init(&o->answer, ANSWER_BYTES);
    int result = url_split(o, cfg->url, connect_url);
    if (!result)
        result = headers_copy(o, cfg->headers);
    if (!result)
        result = subprotocols_copy(o, cfg->subprotocols);
    if (result) {
        free(*connect_url);
        *connect_url = NULL;
    }
    return result;
}

/* A header may be a key: it doesn't stay in freed memory. */
static void
secret_free(char *text)
{
    explicit_bzero(text, strlen(text));
    free(text);
}

void
ws_opening_deinit(struct ws_opening *o)
{
    for (size_t i = 0; o->headers && o->headers[i]; i++)
        secret_free(o->headers[i]);
    free(o->headers);
    free(o->target);
    free(o->authority);
    if (o->subprotocols)
        secret_free(o->subprotocols);
    buffer_deinit(&o->answer);
}

static struct ws_request
request_of(const struct ws_opening *o)
{
    return (struct ws_request){
        .authority = o->authority,
        .target = o->target,
        .headers = (const char *const *) o->headers,
        .subprotocols = o->subprotocols,
    };
}

int
ws_opening_request(struct ws_opening *o, struct buffer *out)
{
    struct ws_request rq = request_of(o);
    return ws_handshake_write(&o->handshake, &rq, out);
}

/* --- what the answer means */

/* Appends to the body kept, of which NULs are no part. */
static void
body_add(struct ws_opening *o, const char *data, size_t bytes)
{
    size_t have = strlen(o->body);
    for (size_t i = 0; i < bytes && have < WS_OPENING_BODY_MAX; i++) {
        if (data[i])
            o->body[have++] = data[i];
    }
    o->body[have] = '\0';
}

/* Whether the last chunk is here (RFC 9112, 7.1), or there is no sense. */
static bool
chunks_read(struct ws_opening *o, const char *at, const char *end)
{
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t) (end - at));
        size_t size = 0, digits = 0;
        if (!line)
            return false;
        for (; at < line && digits < 8; at++, digits++) {
            static const char hex[] = "0123456789abcdef";
            const char *digit = strchr(hex, *at | 0x20);
            if (!*at || !digit)
                break;
            size = size * 16 + (size_t) (digit - hex);
        }
        if (!size)
            return true;
        at = line + 1;
        size_t here = (size_t) (end - at);
        body_add(o, at, size < here ? size : here);
        if (size + 2 > here)
            return strlen(o->body) >= WS_OPENING_BODY_MAX;
        at += size + 2;
    }
    return false;
}

/* Whether as much of the body is here as is wanted or will come. */
static bool
body_read(struct ws_opening *o)
{
    const char *data = (const char *) o->answer.data;
    const char *body = data + o->head_bytes;
    const char *end = data + o->answer.bytes;
    char value[64];

    o->body[0] = '\0';
    if (ws_header_find(data, o->head_bytes, "Transfer-Encoding", value,
                       sizeof(value))
        && strcasecmp(value, "chunked") == 0)
        return chunks_read(o, body, end);
    size_t here = (size_t) (end - body);
    bool told = ws_header_find(data, o->head_bytes, "Content-Length", value,
                               sizeof(value));
    size_t wanted = told ? o->handshake.body_bytes : SIZE_MAX;
    body_add(o, body, here < wanted ? here : wanted);
    return here >= wanted || strlen(o->body) >= WS_OPENING_BODY_MAX;
}

enum ws_opening_state
ws_opening_push(struct ws_opening *o, const void *data, size_t bytes)
{
    struct ws_request rq = request_of(o);

    if (buffer_append(&o->answer, data, bytes) != 0) {
        snprintf(o->handshake.error, sizeof(o->handshake.error),
                 "the handshake's answer is too long");
        return o->handshake.status ? WS_OPENING_REFUSED : WS_OPENING_BAD;
    }
    const char *text = (const char *) o->answer.data;
    if (!o->head_bytes) {
        const char *end = memmem(text, o->answer.bytes, "\r\n\r\n", 4);
        int head = ws_handshake_read(&o->handshake, &rq, text, o->answer.bytes);
        if (head == 0)
            return WS_OPENING_MORE;
        if (head < 0
            && (!end || !o->handshake.status || o->handshake.status == 101))
            return WS_OPENING_BAD;
        o->head_bytes = (size_t) (end - text) + 4;
    }
    if (o->handshake.status == 101)
        return WS_OPENING_OPEN;
    return body_read(o) ? WS_OPENING_REFUSED : WS_OPENING_MORE;
}

enum ws_opening_state
ws_opening_finish(struct ws_opening *o)
{
    if (o->head_bytes && o->handshake.status != 101)
        return WS_OPENING_REFUSED;
    snprintf(o->handshake.error, sizeof(o->handshake.error),
             "the server closed the connection instead of an answer");
    return WS_OPENING_BAD;
}

const uint8_t *
ws_opening_rest(const struct ws_opening *o, size_t *bytes)
{
    *bytes = o->answer.bytes - o->head_bytes;
    return o->answer.data + o->head_bytes;
}

void
ws_opening_drop(struct ws_opening *o)
{
    buffer_deinit(&o->answer);
}

void
ws_opening_header(const struct ws_opening *o, const char *name, char *out,
                  size_t bytes)
{
    out[0] = '\0';
    if (o->answer.bytes >= o->head_bytes && o->head_bytes)
        ws_header_find((const char *) o->answer.data, o->head_bytes, name, out,
                       bytes);
}
