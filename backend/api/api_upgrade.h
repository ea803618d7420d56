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

/* The subprotocol of a session. Never one that holds a key. */
enum api_protocol {
    API_PROTOCOL_NONE, /* neither was offered */
    API_PROTOCOL_REALTIME,
    API_PROTOCOL_OPUS,   /* voice.opus.v1 */
    API_PROTOCOL_REFUSED /* answered, rq is gone */
};

/* Of `realtime` and voice.opus.v1 the first that the client offers and that
 * is served. Who offers voice.opus.v1 alone where it is not is answered 400. */
enum api_protocol api_protocol(struct gate_request *rq, bool opus_served);

/* Whether voice.opus.v1 is offered, wherever in the list: a session that is
 * resumed keeps the kind of audio that it began with. */
bool api_offers_opus(struct gate_request *rq);

/* Answers 101 and takes the descriptor; `token` (X-Voice-Resume) may be NULL.
 * >= 0, or UV_E*; rq is gone in any case. */
int api_upgrade(struct gate_request *rq, enum api_protocol protocol,
                const char *session_id, const char *token);

/* What the client speaks: the beta, when its header or a subprotocol asks for
 * that, else GA. */
enum dialect_kind api_client_dialect(struct gate_request *rq);

/* Whether a comma-separated list (of a header, NULL: empty) has the token. */
bool api_list_has(const char *list, const char *token);

#endif
