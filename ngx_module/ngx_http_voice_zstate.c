/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * zlib's states.  Without context takeover they belong to the worker, which
 * lends them out for the length of a message:
 *
 *   spare <-> busy, the one fed longest ago first
 *               ^
 *   waiting ----+   clients that are not read until one comes back
 *
 * A client that stops in the middle of a message holds a state.  When all are
 * lent out, the one that was not fed for a second is taken back, and its
 * client closed.
 */


#include "ngx_http_voice_deflate.h"


#define NGX_HTTP_VOICE_INFLATERS    512    /* of 43k a worker */
#define NGX_HTTP_VOICE_DEFLATERS    32     /* of 270k */
#define NGX_HTTP_VOICE_IDLE_STATES  8      /* of a kind that are kept */
#define NGX_HTTP_VOICE_STALE        1000   /* not fed, while others wait */
#define NGX_HTTP_VOICE_LONGEST      30000  /* lent out, while others wait */

/* what zlib 1.2 and 1.3 ask for; others get the rest from malloc() */
#define NGX_HTTP_VOICE_INFLATE_ARENA  (32768 + 10240)
#define ngx_http_voice_deflate_arena(bits)                                    \
    (8192 + ((size_t) 1 << ((bits) + 2)) + ((size_t) 1 << (8 + 9)))


typedef struct {
    ngx_queue_t  spare;
    ngx_queue_t  busy;
    ngx_uint_t   nspare;
    ngx_uint_t   n;
} ngx_http_voice_zpool_t;


static void ngx_http_voice_zpool_init(void);
static ngx_http_voice_zstate_t *ngx_http_voice_create_state(size_t size);
static void ngx_http_voice_lend(ngx_http_voice_zpool_t *pool,
    ngx_http_voice_zstate_t *state, ngx_http_voice_ctx_t *ctx);
static ngx_http_voice_zstate_t *ngx_http_voice_create_inflater(void);
static ngx_http_voice_zstate_t *ngx_http_voice_create_deflater(
    ngx_int_t level, ngx_uint_t bits);
static ngx_http_voice_zstate_t *ngx_http_voice_find_deflater(
    ngx_int_t level, ngx_uint_t bits);
static ngx_http_voice_zstate_t *ngx_http_voice_take_back(void);
static void ngx_http_voice_give_back(ngx_http_voice_zstate_t *state);
static void ngx_http_voice_wait_for_state(ngx_http_voice_ctx_t *ctx);
static void ngx_http_voice_stale_handler(ngx_event_t *ev);
static void ngx_http_voice_stale_timer(void);
static void *ngx_http_voice_zalloc(void *opaque, u_int items, u_int size);
static void ngx_http_voice_zfree(void *opaque, void *address);


static ngx_http_voice_zpool_t  ngx_http_voice_inflaters;
static ngx_http_voice_zpool_t  ngx_http_voice_deflaters;
static ngx_queue_t             ngx_http_voice_waiting;
static ngx_event_t             ngx_http_voice_stale_event;


static void
ngx_http_voice_zpool_init(void)
{
    static ngx_connection_t  dumb;

    if (ngx_http_voice_stale_event.handler) {
        return;
    }

    ngx_queue_init(&ngx_http_voice_inflaters.spare);
    ngx_queue_init(&ngx_http_voice_inflaters.busy);
    ngx_queue_init(&ngx_http_voice_deflaters.spare);
    ngx_queue_init(&ngx_http_voice_deflaters.busy);
    ngx_queue_init(&ngx_http_voice_waiting);

    dumb.fd = (ngx_socket_t) -1;

    ngx_http_voice_stale_event.handler = ngx_http_voice_stale_handler;
    ngx_http_voice_stale_event.log = ngx_cycle->log;
    ngx_http_voice_stale_event.data = &dumb;
    ngx_http_voice_stale_event.cancelable = 1;
}


/* the state, or NULL: the session is called when there is one */

ngx_http_voice_zstate_t *
ngx_http_voice_get_inflater(ngx_http_voice_ctx_t *ctx)
{
    ngx_queue_t               *q;
    ngx_http_voice_zpool_t    *pool;
    ngx_http_voice_zstate_t   *state;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    pool = &ngx_http_voice_inflaters;

    if (df->inflater) {
        return df->inflater;
    }

    ngx_http_voice_zpool_init();

    if (df->is_waiting) {
        return NULL;
    }

    if (df->client_takeover) {
        df->inflater = ngx_http_voice_create_inflater();

        if (df->inflater == NULL) {
            ngx_http_voice_fail(ctx, WS_CLOSE_INTERNAL, "out of memory");
        }

        return df->inflater;
    }

    if (!ngx_queue_empty(&pool->spare)) {
        q = ngx_queue_head(&pool->spare);
        ngx_queue_remove(q);
        pool->nspare--;

        state = ngx_queue_data(q, ngx_http_voice_zstate_t, queue);

    } else if (pool->n < NGX_HTTP_VOICE_INFLATERS) {
        state = ngx_http_voice_create_inflater();

        if (state) {
            pool->n++;
        }

    } else if (ngx_queue_empty(&ngx_http_voice_waiting)) {
        state = ngx_http_voice_take_back();

    } else {
        state = NULL;
    }

    if (state == NULL) {
        ngx_http_voice_wait_for_state(ctx);
        return NULL;
    }

    df->inflater = state;
    ngx_http_voice_lend(pool, state, ctx);

    return state;
}


static void
ngx_http_voice_lend(ngx_http_voice_zpool_t *pool,
    ngx_http_voice_zstate_t *state, ngx_http_voice_ctx_t *ctx)
{
    state->holder = ctx;
    state->since = ngx_current_msec;
    state->fed = ngx_current_msec;

    ngx_queue_insert_tail(&pool->busy, &state->queue);
}


/* before each call of inflate(); NGX_ABORT: the client had its time */

ngx_int_t
ngx_http_voice_feed(ngx_http_voice_zstate_t *state)
{
    if (state->holder == NULL) {
        return NGX_OK;
    }

    state->fed = ngx_current_msec;

    ngx_queue_remove(&state->queue);
    ngx_queue_insert_tail(&ngx_http_voice_inflaters.busy, &state->queue);

    if (!ngx_queue_empty(&ngx_http_voice_waiting)
        && ngx_current_msec - state->since >= NGX_HTTP_VOICE_LONGEST)
    {
        return NGX_ABORT;
    }

    return NGX_OK;
}


void
ngx_http_voice_put_inflater(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_zstate_t   *state;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    state = df->inflater;

    if (df->is_waiting) {
        df->is_waiting = 0;
        ngx_queue_remove(&df->waiting);
    }

    if (state == NULL) {
        return;
    }

    df->inflater = NULL;

    if (df->client_takeover) {
        (void) inflateEnd(&state->stream);
        ngx_free(state);
        return;
    }

    ngx_queue_remove(&state->queue);
    ngx_http_voice_give_back(state);
}


/* to the first who waits, or to the others */

static void
ngx_http_voice_give_back(ngx_http_voice_zstate_t *state)
{
    ngx_queue_t               *q;
    ngx_http_voice_ctx_t      *ctx;
    ngx_http_voice_zpool_t    *pool;
    ngx_http_voice_deflate_t  *df;

    pool = &ngx_http_voice_inflaters;

    (void) inflateReset(&state->stream);

    if (!ngx_queue_empty(&ngx_http_voice_waiting)) {
        q = ngx_queue_head(&ngx_http_voice_waiting);
        ngx_queue_remove(q);

        df = ngx_queue_data(q, ngx_http_voice_deflate_t, waiting);
        ctx = df->ctx;

        df->is_waiting = 0;
        df->inflater = state;
        ngx_http_voice_lend(pool, state, ctx);

        ngx_post_event(ctx->client->read, &ngx_posted_events);

        return;
    }

    if (pool->nspare == NGX_HTTP_VOICE_IDLE_STATES) {
        pool->n--;
        (void) inflateEnd(&state->stream);
        ngx_free(state);
        return;
    }

    state->holder = NULL;
    ngx_queue_insert_head(&pool->spare, &state->queue);
    pool->nspare++;
}


static void
ngx_http_voice_wait_for_state(ngx_http_voice_ctx_t *ctx)
{
    ctx->deflate->is_waiting = 1;
    ngx_queue_insert_tail(&ngx_http_voice_waiting, &ctx->deflate->waiting);

    ngx_http_voice_stale_timer();
}


static void
ngx_http_voice_stale_timer(void)
{
    ngx_queue_t              *q;
    ngx_msec_t                passed;
    ngx_http_voice_zstate_t  *state;

    if (ngx_queue_empty(&ngx_http_voice_waiting)
        || ngx_http_voice_stale_event.timer_set)
    {
        return;
    }

    passed = 0;

    if (!ngx_queue_empty(&ngx_http_voice_inflaters.busy)) {
        q = ngx_queue_head(&ngx_http_voice_inflaters.busy);
        state = ngx_queue_data(q, ngx_http_voice_zstate_t, queue);
        passed = ngx_current_msec - state->fed;
    }

    ngx_add_timer(&ngx_http_voice_stale_event,
                  passed < NGX_HTTP_VOICE_STALE ? NGX_HTTP_VOICE_STALE - passed
                                                : 1);
}


static void
ngx_http_voice_stale_handler(ngx_event_t *ev)
{
    ngx_http_voice_zstate_t  *state;

    while (!ngx_queue_empty(&ngx_http_voice_waiting)) {
        state = ngx_http_voice_take_back();

        if (state == NULL
            && ngx_http_voice_inflaters.n < NGX_HTTP_VOICE_INFLATERS)
        {
            /* there was no memory, now there may be */
            state = ngx_http_voice_create_inflater();
            ngx_http_voice_inflaters.n += state != NULL;
        }

        if (state == NULL) {
            break;
        }

        ngx_http_voice_give_back(state);
    }

    ngx_http_voice_stale_timer();
}


/* from the client that fed it longest ago, if that was long ago */

static ngx_http_voice_zstate_t *
ngx_http_voice_take_back(void)
{
    ngx_queue_t              *q;
    ngx_http_voice_ctx_t     *ctx;
    ngx_http_voice_zstate_t  *state;

    if (ngx_queue_empty(&ngx_http_voice_inflaters.busy)) {
        return NULL;
    }

    q = ngx_queue_head(&ngx_http_voice_inflaters.busy);
    state = ngx_queue_data(q, ngx_http_voice_zstate_t, queue);

    if (ngx_current_msec - state->fed < NGX_HTTP_VOICE_STALE) {
        return NULL;
    }

    ctx = state->holder;

    ngx_queue_remove(q);
    ctx->deflate->inflater = NULL;
    state->holder = NULL;

    (void) inflateReset(&state->stream);

    ngx_http_voice_fail(ctx, WS_CLOSE_POLICY,
                        "compressed message took too long");
    ngx_post_event(ctx->client->read, &ngx_posted_events);

    return state;
}


/* the state, or NULL: the message goes as it is */

ngx_http_voice_zstate_t *
ngx_http_voice_get_deflater(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t                  level;
    ngx_http_voice_zstate_t   *state;
    ngx_http_voice_deflate_t  *df;

    df = ctx->deflate;
    level = ctx->conf->deflate_level;

    if (df->deflater) {
        return df->deflater;
    }

    ngx_http_voice_zpool_init();

    if (df->server_takeover) {

        /* lent to nobody else */

        state = ngx_http_voice_create_deflater(level, df->server_bits);
        df->deflater = state;

        return state;
    }

    state = ngx_http_voice_find_deflater(level, df->server_bits);

    if (state == NULL) {
        return NULL;
    }

    if (state->level != level) {
        (void) deflateParams(&state->stream, (int) level, Z_DEFAULT_STRATEGY);
        state->level = level;
    }

    df->deflater = state;
    ngx_http_voice_lend(&ngx_http_voice_deflaters, state, ctx);

    return state;
}


/* a spare one with that window, or a new one within the cap */

static ngx_http_voice_zstate_t *
ngx_http_voice_find_deflater(ngx_int_t level, ngx_uint_t bits)
{
    ngx_queue_t              *q;
    ngx_http_voice_zpool_t   *pool;
    ngx_http_voice_zstate_t  *state;

    pool = &ngx_http_voice_deflaters;

    for (q = ngx_queue_head(&pool->spare);
         q != ngx_queue_sentinel(&pool->spare);
         q = ngx_queue_next(q))
    {
        state = ngx_queue_data(q, ngx_http_voice_zstate_t, queue);

        if (state->bits == bits) {
            ngx_queue_remove(q);
            pool->nspare--;

            return state;
        }
    }

    if (pool->n == NGX_HTTP_VOICE_DEFLATERS) {

        if (ngx_queue_empty(&pool->spare)) {
            return NULL;
        }

        /* one of another window makes room */

        q = ngx_queue_last(&pool->spare);
        state = ngx_queue_data(q, ngx_http_voice_zstate_t, queue);

        ngx_queue_remove(q);
        pool->nspare--;
        pool->n--;

        (void) deflateEnd(&state->stream);
        ngx_free(state);
    }

    state = ngx_http_voice_create_deflater(level, bits);
    pool->n += state != NULL;

    return state;
}


void
ngx_http_voice_put_deflater(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_zpool_t   *pool;
    ngx_http_voice_zstate_t  *state;

    state = ctx->deflate->deflater;
    pool = &ngx_http_voice_deflaters;

    if (state == NULL) {
        return;
    }

    ctx->deflate->deflater = NULL;

    if (state->holder == NULL) {
        (void) deflateEnd(&state->stream);
        ngx_free(state);
        return;
    }

    ngx_queue_remove(&state->queue);

    if (pool->nspare == NGX_HTTP_VOICE_IDLE_STATES) {
        pool->n--;
        (void) deflateEnd(&state->stream);
        ngx_free(state);
        return;
    }

    (void) deflateReset(&state->stream);

    ngx_queue_insert_head(&pool->spare, &state->queue);
    pool->nspare++;
}


static ngx_http_voice_zstate_t *
ngx_http_voice_create_inflater(void)
{
    ngx_http_voice_zstate_t  *state;

    state = ngx_http_voice_create_state(NGX_HTTP_VOICE_INFLATE_ARENA);

    if (state && inflateInit2(&state->stream, -MAX_WBITS) != Z_OK) {
        ngx_free(state);
        return NULL;
    }

    return state;
}


static ngx_http_voice_zstate_t *
ngx_http_voice_create_deflater(ngx_int_t level, ngx_uint_t bits)
{
    ngx_http_voice_zstate_t  *state;

    state = ngx_http_voice_create_state(ngx_http_voice_deflate_arena(bits));

    if (state == NULL) {
        return NULL;
    }

    state->level = level;
    state->bits = bits;

    if (deflateInit2(&state->stream, (int) level, Z_DEFLATED, -(int) bits, 8,
                     Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        ngx_free(state);
        return NULL;
    }

    return state;
}


static ngx_http_voice_zstate_t *
ngx_http_voice_create_state(size_t size)
{
    ngx_http_voice_zstate_t  *state;

    state = ngx_alloc(sizeof(ngx_http_voice_zstate_t) + size, ngx_cycle->log);
    if (state == NULL) {
        return NULL;
    }

    ngx_memzero(state, sizeof(ngx_http_voice_zstate_t));

    state->pos = (u_char *) state + sizeof(ngx_http_voice_zstate_t);
    state->end = state->pos + size;
    state->stream.zalloc = ngx_http_voice_zalloc;
    state->stream.zfree = ngx_http_voice_zfree;
    state->stream.opaque = state;

    return state;
}


static void *
ngx_http_voice_zalloc(void *opaque, u_int items, u_int size)
{
    ngx_http_voice_zstate_t *state = opaque;

    u_char  *p;
    size_t   n;

    n = ngx_align((size_t) items * size, NGX_ALIGNMENT);

    if (n > (size_t) (state->end - state->pos)) {
        return ngx_alloc(n, ngx_cycle->log);
    }

    p = state->pos;
    state->pos += n;

    return p;
}


static void
ngx_http_voice_zfree(void *opaque, void *address)
{
    ngx_http_voice_zstate_t *state = opaque;

    if ((u_char *) address < (u_char *) state
        || (u_char *) address >= state->end)
    {
        ngx_free(address);
    }
}
