/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tools over HTTP: those that the location's voice_http_tools names, no other.
 *
 *     GET  /v1/tools         {"tools":[function definitions],"count"}
 *     POST /v1/tools/{name}  the arguments object; one answer, or with Accept:
 *                            text/event-stream or application/x-ndjson the
 *                            pages as they come (api_tools_stream)
 *     POST /v1/tools         {"calls":[{call_id, name, arguments}]}, run in
 *                            parallel (api_tools_batch)
 *
 * What is kept is answered on the request thread at once; what has to run is
 * waited for by a parked request, and cancelled when its client goes away.
 * Request threads; owns nothing.
 */

#ifndef VOICE_API_TOOLS_H
#define VOICE_API_TOOLS_H

#include "api/api_answer.h"

struct policy;

void api_tools_list(struct gate_request *rq, struct api_context *api);
void api_tools_run(struct gate_request *rq, struct api_context *api);
void api_tools_run_batch(struct gate_request *rq, struct api_context *api);

/* The list of what the policy lets through; rq is gone. */
void api_tools_answer_list(struct gate_request *rq, struct api_context *api,
                           const struct policy *policy);

#endif
