/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Client to upstream: masked frames become, in place, STDIN records of frames
 * without mask.
 *
 *   read:     [16 free........][head mask payload][head mask payload]...
 *   written:  [record][head payload][head payload][padding]
 *
 * What is written never overtakes what is read: an unmasked header is four
 * bytes shorter, and a frame that began in an earlier block finds room for
 * its new header in front.  Whatever a block holds of a frame leaves as a
 * frame of its own, so between two blocks the upstream is always at the
 * border of a frame, and a message needs no memory of its size.
 */


#include "ngx_http_voice_deflate.h"


static void ngx_http_voice_client_closed(ngx_http_voice_ctx_t *ctx);
static u_char *ngx_http_voice_up_rtt(ngx_http_voice_ctx_t *ctx, u_char *out);


void
ngx_http_voice_up(ngx_http_voice_ctx_t *ctx, ngx_http_voice_block_t *b)
{
    size_t                 size;
    u_char                *in, *last, *out, *start;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;
    in = b->pos;
    last = b->last;
    start = b->data + NGX_HTTP_VOICE_FCGI_HEADER;
    out = start;

    while (in < last && !ctx->closed) {

        if (leg->left == 0) {
            out = ngx_http_voice_up_header(ctx, out, &in, last);
            continue;
        }

        size = (size_t) ngx_min(leg->left, (uint64_t) (last - in));

        if (leg->frame.message) {
            out = ngx_http_voice_up_data(ctx, out, in, size);

        } else {
            out = ngx_http_voice_up_control(ctx, out, in, size);
        }

        in += size;
    }

    b->pos = b->data;
    b->last = b->data;

    /* after our own Close only the client's is of interest */

    if (out == start || ctx->up_ended) {
        return;
    }

    ngx_http_voice_up_record(b, out);
}


/* bytes of the client that were read and have not been passed on */

ngx_uint_t
ngx_http_voice_has_input(ngx_http_voice_ctx_t *ctx)
{
    return ctx->early || (ctx->deflate && ctx->deflate->client_input);
}


/* what was written behind the place of its header, up to out, is a record */

void
ngx_http_voice_up_record(ngx_http_voice_block_t *b, u_char *out)
{
    size_t  size, padding;

    size = out - b->data - NGX_HTTP_VOICE_FCGI_HEADER;
    padding = (8 - size % 8) % 8;

    ngx_memzero(out, padding);
    ngx_http_voice_put_record(b->data, NGX_HTTP_VOICE_STDIN, size, padding);

    b->pos = b->data;
    b->last = out + padding;
}


u_char *
ngx_http_voice_up_header(ngx_http_voice_ctx_t *ctx, u_char *out, u_char **pos,
    u_char *last)
{
    int                    rc;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;

    rc = ws_decoder_push(&leg->decoder, *pos, last - *pos, &leg->frame);

    if (rc < 0) {
        ngx_http_voice_fail(ctx, -rc, "protocol error");
        return out;
    }

    if (rc == 0) {
        *pos = last;
        return out;
    }

    *pos += rc;
    leg->left = leg->frame.payload_bytes;

    if (leg->frame.message == 0) {
        leg->control_len = 0;
        return leg->left ? out
                         : ngx_http_voice_up_control(ctx, out, *pos, 0);
    }

    if (leg->frame.opcode != WS_CONTINUATION) {
        ctx->message = 0;
        ws_utf8_init(&ctx->utf8);
    }

    if (ctx->deflate && ngx_http_voice_unpack_header(ctx)) {
        /* counted when it is inflated */
        return out;
    }

    if (leg->left > ctx->conf->max_message_size - ctx->message) {
        ngx_http_voice_fail(ctx, WS_CLOSE_TOO_BIG, "message too big");
        return out;
    }

    ctx->message += (size_t) leg->left;

    return leg->left ? out : ngx_http_voice_up_data(ctx, out, *pos, 0);
}


u_char *
ngx_http_voice_up_data(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *in,
    size_t size)
{
    u_char                *end;
    ngx_uint_t             fin;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;
    fin = leg->frame.fin && size == leg->left;

    end = ngx_http_voice_fragment(leg, out, in, size);

    if (leg->frame.message == WS_TEXT
        && (!ws_utf8_push(&ctx->utf8, end - size, size)
            || (fin && !ws_utf8_is_complete(&ctx->utf8))))
    {
        ngx_http_voice_fail(ctx, WS_CLOSE_BAD_PAYLOAD, "text is not UTF-8");
        return out;
    }

    if (ctx->up_ended || ctx->need_end) {
        return out;
    }

    leg->bytes += size;
    ngx_http_voice_count_data(up, size, fin);

    if (fin) {
        leg->messages++;
        ctx->active = ngx_current_msec;
    }

    return end;
}


/* the next size bytes of a frame, as a frame */

u_char *
ngx_http_voice_fragment(ngx_http_voice_leg_t *leg, u_char *out, u_char *in,
    size_t size)
{
    struct ws_frame  frame;

    frame.payload_bytes = size;
    frame.opcode = leg->frame.opcode;
    frame.rsv = 0;
    frame.fin = leg->frame.fin && size == leg->left;
    frame.masked = 0;

    out += ws_frame_encode(out, &frame);

    if (leg->frame.masked) {
        ws_unmask(out, in, size, leg->frame.mask);

    } else if (out != in) {
        ngx_memmove(out, in, size);
    }

    leg->left -= size;
    leg->frame.opcode = WS_CONTINUATION;

    return out + size;
}


u_char *
ngx_http_voice_up_control(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *in,
    size_t size)
{
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;

    ws_unmask(leg->control + leg->control_len, in, size, leg->frame.mask);

    leg->control_len += (u_char) size;
    leg->left -= size;

    if (leg->left) {
        return out;
    }

    switch (leg->frame.opcode) {

    case WS_PING:

        ngx_http_voice_pong(ctx, leg->control, leg->control_len);
        return out;

    case WS_PONG:
        return ngx_http_voice_up_rtt(ctx, out);

    default: /* WS_CLOSE */
        ngx_http_voice_client_closed(ctx);
        return out;
    }
}


static void
ngx_http_voice_client_closed(ngx_http_voice_ctx_t *ctx)
{
    int                    rc;
    uint16_t               code;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;

    rc = ws_close_decode(leg->control, leg->control_len, &code);

    if (rc < 0) {
        ngx_http_voice_fail(ctx, -rc, "invalid close frame");
        return;
    }

    ctx->closed = 1;
    ctx->confirmed = 1;

    ngx_http_voice_set_close(ctx, code, leg->control + 2,
                             leg->control_len > 2 ? leg->control_len - 2 : 0);
}


/* the answer to our ping goes on as the time that it took */

static u_char *
ngx_http_voice_up_rtt(ngx_http_voice_ctx_t *ctx, u_char *out)
{
    uint64_t               rtt;
    struct ws_frame        frame;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->up;

    if (!ctx->ping_sent || leg->control_len != NGX_HTTP_VOICE_PING_SIZE
        || ngx_memcmp(leg->control, &ctx->ping, NGX_HTTP_VOICE_PING_SIZE) != 0)
    {
        return out;
    }

    rtt = ngx_http_voice_time() - ctx->ping_time;

    ctx->rtt = rtt > 0xffffffff ? 0xffffffff : (uint32_t) rtt;
    ctx->ping_sent = 0;
    ctx->measured = 1;
    ngx_http_voice_count_rtt(rtt);

    if (ctx->phase == ngx_http_voice_open) {
        /* voice_ping_timeout no more, the interval may be the shorter */
        ngx_http_voice_set_timer(ctx);
    }

    ngx_memzero(&frame, sizeof(struct ws_frame));

    frame.payload_bytes = 4;
    frame.opcode = WS_PONG;
    frame.fin = 1;

    out += ws_frame_encode(out, &frame);

    *out++ = (u_char) (ctx->rtt >> 24);
    *out++ = (u_char) (ctx->rtt >> 16);
    *out++ = (u_char) (ctx->rtt >> 8);
    *out++ = (u_char) ctx->rtt;

    return out;
}


/* the last records that the upstream gets */

void
ngx_http_voice_end_up(ngx_http_voice_ctx_t *ctx, ngx_http_voice_block_t *b)
{
    size_t            size, padding;
    u_char           *p, *start;
    struct ws_frame   frame;

    b->pos = b->data;
    p = b->data;

    if (ctx->need_abort) {
        p = ngx_http_voice_put_record(p, NGX_HTTP_VOICE_ABORT_REQUEST, 0, 0);

    } else {
        ngx_memzero(&frame, sizeof(struct ws_frame));

        start = p + NGX_HTTP_VOICE_FCGI_HEADER;

        frame.opcode = WS_CLOSE;
        frame.fin = 1;
        frame.payload_bytes = ws_close_encode(start + 2, ctx->close_code,
                                            (char *) ctx->close_reason.data,
                                            ctx->close_reason.len);

        size = ws_frame_encode(start, &frame) + frame.payload_bytes;
        padding = (8 - size % 8) % 8;

        ngx_memzero(start + size, padding);
        ngx_http_voice_put_record(p, NGX_HTTP_VOICE_STDIN, size, padding);

        p = start + size + padding;
    }

    b->last = ngx_http_voice_put_record(p, NGX_HTTP_VOICE_STDIN, 0, 0);

    ctx->need_end = 0;
    ctx->up_ended = 1;
}
