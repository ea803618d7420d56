/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tools cancelled by hand, those of the caller's tenant and no other's.
 *
 *     POST /v1/cancel, /cancel        {immediate, reason, session_id}, all
 *                                     optional, as is the body
 *     GET  /v1/cancel/status, /cancel/status
 *
 * Graceful: what waits is cancelled, what runs may end. Immediate: both are.
 * A tenant is "cancelled" from then on until nothing of it runs any more. The
 * routes without /v1 are the web app's. Request threads; owns, for the
 * process, which tenants are.
 */

#ifndef VOICE_API_CANCEL_H
#define VOICE_API_CANCEL_H

#include "api/api_answer.h"

#define API_CANCEL_TENANTS 64 /* remembered; then the oldest is forgotten */

void api_cancel(struct gate_request *rq, struct api_context *api);
void api_cancel_status(struct gate_request *rq, struct api_context *api);
void api_cancel_web_app(struct gate_request *rq, struct api_context *api);
void api_cancel_status_web_app(struct gate_request *rq,
                               struct api_context *api);

#endif
