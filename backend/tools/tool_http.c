/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   timer ─► GET /tools ─► other than before? ─► on_tools
 *   run ─► http_peer_send(/execute/name) ─► result ─► finish
 *
 * One list is asked for at a time; after a failure again in 1, 2, 4 … 30 s.
 * What was mounted stays for one failure: a server that is restarted need not
 * change what models were told.
 */

#include "tools/tool_http.h"

#include "base/log.h"
#include "codec/tool_limits.h"
#include "codec/tool_offer.h"
#include "tools/tool_http_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_MS      60000 /* it is listed anew */
#define RETRY_MS     1000
#define RETRY_MAX_MS 30000
#define FAILURES_MAX 2 /* in a row: then it is lost */
#define LIST_BYTES   4194304
#define ETAG_BYTES   128

struct tool_http {
    struct tool_server server;
    struct tool_server_config cfg;
    struct tool_server_handlers handlers;
    void *arg;
    struct loop_task start;
    uv_timer_t timer;
    struct http_call *call; /* of a list under way */
    bool listing, closing, timer_open;
    enum tool_server_state state;
    struct tool_http_peer *peer; /* shared with its tools */
    unsigned failures;
    char etag[ETAG_BYTES];
    char *known; /* the list that was told, as text; NULL none */
};

/* --- the end */

static void
server_gone(struct tool_http *s)
{
    if (!s->closing || s->listing || s->timer_open
        || tool_http_peer_is_busy(s->peer))
        return;
    struct tool_server_handlers handlers = s->handlers;
    void *arg = s->arg;

    tool_http_peer_unref(&s->peer);
    free(s->known);
    free(s);
    handlers.on_closed(arg);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    struct tool_http *s = handle->data;

    s->timer_open = false;
    server_gone(s);
}

static void
on_peer_idle(void *arg)
{
    server_gone(arg);
}

static void
http_close(struct tool_server *server)
{
    struct tool_http *s = (struct tool_http *) server;

    if (s->closing)
        return;
    s->closing = true;
    http_call_cancel(&s->call);
    tool_http_peer_close(s->peer);
    if (s->timer_open)
        uv_close((uv_handle_t *) &s->timer, on_timer_closed);
}

/* --- states */

static void
state_enter(struct tool_http *s, enum tool_server_state state, const char *why)
{
    bool other = s->state != state;

    s->state = state;
    if (other)
        s->handlers.on_state(s->arg, state, why);
}

static void list_ask(struct tool_http *s);

static void
on_list_due(uv_timer_t *timer)
{
    list_ask(timer->data);
}

static void
list_later(struct tool_http *s)
{
    unsigned shift = s->failures > 6 ? 6 : s->failures;
    uint64_t ms = s->failures ? (uint64_t) RETRY_MS << (shift - 1) : LIST_MS;

    uv_timer_start(&s->timer, on_list_due,
                   ms > RETRY_MAX_MS && s->failures ? RETRY_MAX_MS : ms, 0);
}

static void
list_failed(struct tool_http *s, const char *why)
{
    s->failures++;
    s->etag[0] = '\0';
    list_later(s);
    if (s->known && s->failures < FAILURES_MAX)
        return;
    if (s->known) {
        free(s->known);
        s->known = NULL;
        s->handlers.on_tools(s->arg, NULL, 0);
    }
    if (!s->closing)
        state_enter(s, TOOL_SERVER_DOWN, why);
}

/* --- its tools */

static bool
tool_is_wanted(const struct tool_http *s, const char *name)
{
    const struct config_list *wanted = &s->cfg.server->tools;

    for (size_t i = 0; i < wanted->count; i++)
        if (strcmp(wanted->items[i], name) == 0)
            return true;
    return wanted->count == 0;
}

static struct tool *
tool_of(struct tool_http *s, const json_t *item)
{
    const struct config_tool_server *server = s->cfg.server;
    char description[TOOL_DESCRIPTION_MAX + 1];
    struct tool_offer offer;
    struct tool *tool = NULL;
    char *schema = NULL;
    size_t bytes;
    bool kept;

    if (tool_offer_read(item, &offer) != 0 || !tool_is_wanted(s, offer.name))
        return NULL;
    bytes = tool_limits_cut(offer.description, strlen(offer.description),
                            TOOL_DESCRIPTION_MAX);
    snprintf(description, sizeof(description), "%.*s", (int) bytes,
             offer.description);
    kept = server->trusted && offer.read_only;
    if (offer.parameters)
        schema = json_dumps(offer.parameters, JSON_COMPACT);
    const struct tool_spec spec = {
        .name = offer.name,
        .description = description,
        .parameters = schema ? schema : "{\"type\":\"object\"}",
        .flags = kept ? TOOL_READ_ONLY : 0,
        .domain = s->cfg.domain,
        .ttl_ms = kept ? server->ttl_ms : 0,
        .timeout_ms = server->timeout_ms,
        .max_bytes = TOOL_BYTES_DEFAULT};
    /* NULL too where the name is none that a model takes. */
    tool_http_run_create(&tool, s->peer, &spec);
    free(schema);
    return tool;
}

static void
tools_tell(struct tool_http *s, const json_t *list)
{
    struct tool *tools[TOOL_OFFER_MAX];
    const json_t *item;
    size_t i, count = 0;

    json_array_foreach(list, i, item)
    {
        struct tool *tool = count < TOOL_OFFER_MAX ? tool_of(s, item) : NULL;
        if (tool)
            tools[count++] = tool;
    }
    LOG(INFO, s->cfg.server->name, "event=tools_listed told=%zu taken=%zu",
        json_array_size(list), count);
    s->handlers.on_tools(s->arg, tools, count);
}

static void
list_read(struct tool_http *s, const json_t *list, const char *etag)
{
    char *text = json_dumps(list, JSON_COMPACT);
    bool same = text && s->known && strcmp(text, s->known) == 0;

    if (!text) {
        list_failed(s, "no memory");
        return;
    }
    s->failures = 0;
    s->etag[0] = '\0';
    if (etag && strlen(etag) < sizeof(s->etag))
        memcpy(s->etag, etag, strlen(etag) + 1);
    free(s->known);
    s->known = text;
    list_later(s);
    if (!same)
        tools_tell(s, list);
    if (!s->closing)
        state_enter(s, TOOL_SERVER_MOUNTED, "listed");
}

static void
list_take(struct tool_http *s, const struct http_response *rs)
{
    json_t *answer = NULL;
    const json_t *list;

    if (rs->status >= 200 && rs->status <= 299)
        answer = json_loadb(rs->body, rs->body_bytes, 0, NULL);
    list = tool_offer_list(answer);
    if (list)
        list_read(s, list, http_response_header(rs, "ETag"));
    else if (answer || (rs->status >= 200 && rs->status <= 299))
        list_failed(s, "it gave no list of tools");
    else
        list_failed(s, "it refused to list its tools");
    json_decref(answer);
}

static void
on_listed(void *arg, const struct http_response *rs)
{
    struct tool_http *s = arg;

    s->listing = false;
    http_call_put(&s->call);
    if (s->closing) {
        server_gone(s);
    } else if (rs->error != 0) {
        list_failed(s, rs->why);
    } else if (rs->status == 304 && s->known) {
        s->failures = 0;
        list_later(s);
    } else {
        list_take(s, rs);
    }
}

static void
list_ask(struct tool_http *s)
{
    const struct http_header condition = {"If-None-Match", s->etag};
    const struct tool_http_ask ask = {.method = "GET",
                                      .path = "/tools",
                                      .header = *s->etag ? &condition : NULL,
                                      .max_bytes = LIST_BYTES,
                                      .total_ms =
                                          s->cfg.server->connect_timeout_ms};
    int err;

    s->listing = true;
    err = tool_http_peer_send(s->peer, &ask, on_listed, s, &s->call);
    if (err != 0) {
        s->listing = false;
        list_failed(s, uv_strerror(err));
    }
}

/* --- its beginning */

static void
on_start(struct loop_task *task, void *arg)
{
    struct tool_http *s = arg;

    (void) task;
    s->listing = false;
    if (s->closing)
        server_gone(s);
    else
        list_ask(s);
}

int
tool_http_create(struct tool_server **sp, const struct tool_server_config *cfg,
                 const struct tool_server_handlers *handlers, void *arg)
{
    static const struct tool_server_ops ops = {.close = http_close};
    struct tool_http *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    s->peer = tool_http_peer_create(cfg, on_peer_idle, s);
    if (!s->peer) {
        free(s);
        return UV_ENOMEM;
    }
    s->server.ops = &ops;
    s->cfg = *cfg;
    s->handlers = *handlers;
    s->arg = arg;
    s->state = TOOL_SERVER_REACHING;
    uv_timer_init(loop_uv(cfg->loop), &s->timer);
    s->timer.data = s;
    s->timer_open = true;
    s->listing = true; /* the task is under way */
    s->start = (struct loop_task){NULL, on_start, s};
    loop_post(cfg->loop, &s->start);
    *sp = &s->server;
    return 0;
}
