/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   a ticket: SENT ─► an exchange is under way ─► over
 *                       └─► PAUSED, a timer ─► SENT …   (legacy, by GET)
 */

#include "tools/mcp_http.h"

#include "base/clock.h"
#include "base/config_tool_server.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/json_rpc.h"
#include "tools/mcp_exchange.h"
#include "tools/mcp_http_headers.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define EVENT_BYTES     256
#define GOODBYE_MS      1000
#define FORGOTTEN_MS    50   /* others of that session are refused by then */
#define RETRY_MS        1000 /* before a stream is taken up, if not said */
#define RETRY_MIN_MS    100  /* of one that nobody waits for */
#define RETRY_MAX_MS    30000
#define PATIENT_RETRIES 2
#define RETRIES         8 /* without an event between them */
#define REFUSED_MAX     3 /* connections in a row: the server is gone */

enum ticket_kind {
    TICKET_MESSAGE, /* a POST; of a request until its answer */
    TICKET_LISTEN,  /* the GET that stays open */
    TICKET_GOODBYE  /* the session's end */
};

struct mcp_http;

struct ticket {
    struct mcp_http *http;
    struct ticket *next, **link;
    enum ticket_kind kind;
    uint64_t number;      /* the request's; 0: nothing is awaited */
    uint64_t deadline_ms; /* 0: none */
    bool modern;
    bool had_session;
    bool opens; /* the handshake: its answer names the session */
    bool answered;
    bool forgotten;
    bool streamed; /* there was a stream to come back to */
    unsigned retries;
    int64_t retry_ms;              /* what the stream asked for; -1 nothing */
    char event[EVENT_BYTES];       /* taken up behind it; "" none */
    struct mcp_exchange *exchange; /* NULL: paused */
    struct loop_timer *timer;      /* made when it is first paused */
};

struct mcp_http {
    struct mcp_link link;
    struct loop *loop;
    struct http_client *client;
    const struct config_tool_server *server;
    const struct mcp_link_handlers *handlers;
    void *arg;
    struct mcp_http_headers *headers;
    struct ticket *tickets;
    unsigned ticket_count;
    struct loop_task closed_task;
    struct loop_timer *lose_timer;
    char session[MCP_HTTP_SESSION_BYTES]; /* "" none */
    char version[16];                     /* agreed, legacy */
    bool forgotten; /* the session, by the server: lost in a moment */
    bool lost, closing;
    unsigned refused; /* connections in a row */
    const char *why;  /* it is lost */
};

static struct mcp_http *
http_of(struct mcp_link *link)
{
    return (struct mcp_http *) link;
}

/* --- tickets */

static struct ticket *
ticket_create(struct mcp_http *h, enum ticket_kind kind)
{
    struct ticket *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    t->http = h;
    t->kind = kind;
    t->retry_ms = -1;
    t->next = h->tickets;
    t->link = &h->tickets;
    if (t->next)
        t->next->link = &t->next;
    h->tickets = t;
    h->ticket_count++;
    return t;
}

/* The last one of a link that closes takes it along, from the loop. */
static void
ticket_free(struct ticket *t)
{
    struct mcp_http *h = t->http;

    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    if (t->timer)
        loop_timer_destroy(&t->timer);
    free(t);
    if (--h->ticket_count == 0 && h->closing)
        loop_post(h->loop, &h->closed_task);
}

static void
ticket_cancel(struct ticket *t)
{
    t->forgotten = true;
    if (t->exchange)
        mcp_exchange_cancel(t->exchange);
    else
        ticket_free(t);
}

static void
http_free(struct mcp_http *h)
{
    mcp_http_headers_destroy(&h->headers);
    if (h->lose_timer)
        loop_timer_destroy(&h->lose_timer);
    free(h);
}

static void
on_closed_task(struct loop_task *task, void *arg)
{
    struct mcp_http *h = arg;
    const struct mcp_link_handlers *handlers = h->handlers;
    void *handler_arg = h->arg;

    (void) task;
    http_free(h);
    handlers->on_closed(handler_arg);
}

/* --- failures */

/* The session is lost. What else was sent with it is being refused too, and is
 * to be told so. */
static void
on_lose_timer(void *arg)
{
    struct mcp_http *h = arg;

    if (h->lost || h->closing)
        return;
    h->lost = true;
    h->handlers->on_lost(h->arg, UV_ENOTCONN, h->why);
}

static void
session_lose(struct mcp_http *h, const char *why)
{
    if (h->forgotten || h->lost || h->closing)
        return;
    h->forgotten = true;
    h->why = why;
    loop_timer_start(h->lose_timer, FORGOTTEN_MS, 0);
}

static int
status_error(unsigned status)
{
    if (status == 401 || status == 403)
        return UV_EACCES;
    return status >= 500 ? UV_EIO : UV_EPROTO;
}

/* A request with a session that the server doesn't know. The standard says
 * 404; servers say 400 as well. Of listening, which not all offer, it says so
 * only when there was something to listen to before. */
static bool
session_is_gone(const struct ticket *t, unsigned status)
{
    if (!t->had_session || t->answered
        || (t->kind == TICKET_LISTEN && !t->streamed))
        return false;
    return status == 404 || status == 400;
}

/* It is over without an answer: told, and the ticket is gone. */
static void
ticket_fail(struct ticket *t, int error, unsigned status, const char *why)
{
    struct mcp_http *h = t->http;
    uint64_t number = t->number;
    bool gone = session_is_gone(t, status);
    bool told = number && !t->forgotten && !h->closing && !h->lost;

    ticket_free(t);
    if (gone)
        session_lose(h, "the server has forgotten the session");
    if (told)
        h->handlers->on_failed(h->arg, number, gone ? UV_ENOTCONN : error,
                               status, why);
}

/* --- streams that are taken up again */

static int ticket_resume(struct ticket *t);

static void
on_ticket_timer(void *arg)
{
    struct ticket *t = arg;
    int error = ticket_resume(t);

    if (error)
        ticket_fail(t, error, 0, uv_strerror(error));
}

/* As the stream asks; longer and longer when coming back brings nothing. */
static uint64_t
pause_of(const struct ticket *t)
{
    uint64_t ms = t->retry_ms >= 0 ? (uint64_t) t->retry_ms : RETRY_MS;

    if (t->kind == TICKET_LISTEN && ms < RETRY_MIN_MS)
        ms = RETRY_MIN_MS;
    for (unsigned i = PATIENT_RETRIES; i < t->retries && ms < RETRY_MAX_MS; i++)
        ms = ms < RETRY_MS ? RETRY_MS : ms * 2;
    return ms > RETRY_MAX_MS ? RETRY_MAX_MS : ms;
}

/* Is there something to come back to, and time? */
static bool
ticket_may_resume(const struct ticket *t, const struct mcp_exchange_end *end)
{
    const struct mcp_http *h = t->http;

    if (t->forgotten || h->closing || h->lost || t->modern)
        return false;
    if (end->error == UV_EMSGSIZE || end->error == UV_ENOMEM)
        return false;
    if (t->kind == TICKET_LISTEN)
        return end->status == 0 || end->streamed || end->status >= 500;
    if (t->kind != TICKET_MESSAGE || !t->number || !t->event[0])
        return false;
    return t->retries < RETRIES
           && (end->status == 0 || end->streamed || end->status >= 500)
           && (!t->deadline_ms || clock_now_ms() < t->deadline_ms);
}

static int
ticket_pause(struct ticket *t)
{
    int result = 0;

    if (!t->timer)
        result =
            loop_timer_create(&t->timer, t->http->loop, on_ticket_timer, t);
    if (!result)
        loop_timer_start(t->timer, pause_of(t), 0);
    t->retries++;
    return result;
}

/* --- answers */

/* RFC 9110 leaves room for more, the protocol asks for visible ASCII. */
static void
session_take(struct mcp_http *h, const char *session)
{
    size_t n = session ? strlen(session) : 0;

    if (!n || n >= MCP_HTTP_SESSION_BYTES)
        return;
    for (size_t i = 0; i < n; i++) {
        if (session[i] <= ' ' || session[i] > '~')
            return;
    }
    memcpy(h->session, session, n + 1);
}

static void
on_exchange_head(void *arg, const struct http_response *rs)
{
    struct ticket *t = arg;

    if (t->opens)
        session_take(t->http, http_response_header(rs, "Mcp-Session-Id"));
}

static void
on_exchange_message(void *arg, const json_t *tree, unsigned status)
{
    struct ticket *t = arg;
    struct mcp_http *h = t->http;
    struct json_rpc message;
    bool ours;

    if (t->forgotten || h->closing || h->lost
        || json_rpc_read(&message, tree) != 0)
        return;
    ours = t->number && message.number == t->number;
    /* The body of a refusal may be a message that answers nobody. */
    if (status >= 300 && !ours)
        return;
    t->retries = 0;
    if (ours)
        t->answered = true;
    h->handlers->on_message(h->arg, tree);
}

static void
event_note(struct ticket *t, const struct mcp_exchange_end *end)
{
    size_t n = strlen(end->id);

    if (end->retry_ms >= 0)
        t->retry_ms = end->retry_ms;
    if (!end->streamed || !n || n >= sizeof(t->event))
        return;
    if (strcmp(t->event, end->id) != 0)
        t->retries = 0;
    memcpy(t->event, end->id, n + 1);
}

static void
ticket_end(struct ticket *t, const struct mcp_exchange_end *end)
{
    bool awaited = t->number && !t->answered;

    if (end->error)
        ticket_fail(t, end->error, end->status, end->why);
    else if (end->status >= 300)
        ticket_fail(t, status_error(end->status), end->status,
                    "it was refused");
    else if (awaited)
        ticket_fail(t, end->streamed ? UV_ECONNRESET : UV_EPROTO, end->status,
                    "it was not answered");
    else
        ticket_free(t);
}

/* A server that nobody listens for any more is lost, though no call waits. */
static void
refusals_count(struct mcp_http *h, const struct mcp_exchange_end *end)
{
    if (end->status)
        h->refused = 0;
    else if (end->error == UV_ECONNREFUSED || end->error == UV_EAI_NONAME)
        h->refused++;
    if (h->refused >= REFUSED_MAX)
        session_lose(h, "it can't be reached");
}

static void
on_exchange_end(void *arg, const struct mcp_exchange_end *end)
{
    struct ticket *t = arg;

    refusals_count(t->http, end);
    t->exchange = NULL;
    t->streamed |= end->streamed;
    event_note(t, end);
    if (t->answered && !end->error) {
        ticket_free(t);
        return;
    }
    if (ticket_may_resume(t, end) && ticket_pause(t) == 0)
        return;
    /* Without it there is only less to hear. */
    if (t->kind == TICKET_LISTEN && !session_is_gone(t, end->status))
        LOG(DEBUG, t->http->server->name, "mcp_listen=off status=%u why=\"%s\"",
            end->status, end->why);
    if (t->answered)
        ticket_free(t);
    else
        ticket_end(t, end);
}

static const struct mcp_exchange_handlers exchange_handlers = {
    .on_head = on_exchange_head,
    .on_message = on_exchange_message,
    .on_end = on_exchange_end,
};

/* --- sending */

static int
ticket_open(struct ticket *t, const char *method,
            const struct mcp_send *message)
{
    struct mcp_http *h = t->http;
    const struct mcp_http_sent sent = {
        .session = t->opens || t->modern ? NULL : h->session,
        .version = message ? message->version : h->version,
        .event = t->event,
        .posts = message != NULL,
    };
    struct mcp_exchange_config cfg = {
        .http = h->client,
        .server = h->server,
        .method = method,
        .body = message ? message->text : NULL,
    };
    int result = mcp_http_headers_make(h->headers, &sent, message, &cfg.headers,
                                       &cfg.header_count);
    uint64_t now = clock_now_ms();

    if (result)
        return result;
    if (t->deadline_ms)
        cfg.timeout_ms = t->deadline_ms > now ? t->deadline_ms - now : 1;
    t->had_session = sent.session && sent.session[0];
    return mcp_exchange_open(&t->exchange, &cfg, &exchange_handlers, t);
}

static int
ticket_resume(struct ticket *t)
{
    return ticket_open(t, "GET", NULL);
}

static int
mcp_http_send(struct mcp_link *link, const struct mcp_send *message)
{
    struct mcp_http *h = http_of(link);
    struct ticket *t;

    if (h->lost || h->closing)
        return UV_EPIPE;
    if (h->ticket_count >= MCP_HTTP_MAX)
        return UV_ENOBUFS;
    t = ticket_create(h, TICKET_MESSAGE);
    if (!t)
        return UV_ENOMEM;
    t->number = message->number;
    t->modern = message->era == MCP_ERA_MODERN;
    t->opens = message->era == MCP_ERA_UNKNOWN;
    if (message->timeout_ms)
        t->deadline_ms = clock_now_ms() + message->timeout_ms;
    int result = ticket_open(t, "POST", message);
    if (result)
        ticket_free(t);
    return result;
}

static void
mcp_http_forget(struct mcp_link *link, uint64_t number)
{
    struct ticket *t = http_of(link)->tickets;

    while (t && (t->number != number || t->kind != TICKET_MESSAGE))
        t = t->next;
    if (t && !t->forgotten)
        ticket_cancel(t);
}

/* A server that doesn't want to be listened to says 405. */
static void
mcp_http_listen(struct mcp_link *link, const char *version)
{
    struct mcp_http *h = http_of(link);
    struct ticket *t;

    snprintf(h->version, sizeof(h->version), "%s", version);
    t = h->closing || h->lost ? NULL : ticket_create(h, TICKET_LISTEN);
    if (t && ticket_open(t, "GET", NULL) != 0)
        ticket_free(t);
}

/* --- life */

static void
goodbye_send(struct mcp_http *h)
{
    struct ticket *t;

    if (!h->session[0] || h->lost || h->forgotten)
        return;
    t = ticket_create(h, TICKET_GOODBYE);
    if (!t)
        return;
    t->deadline_ms = clock_now_ms() + GOODBYE_MS;
    if (ticket_open(t, "DELETE", NULL) != 0)
        ticket_free(t);
}

static void
mcp_http_close(struct mcp_link *link)
{
    struct mcp_http *h = http_of(link);
    struct ticket *t, *next;

    if (h->closing)
        return;
    for (t = h->tickets; t; t = next) {
        next = t->next;
        ticket_cancel(t);
    }
    goodbye_send(h);
    h->closing = true;
    loop_timer_stop(h->lose_timer);
    if (!h->ticket_count)
        loop_post(h->loop, &h->closed_task);
}

static const struct mcp_link_ops ops = {
    .send = mcp_http_send,
    .forget = mcp_http_forget,
    .listen = mcp_http_listen,
    .close = mcp_http_close,
};

int
mcp_http_create(struct mcp_link **lp, const struct mcp_link_config *cfg,
                const struct mcp_link_handlers *handlers, void *arg)
{
    struct mcp_http *h = calloc(1, sizeof(*h));
    int result =
        h ? mcp_http_headers_create(&h->headers, cfg->server) : UV_ENOMEM;

    if (!result)
        result = loop_timer_create(&h->lose_timer, cfg->loop, on_lose_timer, h);
    if (result) {
        if (h)
            http_free(h);
        return result;
    }
    h->link.ops = &ops;
    h->loop = cfg->loop;
    h->client = cfg->http;
    h->server = cfg->server;
    h->handlers = handlers;
    h->arg = arg;
    h->closed_task = (struct loop_task){.run = on_closed_task, .arg = h};
    *lp = &h->link;
    return 0;
}
