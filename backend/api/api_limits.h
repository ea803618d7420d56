/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A tenant's limits at the door: true, or the request is answered 429 (503
 * when there is no room for one more tenant) with Retry-After and is gone.
 * Request threads; owns nothing.
 */

#ifndef VOICE_API_LIMITS_H
#define VOICE_API_LIMITS_H

#include "api/api_answer.h"

/* Each request counts once; the router asks. */
bool api_limits_request(struct gate_request *rq, struct api_context *api);

/* One more session of the caller's tenant, until api_limits_leave, by whoever
 * ends it or fails to start it. */
bool api_limits_enter(struct gate_request *rq, struct api_context *api);
void api_limits_leave(struct api_context *api, const char *tenant);

#endif
