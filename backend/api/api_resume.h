/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /v1/realtime?resume=<token>&after=<event id>: back into a session whose
 * connection was lost. The request waits, parked, while the session's loop
 * says whether the client may come; only then comes a 101. Request threads;
 * owns nothing once the request has ended.
 */

#ifndef VOICE_API_RESUME_H
#define VOICE_API_RESUME_H

#include "api/api_answer.h"

/*
 * Answers: 101; 404 session_not_found (unknown, used or foreign token), 410
 * events_missed (what came after that event is gone), 409 resume_in_progress.
 */
void api_resume(struct gate_request *rq, struct api_context *api,
                const char *token);

#endif
