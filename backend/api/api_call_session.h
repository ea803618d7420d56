/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the session of a call is to be: the policy, the session bound to the
 * caller's secret and what the caller asks for, under one another as in a
 * session over a WebSocket. Runs on request threads; owns what it made until
 * deinit.
 */

#ifndef VOICE_API_CALL_SESSION_H
#define VOICE_API_CALL_SESSION_H

#include "api/api_answer.h"
#include "codec/policy.h"

#define API_CALL_MODEL_BYTES   128
#define API_CALL_SESSION_BYTES 262144 /* of JSON, of each part */

struct api_call_session {
    char model[API_CALL_MODEL_BYTES];
    char *asked;    /* JSON: bound to the secret, and asked for; "{}" */
    char *settings; /* JSON: the whole session object for the upstream */
};

/*
 * `client` is the session object of the request (borrowed; NULL: none),
 * `model` what the query names ("" nothing). 0; or rq is answered and gone:
 * 404 model_not_found, 400. Must be deinit'ed when 0.
 */
int api_call_session_init(struct api_call_session *s, struct gate_request *rq,
                          const struct policy *policy, const json_t *client,
                          const char *model);
void api_call_session_deinit(struct api_call_session *s);

#endif
