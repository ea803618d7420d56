/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   curl_loop ─► messages ─► on_done
 *
 * Idle connections are curl's to close, but curl looks at them only when a
 * request asks for a connection. So where nobody asks, we do: the nurse is a
 * request whose host is never looked up. It has curl close what has been idle
 * too long or was closed by the peer, and try again those who wait.
 */

#include "gate/http_pump.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "gate/curl_loop.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PRUNE_MS 1100 /* curl looks once a second at most */

struct http_pump {
    struct http_pump_config cfg;
    struct http_pump_handlers handlers;
    void *arg;
    struct curl_loop curl;
    CURLSH *share;
    CURL *nurse;
    long idle_s;
    uv_timer_t tick;
    unsigned parts;    /* to be closed: curl and the tick */
    unsigned requests; /* in the multi, without the nurse */
    unsigned sockets;  /* open, in use or not */
    uint64_t pruned_ms;
    long kept; /* CURLMOPT_MAXCONNECTS as it is set */
    struct metric *open_now, *opened;
};

static void on_tick(uv_timer_t *timer);

/* --- the end */

static void
part_gone(struct http_pump *p)
{
    if (--p->parts)
        return;
    p->handlers.on_closed(p->arg);
    free(p);
}

static void
on_tick_closed(uv_handle_t *handle)
{
    part_gone(handle->data);
}

static void
on_curl_closed(void *arg)
{
    part_gone(arg);
}

void
http_pump_close(struct http_pump *p)
{
    p->parts = 2;
    curl_easy_cleanup(p->nurse);
    curl_loop_close(&p->curl);
    curl_share_cleanup(p->share);
    uv_close((uv_handle_t *) &p->tick, on_tick_closed);
}

/* --- curl's turns */

/*
 * Curl keeps so many connections, busy ones included, and closes what is
 * returned beyond them. While requests wait, the next one takes what is
 * returned: then there is nothing to close.
 */
static void
kept_set(struct http_pump *p)
{
    bool many = p->requests > p->cfg.keepalive;
    uint64_t kept =
        many && p->handlers.is_waiting(p->arg) ? p->cfg.max : p->cfg.keepalive;
    if (p->kept == (long) kept)
        return;
    p->kept = (long) kept;
    curl_multi_setopt(p->curl.multi, CURLMOPT_MAXCONNECTS, p->kept);
}

static void
messages_take(struct http_pump *p)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(p->curl.multi, &left)) != NULL) {
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_multi_remove_handle(p->curl.multi, easy);
        if (easy == p->nurse)
            continue;
        p->requests--;
        p->handlers.on_done(p->arg, easy, code);
    }
}

static void
on_curl_turn(void *arg)
{
    struct http_pump *p = arg;

    messages_take(p);
    p->handlers.on_turn(p->arg);
    kept_set(p);
}

/* --- sockets come and go */

curl_socket_t
http_pump_socket(struct http_pump *p, const struct curl_sockaddr *address)
{
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC,
                    address->protocol);

    if (fd < 0)
        return CURL_SOCKET_BAD;
    p->sockets++;
    metric_add(p->opened, 1);
    metric_add(p->open_now, 1);
    return fd;
}

static int
on_curl_closes(void *arg, curl_socket_t fd)
{
    struct http_pump *p = arg;

    p->sockets--;
    metric_add(p->open_now, -1);
    return close(fd);
}

/* --- the tick */

static void
tick_arm(struct http_pump *p)
{
    if (p->requests > 0)
        uv_timer_start(&p->tick, on_tick, p->cfg.tick_ms, 0);
    else if (p->sockets > 0)
        uv_timer_start(&p->tick, on_tick, PRUNE_MS, 0);
}

static void
nurse_send(struct http_pump *p)
{
    uint64_t now = clock_now_ms();

    /* With all connections in use there is none to prune; and she would cost
     * an idle one its place where nobody waits. */
    if (now - p->pruned_ms < PRUNE_MS || p->sockets == 0
        || (p->sockets >= p->cfg.max && !p->handlers.is_waiting(p->arg)))
        return;
    p->pruned_ms = now;
    if (curl_multi_add_handle(p->curl.multi, p->nurse) != CURLM_OK)
        return;
    curl_loop_turn(&p->curl);
    curl_multi_remove_handle(p->curl.multi, p->nurse);
}

static void
on_tick(uv_timer_t *timer)
{
    struct http_pump *p = timer->data;

    p->handlers.on_tick(p->arg);
    nurse_send(p);
    tick_arm(p);
}

static int
on_nurse_resolves(void *resolver, void *reserved, void *arg)
{
    (void) resolver;
    (void) reserved;
    (void) arg;
    return 1; /* no, thank you */
}

/* --- what comes in and out */

int
http_pump_add(struct http_pump *p, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_SHARE, p->share);
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, p->idle_s);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_curl_closes);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, p);
    if (p->cfg.keepalive == 0)
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    if (curl_multi_add_handle(p->curl.multi, easy) != CURLM_OK)
        return UV_ENOMEM;
    p->requests++;
    kept_set(p);
    if (p->requests == 1)
        tick_arm(p);
    return 0;
}

void
http_pump_remove(struct http_pump *p, CURL *easy)
{
    curl_multi_remove_handle(p->curl.multi, easy);
    p->requests--;
}

/* --- set-up */

static void
multi_configure(struct http_pump *p)
{
    CURLM *multi = p->curl.multi;

    curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long) CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
                      (long) HTTP_PUMP_STREAMS);
    curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long) p->cfg.max);
}

/* One loop's thread is all that ever uses the share: it needs no locks. */
static void
share_configure(struct http_pump *p)
{
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    curl_share_setopt(p->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
}

static void
nurse_configure(struct http_pump *p)
{
    CURL *nurse = p->nurse;

    curl_easy_setopt(nurse, CURLOPT_URL, "http://nurse.invalid/");
    curl_easy_setopt(nurse, CURLOPT_PROXY, "");
    curl_easy_setopt(nurse, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(nurse, CURLOPT_MAXAGE_CONN, p->idle_s);
    curl_easy_setopt(nurse, CURLOPT_RESOLVER_START_FUNCTION, on_nurse_resolves);
}

static const struct curl_loop_handlers curl_handlers = {on_curl_turn,
                                                        on_curl_closed};

int
http_pump_create(struct http_pump **pp, const struct http_pump_config *cfg,
                 const struct http_pump_handlers *handlers, void *arg)
{
    struct http_pump *p = calloc(1, sizeof(*p));

    if (!p)
        return UV_ENOMEM;
    p->cfg = *cfg;
    p->handlers = *handlers;
    p->arg = arg;
    /* Curl counts whole seconds and closes what has more of them. */
    p->idle_s = cfg->idle_ms > 1000 ? (long) (cfg->idle_ms / 1000) - 1 : 0;
    p->share = curl_share_init();
    p->nurse = curl_easy_init();
    if (curl_loop_init(&p->curl, &curl_handlers, p) || !p->share || !p->nurse) {
        curl_easy_cleanup(p->nurse);
        curl_loop_deinit(&p->curl);
        curl_share_cleanup(p->share);
        free(p);
        return UV_ENOMEM;
    }
    multi_configure(p);
    share_configure(p);
    nurse_configure(p);
    p->open_now = metric_register(METRIC_GAUGE, "voiced_http_connections",
                                  "Connections of the HTTP client open now.");
    p->opened = metric_register(METRIC_COUNTER, "voiced_http_connections_total",
                                "Connections that the HTTP client opened.");
    *pp = p;
    return 0;
}

void
http_pump_start(struct http_pump *p)
{
    uv_loop_t *uv = loop_uv(p->cfg.loop);

    curl_loop_start(&p->curl, uv);
    uv_timer_init(uv, &p->tick);
    p->tick.data = p;
}
