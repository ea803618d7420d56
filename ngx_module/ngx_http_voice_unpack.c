/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Client to upstream, for sessions that agreed on compression.  As in
 * ngx_http_voice_up.c, but into another block, since a compressed message
 * grows:
 *
 *   client_input: [head mask payload][head mask payload]...
 *                       | as it is, or inflated
 *   up.block:     [record][head payload][head payload][padding]
 *
 * What inflate() gives is counted before it is passed on, and no more is asked
 * of it than the block holds.
 */


#include "ngx_http_voice_deflate.h"


/* below it the ratio is nobody's harm: silence compresses by a thousand */
#define NGX_HTTP_VOICE_RATIO_FROM  (1024 * 1024)
#define NGX_HTTP_VOICE_RATIO       200

/* calls of inflate(), or headers, a block: some cost much and give nothing */
#define NGX_HTTP_VOICE_STEPS       1024


static u_char *ngx_http_voice_unpack_input(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static u_char *ngx_http_voice_unpack_frame(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static ngx_uint_t ngx_http_voice_has_packed(ngx_http_voice_deflate_t *df);
static u_char *ngx_http_voice_inflate(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *end);
static ngx_int_t ngx_http_voice_inflate_next(ngx_http_voice_ctx_t *ctx,
    u_char *out, size_t size, size_t *given);
static ngx_int_t ngx_http_voice_inflate_done(ngx_http_voice_deflate_t *df,
    int rc);
static void ngx_http_voice_unpack_skip(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_check_unpacked(ngx_http_voice_ctx_t *ctx,
    u_char *data, size_t size, ngx_uint_t fin);
static u_char *ngx_http_voice_unpacked(ngx_http_voice_ctx_t *ctx, u_char *out,
    size_t size, ngx_uint_t fin);


ngx_uint_t
ngx_http_voice_unpack(ngx_http_voice_ctx_t *ctx)
{
    u_char                    *out, *start, *before;
    ngx_uint_t                 moved;
    ngx_http_voice_block_t    *b, *input;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    input = df->client_input;
    before = input->pos;

    b = ngx_http_voice_get_block(ctx->client->log);
    if (b == NULL) {
        ngx_http_voice_fail(ctx, WS_CLOSE_INTERNAL, "out of memory");
        return 1;
    }

    start = b->data + NGX_HTTP_VOICE_FCGI_HEADER;

    out = ngx_http_voice_unpack_input(ctx, start,
                                      b->data + NGX_HTTP_VOICE_BLOCK_SIZE
                                      - NGX_HTTP_VOICE_TAIL);

    moved = input->pos != before || out != start || ctx->closed;

    if (ctx->closed) {
        ngx_http_voice_unpack_end(ctx);

    } else if (input->pos == input->last && !ngx_http_voice_has_packed(df)) {
        df->client_input = NULL;
        ngx_http_voice_put_block(input);

        /* the socket may have more, of which no event tells again */
        moved = 1;
    }

    if (out == start || ctx->up_ended || ctx->peer == NULL) {
        ngx_http_voice_put_block(b);
        return moved;
    }

    ngx_http_voice_up_record(b, out);
    ctx->up.block = b;

    return 1;
}


/* the client is not read any more */

void
ngx_http_voice_unpack_end(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    if (df->client_input) {
        ngx_http_voice_put_block(df->client_input);
        df->client_input = NULL;
    }

    ngx_http_voice_put_inflater(ctx);
}


static u_char *
ngx_http_voice_unpack_input(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *end)
{
    ngx_uint_t                 steps;
    ngx_http_voice_block_t    *input;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    input = df->client_input;
    steps = NGX_HTTP_VOICE_STEPS;

    while (!ctx->closed && steps-- && end - out >= NGX_HTTP_VOICE_ROOM_MIN) {

        if (ngx_http_voice_has_packed(df)) {

            if (ngx_http_voice_get_inflater(ctx) == NULL) {

                if (ctx->up_ended || ctx->need_end) {
                    ngx_http_voice_unpack_skip(ctx);
                    continue;
                }

                break;
            }

            out = ngx_http_voice_inflate(ctx, out, end);

        } else if (input->pos == input->last) {
            break;

        } else if (ctx->up.left == 0) {
            out = ngx_http_voice_up_header(ctx, out, &input->pos,
                                           input->last);

        } else {
            out = ngx_http_voice_unpack_frame(ctx, out, end);
        }
    }

    return out;
}


/* bytes for zlib, its end of a message, or bytes that it still holds */

static ngx_uint_t
ngx_http_voice_has_packed(ngx_http_voice_deflate_t *df)
{
    return df->clear || df->last || df->more;
}


/* nobody would hear it, so it is not worth waiting for a state */

static void
ngx_http_voice_unpack_skip(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    df->client_input->pos += df->clear;
    df->clear = 0;
    df->last = 0;
    df->more = 0;
    df->tail = 0;
    df->inside = 0;

    ngx_http_voice_put_inflater(ctx);
}


/* a frame with data began: whether it is of a compressed message */

ngx_uint_t
ngx_http_voice_unpack_header(ngx_http_voice_ctx_t *ctx)
{
    size_t                     max;
    ngx_http_voice_leg_t      *leg;
    ngx_http_voice_deflate_t  *df;

    leg = &ctx->up;
    df = ctx->deflate;

    if (leg->frame.opcode != WS_CONTINUATION) {
        df->is_packed = (leg->frame.rsv & WS_RSV1) != 0;
        df->opcode = leg->frame.opcode;
        df->packed = 0;
        df->inside = 0;
    }

    if (!df->is_packed) {
        return 0;
    }

    /* what does not compress grows by five bytes in sixteen thousand */

    max = ctx->conf->max_message_size;
    max += max / 1024 + 64;

    if (leg->left > max - df->packed) {
        ngx_http_voice_fail(ctx, WS_CLOSE_TOO_BIG, "message too big");

    } else if (leg->left == 0) {
        df->last = leg->frame.fin;
    }

    return 1;
}


static u_char *
ngx_http_voice_unpack_frame(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *end)
{
    size_t                     size;
    ngx_http_voice_leg_t      *leg;
    ngx_http_voice_block_t    *input;
    ngx_http_voice_deflate_t  *df;

    leg = &ctx->up;
    df = ctx->deflate;
    input = df->client_input;

    size = (size_t) ngx_min(leg->left, (uint64_t) (input->last - input->pos));

    if (leg->frame.message == 0) {
        out = ngx_http_voice_up_control(ctx, out, input->pos, size);
        input->pos += size;

        return out;
    }

    if (!df->is_packed) {
        size = ngx_min(size, (size_t) (end - out) - WS_HEADER_MAX);
        out = ngx_http_voice_up_data(ctx, out, input->pos, size);
        input->pos += size;

        return out;
    }

    ws_unmask(input->pos, input->pos, size, leg->frame.mask);

    leg->left -= size;
    df->clear = size;
    df->packed += size;
    df->last = leg->frame.fin && leg->left == 0;

    return out;
}


/* one call of inflate(), whose output becomes a frame */

static u_char *
ngx_http_voice_inflate(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *end)
{
    size_t                     size;
    ngx_uint_t                 fin;
    ngx_http_voice_deflate_t  *df;

    /* it never needs more: a block is smaller than 64k */
    static const size_t  head = 4;

    df = ctx->deflate;

    if (ngx_http_voice_feed(df->inflater) != NGX_OK) {
        ngx_http_voice_fail(ctx, WS_CLOSE_POLICY,
                            "compressed message took too long");
        return out;
    }

    if (ngx_http_voice_inflate_next(ctx, out + head, end - out - head, &size)
        != NGX_OK)
    {
        ngx_http_voice_fail(ctx, WS_CLOSE_BAD_PAYLOAD,
                            "invalid compressed data");
        return out;
    }

    fin = df->last && df->clear == 0 && !df->more
          && df->tail == NGX_HTTP_VOICE_FLUSH;

    if (ngx_http_voice_check_unpacked(ctx, out + head, size, fin) != NGX_OK) {
        return out;
    }

    if (size || fin) {
        out = ngx_http_voice_unpacked(ctx, out, size, fin);
    }

    if (fin) {
        df->last = 0;
        df->tail = 0;
        df->is_packed = 0;

        if (!df->client_takeover) {
            ngx_http_voice_put_inflater(ctx);
        }
    }

    return out;
}


/* feeds the payload, and behind the last of it what RFC 7692, 7.2.2 adds */

static ngx_int_t
ngx_http_voice_inflate_next(ngx_http_voice_ctx_t *ctx, u_char *out,
    size_t size, size_t *given)
{
    int                        rc;
    size_t                     used;
    z_stream                  *z;
    ngx_http_voice_deflate_t  *df;

    static u_char  tail[NGX_HTTP_VOICE_FLUSH] = { 0x00, 0x00, 0xff, 0xff };

    df = ctx->deflate;
    z = &df->inflater->stream;

    if (df->clear) {
        z->next_in = df->client_input->pos;
        z->avail_in = (uInt) df->clear;
        df->inside = 1;

    } else if (df->last && !df->inside && !df->more) {

        /* nothing since the start, or a final block: no flush to complete */

        df->tail = NGX_HTTP_VOICE_FLUSH;
        *given = 0;

        return NGX_OK;

    } else {
        z->next_in = tail + df->tail;
        z->avail_in = df->last ? (uInt) (NGX_HTTP_VOICE_FLUSH - df->tail) : 0;
    }

    used = z->avail_in;
    z->next_out = out;
    z->avail_out = (uInt) size;

    rc = inflate(z, Z_SYNC_FLUSH);

    used -= z->avail_in;
    *given = size - z->avail_out;
    df->more = z->avail_out == 0;

    if (df->clear) {
        df->client_input->pos += used;
        df->clear -= used;
        df->up_in += used;

    } else {
        df->tail += (u_char) used;
    }

    df->up_out += *given;

    return ngx_http_voice_inflate_done(df, rc);
}


static ngx_int_t
ngx_http_voice_inflate_done(ngx_http_voice_deflate_t *df, int rc)
{
    z_stream  *z;

    z = &df->inflater->stream;

    switch (rc) {

    case Z_OK:
    case Z_BUF_ERROR:

        /*
         * At the end of a message zlib is between two blocks, and at the
         * border of a byte; else the message was cut.
         */

        return df->tail < NGX_HTTP_VOICE_FLUSH || df->more
               || ((z->data_type & 128) && (z->data_type & 63) == 0)
               ? NGX_OK : NGX_ERROR;

    case Z_STREAM_END:

        if (df->tail) {
            return NGX_ERROR;
        }

        /*
         * A final block; the next one may still look back (RFC 7692,
         * 7.2.3.4), so the window stays.
         */

        (void) inflateResetKeep(z);

        df->more = 0;
        df->inside = 0;

        return NGX_OK;

    default: /* Z_DATA_ERROR, Z_NEED_DICT, Z_MEM_ERROR */
        return NGX_ERROR;
    }
}


static ngx_int_t
ngx_http_voice_check_unpacked(ngx_http_voice_ctx_t *ctx, u_char *data,
    size_t size, ngx_uint_t fin)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    if (size > ctx->conf->max_message_size - ctx->message) {
        ngx_http_voice_fail(ctx, WS_CLOSE_TOO_BIG, "message too big");
        return NGX_ERROR;
    }

    ctx->message += size;

    if (ctx->message > NGX_HTTP_VOICE_RATIO_FROM
        && ctx->message / NGX_HTTP_VOICE_RATIO > df->packed)
    {
        ngx_http_voice_fail(ctx, WS_CLOSE_TOO_BIG,
                            "message compressed too well");
        return NGX_ERROR;
    }

    if (ctx->up.frame.message == WS_TEXT
        && (!ws_utf8_push(&ctx->utf8, data, size)
            || (fin && !ws_utf8_is_complete(&ctx->utf8))))
    {
        ngx_http_voice_fail(ctx, WS_CLOSE_BAD_PAYLOAD, "text is not UTF-8");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the payload is there, four bytes behind out */

static u_char *
ngx_http_voice_unpacked(ngx_http_voice_ctx_t *ctx, u_char *out, size_t size,
    ngx_uint_t fin)
{
    u_char                    *p;
    struct ws_frame            frame;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    if (ctx->up_ended || ctx->need_end) {
        return out;
    }

    ngx_memzero(&frame, sizeof(struct ws_frame));

    frame.payload_bytes = size;
    frame.opcode = df->opcode;
    frame.fin = fin;

    p = out + ws_frame_encode(out, &frame);

    if (p != out + 4) {
        ngx_memmove(p, out + 4, size);
    }

    df->opcode = WS_CONTINUATION;
    ctx->up.bytes += size;
    ngx_http_voice_count_data(up, size, fin);

    if (fin) {
        ngx_http_voice_count_deflate(up, df->packed, ctx->message, 1);
        ctx->up.messages++;
        ctx->active = ngx_current_msec;
    }

    return p + size;
}
