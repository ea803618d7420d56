/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a request of http_client ends: what curl's result comes to, and telling
 * it, once. On the client's loop. Drops what is curl's; the call itself is its
 * shares' affair.
 */

#ifndef VOICE_HTTP_ENDING_H
#define VOICE_HTTP_ENDING_H

#include "gate/http_call.h"

/* What curl's result comes to. */
int http_call_error(const struct http_call *call, CURLcode code);

/* Out of the multi: tells the answer, or `error`; drops the easy handle. */
void http_call_finish(struct http_call *call, CURLcode code);
void http_call_fail(struct http_call *call, int error, const char *why);

#endif
