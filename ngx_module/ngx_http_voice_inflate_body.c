/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   core's read filter        this filter                 core's save filter
 *
 *   raw buffer ──► body_inflate ──► buffer of ours ──► rb->bufs ─┐
 *   (16k or less)                     ▲  (full or last)          │ all in use
 *                                     └──── free ◄── temp file ◄─┘
 *
 * Core calls with each raw buffer, and with none to have buffers recycled.
 * A refusal is the status returned: core turns it into the response, while
 * NGX_ERROR would leave the request hanging.  The body is buffered, in memory
 * up to client_body_buffer_size and else in a temporary file, also where the
 * handler asked for an unbuffered one: its length is known at its end, and a
 * handler gets no byte of a body that turns out to be bad.
 */


#include "ngx_http_voice_inflate.h"


#define NGX_HTTP_VOICE_INFLATE_MIN_BUFFER  4096
#define NGX_HTTP_VOICE_INFLATE_MAX_BUFFER  32768


static ngx_int_t ngx_http_voice_inflate_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_voice_inflate_start(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx);
static void ngx_http_voice_inflate_set_buffers(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx);
static ngx_int_t ngx_http_voice_inflate_chain(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_chain_t *in);
static ngx_int_t ngx_http_voice_inflate_push(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_buf_t *in);
static ngx_int_t ngx_http_voice_inflate_status(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, enum body_result result);
static ngx_int_t ngx_http_voice_inflate_get_buf(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx);
static ngx_int_t ngx_http_voice_inflate_spill(ngx_http_request_t *r);
static ngx_temp_file_t *ngx_http_voice_inflate_temp_file(
    ngx_http_request_t *r);
static ngx_int_t ngx_http_voice_inflate_pass(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx);
static ngx_int_t ngx_http_voice_inflate_finish(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx);
static ngx_int_t ngx_http_voice_inflate_refuse(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_int_t rc);
static void *ngx_http_voice_inflate_alloc(void *data, size_t size);
static void ngx_http_voice_inflate_free(void *data, void *p);


static ngx_http_request_body_filter_pt  ngx_http_next_request_body_filter;


ngx_int_t
ngx_http_voice_inflate_filter_init(ngx_conf_t *cf)
{
    ngx_http_next_request_body_filter = ngx_http_top_request_body_filter;
    ngx_http_top_request_body_filter = ngx_http_voice_inflate_filter;

    return NGX_OK;
}


static ngx_int_t
ngx_http_voice_inflate_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_int_t                           rc;
    ngx_http_voice_inflate_ctx_t       *ctx;
    ngx_http_voice_inflate_loc_conf_t  *ilcf;

    ctx = ngx_http_voice_inflate_get_ctx(r);

    if (ctx == NULL) {
        ilcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_inflate_module);

        if (!ilcf->enable) {
            return ngx_http_next_request_body_filter(r, in);
        }

        ctx = ngx_http_voice_inflate_create_ctx(r);
        if (ctx == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        rc = ngx_http_voice_inflate_start(r, ctx);

        if (rc != NGX_OK) {
            return ngx_http_voice_inflate_refuse(r, ctx, rc);
        }
    }

    switch (ctx->state) {

    case ngx_http_voice_inflate_st_read:
        break;

    case ngx_http_voice_inflate_st_refused:
        return ctx->status;

    default: /* pass, done */
        return ngx_http_next_request_body_filter(r, in);
    }

    rc = ngx_http_voice_inflate_chain(r, ctx, in);

    if (rc >= NGX_HTTP_SPECIAL_RESPONSE) {
        return ngx_http_voice_inflate_refuse(r, ctx, rc);
    }

    return rc;
}


static ngx_int_t
ngx_http_voice_inflate_start(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx)
{
    struct body_inflate_config          config;
    ngx_http_core_loc_conf_t           *clcf;
    ngx_http_voice_inflate_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_voice_inflate_module);
    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    ngx_memzero(&config, sizeof(struct body_inflate_config));

    config.coding = ngx_http_voice_inflate_coding(r);

    if (config.coding == BODY_IDENTITY) {
        ctx->state = ngx_http_voice_inflate_st_pass;
        return NGX_OK;
    }

    if (config.coding == BODY_UNKNOWN) {
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "client sent body with unsupported content coding");
        return NGX_HTTP_UNSUPPORTED_MEDIA_TYPE;
    }

    config.bytes_max = ilcf->max_size == NGX_CONF_UNSET
                       ? clcf->client_max_body_size : ilcf->max_size;
    config.ratio_max = ilcf->max_ratio;
    config.alloc = ngx_http_voice_inflate_alloc;
    config.release = ngx_http_voice_inflate_free;
    config.arg = r->pool;

    if (body_inflate_create(&ctx->inflate, &config) != BODY_NEED_INPUT) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_voice_inflate_set_buffers(r, ctx);

    ctx->state = ngx_http_voice_inflate_st_read;

    r->request_body_no_buffering = 0;

    return NGX_OK;
}


static void
ngx_http_voice_inflate_set_buffers(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx)
{
    size_t                     size;
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    size = ngx_max(clcf->client_body_buffer_size,
                   NGX_HTTP_VOICE_INFLATE_MIN_BUFFER);

    ctx->size = r->request_body_in_single_buf
                ? size : ngx_min(size, NGX_HTTP_VOICE_INFLATE_MAX_BUFFER);
    ctx->max_buffers = size / ctx->size;
}


static ngx_int_t
ngx_http_voice_inflate_chain(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_chain_t *in)
{
    ngx_int_t     rc;
    ngx_uint_t    last;
    ngx_chain_t  *cl, *out;

    if (in == NULL) {
        rc = ngx_http_next_request_body_filter(r, NULL);

        out = NULL;
        ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                          (ngx_buf_tag_t) &ngx_http_voice_inflate_module);

        return rc;
    }

    for (cl = in; cl; cl = cl->next) {

        last = cl->buf->last_buf;

        rc = ngx_http_voice_inflate_push(r, ctx, cl->buf);

        if (rc == NGX_OK && last) {
            rc = ngx_http_voice_inflate_finish(r, ctx);
        }

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return NGX_OK;
}


/* takes the whole of a raw buffer */

static ngx_int_t
ngx_http_voice_inflate_push(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_buf_t *in)
{
    ngx_int_t          rc;
    ngx_buf_t         *out;
    struct body_span   span;
    enum body_result   result;

    if (!ngx_buf_in_memory(in)) {

        if (ngx_buf_special(in)) {
            return NGX_OK;
        }

        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "raw request body is not in memory");
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    span.in = in->pos;
    span.in_bytes = in->last - in->pos;

    in->pos = in->last;

    for ( ;; ) {

        if (ctx->out == NULL && ngx_http_voice_inflate_get_buf(r, ctx)
                                != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        out = ctx->out;

        span.out = out->last;
        span.room = out->end - out->last;

        result = body_inflate_push(ctx->inflate, &span);

        out->last = span.out;

        if (result == BODY_NEED_INPUT) {
            return NGX_OK;
        }

        if (result != BODY_NEED_ROOM) {
            return ngx_http_voice_inflate_status(r, ctx, result);
        }

        rc = ngx_http_voice_inflate_pass(r, ctx);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_http_voice_inflate_status(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, enum body_result result)
{
    ngx_int_t   rc;
    ngx_uint_t  level;

    level = NGX_LOG_INFO;

    if (result == BODY_CORRUPT) {
        rc = NGX_HTTP_BAD_REQUEST;

    } else if (result == BODY_TOO_LARGE) {
        rc = NGX_HTTP_REQUEST_ENTITY_TOO_LARGE;

    } else {
        rc = NGX_HTTP_INTERNAL_SERVER_ERROR;
        level = NGX_LOG_ERR;
    }

    ngx_log_error(level, r->connection->log, 0,
                  "client sent body that can't be inflated: %s, "
                  "%uL bytes made of %uL",
                  body_inflate_problem(ctx->inflate),
                  body_inflate_made(ctx->inflate),
                  body_inflate_received(ctx->inflate));

    return rc;
}


static ngx_int_t
ngx_http_voice_inflate_get_buf(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx)
{
    ngx_buf_t    *b;
    ngx_chain_t  *cl, *out;

    if (ctx->free == NULL && ctx->buffers >= ctx->max_buffers) {

        if (ngx_http_voice_inflate_spill(r) != NGX_OK) {
            return NGX_ERROR;
        }

        out = NULL;
        ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                          (ngx_buf_tag_t) &ngx_http_voice_inflate_module);
    }

    cl = ctx->free;

    if (cl) {
        ctx->free = cl->next;
        ctx->out = cl->buf;

        ngx_free_chain(r->pool, cl);

        return NGX_OK;
    }

    /* also when a filter behind this one keeps all buffers to itself */

    b = ngx_create_temp_buf(r->pool, ctx->size);
    if (b == NULL) {
        return NGX_ERROR;
    }

    b->tag = (ngx_buf_tag_t) &ngx_http_voice_inflate_module;

    ctx->out = b;
    ctx->buffers++;

    return NGX_OK;
}


/*
 * Writes what the save filter holds in memory to the body's temporary file.
 * The save filter does so itself only when core's raw buffer is full, which
 * says little of what came out of it; it goes on behind what is written here.
 */

static ngx_int_t
ngx_http_voice_inflate_spill(ngx_http_request_t *r)
{
    ssize_t                   n;
    ngx_chain_t              *cl, *next;
    ngx_temp_file_t          *tf;
    ngx_http_request_body_t  *rb;

    rb = r->request_body;

    if (rb->bufs == NULL) {
        return NGX_OK;
    }

    tf = ngx_http_voice_inflate_temp_file(r);
    if (tf == NULL) {
        return NGX_ERROR;
    }

    n = ngx_write_chain_to_temp_file(tf, rb->bufs);
    if (n == NGX_ERROR) {
        return NGX_ERROR;
    }

    tf->offset += n;

    for (cl = rb->bufs; cl; cl = next) {
        next = cl->next;

        cl->buf->pos = cl->buf->last;
        ngx_free_chain(r->pool, cl);
    }

    rb->bufs = NULL;

    return NGX_OK;
}


static ngx_temp_file_t *
ngx_http_voice_inflate_temp_file(ngx_http_request_t *r)
{
    ngx_temp_file_t           *tf;
    ngx_http_core_loc_conf_t  *clcf;

    tf = r->request_body->temp_file;

    if (tf) {
        return tf;
    }

    tf = ngx_pcalloc(r->pool, sizeof(ngx_temp_file_t));
    if (tf == NULL) {
        return NULL;
    }

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    tf->file.fd = NGX_INVALID_FILE;
    tf->file.log = r->connection->log;
    tf->path = clcf->client_body_temp_path;
    tf->pool = r->pool;
    tf->warn = "an inflated request body is buffered to a temporary file";
    tf->log_level = r->request_body_file_log_level;
    tf->persistent = r->request_body_in_persistent_file;
    tf->clean = r->request_body_in_clean_file;

    if (r->request_body_file_group_access) {
        tf->access = 0660;
    }

    r->request_body->temp_file = tf;

    return tf;
}


/* gives the buffer being filled to the next filter */

static ngx_int_t
ngx_http_voice_inflate_pass(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx)
{
    ngx_int_t     rc;
    ngx_chain_t  *out;

    out = ngx_alloc_chain_link(r->pool);
    if (out == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    out->buf = ctx->out;
    out->next = NULL;

    ctx->out = NULL;

    rc = ngx_http_next_request_body_filter(r, out);

    ngx_chain_update_chains(r->pool, &ctx->free, &ctx->busy, &out,
                            (ngx_buf_tag_t) &ngx_http_voice_inflate_module);

    if (rc != NGX_OK && rc < NGX_HTTP_SPECIAL_RESPONSE) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return rc;
}


static ngx_int_t
ngx_http_voice_inflate_finish(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx)
{
    off_t             length;
    enum body_result  result;

    result = body_inflate_finish(ctx->inflate);

    if (result != BODY_NEED_INPUT) {
        return ngx_http_voice_inflate_status(r, ctx, result);
    }

    length = body_inflate_made(ctx->inflate);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http voice inflate: %O of %uL",
                   length, body_inflate_received(ctx->inflate));

    body_inflate_destroy(ctx->inflate);
    ctx->inflate = NULL;

    if (ctx->out == NULL || ctx->out->last == ctx->out->pos) {

        /* no bytes are left to carry the mark */

        ctx->out = ngx_calloc_buf(r->pool);
        if (ctx->out == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    ctx->out->last_buf = 1;

    if (ngx_http_voice_inflate_rewrite(r, length) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->state = ngx_http_voice_inflate_st_done;

    return ngx_http_voice_inflate_pass(r, ctx);
}


/*
 * The rest of the body is not wanted.  Over HTTP/1 a connection is in step
 * only if nothing more of the body is to come and nothing of a next request
 * was read along with it; else it is closed, lingering, so that the response
 * is not lost to a reset while the client is still sending.
 */

static ngx_int_t
ngx_http_voice_inflate_refuse(ngx_http_request_t *r,
    ngx_http_voice_inflate_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_body_t  *rb;

    rb = r->request_body;

    ctx->state = ngx_http_voice_inflate_st_refused;
    ctx->status = rc;

    body_inflate_destroy(ctx->inflate);
    ctx->inflate = NULL;

    ngx_http_voice_inflate_drop(r);

    if (r->http_version >= NGX_HTTP_VERSION_20) {
        return rc;
    }

    r->read_event_handler = ngx_http_block_reading;

    if (rb->rest == 0 && (rb->buf == NULL || rb->buf->pos == rb->buf->last)) {
        return rc;
    }

    /* core takes this for a body that it has not read to the end: it is */

    r->keepalive = 0;
    r->reading_body = 1;

    return rc;
}


static void *
ngx_http_voice_inflate_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


static void
ngx_http_voice_inflate_free(void *data, void *p)
{
    /* all of it but small change is given back at once */

    (void) ngx_pfree(data, p);
}
