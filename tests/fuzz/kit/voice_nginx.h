/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * As much of NGINX as the relay of ngx_http_voice_module needs: one request
 * whose two connections are arrays, events as edge-triggered epoll gives them,
 * and a clock that stands still. The files of the module are linked as they
 * are; their blocks come from malloc one by one, each with a canary, so that
 * AddressSanitizer sees who leaves one.
 */

#ifndef FUZZ_VOICE_NGINX_H
#define FUZZ_VOICE_NGINX_H

#include "ngx_http_voice_deflate.h"

#include "kit/reading.h"
#include "kit/script.h"

/* A socket: what its far end sends and has got. */
struct fake_socket {
    ngx_connection_t c; /* first */
    ngx_event_t read, write;
    struct bytes in;  /* all that the far end sends */
    size_t arrived;   /* bytes of it that can be read */
    size_t taken;     /* that were */
    struct bytes out; /* what the far end has got */
    size_t window;    /* bytes that it takes now */
    bool ends;        /* behind what arrived comes the end of file */
    bool broken;      /* reads and writes fail */
    bool closed;      /* by the module */
    bool told;        /* there is no news for the reader */
    bool write_news;  /* a write event is due once it is asked for */
    bool cut_reads;   /* gives less than there is, as TLS does */
};

struct fake_session {
    struct fake_socket client, peer;
    ngx_http_request_t request;
    ngx_http_upstream_t upstream;
    ngx_http_core_loc_conf_t core;
    ngx_http_voice_loc_conf_t conf;
    ngx_http_voice_ctx_t *ctx; /* NULL once it was finalized */
    ngx_int_t result;
    ngx_buf_t early;
    ngx_table_elt_t offer;
    ngx_log_t log;
    struct dice dice;
};

/* One at a time. conf's times and sizes are set, and may be changed. */
void fake_session_init(struct fake_session *s, uint32_t seed);
/* Frees everything; fails when the module kept a block or a pool. */
void fake_session_deinit(struct fake_session *s);

/* Before that: the client offers these extensions, and what is agreed on is
 * in ctx->deflate. */
void fake_session_offer(struct fake_session *s, const char *offer);

/* As after the 101: `early` bytes of the client came with the handshake,
 * `rest` bytes of the upstream with the header of its answer. */
void fake_session_open(struct fake_session *s, size_t early, size_t rest);

/* News of a socket; the module is told by fake_session_turn(). */
void fake_arrive(struct fake_socket *socket, size_t count);
void fake_end(struct fake_socket *socket, bool broken);
void fake_widen(struct fake_socket *socket, size_t count);

/* The worker begins to shut down; once in a session. */
void fake_session_drain(struct fake_session *s);

/* Delivers one event, if there is any; false: nothing was to be done. */
bool fake_session_turn(struct fake_session *s);

/* Moves the clock; timers that are due are events. */
void fake_session_wait(struct fake_session *s, ngx_msec_t ms);
/* To the next timer; false when none is set. */
bool fake_session_wait_timer(struct fake_session *s);

#endif
