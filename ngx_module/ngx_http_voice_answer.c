/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The header of the upstream's answer: STDOUT records up to a blank line.
 *
 *   socket -> input -> records -> header -> status and headers for the client
 *
 * What stands behind the blank line stays in the input buffer: the first
 * frames of a session, or the first bytes of a body.
 */


#include "ngx_http_voice.h"


static ngx_int_t ngx_http_voice_init_answer(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_take_records(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_take_content(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_header_ends(ngx_buf_t *b);
static ngx_int_t ngx_http_voice_parse_header(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_parse_status(ngx_http_voice_ctx_t *ctx,
    ngx_str_t *value);
static ngx_int_t ngx_http_voice_add_header(ngx_http_voice_ctx_t *ctx,
    ngx_http_request_t *r);
static void ngx_http_voice_answered(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_check_upgrade(ngx_http_voice_ctx_t *ctx);
static ngx_uint_t ngx_http_voice_retry(ngx_http_voice_ctx_t *ctx);


void
ngx_http_voice_read_answer(ngx_http_voice_ctx_t *ctx)
{
    ssize_t               n;
    ngx_int_t             rc;
    ngx_buf_t            *b;
    ngx_connection_t     *pc;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    pc = u->peer.connection;

    if (ngx_http_voice_init_answer(ctx) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    b = ctx->answer->input;

    for ( ;; ) {

        b->pos = b->start;
        b->last = b->start;

        n = pc->recv(pc, b->start, b->end - b->start);

        if (n == NGX_AGAIN) {
            if (ngx_handle_read_event(pc->read, 0) != NGX_OK) {
                ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
            }

            return;
        }

        if (n == 0) {
            ngx_log_error(NGX_LOG_ERR, pc->log, 0,
                          "upstream prematurely closed connection");
        }

        if (n == NGX_ERROR || n == 0) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_ERROR);
            return;
        }

        b->last += n;
        u->state->bytes_received += n;

        rc = ngx_http_voice_take_records(ctx);

        if (rc == NGX_ERROR) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER);
            return;
        }

        if (rc == NGX_OK) {
            break;
        }
    }

    if (ngx_http_voice_parse_header(ctx) != NGX_OK) {
        ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER);
        return;
    }

    ngx_http_voice_answered(ctx);
}


/* once per peer: what another one said is forgotten */

static ngx_int_t
ngx_http_voice_init_answer(ngx_http_voice_ctx_t *ctx)
{
    size_t                    size;
    ngx_http_voice_answer_t  *a;

    a = ctx->answer;

    if (a->input && a->input->tag == (ngx_buf_tag_t)
                                     ctx->request->upstream->state)
    {
        return NGX_OK;
    }

    size = ctx->conf->upstream.buffer_size;

    if (a->input == NULL) {
        a->input = ngx_create_temp_buf(a->pool, size);
        a->header = ngx_create_temp_buf(a->pool, size);

        if (a->input == NULL || a->header == NULL) {
            return NGX_ERROR;
        }
    }

    a->headers = ngx_list_create(a->pool, 8, sizeof(ngx_table_elt_t));
    if (a->headers == NULL) {
        return NGX_ERROR;
    }

    a->input->tag = (ngx_buf_tag_t) ctx->request->upstream->state;
    a->header->pos = a->header->start;
    a->header->last = a->header->start;
    a->status = 0;

    /* the parser of header lines keeps its place in the request */

    ctx->request->state = 0;

    ngx_memzero(&ctx->record, sizeof(ngx_http_voice_record_t));

    return NGX_OK;
}


/* NGX_OK: the header is complete */

static ngx_int_t
ngx_http_voice_take_records(ngx_http_voice_ctx_t *ctx)
{
    size_t                    n;
    ngx_int_t                 rc;
    ngx_buf_t                *b;
    ngx_http_voice_record_t  *record;

    b = ctx->answer->input;
    record = &ctx->record;

    while (b->pos < b->last) {

        if (record->content == 0) {
            rc = ngx_http_voice_parse_record(record, &b->pos, b->last);

            if (rc == NGX_AGAIN) {
                return NGX_AGAIN;
            }

            if (rc == NGX_ERROR) {
                ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                              "upstream sent an invalid FastCGI record");
                return NGX_ERROR;
            }

            if (record->type == NGX_HTTP_VOICE_END_REQUEST) {
                ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                              "upstream ended the request before its header");
                return NGX_ERROR;
            }

            continue;
        }

        if (record->type == NGX_HTTP_VOICE_STDOUT) {
            rc = ngx_http_voice_take_content(ctx);

            if (rc != NGX_AGAIN) {
                return rc;
            }

            continue;
        }

        n = ngx_min(record->content, (size_t) (b->last - b->pos));
        ngx_http_voice_log_stderr(ctx, b->pos, n);
        record->content -= n;
        b->pos += n;
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_http_voice_take_content(ngx_http_voice_ctx_t *ctx)
{
    ngx_buf_t                *b, *h;
    ngx_http_voice_record_t  *record;

    b = ctx->answer->input;
    h = ctx->answer->header;
    record = &ctx->record;

    while (record->content && b->pos < b->last) {

        if (h->last == h->end) {
            ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                          "upstream sent too big header");
            return NGX_ERROR;
        }

        *h->last++ = *b->pos++;
        record->content--;

        if (ngx_http_voice_header_ends(h)) {
            return NGX_OK;
        }
    }

    return NGX_AGAIN;
}


static ngx_uint_t
ngx_http_voice_header_ends(ngx_buf_t *b)
{
    size_t   len;
    u_char  *p;

    p = b->last;
    len = p - b->start;

    if (len == 0 || p[-1] != LF) {
        return 0;
    }

    if (len == 1 || p[-2] == LF) {
        return 1;
    }

    return p[-2] == CR && (len == 2 || p[-3] == LF);
}


static ngx_int_t
ngx_http_voice_parse_header(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t           rc;
    ngx_http_request_t *r;

    r = ctx->request;

    for ( ;; ) {

        rc = ngx_http_parse_header_line(r, ctx->answer->header, 1);

        if (rc == NGX_HTTP_PARSE_HEADER_DONE) {
            break;
        }

        if (rc != NGX_OK || ngx_http_voice_add_header(ctx, r) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "upstream sent invalid header");
            return NGX_ERROR;
        }
    }

    if (ctx->answer->status == 0) {
        ctx->answer->status = NGX_HTTP_OK;
        ngx_str_set(&ctx->answer->status_line, "200 OK");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_add_header(ngx_http_voice_ctx_t *ctx, ngx_http_request_t *r)
{
    ngx_str_t         key, value;
    ngx_table_elt_t  *h;

    key.len = r->header_name_end - r->header_name_start;
    key.data = r->header_name_start;
    value.len = r->header_end - r->header_start;
    value.data = r->header_start;

    if (key.len == 6
        && ngx_strncasecmp(key.data, (u_char *) "Status", 6) == 0)
    {
        return ngx_http_voice_parse_status(ctx, &value);
    }

    h = ngx_list_push(ctx->answer->headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key = key;
    h->value = value;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_parse_status(ngx_http_voice_ctx_t *ctx, ngx_str_t *value)
{
    ngx_int_t  status;

    if (value->len < 3 || (value->len > 3 && value->data[3] != ' ')) {
        return NGX_ERROR;
    }

    status = ngx_atoi(value->data, 3);

    if (status == NGX_ERROR || status < 101 || status > 599
        || (status < 200 && status != NGX_HTTP_SWITCHING_PROTOCOLS))
    {
        return NGX_ERROR;
    }

    ctx->answer->status = status;

    if (value->len > 4) {
        ctx->answer->status_line = *value;

    } else {
        ngx_str_null(&ctx->answer->status_line);
    }

    return NGX_OK;
}


static void
ngx_http_voice_answered(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t     *pc;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    pc = u->peer.connection;

    if (ngx_http_voice_retry(ctx)) {
        return;
    }

    u->state->status = ctx->answer->status;
    u->state->header_time = ngx_current_msec - u->start_time;

    if (pc->read->timer_set) {
        ngx_del_timer(pc->read);
    }

    if (ctx->answer->status != NGX_HTTP_SWITCHING_PROTOCOLS) {
        ngx_http_voice_send_response(ctx);
        return;
    }

    if (ngx_http_voice_check_upgrade(ctx) != NGX_OK) {
        ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_INVALID_HEADER);
        return;
    }

    ctx->phase = ngx_http_voice_upgrade;

    if (ngx_http_voice_send_upgrade(ctx) == NGX_ERROR) {
        ngx_http_voice_finalize(ctx, NGX_ERROR);
        return;
    }

    ngx_http_voice_open_relay(ctx);
}


static ngx_uint_t
ngx_http_voice_retry(ngx_http_voice_ctx_t *ctx)
{
    ngx_uint_t            i;
    ngx_http_upstream_t  *u;

    static struct {
        ngx_uint_t   status;
        ngx_uint_t   mask;
    } *f, failures[] = {
        { 500, NGX_HTTP_UPSTREAM_FT_HTTP_500 },
        { 503, NGX_HTTP_UPSTREAM_FT_HTTP_503 },
        { 429, NGX_HTTP_UPSTREAM_FT_HTTP_429 },
        { 0, 0 }
    };

    u = ctx->request->upstream;

    for (i = 0; failures[i].status; i++) {
        f = &failures[i];

        /* tries counts the peers that are left besides this one */

        if (ctx->answer->status == f->status
            && (u->conf->next_upstream & f->mask)
            && u->peer.tries > 1)
        {
            ngx_http_voice_next(ctx, f->mask);
            return 1;
        }
    }

    return 0;
}


/*
 * Of the headers, those that a client may see in a 101 are kept: X-* and the
 * subprotocol, which must be one that it offered.
 */

static ngx_int_t
ngx_http_voice_check_upgrade(ngx_http_voice_ctx_t *ctx)
{
    ngx_list_t       *kept;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    kept = ngx_list_create(ctx->answer->pool, 4, sizeof(ngx_table_elt_t));
    if (kept == NULL) {
        return NGX_ERROR;
    }

    part = &ctx->answer->headers->part;
    h = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                break;
            }

            part = part->next;
            h = part->elts;
            i = 0;
        }

        if (h[i].key.len == 22
            && ngx_strncasecmp(h[i].key.data,
                               (u_char *) "Sec-WebSocket-Protocol", 22) == 0)
        {
            if (!ngx_http_voice_offers(ctx->request, "sec-websocket-protocol",
                                       h[i].value.data, h[i].value.len))
            {
                ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                              "upstream chose a subprotocol "
                              "that the client did not offer");
                return NGX_ERROR;
            }

        } else if (h[i].key.len < 3
                   || ngx_strncasecmp(h[i].key.data, (u_char *) "X-", 2) != 0
                   || (h[i].key.len > 8
                       && ngx_strncasecmp(h[i].key.data,
                                          (u_char *) "X-Accel-", 8) == 0))
        {
            continue;
        }

        copy = ngx_list_push(kept);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        *copy = h[i];
    }

    ctx->answer->headers = kept;

    return NGX_OK;
}
