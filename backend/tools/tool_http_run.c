/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_http_run.h"

#include "codec/tool_limits.h"
#include "codec/tool_offer.h"
#include "tools/tool_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADERS_MAX 40 /* the server's, the key, ours */
#define PATH_BYTES  128
#define OWN_HEADERS 4 /* at most, beside the server's */

struct http_run {
    struct http_run *next, **link; /* the peer's */
    struct tool_http_peer *peer;
    struct tool_run *run;
    struct http_call *call;
};

struct tool_http_peer {
    atomic_uint shares;
    struct http_client *http; /* NULL: closed */
    char *name, *base, *ca_file, *proxy, *bearer;
    struct http_header headers[HEADERS_MAX];
    size_t header_count;
    size_t max_bytes;
    uint64_t timeout_ms;
    struct http_run *runs;
    tool_http_idle_h *idle;
    void *arg;
};

struct http_tool {
    struct tool tool;
    struct tool_http_peer *peer;
};

/* --- the peer */

static void
peer_free(struct tool_http_peer *p)
{
    for (size_t i = 0; i < p->header_count; i++) {
        explicit_bzero((char *) p->headers[i].value,
                       strlen(p->headers[i].value));
        free((char *) p->headers[i].name); /* one text, the value behind it */
    }
    if (p->bearer)
        explicit_bzero(p->bearer, strlen(p->bearer));
    free(p->bearer);
    free(p->name);
    free(p->base);
    free(p->ca_file);
    free(p->proxy);
    free(p);
}

/* "Name: value", as configured and checked. */
static bool
header_add(struct tool_http_peer *p, const char *line)
{
    size_t bytes = strlen(line) + 1, at = strcspn(line, ":");
    char *copy;

    if (!line[at] || p->header_count == HEADERS_MAX - OWN_HEADERS)
        return true;
    copy = malloc(bytes);
    if (!copy)
        return false;
    memcpy(copy, line, bytes);
    copy[at++] = '\0';
    at += strspn(copy + at, " \t");
    p->headers[p->header_count++] = (struct http_header){copy, copy + at};
    return true;
}

static bool
peer_fill(struct tool_http_peer *p, const struct config_tool_server *server)
{
    bool done = true;
    size_t bytes = strlen(server->http);

    while (bytes > 0 && server->http[bytes - 1] == '/')
        bytes--;
    p->name = strdup(server->name);
    p->base = strndup(server->http, bytes);
    p->ca_file = strdup(server->ca_file ? server->ca_file : "");
    p->proxy = strdup(server->proxy ? server->proxy : "");
    if (server->key && asprintf(&p->bearer, "Bearer %s", server->key) < 0) {
        p->bearer = NULL;
        done = false;
    }
    for (size_t i = 0; i < server->headers.count && done; i++)
        done = header_add(p, server->headers.items[i]);
    return done && p->name && p->base && p->ca_file && p->proxy;
}

struct tool_http_peer *
tool_http_peer_create(const struct tool_server_config *cfg,
                      tool_http_idle_h *idle, void *arg)
{
    struct tool_http_peer *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    atomic_init(&p->shares, 1);
    p->http = cfg->http;
    p->idle = idle;
    p->arg = arg;
    p->max_bytes = cfg->server->max_answer_bytes;
    p->timeout_ms = cfg->server->timeout_ms;
    if (!peer_fill(p, cfg->server)) {
        peer_free(p);
        return NULL;
    }
    return p;
}

void
tool_http_peer_unref(struct tool_http_peer **pp)
{
    struct tool_http_peer *p = *pp;

    *pp = NULL;
    if (p && atomic_fetch_sub(&p->shares, 1) == 1)
        peer_free(p);
}

bool
tool_http_peer_is_busy(const struct tool_http_peer *p)
{
    return p->runs != NULL;
}

void
tool_http_peer_close(struct tool_http_peer *p)
{
    p->http = NULL;
    for (struct http_run *r = p->runs; r; r = r->next)
        http_call_cancel(&r->call);
}

int
tool_http_peer_send(struct tool_http_peer *p, const struct tool_http_ask *ask,
                    http_done_h *done, void *arg, struct http_call **call)
{
    struct http_header headers[HEADERS_MAX];
    size_t n = p->header_count;
    char *url;
    int err;

    if (!p->http)
        return UV_ECANCELED;
    if (asprintf(&url, "%s%s", p->base, ask->path) < 0)
        return UV_ENOMEM;
    memcpy(headers, p->headers, n * sizeof(*headers));
    headers[n++] = (struct http_header){"Accept", "application/json"};
    if (p->bearer)
        headers[n++] = (struct http_header){"Authorization", p->bearer};
    if (ask->body)
        headers[n++] = (struct http_header){"Content-Type", "application/json"};
    if (ask->header)
        headers[n++] = *ask->header;
    const struct http_request rq = {.method = ask->method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = n,
                                    .body = ask->body,
                                    .body_bytes = ask->body_bytes,
                                    .max_answer_bytes = ask->max_bytes,
                                    .ca_file = p->ca_file,
                                    .proxy = p->proxy,
                                    .total_ms = ask->total_ms,
                                    .read_ms = HTTP_CLIENT_NEVER};
    err = http_client_send(p->http, &rq, done, arg, call);
    free(url);
    return err;
}

/* --- a run */

static void
run_fail(struct tool_run *run, const char *name, int error)
{
    if (error == UV_ETIMEDOUT)
        tool_run_fail(run, "timeout", "The tool server %s took too long.",
                      name);
    else if (error == UV_EMSGSIZE)
        tool_run_fail(run, "too_large",
                      "What the tool server %s answered is too large.", name);
    else if (error == UV_ENOMEM)
        tool_run_fail(run, "failed", "The server has no memory left.");
    else if (tool_run_is_cancelled(run))
        tool_run_fail(run, "cancelled", "The call was cancelled.");
    else
        tool_run_fail(run, "unavailable",
                      "The tool server %s can't be reached.", name);
}

static void
answer_read(struct tool_run *run, const struct http_response *rs)
{
    json_t *body = json_loadb(rs->body, rs->body_bytes, JSON_DECODE_ANY, NULL);
    const struct tool_offer_answer answer = {.status = rs->status,
                                             .body = body,
                                             .text = rs->body,
                                             .bytes = rs->body_bytes};
    struct tool_offer_error error = {.type = "failed"};
    struct tool_result result = {0};
    json_t *output = NULL;

    if (tool_offer_result(&answer, &output, &error)) {
        result.output =
            tool_offer_cut(output, TOOL_LIMIT_BYTES, &result.truncated);
        snprintf(error.text, sizeof(error.text),
                 "There is no memory left for the result.");
    }
    if (!result.output) {
        result.error = error.text;
        result.type = error.type;
    }
    json_decref(body);
    tool_run_finish(run, &result);
}

static void
on_executed(void *arg, const struct http_response *rs)
{
    struct http_run *r = arg;
    struct tool_http_peer *p = r->peer;
    struct tool_run *run = r->run;

    *r->link = r->next;
    if (r->next)
        r->next->link = r->link;
    http_call_put(&r->call);
    free(r);
    if (rs->error == 0)
        answer_read(run, rs);
    else
        run_fail(run, p->name, rs->error);
    if (!p->http && !p->runs)
        p->idle(p->arg);
    tool_http_peer_unref(&p);
}

static void
run_begin(struct http_run *r, struct tool_http_peer *p)
{
    atomic_fetch_add(&p->shares, 1);
    r->peer = p;
    r->link = &p->runs;
    r->next = p->runs;
    if (r->next)
        r->next->link = &r->next;
    p->runs = r;
}

static int
run_send(struct tool_http_peer *p, struct tool *tool, struct tool_run *run)
{
    const struct http_header trace = {"traceparent", run->cfg.traceparent};
    bool traced = run->cfg.traceparent && *run->cfg.traceparent;
    struct http_run *r = calloc(1, sizeof(*r));
    char *body = json_dumps(run->cfg.arguments, JSON_COMPACT);
    char path[PATH_BYTES];
    int err = UV_ENOMEM;

    snprintf(path, sizeof(path), "/execute/%s", tool->spec.name);
    if (r && body) {
        const struct tool_http_ask ask = {.method = "POST",
                                          .path = path,
                                          .body = body,
                                          .body_bytes = strlen(body),
                                          .header = traced ? &trace : NULL,
                                          .max_bytes = p->max_bytes,
                                          .total_ms = p->timeout_ms};
        r->run = run;
        err = tool_http_peer_send(p, &ask, on_executed, r, &r->call);
    }
    free(body);
    if (err == 0) {
        run_begin(r, p);
        tool_run_keep(run, r, NULL);
    } else {
        free(r);
    }
    return err;
}

static void
http_start(struct tool *tool, struct tool_run *run)
{
    struct tool_http_peer *p = ((struct http_tool *) tool)->peer;
    int err = run_send(p, tool, run);

    if (err != 0)
        run_fail(run, p->name, err);
}

static void
http_cancel(struct tool *tool, struct tool_run *run)
{
    struct http_run *r = run->kept;

    (void) tool;
    if (r)
        http_call_cancel(&r->call);
}

static void
http_destroy(struct tool *tool)
{
    struct http_tool *t = (struct http_tool *) tool;

    tool_deinit(tool);
    tool_http_peer_unref(&t->peer);
    free(t);
}

int
tool_http_run_create(struct tool **tp, struct tool_http_peer *peer,
                     const struct tool_spec *spec)
{
    static const struct tool_ops ops = {
        .start = http_start, .cancel = http_cancel, .destroy = http_destroy};
    struct http_tool *t = calloc(1, sizeof(*t));
    int err = t ? tool_init(&t->tool, &ops, spec) : UV_ENOMEM;

    if (err != 0) {
        free(t);
        return err;
    }
    t->peer = peer;
    atomic_fetch_add(&peer->shares, 1);
    *tp = &t->tool;
    return 0;
}
