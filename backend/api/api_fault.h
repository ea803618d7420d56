/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client is told when an upstream's HTTP API did not do what it was
 * asked: the upstream's own words where they are the client's business, never
 * the gateway's trouble with its keys, never a text that holds a key. Pure;
 * owns nothing.
 *
 *   401, 403 ─► 502 upstream_unauthorized     429 ─► 429, Retry-After
 *   other 4xx ─► the same, with its error     5xx, 3xx ─► 502
 *   no answer ─► 504, 503, 502
 */

#ifndef VOICE_API_FAULT_H
#define VOICE_API_FAULT_H

#include "api/api_reply.h"
#include "gate/http_client.h"
#include "model/upstream.h"

/* `rs` is no 2xx; the reply's body is made. */
void api_fault_reply(struct api_reply *reply, const struct upstream *u,
                     const struct http_response *rs);

/* Whether another upstream may be asked instead: this one has not made
 * anything, and the fault isn't the client's. */
bool api_fault_is_elsewhere_fine(const struct http_response *rs);

/* A word for the log. */
const char *api_fault_text(const struct http_response *rs);

#endif
