/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Request bodies with a content coding, inflated in front of whatever handler
 * reads them.  This file is what nginx sees of it: directives, inheritance,
 * and a look at each request before its handler.
 */


#include "ngx_http_voice_inflate.h"


#define NGX_HTTP_VOICE_INFLATE_RATIO  200


static ngx_int_t ngx_http_voice_inflate_handler(ngx_http_request_t *r);
static void ngx_http_voice_inflate_cleanup(void *data);
static void *ngx_http_voice_inflate_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_voice_inflate_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_voice_inflate_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static ngx_int_t ngx_http_voice_inflate_init(ngx_conf_t *cf);


static ngx_command_t  ngx_http_voice_inflate_commands[] = {

    { ngx_string("voice_inflate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_voice_inflate_loc_conf_t, enable),
      NULL },

    { ngx_string("voice_inflate_max_size"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_off_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_voice_inflate_loc_conf_t, max_size),
      NULL },

    { ngx_string("voice_inflate_max_ratio"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_voice_inflate_loc_conf_t, max_ratio),
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_voice_inflate_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_voice_inflate_init,           /* postconfiguration */

    ngx_http_voice_inflate_create_main_conf, /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_voice_inflate_create_loc_conf, /* create location configuration */
    ngx_http_voice_inflate_merge_loc_conf  /* merge location configuration */
};


ngx_module_t  ngx_http_voice_inflate_module = {
    NGX_MODULE_V1,
    &ngx_http_voice_inflate_module_ctx,    /* module context */
    ngx_http_voice_inflate_commands,       /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/*
 * The body filter is enough by itself.  Refusing an unknown coding here spares
 * the client its upload: nothing was read, "100 Continue" was not sent, and
 * the connection can go on.  The handler also sees bodies that were read
 * elsewhere and have come here by an internal redirect.
 */

static ngx_int_t
ngx_http_voice_inflate_handler(ngx_http_request_t *r)
{
    enum body_coding                    coding;
    ngx_http_request_body_t            *rb;
    ngx_http_voice_inflate_ctx_t       *ctx;
    ngx_http_voice_inflate_loc_conf_t  *ilcf;

    if (r != r->main) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_voice_inflate_get_ctx(r);

    if (ctx && ctx->state == ngx_http_voice_inflate_st_read) {

        /*
         * nginx itself gave up on the body half way, and this is its error
         * page: the part that was inflated must not go anywhere, the more so
         * as the length does not fit it
         */

        ctx->state = ngx_http_voice_inflate_st_refused;
        ctx->status = NGX_HTTP_BAD_REQUEST;

        ngx_http_voice_inflate_drop(r);
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_inflate_module);

    if (!ilcf->enable
        || (ctx && ctx->state != ngx_http_voice_inflate_st_pass)
        || (r->headers_in.content_length_n < 0 && !r->headers_in.chunked))
    {
        return NGX_DECLINED;
    }

    coding = ngx_http_voice_inflate_coding(r);

    if (coding == BODY_IDENTITY) {
        return NGX_DECLINED;
    }

    rb = r->request_body;

    if (rb && rb->bufs && !(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {

        /* error pages are asked for with GET and take no body */

        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "request body was read where voice_inflate is off");

        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    if (coding == BODY_UNKNOWN && rb == NULL && !r->error_page) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent body with unsupported content coding");

        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    return NGX_DECLINED;
}


ngx_http_voice_inflate_ctx_t *
ngx_http_voice_inflate_get_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_voice_inflate_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_inflate_module);

    if (ctx == NULL && (r->internal || r->filter_finalize)) {

        /* an internal redirect has cleared the contexts */

        for (cln = r->pool->cleanup; cln; cln = cln->next) {
            if (cln->handler == ngx_http_voice_inflate_cleanup) {
                ctx = cln->data;
                ngx_http_set_ctx(r, ctx, ngx_http_voice_inflate_module);
                break;
            }
        }
    }

    return ctx;
}


ngx_http_voice_inflate_ctx_t *
ngx_http_voice_inflate_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_voice_inflate_ctx_t  *ctx;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_voice_inflate_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ctx = cln->data;
    ngx_memzero(ctx, sizeof(ngx_http_voice_inflate_ctx_t));

    cln->handler = ngx_http_voice_inflate_cleanup;

    ngx_http_set_ctx(r, ctx, ngx_http_voice_inflate_module);

    return ctx;
}


static void
ngx_http_voice_inflate_cleanup(void *data)
{
    ngx_http_voice_inflate_ctx_t  *ctx = data;

    body_inflate_destroy(ctx->inflate);
    ctx->inflate = NULL;
}


static void *
ngx_http_voice_inflate_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_voice_inflate_main_conf_t));
}


static void *
ngx_http_voice_inflate_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_voice_inflate_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_voice_inflate_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->enable = NGX_CONF_UNSET;
    conf->max_size = NGX_CONF_UNSET;
    conf->max_ratio = NGX_CONF_UNSET;

    return conf;
}


static char *
ngx_http_voice_inflate_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_voice_inflate_loc_conf_t *prev = parent;
    ngx_http_voice_inflate_loc_conf_t *conf = child;

    ngx_conf_merge_value(conf->enable, prev->enable, 0);
    ngx_conf_merge_value(conf->max_ratio, prev->max_ratio,
                         NGX_HTTP_VOICE_INFLATE_RATIO);

    /* still unset means client_max_body_size of the location */

    ngx_conf_merge_off_value(conf->max_size, prev->max_size, NGX_CONF_UNSET);

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_voice_inflate_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_voice_inflate_handler;

    if (ngx_http_voice_inflate_index_variables(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_voice_inflate_filter_init(cf);
}
