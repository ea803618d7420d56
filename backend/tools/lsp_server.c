/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *                 ┌─────────────── ended, failed ───────────────┐
 *   ASLEEP ─► STARTING ─► READY                                 ▼
 *     ▲           ▲         └─────────────────────────────► RESTING
 *     └ created   └────────────────── its time has come ────────┘
 */

#include "tools/lsp_server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/lsp_hello.h"
#include "tools/lsp_documents.h"
#include "tools/lsp_link.h"
#include "tools/lsp_request.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define TICK_MS      50    /* while diagnostics settle */
#define HEALTHY_MS   60000 /* ready for so long: its failures are forgotten */
#define SAVE_MS      2000  /* between two saves of an unchanged document */
#define FAILURES_MAX 16    /* doublings beyond are all the same */

enum state { ASLEEP, STARTING, READY, RESTING };

struct lsp_server {
    struct loop *loop;
    const struct tool_root *root;
    const char *const *argv;
    enum state state;
    struct lsp_link *link;
    struct lsp_documents *documents;
    struct lsp_features features; /* of the one that runs */
    struct lsp_request *first;    /* oldest */
    struct lsp_request *syncing;  /* NULL: none, or it was cancelled */
    bool is_syncing;
    bool broken; /* a notice could not be sent */
    unsigned count;
    struct loop_timer *timer; /* start's limit, rest's end */
    struct loop_timer *tick;  /* diagnostics that settle */
    struct loop_task pump;
    bool pump_posted;
    bool closed;
    uint64_t hello_id;
    uint64_t ready_ms, start_ms; /* since, not before */
    unsigned failures;           /* in a row */
};

unsigned
lsp_server_closing(void)
{
    return lsp_link_closing() + lsp_documents_closing();
}

static void
pump_post(struct lsp_server *s)
{
    if (s->pump_posted)
        return;
    s->pump_posted = true;
    loop_post(s->loop, &s->pump);
}

/* --- the end of requests */

static void
request_unlink(struct lsp_server *s, struct lsp_request *rq)
{
    struct lsp_request **at = &s->first;

    while (*at != rq)
        at = &(*at)->next;
    *at = rq->next;
    s->count--;
    if (s->syncing == rq)
        s->syncing = NULL;
}

/* The handler may ask again: nothing that was found in the list holds on. */
static void
request_end(struct lsp_request *rq, const struct lsp_reply *reply)
{
    request_unlink(rq->server, rq);
    rq->reply(rq->arg, reply);
    lsp_request_destroy(rq);
}

static void
request_fail(struct lsp_request *rq, const char *type, const char *why)
{
    struct lsp_reply reply = {.type = type, .why = why, .uri = ""};

    request_end(rq, &reply);
}

/* Those in a state, each looked for anew. */
static struct lsp_request *
request_in(struct lsp_server *s, enum lsp_request_state state)
{
    struct lsp_request *rq = s->first;

    while (rq != NULL && rq->state != state)
        rq = rq->next;
    return rq;
}

static void
requests_fail(struct lsp_server *s, enum lsp_request_state state,
              const char *type, const char *why)
{
    struct lsp_request *rq;

    while ((rq = request_in(s, state)) != NULL)
        request_fail(rq, type, why);
}

/* --- the end of a run of the server */

static uint64_t
backoff_ms(const struct lsp_server *s)
{
    uint64_t ms = (uint64_t) LSP_SERVER_BACKOFF_MS << (s->failures - 1);

    return ms < LSP_SERVER_BACKOFF_MAX_MS ? ms : LSP_SERVER_BACKOFF_MAX_MS;
}

/* Questions change nothing: one that lost its answer is asked once more. It
 * may be what the server ended of; so not again. */
static void
requests_again(struct lsp_server *s, enum lsp_request_state state)
{
    struct lsp_request *rq;

    while ((rq = request_in(s, state)) != NULL) {
        if (rq->asked_again) {
            request_fail(rq, "unavailable",
                         "The language server ended before it had answered. "
                         "Ask again.");
            continue;
        }
        rq->asked_again = true;
        rq->state = LSP_REQUEST_QUEUED;
    }
}

static void
server_rest(struct lsp_server *s, const char *why)
{
    uint64_t now = clock_now_ms();
    uint64_t wait;

    if (s->state == READY && now - s->ready_ms >= HEALTHY_MS)
        s->failures = 0;
    if (s->failures < FAILURES_MAX)
        s->failures++;
    wait = backoff_ms(s);
    LOG(WARN, "lsp", "server=%s ended why=\"%s\" failures=%u again_ms=%" PRIu64,
        s->argv[0], why, s->failures, wait);
    lsp_link_close(&s->link);
    lsp_documents_forget(s->documents);
    if (s->timer != NULL)
        loop_timer_stop(s->timer);
    s->state = RESTING;
    s->start_ms = now + wait;
    s->broken = false;
    requests_again(s, LSP_REQUEST_SENT);
    requests_again(s, LSP_REQUEST_SETTLING);
    pump_post(s);
}

static void
on_link_end(void *arg, const char *why)
{
    server_rest(arg, why);
}

/* --- start */

static void
on_timer(void *arg)
{
    struct lsp_server *s = arg;

    if (s->state == STARTING)
        server_rest(s, "it has not answered initialize");
    else
        pump_post(s);
}

static void
server_greeted(struct lsp_server *s, const json_t *result, const json_t *error)
{
    if (error != NULL || !json_is_object(result)) {
        server_rest(s, "it refused initialize");
        return;
    }
    lsp_hello_read(&s->features, result);
    if (lsp_link_notify(s->link, "initialized", NULL) != 0) {
        server_rest(s, "it doesn't read");
        return;
    }
    s->state = READY;
    s->ready_ms = clock_now_ms();
    loop_timer_stop(s->timer);
    LOG(INFO, "lsp", "server=%s ready", s->argv[0]);
    pump_post(s);
}

static void on_tick(void *arg);
static void on_link_answer(void *arg, uint64_t id, const json_t *result,
                           const json_t *error);
static void on_link_notice(void *arg, const char *method, const json_t *params);

/* On the loop, where creation may not be. */
static int
timers_create(struct lsp_server *s)
{
    int error = 0;

    if (s->timer == NULL)
        error = loop_timer_create(&s->timer, s->loop, on_timer, s);
    if (error == 0 && s->tick == NULL)
        error = loop_timer_create(&s->tick, s->loop, on_tick, s);
    return error;
}

static void
server_start(struct lsp_server *s)
{
    static const struct lsp_link_handlers handlers = {
        .on_answer = on_link_answer,
        .on_notice = on_link_notice,
        .on_end = on_link_end,
    };
    struct lsp_link_config cfg = {
        .loop = s->loop,
        .argv = s->argv,
        .directory = tool_root_path(s->root),
    };
    int error = timers_create(s);

    s->state = STARTING;
    if (error == 0)
        error = lsp_link_open(&s->link, &cfg, &handlers, s);
    if (error == 0)
        error = lsp_link_request(s->link, "initialize",
                                 lsp_hello_make(tool_root_path(s->root)),
                                 &s->hello_id);
    if (error == 0) {
        loop_timer_start(s->timer, LSP_SERVER_START_MS, 0);
        return;
    }
    server_rest(s, uv_strerror(error));
    requests_fail(s, LSP_REQUEST_QUEUED, "unavailable",
                  "The language server can't be started.");
}

/* --- answers */

static void
on_link_answer(void *arg, uint64_t id, const json_t *result,
               const json_t *error)
{
    struct lsp_server *s = arg;
    struct lsp_request *rq = s->first;
    struct lsp_reply reply = {.why = ""};
    char why[LSP_HELLO_REFUSAL_BYTES];

    if (s->state == STARTING && id == s->hello_id) {
        server_greeted(s, result, error);
        return;
    }
    while (rq != NULL && (rq->state != LSP_REQUEST_SENT || rq->id != id))
        rq = rq->next;
    if (rq == NULL)
        return;
    if (json_is_object(error)) {
        const char *type = lsp_hello_refusal(error, why);

        request_fail(rq, type, why);
        return;
    }
    reply.uri = rq->uri != NULL ? rq->uri : "";
    reply.result = rq->question == LSP_DIAGNOSTICS
                       ? json_object_get(result, "items")
                       : result;
    request_end(rq, &reply);
}

static void
on_link_notice(void *arg, const char *method, const json_t *params)
{
    struct lsp_server *s = arg;

    if (strcmp(method, "textDocument/publishDiagnostics") == 0)
        lsp_documents_publish(s->documents, params, clock_now_ms());
}

/* --- diagnostics that the server publishes when it likes */

/* True: it was ended. */
static bool
request_settle(struct lsp_server *s, struct lsp_request *rq, uint64_t now)
{
    struct lsp_document *doc = lsp_documents_find(s->documents, rq->open_path);
    struct lsp_reply reply = {.why = "", .uri = rq->uri};
    uint64_t since;

    if (doc == NULL) {
        request_fail(rq, "unavailable",
                     "The file was closed meanwhile. Ask again.");
        return true;
    }
    if (doc->published_ms == 0
        && now - rq->asked_ms < LSP_SERVER_DIAGNOSTICS_MS)
        return false;
    if (doc->published_ms == 0) {
        request_fail(rq, "timeout",
                     "The language server has published no diagnostics of this "
                     "file in time.");
        return true;
    }
    since = doc->published_ms > rq->asked_ms ? doc->published_ms : rq->asked_ms;
    if (now - since < LSP_SERVER_SETTLE_MS)
        return false;
    reply.result = doc->diagnostics;
    json_incref(doc->diagnostics);
    request_end(rq, &reply);
    json_decref((json_t *) reply.result);
    return true;
}

static void
on_tick(void *arg)
{
    struct lsp_server *s = arg;
    uint64_t now = clock_now_ms();
    struct lsp_request *rq = s->first;

    while (rq != NULL) {
        if (rq->state == LSP_REQUEST_SETTLING && request_settle(s, rq, now))
            rq = s->first; /* the list may be another */
        else
            rq = rq->next;
    }
    if (request_in(s, LSP_REQUEST_SETTLING) == NULL)
        loop_timer_stop(s->tick);
}

/* --- a file as it is, then the question */

static void
on_document_notice(void *arg, const char *method, json_t *params)
{
    struct lsp_server *s = arg;

    /* Its picture of the file would be wrong for ever: see on_synced. */
    if (s->link == NULL || lsp_link_notify(s->link, method, params) != 0)
        s->broken = true;
}

/* What a document includes may have changed while it has not: a save makes a
 * server look. */
static void
document_save(struct lsp_server *s, struct lsp_document *doc, bool changed)
{
    uint64_t now = clock_now_ms();

    if (!s->features.saves || (!changed && now - doc->saved_ms < SAVE_MS))
        return;
    doc->saved_ms = now;
    on_document_notice(s, "textDocument/didSave",
                       json_pack("{s:{s:s}}", "textDocument", "uri", doc->uri));
}

static void
request_send(struct lsp_server *s, struct lsp_request *rq)
{
    const char *method = lsp_request_method(rq, s->features.pulls);

    rq->asked_ms = clock_now_ms();
    if (method == NULL) {
        rq->state = LSP_REQUEST_SETTLING;
        loop_timer_start(s->tick, TICK_MS, TICK_MS);
        return;
    }
    rq->state = LSP_REQUEST_SENT;
    if (lsp_link_request(s->link, method, lsp_request_params(rq), &rq->id) != 0)
        s->broken = true;
}

static void
request_refuse(struct lsp_request *rq, int error)
{
    if (error == UV_EFBIG)
        request_fail(rq, "too_large",
                     "The file is too large for the language server.");
    else if (error == UV_ENOENT || error == UV_ENOTDIR)
        request_fail(rq, "not_found", tool_root_error_text(error));
    else if (error == UV_EXDEV || error == UV_EACCES)
        request_fail(rq, "denied", tool_root_error_text(error));
    else
        request_fail(rq, "failed", tool_root_error_text(error));
}

static void
on_synced(void *arg, int error, struct lsp_document *doc, bool changed)
{
    struct lsp_server *s = arg;
    struct lsp_request *rq = s->syncing;

    s->is_syncing = false;
    s->syncing = NULL;
    pump_post(s);
    if (rq == NULL) {
        /* Cancelled meanwhile. */
    } else if (error != 0 && error != UV_ECANCELED) {
        request_refuse(rq, error);
    } else if (error != 0 || s->state != READY) {
        rq->state = LSP_REQUEST_QUEUED;
    } else {
        if (doc != NULL) {
            document_save(s, doc, changed);
            free(rq->uri);
            free(rq->open_path);
            rq->uri = strdup(doc->uri);
            rq->open_path = strdup(doc->path);
        }
        if (doc != NULL && (rq->uri == NULL || rq->open_path == NULL))
            request_fail(rq, "failed", "There is no memory left.");
        else
            request_send(s, rq);
    }
    if (s->broken && s->state == READY)
        server_rest(s, "it doesn't read");
}

static void
request_sync(struct lsp_server *s, struct lsp_request *rq)
{
    int error = lsp_documents_sync(s->documents, rq->path, rq->path_bytes,
                                   on_synced, s);

    if (error != 0) {
        request_fail(rq, "failed", "There is no memory left.");
        return;
    }
    rq->state = LSP_REQUEST_SYNCING;
    s->syncing = rq;
    s->is_syncing = true;
}

/* --- the pump */

static void
pump_resting(struct lsp_server *s)
{
    uint64_t now = clock_now_ms();
    char why[160];

    if (request_in(s, LSP_REQUEST_QUEUED) == NULL)
        return;
    if (now >= s->start_ms) {
        server_start(s);
    } else if (s->start_ms - now <= LSP_SERVER_PATIENCE_MS) {
        loop_timer_start(s->timer, s->start_ms - now, 0);
    } else {
        snprintf(why, sizeof(why),
                 "The language server doesn't run; it is started again in "
                 "%" PRIu64 " s.",
                 (s->start_ms - now + 999) / 1000);
        requests_fail(s, LSP_REQUEST_QUEUED, "unavailable", why);
    }
}

static void
on_pump(struct loop_task *task, void *arg)
{
    struct lsp_server *s = arg;
    struct lsp_request *rq;

    (void) task;
    s->pump_posted = false;
    if (s->closed) {
        free(s);
        return;
    }
    requests_fail(s, LSP_REQUEST_CANCELLED, "cancelled", "It was cancelled.");
    rq = request_in(s, LSP_REQUEST_QUEUED);
    if (rq == NULL)
        return;
    if (s->state == ASLEEP)
        server_start(s);
    else if (s->state == RESTING)
        pump_resting(s);
    else if (s->state == READY && !s->is_syncing)
        request_sync(s, rq);
    /* request_sync that failed leaves the others to the next turn. */
    if (s->state == READY && !s->is_syncing
        && request_in(s, LSP_REQUEST_QUEUED) != NULL)
        pump_post(s);
}

/* --- for who asks */

int
lsp_server_ask(struct lsp_server *s, const struct lsp_ask *ask,
               lsp_reply_h *reply, void *arg, struct lsp_request **rp)
{
    struct lsp_request **at = &s->first;
    struct lsp_request *rq;

    if (s->count >= LSP_SERVER_REQUESTS)
        return UV_EBUSY;
    rq = lsp_request_create(ask, reply, arg);
    if (rq == NULL)
        return UV_ENOMEM;
    rq->server = s;
    while (*at != NULL)
        at = &(*at)->next;
    *at = rq;
    s->count++;
    *rp = rq;
    pump_post(s);
    return 0;
}

void
lsp_request_cancel(struct lsp_request *rq)
{
    struct lsp_server *s = rq->server;

    if (rq->state == LSP_REQUEST_SENT && s->link != NULL)
        lsp_link_cancel(s->link, rq->id);
    if (s->syncing == rq)
        s->syncing = NULL;
    rq->state = LSP_REQUEST_CANCELLED;
    pump_post(s);
}

/* --- life */

static void
server_free(struct lsp_server *s)
{
    lsp_documents_destroy(&s->documents);
    s->closed = true;
    /* A posted task is the loop's until it has run: it frees the rest. */
    if (!s->pump_posted)
        free(s);
}

int
lsp_server_create(struct lsp_server **sp, const struct lsp_server_config *cfg)
{
    struct lsp_server *s = calloc(1, sizeof(*s));
    struct lsp_documents_config documents = {.loop = cfg->loop,
                                             .root = cfg->root,
                                             .notify = on_document_notice,
                                             .arg = s};
    int error;

    if (s == NULL)
        return UV_ENOMEM;
    s->loop = cfg->loop;
    s->root = cfg->root;
    s->pump.run = on_pump;
    s->pump.arg = s;
    s->argv = cfg->argv;
    error = lsp_documents_create(&s->documents, &documents);
    if (error != 0) {
        server_free(s);
        return error;
    }
    *sp = s;
    return 0;
}

void
lsp_server_close(struct lsp_server **sp)
{
    struct lsp_server *s = *sp;

    *sp = NULL;
    while (s->first != NULL)
        request_fail(s->first, "cancelled", "The server is ending.");
    lsp_link_close(&s->link);
    loop_timer_destroy(&s->timer);
    loop_timer_destroy(&s->tick);
    server_free(s);
}
