/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * permessage-deflate (RFC 7692) between the client and us; the upstream never
 * sees it.  A session that agreed on it has one ngx_http_voice_deflate_t, and
 * zlib's state only while a compressed message is under way, unless contexts
 * are taken over.
 *
 *   client -> client_input -> unpack -> up.block   -> upstream
 *   client <- down.block   <- pack   <- peer_input <- upstream
 *
 * What does not fit into the block that is sent waits as input: at most two
 * blocks a direction, and one more while the start of a message is weighed.
 */


#ifndef _NGX_HTTP_VOICE_DEFLATE_H_INCLUDED_
#define _NGX_HTTP_VOICE_DEFLATE_H_INCLUDED_


#include "ngx_http_voice.h"

#include <zlib.h>


#define NGX_HTTP_VOICE_ROOM_MIN    64      /* for a frame's header, and more */
#define NGX_HTTP_VOICE_TRIAL       16384   /* weighed before it is compressed */
#define NGX_HTTP_VOICE_FLUSH       4       /* bytes of a sync flush, not sent */
#define NGX_HTTP_VOICE_ZROUNDS     4       /* blocks moved per event */
#define NGX_HTTP_VOICE_TRIAL_ROOM  (NGX_HTTP_VOICE_TRIAL + 256)


typedef struct ngx_http_voice_zstate_s  ngx_http_voice_zstate_t;

struct ngx_http_voice_zstate_s {
    z_stream                       stream;
    ngx_queue_t                    queue;
    ngx_http_voice_ctx_t          *holder;
    ngx_msec_t                     since;     /* borrowed */
    ngx_msec_t                     fed;
    ngx_int_t                      level;
    ngx_uint_t                     bits;
    u_char                        *pos;       /* free part of the arena */
    u_char                        *end;
};


typedef enum {
    ngx_http_voice_plain = 0,
    ngx_http_voice_trial,       /* the start of a message is collected */
    ngx_http_voice_weigh,       /* it is there: is it worth it? */
    ngx_http_voice_compress,
    ngx_http_voice_finish       /* all was taken, not all given */
} ngx_http_voice_pack_e;


struct ngx_http_voice_deflate_s {
    ngx_http_voice_ctx_t          *ctx;
    ngx_str_t                      answer;    /* the header's value */

    /* up */

    ngx_http_voice_block_t        *client_input;
    ngx_http_voice_zstate_t       *inflater;
    ngx_queue_t                    waiting;   /* for one */
    size_t                         clear;     /* unmasked bytes of the input */
    size_t                         packed;    /* bytes of the message */
    uint64_t                       up_in;     /* compressed */
    uint64_t                       up_out;
    u_char                         opcode;    /* of the next fragment */
    u_char                         tail;      /* bytes of it fed */

    unsigned                       is_packed:1;   /* the message is */
    unsigned                       last:1;        /* its last byte was read */
    unsigned                       more:1;        /* output is pending */
    unsigned                       inside:1;      /* of a stream, not between */
    unsigned                       is_waiting:1;

    /* both */

    unsigned                       client_takeover:1;
    unsigned                       server_takeover:1;
    unsigned                       server_bits:4;

    /* down */

    ngx_http_voice_pack_e          stage;
    ngx_http_voice_block_t        *peer_input;
    ngx_http_voice_block_t        *trial;
    ngx_http_voice_zstate_t       *deflater;
    uint64_t                       down_in;
    uint64_t                       down_out;  /* compressed */
    u_char                         carry[NGX_HTTP_VOICE_FLUSH];
    u_char                         ncarry;    /* maybe the end, not sent yet */
    u_char                         opcode_down;

    unsigned                       saved:1;   /* the message is compressed */
};


/* ngx_http_voice_extension.c: what is agreed on, and what is left of it */

ngx_int_t ngx_http_voice_agree(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_deflate_end(ngx_http_voice_ctx_t *ctx);

/*
 * ngx_http_voice_zstate.c: NULL when there is none.  Who asked for an inflater
 * in vain is called, by its client's read event, when it was given one.
 */

ngx_http_voice_zstate_t *ngx_http_voice_get_inflater(
    ngx_http_voice_ctx_t *ctx);
ngx_http_voice_zstate_t *ngx_http_voice_get_deflater(
    ngx_http_voice_ctx_t *ctx);
ngx_int_t ngx_http_voice_feed(ngx_http_voice_zstate_t *state);
void ngx_http_voice_put_inflater(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_put_deflater(ngx_http_voice_ctx_t *ctx);

/*
 * ngx_http_voice_unpack.c, ngx_http_voice_pack.c: input into a block that is
 * to be sent, as much as it holds; whether anything moved
 */

ngx_uint_t ngx_http_voice_unpack(ngx_http_voice_ctx_t *ctx);
ngx_uint_t ngx_http_voice_unpack_header(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_unpack_end(ngx_http_voice_ctx_t *ctx);
ngx_uint_t ngx_http_voice_pack(ngx_http_voice_ctx_t *ctx);
ngx_uint_t ngx_http_voice_pack_header(ngx_http_voice_ctx_t *ctx);


#endif /* _NGX_HTTP_VOICE_DEFLATE_H_INCLUDED_ */
