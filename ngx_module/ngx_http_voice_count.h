/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The module's counters.
 *
 *   worker -> its own slot of a shared zone  \
 *   worker -> its own slot                    > summed -> voice_status
 *   slots of workers that are gone -> retired/
 *
 * A slot is written by one worker alone, so counting is a plain addition in
 * memory that no other processor writes; who sums them takes the zone's mutex
 * only to keep slots from changing hands meanwhile.  A process that has no
 * slot (the master, a helper, a worker when all slots are taken) counts into
 * memory of its own that nobody reads: counting never asks.
 */


#ifndef _NGX_HTTP_VOICE_COUNT_H_INCLUDED_
#define _NGX_HTTP_VOICE_COUNT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#define NGX_HTTP_VOICE_CLOSED_N    16
#define NGX_HTTP_VOICE_CLOSED_NONE 14
#define NGX_HTTP_VOICE_REFUSED_N   12
#define NGX_HTTP_VOICE_FAILED_N    8
#define NGX_HTTP_VOICE_BROKEN_N    4
#define NGX_HTTP_VOICE_RTT_N       10
#define NGX_HTTP_VOICE_WORKER_N    6      /* of the first, told per worker */


/* what the message path touches stands in front, in one cache line */

typedef enum {
    ngx_http_voice_n_live = 0,            /* the only one that goes down */
    ngx_http_voice_n_opened,
    ngx_http_voice_n_messages_up,
    ngx_http_voice_n_messages_down,
    ngx_http_voice_n_bytes_up,
    ngx_http_voice_n_bytes_down,

    ngx_http_voice_n_pings,
    ngx_http_voice_n_rtt_sum,             /* microseconds */
    ngx_http_voice_n_rtt,                 /* a class each, not cumulative */

    ngx_http_voice_n_stalls_up
                      = ngx_http_voice_n_rtt + NGX_HTTP_VOICE_RTT_N,
    ngx_http_voice_n_stalls_down,
    ngx_http_voice_n_stall_up,            /* milliseconds */
    ngx_http_voice_n_stall_down,

    /* permessage-deflate; without frame headers */
    ngx_http_voice_n_deflate_sessions,
    ngx_http_voice_n_deflate_messages_up,
    ngx_http_voice_n_deflate_messages_down,
    ngx_http_voice_n_deflate_packed_up,   /* bytes on the client's wire */
    ngx_http_voice_n_deflate_packed_down,
    ngx_http_voice_n_deflate_plain_up,    /* bytes that they stand for */
    ngx_http_voice_n_deflate_plain_down,

    ngx_http_voice_n_drained,
    ngx_http_voice_n_abandoned,
    ngx_http_voice_n_retries,
    ngx_http_voice_n_lost,

    ngx_http_voice_n_closed,
    ngx_http_voice_n_refused
                      = ngx_http_voice_n_closed + NGX_HTTP_VOICE_CLOSED_N,
    ngx_http_voice_n_failed
                      = ngx_http_voice_n_refused + NGX_HTTP_VOICE_REFUSED_N,
    ngx_http_voice_n_broken
                      = ngx_http_voice_n_failed + NGX_HTTP_VOICE_FAILED_N,

    ngx_http_voice_n
                      = ngx_http_voice_n_broken + NGX_HTTP_VOICE_BROKEN_N
} ngx_http_voice_n_e;


/* values that count as one, and the name of them in both formats */

typedef struct {
    ngx_str_t                      name;
    uint64_t                       first;
    uint64_t                       last;
} ngx_http_voice_class_t;


typedef struct {
    ngx_pid_t                      pid;
    ngx_uint_t                     worker;
    ngx_uint_t                     draining;  /* of an older configuration */
    uint64_t                       counts[NGX_HTTP_VOICE_WORKER_N];
} ngx_http_voice_worker_t;


typedef struct {
    uint64_t                       counts[ngx_http_voice_n];
    ngx_http_voice_worker_t       *workers;   /* in the pool of a request */
    ngx_uint_t                     nworkers;
} ngx_http_voice_snapshot_t;


typedef struct ngx_http_voice_zone_s  ngx_http_voice_zone_t;

typedef struct {
    ngx_shm_zone_t                *shm_zone;    /* NULL: nothing to count */
    ngx_http_voice_zone_t         *zone;
    ngx_uint_t                     generation;  /* of the configuration */
} ngx_http_voice_status_conf_t;


/* called on every message: an addition each, no call */

#define ngx_http_voice_count_add(n, by)                                       \
    (void) (ngx_http_voice_counts[n] += (by))

#define ngx_http_voice_count(n)                                               \
    ngx_http_voice_count_add(ngx_http_voice_n_ ## n, 1)

#define ngx_http_voice_count_data(way, size, fin)                             \
    (void) (ngx_http_voice_counts[ngx_http_voice_n_bytes_ ## way] += (size),  \
            ngx_http_voice_counts[ngx_http_voice_n_messages_ ## way] +=       \
                                                               (fin) ? 1 : 0)

/* bytes of compressed messages, as they come; fin: one of them is complete */

#define ngx_http_voice_count_deflate(way, packed, plain, fin)                 \
    (void) (ngx_http_voice_counts[ngx_http_voice_n_deflate_packed_ ## way]    \
                                                               += (packed),   \
            ngx_http_voice_counts[ngx_http_voice_n_deflate_plain_ ## way]     \
                                                               += (plain),    \
            ngx_http_voice_counts[ngx_http_voice_n_deflate_messages_ ## way]  \
                                                            += (fin) ? 1 : 0)


/* rarer events, by the class of a value */

void ngx_http_voice_count_refused(ngx_uint_t status);
void ngx_http_voice_count_closed(ngx_uint_t code);
void ngx_http_voice_count_failed(ngx_uint_t ft_type);
void ngx_http_voice_count_rtt(uint64_t rtt);
void ngx_http_voice_count_stall(ngx_uint_t up, ngx_msec_t stall);

/* a close code that the client's bytes were answered with; 0: upstream's */
void ngx_http_voice_count_broken(ngx_uint_t code);


/* ngx_http_voice_slots.c: the zone and its slots */

ngx_int_t ngx_http_voice_add_zone(ngx_conf_t *cf);
ngx_int_t ngx_http_voice_take_slot(ngx_cycle_t *cycle);
void ngx_http_voice_leave_slot(ngx_cycle_t *cycle);
void ngx_http_voice_check_slot(ngx_http_voice_status_conf_t *conf);

/* sums; forgets the slots of workers that died */
ngx_int_t ngx_http_voice_take_snapshot(ngx_http_voice_status_conf_t *conf,
    ngx_pool_t *pool, ngx_http_voice_snapshot_t *snapshot);


/* ngx_http_voice_text.c: up to last, where a text ends that was cut off */

size_t ngx_http_voice_text_size(ngx_http_voice_snapshot_t *snapshot);
u_char *ngx_http_voice_write_json(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot);
u_char *ngx_http_voice_write_prometheus(u_char *p, u_char *last,
    ngx_http_voice_snapshot_t *snapshot);


extern uint64_t               *ngx_http_voice_counts;      /* a slot, or */
extern uint64_t                ngx_http_voice_uncounted[];

extern ngx_http_voice_class_t  ngx_http_voice_closed[];
extern ngx_http_voice_class_t  ngx_http_voice_refused[];
extern ngx_http_voice_class_t  ngx_http_voice_failed[];
extern ngx_http_voice_class_t  ngx_http_voice_broken[];
extern ngx_http_voice_class_t  ngx_http_voice_rtts[];

extern ngx_module_t            ngx_http_voice_status_module;


#endif /* _NGX_HTTP_VOICE_COUNT_H_INCLUDED_ */
