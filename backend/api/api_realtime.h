/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /v1/realtime as a WebSocket session: decides on a request thread whether
 * it may be, answers 101, takes the descriptor off libfcgi and posts the
 * session to its loop. Owns nothing once it has returned. The router has seen
 * to credentials and to the policy's presence.
 */

#ifndef VOICE_API_REALTIME_H
#define VOICE_API_REALTIME_H

#include "api/api_answer.h"

/* An api_handler_h; rq is gone. */
void api_realtime_connect(struct gate_request *rq, struct api_context *api);

#endif
