/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /v1/events, what happens in the caller's tenant. With Accept:
 * text/event-stream a stream of server-sent events (from now on, or after
 * Last-Event-ID). Else a long poll: ?after=<id>&wait=<seconds, at most 60>
 * answers {"events":[…],"next":<id>} as soon as there is one, or with an empty
 * list when the time is over. Request threads; owns nothing.
 */

#ifndef VOICE_API_EVENTS_H
#define VOICE_API_EVENTS_H

#include "api/api_answer.h"

void api_events(struct gate_request *rq, struct api_context *api);

/* GET /events of the web app: always a stream. */
void api_events_web_app(struct gate_request *rq, struct api_context *api);

#endif
