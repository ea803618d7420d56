/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A worker that shuts down tells its sessions, once, and gives them time:
 *
 *   SIGQUIT -> ngx_close_idle_connections() -> watcher -> every session
 *                                                            |
 *   upstream <- ping "drain <ms>" <--------------------------+
 *                  ... voice_drain_timeout ...               |
 *   upstream <- Close 1001, end of STDIN <-------------------+
 *   upstream -> what is left, END_REQUEST -> client -> Close 1001
 *
 * A session that opens later, having been in its handshake, is told then.
 * Nothing but nginx's list of connections says when a worker begins to shut
 * down, so one that has no socket and is always idle stands in it.
 */


#include "ngx_http_voice.h"
#include <poll.h>


/*
 * What is kept of worker_shutdown_timeout, at most half of it, so that the
 * sessions are at their end before it cuts.
 */

#define NGX_HTTP_VOICE_RESERVE    5000

/* how long an end of the process may wait for those who got a Close */

#define NGX_HTTP_VOICE_LINGER     300

#define NGX_HTTP_VOICE_NO_SOCKET  (ngx_socket_t) -2
#define NGX_HTTP_VOICE_DRAIN_MAX  999999999  /* of nine digits */


static void ngx_http_voice_start_drain(ngx_event_t *rev);
static void ngx_http_voice_free_watcher(ngx_connection_t *c);
static ngx_msec_t ngx_http_voice_drain_bound(void);
static void ngx_http_voice_tell(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_part(struct pollfd *fds, ngx_uint_t n,
    ngx_log_t *log);


static ngx_queue_t  ngx_http_voice_sessions;
static ngx_uint_t   ngx_http_voice_draining;
static ngx_msec_t   ngx_http_voice_drain_since;
static ngx_msec_t   ngx_http_voice_drain_limit;
static ngx_array_t  ngx_http_voice_parting;    /* of struct pollfd */


char *
ngx_http_voice_check_drain(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *msec = data;

    ngx_core_conf_t  *ccf;

    if (*msec == 0) {
        return "must not be zero";
    }

    ccf = (ngx_core_conf_t *) ngx_get_conf(cf->cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->shutdown_timeout != NGX_CONF_UNSET_MSEC
        && ccf->shutdown_timeout != 0
        && *msec > ccf->shutdown_timeout)
    {
        return "is longer than \"worker_shutdown_timeout\"";
    }

    return NGX_CONF_OK;
}


ngx_int_t
ngx_http_voice_init_process(ngx_cycle_t *cycle)
{
    ngx_connection_t  *c;

    ngx_queue_init(&ngx_http_voice_sessions);

    if (ngx_process != NGX_PROCESS_WORKER) {
        return NGX_OK;
    }

    /* descriptor 0 is one that any list of them has room for */

    c = ngx_get_connection(0, cycle->log);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->fd = NGX_HTTP_VOICE_NO_SOCKET;
    c->idle = 1;
    c->data = NULL;
    c->read->handler = ngx_http_voice_start_drain;
    c->read->log = cycle->log;

    return NGX_OK;
}


/*
 * Fast shutdown: sessions get a Close and their line in the log.  Also the end
 * of a worker that worker_shutdown_timeout has cut.
 */

void
ngx_http_voice_exit_process(ngx_cycle_t *cycle)
{
    uint64_t               until;
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_connection_t      *c;
    ngx_http_voice_ctx_t  *ctx;

    while (!ngx_queue_empty(&ngx_http_voice_sessions)) {

        q = ngx_queue_head(&ngx_http_voice_sessions);
        ctx = ngx_queue_data(q, ngx_http_voice_ctx_t, queue);
        c = ctx->client;

        ngx_http_voice_farewell(ctx);
        c->error = 1;
        ngx_http_voice_finalize(ctx, NGX_ERROR);
        ngx_http_run_posted_requests(c);
    }

    n = ngx_http_voice_parting.nelts;
    until = ngx_http_voice_time() + NGX_HTTP_VOICE_LINGER * 1000;

    while (n > 0 && ngx_http_voice_time() < until) {
        n = ngx_http_voice_part(ngx_http_voice_parting.elts, n, cycle->log);
    }
}


/*
 * The connection is closed at once, while what the client sent or is about to
 * send would make a reset of that, which may overtake the Close frame.  So the
 * socket lives on until the process ends, and is read then.
 */

void
ngx_http_voice_linger(ngx_connection_t *c)
{
    int             fd;
    struct pollfd  *p;

    if (ngx_http_voice_parting.elts == NULL
        && ngx_array_init(&ngx_http_voice_parting, ngx_cycle->pool, 64,
                          sizeof(struct pollfd))
           != NGX_OK)
    {
        return;
    }

    fd = dup(c->fd);
    if (fd == -1) {
        return;
    }

    p = ngx_array_push(&ngx_http_voice_parting);
    if (p == NULL) {
        (void) close(fd);
        return;
    }

    (void) ngx_shutdown_socket(fd, SHUT_WR);

    p->fd = fd;
    p->events = POLLIN;
}


/* reads once of everybody; how many are left */

static ngx_uint_t
ngx_http_voice_part(struct pollfd *fds, ngx_uint_t n, ngx_log_t *log)
{
    ssize_t                  size;
    ngx_uint_t               i, left;
    ngx_http_voice_block_t  *b;

    if (poll(fds, n, 10) == -1) {
        return 0;
    }

    b = ngx_http_voice_get_block(log);
    if (b == NULL) {
        return 0;
    }

    left = 0;

    for (i = 0; i < n; i++) {

        if (fds[i].revents) {
            size = recv(fds[i].fd, b->data, NGX_HTTP_VOICE_BLOCK_SIZE, 0);

            if (size == 0 || (size == -1 && ngx_socket_errno != NGX_EAGAIN)) {
                (void) close(fds[i].fd);
                continue;
            }
        }

        fds[left++] = fds[i];
    }

    ngx_http_voice_put_block(b);

    return left;
}


/*
 * The loop over all connections is our caller, and the next look at the
 * sockets may be far away: sessions move on from the queue that is handled
 * before it.
 */

static void
ngx_http_voice_start_drain(ngx_event_t *rev)
{
    ngx_uint_t             n;
    ngx_queue_t           *q;
    ngx_http_voice_ctx_t  *ctx;

    /* or the end of worker_shutdown_timeout would find it again */

    ngx_http_voice_free_watcher(rev->data);

    ngx_http_voice_draining = 1;
    ngx_http_voice_drain_since = ngx_current_msec;
    ngx_http_voice_drain_limit = ngx_http_voice_drain_bound();

    n = 0;

    for (q = ngx_queue_head(&ngx_http_voice_sessions);
         q != ngx_queue_sentinel(&ngx_http_voice_sessions);
         q = ngx_queue_next(q))
    {
        ctx = ngx_queue_data(q, ngx_http_voice_ctx_t, queue);

        ngx_http_voice_tell(ctx);
        ngx_post_event(ctx->client->read, &ngx_posted_next_events);

        n++;
    }

    ngx_log_error(NGX_LOG_INFO, ngx_cycle->log, 0,
                  "draining %ui voice sessions", n);
}


static void
ngx_http_voice_free_watcher(ngx_connection_t *c)
{
    c->fd = 0;

    ngx_free_connection(c);

    c->fd = (ngx_socket_t) -1;
}


static ngx_msec_t
ngx_http_voice_drain_bound(void)
{
    ngx_msec_t        limit;
    ngx_core_conf_t  *ccf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    limit = ccf->shutdown_timeout;

    if (limit == 0 || limit == NGX_CONF_UNSET_MSEC) {
        return NGX_HTTP_VOICE_DRAIN_MAX;
    }

    return limit - ngx_min(limit / 2, NGX_HTTP_VOICE_RESERVE);
}


static void
ngx_http_voice_tell(ngx_http_voice_ctx_t *ctx)
{
    if (ctx->phase != ngx_http_voice_open) {
        return;
    }

    ctx->need_drain = 1;

    ngx_http_voice_set_timer(ctx);
}


/* frames begin to pass */

void
ngx_http_voice_enter(ngx_http_voice_ctx_t *ctx)
{
    ngx_queue_insert_tail(&ngx_http_voice_sessions, &ctx->queue);

    if (ngx_http_voice_draining) {
        ngx_http_voice_tell(ctx);
    }
}


void
ngx_http_voice_leave(ngx_http_voice_ctx_t *ctx)
{
    if (ctx->queue.next) {
        ngx_queue_remove(&ctx->queue);
        ctx->queue.next = NULL;
    }
}


/* NGX_TIMER_INFINITE unless the worker shuts down; 0: it is over */

ngx_msec_t
ngx_http_voice_drain_left(ngx_http_voice_ctx_t *ctx)
{
    ngx_msec_t  passed, timeout;

    if (!ngx_http_voice_draining) {
        return NGX_TIMER_INFINITE;
    }

    passed = ngx_current_msec - ngx_http_voice_drain_since;
    timeout = ngx_min(ctx->conf->drain_timeout, ngx_http_voice_drain_limit);

    return passed < timeout ? timeout - passed : 0;
}


/*
 * A block of its own for the notice, to be sent before the client is read
 * again: one that never pauses would leave no place for it otherwise.
 */

ngx_http_voice_block_t *
ngx_http_voice_drain_notice(ngx_http_voice_ctx_t *ctx)
{
    size_t                   size, padding;
    u_char                  *start, *p;
    ngx_msec_t               left;
    struct ws_frame          frame;
    ngx_http_voice_block_t  *b;

    if (ctx->peer == NULL || ctx->up_ended || ctx->need_end) {
        ctx->need_drain = 0;
        return NULL;
    }

    b = ngx_http_voice_get_block(ctx->client->log);
    if (b == NULL) {
        return NULL;
    }

    ctx->need_drain = 0;

    left = ngx_min(ngx_http_voice_drain_left(ctx), NGX_HTTP_VOICE_DRAIN_MAX);

    ngx_memzero(&frame, sizeof(struct ws_frame));

    /* the payload has a length of one byte, so its place is known */

    start = b->data + NGX_HTTP_VOICE_FCGI_HEADER;
    p = ngx_sprintf(start + 2, "drain %M", left);

    frame.opcode = WS_PING;
    frame.fin = 1;
    frame.payload_bytes = p - (start + 2);

    ws_frame_encode(start, &frame);

    size = p - start;
    padding = (8 - size % 8) % 8;

    ngx_memzero(p, padding);
    ngx_http_voice_put_record(b->data, NGX_HTTP_VOICE_STDIN, size, padding);

    b->pos = b->data;
    b->last = p + padding;

    return b;
}
