/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the routes of the web app have in common: they are there where
 * voice_web_app is on, and their errors are {"detail":"…"}. And the policy of
 * a request, which every route of tools asks. Request threads; owns nothing.
 */

#ifndef VOICE_API_WEB_APP_H
#define VOICE_API_WEB_APP_H

#include "api/api_answer.h"

struct policy;

/* The policy, shared to the caller. 0; or rq is answered (500) and gone. */
int api_policy(struct gate_request *rq, const struct policy **policy);

/* The same where the web app is on; else rq is answered (404) and gone. */
int api_web_app_policy(struct gate_request *rq, const struct policy **policy);

/* rq is gone. */
void api_web_app_error(struct gate_request *rq, unsigned status,
                       const char *detail);

#endif
