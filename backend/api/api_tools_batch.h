/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Several tools in one request, in parallel:
 * {"calls":[{"call_id","name","arguments"}]} → {"results":[…]}, in the order
 * of the calls, each result as of a single call with its call_id. One that
 * fails does not touch the others; the client that leaves cancels all. Owns a
 * batch until its request is answered and its last order is through.
 */

#ifndef VOICE_API_TOOLS_BATCH_H
#define VOICE_API_TOOLS_BATCH_H

#include "api/api_answer.h"

#define API_TOOLS_BATCH_MAX 32 /* calls */

struct policy;

/* Takes the body's tree. rq is gone. */
void api_tools_batch(struct gate_request *rq, struct api_context *api,
                     const struct policy *policy, json_t **tree);

#endif
