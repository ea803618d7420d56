/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_exchange.h"

#include "base/buffer.h"
#include "codec/json_rpc.h"
#include "codec/sse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

struct mcp_exchange {
    const struct mcp_exchange_handlers *handlers;
    void *arg;
    struct http_call *call; /* our share */
    unsigned status;
    bool streamed;
    bool cancelled;
    bool broken; /* a message could not be read */
    struct sse sse;
    struct buffer body; /* of one that isn't streamed */
};

/* --- what comes */

static int
messages_tell(struct mcp_exchange *e, const char *text, size_t bytes)
{
    json_t *tree = json_rpc_load(text, bytes);
    json_t *one;
    size_t i;

    if (json_is_object(tree) && !e->cancelled)
        e->handlers->on_message(e->arg, tree, e->status);
    json_array_foreach(tree, i, one)
    {
        if (!e->cancelled)
            e->handlers->on_message(e->arg, one, e->status);
    }
    int result = tree ? 0 : UV_EPROTO;
    json_decref(tree);
    return result;
}

static int
on_sse_event(void *arg, const struct sse_event *event)
{
    struct mcp_exchange *e = arg;

    if (!event->bytes || strcmp(event->type, "message") != 0 || e->cancelled)
        return 0;
    /* One bad message is not the others' end. */
    if (messages_tell(e, event->data, event->bytes) != 0)
        e->broken = true;
    return 0;
}

static int
on_http_head(void *arg, const struct http_response *rs)
{
    static const char events[] = "text/event-stream";
    struct mcp_exchange *e = arg;
    const char *type = http_response_header(rs, "Content-Type");

    e->status = rs->status;
    e->streamed = rs->status < 300 && type
                  && strncasecmp(type, events, strlen(events)) == 0;
    if (rs->status < 300 && !e->cancelled && e->handlers->on_head)
        e->handlers->on_head(e->arg, rs);
    return 0;
}

static int
on_http_bytes(void *arg, const char *data, size_t bytes)
{
    struct mcp_exchange *e = arg;
    int result;

    if (e->cancelled)
        return UV_ECANCELED;
    if (e->streamed)
        return sse_push(&e->sse, data, bytes);
    result = buffer_append(&e->body, data, bytes);
    return result == UV_ENOBUFS ? UV_EMSGSIZE : result;
}

/* --- the end */

static void
exchange_free(struct mcp_exchange *e)
{
    if (e->call)
        http_call_put(&e->call);
    sse_deinit(&e->sse);
    buffer_deinit(&e->body);
    free(e);
}

/* A whole answer that should be a message; a refusal often is none. */
static int
body_tell(struct mcp_exchange *e)
{
    if (!e->body.bytes || e->cancelled)
        return 0;
    int result = messages_tell(e, (const char *) e->body.data, e->body.bytes);
    return e->status < 300 ? result : 0;
}

static void
on_http_done(void *arg, const struct http_response *rs)
{
    struct mcp_exchange *e = arg;
    int error = e->cancelled ? UV_ECANCELED : rs->error;
    const char *why = rs->why;

    if (!error && !e->streamed)
        error = body_tell(e);
    if (!error && e->broken)
        error = UV_EPROTO;
    if (error == UV_EPROTO && !rs->error)
        why = "what came is no message";
    const struct mcp_exchange_end end = {
        .error = error,
        .status = e->status,
        .why = why,
        .streamed = e->streamed,
        .id = e->sse.id,
        .retry_ms = e->sse.retry_ms,
    };
    e->handlers->on_end(e->arg, &end);
    exchange_free(e);
}

void
mcp_exchange_cancel(struct mcp_exchange *e)
{
    if (e->cancelled)
        return;
    e->cancelled = true;
    http_call_cancel(&e->call);
}

/* --- the beginning */

static const struct http_stream stream = {
    .on_head = on_http_head,
    .on_bytes = on_http_bytes,
};

int
mcp_exchange_open(struct mcp_exchange **ep,
                  const struct mcp_exchange_config *cfg,
                  const struct mcp_exchange_handlers *handlers, void *arg)
{
    const struct http_request rq = {
        .method = cfg->method,
        .url = cfg->server->mcp,
        .headers = cfg->headers,
        .header_count = cfg->header_count,
        .body = cfg->body,
        .body_bytes = cfg->body ? strlen(cfg->body) : 0,
        .ca_file = cfg->server->ca_file,
        .proxy = cfg->server->proxy,
        .total_ms = cfg->timeout_ms,
        .read_ms = HTTP_CLIENT_NEVER,
        .stream = &stream,
    };
    struct mcp_exchange *e = calloc(1, sizeof(*e));

    if (!e)
        return UV_ENOMEM;
    e->handlers = handlers;
    e->arg = arg;
    sse_init(&e->sse, cfg->server->max_answer_bytes, on_sse_event, e);
    buffer_init(&e->body, cfg->server->max_answer_bytes);
    int result = http_client_send(cfg->http, &rq, on_http_done, e, &e->call);
    if (result) {
        sse_deinit(&e->sse);
        buffer_deinit(&e->body);
        free(e);
        return result;
    }
    *ep = e;
    return 0;
}
