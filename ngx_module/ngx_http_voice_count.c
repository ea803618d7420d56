/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What events count as.
 */


#include "ngx_http_voice.h"


static void ngx_http_voice_count_class(ngx_http_voice_class_t *classes,
    ngx_uint_t n, ngx_uint_t first, uint64_t value);


uint64_t   ngx_http_voice_uncounted[ngx_http_voice_n];
uint64_t  *ngx_http_voice_counts = ngx_http_voice_uncounted;


#define NGX_HTTP_VOICE_ANY  0xffffffffffffffffULL

ngx_http_voice_class_t  ngx_http_voice_closed[NGX_HTTP_VOICE_CLOSED_N] = {
    { ngx_string("1000"), 1000, 1000 },
    { ngx_string("1001"), 1001, 1001 },
    { ngx_string("1002"), 1002, 1002 },
    { ngx_string("1003"), 1003, 1003 },
    { ngx_string("1005"), 1005, 1005 },
    { ngx_string("1006"), 1006, 1006 },
    { ngx_string("1007"), 1007, 1007 },
    { ngx_string("1008"), 1008, 1008 },
    { ngx_string("1009"), 1009, 1009 },
    { ngx_string("1010"), 1010, 1010 },
    { ngx_string("1011"), 1011, 1011 },
    { ngx_string("1012"), 1012, 1012 },
    { ngx_string("1013"), 1013, 1013 },
    { ngx_string("3000-4999"), 3000, 4999 },
    { ngx_string("none"), 0, 0 },
    { ngx_string("other"), 0, NGX_HTTP_VOICE_ANY }
};

ngx_http_voice_class_t  ngx_http_voice_refused[NGX_HTTP_VOICE_REFUSED_N] = {
    { ngx_string("400"), 400, 400 },
    { ngx_string("401"), 401, 401 },
    { ngx_string("403"), 403, 403 },
    { ngx_string("404"), 404, 404 },
    { ngx_string("405"), 405, 405 },
    { ngx_string("426"), 426, 426 },
    { ngx_string("429"), 429, 429 },
    { ngx_string("500"), 500, 500 },
    { ngx_string("502"), 502, 502 },
    { ngx_string("503"), 503, 503 },
    { ngx_string("504"), 504, 504 },
    { ngx_string("other"), 0, NGX_HTTP_VOICE_ANY }
};

#define ngx_http_voice_ft(type)                                               \
    NGX_HTTP_UPSTREAM_FT_ ## type, NGX_HTTP_UPSTREAM_FT_ ## type

ngx_http_voice_class_t  ngx_http_voice_failed[NGX_HTTP_VOICE_FAILED_N] = {
    { ngx_string("error"), ngx_http_voice_ft(ERROR) },
    { ngx_string("timeout"), ngx_http_voice_ft(TIMEOUT) },
    { ngx_string("invalid_header"), ngx_http_voice_ft(INVALID_HEADER) },
    { ngx_string("http_500"), ngx_http_voice_ft(HTTP_500) },
    { ngx_string("http_503"), ngx_http_voice_ft(HTTP_503) },
    { ngx_string("http_429"), ngx_http_voice_ft(HTTP_429) },
    { ngx_string("no_live"), ngx_http_voice_ft(NOLIVE) },
    { ngx_string("other"), 0, NGX_HTTP_VOICE_ANY }
};

/* running out of memory is an end, but nobody's error */

ngx_http_voice_class_t  ngx_http_voice_broken[NGX_HTTP_VOICE_BROKEN_N] = {
    { ngx_string("client_frame"), WS_CLOSE_PROTOCOL_ERROR,
      WS_CLOSE_PROTOCOL_ERROR },
    { ngx_string("client_payload"), WS_CLOSE_BAD_PAYLOAD,
      WS_CLOSE_BAD_PAYLOAD },
    { ngx_string("client_size"), WS_CLOSE_TOO_BIG, WS_CLOSE_TOO_BIG },
    { ngx_string("upstream"), 0, 0 }
};

/* microseconds under the name of seconds */

ngx_http_voice_class_t  ngx_http_voice_rtts[NGX_HTTP_VOICE_RTT_N] = {
    { ngx_string("0.005"), 0, 5000 },
    { ngx_string("0.01"), 0, 10000 },
    { ngx_string("0.025"), 0, 25000 },
    { ngx_string("0.05"), 0, 50000 },
    { ngx_string("0.1"), 0, 100000 },
    { ngx_string("0.25"), 0, 250000 },
    { ngx_string("0.5"), 0, 500000 },
    { ngx_string("1"), 0, 1000000 },
    { ngx_string("2.5"), 0, 2500000 },
    { ngx_string("+Inf"), 0, NGX_HTTP_VOICE_ANY }
};


void
ngx_http_voice_count_refused(ngx_uint_t status)
{
    ngx_http_voice_count_class(ngx_http_voice_refused,
                               NGX_HTTP_VOICE_REFUSED_N,
                               ngx_http_voice_n_refused, status);
}


void
ngx_http_voice_count_closed(ngx_uint_t code)
{
    ngx_http_voice_count_class(ngx_http_voice_closed, NGX_HTTP_VOICE_CLOSED_N,
                               ngx_http_voice_n_closed, code);
}


void
ngx_http_voice_count_failed(ngx_uint_t ft_type)
{
    ngx_http_voice_count_class(ngx_http_voice_failed, NGX_HTTP_VOICE_FAILED_N,
                               ngx_http_voice_n_failed, ft_type);
}


void
ngx_http_voice_count_broken(ngx_uint_t code)
{
    ngx_http_voice_count_class(ngx_http_voice_broken, NGX_HTTP_VOICE_BROKEN_N,
                               ngx_http_voice_n_broken, code);
}


void
ngx_http_voice_count_rtt(uint64_t rtt)
{
    ngx_http_voice_count_add(ngx_http_voice_n_rtt_sum, rtt);
    ngx_http_voice_count_class(ngx_http_voice_rtts, NGX_HTTP_VOICE_RTT_N,
                               ngx_http_voice_n_rtt, rtt);
}


void
ngx_http_voice_count_stall(ngx_uint_t up, ngx_msec_t stall)
{
    if (up) {
        ngx_http_voice_count(stalls_up);
        ngx_http_voice_count_add(ngx_http_voice_n_stall_up, stall);

    } else {
        ngx_http_voice_count(stalls_down);
        ngx_http_voice_count_add(ngx_http_voice_n_stall_down, stall);
    }
}


static void
ngx_http_voice_count_class(ngx_http_voice_class_t *classes, ngx_uint_t n,
    ngx_uint_t first, uint64_t value)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (value >= classes[i].first && value <= classes[i].last) {
            ngx_http_voice_counts[first + i]++;
            return;
        }
    }
}


/* a session begins: frames may pass */

void
ngx_http_voice_count_begin(ngx_http_voice_ctx_t *ctx)
{
    ctx->counted = 1;

    ngx_http_voice_count(live);
    ngx_http_voice_count(opened);

    if (ctx->deflate) {
        ngx_http_voice_count(deflate_sessions);
    }
}


/* whatever ends a request that was to become a session, once */

void
ngx_http_voice_count_end(ngx_http_voice_ctx_t *ctx, ngx_int_t rc)
{
    if (ctx->counted) {
        ctx->counted = 0;

        ngx_http_voice_count_add(ngx_http_voice_n_live, -1);
        ngx_http_voice_count_closed(ctx->close_code);

        if (ngx_exiting) {
            ngx_http_voice_count(drained);
        }

        return;
    }

    if (ctx->phase == ngx_http_voice_response) {
        ngx_http_voice_count_refused(ctx->answer->status);

    } else if (rc >= NGX_HTTP_SPECIAL_RESPONSE
               && rc != NGX_HTTP_CLIENT_CLOSED_REQUEST)
    {
        ngx_http_voice_count_refused(rc);

    } else {
        ngx_http_voice_count(abandoned);
    }
}
