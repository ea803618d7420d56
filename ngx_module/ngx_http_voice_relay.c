/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The pump.  One function moves both directions on, whichever of the two
 * sockets had an event:
 *
 *   client -> block -> unmask in place, put into records -> upstream    (up)
 *   client <- block <- take out of records, frame in place <- upstream  (down)
 *
 * A side is read only when the block of its direction is free, and a block is
 * free when the other side's socket took all of it: that is all the flow
 * control there is, and all the memory, one block per direction.  The block
 * that a socket did not take keeps its address, as SSL_write() demands.
 */


#include "ngx_http_voice_deflate.h"


static ngx_uint_t ngx_http_voice_lingers(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_turn(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_send_up(ngx_http_voice_ctx_t *ctx,
    ngx_uint_t moved);
static ngx_uint_t ngx_http_voice_send_down(ngx_http_voice_ctx_t *ctx,
    ngx_uint_t moved);
static ngx_uint_t ngx_http_voice_send_pending(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_send_notice(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_read_client(ngx_http_voice_ctx_t *ctx);
static ssize_t ngx_http_voice_recv_client(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_block_t *b, size_t size);
static ngx_uint_t ngx_http_voice_read_peer(ngx_http_voice_ctx_t *ctx);


/* it comes out of memory while the kernel is busy with a read */

#if (__GNUC__)
#define ngx_http_voice_prefetch(p)  __builtin_prefetch(p)
#else
#define ngx_http_voice_prefetch(p)
#endif

#define NGX_HTTP_VOICE_ROOM                                                   \
    (NGX_HTTP_VOICE_BLOCK_SIZE - NGX_HTTP_VOICE_HEAD - NGX_HTTP_VOICE_TAIL)


void
ngx_http_voice_client_read(ngx_http_request_t *r)
{
    ngx_event_t           *rev;
    ngx_http_voice_ctx_t  *ctx;

    rev = r->connection->read;
    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx->phase == ngx_http_voice_upgrade) {
        return;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_http_voice_timer(ctx);
    }

    ctx->up.readable = 1;

    ngx_http_voice_relay(ctx);
}


void
ngx_http_voice_client_write(ngx_http_request_t *r)
{
    ngx_event_t           *wev;
    ngx_http_voice_ctx_t  *ctx;

    wev = r->connection->write;
    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, wev->log, NGX_ETIMEDOUT,
                      "client timed out");
        r->connection->timedout = 1;

        if (ctx->phase == ngx_http_voice_upgrade) {
            ngx_http_voice_finalize(ctx, NGX_ERROR);
            return;
        }

        ngx_http_voice_client_lost(ctx);
        ngx_http_voice_relay(ctx);
        return;
    }

    if (ctx->phase == ngx_http_voice_upgrade) {
        ngx_http_voice_finish_upgrade(ctx);
        return;
    }

    /* nothing waits for this socket to become writable */

    if (ctx->down.block == NULL) {
        return;
    }

    ngx_http_voice_relay(ctx);
}


/* the last thing that its callers do: the session may end here */

void
ngx_http_voice_relay(ngx_http_voice_ctx_t *ctx)
{
    ngx_uint_t  rounds, moved;

    rounds = ctx->deflate ? NGX_HTTP_VOICE_ZROUNDS : NGX_HTTP_VOICE_ROUNDS;

    do {
        moved = ngx_http_voice_turn(ctx);

        if (ctx->phase == ngx_http_voice_close
            && ctx->peer == NULL
            && (ctx->client_gone
                || (ctx->close_sent && ctx->closed
                    && ctx->down.block == NULL)))
        {
            ctx->request->lingering_close = ngx_http_voice_lingers(ctx);
            /* frees ctx */
            ngx_http_voice_finalize(ctx, ctx->client_gone ? NGX_ERROR
                                                          : NGX_OK);
            return;
        }

        if (ctx->phase == ngx_http_voice_done) {
            return;
        }

    } while (moved && --rounds);

    if (moved) {
        /* other connections first */
        ngx_post_event(ctx->client->read, &ngx_posted_next_events);
    }

    if (ngx_http_voice_arm(ctx) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_ERROR);
    }
}


/* what is not read of a client makes a reset of the end of a connection */

static ngx_uint_t
ngx_http_voice_lingers(ngx_http_voice_ctx_t *ctx)
{
#if (NGX_HTTP_SSL)
    if (ctx->client->ssl) {
        /* a client's close_notify comes behind its Close */
        return 1;
    }
#endif

    return !ctx->confirmed;
}


/* one block each way; whether anything moved */

static ngx_uint_t
ngx_http_voice_turn(ngx_http_voice_ctx_t *ctx)
{
    ngx_uint_t  moved;

    moved = 0;

    if (ctx->down.block) {
        moved |= ngx_http_voice_flush_down(ctx);
    }

    if (ctx->up.block) {
        moved |= ngx_http_voice_flush_up(ctx);
    }

    if (ctx->need_drain && ctx->up.block == NULL) {
        moved |= ngx_http_voice_send_notice(ctx);
    }

    if (ctx->closed) {

        if (ctx->deflate) {
            ngx_http_voice_unpack_end(ctx);
        }

    } else if (ctx->up.block == NULL
               && (!ctx->held || ctx->close_sent
                   || ngx_http_voice_has_input(ctx)))
    {
        moved |= ngx_http_voice_read_client(ctx);
    }

    if (ctx->down.block == NULL && ctx->peer) {
        moved |= ngx_http_voice_read_peer(ctx);
    }

    return moved | ngx_http_voice_send_pending(ctx);
}


/* what was made of a block of input, if it was anything to send */

static ngx_uint_t
ngx_http_voice_send_up(ngx_http_voice_ctx_t *ctx, ngx_uint_t moved)
{
    if (ctx->up.block) {
        moved |= ngx_http_voice_flush_up(ctx);
    }

    return moved;
}


static ngx_uint_t
ngx_http_voice_send_down(ngx_http_voice_ctx_t *ctx, ngx_uint_t moved)
{
    if (ctx->down.block) {
        moved |= ngx_http_voice_flush_down(ctx);
    }

    return moved;
}


/* frames and records of our own, between those that are passed on */

static ngx_uint_t
ngx_http_voice_send_pending(ngx_http_voice_ctx_t *ctx)
{
    ngx_uint_t               moved;
    ngx_http_voice_block_t  *b;

    moved = 0;

    if ((ctx->pongs || ctx->need_ping || ctx->need_close)
        && ctx->down.block == NULL && !ctx->client_gone)
    {
        b = ctx->pongs ? ctx->pongs
                       : ngx_http_voice_get_block(ctx->client->log);

        if (b) {
            ctx->pongs = NULL;
            ngx_http_voice_control(ctx, b);
            ctx->down.block = b;
            moved |= ngx_http_voice_flush_down(ctx);
        }
    }

    if (ctx->need_end && ctx->up.block == NULL && ctx->peer) {
        b = ngx_http_voice_get_block(ctx->client->log);

        if (b) {
            ngx_http_voice_end_up(ctx, b);
            ctx->up.block = b;
            moved |= ngx_http_voice_flush_up(ctx);
        }
    }

    return moved;
}


static ngx_uint_t
ngx_http_voice_send_notice(ngx_http_voice_ctx_t *ctx)
{
    ctx->up.block = ngx_http_voice_drain_notice(ctx);

    return ctx->up.block ? ngx_http_voice_flush_up(ctx) : 0;
}


static ngx_uint_t
ngx_http_voice_read_client(ngx_http_voice_ctx_t *ctx)
{
    ssize_t                  n;
    ngx_http_voice_block_t  *b;

    if (ctx->deflate && ctx->deflate->client_input) {
        return ngx_http_voice_send_up(ctx, ngx_http_voice_unpack(ctx));
    }

    if (!ctx->up.readable) {
        return 0;
    }

    ngx_http_voice_prefetch(ctx->peer);
    ngx_http_voice_prefetch(&ctx->up.decoder);

    b = ngx_http_voice_get_block(ctx->client->log);
    if (b == NULL) {
        ngx_http_voice_fail(ctx, WS_CLOSE_INTERNAL, "out of memory");
        return 1;
    }

    n = ngx_http_voice_recv_client(ctx, b, NGX_HTTP_VOICE_ROOM);

    if (n <= 0) {
        ngx_http_voice_put_block(b);

        if (n == NGX_AGAIN) {
            return 0;
        }

        ngx_http_voice_client_lost(ctx);
        return 1;
    }

    ctx->heard += n;
    b->last += n;

    if (ctx->deflate) {
        ctx->deflate->client_input = b;
        return ngx_http_voice_send_up(ctx, ngx_http_voice_unpack(ctx));
    }

    ngx_http_voice_up(ctx, b);

    if (b->pos == b->last || ctx->peer == NULL) {
        ngx_http_voice_put_block(b);
        return 1;
    }

    ctx->up.block = b;

    (void) ngx_http_voice_flush_up(ctx);

    return 1;
}


/* first what was read together with the handshake */

static ssize_t
ngx_http_voice_recv_client(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_block_t *b, size_t size)
{
    ssize_t            n;
    ngx_buf_t         *early;
    ngx_connection_t  *c;

    if (!ctx->early) {
        c = ctx->client;
        n = c->recv(c, b->pos, size);
        ctx->up.readable = c->read->ready;

        return n;
    }

    early = ctx->request->header_in;
    n = ngx_min(size, (size_t) (early->last - early->pos));

    ngx_memcpy(b->pos, early->pos, n);
    early->pos += n;
    ctx->early = early->pos < early->last;

    return n;
}


static ngx_uint_t
ngx_http_voice_read_peer(ngx_http_voice_ctx_t *ctx)
{
    ssize_t                  n;
    ngx_connection_t        *pc;
    ngx_http_voice_block_t  *b;

    if (ctx->deflate && ctx->deflate->peer_input) {
        return ngx_http_voice_send_down(ctx, ngx_http_voice_pack(ctx));
    }

    if (!ctx->down.readable) {
        return 0;
    }

    pc = ctx->peer;

    ngx_http_voice_prefetch(ctx->client);
    ngx_http_voice_prefetch(&ctx->down.decoder);

    b = ngx_http_voice_get_block(pc->log);
    if (b == NULL) {
        ngx_http_voice_peer_lost(ctx, "out of memory");
        return 1;
    }

    n = pc->recv(pc, b->pos, NGX_HTTP_VOICE_ROOM);
    ctx->down.readable = pc->read->ready;

    if (n <= 0) {
        ngx_http_voice_put_block(b);

        if (n == NGX_AGAIN) {
            return 0;
        }

        ngx_http_voice_peer_lost(ctx, "upstream lost");
        return 1;
    }

    b->last += n;
    ctx->received += n;

    if (ctx->deflate) {
        ctx->deflate->peer_input = b;
        return ngx_http_voice_send_down(ctx, ngx_http_voice_pack(ctx));
    }

    ngx_http_voice_down(ctx, b);

    if (b->pos == b->last || ctx->client_gone) {
        ngx_http_voice_put_block(b);
        return 1;
    }

    ctx->down.block = b;

    (void) ngx_http_voice_flush_down(ctx);

    return 1;
}
