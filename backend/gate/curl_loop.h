/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * libcurl's multi interface on a libuv loop: curl says which sockets and which
 * time it waits for, and is given its turns. Embedded in its user; on the loop
 * but for init. Owns the multi handle, the polls and the timer.
 */

#ifndef VOICE_CURL_LOOP_H
#define VOICE_CURL_LOOP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

struct curl_loop_handlers {
    /* Curl had a turn: its messages may be read. Not inside a call here but
     * curl_loop_turn. */
    void (*on_turn)(void *arg);
    /* After curl_loop_close: the last call. */
    void (*on_closed)(void *arg);
};

struct curl_loop {
    CURLM *multi;
    uv_loop_t *uv;
    uv_timer_t timer; /* what curl asks for */
    unsigned handles; /* libuv's, alive */
    bool stopped;
    const struct curl_loop_handlers *handlers;
    void *arg;
};

/* Makes the multi handle. 0 or UV_ENOMEM. */
int curl_loop_init(struct curl_loop *l,
                   const struct curl_loop_handlers *handlers, void *arg);
/* For one that was never started. */
void curl_loop_deinit(struct curl_loop *l);

void curl_loop_start(struct curl_loop *l, uv_loop_t *uv);

/* A turn out of turn. */
void curl_loop_turn(struct curl_loop *l);

/* Curl gets no turn any more, and keeps what it has. Idempotent. */
void curl_loop_stop(struct curl_loop *l);

/* Every easy handle is out of it. The multi handle goes at once; asynchronous,
 * ends in on_closed. */
void curl_loop_close(struct curl_loop *l);

#endif
