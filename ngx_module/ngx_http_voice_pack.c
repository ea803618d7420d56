/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Upstream to client, for sessions that agreed on compression.
 *
 *   peer_input:  [record][head payload][padding][record][payload]...
 *                             | plain:  as it is
 *                             | trial:  the first 16k, or all of a message
 *                             |         weigh: does it save a tenth?
 *                             | compress ... finish
 *   down.block:  [head payload][head payload]...
 *
 * A message's first frame says that it is compressed, so its start is weighed
 * before the first byte of it goes.  What does not pay goes as it came.
 */


#include "ngx_http_voice_deflate.h"


/* room in front of a payload that is made in place */
#define NGX_HTTP_VOICE_PACK_HEAD  4


static u_char *ngx_http_voice_pack_input(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static ngx_uint_t ngx_http_voice_pack_is_due(ngx_http_voice_deflate_t *df,
    size_t room);
static u_char *ngx_http_voice_pack_record(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static size_t ngx_http_voice_pack_step(ngx_http_voice_ctx_t *ctx,
    u_char **out, u_char *end, size_t size);
static ngx_uint_t ngx_http_voice_pack_begin(ngx_http_voice_ctx_t *ctx);
static size_t ngx_http_voice_pack_try(ngx_http_voice_ctx_t *ctx, u_char *in,
    size_t size);
static u_char *ngx_http_voice_pack_weigh(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static size_t ngx_http_voice_pack_start(ngx_http_voice_ctx_t *ctx,
    u_char *payload, u_char *end, ngx_uint_t fin);
static size_t ngx_http_voice_pack_more(ngx_http_voice_ctx_t *ctx,
    u_char **out, u_char *end, u_char *in, size_t size);
static u_char *ngx_http_voice_pack_finish(ngx_http_voice_ctx_t *ctx,
    u_char *out, u_char *end);
static u_char *ngx_http_voice_pack_frame(ngx_http_voice_ctx_t *ctx,
    u_char *out, size_t size, ngx_uint_t fin);
static void ngx_http_voice_pack_end(ngx_http_voice_ctx_t *ctx);


ngx_uint_t
ngx_http_voice_pack(ngx_http_voice_ctx_t *ctx)
{
    u_char                    *out, *before;
    ngx_uint_t                 moved;
    ngx_http_voice_block_t    *b, *input;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    input = df->peer_input;
    before = input->pos;

    b = ngx_http_voice_get_block(ctx->client->log);
    if (b == NULL) {
        ngx_http_voice_peer_lost(ctx, "out of memory");
        return 1;
    }

    out = ngx_http_voice_pack_input(ctx, b->pos,
                                    b->data + NGX_HTTP_VOICE_BLOCK_SIZE);

    moved = input->pos != before || out != b->pos;

    if (ctx->peer == NULL
        || (input->pos == input->last
            && df->stage != ngx_http_voice_weigh
            && df->stage != ngx_http_voice_finish))
    {
        df->peer_input = NULL;
        ngx_http_voice_put_block(input);
        moved = 1;
    }

    if (out == b->pos || ctx->client_gone) {
        ngx_http_voice_put_block(b);
        return moved;
    }

    b->last = out;
    ctx->down.block = b;

    return 1;
}


static u_char *
ngx_http_voice_pack_input(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *end)
{
    ngx_http_voice_block_t    *input;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    input = df->peer_input;

    while (ctx->peer && end - out >= NGX_HTTP_VOICE_ROOM_MIN) {

        if (df->stage == ngx_http_voice_weigh
            || df->stage == ngx_http_voice_finish)
        {
            if (ngx_http_voice_is_deaf(ctx)) {
                ngx_http_voice_pack_end(ctx);

            } else if (!ngx_http_voice_pack_is_due(df, end - out)) {
                break;

            } else if (df->stage == ngx_http_voice_weigh) {
                out = ngx_http_voice_pack_weigh(ctx, out, end);

            } else {
                out = ngx_http_voice_pack_finish(ctx, out, end);
            }

            continue;
        }

        if (input->pos == input->last) {
            break;
        }

        if (ctx->record.content == 0) {

            if (!ngx_http_voice_down_record(ctx, &input->pos, input->last)) {
                break;
            }

            continue;
        }

        out = ngx_http_voice_pack_record(ctx, out, end);
    }

    return out;
}


/* what is weighed must fit whichever way it goes */

static ngx_uint_t
ngx_http_voice_pack_is_due(ngx_http_voice_deflate_t *df, size_t room)
{
    return df->stage == ngx_http_voice_finish
           || room >= (size_t) (df->trial->last - df->trial->pos)
                      + NGX_HTTP_VOICE_TRIAL_ROOM - NGX_HTTP_VOICE_TRIAL;
}


/* a part of what the input has of a record */

static u_char *
ngx_http_voice_pack_record(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *end)
{
    size_t                    size;
    ngx_http_voice_block_t   *input;
    ngx_http_voice_record_t  *record;

    record = &ctx->record;
    input = ctx->deflate->peer_input;

    size = ngx_min(record->content, (size_t) (input->last - input->pos));

    if (record->type != NGX_HTTP_VOICE_STDOUT) {
        ngx_http_voice_log_stderr(ctx, input->pos, size);

    } else if (!ngx_http_voice_is_deaf(ctx)) {
        size = ngx_http_voice_pack_step(ctx, &out, end, size);

    } else {
        ngx_http_voice_pack_end(ctx);
    }

    input->pos += size;
    record->content -= size;

    return out;
}


/* a header, or payload of one frame; how much of the input it was */

static size_t
ngx_http_voice_pack_step(ngx_http_voice_ctx_t *ctx, u_char **out, u_char *end,
    size_t size)
{
    u_char                *in, *pos;
    ngx_http_voice_leg_t  *leg;

    leg = &ctx->down;
    in = ctx->deflate->peer_input->pos;

    if (leg->left == 0) {
        pos = in;
        *out = ngx_http_voice_down_header(ctx, *out, &pos, in + size);
        return pos - in;
    }

    size = (size_t) ngx_min(leg->left, (uint64_t) size);

    if (leg->frame.message == 0) {
        ngx_http_voice_down_control(ctx, in, size);
        return size;
    }

    switch (ctx->deflate->stage) {

    case ngx_http_voice_trial:
        return ngx_http_voice_pack_try(ctx, in, size);

    case ngx_http_voice_compress:
        return ngx_http_voice_pack_more(ctx, out, end, in, size);

    default: /* ngx_http_voice_plain */
        size = ngx_min(size, (size_t) (end - *out) - WS_HEADER_MAX);
        *out = ngx_http_voice_down_data(ctx, *out, in, size);
        return size;
    }
}


/* a frame with data began: whether its payload is for us */

ngx_uint_t
ngx_http_voice_pack_header(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_leg_t      *leg;
    ngx_http_voice_deflate_t  *df;

    leg = &ctx->down;
    df = ctx->deflate;

    if (leg->frame.opcode != WS_CONTINUATION
        && (!leg->frame.fin || leg->left >= ctx->conf->deflate_min_length)
        && ngx_http_voice_pack_begin(ctx))
    {
        df->opcode_down = leg->frame.opcode;
    }

    if (df->stage == ngx_http_voice_plain) {
        return 0;
    }

    if (leg->left == 0 && leg->frame.fin) {
        df->stage = df->stage == ngx_http_voice_trial ? ngx_http_voice_weigh
                                                      : ngx_http_voice_finish;
    }

    return 1;
}


/* a message that may be compressed; without memory, or a state, it is not */

static ngx_uint_t
ngx_http_voice_pack_begin(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    /* what was weighed and thrown away would stay in a context */

    if (df->server_takeover) {

        if (ngx_http_voice_get_deflater(ctx) == NULL) {
            return 0;
        }

        df->stage = ngx_http_voice_compress;
        df->saved = 1;

        return 1;
    }

    df->trial = ngx_http_voice_get_block(ctx->client->log);
    if (df->trial == NULL) {
        return 0;
    }

    df->stage = ngx_http_voice_trial;
    df->saved = 0;

    return 1;
}


static size_t
ngx_http_voice_pack_try(ngx_http_voice_ctx_t *ctx, u_char *in, size_t size)
{
    size_t                   room;
    ngx_http_voice_leg_t    *leg;
    ngx_http_voice_block_t  *trial;

    leg = &ctx->down;
    trial = ctx->deflate->trial;

    room = NGX_HTTP_VOICE_TRIAL - (trial->last - trial->pos);
    size = ngx_min(size, room);

    trial->last = ngx_cpymem(trial->last, in, size);
    leg->left -= size;

    if (size == room || (leg->left == 0 && leg->frame.fin)) {
        ctx->deflate->stage = ngx_http_voice_weigh;
    }

    return size;
}


static u_char *
ngx_http_voice_pack_weigh(ngx_http_voice_ctx_t *ctx, u_char *out, u_char *end)
{
    size_t                     size, packed;
    u_char                    *raw;
    ngx_uint_t                 fin;
    ngx_http_voice_leg_t      *leg;
    ngx_http_voice_deflate_t  *df;

    leg = &ctx->down;
    df = ctx->deflate;

    raw = df->trial->pos;
    size = df->trial->last - raw;
    fin = leg->left == 0 && leg->frame.fin;

    leg->bytes += size;
    ngx_http_voice_count_data(down, size, 0);

    packed = ngx_http_voice_pack_start(ctx, out + NGX_HTTP_VOICE_PACK_HEAD,
                                       end, fin);

    if (packed) {
        df->saved = 1;
        df->down_in += size;
        ngx_http_voice_count_deflate(down, 0, size, 0);
        df->stage = ngx_http_voice_compress;

        ngx_http_voice_put_block(df->trial);
        df->trial = NULL;

        out = ngx_http_voice_pack_frame(ctx, out, packed, fin);

    } else {
        ngx_memcpy(out + NGX_HTTP_VOICE_PACK_HEAD, raw, size);
        out = ngx_http_voice_pack_frame(ctx, out, size, fin);

        /* the rest of it goes as it comes */
        leg->frame.opcode = WS_CONTINUATION;
        ngx_http_voice_pack_end(ctx);
    }

    return out;
}


/* what was collected, compressed; zero: it does not pay, or can't be done */

static size_t
ngx_http_voice_pack_start(ngx_http_voice_ctx_t *ctx, u_char *payload,
    u_char *end, ngx_uint_t fin)
{
    size_t                   size, packed;
    z_stream                *z;
    ngx_http_voice_block_t  *trial;

    trial = ctx->deflate->trial;
    size = trial->last - trial->pos;

    if (size < ctx->conf->deflate_min_length
        || ngx_http_voice_get_deflater(ctx) == NULL)
    {
        return 0;
    }

    z = &ctx->deflate->deflater->stream;

    z->next_in = trial->pos;
    z->avail_in = (uInt) size;
    z->next_out = payload;
    z->avail_out = (uInt) (end - payload);

    (void) deflate(z, Z_SYNC_FLUSH);

    if (z->avail_in || z->avail_out == 0) {
        return 0;
    }

    packed = z->next_out - payload;

    if (fin) {
        packed -= NGX_HTTP_VOICE_FLUSH;
    }

    return packed < size - size / 10 ? packed : 0;
}


static size_t
ngx_http_voice_pack_more(ngx_http_voice_ctx_t *ctx, u_char **out, u_char *end,
    u_char *in, size_t size)
{
    size_t                     used, packed;
    u_char                    *payload;
    z_stream                  *z;
    ngx_http_voice_leg_t      *leg;
    ngx_http_voice_deflate_t  *df;

    leg = &ctx->down;
    df = ctx->deflate;
    z = &df->deflater->stream;
    payload = *out + NGX_HTTP_VOICE_PACK_HEAD;

    z->next_in = in;
    z->avail_in = (uInt) size;
    z->next_out = payload;
    z->avail_out = (uInt) (end - payload);

    (void) deflate(z, Z_NO_FLUSH);

    used = size - z->avail_in;
    packed = z->next_out - payload;

    df->down_in += used;
    leg->bytes += used;
    ngx_http_voice_count_data(down, used, 0);
    ngx_http_voice_count_deflate(down, 0, used, 0);
    leg->left -= used;

    if (packed) {
        *out = ngx_http_voice_pack_frame(ctx, *out, packed, 0);
    }

    if (leg->left == 0 && leg->frame.fin) {
        df->stage = ngx_http_voice_finish;
    }

    return used;
}


/*
 * The last four bytes of the flush are not sent (RFC 7692, 7.2.1).  While the
 * block may be too small, any four may be these and are kept for the next.
 */

static u_char *
ngx_http_voice_pack_finish(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *end)
{
    size_t                     packed;
    u_char                    *payload;
    z_stream                  *z;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    z = &df->deflater->stream;
    payload = out + NGX_HTTP_VOICE_PACK_HEAD;

    z->next_in = NULL;
    z->avail_in = 0;
    z->next_out = ngx_cpymem(payload, df->carry, df->ncarry);
    z->avail_out = (uInt) (end - z->next_out);

    (void) deflate(z, Z_SYNC_FLUSH);

    packed = z->next_out - payload;

    if (z->avail_out == 0) {
        packed -= NGX_HTTP_VOICE_FLUSH;
        ngx_memcpy(df->carry, payload + packed, NGX_HTTP_VOICE_FLUSH);
        df->ncarry = NGX_HTTP_VOICE_FLUSH;

        return ngx_http_voice_pack_frame(ctx, out, packed, 0);
    }

    if (packed < NGX_HTTP_VOICE_FLUSH) {
        /* nothing since the flush before: an empty block, without its end */
        payload[0] = 0;
        packed = 1;

    } else {
        packed -= NGX_HTTP_VOICE_FLUSH;
    }

    return ngx_http_voice_pack_frame(ctx, out, packed, 1);
}


/* the payload is there, with room for the header in front of it */

static u_char *
ngx_http_voice_pack_frame(ngx_http_voice_ctx_t *ctx, u_char *out, size_t size,
    ngx_uint_t fin)
{
    u_char                    *p;
    struct ws_frame            frame;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    ngx_memzero(&frame, sizeof(struct ws_frame));

    frame.payload_bytes = size;
    frame.opcode = df->opcode_down;
    frame.rsv = df->saved && df->opcode_down != WS_CONTINUATION ? WS_RSV1 : 0;
    frame.fin = fin;

    p = out + ws_frame_encode(out, &frame);

    if (p != out + NGX_HTTP_VOICE_PACK_HEAD) {
        ngx_memmove(p, out + NGX_HTTP_VOICE_PACK_HEAD, size);
    }

    df->opcode_down = WS_CONTINUATION;

    if (df->saved) {
        df->down_out += size;
        ngx_http_voice_count_deflate(down, size, 0, fin);
    }

    if (fin) {
        ctx->down.messages++;
        ngx_http_voice_count_data(down, 0, 1);
        ctx->active = ngx_current_msec;
        ngx_http_voice_pack_end(ctx);
    }

    return p + size;
}


static void
ngx_http_voice_pack_end(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;

    df->stage = ngx_http_voice_plain;
    df->ncarry = 0;

    if (df->trial) {
        ngx_http_voice_put_block(df->trial);
        df->trial = NULL;
    }

    if (!df->server_takeover) {
        ngx_http_voice_put_deflater(ctx);
    }
}
