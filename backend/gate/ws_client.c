/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   curl_stream ─► handshake │ receiver ─► on_message
 *   curl_stream ◄─ masked frames ◄─ ws_client_send
 */

#include "gate/ws_client.h"

#include "base/log.h"
#include "codec/ws_frame.h"
#include "gate/crypto.h"
#include "gate/curl_stream.h"
#include "gate/ws_handshake.h"
#include "gate/ws_receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define OPEN_TIMEOUT_MS  10000
#define CLOSE_TIMEOUT_MS 5000
#define MAX_BYTES        (32u * 1024 * 1024)
#define HEAD_BYTES       (64u * 1024)
#define CONTROL_SLACK    (64 * 1024) /* pongs and closes over the queue's cap */

/* X(state) */
#define CLIENT_STATES(X)                                                       \
    X(CONNECTING)                                                              \
    X(HANDSHAKE)                                                               \
    X(OPEN)                                                                    \
    X(CLOSING) /* our close frame is sent or queued */                         \
    X(CLOSED)  /* handles are closing, on_closed follows */

enum client_state {
#define X(state) CLIENT_##state,
    CLIENT_STATES(X)
#undef X
};

struct ws_client {
    enum client_state state;
    struct ws_client_handlers handlers;
    void *arg;
    struct curl_stream *stream;
    uv_timer_t deadline; /* of opening, of closing */
    unsigned closing;    /* of stream and deadline, still to be closed */

    char *target, *authority, *subprotocols;
    char **headers;
    struct ws_handshake handshake;
    struct buffer head; /* of the answer */
    bool head_readable; /* ws_client_header may be asked */
    struct ws_receiver receiver;

    size_t max_queue_bytes;
    bool peer_closed; /* its close frame came */
    uint16_t code;
    char reason[WS_REASON_MAX + 1];
};

static void
client_enter(struct ws_client *c, enum client_state state)
{
    static const char *const names[] = {
#define X(state) #state,
        CLIENT_STATES(X)
#undef X
    };
    LOG(DEBUG, "ws_client", "host=%s state=%s->%s", c->authority,
        names[c->state], names[state]);
    c->state = state;
}

/* --- the end */

static void
client_free(struct ws_client *c)
{
    for (size_t i = 0; c->headers && c->headers[i]; i++)
        free(c->headers[i]);
    free(c->headers);
    free(c->target);
    free(c->authority);
    free(c->subprotocols);
    buffer_deinit(&c->head);
    ws_receiver_deinit(&c->receiver);
    free(c);
}

static void
part_gone(struct ws_client *c)
{
    if (--c->closing)
        return;
    c->handlers.on_closed(c->arg, c->code, c->reason);
    client_free(c);
}

static void
on_deadline_closed(uv_handle_t *handle)
{
    part_gone(handle->data);
}

static void
on_stream_closed(void *arg)
{
    part_gone(arg);
}

/* The one way out. */
static void
client_end(struct ws_client *c, uint16_t code, const char *reason)
{
    if (c->state == CLIENT_CLOSED)
        return;
    client_enter(c, CLIENT_CLOSED);
    c->code = code;
    if (reason != c->reason)
        snprintf(c->reason, sizeof(c->reason), "%s", reason);
    c->closing = 2;
    curl_stream_close(c->stream);
    uv_close((uv_handle_t *) &c->deadline, on_deadline_closed);
}

static void
on_deadline(uv_timer_t *timer)
{
    struct ws_client *c = timer->data;
    if (c->state == CLIENT_CLOSING)
        client_end(c, c->code, c->reason);
    else
        client_end(c, WS_CLOSE_LOST, "timeout while opening");
}

static void
on_stream_lost(void *arg, const char *why)
{
    struct ws_client *c = arg;
    if (c->peer_closed || c->state == CLIENT_CLOSING)
        client_end(c, c->code, c->reason);
    else
        client_end(c, WS_CLOSE_LOST, why);
}

/* --- sending */

static int
frame_send(struct ws_client *c, enum ws_opcode opcode, const void *data,
           size_t bytes)
{
    struct ws_frame frame = {
        .payload_bytes = bytes, .opcode = opcode, .fin = true, .masked = true};
    size_t head = ws_frame_header_bytes(bytes, true);
    size_t cap = c->max_queue_bytes + (opcode >= WS_CLOSE ? CONTROL_SLACK : 0);
    size_t queued = curl_stream_queued_bytes(c->stream);

    if (queued > cap || bytes > cap - queued)
        return UV_ENOBUFS;
    crypto_random(frame.mask, sizeof(frame.mask));
    uint8_t *out = curl_stream_push(c->stream, head + bytes);
    if (!out)
        return UV_ENOMEM;
    ws_frame_encode(out, &frame);
    ws_unmask(out + head, data, bytes, frame.mask);
    curl_stream_flush(c->stream);
    return 0;
}

static void
close_send(struct ws_client *c, uint16_t code, const char *reason)
{
    uint8_t payload[WS_CONTROL_MAX];
    size_t bytes = ws_close_encode(payload, code, reason, strlen(reason));

    client_enter(c, CLIENT_CLOSING);
    c->code = code;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (frame_send(c, WS_CLOSE, payload, bytes) != 0)
        LOG(DEBUG, "ws_client", "host=%s no room for a close frame",
            c->authority);
    uv_timer_start(&c->deadline, on_deadline, CLOSE_TIMEOUT_MS, 0);
}

static void
on_stream_drained(void *arg)
{
    struct ws_client *c = arg;
    if (c->state == CLIENT_OPEN && c->handlers.on_writable)
        c->handlers.on_writable(c->arg);
}

/* --- receiving */

static void
on_close_frame(struct ws_client *c, const uint8_t *data, size_t bytes)
{
    uint16_t code = 0;
    int fault = ws_close_decode(data, bytes, &code);
    char reason[WS_REASON_MAX + 1] = "";

    if (fault)
        code = (uint16_t) -fault;
    else if (bytes > 2)
        snprintf(reason, sizeof(reason), "%.*s", (int) (bytes - 2),
                 (const char *) data + 2);
    c->peer_closed = true;
    if (c->state == CLIENT_OPEN)
        close_send(c, code == WS_CLOSE_NOT_GIVEN ? WS_CLOSE_NORMAL : code, "");
    c->code = code; /* what we answered is an echo: theirs is the cause */
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
}

static void
on_received(struct ws_client *c, const struct ws_received *got)
{
    switch (got->kind) {
    case WS_RECEIVED_MESSAGE:
        if (c->state == CLIENT_OPEN)
            c->handlers.on_message(c->arg, got->text, got->data, got->bytes);
        break;
    case WS_RECEIVED_PING:
        /* Without room the pong is left out: the next one says the same. */
        if (c->state == CLIENT_OPEN
            && frame_send(c, WS_PONG, got->data, got->bytes) != 0)
            LOG(DEBUG, "ws_client", "host=%s pong left out", c->authority);
        break;
    case WS_RECEIVED_CLOSE:
        on_close_frame(c, got->data, got->bytes);
        break;
    default:
        break;
    }
}

static void
frames_take(struct ws_client *c, const uint8_t *data, size_t bytes)
{
    struct ws_received got;

    while (bytes && c->state != CLIENT_CLOSED && !c->peer_closed) {
        ssize_t used = ws_receiver_push(&c->receiver, data, bytes, &got);
        if (used < 0) {
            if (c->state == CLIENT_OPEN)
                close_send(c, (uint16_t) -used, "bad frame from the server");
            client_end(c, (uint16_t) -used, "bad frame from the server");
            return;
        }
        data += used;
        bytes -= (size_t) used;
        on_received(c, &got);
    }
}

/* --- the handshake */

static struct ws_request
request_of(const struct ws_client *c)
{
    return (struct ws_request){
        .authority = c->authority,
        .target = c->target,
        .headers = (const char *const *) c->headers,
        .subprotocols = c->subprotocols,
    };
}

static void
on_stream_connected(void *arg)
{
    struct ws_client *c = arg;
    struct ws_request rq = request_of(c);
    struct buffer text;
    uint8_t *out = NULL;

    client_enter(c, CLIENT_HANDSHAKE);
    buffer_init(&text, HEAD_BYTES);
    if (ws_handshake_write(&c->handshake, &rq, &text) == 0)
        out = curl_stream_push(c->stream, text.bytes);
    if (out) {
        memcpy(out, text.data, text.bytes);
        curl_stream_flush(c->stream);
    } else {
        client_end(c, WS_CLOSE_LOST, "the handshake could not be written");
    }
    buffer_deinit(&text);
}

/* A refusal is reported with as much of its body as is here. */
static void
handshake_refused(struct ws_client *c)
{
    char reason[WS_REASON_MAX + 1];
    const struct ws_handshake *h = &c->handshake;
    const char *text = buffer_text(&c->head);
    const char *body = text ? strstr(text, "\r\n\r\n") : NULL;

    snprintf(reason, sizeof(reason), "%s, status %u %s", h->error, h->status,
             body ? body + 4 : "");
    client_end(c, WS_CLOSE_LOST, reason);
}

static void
handshake_take(struct ws_client *c, const uint8_t *data, size_t bytes)
{
    struct ws_request rq = request_of(c);

    if (buffer_append(&c->head, data, bytes) != 0) {
        client_end(c, WS_CLOSE_LOST, "the handshake's answer is too long");
        return;
    }
    int head = ws_handshake_read(&c->handshake, &rq, (char *) c->head.data,
                                 c->head.bytes);
    if (head == 0)
        return;
    if (head < 0) {
        handshake_refused(c);
        return;
    }
    client_enter(c, CLIENT_OPEN);
    uv_timer_stop(&c->deadline);
    c->head_readable = true;
    c->handlers.on_open(c->arg, c->handshake.subprotocol);
    c->head_readable = false;
    frames_take(c, c->head.data + head, c->head.bytes - (size_t) head);
    buffer_deinit(&c->head);
}

static void
on_stream_bytes(void *arg, const uint8_t *data, size_t bytes)
{
    struct ws_client *c = arg;
    if (c->state == CLIENT_HANDSHAKE)
        handshake_take(c, data, bytes);
    else
        frames_take(c, data, bytes);
}

/* --- opening */

/* ws://host:port/path?query is taken apart into what the request says and
 * where curl connects to. */
static int
url_split(struct ws_client *c, const char *url, char **connect_url)
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
    c->authority = strndup(host, host_bytes);
    if (asprintf(&c->target, "%s%.*s", slash, (int) path_bytes,
                 host + host_bytes)
        < 0)
        c->target = NULL;
    if (asprintf(connect_url, "%s://%.*s/", tls ? "https" : "http",
                 (int) host_bytes, host)
        < 0)
        *connect_url = NULL;
    return c->authority && c->target && *connect_url ? 0 : UV_ENOMEM;
}

static int
headers_copy(struct ws_client *c, const char *const *headers)
{
    size_t count = 0;
    while (headers && headers[count])
        count++;
    c->headers = calloc(count + 1, sizeof(*c->headers));
    for (size_t i = 0; c->headers && i < count; i++) {
        if (strpbrk(headers[i], "\r\n"))
            return UV_EINVAL;
        c->headers[i] = strdup(headers[i]);
        if (!c->headers[i])
            return UV_ENOMEM;
    }
    return c->headers ? 0 : UV_ENOMEM;
}

static int
subprotocols_copy(struct ws_client *c, const char *list)
{
    if (!list)
        return 0;
    if (strpbrk(list, "\r\n"))
        return UV_EINVAL;
    c->subprotocols = strdup(list);
    return c->subprotocols ? 0 : UV_ENOMEM;
}

static int
stream_open(struct ws_client *c, const struct ws_client_config *cfg,
            const char *connect_url)
{
    static const struct curl_stream_handlers handlers = {
        .on_connected = on_stream_connected,
        .on_bytes = on_stream_bytes,
        .on_drained = on_stream_drained,
        .on_lost = on_stream_lost,
        .on_closed = on_stream_closed,
    };
    const struct curl_stream_config stream = {.uv = cfg->uv,
                                              .url = connect_url,
                                              .ca_file = cfg->ca_file,
                                              .proxy = cfg->proxy};
    return curl_stream_open(&c->stream, &stream, &handlers, c);
}

int
ws_client_open(struct ws_client **cp, const struct ws_client_config *cfg,
               const struct ws_client_handlers *handlers, void *arg)
{
    struct ws_client *c = calloc(1, sizeof(*c));
    char *connect_url = NULL;
    size_t message =
        cfg->max_message_bytes ? cfg->max_message_bytes : MAX_BYTES;

    if (!c)
        return UV_ENOMEM;
    c->handlers = *handlers;
    c->arg = arg;
    c->max_queue_bytes =
        cfg->max_queue_bytes ? cfg->max_queue_bytes : MAX_BYTES;
    buffer_init(&c->head, HEAD_BYTES);
    ws_receiver_init(&c->receiver, message);
    int result = url_split(c, cfg->url, &connect_url);
    if (!result)
        result = headers_copy(c, cfg->headers);
    if (!result)
        result = subprotocols_copy(c, cfg->subprotocols);
    if (!result)
        result = stream_open(c, cfg, connect_url);
    free(connect_url);
    if (result) {
        client_free(c);
        return result;
    }
    uv_timer_init(cfg->uv, &c->deadline);
    c->deadline.data = c;
    uv_timer_start(
        &c->deadline, on_deadline,
        cfg->open_timeout_ms ? cfg->open_timeout_ms : OPEN_TIMEOUT_MS, 0);
    *cp = c;
    return 0;
}

/* --- verbs */

int
ws_client_send(struct ws_client *c, bool text, const void *data, size_t bytes)
{
    if (c->state != CLIENT_OPEN)
        return UV_ENOTCONN;
    return frame_send(c, text ? WS_TEXT : WS_BINARY, data, bytes);
}

void
ws_client_close(struct ws_client *c, uint16_t code, const char *reason)
{
    if (c->state == CLIENT_OPEN)
        close_send(c, code, reason);
    else if (c->state < CLIENT_OPEN)
        client_end(c, WS_CLOSE_LOST, "closed before it was open");
}

size_t
ws_client_queued_bytes(const struct ws_client *c)
{
    return curl_stream_queued_bytes(c->stream);
}

unsigned
ws_client_status(const struct ws_client *c)
{
    return c->handshake.status;
}

void
ws_client_header(const struct ws_client *c, const char *name, char *out,
                 size_t bytes)
{
    out[0] = '\0';
    if (c->head_readable)
        ws_header_find((const char *) c->head.data, c->head.bytes, name, out,
                       bytes);
}
