/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The FastCGI request that opens a session.
 *
 *   request: BEGIN_REQUEST, PARAMS, empty PARAMS, and nothing more before the
 *   answer, since the upstream reads it through a buffer that it then drops
 *
 * Every value is evaluated once and then copied: a variable may have another
 * length when it is asked a second time.
 */


#include "ngx_http_voice.h"


typedef struct {
    ngx_str_t   name;
    ngx_str_t   value;
    unsigned    http:1;    /* the name is that of a request header */
} ngx_http_voice_pair_t;


typedef struct {
    u_char     *p;
    size_t      record;    /* content that the record still takes */
    size_t      padding;   /* behind it */
    size_t      left;      /* content of all the records to come */
} ngx_http_voice_writer_t;


static ngx_int_t ngx_http_voice_collect_cgi(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static ngx_int_t ngx_http_voice_collect_addresses(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static ngx_int_t ngx_http_voice_collect_voice(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static ngx_int_t ngx_http_voice_collect_params(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static ngx_int_t ngx_http_voice_collect_headers(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static ngx_int_t ngx_http_voice_join(ngx_http_voice_ctx_t *ctx,
    ngx_str_t *value, ngx_table_elt_t *header);
static ngx_int_t ngx_http_voice_add(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs, char *name, u_char *data, size_t len);
static ngx_uint_t ngx_http_voice_is_param(ngx_http_voice_ctx_t *ctx,
    ngx_str_t *name, ngx_uint_t http);
static ngx_int_t ngx_http_voice_write_request(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs);
static void ngx_http_voice_write_pair(ngx_http_voice_writer_t *w,
    ngx_http_voice_pair_t *pair);
static void ngx_http_voice_write(ngx_http_voice_writer_t *w, u_char *data,
    size_t len);
static u_char *ngx_http_voice_put_length(u_char *p, size_t len);
static u_char ngx_http_voice_env_char(u_char ch);


static ngx_int_t  ngx_http_voice_request_id_index;


ngx_int_t
ngx_http_voice_init_params(ngx_conf_t *cf)
{
    static ngx_str_t  name = ngx_string("request_id");

    ngx_http_voice_request_id_index = ngx_http_get_variable_index(cf, &name);

    return ngx_http_voice_request_id_index == NGX_ERROR ? NGX_ERROR : NGX_OK;
}


ngx_str_t *
ngx_http_voice_request_id(ngx_http_request_t *r)
{
    ngx_str_t                  *id;
    ngx_http_variable_value_t  *v;

    v = ngx_http_get_indexed_variable(r, ngx_http_voice_request_id_index);
    if (v == NULL || v->not_found) {
        return NULL;
    }

    id = ngx_palloc(r->pool, sizeof(ngx_str_t));
    if (id == NULL) {
        return NULL;
    }

    id->len = v->len;
    id->data = v->data;

    return id;
}


ngx_int_t
ngx_http_voice_create_request(ngx_http_voice_ctx_t *ctx)
{
    ngx_array_t  *pairs;

    pairs = ngx_array_create(ctx->answer->pool, 48,
                             sizeof(ngx_http_voice_pair_t));

    if (pairs == NULL
        || ngx_http_voice_collect_voice(ctx, pairs) != NGX_OK
        || ngx_http_voice_collect_cgi(ctx, pairs) != NGX_OK
        || ngx_http_voice_collect_addresses(ctx, pairs) != NGX_OK
        || ngx_http_voice_collect_params(ctx, pairs) != NGX_OK
        || ngx_http_voice_collect_headers(ctx, pairs) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_voice_write_request(ctx, pairs);
}


#define ngx_http_voice_add_text(ctx, pairs, name, text)                       \
    ngx_http_voice_add(ctx, pairs, name, (u_char *) text, sizeof(text) - 1)

#define ngx_http_voice_add_str(ctx, pairs, name, s)                           \
    ngx_http_voice_add(ctx, pairs, name, (s)->data, (s)->len)


static ngx_int_t
ngx_http_voice_collect_voice(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs)
{
    ngx_str_t  *id;

    id = ngx_http_voice_request_id(ctx->request);

    if (id == NULL
        || ngx_http_voice_add_text(ctx, pairs, "VOICE_STREAM", "1") != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "VOICE_PROTOCOL", "1")
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "VOICE_REQUEST_ID", id)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_voice_add_str(ctx, pairs, "VOICE_POLICY",
                                  &ctx->conf->policy_text);
}


/* what the fastcgi_params file of nginx sends */

static ngx_int_t
ngx_http_voice_collect_cgi(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs)
{
    ngx_uint_t                  https;
    ngx_http_request_t         *r;
    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_core_srv_conf_t   *cscf;

    r = ctx->request;
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);
    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

#if (NGX_HTTP_SSL)
    https = r->connection->ssl ? 1 : 0;
#else
    https = 0;
#endif

    if (ngx_http_voice_add_str(ctx, pairs, "QUERY_STRING", &r->args) != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "REQUEST_METHOD",
                                  &r->method_name) != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "CONTENT_TYPE", "") != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "CONTENT_LENGTH", "") != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "SCRIPT_NAME", &r->uri)
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "REQUEST_URI", &r->unparsed_uri)
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "DOCUMENT_URI", &r->uri)
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "DOCUMENT_ROOT", &clcf->root)
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "SERVER_PROTOCOL",
                                  &r->http_protocol) != NGX_OK
        || ngx_http_voice_add(ctx, pairs, "REQUEST_SCHEME", (u_char *) "https",
                              https ? 5 : 4) != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "GATEWAY_INTERFACE", "CGI/1.1")
           != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "SERVER_SOFTWARE", NGINX_VER)
           != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "SERVER_NAME",
                                  &cscf->server_name) != NGX_OK
        || ngx_http_voice_add_text(ctx, pairs, "REDIRECT_STATUS", "200")
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (https
        && ngx_http_voice_add_text(ctx, pairs, "HTTPS", "on") != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_auth_basic_user(r) == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_voice_add_str(ctx, pairs, "REMOTE_USER",
                                  &r->headers_in.user);
}


static ngx_int_t
ngx_http_voice_collect_addresses(ngx_http_voice_ctx_t *ctx,
    ngx_array_t *pairs)
{
    u_char            *p;
    ngx_str_t          addr, port;
    ngx_uint_t         remote;
    ngx_connection_t  *c;

    c = ctx->request->connection;

    addr.len = NGX_SOCKADDR_STRLEN;
    addr.data = ngx_pnalloc(ctx->answer->pool, NGX_SOCKADDR_STRLEN
                                               + 2 * NGX_INT_T_LEN);
    if (addr.data == NULL
        || ngx_connection_local_sockaddr(c, &addr, 0) != NGX_OK)
    {
        return NGX_ERROR;
    }

    port.data = addr.data + NGX_SOCKADDR_STRLEN;
    p = ngx_sprintf(port.data, "%ui",
                    (ngx_uint_t) ngx_inet_get_port(c->local_sockaddr));
    port.len = p - port.data;

    if (ngx_http_voice_add_str(ctx, pairs, "SERVER_ADDR", &addr) != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "SERVER_PORT", &port) != NGX_OK
        || ngx_http_voice_add_str(ctx, pairs, "REMOTE_ADDR", &c->addr_text)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    port.data = p;
    remote = ngx_inet_get_port(c->sockaddr);

    /* an address that ngx_http_realip found may have none */
    p = remote ? ngx_sprintf(p, "%ui", remote) : p;
    port.len = p - port.data;

    return ngx_http_voice_add_str(ctx, pairs, "REMOTE_PORT", &port);
}


static ngx_int_t
ngx_http_voice_collect_params(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs)
{
    ngx_str_t                value;
    ngx_uint_t               i;
    ngx_http_voice_pair_t   *pair;
    ngx_http_voice_param_t  *param;

    if (ctx->conf->params == NULL) {
        return NGX_OK;
    }

    param = ctx->conf->params->elts;

    for (i = 0; i < ctx->conf->params->nelts; i++) {

        if (ngx_http_complex_value(ctx->request, &param[i].value, &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (value.len == 0 && param[i].if_not_empty) {
            continue;
        }

        pair = ngx_array_push(pairs);
        if (pair == NULL) {
            return NGX_ERROR;
        }

        pair->name = param[i].name;
        pair->value = value;
        pair->http = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_collect_headers(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs)
{
    ngx_uint_t              i, j, known;
    ngx_list_part_t        *part;
    ngx_table_elt_t        *header;
    ngx_http_voice_pair_t  *pair;

    known = pairs->nelts;
    part = &ctx->request->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (ngx_http_voice_is_param(ctx, &header[i].key, 1)) {
            continue;
        }

        /* lines of the same name are one value (RFC 9110, section 5.3) */

        pair = pairs->elts;

        for (j = known; j < pairs->nelts; j++) {
            if (pair[j].name.len == header[i].key.len
                && ngx_strncasecmp(pair[j].name.data, header[i].key.data,
                                   header[i].key.len)
                   == 0)
            {
                break;
            }
        }

        if (j < pairs->nelts) {
            if (ngx_http_voice_join(ctx, &pair[j].value, &header[i])
                != NGX_OK)
            {
                return NGX_ERROR;
            }

            continue;
        }

        pair = ngx_array_push(pairs);
        if (pair == NULL) {
            return NGX_ERROR;
        }

        pair->name = header[i].key;
        pair->value = header[i].value;
        pair->http = 1;
    }
}


static ngx_int_t
ngx_http_voice_join(ngx_http_voice_ctx_t *ctx, ngx_str_t *value,
    ngx_table_elt_t *header)
{
    u_char  *data, *p;

    data = ngx_pnalloc(ctx->answer->pool, value->len + 2 + header->value.len);
    if (data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(data, value->data, value->len);

    *p++ = (header->key.len == 6
            && ngx_strncasecmp(header->key.data, (u_char *) "cookie", 6) == 0)
           ? ';' : ',';
    *p++ = ' ';

    p = ngx_cpymem(p, header->value.data, header->value.len);

    value->data = data;
    value->len = p - data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_add(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs, char *name,
    u_char *data, size_t len)
{
    ngx_str_t               key;
    ngx_http_voice_pair_t  *pair;

    key.data = (u_char *) name;
    key.len = ngx_strlen(name);

    if (ngx_http_voice_is_param(ctx, &key, 0)) {
        return NGX_OK;
    }

    pair = ngx_array_push(pairs);
    if (pair == NULL) {
        return NGX_ERROR;
    }

    pair->name = key;
    pair->value.data = data;
    pair->value.len = len;
    pair->http = 0;

    return NGX_OK;
}


/* does a voice_param directive stand for this name? */

static ngx_uint_t
ngx_http_voice_is_param(ngx_http_voice_ctx_t *ctx, ngx_str_t *name,
    ngx_uint_t http)
{
    size_t                   k;
    ngx_str_t                key;
    ngx_uint_t               i;
    ngx_http_voice_param_t  *param;

    if (ctx->conf->params == NULL) {
        return 0;
    }

    param = ctx->conf->params->elts;

    for (i = 0; i < ctx->conf->params->nelts; i++) {

        key = param[i].name;

        if (http) {
            if (key.len < 5 || ngx_strncmp(key.data, "HTTP_", 5) != 0) {
                continue;
            }

            key.data += 5;
            key.len -= 5;
        }

        if (key.len != name->len) {
            continue;
        }

        for (k = 0; k < key.len; k++) {
            if (key.data[k] != ngx_http_voice_env_char(name->data[k])) {
                break;
            }
        }

        if (k == key.len) {
            return 1;
        }
    }

    return 0;
}


static u_char
ngx_http_voice_env_char(u_char ch)
{
    if (ch >= 'a' && ch <= 'z') {
        return ch & ~0x20;
    }

    return ch == '-' ? '_' : ch;
}


static ngx_int_t
ngx_http_voice_write_request(ngx_http_voice_ctx_t *ctx, ngx_array_t *pairs)
{
    size_t                    records, len, name_len;
    ngx_buf_t                *b;
    ngx_uint_t                i;
    ngx_http_voice_pair_t    *pair;
    ngx_http_voice_writer_t   w;

    w.left = 0;
    w.record = 0;
    pair = pairs->elts;

    for (i = 0; i < pairs->nelts; i++) {
        name_len = pair[i].name.len + (pair[i].http ? 5 : 0);
        w.left += name_len + pair[i].value.len + (name_len > 127 ? 4 : 1)
                  + (pair[i].value.len > 127 ? 4 : 1);
    }

    records = w.left / NGX_HTTP_VOICE_FCGI_MAX + 1;
    len = w.left + 3 * NGX_HTTP_VOICE_FCGI_HEADER
          + records * (NGX_HTTP_VOICE_FCGI_HEADER + 8);

    b = ngx_create_temp_buf(ctx->answer->pool, len);
    if (b == NULL) {
        return NGX_ERROR;
    }

    w.p = ngx_http_voice_put_record(b->pos, NGX_HTTP_VOICE_BEGIN_REQUEST, 8,
                                    0);

    /* role RESPONDER, no FCGI_KEEP_CONN: one connection, one session */

    ngx_memzero(w.p, 8);
    w.p[1] = 1;
    w.p += 8;

    for (i = 0; i < pairs->nelts; i++) {
        ngx_http_voice_write_pair(&w, &pair[i]);
    }

    b->last = ngx_http_voice_put_record(w.p, NGX_HTTP_VOICE_PARAMS, 0, 0);

    ctx->answer->request = b;

    return NGX_OK;
}


static void
ngx_http_voice_write_pair(ngx_http_voice_writer_t *w,
    ngx_http_voice_pair_t *pair)
{
    size_t  i;
    u_char  *p, head[8], ch;

    p = ngx_http_voice_put_length(head, pair->name.len
                                        + (pair->http ? 5 : 0));
    p = ngx_http_voice_put_length(p, pair->value.len);

    ngx_http_voice_write(w, head, p - head);

    if (!pair->http) {
        ngx_http_voice_write(w, pair->name.data, pair->name.len);

    } else {
        ngx_http_voice_write(w, (u_char *) "HTTP_", 5);

        for (i = 0; i < pair->name.len; i++) {
            ch = ngx_http_voice_env_char(pair->name.data[i]);
            ngx_http_voice_write(w, &ch, 1);
        }
    }

    ngx_http_voice_write(w, pair->value.data, pair->value.len);
}


/* content goes on in another record where one is full */

static void
ngx_http_voice_write(ngx_http_voice_writer_t *w, u_char *data, size_t len)
{
    size_t  n;

    while (len) {

        if (w->record == 0) {
            w->record = ngx_min(w->left, NGX_HTTP_VOICE_FCGI_MAX);
            w->padding = (8 - w->record % 8) % 8;
            w->left -= w->record;
            w->p = ngx_http_voice_put_record(w->p, NGX_HTTP_VOICE_PARAMS,
                                             w->record, w->padding);
        }

        n = ngx_min(len, w->record);

        w->p = ngx_cpymem(w->p, data, n);
        w->record -= n;
        data += n;
        len -= n;

        if (w->record == 0) {
            ngx_memzero(w->p, w->padding);
            w->p += w->padding;
        }
    }
}


static u_char *
ngx_http_voice_put_length(u_char *p, size_t len)
{
    if (len > 127) {
        *p++ = (u_char) (len >> 24 | 0x80);
        *p++ = (u_char) (len >> 16);
        *p++ = (u_char) (len >> 8);
    }

    *p++ = (u_char) len;

    return p;
}
