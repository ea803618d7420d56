/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * From the 101 to the first frame.
 */


#include "ngx_http_voice_deflate.h"


static void ngx_http_voice_begin(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_take_rest(ngx_http_voice_ctx_t *ctx);


/* the 101 is on its way; frames may follow when all of it has gone */

void
ngx_http_voice_open_relay(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    r->read_event_handler = ngx_http_voice_client_read;
    r->write_event_handler = ngx_http_voice_client_write;

    ngx_http_voice_finish_upgrade(ctx);
}


void
ngx_http_voice_finish_upgrade(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t          *c;
    ngx_http_request_t        *r;
    ngx_http_core_loc_conf_t  *clcf;

    r = ctx->request;
    c = r->connection;

    if (r->out || c->buffered) {

        if (ngx_http_write_filter(r, NULL) == NGX_ERROR) {
            ngx_http_voice_finalize(ctx, NGX_ERROR);
            return;
        }
    }

    if (r->out || c->buffered) {
        clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

        if (!c->write->delayed) {
            ngx_add_timer(c->write, clcf->send_timeout);
        }

        if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
            ngx_http_voice_finalize(ctx, NGX_ERROR);
        }

        return;
    }

    /* limit_rate has nothing to say about frames */

    c->write->delayed = 0;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_http_voice_begin(ctx);
}


static void
ngx_http_voice_begin(ngx_http_voice_ctx_t *ctx)
{
    ngx_buf_t                 *early;
    ngx_connection_t          *c, *pc;
    ngx_http_core_loc_conf_t  *clcf;

    c = ctx->client;
    pc = ctx->request->upstream->peer.connection;

    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    if (clcf->tcp_nodelay
        && (ngx_tcp_nodelay(c) != NGX_OK || ngx_tcp_nodelay(pc) != NGX_OK))
    {
        ngx_http_voice_finalize(ctx, NGX_ERROR);
        return;
    }

    c->log->action = "relaying voice session";

    ws_decoder_init(&ctx->up.decoder, WS_MASK_REQUIRED,
                    ctx->deflate ? WS_RSV1 : 0);
    ws_decoder_init(&ctx->down.decoder, WS_MASK_FORBIDDEN, 0);

    ctx->peer = pc;

    early = ctx->request->header_in;
    ctx->early = early->pos < early->last;

    /* the connects have asked for writability: the first block ends that */

    ctx->up.readable = 1;
    ctx->up.waiting = 1;
    ctx->down.readable = 1;
    ctx->down.waiting = 1;

    ctx->phase = ngx_http_voice_open;
    ctx->started = ngx_current_msec;
    ctx->active = ngx_current_msec;
    ctx->pinged = ngx_current_msec;

    ngx_http_voice_count_begin(ctx);

    if (ngx_http_voice_take_rest(ctx) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_ERROR);
        return;
    }

    ngx_http_voice_set_timer(ctx);
    ngx_http_voice_enter(ctx);
    ngx_http_voice_relay(ctx);
}


/* frames that were read together with the header of the answer */

static ngx_int_t
ngx_http_voice_take_rest(ngx_http_voice_ctx_t *ctx)
{
    size_t                   size;
    ngx_buf_t               *input;
    ngx_http_voice_block_t  *b;

    input = ctx->answer->input;
    size = input->last - input->pos;

    b = ngx_http_voice_get_block(ctx->request->connection->log);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->pos, input->pos, size);

    ngx_destroy_pool(ctx->answer->pool);
    ctx->answer = NULL;

    if (ctx->deflate) {
        ctx->deflate->peer_input = b;
        return NGX_OK;
    }

    ngx_http_voice_down(ctx, b);

    if (b->pos == b->last) {
        ngx_http_voice_put_block(b);

    } else {
        ctx->down.block = b;
    }

    return NGX_OK;
}
