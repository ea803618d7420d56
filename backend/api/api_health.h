/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Is it alive, is it ready, what is in it: /health, /health/live,
 * /health/ready, and the list of live sessions. Request threads; owns nothing.
 */

#ifndef VOICE_API_HEALTH_H
#define VOICE_API_HEALTH_H

#include "api/api_answer.h"

/* {status, version, assistant_name, amplifier, model}; 503 until the server
 * is ready and once it drains. */
void api_health(struct gate_request *rq, struct api_context *api);

/* 200 as long as anybody answers. */
void api_health_live(struct gate_request *rq, struct api_context *api);

/* 200, or 503 as /health. */
void api_health_ready(struct gate_request *rq, struct api_context *api);

/* {"sessions":[…]} of the caller's tenant. */
void api_sessions_live(struct gate_request *rq, struct api_context *api);

#endif
