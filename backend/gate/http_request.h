/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What http_client refuses to send, and whose connections a request may use.
 * Pure, any thread; owns nothing.
 */

#ifndef VOICE_HTTP_REQUEST_H
#define VOICE_HTTP_REQUEST_H

#include "gate/http_client.h"

#include <stdbool.h>

/* Well-formed: RFC 9110's method and headers, a URL of http or https without a
 * user, no guard where a proxy would open the socket. */
bool http_request_is_valid(const struct http_request *rq);

/* Scheme, host, port, and what else makes connections differ; the caller frees
 * it. NULL: no memory. */
char *http_request_origin(const struct http_request *rq);

/* Where an answer's Location leads from `url` (RFC 3986 5), without fragment;
 * the caller frees it. NULL: nowhere that could be asked, or no memory. */
char *http_request_redirect(const char *url, const char *location);

#endif
