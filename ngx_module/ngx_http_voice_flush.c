/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The way out of a block: as much as its socket takes, and the wait for the
 * socket to take more.
 */


#include "ngx_http_voice.h"


static ngx_int_t ngx_http_voice_flush(ngx_http_voice_leg_t *leg,
    ngx_connection_t *c);
static ngx_int_t ngx_http_voice_wait(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_leg_t *leg);
static ngx_int_t ngx_http_voice_wait_no_more(ngx_connection_t *c);


/* NGX_OK: the block is empty and given back */

static ngx_int_t
ngx_http_voice_flush(ngx_http_voice_leg_t *leg, ngx_connection_t *c)
{
    ssize_t                  n;
    ngx_http_voice_block_t  *b;

    b = leg->block;

    do {
        if (leg->waiting && !c->write->ready) {
            return NGX_AGAIN;
        }

        n = c->send(c, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {
            return NGX_ERROR;
        }

        if (n == NGX_AGAIN || n == 0) {
            return NGX_AGAIN;
        }

        b->pos += n;

        if (leg->waiting && c->write->timer_set) {
            ngx_del_timer(c->write);
        }

    } while (b->pos < b->last);

    leg->block = NULL;
    ngx_http_voice_put_block(b);

    if (leg->waiting) {
        leg->waiting = 0;
        return ngx_http_voice_wait_no_more(c);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_voice_flush_up(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_voice_flush(&ctx->up, ctx->peer);

    if (rc == NGX_ERROR) {
        ngx_http_voice_peer_lost(ctx, "upstream lost");
        return 1;
    }

    if (rc == NGX_AGAIN) {
        if (ctx->up.stalled == 0) {
            ctx->up.stalled = ngx_current_msec | 1;
        }

        return 0;
    }

    ngx_http_voice_end_stall(ctx, &ctx->up);

    return 1;
}


ngx_uint_t
ngx_http_voice_flush_down(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t  rc;

    rc = ngx_http_voice_flush(&ctx->down, ctx->client);

    if (rc == NGX_ERROR) {
        ngx_http_voice_client_lost(ctx);
        return 1;
    }

    if (rc == NGX_AGAIN) {
        if (ctx->down.stalled == 0) {
            ctx->down.stalled = ngx_current_msec | 1;
        }

        return 0;
    }

    ngx_http_voice_end_stall(ctx, &ctx->down);

    return 1;
}


/*
 * Edge-triggered read events were added with the connections and stay.
 * Writability is asked for only while bytes wait for it: left armed, it comes
 * along with each read event, and from a unix socket by itself whenever the
 * peer reads.
 */

ngx_int_t
ngx_http_voice_arm(ngx_http_voice_ctx_t *ctx)
{
    if (!(ngx_event_flags & NGX_USE_CLEAR_EVENT)) {

        if (!ctx->client_gone
            && ngx_handle_read_event(ctx->client->read, 0) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ctx->peer
            && ngx_handle_read_event(ctx->peer->read, 0) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (ctx->down.block && ngx_http_voice_wait(ctx, &ctx->down) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->up.block && ngx_http_voice_wait(ctx, &ctx->up) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_wait(ngx_http_voice_ctx_t *ctx, ngx_http_voice_leg_t *leg)
{
    ngx_msec_t                 timeout;
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    if (leg == &ctx->down) {
        clcf = ngx_http_get_module_loc_conf(ctx->request,
                                            ngx_http_core_module);
        c = ctx->client;
        timeout = clcf->send_timeout;

    } else {
        c = ctx->peer;
        timeout = ctx->conf->upstream.send_timeout;
    }

    leg->waiting = 1;

    if (!c->write->timer_set) {
        ngx_add_timer(c->write, timeout);
    }

    return ngx_handle_write_event(c->write, 0);
}


static ngx_int_t
ngx_http_voice_wait_no_more(ngx_connection_t *c)
{
    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    if (!c->write->active) {
        return NGX_OK;
    }

    /* epoll gives these flags to the read event, which stays */

    return ngx_del_event(c->write, NGX_WRITE_EVENT, NGX_CLEAR_EVENT);
}
