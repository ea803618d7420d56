/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Upstream to client: frames are taken out of STDOUT records, in place.
 *
 *   read:     [16 free...][record][head payload][padding][record][payload]...
 *   written:  [head payload][head payload]...
 *
 * As in the other direction, what a record holds of a frame leaves as a frame
 * of its own, so a frame of ours fits in between two blocks.
 */


#include "ngx_http_voice_deflate.h"


static u_char *ngx_http_voice_down_frames(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *in, size_t size);
static void ngx_http_voice_peer_done(ngx_http_voice_ctx_t *ctx);
static u_char *ngx_http_voice_put_frame(u_char *p, ngx_uint_t opcode,
    u_char *data, size_t size);


void
ngx_http_voice_down(ngx_http_voice_ctx_t *ctx, ngx_http_voice_block_t *b)
{
    size_t                    size;
    u_char                   *in, *last, *out;
    ngx_http_voice_record_t  *record;

    record = &ctx->record;
    in = b->pos;
    last = b->last;
    out = b->data + 8;

    b->pos = out;

    while (in < last && ctx->peer) {

        if (record->content == 0) {

            if (!ngx_http_voice_down_record(ctx, &in, last)) {
                break;
            }

            continue;
        }

        size = ngx_min(record->content, (size_t) (last - in));

        if (record->type == NGX_HTTP_VOICE_STDOUT) {
            out = ngx_http_voice_down_frames(ctx, out, in, size);

        } else {
            ngx_http_voice_log_stderr(ctx, in, size);
        }

        record->content -= size;
        in += size;
    }

    b->last = out;
}


/* the next record's header; zero: it goes on in what is not read yet */

ngx_uint_t
ngx_http_voice_down_record(ngx_http_voice_ctx_t *ctx, u_char **pos,
    u_char *last)
{
    ngx_int_t  rc;

    rc = ngx_http_voice_parse_record(&ctx->record, pos, last);

    if (rc == NGX_AGAIN) {
        return 0;
    }

    if (rc == NGX_ERROR) {
        ngx_http_voice_count_broken(0);
        ngx_http_voice_peer_lost(ctx, "invalid FastCGI record");

    } else if (ctx->record.type == NGX_HTTP_VOICE_END_REQUEST) {
        ngx_http_voice_peer_done(ctx);
    }

    return 1;
}


static u_char *
ngx_http_voice_down_frames(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *in,
    size_t size)
{
    size_t                 n;
    u_char                *last;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->down;
    last = in + size;

    while (in < last && !ngx_http_voice_is_deaf(ctx)) {

        if (leg->left == 0) {
            out = ngx_http_voice_down_header(ctx, out, &in, last);
            continue;
        }

        n = (size_t) ngx_min(leg->left, (uint64_t) (last - in));

        if (leg->frame.message) {
            out = ngx_http_voice_down_data(ctx, out, in, n);

        } else {
            ngx_http_voice_down_control(ctx, in, n);
        }

        in += n;
    }

    return out;
}


u_char *
ngx_http_voice_down_header(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char **pos, u_char *last)
{
    int                    rc;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->down;

    rc = ws_decoder_push(&leg->decoder, *pos, last - *pos, &leg->frame);

    if (rc < 0) {
        ngx_http_voice_count_broken(0);
        ngx_http_voice_peer_lost(ctx, "invalid frame from upstream");
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

        if (leg->left == 0) {
            ngx_http_voice_down_control(ctx, *pos, 0);
        }

        return out;
    }

    if (ctx->deflate && ngx_http_voice_pack_header(ctx)) {
        return out;
    }

    return leg->left ? out : ngx_http_voice_down_data(ctx, out, *pos, 0);
}


u_char *
ngx_http_voice_down_data(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *in,
    size_t size)
{
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->down;

    out = ngx_http_voice_fragment(leg, out, in, size);

    leg->bytes += size;
    ngx_http_voice_count_data(down, size, leg->frame.fin && leg->left == 0);

    if (leg->frame.fin && leg->left == 0) {
        leg->messages++;
        ctx->active = ngx_current_msec;
    }

    return out;
}


/* pings and pongs of the upstream have no meaning here */

void
ngx_http_voice_down_control(ngx_http_voice_ctx_t *ctx, u_char *in, size_t size)
{
    uint16_t               code;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->down;

    ngx_memcpy(leg->control + leg->control_len, in, size);

    leg->control_len += (u_char) size;
    leg->left -= size;

    if (leg->left || leg->frame.opcode != WS_CLOSE) {
        return;
    }

    if (ws_close_decode(leg->control, leg->control_len, &code) < 0) {
        ngx_http_voice_count_broken(0);
        ngx_http_voice_peer_lost(ctx, "invalid close frame from upstream");
        return;
    }

    /* the upstream ends by itself, and needs no end of ours */

    ctx->up_ended = 1;

    ngx_http_voice_set_close(ctx, code, leg->control + 2,
                             leg->control_len > 2 ? leg->control_len - 2 : 0);
}


/* END_REQUEST: the upstream waits for us to close */

static void
ngx_http_voice_peer_done(ngx_http_voice_ctx_t *ctx)
{
    static u_char  reason[] = "upstream ended the session";

    ngx_http_voice_close_peer(ctx, 0);

    if (!ctx->close_set) {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "upstream ended the session without a close frame");
    }

    ngx_http_voice_set_close(ctx, WS_CLOSE_INTERNAL, reason,
                             sizeof(reason) - 1);
}


/*
 * Every ping is answered, until so many pongs wait for the client's socket
 * that they fill a block: then those of the last pings alone, which is enough
 * (RFC 6455, section 5.5.3).
 */

void
ngx_http_voice_pong(ngx_http_voice_ctx_t *ctx, u_char *data, size_t size)
{
    ngx_http_voice_block_t  *b;

    if (ctx->close_sent) {
        return;
    }

    b = ctx->pongs;

    if (b == NULL) {
        b = ngx_http_voice_get_block(ctx->client->log);
        if (b == NULL) {
            return;
        }

        ctx->pongs = b;
    }

    /* a ping and a Close of our own may follow them */

    if (b->data + NGX_HTTP_VOICE_BLOCK_SIZE - b->last
        < 3 * (WS_CONTROL_MAX + 2))
    {
        b->last = b->pos;
    }

    b->last = ngx_http_voice_put_frame(b->last, WS_PONG, data, size);
}


/* frames of our own to the client, behind the pongs */

void
ngx_http_voice_control(ngx_http_voice_ctx_t *ctx, ngx_http_voice_block_t *b)
{
    size_t   size;
    u_char  *p, payload[WS_CONTROL_MAX];

    p = b->last;

    if (ctx->need_ping && !ctx->need_close) {
        ctx->ping_time = ngx_http_voice_time();
        ctx->ping = (uint32_t) ctx->ping_time;
        ctx->pinged = ngx_current_msec;
        ctx->ping_sent = 1;
        ngx_http_voice_count(pings);

        p = ngx_http_voice_put_frame(p, WS_PING, (u_char *) &ctx->ping,
                                     NGX_HTTP_VOICE_PING_SIZE);
    }

    ctx->need_ping = 0;

    if (ctx->need_close) {
        ctx->need_close = 0;
        ctx->close_sent = 1;

        size = ws_close_encode(payload, ctx->close_code,
                               (char *) ctx->close_reason.data,
                               ctx->close_reason.len);

        p = ngx_http_voice_put_frame(p, WS_CLOSE, payload, size);
    }

    b->last = p;

    ngx_http_voice_set_timer(ctx);
}


static u_char *
ngx_http_voice_put_frame(u_char *p, ngx_uint_t opcode, u_char *data,
    size_t size)
{
    struct ws_frame  frame;

    ngx_memzero(&frame, sizeof(struct ws_frame));

    frame.payload_bytes = size;
    frame.opcode = (uint8_t) opcode;
    frame.fin = 1;

    p += ws_frame_encode(p, &frame);

    return ngx_cpymem(p, data, size);
}
