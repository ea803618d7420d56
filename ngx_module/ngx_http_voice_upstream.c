/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The connection to a peer of the upstream{} block: select, connect, send the
 * request, try the next one, and let go exactly once.
 */


#include "ngx_http_voice_deflate.h"


static void ngx_http_voice_connect_peer(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_push_state(ngx_http_voice_ctx_t *ctx);
static void ngx_http_voice_peer_handler(ngx_event_t *ev);
static void ngx_http_voice_peer_event(ngx_http_voice_ctx_t *ctx,
    ngx_event_t *ev);
static void ngx_http_voice_send_request(ngx_http_voice_ctx_t *ctx);
static ngx_int_t ngx_http_voice_test_connect(ngx_connection_t *c);
static void ngx_http_voice_check_client_read(ngx_http_request_t *r);
static void ngx_http_voice_check_client_write(ngx_http_request_t *r);
static void ngx_http_voice_check_client(ngx_http_request_t *r,
    ngx_event_t *ev);
static void ngx_http_voice_cleanup(void *data);
static void ngx_http_voice_release(ngx_http_voice_ctx_t *ctx);


/* ends the request if it fails; the caller has counted it */

void
ngx_http_voice_start(ngx_http_voice_ctx_t *ctx)
{
    ngx_connection_t    *c;
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        ngx_http_finalize_request(r, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    cln->handler = ngx_http_voice_cleanup;
    cln->data = ctx;

    if (ngx_http_voice_init_upstream(ctx) != NGX_OK
        || ngx_http_voice_create_request(ctx) != NGX_OK)
    {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);

    } else if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    r->read_event_handler = ngx_http_voice_check_client_read;
    r->write_event_handler = ngx_http_voice_check_client_write;

    ngx_http_voice_connect_peer(ctx);
}


static void
ngx_http_voice_connect_peer(ngx_http_voice_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_connection_t     *pc;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    ctx->phase = ngx_http_voice_connect;
    r->connection->log->action = "connecting to upstream";

    if (ngx_http_voice_push_state(ctx) != NGX_OK) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    rc = ngx_event_connect_peer(&u->peer);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "voice connect: %i", rc);

    if (rc == NGX_ERROR) {
        ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    u->state->peer = u->peer.name;

    if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "no live upstreams");
        ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_NOLIVE);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_ERROR);
        return;
    }

    /* rc == NGX_OK || rc == NGX_AGAIN || rc == NGX_DONE */

    pc = u->peer.connection;

    pc->requests++;
    pc->data = ctx;
    pc->log = r->connection->log;
    pc->read->log = pc->log;
    pc->write->log = pc->log;
    pc->read->handler = ngx_http_voice_peer_handler;
    pc->write->handler = ngx_http_voice_peer_handler;

    ctx->answer->request->pos = ctx->answer->request->start;

    if (rc == NGX_AGAIN) {
        ngx_add_timer(pc->write, ctx->conf->upstream.connect_timeout);
        return;
    }

    ngx_http_voice_send_request(ctx);
}


static ngx_int_t
ngx_http_voice_push_state(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (u->state && u->state->response_time == (ngx_msec_t) -1) {
        u->state->response_time = ngx_current_msec - u->start_time;
    }

    u->state = ngx_array_push(ctx->request->upstream_states);
    if (u->state == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(u->state, sizeof(ngx_http_upstream_state_t));

    u->start_time = ngx_current_msec;

    u->state->response_time = (ngx_msec_t) -1;
    u->state->connect_time = (ngx_msec_t) -1;
    u->state->header_time = (ngx_msec_t) -1;

    return NGX_OK;
}


static void
ngx_http_voice_peer_handler(ngx_event_t *ev)
{
    ngx_connection_t      *pc, *c;
    ngx_http_voice_ctx_t  *ctx;

    pc = ev->data;
    ctx = pc->data;
    c = ctx->client;

    if (pc->close) {
        /* worker_shutdown_timeout has passed */
        ngx_http_voice_farewell(ctx);
        ngx_http_voice_finalize(ctx, NGX_ERROR);

    } else {
        ngx_http_voice_peer_event(ctx, ev);
    }

    ngx_http_run_posted_requests(c);
}


static void
ngx_http_voice_peer_event(ngx_http_voice_ctx_t *ctx, ngx_event_t *ev)
{
    switch (ctx->phase) {

    case ngx_http_voice_connect:
    case ngx_http_voice_send:

        if (ev->timedout) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_TIMEOUT);

        } else if (ev->write || ctx->phase == ngx_http_voice_send) {
            ngx_http_voice_send_request(ctx);
        }

        return;

    case ngx_http_voice_answer:

        if (ev->timedout) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_TIMEOUT);

        } else if (!ev->write) {
            ngx_http_voice_read_answer(ctx);
        }

        return;

    case ngx_http_voice_response:

        if (ev->timedout || !ev->write) {
            ngx_http_voice_pass_body(ctx);
        }

        return;

    case ngx_http_voice_open:
    case ngx_http_voice_close:

        if (ev->timedout) {
            ngx_http_voice_peer_lost(ctx, "upstream timed out");
            ngx_http_voice_relay(ctx);
            return;
        }

        /* nothing waits for this socket to become writable */

        if (ev->write && ctx->up.block == NULL) {
            return;
        }

        ctx->down.readable = 1;

        ngx_http_voice_relay(ctx);
        return;

    default: /* ngx_http_voice_upgrade, ngx_http_voice_done */
        return;
    }
}


static void
ngx_http_voice_send_request(ngx_http_voice_ctx_t *ctx)
{
    ssize_t               n;
    ngx_buf_t            *b;
    ngx_connection_t     *pc;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;
    pc = u->peer.connection;
    b = ctx->answer->request;

    if (ctx->phase == ngx_http_voice_connect) {

        if (ngx_http_voice_test_connect(pc) != NGX_OK) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_ERROR);
            return;
        }

        u->state->connect_time = ngx_current_msec - u->start_time;
        ctx->phase = ngx_http_voice_send;
        pc->log->action = "sending request to upstream";
    }

    while (b->pos < b->last) {

        n = pc->send(pc, b->pos, b->last - b->pos);

        if (n == NGX_ERROR) {
            ngx_http_voice_next(ctx, NGX_HTTP_UPSTREAM_FT_ERROR);
            return;
        }

        if (n <= 0) {
            ngx_add_timer(pc->write, ctx->conf->upstream.send_timeout);

            if (ngx_handle_write_event(pc->write, 0) != NGX_OK) {
                ngx_http_voice_finalize(ctx, NGX_HTTP_INTERNAL_SERVER_ERROR);
            }

            return;
        }

        b->pos += n;
    }

    if (pc->write->timer_set) {
        ngx_del_timer(pc->write);
    }

    ctx->phase = ngx_http_voice_answer;
    pc->log->action = "reading response header from upstream";

    ngx_add_timer(pc->read, ctx->conf->upstream.read_timeout);

    ngx_http_voice_read_answer(ctx);
}


static ngx_int_t
ngx_http_voice_test_connect(ngx_connection_t *c)
{
    int        err;
    socklen_t  len;

    err = 0;
    len = sizeof(int);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, (void *) &err, &len) == -1) {
        err = ngx_socket_errno;
    }

    if (err) {
        (void) ngx_connection_error(c, err, "connect() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* the request goes to another peer, or ends: nothing was sent to the client */

void
ngx_http_voice_next(ngx_http_voice_ctx_t *ctx, ngx_uint_t ft_type)
{
    ngx_msec_t            timeout;
    ngx_uint_t            status;
    ngx_http_request_t   *r;
    ngx_http_upstream_t  *u;

    r = ctx->request;
    u = r->upstream;

    if (ft_type == NGX_HTTP_UPSTREAM_FT_TIMEOUT) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, NGX_ETIMEDOUT,
                      "upstream timed out");
    }

    /* a stale connection of a keepalive cache is no failed peer */

    if (u->peer.cached && ft_type == NGX_HTTP_UPSTREAM_FT_ERROR) {
        u->peer.tries++;
    }

    ngx_http_voice_close_peer(ctx,
                              ft_type == NGX_HTTP_UPSTREAM_FT_HTTP_429
                              ? NGX_PEER_NEXT : NGX_PEER_FAILED);

    switch (ft_type) {

    case NGX_HTTP_UPSTREAM_FT_TIMEOUT:
        status = NGX_HTTP_GATEWAY_TIME_OUT;
        break;

    case NGX_HTTP_UPSTREAM_FT_HTTP_500:
        status = NGX_HTTP_INTERNAL_SERVER_ERROR;
        break;

    case NGX_HTTP_UPSTREAM_FT_HTTP_503:
        status = NGX_HTTP_SERVICE_UNAVAILABLE;
        break;

    case NGX_HTTP_UPSTREAM_FT_HTTP_429:
        status = NGX_HTTP_TOO_MANY_REQUESTS;
        break;

    default:
        status = NGX_HTTP_BAD_GATEWAY;
    }

    u->state->status = status;
    timeout = u->conf->next_upstream_timeout;

    ngx_http_voice_count_failed(ft_type);

    if (u->peer.tries == 0
        || (u->conf->next_upstream & ft_type) != ft_type
        || (timeout && ngx_current_msec - u->peer.start_time >= timeout))
    {
        ngx_http_voice_finalize(ctx, status);
        return;
    }

    ngx_http_voice_count(retries);
    ngx_http_voice_connect_peer(ctx);
}


/* both the connection and the peer are given back, once */

void
ngx_http_voice_close_peer(ngx_http_voice_ctx_t *ctx, ngx_uint_t state)
{
    ngx_connection_t     *pc;
    ngx_http_upstream_t  *u;

    u = ctx->request->upstream;

    if (u == NULL) {
        return;
    }

    pc = u->peer.connection;

    if (u->state && u->state->response_time == (ngx_msec_t) -1) {
        u->state->response_time = ngx_current_msec - u->start_time;

        if (pc) {
            u->state->bytes_sent = pc->sent;
            u->state->bytes_received += ctx->received;
        }
    }

    if (u->peer.free && u->peer.sockaddr) {
        u->peer.free(&u->peer, u->peer.data, state);
        u->peer.sockaddr = NULL;
    }

    pc = u->peer.connection;

    if (pc) {
        ngx_log_debug1(NGX_LOG_DEBUG_HTTP, ctx->request->connection->log, 0,
                       "close voice upstream connection: %d", pc->fd);

        if (pc->pool) {
            ngx_destroy_pool(pc->pool);
        }

        ngx_close_connection(pc);
        u->peer.connection = NULL;
        ctx->peer = NULL;
    }

    if (ctx->up.block) {
        ngx_http_voice_end_stall(ctx, &ctx->up);
        ngx_http_voice_put_block(ctx->up.block);
        ctx->up.block = NULL;
    }
}


void
ngx_http_voice_finalize(ngx_http_voice_ctx_t *ctx, ngx_int_t rc)
{
    ngx_http_request_t  *r;

    r = ctx->request;

    if (ctx->phase == ngx_http_voice_done) {
        return;
    }

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "finalize voice session: %i", rc);

    ngx_http_voice_count_end(ctx, rc);
    ngx_http_voice_release(ctx);

    r->connection->log->action = "sending to client";
    r->read_event_handler = ngx_http_block_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    ngx_http_finalize_request(r, rc);
}


static void
ngx_http_voice_release(ngx_http_voice_ctx_t *ctx)
{
    ngx_http_voice_phase_e  phase;

    phase = ctx->phase;
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

    /* a response keeps it as long as the request lives */

    if (ctx->answer && phase != ngx_http_voice_response) {
        ngx_destroy_pool(ctx->answer->pool);
    }

    ctx->answer = NULL;
}


/* the request ends without us: a worker that shuts down, most likely */

static void
ngx_http_voice_cleanup(void *data)
{
    ngx_http_voice_ctx_t *ctx = data;

    if (ctx->phase == ngx_http_voice_done) {
        return;
    }

    ngx_http_voice_farewell(ctx);
    ngx_http_voice_count_end(ctx, NGX_ERROR);
    ngx_http_voice_release(ctx);
}


static void
ngx_http_voice_check_client_read(ngx_http_request_t *r)
{
    ngx_http_voice_check_client(r, r->connection->read);
}


static void
ngx_http_voice_check_client_write(ngx_http_request_t *r)
{
    ngx_http_voice_check_client(r, r->connection->write);
}


/* bytes of a client that may not speak yet stay in its socket */

static void
ngx_http_voice_check_client(ngx_http_request_t *r, ngx_event_t *ev)
{
    int                    n;
    char                   buf[1];
    ngx_err_t              err;
    ngx_connection_t      *c;
    ngx_http_voice_ctx_t  *ctx;

    c = r->connection;
    ctx = ngx_http_get_module_ctx(r, ngx_http_voice_module);

    err = 0;

    if (!c->error && !ev->pending_eof) {

        n = recv(c->fd, buf, 1, MSG_PEEK);
        err = ngx_socket_errno;

        if (n > 0 || (n == -1 && err == NGX_EAGAIN)) {
            return;
        }

        if (n == 0) {
            err = 0;
        }
    }

    ev->eof = 1;
    c->error = 1;

    ngx_log_error(NGX_LOG_INFO, ev->log, err,
                  "client prematurely closed connection, "
                  "so upstream connection is closed too");

    ngx_http_voice_finalize(ctx, NGX_HTTP_CLIENT_CLOSED_REQUEST);
}
