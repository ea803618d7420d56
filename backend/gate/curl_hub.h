/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One curl_loop for all connections that are made on one libuv loop: a multi
 * handle of libcurl's is 36 KB. Counted: it comes with the first user and goes
 * with the last. On the thread of its loop. Owns the curl_loop, not the easy
 * handles.
 */

#ifndef VOICE_CURL_HUB_H
#define VOICE_CURL_HUB_H

#include <curl/curl.h>
#include <uv.h>

struct curl_hub;

/* Of one easy handle; its user keeps it until the handle is removed. */
struct curl_hub_user {
    /* Curl is through with it. It may be removed inside. */
    void (*on_done)(void *arg, CURLcode code);
    void *arg;
};

/* Shares the loop's hub; NULL: no memory. */
struct curl_hub *curl_hub_ref(uv_loop_t *uv);

/* Takes its part back, and NULLs it. With the last one libuv's handles close;
 * they are closed before what is closed after this call, or before it in the
 * same turn of the loop. */
void curl_hub_unref(struct curl_hub **hp);

/* Sets the handle's CURLOPT_PRIVATE. 0 or UV_ENOMEM. */
int curl_hub_add(struct curl_hub *hub, CURL *easy, struct curl_hub_user *user);
void curl_hub_remove(struct curl_hub *hub, CURL *easy);

#endif
