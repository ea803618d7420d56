/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * permessage-deflate from the handshake's side: what is agreed on, and what a
 * session that ends gives back.
 */


#include "ngx_http_voice_deflate.h"

#include "codec/ws_extension.h"


static ngx_uint_t ngx_http_voice_offered(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *conf, struct ws_extension *agreed);
static void ngx_http_voice_drop_block(ngx_http_voice_block_t **block);


/* without ctx->deflate nothing was agreed on; NGX_DECLINED: malformed */

ngx_int_t
ngx_http_voice_agree(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_request_t        *r;
    struct ws_extension        agreed;
    ngx_http_voice_deflate_t  *df;

    r = ctx->request;

    if (!ngx_http_voice_offered(r, ctx->conf, &agreed)) {
        return NGX_DECLINED;
    }

    if (!agreed.deflate || !ctx->conf->deflate) {
        return NGX_OK;
    }

    df = ngx_pcalloc(r->pool, sizeof(ngx_http_voice_deflate_t));
    if (df == NULL) {
        return NGX_ERROR;
    }

    df->answer.data = ngx_pnalloc(r->pool, WS_EXTENSION_ANSWER_MAX);
    if (df->answer.data == NULL) {
        return NGX_ERROR;
    }

    df->answer.len = ws_extension_answer((char *) df->answer.data, &agreed);

    df->ctx = ctx;
    df->client_takeover = !agreed.client_no_context_takeover;
    df->server_takeover = !agreed.server_no_context_takeover;
    df->server_bits = agreed.server_window_bits;

    ctx->deflate = df;

    return NGX_OK;
}


/* several headers are one list */

static ngx_uint_t
ngx_http_voice_offered(ngx_http_request_t *r, ngx_http_voice_loc_conf_t *conf,
    struct ws_extension *agreed)
{
    ngx_uint_t                    i;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *header;
    struct ws_extension_settings  settings;

    static ngx_str_t  name = ngx_string("sec-websocket-extensions");

    ngx_memzero(agreed, sizeof(struct ws_extension));

    settings.server_no_context_takeover = !conf->deflate_takeover;
    settings.client_no_context_takeover = !conf->deflate_takeover;
    settings.server_window_least_bits = 9;
    settings.server_window_bits = WS_WINDOW_MAX;
    settings.client_window_bits = WS_WINDOW_MAX;

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return 1;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].hash == 0 || header[i].key.len != name.len
            || ngx_strncasecmp(header[i].key.data, name.data, name.len) != 0)
        {
            continue;
        }

        if (!ws_extension_offer(agreed, &settings,
                                (char *) header[i].value.data,
                                header[i].value.len))
        {
            return 0;
        }
    }
}


static void
ngx_http_voice_drop_block(ngx_http_voice_block_t **block)
{
    if (*block) {
        ngx_http_voice_put_block(*block);
        *block = NULL;
    }
}


void
ngx_http_voice_deflate_end(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    if (df == NULL) {
        return;
    }

    ngx_http_voice_unpack_end(ctx);

    ngx_http_voice_drop_block(&df->peer_input);
    ngx_http_voice_drop_block(&df->trial);

    ngx_http_voice_put_deflater(ctx);
}
