/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * voice_status: a location that answers the module's counters of all workers.
 */


#include "ngx_http_voice.h"


typedef enum {
    ngx_http_voice_format_unset = 0,
    ngx_http_voice_format_json,
    ngx_http_voice_format_prometheus
} ngx_http_voice_format_e;


typedef struct {
    ngx_uint_t                     format;
} ngx_http_voice_status_loc_conf_t;


static ngx_int_t ngx_http_voice_status_handler(ngx_http_request_t *r);
static ngx_uint_t ngx_http_voice_status_format(ngx_http_request_t *r);
static ngx_uint_t ngx_http_voice_accepts(ngx_str_t *accept, char *type);
static ngx_int_t ngx_http_voice_status_send(ngx_http_request_t *r,
    ngx_uint_t format, ngx_buf_t *b);
static void *ngx_http_voice_status_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_voice_status_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_voice_status_merge_loc_conf(ngx_conf_t *cf,
    void *parent, void *child);
static char *ngx_http_voice_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_voice_status_init_module(ngx_cycle_t *cycle);


static ngx_command_t  ngx_http_voice_status_commands[] = {

    { ngx_string("voice_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_voice_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_voice_status_module_ctx = {
    NULL,                                    /* preconfiguration */
    NULL,                                    /* postconfiguration */

    ngx_http_voice_status_create_main_conf,  /* create main configuration */
    NULL,                                    /* init main configuration */

    NULL,                                    /* create server configuration */
    NULL,                                    /* merge server configuration */

    ngx_http_voice_status_create_loc_conf,   /* create location configuration */
    ngx_http_voice_status_merge_loc_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_voice_status_module = {
    NGX_MODULE_V1,
    &ngx_http_voice_status_module_ctx,     /* module context */
    ngx_http_voice_status_commands,        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_voice_status_init_module,     /* init module */
    ngx_http_voice_take_slot,              /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_voice_leave_slot,             /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_int_t
ngx_http_voice_status_handler(ngx_http_request_t *r)
{
    size_t                         size;
    ngx_buf_t                     *b;
    ngx_int_t                      rc;
    ngx_uint_t                     format;
    ngx_http_voice_snapshot_t     *snapshot;
    ngx_http_voice_status_conf_t  *conf;

    static ngx_str_t  allow_name = ngx_string("Allow");
    static ngx_str_t  allow = ngx_string("GET, HEAD");

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return ngx_http_voice_push_header(r, &allow_name, &allow) == NGX_OK
               ? NGX_HTTP_NOT_ALLOWED : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    format = ngx_http_voice_status_format(r);

    if (format == ngx_http_voice_format_unset) {
        return NGX_HTTP_BAD_REQUEST;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    conf = ngx_http_get_module_main_conf(r, ngx_http_voice_status_module);

    snapshot = ngx_palloc(r->pool, sizeof(ngx_http_voice_snapshot_t));

    if (snapshot == NULL
        || ngx_http_voice_take_snapshot(conf, r->pool, snapshot) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    size = ngx_http_voice_text_size(snapshot);

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (format == ngx_http_voice_format_json) {
        b->last = ngx_http_voice_write_json(b->last, b->end, snapshot);

    } else {
        b->last = ngx_http_voice_write_prometheus(b->last, b->end, snapshot);
    }

    if (b->last == b->end) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "voice status does not fit in %uz bytes", size);
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return ngx_http_voice_status_send(r, format, b);
}


/* the query decides, then the directive, then what the client accepts */

static ngx_uint_t
ngx_http_voice_status_format(ngx_http_request_t *r)
{
    ngx_str_t                          value, *accept;
    ngx_uint_t                         count;
    ngx_http_voice_status_loc_conf_t  *slcf;

    if (ngx_http_arg(r, (u_char *) "format", 6, &value) == NGX_OK) {

        if (value.len == 4 && ngx_strncmp(value.data, "json", 4) == 0) {
            return ngx_http_voice_format_json;
        }

        if (value.len == 10 && ngx_strncmp(value.data, "prometheus", 10) == 0)
        {
            return ngx_http_voice_format_prometheus;
        }

        return ngx_http_voice_format_unset;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_status_module);

    if (slcf->format != ngx_http_voice_format_unset) {
        return slcf->format;
    }

    accept = ngx_http_voice_header(r, "accept", &count);

    if (accept && ngx_http_voice_accepts(accept, "text/plain")
        && !ngx_http_voice_accepts(accept, "application/json"))
    {
        return ngx_http_voice_format_prometheus;
    }

    return ngx_http_voice_format_json;
}


/* is the type named?  Ranges and qualities are not looked at */

static ngx_uint_t
ngx_http_voice_accepts(ngx_str_t *accept, char *type)
{
    size_t   len;
    u_char  *p, *last, *start;

    len = ngx_strlen(type);
    p = accept->data;
    last = p + accept->len;

    while (p < last) {

        while (p < last && (*p == ',' || *p == ' ' || *p == '\t')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',' && *p != ';' && *p != ' ' && *p != '\t') {
            p++;
        }

        if ((size_t) (p - start) == len
            && ngx_strncasecmp(start, (u_char *) type, len) == 0)
        {
            return 1;
        }

        while (p < last && *p != ',') {
            p++;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_voice_status_send(ngx_http_request_t *r, ngx_uint_t format,
    ngx_buf_t *b)
{
    ngx_int_t    rc;
    ngx_chain_t  out;

    static ngx_str_t  cache_name = ngx_string("Cache-Control");
    static ngx_str_t  cache = ngx_string("no-store");

    if (ngx_http_voice_push_header(r, &cache_name, &cache) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (format == ngx_http_voice_format_json) {
        ngx_str_set(&r->headers_out.content_type, "application/json");
        r->headers_out.content_type_len = r->headers_out.content_type.len;

    } else {
        ngx_str_set(&r->headers_out.content_type,
                    "text/plain; version=0.0.4; charset=utf-8");
        r->headers_out.content_type_len = sizeof("text/plain") - 1;
    }

    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static void *
ngx_http_voice_status_create_main_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_voice_status_conf_t));
}


static void *
ngx_http_voice_status_create_loc_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_voice_status_loc_conf_t));
}


/* the handler is not inherited, but a block of "if" answers with it too */

static char *
ngx_http_voice_status_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child)
{
    ngx_http_voice_status_loc_conf_t *prev = parent;
    ngx_http_voice_status_loc_conf_t *conf = child;

    if (conf->format == ngx_http_voice_format_unset) {
        conf->format = prev->format;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_voice_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_voice_status_loc_conf_t *slcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_voice_status_handler) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        if (ngx_strcmp(value[1].data, "json") == 0) {
            slcf->format = ngx_http_voice_format_json;

        } else if (ngx_strcmp(value[1].data, "prometheus") == 0) {
            slcf->format = ngx_http_voice_format_prometheus;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid format \"%V\", "
                               "it must be \"json\" or \"prometheus\"",
                               &value[1]);
            return NGX_CONF_ERROR;
        }
    }

    clcf->handler = ngx_http_voice_status_handler;

    return ngx_http_voice_add_zone(cf) == NGX_OK ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_voice_status_init_module(ngx_cycle_t *cycle)
{
    ngx_http_voice_check_slot(
        ngx_http_cycle_get_module_main_conf(cycle,
                                            ngx_http_voice_status_module));

    return NGX_OK;
}
