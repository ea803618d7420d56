/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The parts of ngx_http_voice_module and what they share.
 *
 * A session is a request whose content handler is ngx_http_voice_handler().
 * It goes through the phases below; every function that ends a phase is the
 * last thing its caller does.
 *
 *   CONNECT -> SEND -> ANSWER -> UPGRADE -> RELAY -> CLOSE
 *                            \-> RESPONSE
 */


#ifndef _NGX_HTTP_VOICE_H_INCLUDED_
#define _NGX_HTTP_VOICE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_voice_conf.h"
#include "ngx_http_voice_count.h"
#include "codec/ws_frame.h"


#define NGX_HTTP_VOICE_BLOCK_SIZE   32768
#define NGX_HTTP_VOICE_SPARE        32     /* idle blocks kept by a worker */

/*
 * Free space at both ends of a block's data: in front for the headers that
 * are put before what was read, behind for the frames that end a stream.
 */
#define NGX_HTTP_VOICE_HEAD         16
#define NGX_HTTP_VOICE_TAIL         64

#define NGX_HTTP_VOICE_ROUNDS       4      /* blocks moved per event */
#define NGX_HTTP_VOICE_POLICY_MAX   32768
#define NGX_HTTP_VOICE_PING_SIZE    4

#define NGX_HTTP_VOICE_FCGI_HEADER  8
#define NGX_HTTP_VOICE_FCGI_MAX     65528

/* record types of FastCGI 1.0, section 8 */

#define NGX_HTTP_VOICE_BEGIN_REQUEST  1
#define NGX_HTTP_VOICE_ABORT_REQUEST  2
#define NGX_HTTP_VOICE_END_REQUEST    3
#define NGX_HTTP_VOICE_PARAMS         4
#define NGX_HTTP_VOICE_STDIN          5
#define NGX_HTTP_VOICE_STDOUT         6
#define NGX_HTTP_VOICE_STDERR         7


typedef struct ngx_http_voice_block_s  ngx_http_voice_block_t;
typedef struct ngx_http_voice_deflate_s  ngx_http_voice_deflate_t;
typedef struct ngx_http_voice_ctx_s  ngx_http_voice_ctx_t;

struct ngx_http_voice_block_s {
    u_char                        *pos;
    u_char                        *last;
    ngx_http_voice_block_t        *next;
    u_char                         data[NGX_HTTP_VOICE_BLOCK_SIZE];
};


typedef enum {
    ngx_http_voice_connect = 0,
    ngx_http_voice_send,        /* the request goes to the upstream */
    ngx_http_voice_answer,      /* its answer is awaited */
    ngx_http_voice_response,    /* which is an ordinary response */
    ngx_http_voice_upgrade,     /* which is a 101 that goes to the client */
    ngx_http_voice_open,        /* frames go both ways */
    ngx_http_voice_close,       /* no more frames from the client */
    ngx_http_voice_done
} ngx_http_voice_phase_e;


/*
 * One direction of a session: from a socket that is readable until a read
 * told otherwise, to one that is waited for once it did not take a block.
 */

typedef struct {
    unsigned                       readable:1;
    unsigned                       waiting:1;

    ngx_http_voice_block_t        *block;    /* what the socket did not take */
    ngx_msec_t                     stalled;  /* since when */

    uint64_t                       left;     /* payload bytes to come */
    struct ws_frame                frame;
    struct ws_decoder              decoder;

    uint64_t                       messages;
    uint64_t                       bytes;

    u_char                         control[WS_CONTROL_MAX];
    u_char                         control_len;
} ngx_http_voice_leg_t;


/* the client's way is over: what comes down is read for its end alone */

#define ngx_http_voice_is_deaf(ctx)                                           \
    ((ctx)->need_close || (ctx)->close_sent || (ctx)->client_gone)


/* what is read from the upstream, cut into the contents of its records */

typedef struct {
    size_t                         content;
    size_t                         padding;
    u_char                         header[NGX_HTTP_VOICE_FCGI_HEADER];
    u_char                         have;
    u_char                         type;
} ngx_http_voice_record_t;


/* memory that is needed until the answer was read, in a pool of its own */

typedef struct {
    ngx_pool_t                    *pool;
    ngx_buf_t                     *request;
    ngx_buf_t                     *header;    /* CGI header of the answer */
    ngx_buf_t                     *input;     /* what was read behind it */
    ngx_list_t                    *headers;   /* of ngx_table_elt_t */
    ngx_uint_t                     status;
    ngx_str_t                      status_line;
    ngx_chain_t                   *busy;      /* of an ordinary response */
    off_t                          left;      /* of its length, -1: unknown */
    unsigned                       ended:1;
} ngx_http_voice_answer_t;


/*
 * With many sessions each event finds its session in no cache, so what a
 * message touches stands together, in front, and is touched only if needed.
 */

struct ngx_http_voice_ctx_s {
    ngx_http_request_t            *request;
    ngx_connection_t              *client;
    ngx_connection_t              *peer;      /* NULL unless frames pass */
    ngx_http_voice_loc_conf_t     *conf;
    ngx_http_voice_deflate_t      *deflate;   /* NULL: not agreed on */

    ngx_http_voice_phase_e         phase;

    /* frames that wait for the client's socket */
    unsigned                       need_ping:1;
    unsigned                       need_close:1;

    unsigned                       ping_sent:1;
    unsigned                       close_set:1;    /* code and reason stand */
    unsigned                       close_sent:1;   /* to the client */
    unsigned                       closed:1;       /* client isn't read */
    unsigned                       confirmed:1;    /* its Close came */
    unsigned                       client_gone:1;
    unsigned                       up_ended:1;     /* STDIN is at its end */
    unsigned                       need_end:1;
    unsigned                       need_abort:1;
    unsigned                       measured:1;
    unsigned                       need_drain:1;

    /* frames came together with the handshake */
    unsigned                       early:1;

    unsigned                       counted:1;      /* among the live ones */

    size_t                         message;   /* bytes of the one going up */
    ngx_msec_t                     active;    /* a message passed */
    struct ws_utf8                 utf8;

    ngx_http_voice_record_t        record;
    off_t                          received;  /* from the upstream */
    off_t                          heard;     /* from the client */

    ngx_http_voice_leg_t           up;
    ngx_http_voice_leg_t           down;

    ngx_http_voice_answer_t       *answer;

    ngx_http_voice_block_t        *pongs;     /* wait for the client's socket */

    uint16_t                       close_code;
    ngx_str_t                      close_reason;
    ngx_str_t                      session_id;
    ngx_queue_t                    queue;     /* of the worker's sessions */

    /* why the upstream ends first, the client unread until our Close */
    char                          *held;
    ngx_msec_t                     held_since;

    ngx_msec_t                     started;
    ngx_msec_t                     pinged;
    off_t                          unheard;   /* heard, when last looked at */
    ngx_msec_t                     stall;     /* total, milliseconds */
    uint64_t                       ping_time; /* microseconds */
    uint32_t                       rtt;       /* microseconds */
    uint32_t                       ping;      /* payload of the last one */
    uint32_t                       noise;     /* STDERR bytes logged */
};


/* ngx_http_voice_variables.c */
ngx_int_t ngx_http_voice_add_variables(ngx_conf_t *cf);

/* ngx_http_voice_handshake.c */

ngx_int_t ngx_http_voice_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_voice_push_header(ngx_http_request_t *r, ngx_str_t *name,
    ngx_str_t *value);
ngx_int_t ngx_http_voice_send_upgrade(ngx_http_voice_ctx_t *ctx);
ngx_str_t *ngx_http_voice_header(ngx_http_request_t *r, char *lowcase,
    ngx_uint_t *count);
ngx_uint_t ngx_http_voice_offers(ngx_http_request_t *r, char *lowcase,
    u_char *token, size_t len);

/* ngx_http_voice_refuse.c */

#define NGX_HTTP_VOICE_UPGRADE_REQUIRED  426

ngx_int_t ngx_http_voice_refuse(ngx_http_request_t *r, ngx_uint_t status,
    char *text);

/* ngx_http_voice_origin.c */
ngx_uint_t ngx_http_voice_origin_is_allowed(ngx_http_request_t *r,
    ngx_http_voice_loc_conf_t *vlcf, ngx_str_t *origin);

/* ngx_http_voice_fastcgi.c */

ngx_int_t ngx_http_voice_init_params(ngx_conf_t *cf);
ngx_int_t ngx_http_voice_create_request(ngx_http_voice_ctx_t *ctx);
ngx_str_t *ngx_http_voice_request_id(ngx_http_request_t *r);

/* ngx_http_voice_record.c */

u_char *ngx_http_voice_put_record(u_char *p, ngx_uint_t type, size_t content,
    size_t padding);
ngx_int_t ngx_http_voice_parse_record(ngx_http_voice_record_t *record,
    u_char **pos, u_char *last);
void ngx_http_voice_log_stderr(ngx_http_voice_ctx_t *ctx, u_char *pos,
    size_t size);

/* ngx_http_voice_peer.c */
ngx_int_t ngx_http_voice_init_upstream(ngx_http_voice_ctx_t *ctx);

/* ngx_http_voice_upstream.c */

void ngx_http_voice_start(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_next(ngx_http_voice_ctx_t *ctx, ngx_uint_t ft_type);
void ngx_http_voice_finalize(ngx_http_voice_ctx_t *ctx, ngx_int_t rc);
void ngx_http_voice_close_peer(ngx_http_voice_ctx_t *ctx, ngx_uint_t state);

/* ngx_http_voice_answer.c: the header of the upstream's answer */
void ngx_http_voice_read_answer(ngx_http_voice_ctx_t *ctx);

/* ngx_http_voice_response.c: an answer that is no 101 */

void ngx_http_voice_send_response(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_pass_body(ngx_http_voice_ctx_t *ctx);

/* ngx_http_voice_open.c */
void ngx_http_voice_open_relay(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_finish_upgrade(ngx_http_voice_ctx_t *ctx);

/* ngx_http_voice_relay.c: the pump */

void ngx_http_voice_relay(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_client_read(ngx_http_request_t *r);
void ngx_http_voice_client_write(ngx_http_request_t *r);

/*
 * ngx_http_voice_flush.c: what a leg holds goes out, whether it did; and its
 * socket is waited for
 */

ngx_uint_t ngx_http_voice_flush_up(ngx_http_voice_ctx_t *ctx);
ngx_uint_t ngx_http_voice_flush_down(ngx_http_voice_ctx_t *ctx);
ngx_int_t ngx_http_voice_arm(ngx_http_voice_ctx_t *ctx);

/*
 * ngx_http_voice_up.c, ngx_http_voice_down.c: a block of what one side sent
 * becomes, in place, what is sent to the other
 */

void ngx_http_voice_up(ngx_http_voice_ctx_t *ctx, ngx_http_voice_block_t *b);
u_char *ngx_http_voice_up_header(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char **pos, u_char *last);
u_char *ngx_http_voice_up_data(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *in, size_t size);
u_char *ngx_http_voice_up_control(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *in, size_t size);
ngx_uint_t ngx_http_voice_has_input(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_up_record(ngx_http_voice_block_t *b, u_char *out);
void ngx_http_voice_end_up(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_block_t *b);
void ngx_http_voice_down(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_block_t *b);
ngx_uint_t ngx_http_voice_down_record(ngx_http_voice_ctx_t *ctx, u_char **pos,
    u_char *last);
u_char *ngx_http_voice_down_header(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char **pos, u_char *last);
u_char *ngx_http_voice_down_data(ngx_http_voice_ctx_t *ctx, u_char *out,
    u_char *in, size_t size);
void ngx_http_voice_down_control(ngx_http_voice_ctx_t *ctx, u_char *in,
    size_t size);
void ngx_http_voice_pong(ngx_http_voice_ctx_t *ctx, u_char *data,
    size_t size);
void ngx_http_voice_control(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_block_t *b);
u_char *ngx_http_voice_fragment(ngx_http_voice_leg_t *leg, u_char *out,
    u_char *in, size_t size);

/* ngx_http_voice_session.c: timers, and how a session ends */

void ngx_http_voice_set_close(ngx_http_voice_ctx_t *ctx, ngx_uint_t code,
    u_char *reason, size_t len);
void ngx_http_voice_fail(ngx_http_voice_ctx_t *ctx, ngx_uint_t code,
    char *reason);
void ngx_http_voice_peer_lost(ngx_http_voice_ctx_t *ctx, char *reason);
void ngx_http_voice_client_lost(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_timer(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_set_timer(ngx_http_voice_ctx_t *ctx);
uint64_t ngx_http_voice_time(void);
void ngx_http_voice_farewell(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_end_stall(ngx_http_voice_ctx_t *ctx,
    ngx_http_voice_leg_t *leg);

/* ngx_http_voice_count.c */

void ngx_http_voice_count_begin(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_count_end(ngx_http_voice_ctx_t *ctx, ngx_int_t rc);

/* ngx_http_voice_drain.c: a worker that shuts down, and its sessions */

ngx_int_t ngx_http_voice_init_process(ngx_cycle_t *cycle);
void ngx_http_voice_exit_process(ngx_cycle_t *cycle);
void ngx_http_voice_enter(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_leave(ngx_http_voice_ctx_t *ctx);
void ngx_http_voice_linger(ngx_connection_t *c);
ngx_msec_t ngx_http_voice_drain_left(ngx_http_voice_ctx_t *ctx);
ngx_http_voice_block_t *ngx_http_voice_drain_notice(
    ngx_http_voice_ctx_t *ctx);

/* ngx_http_voice_block.c */
ngx_http_voice_block_t *ngx_http_voice_get_block(ngx_log_t *log);
void ngx_http_voice_put_block(ngx_http_voice_block_t *block);


extern ngx_module_t  ngx_http_voice_module;


#endif /* _NGX_HTTP_VOICE_H_INCLUDED_ */
