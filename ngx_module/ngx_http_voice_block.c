/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Blocks are what bytes travel in.  A block belongs to a worker while it is
 * idle, to the event handler while it is filled and sent, and to a direction
 * of a session only as long as a socket does not take all of it.  The one
 * given back last is given out first: a busy worker runs on one or two.
 */


#include "ngx_http_voice.h"


static ngx_http_voice_block_t  *ngx_http_voice_spare;
static ngx_uint_t               ngx_http_voice_nspare;


ngx_http_voice_block_t *
ngx_http_voice_get_block(ngx_log_t *log)
{
    ngx_http_voice_block_t  *block;

    block = ngx_http_voice_spare;

    if (block) {
        ngx_http_voice_spare = block->next;
        ngx_http_voice_nspare--;

    } else {
        block = ngx_alloc(sizeof(ngx_http_voice_block_t), log);
        if (block == NULL) {
            return NULL;
        }
    }

    block->next = NULL;
    block->pos = block->data + NGX_HTTP_VOICE_HEAD;
    block->last = block->pos;

    return block;
}


void
ngx_http_voice_put_block(ngx_http_voice_block_t *block)
{
    if (ngx_http_voice_nspare == NGX_HTTP_VOICE_SPARE) {
        ngx_free(block);
        return;
    }

    block->next = ngx_http_voice_spare;
    ngx_http_voice_spare = block;
    ngx_http_voice_nspare++;
}
