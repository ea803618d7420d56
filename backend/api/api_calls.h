/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls: WebRTC by SDP (POST /v1/realtime/calls, raw or multipart; the beta
 * POST /v1/realtime?model=), and what is done to a call that is there. The
 * browser talks to the provider itself, by an offer that we passed on under
 * our key; a sideband of the server's own attaches by itself. With WebRTC a
 * browser can change its session whatever a gateway does, so a policy that
 * forbids it forbids these routes. Runs on request threads; waits parked.
 */

#ifndef VOICE_API_CALLS_H
#define VOICE_API_CALLS_H

#include "api/api_answer.h"

api_handler_h api_calls_create;
api_handler_h api_calls_hangup;
api_handler_h api_calls_accept;
api_handler_h api_calls_reject;
api_handler_h api_calls_refer;

#endif
