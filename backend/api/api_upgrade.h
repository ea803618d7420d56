/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The answer that makes a request a session: the head of its 101. Request
 * threads; owns nothing.
 */

#ifndef VOICE_API_UPGRADE_H
#define VOICE_API_UPGRADE_H

#include "codec/dialect.h"
#include "gate/fastcgi_gate.h"

#include <stdbool.h>

/*
 * Answers 101 and takes the descriptor; `token` (X-Voice-Resume) may be NULL.
 * Echoes the subprotocol `realtime` when it was offered, never one that holds
 * a key. >= 0, or UV_E*; rq is gone in any case.
 */
int api_upgrade(struct gate_request *rq, const char *session_id,
                const char *token);

/* What the client speaks: the beta, when its header or a subprotocol asks for
 * that, else GA. */
enum dialect_kind api_client_dialect(struct gate_request *rq);

/* Whether a comma-separated list (of a header, NULL: empty) has the token. */
bool api_list_has(const char *list, const char *token);

#endif
