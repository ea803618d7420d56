/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   send ─► dialect ─► ws_client
 *   on_text ◄─ list ◄─ dialect ◄─ ws_client
 *
 * A dialect may not be called from what it emits, and who gets a text may
 * answer it at once: so its texts are gathered first and told afterwards.
 */

#include "model/realtime_wire.h"

#include "base/log.h"
#include "codec/dialect.h"
#include "codec/ws_frame.h"
#include "gate/ws_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_ID_BYTES 64

struct text {
    struct text *next;
    size_t bytes;
    char json[];
};

/* Texts of a dialect, in order; out of memory, the rest is missing. */
struct texts {
    struct text *first, **last;
    bool short_of;
};

struct realtime_wire {
    struct loop *loop;
    struct upstream *upstream;
    struct ws_client *ws; /* NULL: gone */
    struct dialect *dialect;
    struct realtime_wire_handlers handlers;
    void *arg;
    bool call;
    bool abandoned;
    bool posted;
    struct loop_task answers; /* what the dialect itself has to say */
    char id[LOG_ID_BYTES];
};

/* --- the end */

static void
wire_free(struct realtime_wire *w)
{
    upstream_leave(w->upstream);
    dialect_destroy(&w->dialect);
    free(w);
}

static void
wire_finish(struct realtime_wire *w)
{
    /* A task of ours is still on its way: it finishes. */
    if (!w->ws && !w->posted)
        wire_free(w);
}

static void
on_ws_closed(void *arg, uint16_t code, const char *reason)
{
    struct realtime_wire *w = arg;
    const struct realtime_end end = {
        .fault = ws_client_fault(w->ws),
        .status = ws_client_status(w->ws),
        .refusal = ws_client_refusal(w->ws),
        .code = code,
        .reason = reason,
        .call = w->call,
    };

    if (!w->abandoned) {
        w->abandoned = true;
        w->handlers.on_closed(w->arg, &end);
    }
    w->ws = NULL;
    wire_finish(w);
}

void
realtime_wire_close(struct realtime_wire *w, uint16_t code)
{
    if (w->ws)
        ws_client_close(w->ws, code, "");
}

void
realtime_wire_abandon(struct realtime_wire **wp)
{
    struct realtime_wire *w = *wp;

    *wp = NULL;
    w->abandoned = true;
    realtime_wire_close(w, WS_CLOSE_NORMAL);
}

void
realtime_wire_adopt(struct realtime_wire *w,
                    const struct realtime_wire_handlers *handlers, void *arg)
{
    w->handlers = *handlers;
    w->arg = arg;
}

struct upstream *
realtime_wire_upstream(const struct realtime_wire *w)
{
    return w->upstream;
}

/* --- down */

static void
on_emit(void *arg, const char *json, size_t bytes)
{
    struct texts *list = arg;
    struct text *text =
        list->short_of ? NULL : malloc(sizeof(*text) + bytes + 1);

    if (!text) {
        list->short_of = true;
        return;
    }
    text->next = NULL;
    text->bytes = bytes;
    memcpy(text->json, json, bytes);
    text->json[bytes] = 0;
    *list->last = text;
    list->last = &text->next;
}

/* Tells all, frees all. A wire that lost a text is no longer sound. */
static void
texts_tell(struct realtime_wire *w, struct texts *list)
{
    struct text *text;

    if (list->short_of) {
        LOG(ERROR, w->id, "upstream=%s event=text_lost error=\"no memory\"",
            upstream_name(w->upstream));
        realtime_wire_close(w, WS_CLOSE_INTERNAL);
    }
    while ((text = list->first) != NULL) {
        list->first = text->next;
        if (!w->abandoned)
            w->handlers.on_text(w->arg, text->json, text->bytes);
        free(text);
    }
}

static void
dialect_take(struct realtime_wire *w, const char *json, size_t bytes)
{
    struct texts list = {.first = NULL};

    list.last = &list.first;
    int result = dialect_from_peer(w->dialect, json, bytes, on_emit, &list);
    if (result == UV_EINVAL)
        LOG_LIMITED(WARN, w->id, "upstream=%s event=not_understood bytes=%zu",
                    upstream_name(w->upstream), bytes);
    else if (result)
        list.short_of = true;
    texts_tell(w, &list);
}

static void
text_take(struct realtime_wire *w, const char *json, size_t bytes)
{
    if (w->dialect)
        dialect_take(w, json, bytes);
    else
        w->handlers.on_text(w->arg, json, bytes);
}

/* The upstream quotes our key, in an error most likely: nobody else may. */
static void
quote_take(struct realtime_wire *w, const char *json, size_t bytes)
{
    char *text = malloc(bytes + 1);

    if (!text)
        return;
    memcpy(text, json, bytes);
    text[bytes] = 0;
    upstream_key_hide(w->upstream, text);
    text_take(w, text, bytes);
    free(text);
}

/* Sound has no words in it, and is nearly all there is. */
static bool
may_quote(const char *json, size_t bytes)
{
    return realtime_type_of(json, bytes) != REALTIME_OUTPUT_AUDIO_DELTA;
}

static void
on_ws_message(void *arg, bool text, const uint8_t *data, size_t bytes)
{
    struct realtime_wire *w = arg;
    const char *json = (const char *) data;

    if (w->abandoned)
        return;
    if (!text)
        LOG_LIMITED(WARN, w->id, "upstream=%s event=binary_dropped bytes=%zu",
                    upstream_name(w->upstream), bytes);
    else if (may_quote(json, bytes) && upstream_key_is_in(w->upstream, json))
        quote_take(w, json, bytes);
    else
        text_take(w, json, bytes);
}

static void
on_ws_open(void *arg, const char *subprotocol)
{
    struct realtime_wire *w = arg;

    (void) subprotocol;
    if (!w->abandoned)
        w->handlers.on_open(w->arg);
}

static void
on_ws_writable(void *arg)
{
    struct realtime_wire *w = arg;

    if (!w->abandoned)
        w->handlers.on_writable(w->arg);
}

static void
on_answers(struct loop_task *task, void *arg)
{
    struct realtime_wire *w = arg;
    struct texts list = {.first = NULL};

    (void) task;
    w->posted = false;
    list.last = &list.first;
    if (!w->abandoned)
        dialect_answer(w->dialect, on_emit, &list);
    texts_tell(w, &list);
    wire_finish(w);
}

/* --- up */

struct sending {
    struct realtime_wire *wire;
    int result; /* the first fault */
};

static void
on_peer_text(void *arg, const char *json, size_t bytes)
{
    struct sending *sending = arg;

    if (!sending->result)
        sending->result = ws_client_send(sending->wire->ws, true, json, bytes);
}

static int
dialect_send(struct realtime_wire *w, const char *json, size_t bytes)
{
    struct sending sending = {.wire = w};
    int result =
        dialect_to_peer(w->dialect, json, bytes, on_peer_text, &sending);

    if (result == UV_EINVAL) /* the upstream says what is wrong with it */
        return ws_client_send(w->ws, true, json, bytes);
    if (!w->posted) {
        w->posted = true;
        loop_post(w->loop, &w->answers);
    }
    return result ? result : sending.result;
}

int
realtime_wire_send(struct realtime_wire *w, const char *json, size_t bytes)
{
    if (!w->ws)
        return UV_ENOTCONN;
    return w->dialect ? dialect_send(w, json, bytes)
                      : ws_client_send(w->ws, true, json, bytes);
}

void
realtime_wire_pause(struct realtime_wire *w, bool paused)
{
    if (w->ws)
        ws_client_pause(w->ws, paused);
}

size_t
realtime_wire_queued_bytes(const struct realtime_wire *w)
{
    return w->ws ? ws_client_queued_bytes(w->ws) : 0;
}

/* --- opening */

static const struct ws_client_handlers ws_handlers = {
    .on_open = on_ws_open,
    .on_message = on_ws_message,
    .on_writable = on_ws_writable,
    .on_closed = on_ws_closed,
};

static const char *
text_or_null(const char *text)
{
    return text && *text ? text : NULL;
}

static int
ws_open(struct realtime_wire *w, const struct realtime_wire_config *cfg,
        const char *url, char **headers)
{
    const struct config_upstream *config = upstream_config(w->upstream);
    const struct ws_client_config ws = {
        .uv = loop_uv(cfg->loop),
        .url = url,
        .headers = (const char *const *) headers,
        .ca_file = text_or_null(config->ca_file),
        .proxy = text_or_null(config->proxy),
        .open_timeout_ms = (unsigned) config->connect_timeout_ms,
        .ping_interval_ms = (unsigned) config->ping_interval_ms,
        .read_timeout_ms = (unsigned) config->read_timeout_ms,
    };

    return ws_client_open(&w->ws, &ws, &ws_handlers, w);
}

static int
wire_connect(struct realtime_wire *w, const struct realtime_wire_config *cfg)
{
    char **headers = NULL;
    char *url = upstream_url(w->upstream, &cfg->target);
    int result = url ? upstream_headers(w->upstream, cfg->safety_id, &headers)
                     : UV_ENOMEM;

    if (!result)
        result = dialect_create(
            &w->dialect,
            (enum dialect_kind) upstream_config(w->upstream)->dialect,
            DIALECT_SIDE_SERVER);
    if (!result)
        result = ws_open(w, cfg, url, headers);
    upstream_headers_free(&headers);
    free(url);
    return result;
}

int
realtime_wire_open(struct realtime_wire **wp,
                   const struct realtime_wire_config *cfg,
                   const struct realtime_wire_handlers *handlers, void *arg)
{
    int result = upstream_enter(cfg->upstream);

    if (result)
        return result;
    struct realtime_wire *w = calloc(1, sizeof(*w));
    if (!w) {
        upstream_leave(cfg->upstream);
        return UV_ENOMEM;
    }
    w->loop = cfg->loop;
    w->upstream = cfg->upstream;
    w->handlers = *handlers;
    w->arg = arg;
    w->call = cfg->target.call_id != NULL;
    w->answers.run = on_answers;
    w->answers.arg = w;
    snprintf(w->id, sizeof(w->id), "%s", cfg->log_id ? cfg->log_id : "");
    result = wire_connect(w, cfg);
    if (result)
        wire_free(w);
    else
        *wp = w;
    return result;
}
