/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/voice_nginx.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Its state is a worker's: a session here must not leave it to the next. */
#include "ngx_http_voice_drain.c"

/* --- what the module takes from NGINX */

volatile ngx_msec_t ngx_current_msec;
volatile ngx_time_t *ngx_cached_time;
ngx_uint_t ngx_event_flags = NGX_USE_CLEAR_EVENT;
ngx_event_actions_t ngx_event_actions;
ngx_queue_t ngx_posted_next_events;
ngx_queue_t ngx_posted_events;
ngx_rbtree_t ngx_event_timer_rbtree;
static ngx_cycle_t cycle;
volatile ngx_cycle_t *ngx_cycle = &cycle;
ngx_uint_t ngx_process;
ngx_module_t ngx_core_module;
ngx_module_t ngx_http_core_module = {.ctx_index = 0};
ngx_module_t ngx_http_voice_module = {.ctx_index = 1};

static uint64_t counts[ngx_http_voice_n];
uint64_t *ngx_http_voice_counts = counts;

static struct fake_session *session;
static size_t blocks;

/* Memory of pools, freed with the session or with the pool. */
struct chunk {
    struct chunk *next;
    ngx_pool_t *pool;
};
static struct chunk *chunks;

static ngx_int_t
delete_event(ngx_event_t *ev, ngx_int_t event, ngx_uint_t flags)
{
    (void) event, (void) flags;
    ev->active = 0;
    return NGX_OK;
}

void
ngx_log_error_core(ngx_uint_t level, ngx_log_t *log, ngx_err_t err,
                   const char *fmt, ...)
{
    (void) level, (void) log, (void) err, (void) fmt;
}

void *
ngx_alloc(size_t size, ngx_log_t *log)
{
    (void) log;
    return malloc(size);
}

void *
ngx_pnalloc(ngx_pool_t *pool, size_t size)
{
    struct chunk *chunk = malloc(sizeof(*chunk) + size);

    CHECK(chunk != NULL);
    *chunk = (struct chunk){chunks, pool};
    chunks = chunk;
    return chunk + 1;
}

void *
ngx_palloc(ngx_pool_t *pool, size_t size)
{
    return ngx_pnalloc(pool, size);
}

void *
ngx_pcalloc(ngx_pool_t *pool, size_t size)
{
    return memset(ngx_pnalloc(pool, size), 0, size);
}

void
ngx_destroy_pool(ngx_pool_t *pool)
{
    struct chunk **at = &chunks;

    while (*at != NULL) {
        struct chunk *chunk = *at;

        if (chunk->pool == pool) {
            *at = chunk->next;
            free(chunk);
        } else {
            at = &chunk->next;
        }
    }
}

ngx_int_t
ngx_strncasecmp(u_char *one, u_char *two, size_t n)
{
    return strncasecmp((char *) one, (char *) two, n);
}

void
ngx_rbtree_insert(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    (void) tree, (void) node;
}

void
ngx_rbtree_delete(ngx_rbtree_t *tree, ngx_rbtree_node_t *node)
{
    (void) tree, (void) node;
}

ngx_int_t
ngx_handle_read_event(ngx_event_t *rev, ngx_uint_t flags)
{
    (void) flags;
    rev->active = 1;
    return NGX_OK;
}

/* Asked for again, it comes at once if there is room. */
ngx_int_t
ngx_handle_write_event(ngx_event_t *wev, size_t lowat)
{
    struct fake_socket *socket = wev->data;

    (void) lowat;
    if (!wev->active) {
        wev->active = 1;
        socket->write_news = true;
    }
    return NGX_OK;
}

ngx_int_t
ngx_tcp_nodelay(ngx_connection_t *c)
{
    (void) c;
    return NGX_OK;
}

ngx_int_t
ngx_http_write_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    (void) r, (void) in;
    return NGX_OK;
}

/* The one text that the relay makes. */
u_char *
ngx_sprintf(u_char *out, const char *fmt, ...)
{
    char text[32];
    va_list args;
    int n;

    CHECK(strcmp(fmt, "drain %M") == 0);
    va_start(args, fmt);
    n = snprintf(text, sizeof(text), "drain %lu",
                 (unsigned long) va_arg(args, ngx_msec_t));
    va_end(args);
    memcpy(out, text, (size_t) n);
    return out + n;
}

ngx_connection_t *
ngx_get_connection(ngx_socket_t fd, ngx_log_t *log)
{
    (void) fd, (void) log;
    return NULL;
}

void
ngx_free_connection(ngx_connection_t *c)
{
    (void) c;
}

void
ngx_http_run_posted_requests(ngx_connection_t *c)
{
    (void) c;
}

void *
ngx_array_push(ngx_array_t *array)
{
    (void) array;
    return NULL;
}

/* clock_gettime() of the module, by a macro. */
int fuzz_clock(clockid_t id, struct timespec *now);

int
fuzz_clock(clockid_t id, struct timespec *now)
{
    (void) id;
    now->tv_sec = (time_t) (ngx_current_msec / 1000);
    now->tv_nsec = (long) (ngx_current_msec % 1000) * 1000000;
    return 0;
}

/* --- what the relay takes from the rest of the module */

void
ngx_http_voice_count_rtt(uint64_t rtt)
{
    (void) rtt;
}

void
ngx_http_voice_count_broken(ngx_uint_t code)
{
    (void) code;
}

void
ngx_http_voice_count_stall(ngx_uint_t up, ngx_msec_t stall)
{
    (void) up, (void) stall;
}

void
ngx_http_voice_count_begin(ngx_http_voice_ctx_t *ctx)
{
    (void) ctx;
}

void
ngx_http_voice_count_closed(ngx_uint_t code)
{
    (void) code;
}

ngx_http_voice_block_t *
ngx_http_voice_get_block(ngx_log_t *log)
{
    ngx_http_voice_block_t *block = malloc(sizeof(*block));

    (void) log;
    CHECK(block != NULL);
    blocks++;
    block->next = NULL;
    block->pos = block->data + NGX_HTTP_VOICE_HEAD;
    block->last = block->pos;
    return block;
}

void
ngx_http_voice_put_block(ngx_http_voice_block_t *block)
{
    /* The word before the data: nobody has written there. */
    CHECK(block->next == NULL);
    blocks--;
    free(block);
}

void
ngx_http_voice_close_peer(ngx_http_voice_ctx_t *ctx, ngx_uint_t state)
{
    (void) state;
    if (session->upstream.peer.connection != NULL) {
        session->upstream.peer.connection = NULL;
        session->peer.closed = true;
        ctx->peer = NULL;
    }
    if (ctx->up.block) {
        ngx_http_voice_end_stall(ctx, &ctx->up);
        ngx_http_voice_put_block(ctx->up.block);
        ctx->up.block = NULL;
    }
}

/* The context goes at once: whoever touches it after this is found out. */
void
ngx_http_voice_finalize(ngx_http_voice_ctx_t *ctx, ngx_int_t rc)
{
    CHECK(ctx == session->ctx && ctx->phase != ngx_http_voice_done);
    ctx->phase = ngx_http_voice_done;
    ngx_http_voice_leave(ctx);
    ngx_http_voice_close_peer(ctx, 0);
    ngx_http_voice_deflate_end(ctx);
    if (ctx->pongs) {
        ngx_http_voice_put_block(ctx->pongs);
        ctx->pongs = NULL;
    }
    if (ctx->down.block) {
        ngx_http_voice_end_stall(ctx, &ctx->down);
        ngx_http_voice_put_block(ctx->down.block);
        ctx->down.block = NULL;
    }
    session->result = rc;
    session->client.closed = true;
    session->request.ctx[1] = NULL;
    session->ctx = NULL;
    free(ctx);
}

/* --- sockets */

static ssize_t
fake_recv(ngx_connection_t *c, u_char *buf, size_t size)
{
    struct fake_socket *socket = (struct fake_socket *) c;
    size_t n = socket->arrived - socket->taken;

    CHECK(!socket->closed);
    if (socket->broken) {
        c->read->ready = 0;
        return NGX_ERROR;
    }
    if (n == 0) {
        c->read->ready = 0;
        return socket->ends ? 0 : NGX_AGAIN;
    }
    n = n < size ? n : size;
    if (socket->cut_reads && n > 1) {
        n = 1 + dice_roll(&session->dice, (uint32_t) n);
    } else if (n < size && !socket->ends) {
        /* less than asked for: there is no more until the next event */
        c->read->ready = 0;
    }
    memcpy(buf, socket->in.data + socket->taken, n);
    socket->taken += n;
    return (ssize_t) n;
}

static ssize_t
fake_send(ngx_connection_t *c, u_char *buf, size_t size)
{
    struct fake_socket *socket = (struct fake_socket *) c;
    size_t n = size < socket->window ? size : socket->window;

    CHECK(!socket->closed && size > 0);
    if (socket->broken) {
        return NGX_ERROR;
    }
    if (n < size) {
        c->write->ready = 0;
    }
    if (n == 0) {
        return NGX_AGAIN;
    }
    bytes_add(&socket->out, buf, n);
    socket->window -= n;
    return (ssize_t) n;
}

static void
fake_socket_init(struct fake_session *s, struct fake_socket *socket)
{
    memset(socket, 0, sizeof(*socket));
    socket->c.read = &socket->read;
    socket->c.write = &socket->write;
    socket->c.recv = fake_recv;
    socket->c.send = fake_send;
    socket->c.log = &s->log;
    socket->c.fd = -1;
    socket->read.data = socket;
    socket->read.log = &s->log;
    socket->read.active = 1;
    socket->write.data = socket;
    socket->write.log = &s->log;
    socket->write.write = 1;
    socket->write.active = 1;
    socket->write.ready = 1;
    socket->window = SIZE_MAX;
    socket->told = true;
}

void
fake_arrive(struct fake_socket *socket, size_t count)
{
    size_t left = socket->in.count - socket->arrived;

    if (socket->ends || left == 0 || count == 0) {
        return;
    }
    socket->arrived += count < left ? count : left;
    socket->told = false;
}

void
fake_end(struct fake_socket *socket, bool broken)
{
    socket->ends = true;
    socket->broken = broken;
    socket->told = false;
}

void
fake_widen(struct fake_socket *socket, size_t count)
{
    socket->window =
        count > SIZE_MAX - socket->window ? SIZE_MAX : socket->window + count;
    if (count > 0) {
        socket->write_news = true;
    }
}

/* --- the session */

static void
worker_init(void)
{
    static ngx_core_conf_t conf = {.shutdown_timeout = 40000};
    static void *confs[1] = {&conf};
    static struct pollfd nobody;

    cycle.conf_ctx = (void ****) confs;
    ngx_queue_init(&ngx_http_voice_sessions);
    ngx_http_voice_draining = 0;
    ngx_http_voice_parting.elts = &nobody;
}

void
fake_session_drain(struct fake_session *s)
{
    ngx_connection_t watcher = {.data = s};
    ngx_event_t read = {.data = &watcher};

    if (!ngx_http_voice_draining) {
        ngx_http_voice_start_drain(&read);
    }
}

void
fake_session_init(struct fake_session *s, uint32_t seed)
{
    static void *locations[2], *contexts[2];

    CHECK(blocks == 0 && chunks == NULL);
    memset(s, 0, sizeof(*s));
    session = s;
    cycle.log = &s->log;
    dice_init(&s->dice, seed);
    worker_init();
    ngx_event_actions.del = delete_event;
    ngx_queue_init(&ngx_posted_next_events);
    ngx_queue_init(&ngx_posted_events);
    ngx_current_msec = 100000;
    fake_socket_init(s, &s->client);
    fake_socket_init(s, &s->peer);
    s->core.tcp_nodelay = 1;
    s->core.send_timeout = 60000;
    s->conf.upstream.send_timeout = 60000;
    s->conf.max_message_size = 24u << 20;
    s->conf.ping_interval = 20000;
    s->conf.ping_timeout = 10000;
    s->conf.deflate = 1;
    s->conf.deflate_level = 1;
    s->conf.deflate_min_length = 1000;
    locations[0] = &s->core;
    locations[1] = &s->conf;
    s->request.loc_conf = locations;
    s->request.ctx = contexts;
    s->request.connection = &s->client.c;
    s->request.main = &s->request;
    s->request.pool = (ngx_pool_t *) s;
    s->request.upstream = &s->upstream;
    s->request.header_in = &s->early;
    s->upstream.peer.connection = &s->peer.c;
    s->ctx = calloc(1, sizeof(*s->ctx));
    CHECK(s->ctx != NULL);
    contexts[1] = s->ctx;
    s->ctx->request = &s->request;
    s->ctx->client = &s->client.c;
    s->ctx->conf = &s->conf;
    s->ctx->phase = ngx_http_voice_upgrade;
}

static void
fake_socket_free(struct fake_socket *socket)
{
    bytes_free(&socket->in);
    bytes_free(&socket->out);
}

void
fake_session_deinit(struct fake_session *s)
{
    CHECK(s->ctx == NULL && blocks == 0);
    fake_socket_free(&s->client);
    fake_socket_free(&s->peer);
    ngx_destroy_pool(s->request.pool);
    CHECK(chunks == NULL);
}

static void
buffer_set(ngx_buf_t *buf, struct fake_socket *socket, size_t count)
{
    /* a buffer has an address even if nothing came */
    bytes_add(&socket->in, NULL, 0);
    count = count < socket->in.count ? count : socket->in.count;
    socket->arrived = socket->taken = count;
    buf->pos = socket->in.data;
    buf->last = buf->pos + count;
}

void
fake_session_offer(struct fake_session *s, const char *offer)
{
    static u_char name[] = "Sec-WebSocket-Extensions";
    size_t length = strlen(offer);

    s->offer.hash = 1;
    s->offer.key.data = name;
    s->offer.key.len = sizeof(name) - 1;
    s->offer.value.data = ngx_pnalloc(s->request.pool, length + 1);
    s->offer.value.len = length;
    memcpy(s->offer.value.data, offer, length + 1);
    s->request.headers_in.headers.part.elts = &s->offer;
    s->request.headers_in.headers.part.nelts = 1;
    CHECK(ngx_http_voice_agree(s->ctx) == NGX_OK);
}

void
fake_session_open(struct fake_session *s, size_t early, size_t rest)
{
    /* Any address of its own will do for a pool. */
    ngx_pool_t *pool = (ngx_pool_t *) &s->early;
    ngx_http_voice_answer_t *answer = ngx_pcalloc(pool, sizeof(*answer));

    answer->pool = pool;
    answer->input = ngx_pcalloc(pool, sizeof(ngx_buf_t));
    buffer_set(answer->input, &s->peer, rest);
    buffer_set(&s->early, &s->client, early);
    s->ctx->answer = answer;
    ngx_http_voice_open_relay(s->ctx);
}

/* As ngx_http_voice_peer_event() in an open session. */
static void
peer_event(struct fake_session *s, ngx_event_t *ev)
{
    ngx_http_voice_ctx_t *ctx = s->ctx;

    if (ev->timedout) {
        ngx_http_voice_peer_lost(ctx, "upstream timed out");
        ngx_http_voice_relay(ctx);
        return;
    }
    if (ev->write && ctx->up.block == NULL) {
        return;
    }
    ctx->down.readable = 1;
    ngx_http_voice_relay(ctx);
}

static void
event_run(struct fake_session *s, ngx_event_t *ev)
{
    if (ev == &s->client.read) {
        s->request.read_event_handler(&s->request);
    } else if (ev == &s->client.write) {
        s->request.write_event_handler(&s->request);
    } else {
        peer_event(s, ev);
    }
    /* A worker that shuts down waits for sessions by their timers alone. */
    CHECK(s->ctx == NULL || s->client.read.timer_set);
}

static bool
socket_turn(struct fake_session *s, struct fake_socket *socket)
{
    if (socket->closed) {
        return false;
    }
    if (!socket->told) {
        socket->told = true;
        socket->read.ready = 1;
        event_run(s, &socket->read);
        return true;
    }
    if (socket->write.active && socket->write_news && socket->window > 0) {
        socket->write_news = false;
        socket->write.ready = 1;
        event_run(s, &socket->write);
        return true;
    }
    return false;
}

bool
fake_session_turn(struct fake_session *s)
{
    ngx_queue_t *queues[] = {&ngx_posted_next_events, &ngx_posted_events};
    struct fake_socket *one = &s->client, *two = &s->peer;

    if (s->ctx == NULL) {
        return false;
    }
    for (size_t i = 0; i < 2; i++) {
        if (!ngx_queue_empty(queues[i])) {
            ngx_queue_t *q = ngx_queue_head(queues[i]);
            ngx_event_t *ev = ngx_queue_data(q, ngx_event_t, queue);

            ev->posted = 0;
            ngx_queue_remove(q);
            event_run(s, ev);
            return true;
        }
    }
    if (dice_roll(&s->dice, 2) == 0) {
        one = &s->peer;
        two = &s->client;
    }
    return socket_turn(s, one) || socket_turn(s, two);
}

static void
timer_run(struct fake_session *s, ngx_event_t *ev)
{
    struct fake_socket *socket = ev->data;

    if (s->ctx == NULL || socket->closed || !ev->timer_set
        || (ngx_msec_int_t) (ev->timer.key - ngx_current_msec) > 0) {
        return;
    }
    ev->timer_set = 0;
    ev->timedout = 1;
    event_run(s, ev);
}

void
fake_session_wait(struct fake_session *s, ngx_msec_t ms)
{
    ngx_current_msec += ms;
    timer_run(s, &s->client.read);
    timer_run(s, &s->client.write);
    timer_run(s, &s->peer.write);
    timer_run(s, &s->peer.read);
}

bool
fake_session_wait_timer(struct fake_session *s)
{
    ngx_event_t *all[] = {&s->client.read, &s->client.write, &s->peer.read,
                          &s->peer.write};
    ngx_msec_t least = (ngx_msec_t) -1;

    for (size_t i = 0; i < 4; i++) {
        struct fake_socket *socket = all[i]->data;
        ngx_msec_t left = all[i]->timer.key - ngx_current_msec;

        if (all[i]->timer_set && !socket->closed && left < least) {
            least = left;
        }
    }
    if (s->ctx == NULL || least == (ngx_msec_t) -1) {
        return false;
    }
    fake_session_wait(s, least);
    return true;
}
