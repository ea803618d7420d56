/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server's own sideband on a call whose audio goes past us (WebRTC, SIP):
 * a session without a client leg. Lives on one loop. Opens a model_link with
 * the call's id, tells the session what the policy wants, counts the usage,
 * comes back when the link is lost, and ends with the call.
 *
 *   provider ─► model_link ─► session_call ─► usage, events, log
 *   provider ◄─ model_link ◄─ session.update (the policy)
 */

#ifndef VOICE_SESSION_CALL_H
#define VOICE_SESSION_CALL_H

#include "service/calls.h"
#include "session/session.h"

#include <stdbool.h>

struct session_call_config {
    struct loop *loop; /* with a slot of the registry reserved */
    struct session_registry *registry;
    struct event_bus *events; /* may be NULL */
    struct calls *calls;
    struct usage *usage; /* may be NULL */
    session_open_model_h *open_model;
    void *open_model_arg;
    bool made; /* just made, not claimed from another instance */
};

/*
 * Any thread. The call is ours (calls_put or a claim); everything is copied.
 * The sideband opens on the loop; at its end the call is ended or released,
 * the slot given back. 0; or UV_EINVAL (policy), UV_ENOMEM: slot and call are
 * still the caller's.
 */
int session_call_start(const struct session_call_config *cfg,
                       const struct call_info *call);

#endif
