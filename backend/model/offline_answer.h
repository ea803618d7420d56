/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds what a response says or calls: reads its items from the end, asks the
 * wit. Owns nothing. Runs on the session's loop; quick.
 */

#ifndef VOICE_OFFLINE_ANSWER_H
#define VOICE_OFFLINE_ANSWER_H

#include "model/offline_request.h"
#include "model/offline_wit.h"

/* wit: of the session's tools; a request with its own tools gets its own. The
 * answer is the caller's (wit_answer_deinit). 0 or UV_ENOMEM. */
int offline_answer_find(const struct offline_request *request,
                        const struct wit *wit, struct wit_answer *answer);

#endif
