/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a request needs before a peer of the upstream{} block is chosen.
 */


#include "ngx_http_voice.h"


static ngx_int_t ngx_http_voice_set_local(ngx_http_voice_ctx_t *ctx);


ngx_int_t
ngx_http_voice_init_upstream(ngx_http_voice_ctx_t *ctx)
{
    ngx_pool_t                    *pool;
    ngx_http_request_t            *r;
    ngx_http_upstream_t           *u;
    ngx_http_upstream_state_t     *state;
    ngx_http_upstream_srv_conf_t  *uscf;

    r = ctx->request;

    pool = ngx_create_pool(1024, r->connection->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ctx->answer = ngx_pcalloc(pool, sizeof(ngx_http_voice_answer_t));
    if (ctx->answer == NULL) {
        ngx_destroy_pool(pool);
        return NGX_ERROR;
    }

    ctx->answer->pool = pool;

    if (ngx_http_upstream_create(r) != NGX_OK) {
        return NGX_ERROR;
    }

    /*
     * u->cleanup stays NULL: nothing of nginx's own upstream machinery may
     * take this for a request of its own
     */

    u = r->upstream;
    uscf = ctx->conf->upstream.upstream;

    u->conf = &ctx->conf->upstream;
    u->upstream = uscf;
    u->peer.log = r->connection->log;
    u->peer.log_error = NGX_ERROR_ERR;

    if (ngx_http_voice_set_local(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ctx->conf->upstream.socket_keepalive) {
        u->peer.so_keepalive = 1;
    }

    if (r->upstream_states == NULL) {
        r->upstream_states = ngx_array_create(r->pool, 1,
                                           sizeof(ngx_http_upstream_state_t));
        if (r->upstream_states == NULL) {
            return NGX_ERROR;
        }

    } else {

        /* an internal redirect: an empty one is the " : " of $upstream_* */

        state = ngx_array_push(r->upstream_states);
        if (state == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(state, sizeof(ngx_http_upstream_state_t));
    }

    if (uscf->peer.init(r, uscf) != NGX_OK) {
        return NGX_ERROR;
    }

    u->peer.start_time = ngx_current_msec;

    if (u->conf->next_upstream_tries
        && u->peer.tries > u->conf->next_upstream_tries)
    {
        u->peer.tries = u->conf->next_upstream_tries;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_set_local(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_str_t                     value;
    ngx_addr_t                   *addr;
    ngx_http_request_t           *r;
    ngx_http_upstream_local_t    *local;

    r = ctx->request;
    local = ctx->conf->upstream.local;

    if (local == NULL) {
        return NGX_OK;
    }

#if (NGX_HAVE_TRANSPARENT_PROXY)
    r->upstream->peer.transparent = local->transparent;
#endif

    if (local->value == NULL) {
        r->upstream->peer.local = local->addr;
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, local->value, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value.len == 0) {
        return NGX_OK;
    }

    addr = ngx_palloc(r->pool, sizeof(ngx_addr_t));
    if (addr == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_parse_addr_port(r->pool, addr, value.data, value.len);

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "invalid local address \"%V\"", &value);
        return rc == NGX_ERROR ? NGX_ERROR : NGX_OK;
    }

    addr->name = value;
    r->upstream->peer.local = addr;

    return NGX_OK;
}
