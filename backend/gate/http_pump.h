/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * libcurl's multi interface on a libuv loop, for http_client: curl's sockets
 * and its timer, the pool of connections with its limits, the caches. Owns
 * them and no request: an easy handle is its caller's, in here from add to
 * on_done or remove. On the loop but for create; no handler is called from
 * inside one of these calls.
 */

#ifndef VOICE_HTTP_PUMP_H
#define VOICE_HTTP_PUMP_H

#include "base/loop.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_pump;

#define HTTP_PUMP_STREAMS 100 /* on one HTTP/2 connection */

struct http_pump_config {
    struct loop *loop;
    uint64_t keepalive, max; /* connections: kept idle, at once */
    uint64_t idle_ms;
    unsigned tick_ms; /* how often on_tick, while there are requests */
};

struct http_pump_handlers {
    /* The transfer has ended and is out of the pump. */
    void (*on_done)(void *arg, CURL *easy, CURLcode code);
    /* Curl had a turn; requests may be added. */
    void (*on_turn)(void *arg);
    /* Do requests wait for a connection? */
    bool (*is_waiting)(void *arg);
    void (*on_tick)(void *arg);
    /* Last call; the pump is gone. */
    void (*on_closed)(void *arg);
};

/* Any thread, and before anything else. 0 or UV_ENOMEM. */
int http_pump_create(struct http_pump **pp, const struct http_pump_config *cfg,
                     const struct http_pump_handlers *handlers, void *arg);
void http_pump_start(struct http_pump *p);

/* Nothing may be left in it. Asynchronous, ends in on_closed. */
void http_pump_close(struct http_pump *p);

/* 0 or UV_ENOMEM. */
int http_pump_add(struct http_pump *p, CURL *easy);
void http_pump_remove(struct http_pump *p, CURL *easy);

/* What an easy handle's CURLOPT_OPENSOCKETFUNCTION comes down to. */
curl_socket_t http_pump_socket(struct http_pump *p,
                               const struct curl_sockaddr *address);

#endif
