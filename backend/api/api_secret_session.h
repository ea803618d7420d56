/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The session that a minted secret is to be bound to: checked against the
 * policy, with its model, as the text that is kept, and as the effective
 * session that the answer shows. What the policy keeps for itself
 * (instructions) is not shown. Request threads; pure but for ids.
 */

#ifndef VOICE_API_SECRET_SESSION_H
#define VOICE_API_SECRET_SESSION_H

#include "api/api_answer.h"
#include "codec/policy.h"

#define SECRET_MODEL_BYTES 128
#define SECRET_FAULT_BYTES 512

struct secret_session {
    char model[SECRET_MODEL_BYTES]; /* "" for a transcription session */
    char *bound;                    /* JSON text to keep; owned */
    json_t *effective;              /* owned */

    /* Why it was refused. */
    unsigned status;
    char code[64];
    char param[128];
    char message[SECRET_FAULT_BYTES];
};

/*
 * `session` (GA, borrowed; NULL: none given) becomes *out, zeroed before. 0;
 * UV_EINVAL and the fault is filled; UV_ENOMEM. Deinit in any case.
 */
int secret_session_init(struct secret_session *out,
                        const struct api_context *api,
                        const struct policy *policy, const json_t *session);
void secret_session_deinit(struct secret_session *s);

#endif
