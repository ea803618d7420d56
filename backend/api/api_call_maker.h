/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes a call at an upstream for a parked request: the offer goes out under
 * our key, the answer comes back, the call is put among ours and its sideband
 * starts. Several upstreams are asked in order. Whoever left before the answer
 * has no call: it is hung up on.
 *
 *   request thread ─► offer, session ─► upstream ─► answer, call id ─►
 *   calls_put, session_call_start ─► request thread ─► 201
 *   Azure: session ─► client_secrets ─► a token; the offer goes out under it
 */

#ifndef VOICE_API_CALL_MAKER_H
#define VOICE_API_CALL_MAKER_H

#include "api/api_answer.h"
#include "api/api_call_session.h"
#include "base/buffer.h"
#include "model/upstream.h"
#include "service/calls.h"

#define API_CALL_DEADLINE_MS 60000

struct api_call_order {
    const char *policy;              /* its text */
    struct api_call_session session; /* taken */
    struct buffer offer;             /* taken; made fit already */
    struct upstream_order upstreams;
    struct loop *loop; /* of api_call_slot, taken */
};

/* rq is gone; what is to be taken is taken in any case. */
void api_call_make(struct gate_request *rq, struct api_context *api,
                   struct api_call_order *order);

/* Room for one more call: a slot of the registry and one of the tenant's
 * sessions. 0; or rq is answered and gone (429, 503). */
int api_call_slot(struct gate_request *rq, struct api_context *api,
                  struct loop **loop);
/* One that was not used. Any thread. */
void api_call_slot_put(struct api_context *api, const char *tenant,
                       struct loop **loop);

/*
 * Any thread: a call that an upstream has made is among ours from now on, with
 * a sideband on that loop; the slot is taken.
 */
void api_call_keep(struct api_context *api, struct loop *loop,
                   const struct call_info *call);

/* Those of the policy (or all) that calls can be made at, in order. 0; or rq
 * is answered and gone: 501 webrtc_unavailable, 500 upstream_unknown. */
int api_call_upstreams(struct gate_request *rq, struct api_context *api,
                       const struct policy *policy,
                       struct upstream_order *order);

#endif
