/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An answer that is no 101 goes to the client as an ordinary response.
 *
 *   socket -> input -> records -> output filters -> client
 *
 * One buffer is on its way at a time; the upstream is read again when the
 * filters have let go of it.
 */


#include "ngx_http_voice.h"


static void ngx_http_voice_keep_answer(void *data);
static ngx_int_t ngx_http_voice_set_headers(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_set_header(ngx_http_request_t *r,
    ngx_table_elt_t *h);
static ngx_uint_t ngx_http_voice_is_hidden(ngx_str_t *key);
static ngx_int_t ngx_http_voice_next_content(ngx_http_voice_ctx_t *ctx,
    ngx_str_t *content);
static ngx_int_t ngx_http_voice_read_body(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_output(ngx_http_voice_ctx_t *ctx,
    ngx_str_t *content);
static void ngx_http_voice_pass_body_write(ngx_http_request_t *r);
static void ngx_http_voice_wait_client(ngx_http_voice_ctx_t *ctx);


void
ngx_http_voice_send_response(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_pool_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;

    /* headers are looked at by the access log, buffers by the filters */

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_voice_keep_answer;
    cln->data = ctx->answer->pool;

    ctx->phase = ngx_http_voice_response;
    r->connection->log->action = "sending to client";

    if (ngx_http_voice_set_headers(ctx) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        ngx_http_voice_finalize(ctx, rc);
        return;
    }

    r->write_event_handler = ngx_http_voice_pass_body_write;

    ngx_http_voice_pass_body(ctx);
}


static void
ngx_http_voice_keep_answer(void *data)
{
    ngx_destroy_pool(data);
}


static ngx_int_t
ngx_http_voice_set_headers(ngx_http_voice_ctx_t *ctx)
{
    ngx_uint_t           i;
    ngx_list_part_t     *part;
    ngx_table_elt_t     *h;
    ngx_http_request_t  *r;

    r = ctx->request;

    r->headers_out.status = ctx->answer->status;
    r->headers_out.status_line = ctx->answer->status_line;
    r->headers_out.content_length_n = -1;
    ctx->answer->left = -1;

    part = &ctx->answer->headers->part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NGX_OK;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (ngx_http_voice_set_header(r, &h[i]) != NGX_OK) {
            return NGX_ERROR;
        }

        if (r->headers_out.content_length_n >= 0) {
            /* the filters may forget it */
            ctx->answer->left = r->headers_out.content_length_n;
        }
    }
}


#define ngx_http_voice_is_header(h, name)                                     \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ngx_strncasecmp((h)->key.data, (u_char *) name, sizeof(name) - 1)     \
        == 0)


static ngx_int_t
ngx_http_voice_set_header(ngx_http_request_t *r, ngx_table_elt_t *h)
{
    off_t             length;
    ngx_table_elt_t  *out;

    if (ngx_http_voice_is_hidden(&h->key)) {
        return NGX_OK;
    }

    if (ngx_http_voice_is_header(h, "Content-Type")) {
        r->headers_out.content_type = h->value;
        r->headers_out.content_type_len = h->value.len;
        return NGX_OK;
    }

    if (ngx_http_voice_is_header(h, "Content-Length")) {
        length = ngx_atoof(h->value.data, h->value.len);
        if (length == NGX_ERROR) {
            return NGX_ERROR;
        }

        r->headers_out.content_length_n = length;
        return NGX_OK;
    }

    out = ngx_list_push(&r->headers_out.headers);
    if (out == NULL) {
        return NGX_ERROR;
    }

    *out = *h;

    if (ngx_http_voice_is_header(h, "Content-Encoding")) {
        r->headers_out.content_encoding = out;

    } else if (ngx_http_voice_is_header(h, "WWW-Authenticate")) {
        r->headers_out.www_authenticate = out;
    }

    return NGX_OK;
}


/* headers of one connection, and those that nginx writes itself */

static ngx_uint_t
ngx_http_voice_is_hidden(ngx_str_t *key)
{
    ngx_uint_t  i;

    static ngx_str_t  hidden[] = {
        ngx_string("Connection"),
        ngx_string("Keep-Alive"),
        ngx_string("Transfer-Encoding"),
        ngx_string("Upgrade"),
        ngx_string("Date"),
        ngx_string("Server"),
        ngx_string("Sec-WebSocket-Accept"),
        ngx_string("X-Accel-Buffering"),
        ngx_string("X-Accel-Redirect"),
        ngx_string("X-Accel-Expires"),
        ngx_string("X-Accel-Charset"),
        ngx_string("X-Accel-Limit-Rate"),
        ngx_null_string
    };

    for (i = 0; hidden[i].len; i++) {
        if (key->len == hidden[i].len
            && ngx_strncasecmp(key->data, hidden[i].data, key->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


void
ngx_http_voice_pass_body(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t                 rc;
    ngx_str_t                 content;
    ngx_http_request_t       *r;
    ngx_http_voice_answer_t  *a;

    r = ctx->request;
    a = ctx->answer;

    for ( ;; ) {

        if (a->busy && a->busy->buf->pos < a->busy->buf->last) {

            if (ngx_http_output_filter(r, NULL) == NGX_ERROR) {
                ngx_http_voice_finalize(ctx, NGX_ERROR);
                return;
            }

            if (a->busy->buf->pos < a->busy->buf->last) {
                ngx_http_voice_wait_client(ctx);
                return;
            }
        }

        if (a->ended && a->left > 0) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "upstream sent less data than announced");
            ngx_http_voice_finalize(ctx, NGX_ERROR);
            return;
        }

        if (a->ended) {
            rc = ngx_http_send_special(r, NGX_HTTP_LAST);
            ngx_http_voice_finalize(ctx, rc);
            return;
        }

        rc = ngx_http_voice_next_content(ctx, &content);

        if (rc == NGX_OK) {
            rc = ngx_http_voice_output(ctx, &content);

        } else if (rc == NGX_AGAIN) {
            rc = ngx_http_voice_read_body(ctx);

            if (rc == NGX_AGAIN) {
                return;
            }
        }

        if (rc == NGX_ERROR) {
            ngx_http_voice_finalize(ctx, NGX_ERROR);
            return;
        }
    }
}


/* NGX_OK: there is some; NGX_DONE: there will be none */

static ngx_int_t
ngx_http_voice_next_content(ngx_http_voice_ctx_t *ctx, ngx_str_t *content)
{
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_voice_record_t  *record;

    b = ctx->answer->input;
    record = &ctx->record;

    while (b->pos < b->last) {

        if (record->content == 0) {
            rc = ngx_http_voice_parse_record(record, &b->pos, b->last);

            if (rc == NGX_ERROR) {
                ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                              "upstream sent an invalid FastCGI record");
            }

            if (rc != NGX_OK) {
                return rc;
            }

            if (record->type == NGX_HTTP_VOICE_END_REQUEST) {
                ctx->answer->ended = 1;
                ngx_http_voice_close_peer(ctx, 0);
                return NGX_DONE;
            }

            continue;
        }

        content->data = b->pos;
        content->len = ngx_min(record->content, (size_t) (b->last - b->pos));
        record->content -= content->len;
        b->pos += content->len;

        if (record->type == NGX_HTTP_VOICE_STDOUT) {
            return NGX_OK;
        }

        ngx_http_voice_log_stderr(ctx, content->data, content->len);
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_voice_read_body(ngx_http_voice_ctx_t *ctx)
{
    ssize_t            n;
    ngx_buf_t         *b;
    ngx_connection_t  *pc;

    pc = ctx->request->upstream->peer.connection;
    b = ctx->answer->input;

    if (pc->read->timedout) {
        ngx_log_error(NGX_LOG_ERR, pc->log, NGX_ETIMEDOUT,
                      "upstream timed out");
        return NGX_ERROR;
    }

    b->pos = b->start;
    b->last = b->start;

    n = pc->recv(pc, b->start, b->end - b->start);

    if (n == NGX_AGAIN) {
        if (ngx_handle_read_event(pc->read, 0) != NGX_OK) {
            return NGX_ERROR;
        }

        ngx_add_timer(pc->read, ctx->conf->upstream.read_timeout);
        return NGX_AGAIN;
    }

    if (n == NGX_ERROR || n == 0) {
        ngx_log_error(NGX_LOG_ERR, pc->log, 0,
                      "upstream prematurely closed connection");
        return NGX_ERROR;
    }

    if (pc->read->timer_set) {
        /* the time of a slow client is not the upstream's */
        ngx_del_timer(pc->read);
    }

    b->last += n;
    ctx->request->upstream->state->bytes_received += n;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_output(ngx_http_voice_ctx_t *ctx, ngx_str_t *content)
{
    ngx_buf_t                *b;
    ngx_chain_t               out;
    ngx_http_voice_answer_t  *a;

    a = ctx->answer;

    if (a->left != -1) {

        if ((off_t) content->len > a->left) {
            /* it would be taken for another response */
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "upstream sent more data than announced");
            content->len = (size_t) a->left;
        }

        if (content->len == 0) {
            return NGX_OK;
        }

        a->left -= content->len;
    }

    if (a->busy == NULL) {
        a->busy = ngx_alloc_chain_link(a->pool);
        if (a->busy == NULL) {
            return NGX_ERROR;
        }

        a->busy->next = NULL;
        a->busy->buf = ngx_calloc_buf(a->pool);
        if (a->busy->buf == NULL) {
            return NGX_ERROR;
        }
    }

    b = a->busy->buf;

    b->start = content->data;
    b->pos = content->data;
    b->last = content->data + content->len;
    b->end = b->last;
    b->temporary = 1;
    b->flush = 1;

    out.buf = b;
    out.next = NULL;

    ctx->request->upstream->state->response_length += content->len;

    return ngx_http_output_filter(ctx->request, &out) == NGX_ERROR
           ? NGX_ERROR : NGX_OK;
}


static void
ngx_http_voice_wait_client(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t          *c;
    ngx_http_core_loc_conf_t  *clcf;

    c = ctx->request->connection;
    clcf = ngx_http_get_module_loc_conf(ctx->request, ngx_http_core_module);

    if (!c->write->delayed) {
        ngx_add_timer(c->write, clcf->send_timeout);
    }

    if (ngx_handle_write_event(c->write, clcf->send_lowat) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_ERROR);
    }
}


static void
ngx_http_voice_pass_body_write(ngx_http_request_t *r)
{
    ngx_connection_t      *c;
    ngx_http_voice_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    if (c->write->timedout) {
        ngx_log_error(NGX_LOG_INFO, c->log, NGX_ETIMEDOUT,
                      "client timed out");
        c->timedout = 1;
        ngx_http_voice_finalize(ctx, NGX_ERROR);
        return;
    }

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }

    ngx_http_voice_pass_body(ctx);
}
