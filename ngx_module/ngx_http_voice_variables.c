/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Variables for logs and maps.  They count while a session lasts, so none is
 * cacheable but the policy.
 */


#include "ngx_http_voice_deflate.h"


static ngx_int_t ngx_http_voice_variable_policy(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_count(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_code(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_rtt(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_stall(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_variable_ratio(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_voice_number(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, char *fmt, uint64_t a, uint64_t b);


static ngx_http_variable_t  ngx_http_voice_vars[] = {

    { ngx_string("voice_policy"), NULL, ngx_http_voice_variable_policy,
      0, 0, 0 },

    { ngx_string("voice_session_id"), NULL, ngx_http_voice_variable_text,
      offsetof(ngx_http_voice_ctx_t, session_id), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("voice_close_reason"), NULL, ngx_http_voice_variable_text,
      offsetof(ngx_http_voice_ctx_t, close_reason), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("voice_close_code"), NULL, ngx_http_voice_variable_code,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("voice_messages_up"), NULL, ngx_http_voice_variable_count,
      offsetof(ngx_http_voice_ctx_t, up.messages), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("voice_messages_down"), NULL, ngx_http_voice_variable_count,
      offsetof(ngx_http_voice_ctx_t, down.messages), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("voice_bytes_up"), NULL, ngx_http_voice_variable_count,
      offsetof(ngx_http_voice_ctx_t, up.bytes), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("voice_bytes_down"), NULL, ngx_http_voice_variable_count,
      offsetof(ngx_http_voice_ctx_t, down.bytes), NGX_HTTP_VAR_NOCACHEABLE,
      0 },

    { ngx_string("voice_rtt"), NULL, ngx_http_voice_variable_rtt,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("voice_stall_time"), NULL, ngx_http_voice_variable_stall,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("voice_deflate_ratio"), NULL, ngx_http_voice_variable_ratio,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_voice_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_voice_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_variable_policy(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_voice_loc_conf_t  *vlcf;

    vlcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_module);

    v->len = vlcf->policy_text.len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = vlcf->policy_text.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_variable_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *s;
    ngx_http_voice_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    s = (ngx_str_t *) ((u_char *) ctx + data);

    if (s->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = s->len;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = s->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_variable_count(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_voice_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_voice_number(r, v, "%uL",
                                 *(uint64_t *) ((u_char *) ctx + data), 0);
}


static ngx_int_t
ngx_http_voice_variable_code(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_voice_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL || ctx->close_code == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_voice_number(r, v, "%uL", ctx->close_code, 0);
}


/* seconds with a resolution of microseconds */

static ngx_int_t
ngx_http_voice_variable_rtt(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_voice_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL || !ctx->measured) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_voice_number(r, v, "%uL.%06uL", ctx->rtt / 1000000,
                                 ctx->rtt % 1000000);
}


static ngx_int_t
ngx_http_voice_variable_stall(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_voice_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    return ngx_http_voice_number(r, v, "%uL.%03uL", ctx->stall / 1000,
                                 ctx->stall % 1000);
}


/* of the compressed messages of both directions, as $gzip_ratio */

static ngx_int_t
ngx_http_voice_variable_ratio(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    uint64_t                   packed, ratio;
    ngx_http_voice_ctx_t      *ctx;
    ngx_http_voice_deflate_t  *df;

    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (ctx == NULL || ctx->deflate == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    df = ctx->deflate;
    packed = df->up_in + df->down_out;

    if (packed == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    ratio = ((df->up_out + df->down_in) * 100 + packed / 2) / packed;

    return ngx_http_voice_number(r, v, "%uL.%02uL", ratio / 100, ratio % 100);
}


static ngx_int_t
ngx_http_voice_number(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    char *fmt, uint64_t a, uint64_t b)
{
    u_char  *p;

    p = ngx_pnalloc(r->pool, 2 * NGX_INT64_LEN + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, fmt, a, b) - p;
    v->valid = 1;
    v->no_cacheable = 0;
    v->not_found = 0;
    v->data = p;

    return NGX_OK;
}
