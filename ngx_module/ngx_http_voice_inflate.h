/* SPDX-License-Identifier: BSD-2-Clause */

#ifndef _NGX_HTTP_VOICE_INFLATE_H_INCLUDED_
#define _NGX_HTTP_VOICE_INFLATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "codec/body_inflate.h"


/* variables that may have been evaluated, and kept, before the body was read */

#define NGX_HTTP_VOICE_INFLATE_VARIABLES  3


typedef struct {
    ngx_int_t                  indices[NGX_HTTP_VOICE_INFLATE_VARIABLES];
} ngx_http_voice_inflate_main_conf_t;


typedef struct {
    ngx_flag_t                 enable;
    off_t                      max_size;   /* unset: client_max_body_size */
    ngx_int_t                  max_ratio;
} ngx_http_voice_inflate_loc_conf_t;


typedef enum {
    ngx_http_voice_inflate_st_pass = 0,    /* nothing to do with this body */
    ngx_http_voice_inflate_st_read,
    ngx_http_voice_inflate_st_done,
    ngx_http_voice_inflate_st_refused
} ngx_http_voice_inflate_state_e;


/*
 * Lies in a cleanup of the request's pool, so that it outlives an internal
 * redirect, which clears the contexts of modules.
 */

typedef struct {
    ngx_http_voice_inflate_state_e       state;
    ngx_int_t                            status;    /* when refused */

    struct body_inflate                 *inflate;

    ngx_buf_t                           *out;       /* being filled */
    ngx_chain_t                         *free;
    ngx_chain_t                         *busy;
    size_t                               size;      /* of each buffer */
    ngx_uint_t                           buffers;
    ngx_uint_t                           max_buffers;
} ngx_http_voice_inflate_ctx_t;


extern ngx_module_t  ngx_http_voice_inflate_module;


/* ngx_http_voice_inflate.c */

ngx_http_voice_inflate_ctx_t *ngx_http_voice_inflate_get_ctx(
    ngx_http_request_t *r);
ngx_http_voice_inflate_ctx_t *ngx_http_voice_inflate_create_ctx(
    ngx_http_request_t *r);

/* ngx_http_voice_inflate_body.c */

ngx_int_t ngx_http_voice_inflate_filter_init(ngx_conf_t *cf);

/* ngx_http_voice_inflate_headers.c */

ngx_int_t ngx_http_voice_inflate_index_variables(ngx_conf_t *cf);
enum body_coding ngx_http_voice_inflate_coding(ngx_http_request_t *r);
ngx_int_t ngx_http_voice_inflate_rewrite(ngx_http_request_t *r, off_t length);
void ngx_http_voice_inflate_drop(ngx_http_request_t *r);


#endif /* _NGX_HTTP_VOICE_INFLATE_H_INCLUDED_ */
