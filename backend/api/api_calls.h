/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls over WebRTC by SDP: POST /v1/realtime/calls, raw or multipart; the
 * beta POST /v1/realtime?model=. The browser talks to the provider itself, by
 * an offer that we passed on under our key; a sideband of the server's own
 * attaches by itself. With WebRTC a browser can change its session whatever a
 * gateway does, so a policy that forbids it forbids this route. Runs on
 * request threads; waits parked.
 */

#ifndef VOICE_API_CALLS_H
#define VOICE_API_CALLS_H

#include "api/api_answer.h"
#include "codec/policy.h"

api_handler_h api_calls_create;

/* The policy of the request, shared to the caller. 0; or rq is answered. */
int api_calls_policy(struct gate_request *rq, const struct policy **policy);

/* Its whole body. 0; or rq is answered. */
int api_calls_body(struct gate_request *rq, const char **body, size_t *bytes);

#endif
