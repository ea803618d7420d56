/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * GET /v1/realtime?call_id=: a client of ours beside a call of its tenant's.
 * Finds the call, here at once, in the store parked. Sidebands are for gateway
 * keys: whoever has no more than a minted secret hears that there is no such
 * call, as at the provider's. Runs on request threads.
 */

#ifndef VOICE_API_SIDEBAND_H
#define VOICE_API_SIDEBAND_H

#include "api/api_answer.h"
#include "service/calls.h"

/* On a request thread; must end rq. The call is borrowed. */
typedef void api_sideband_h(struct gate_request *rq, struct api_context *api,
                            const struct call_info *call);

/* rq is gone: it is `found`'s, or answered 404 call_id_not_found, 503. */
void api_sideband_find(struct gate_request *rq, struct api_context *api,
                       const char *id, api_sideband_h *found);

#endif
