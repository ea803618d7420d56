/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a request that becomes no session is refused: by the page that
 * "error_page" names, else as the HTTP interface answers errors.
 */


#include "ngx_http_voice.h"


static ngx_int_t ngx_http_voice_refuse_headers(ngx_http_request_t *r,
    ngx_uint_t status);
static ngx_uint_t ngx_http_voice_has_page(ngx_http_request_t *r,
    ngx_uint_t status);


ngx_int_t
ngx_http_voice_refuse(ngx_http_request_t *r, ngx_uint_t status, char *text)
{
    size_t        len;
    u_char       *p;
    ngx_int_t     rc;
    ngx_buf_t    *b;
    ngx_chain_t   out;

    static char  head[] = "{\"error\":{\"message\":\"";
    static char  tail[] = "\",\"type\":\"invalid_request_error\","
                          "\"param\":null,\"code\":\"websocket_handshake\"}}"
                          "\n";

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "voice session refused with %ui: %s", status, text);

    ngx_http_voice_count_refused(status);

    if (ngx_http_voice_refuse_headers(r, status) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_voice_has_page(r, status)) {
        return status;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    len = sizeof(head) - 1 + ngx_strlen(text) + sizeof(tail) - 1;

    b = ngx_create_temp_buf(r->pool, len);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = ngx_cpymem(b->last, head, sizeof(head) - 1);
    p = ngx_cpymem(p, text, ngx_strlen(text));
    b->last = ngx_cpymem(p, tail, sizeof(tail) - 1);
    b->last_buf = 1;
    b->last_in_chain = 1;

    r->headers_out.status = status;
    r->headers_out.content_length_n = len;

    ngx_str_set(&r->headers_out.content_type, "application/json");
    r->headers_out.content_type_len = r->headers_out.content_type.len;

    if (status == NGX_HTTP_VOICE_UPGRADE_REQUIRED) {
        ngx_str_set(&r->headers_out.status_line, "426 Upgrade Required");
    }

    rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


static ngx_int_t
ngx_http_voice_refuse_headers(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_str_t  *id;

    static ngx_str_t  upgrade_name = ngx_string("Upgrade");
    static ngx_str_t  websocket = ngx_string("websocket");
    static ngx_str_t  id_name = ngx_string("x-request-id");
    static ngx_str_t  version_name = ngx_string("Sec-WebSocket-Version");
    static ngx_str_t  version = ngx_string("13");
    static ngx_str_t  connection_name = ngx_string("Connection");
    static ngx_str_t  allow_name = ngx_string("Allow");
    static ngx_str_t  allow = ngx_string("GET");

    id = ngx_http_voice_request_id(r);

    if (id && ngx_http_voice_push_header(r, &id_name, id) != NGX_OK) {
        return NGX_ERROR;
    }

    if (status == NGX_HTTP_NOT_ALLOWED) {
        return ngx_http_voice_push_header(r, &allow_name, &allow);
    }

    if (status != NGX_HTTP_VOICE_UPGRADE_REQUIRED) {
        return NGX_OK;
    }

    if (ngx_http_voice_push_header(r, &upgrade_name, &websocket) != NGX_OK
        || ngx_http_voice_push_header(r, &connection_name, &upgrade_name)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_voice_push_header(r, &version_name, &version);
}


/* is there an "error_page" for it?  Then that is the answer */

static ngx_uint_t
ngx_http_voice_has_page(ngx_http_request_t *r, ngx_uint_t status)
{
    ngx_uint_t                 i;
    ngx_http_err_page_t       *page;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->error_pages == NULL || r->error_page || r->uri_changes == 0) {
        return 0;
    }

    page = clcf->error_pages->elts;

    for (i = 0; i < clcf->error_pages->nelts; i++) {
        if (page[i].status == (ngx_int_t) status) {
            return 1;
        }
    }

    return 0;
}
