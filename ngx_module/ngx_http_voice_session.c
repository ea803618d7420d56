/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a session is watched and how it ends.
 *
 *   client closes    its Close is answered and passed on, STDIN ends
 *   upstream closes  its Close is passed on and the client's is awaited
 *   protocol error   the upstream gets a Close, the client what the upstream
 *                    had to say to all before the error, then a Close
 *   time is over     as well, and the client is not read meanwhile
 *   client lost      the upstream gets ABORT_REQUEST
 *   upstream lost    the client gets Close 1011
 *
 * The first cause gives code and reason.  The timer of the client's read
 * event is the session's only one while nothing is blocked, and is never
 * cancelable: a worker that shuts down waits for its sessions.
 */


#include "ngx_http_voice_deflate.h"


#define NGX_HTTP_VOICE_CLOSE_WAIT  3000    /* for the other side's end */
#define NGX_HTTP_VOICE_FAIL_WAIT   500     /* for the last answers */
#define NGX_HTTP_VOICE_HOLD_WAIT   5000    /* when all is in good order */
#define NGX_HTTP_VOICE_INPUT_WAIT  50      /* for its taking what was read */
#define NGX_HTTP_VOICE_MAX_WAIT    60000
#define NGX_HTTP_VOICE_RECHECK     1000


static void ngx_http_voice_farewell_client(ngx_http_voice_ctx_t *ctx);
static void ngx_http_voice_farewell_peer(ngx_http_voice_ctx_t *ctx);
static ngx_http_voice_block_t *ngx_http_voice_last_block(
    ngx_http_voice_leg_t *leg, ngx_connection_t *c);
static void ngx_http_voice_close_timer(ngx_http_voice_ctx_t *ctx);
static void ngx_http_voice_expire(ngx_http_voice_ctx_t *ctx, char *reason);
static void ngx_http_voice_check_ping(ngx_http_voice_ctx_t *ctx);
static ngx_msec_t ngx_http_voice_sooner(ngx_msec_t wait, ngx_msec_t since,
    ngx_msec_t timeout);


/* the first call decides; every end goes through here */

void
ngx_http_voice_set_close(ngx_http_voice_ctx_t *ctx, ngx_uint_t code,
    u_char *reason, size_t len)
{
    ctx->phase = ngx_http_voice_close;

    if (!ctx->close_set) {
        ctx->close_set = 1;
        ctx->close_code = (uint16_t) code;

        if (len) {
            ctx->close_reason.data = ngx_pnalloc(ctx->request->pool, len);

            if (ctx->close_reason.data) {
                ngx_memcpy(ctx->close_reason.data, reason, len);
                ctx->close_reason.len = len;
            }
        }
    }

    if (!ctx->close_sent && !ctx->client_gone) {
        ctx->need_close = 1;
    }

    if (!ctx->up_ended) {
        ctx->need_end = 1;
    }

    ngx_http_voice_set_timer(ctx);
}


/* what the client sent can't be read on, or may not be */

void
ngx_http_voice_fail(ngx_http_voice_ctx_t *ctx, ngx_uint_t code, char *reason)
{
    ngx_uint_t  answers;

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "voice session closed with %ui: %s", code, reason);

    answers = ctx->phase == ngx_http_voice_open && ctx->peer;

    ctx->closed = 1;

    ngx_http_voice_count_broken(code);
    ngx_http_voice_set_close(ctx, code, (u_char *) reason, ngx_strlen(reason));

    if (answers) {
        /* its end of the session is the client's Close, or the timer is */
        ctx->need_close = 0;
        ngx_http_voice_set_timer(ctx);
    }
}


void
ngx_http_voice_peer_lost(ngx_http_voice_ctx_t *ctx, char *reason)
{
    ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                  "voice session lost its upstream: %s", reason);

    ctx->up_ended = 1;

    ngx_http_voice_count(lost);
    ngx_http_voice_close_peer(ctx, NGX_PEER_FAILED);

    ngx_http_voice_set_close(ctx, WS_CLOSE_INTERNAL, (u_char *) reason,
                             ngx_strlen(reason));
}


void
ngx_http_voice_client_lost(ngx_http_voice_ctx_t *ctx)
{
    if (ctx->client_gone) {
        return;
    }

    ctx->client_gone = 1;
    ctx->closed = 1;
    ctx->need_ping = 0;
    ctx->need_close = 0;
    ctx->need_abort = 1;

    if (ctx->request->connection->write->timer_set) {
        ngx_del_timer(ctx->request->connection->write);
    }

    if (ctx->down.block) {
        ngx_http_voice_end_stall(ctx, &ctx->down);
        ngx_http_voice_put_block(ctx->down.block);
        ctx->down.block = NULL;
    }

    ngx_http_voice_set_close(ctx, WS_CLOSE_LOST, NULL, 0);
}


/*
 * worker_shutdown_timeout, or a fast shutdown: one try each way, and nobody
 * waits for the outcome.
 */

void
ngx_http_voice_farewell(ngx_http_voice_ctx_t *ctx)
{
    static u_char  reason[] = "server is shutting down";

    if (ctx->phase != ngx_http_voice_open
        && ctx->phase != ngx_http_voice_close)
    {
        return;
    }

    if (!ctx->close_sent && !ctx->client_gone) {
        ngx_http_voice_set_close(ctx, WS_CLOSE_GOING_AWAY, reason,
                                 sizeof(reason) - 1);
        ngx_http_voice_farewell_client(ctx);
    }

    if (ctx->close_sent && !ctx->client_gone) {
        ngx_http_voice_linger(ctx->request->connection);
    }

    if (ctx->need_end && ctx->peer) {
        ngx_http_voice_farewell_peer(ctx);
    }
}


static void
ngx_http_voice_farewell_client(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t        *c;
    ngx_http_voice_block_t  *b;

    c = ctx->request->connection;

    b = ngx_http_voice_last_block(&ctx->down, c);
    if (b == NULL) {
        return;
    }

    ngx_http_voice_control(ctx, b);

    (void) c->send(c, b->pos, b->last - b->pos);

    ngx_http_voice_put_block(b);
}


static void
ngx_http_voice_farewell_peer(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t        *c;
    ngx_http_voice_block_t  *b;

    c = ctx->peer;

    b = ngx_http_voice_last_block(&ctx->up, c);
    if (b == NULL) {
        return;
    }

    ngx_http_voice_end_up(ctx, b);

    (void) c->send(c, b->pos, b->last - b->pos);

    ngx_http_voice_put_block(b);
}


/* an empty block, once what is blocked has gone; NULL: it can't go */

static ngx_http_voice_block_t *
ngx_http_voice_last_block(ngx_http_voice_leg_t *leg, ngx_connection_t *c)
{
    size_t                   size;
    ngx_http_voice_block_t  *b;

    b = leg->block;

    if (b) {
        size = b->last - b->pos;

        if (c->send(c, b->pos, size) != (ssize_t) size) {
            return NULL;
        }

        leg->block = NULL;
        ngx_http_voice_put_block(b);
    }

    return ngx_http_voice_get_block(c->log);
}


void
ngx_http_voice_timer(ngx_http_voice_ctx_t *ctx)
{
    if (ctx->phase == ngx_http_voice_close) {
        ngx_http_voice_close_timer(ctx);
        return;
    }

    if (ctx->held) {
        ngx_http_voice_expire(ctx, ctx->held);
        return;
    }

    if (ngx_http_voice_drain_left(ctx) == 0) {
        ngx_http_voice_expire(ctx, "server is shutting down");
        return;
    }

    if (ctx->conf->max_session
        && ngx_current_msec - ctx->started >= ctx->conf->max_session)
    {
        ngx_http_voice_expire(ctx, "session time limit");
        return;
    }

    if (ctx->conf->idle_timeout
        && ngx_current_msec - ctx->active >= ctx->conf->idle_timeout)
    {
        ngx_http_voice_expire(ctx, "idle timeout");
        return;
    }

    ngx_http_voice_check_ping(ctx);

    if (ctx->phase == ngx_http_voice_open) {
        ngx_http_voice_set_timer(ctx);
    }
}


/* the other side has had its time */

static void
ngx_http_voice_close_timer(ngx_http_voice_ctx_t *ctx)
{
    if (ctx->close_sent || ctx->client_gone) {
        ngx_http_voice_close_peer(ctx, 0);
        ctx->closed = 1;

    } else if (!ctx->need_close) {

        if (ctx->held) {
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "upstream did not end its session in time");
        }

        ctx->need_close = 1;
    }

    ngx_http_voice_set_timer(ctx);
}


/*
 * The upstream is told, and the client when nothing more comes for it: see
 * ngx_http_voice_peer_done().  What the client says until then stays in its
 * socket, for the upstream would not hear it; what was read goes first.
 */

static void
ngx_http_voice_expire(ngx_http_voice_ctx_t *ctx, char *reason)
{
    if (ctx->held == NULL) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "voice session closed: %s", reason);

        ctx->held = reason;
        ctx->held_since = ngx_current_msec;
    }

    if (ngx_http_voice_has_input(ctx)
        && ngx_current_msec - ctx->held_since < NGX_HTTP_VOICE_HOLD_WAIT)
    {
        ngx_add_timer(ctx->request->connection->read,
                      NGX_HTTP_VOICE_INPUT_WAIT);
        return;
    }

    ngx_http_voice_set_close(ctx, WS_CLOSE_GOING_AWAY, (u_char *) reason,
                             ngx_strlen(reason));

    ctx->need_close = 0;
    ngx_http_voice_set_timer(ctx);
}


static void
ngx_http_voice_check_ping(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t  *c;

    static u_char  reason[] = "ping timeout";

    c = ctx->request->connection;

    if (ctx->ping_sent) {

        if (ngx_current_msec - ctx->pinged < ctx->conf->ping_timeout) {
            return;
        }

        if (ctx->up.block || ctx->up.readable
            || (ctx->deflate && ctx->deflate->client_input)
            || (ctx->up.left && ctx->heard != ctx->unheard))
        {
            /* the pong may wait behind what is not read to its end */
            ctx->unheard = ctx->heard;
            ctx->pinged = ngx_current_msec;
            return;
        }

        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client did not answer a ping");

        c->timedout = 1;
        ngx_http_voice_set_close(ctx, WS_CLOSE_GOING_AWAY, reason,
                                 sizeof(reason) - 1);
        ngx_http_voice_farewell_client(ctx);
        ngx_http_voice_client_lost(ctx);
        return;
    }

    if (ctx->conf->ping_interval
        && ngx_current_msec - ctx->pinged >= ctx->conf->ping_interval)
    {
        ctx->need_ping = 1;
    }
}


void
ngx_http_voice_set_timer(ngx_http_voice_ctx_t *ctx)
{
    ngx_msec_t                  wait;
    ngx_http_voice_loc_conf_t  *conf;

    conf = ctx->conf;

    if (ctx->phase == ngx_http_voice_close) {
        if (ctx->need_close || ctx->close_sent || ctx->client_gone) {
            wait = NGX_HTTP_VOICE_CLOSE_WAIT;

        } else {
            wait = ctx->held ? NGX_HTTP_VOICE_HOLD_WAIT
                             : NGX_HTTP_VOICE_FAIL_WAIT;
        }

        ngx_add_timer(ctx->request->connection->read, wait);
        return;
    }

    wait = NGX_HTTP_VOICE_MAX_WAIT;

    wait = ngx_http_voice_sooner(wait, ctx->started, conf->max_session);
    wait = ngx_http_voice_sooner(wait, ctx->active, conf->idle_timeout);

    if (ctx->need_ping) {
        wait = ngx_min(wait, NGX_HTTP_VOICE_RECHECK);

    } else {
        wait = ngx_http_voice_sooner(wait, ctx->pinged,
                                     ctx->ping_sent ? conf->ping_timeout
                                                    : conf->ping_interval);
    }

    wait = ngx_min(wait, ngx_http_voice_drain_left(ctx));

    ngx_add_timer(ctx->request->connection->read, wait);
}


/* a timeout of zero is none */

static ngx_msec_t
ngx_http_voice_sooner(ngx_msec_t wait, ngx_msec_t since, ngx_msec_t timeout)
{
    ngx_msec_t  passed;

    if (timeout == 0) {
        return wait;
    }

    passed = ngx_current_msec - since;

    if (passed >= timeout) {
        return 1;
    }

    return ngx_min(wait, timeout - passed);
}


void
ngx_http_voice_end_stall(ngx_http_voice_ctx_t *ctx, ngx_http_voice_leg_t *leg)
{
    ngx_msec_t  stall;

    if (leg->stalled == 0) {
        return;
    }

    stall = ngx_current_msec - (leg->stalled & ~(ngx_msec_t) 1);

    ctx->stall += stall;
    leg->stalled = 0;

    ngx_http_voice_count_stall(leg == &ctx->up, stall);
}


uint64_t
ngx_http_voice_time(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
