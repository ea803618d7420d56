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
#include "gate/ws_opening.h"
#include "gate/ws_receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN_TIMEOUT_MS  10000
#define CLOSE_TIMEOUT_MS 5000
#define MAX_BYTES        (32u * 1024 * 1024)
#define REQUEST_BYTES    (64u * 1024)
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
    uv_timer_t pulse;    /* while open: the next ping, or the silence's end */
    unsigned closing;    /* of stream and timers, still to be closed */

    struct ws_opening opening;
    bool head_readable; /* ws_client_header may be asked */
    struct ws_receiver receiver;

    unsigned ping_interval_ms, read_timeout_ms;
    uint64_t heard_ms; /* when bytes last came; of the loop's clock */
    uint64_t pinged_ms;
    bool doubted; /* silent for too long, but for what may just be here */
    bool paused;

    size_t max_queue_bytes;
    enum ws_client_fault fault;
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
    LOG(DEBUG, "ws_client", "host=%s state=%s->%s", c->opening.authority,
        names[c->state], names[state]);
    c->state = state;
}

/* --- the end */

static void
client_free(struct ws_client *c)
{
    ws_opening_deinit(&c->opening);
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
on_timer_closed(uv_handle_t *handle)
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
client_end(struct ws_client *c, enum ws_client_fault fault, uint16_t code,
           const char *reason)
{
    if (c->state == CLIENT_CLOSED)
        return;
    client_enter(c, CLIENT_CLOSED);
    c->fault = fault;
    c->code = code;
    if (reason != c->reason)
        snprintf(c->reason, sizeof(c->reason), "%s", reason);
    c->closing = 3;
    curl_stream_close(c->stream);
    uv_close((uv_handle_t *) &c->deadline, on_timer_closed);
    uv_close((uv_handle_t *) &c->pulse, on_timer_closed);
}

static void
on_deadline(uv_timer_t *timer)
{
    struct ws_client *c = timer->data;
    if (c->state == CLIENT_CLOSING)
        client_end(c, c->fault, c->code, c->reason);
    else
        client_end(c, WS_FAULT_TIMEOUT, WS_CLOSE_LOST, "timeout while opening");
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
    c->paused = false; /* their close frame wants to be read */
    curl_stream_pause(c->stream, false);
    c->code = code;
    snprintf(c->reason, sizeof(c->reason), "%s", reason);
    if (frame_send(c, WS_CLOSE, payload, bytes) != 0)
        LOG(DEBUG, "ws_client", "host=%s no room for a close frame",
            c->opening.authority);
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
            LOG(DEBUG, "ws_client", "host=%s pong left out",
                c->opening.authority);
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
            const char *why = used == -WS_CLOSE_TOO_BIG
                                  ? "a message of the server is too big"
                                  : "bad frame from the server";
            if (c->state == CLIENT_OPEN)
                close_send(c, (uint16_t) -used, why);
            client_end(c, WS_FAULT_FRAME, (uint16_t) -used, why);
            return;
        }
        data += used;
        bytes -= (size_t) used;
        on_received(c, &got);
    }
    ws_receiver_forget(&c->receiver);
}

/* --- the pulse: pings of ours, and silence */

static void on_pulse(uv_timer_t *timer);

/* Sleeps until a ping is due or the silence is too long. */
static void
pulse_arm(struct ws_client *c)
{
    uint64_t now = uv_now(c->pulse.loop), due = UINT64_MAX;

    if (c->ping_interval_ms)
        due = c->pinged_ms + c->ping_interval_ms;
    if (c->read_timeout_ms && c->heard_ms + c->read_timeout_ms < due)
        due = c->heard_ms + c->read_timeout_ms;
    if (due != UINT64_MAX)
        uv_timer_start(&c->pulse, on_pulse, due > now ? due - now : 0, 0);
}

/*
 * A loop that was held up runs its timers before it reads its sockets: the
 * socket has one more turn to prove us wrong.
 */
static bool
pulse_is_lost(struct ws_client *c, uint64_t now)
{
    if (!c->read_timeout_ms || now - c->heard_ms < c->read_timeout_ms) {
        c->doubted = false;
        return false;
    }
    if (c->doubted) {
        client_end(c, WS_FAULT_SILENT, WS_CLOSE_LOST, "silent");
        return true;
    }
    c->doubted = true;
    uv_timer_start(&c->pulse, on_pulse, 1, 0);
    return true;
}

static void
on_pulse(uv_timer_t *timer)
{
    struct ws_client *c = timer->data;
    uint64_t now = uv_now(timer->loop);

    if (c->state != CLIENT_OPEN)
        return;
    if (c->paused) /* nobody listens: that is no silence */
        c->heard_ms = now;
    if (pulse_is_lost(c, now))
        return;
    if (c->ping_interval_ms && now - c->pinged_ms >= c->ping_interval_ms) {
        c->pinged_ms = now;
        if (frame_send(c, WS_PING, "", 0) != 0)
            LOG(DEBUG, "ws_client", "host=%s ping left out",
                c->opening.authority);
    }
    pulse_arm(c);
}

static void
pulse_start(struct ws_client *c)
{
    c->heard_ms = c->pinged_ms = uv_now(c->pulse.loop);
    pulse_arm(c);
}

/* --- the opening */

static void
on_stream_connected(void *arg)
{
    struct ws_client *c = arg;
    struct buffer text;
    uint8_t *out = NULL;

    client_enter(c, CLIENT_HANDSHAKE);
    buffer_init(&text, REQUEST_BYTES);
    if (ws_opening_request(&c->opening, &text) == 0)
        out = curl_stream_push(c->stream, text.bytes);
    if (out) {
        memcpy(out, text.data, text.bytes);
        curl_stream_flush(c->stream);
    } else {
        client_end(c, WS_FAULT_LOST, WS_CLOSE_LOST,
                   "the handshake could not be written");
    }
    if (text.data) /* it held the key */
        explicit_bzero(text.data, text.bytes);
    buffer_deinit(&text);
}

/* The answer's text goes to the user alone: it may repeat our key. */
static void
opening_failed(struct ws_client *c, enum ws_opening_state state)
{
    const struct ws_handshake *h = &c->opening.handshake;
    char reason[WS_REASON_MAX + 1];

    if (state == WS_OPENING_BAD) {
        client_end(c, WS_FAULT_ANSWER, WS_CLOSE_LOST, h->error);
        return;
    }
    c->head_readable = true;
    snprintf(reason, sizeof(reason), "the upgrade was refused, status %u",
             h->status);
    client_end(c, WS_FAULT_STATUS, WS_CLOSE_LOST, reason);
}

static void
client_opened(struct ws_client *c)
{
    size_t bytes = 0;

    client_enter(c, CLIENT_OPEN);
    uv_timer_stop(&c->deadline);
    c->head_readable = true;
    c->handlers.on_open(c->arg, c->opening.handshake.subprotocol);
    c->head_readable = false;
    if (c->state == CLIENT_OPEN)
        pulse_start(c);
    const uint8_t *rest = ws_opening_rest(&c->opening, &bytes);
    frames_take(c, rest, bytes);
    ws_opening_drop(&c->opening);
}

static void
handshake_take(struct ws_client *c, const uint8_t *data, size_t bytes)
{
    enum ws_opening_state state = ws_opening_push(&c->opening, data, bytes);
    if (state == WS_OPENING_OPEN)
        client_opened(c);
    else if (state != WS_OPENING_MORE)
        opening_failed(c, state);
}

static void
on_stream_bytes(void *arg, const uint8_t *data, size_t bytes)
{
    struct ws_client *c = arg;
    c->heard_ms = uv_now(c->deadline.loop);
    if (c->state == CLIENT_HANDSHAKE)
        handshake_take(c, data, bytes);
    else
        frames_take(c, data, bytes);
}

static void
on_stream_lost(void *arg, enum curl_stream_fault fault, const char *why)
{
    static const enum ws_client_fault faults[] = {
        [CURL_STREAM_NO_NAME] = WS_FAULT_RESOLVE,
        [CURL_STREAM_NO_CONNECT] = WS_FAULT_CONNECT,
        [CURL_STREAM_NO_PROXY] = WS_FAULT_PROXY,
        [CURL_STREAM_NO_TLS] = WS_FAULT_TLS,
        [CURL_STREAM_BROKEN] = WS_FAULT_LOST,
    };
    struct ws_client *c = arg;

    if (c->state == CLIENT_CONNECTING) /* what the operator has to mend */
        LOG_LIMITED(INFO, "ws_client", "host=%s error=\"%s\"",
                    c->opening.authority, why);
    if (c->peer_closed || c->state == CLIENT_CLOSING)
        client_end(c, c->fault, c->code, c->reason);
    else if (c->state == CLIENT_HANDSHAKE && fault == CURL_STREAM_BROKEN)
        opening_failed(c, ws_opening_finish(&c->opening));
    else
        client_end(c, faults[fault], WS_CLOSE_LOST, why);
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

static struct ws_client *
client_make(const struct ws_client_config *cfg,
            const struct ws_client_handlers *handlers, void *arg)
{
    struct ws_client *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->handlers = *handlers;
    c->arg = arg;
    c->max_queue_bytes =
        cfg->max_queue_bytes ? cfg->max_queue_bytes : MAX_BYTES;
    c->ping_interval_ms = cfg->ping_interval_ms;
    c->read_timeout_ms = cfg->read_timeout_ms;
    ws_receiver_init(&c->receiver, cfg->max_message_bytes
                                       ? cfg->max_message_bytes
                                       : MAX_BYTES);
    return c;
}

static void
timer_init(struct ws_client *c, uv_loop_t *uv, uv_timer_t *timer)
{
    uv_timer_init(uv, timer);
    timer->data = c;
}

int
ws_client_open(struct ws_client **cp, const struct ws_client_config *cfg,
               const struct ws_client_handlers *handlers, void *arg)
{
    const struct ws_opening_config opening = {.url = cfg->url,
                                              .headers = cfg->headers,
                                              .subprotocols =
                                                  cfg->subprotocols};
    struct ws_client *c = client_make(cfg, handlers, arg);
    char *connect_url = NULL;

    if (!c)
        return UV_ENOMEM;
    int result = ws_opening_init(&c->opening, &opening, &connect_url);
    if (!result)
        result = stream_open(c, cfg, connect_url);
    free(connect_url);
    if (result) {
        client_free(c);
        return result;
    }
    timer_init(c, cfg->uv, &c->deadline);
    timer_init(c, cfg->uv, &c->pulse);
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
        client_end(c, WS_FAULT_NONE, WS_CLOSE_LOST,
                   "closed before it was open");
}

void
ws_client_pause(struct ws_client *c, bool paused)
{
    if (c->state == CLIENT_CLOSED || c->paused == paused)
        return;
    c->paused = paused;
    c->heard_ms = uv_now(c->pulse.loop);
    curl_stream_pause(c->stream, paused);
}

size_t
ws_client_queued_bytes(const struct ws_client *c)
{
    return c->state == CLIENT_CLOSED ? 0 : curl_stream_queued_bytes(c->stream);
}

unsigned
ws_client_status(const struct ws_client *c)
{
    return c->opening.handshake.status;
}

const char *
ws_client_refusal(const struct ws_client *c)
{
    return c->opening.body;
}

enum ws_client_fault
ws_client_fault(const struct ws_client *c)
{
    return c->fault;
}

void
ws_client_header(const struct ws_client *c, const char *name, char *out,
                 size_t bytes)
{
    out[0] = '\0';
    if (c->head_readable)
        ws_opening_header(&c->opening, name, out, bytes);
}
