/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The opening handshake (RFC 6455, section 4.2): which requests become
 * sessions, and the 101.
 */


#include "ngx_http_voice_deflate.h"

#include <ngx_sha1.h>

#include "codec/ws_upgrade.h"


#define NGX_HTTP_VOICE_ACCEPT_LEN  28


static ngx_int_t ngx_http_voice_push_headers(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_fall_back(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *vlcf);
static ngx_uint_t ngx_http_voice_is_upgrade(ngx_http_request_t *r);
static ngx_uint_t ngx_http_voice_check(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *vlcf, char **text);
static ngx_table_elt_t *ngx_http_voice_next_header(ngx_http_request_t *r,
    char *lowcase, ngx_table_elt_t *after);
static ngx_int_t ngx_http_voice_accept_key(ngx_http_request_t *r,
    ngx_str_t *accept);


static ngx_str_t  ngx_http_voice_upgrade_name = ngx_string("Upgrade");
static ngx_str_t  ngx_http_voice_websocket = ngx_string("websocket");


ngx_int_t
ngx_http_voice_handler(ngx_http_request_t *r)
{
    char                       *text;
    ngx_uint_t                  status;
    ngx_http_voice_ctx_t       *ctx;
    ngx_http_voice_loc_conf_t  *vlcf;

    vlcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_module);

    if (r != r->main) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "a subrequest can't be a voice session");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (r->method != NGX_HTTP_GET) {
        return ngx_http_voice_fall_back(r, vlcf);
    }

    status = ngx_http_voice_check(r, vlcf, &text);

    if (status) {
        return ngx_http_voice_refuse(r, status, text);
    }

    if (r->err_status) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "a voice session can't have status %ui, "
                      "\"error_page\" needs \"=\" here", r->err_status);
        return r->err_status;
    }

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_voice_ctx_t));
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->request = r;
    ctx->client = r->connection;
    ctx->conf = vlcf;

    ngx_http_set_ctx(r, ctx, ngx_http_voice_module);

    switch (ngx_http_voice_agree(ctx)) {

    case NGX_DECLINED:
        return ngx_http_voice_refuse(r, NGX_HTTP_BAD_REQUEST,
                                     "Sec-WebSocket-Extensions is invalid");

    case NGX_ERROR:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->main->count++;

    ngx_http_voice_start(ctx);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_voice_fall_back(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *vlcf)
{
    if (vlcf->fallback.len == 0) {
        return ngx_http_voice_refuse(r, NGX_HTTP_NOT_ALLOWED,
                                     "this is a WebSocket endpoint");
    }

    (void) ngx_http_named_location(r, &vlcf->fallback);

    return NGX_DONE;
}


/* 0, or the status to refuse the request with, and why */

static ngx_uint_t
ngx_http_voice_check(ngx_http_request_t *r, ngx_http_voice_loc_conf_t *vlcf,
    char **text)
{
    ngx_str_t   *value;
    ngx_uint_t   count;

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        *text = "WebSocket is served over HTTP/1.1 only";
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!ngx_http_voice_is_upgrade(r)) {
        *text = "this is a WebSocket endpoint";
        return NGX_HTTP_VOICE_UPGRADE_REQUIRED;
    }

    if (r->headers_in.content_length_n > 0 || r->headers_in.chunked) {
        /* it would be taken for frames */
        *text = "a handshake has no body";
        return NGX_HTTP_BAD_REQUEST;
    }

    value = ngx_http_voice_header(r, "sec-websocket-version", &count);

    if (count != 1
        || !ws_upgrade_version_is_valid((char *) value->data, value->len))
    {
        *text = "WebSocket version 13 is required";
        return NGX_HTTP_VOICE_UPGRADE_REQUIRED;
    }

    value = ngx_http_voice_header(r, "sec-websocket-key", &count);

    if (count != 1
        || !ws_upgrade_key_is_valid((char *) value->data, value->len))
    {
        *text = "Sec-WebSocket-Key is invalid";
        return NGX_HTTP_BAD_REQUEST;
    }

    value = ngx_http_voice_header(r, "origin", &count);

    if (count > 1
        || (count == 1 && !ngx_http_voice_origin_is_allowed(r, vlcf, value)))
    {
        *text = "this origin is not allowed";
        return NGX_HTTP_FORBIDDEN;
    }

    return 0;
}


static ngx_uint_t
ngx_http_voice_is_upgrade(ngx_http_request_t *r)
{
    return r->http_version >= NGX_HTTP_VERSION_11
           && ngx_http_voice_offers(r, "upgrade", (u_char *) "websocket", 9)
           && ngx_http_voice_offers(r, "connection", (u_char *) "upgrade", 7);
}


/* the value of a request header, or the first of many */

ngx_str_t *
ngx_http_voice_header(ngx_http_request_t *r, char *lowcase, ngx_uint_t *count)
{
    ngx_str_t        *value;
    ngx_table_elt_t  *h;

    value = NULL;
    h = NULL;

    for (*count = 0; /* void */ ; (*count)++) {

        h = ngx_http_voice_next_header(r, lowcase, h);

        if (h == NULL) {
            return value;
        }

        if (value == NULL) {
            value = &h->value;
        }
    }
}


/* is the token in a list that any number of headers make up? */

ngx_uint_t
ngx_http_voice_offers(ngx_http_request_t *r, char *lowcase, u_char *token,
    size_t len)
{
    ngx_table_elt_t  *h;

    h = NULL;

    while ((h = ngx_http_voice_next_header(r, lowcase, h)) != NULL) {
        if (ws_upgrade_has_token((char *) h->value.data, h->value.len,
                                 (char *) token, len))
        {
            return 1;
        }
    }

    return 0;
}


static ngx_table_elt_t *
ngx_http_voice_next_header(ngx_http_request_t *r, char *lowcase,
    ngx_table_elt_t *after)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    len = ngx_strlen(lowcase);

    for (part = &r->headers_in.headers.part; part; part = part->next) {

        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (after) {
                after = (after == &h[i]) ? NULL : after;
                continue;
            }

            if (h[i].key.len == len
                && ngx_strncmp(h[i].lowcase_key, lowcase, len) == 0)
            {
                return &h[i];
            }
        }
    }

    return NULL;
}


ngx_int_t
ngx_http_voice_push_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = *name;
    h->value = *value;

    return NGX_OK;
}


/*
 * The header of the 101.  The values of the answer are copied: their memory
 * goes before the session does.
 */

ngx_int_t
ngx_http_voice_send_upgrade(ngx_http_voice_ctx_t *ctx)
{
    ngx_str_t            accept;
    ngx_buf_t           *flush;
    ngx_int_t            rc;
    ngx_chain_t          out;
    ngx_http_request_t  *r;

    static ngx_str_t  accept_name = ngx_string("Sec-WebSocket-Accept");
    static ngx_str_t  extensions_name =
        ngx_string("Sec-WebSocket-Extensions");

    r = ctx->request;

    r->keepalive = 0;
    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    r->headers_out.content_length_n = -1;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");

    if (ngx_http_voice_accept_key(r, &accept) != NGX_OK
        || ngx_http_voice_push_header(r, &ngx_http_voice_upgrade_name,
                                      &ngx_http_voice_websocket)
           != NGX_OK
        || ngx_http_voice_push_header(r, &accept_name, &accept) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ctx->deflate
        && ngx_http_voice_push_header(r, &extensions_name,
                                      &ctx->deflate->answer)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_voice_push_headers(ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    flush = ngx_calloc_buf(r->pool);
    if (flush == NULL) {
        return NGX_ERROR;
    }

    flush->flush = 1;

    out.buf = flush;
    out.next = NULL;

    /* past the body filters: there is no body, and ssi would keep this */

    return ngx_http_write_filter(r, &out);
}


/* those of the upstream's answer that are for the client */

static ngx_int_t
ngx_http_voice_push_headers(ngx_http_voice_ctx_t *ctx)
{
    ngx_str_t            value;
    ngx_uint_t           i;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *header;
    ngx_http_request_t  *r;

    r = ctx->request;

    part = &ctx->answer->headers->part;
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

        /* one copy of both: the pair ends with the list that points to it */

        value.len = header[i].key.len + header[i].value.len;
        value.data = ngx_pnalloc(r->pool, value.len);
        if (value.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(ngx_cpymem(value.data, header[i].key.data,
                              header[i].key.len),
                   header[i].value.data, header[i].value.len);

        header[i].key.data = value.data;
        header[i].value.data = value.data + header[i].key.len;

        if (ngx_http_voice_push_header(r, &header[i].key, &header[i].value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (header[i].key.len == sizeof("X-Voice-Session") - 1
            && ngx_strncasecmp(header[i].key.data,
                               (u_char *) "X-Voice-Session",
                               header[i].key.len)
               == 0)
        {
            ctx->session_id = header[i].value;
        }
    }
}


/* RFC 6455, section 4.2.2, step 5.4 */

static ngx_int_t
ngx_http_voice_accept_key(ngx_http_request_t *r, ngx_str_t *accept)
{
    u_char       digest[20];
    ngx_str_t   *key, raw;
    ngx_sha1_t   sha1;
    ngx_uint_t   count;

    static char  guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

    key = ngx_http_voice_header(r, "sec-websocket-key", &count);

    accept->data = ngx_pnalloc(r->pool, NGX_HTTP_VOICE_ACCEPT_LEN);
    if (accept->data == NULL) {
        return NGX_ERROR;
    }

    ngx_sha1_init(&sha1);
    ngx_sha1_update(&sha1, key->data, key->len);
    ngx_sha1_update(&sha1, guid, sizeof(guid) - 1);
    ngx_sha1_final(digest, &sha1);

    raw.len = sizeof(digest);
    raw.data = digest;

    ngx_encode_base64(accept, &raw);

    return NGX_OK;
}
