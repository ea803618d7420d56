/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server's own sideband on a call whose audio goes past us (WebRTC, SIP):
 * a session without a client leg. Lives on one loop. Opens a model_link with
 * the call's id, tells a call that was just made what its session is to be,
 * runs the server's tools, counts the usage, comes back when the link is lost,
 * and ends with the call. The same call has the same session id, whichever
 * instance keeps it.
 *
 *   provider ─► model_link ─► session_call ─► usage, events, log
 *   provider ◄─ model_link ◄─ session.update (policy, what its maker asked for)
 */

#ifndef VOICE_SESSION_CALL_H
#define VOICE_SESSION_CALL_H

#include "service/calls.h"
#include "session/session.h"

#include <stdbool.h>

#define SESSION_CALL_LOOK_MS    500
#define SESSION_CALL_YOUNG_MS   6000   /* so long a call may not be there yet */
#define SESSION_CALL_GIVE_UP_MS 600000 /* without a link: the call is over */
#define SESSION_CALL_GIVE_MS    5000   /* a drain waits for a calm moment */
#define SESSION_CALL_OLDEST_MS  10800000 /* no provider's call lasts longer */

enum session_call_flags {
    SESSION_CALL_MADE = 1,   /* just now: its session is told what it is */
    SESSION_CALL_COUNTED = 2 /* it has one of its tenant's sessions */
};

/* What calls have in common; borrowed for the life of the sessions. */
struct session_call_config {
    struct session_registry *registry;
    struct event_bus *events; /* may be NULL */
    struct calls *calls;
    struct usage *usage;                 /* may be NULL */
    struct tenant_limits *limits;        /* may be NULL */
    struct tool_registry *tool_registry; /* these two NULL: no tools */
    struct tool_runner *tool_runner;
    session_open_model_h *open_model;
    void *open_model_arg;
    /* Ends the call at its provider, for a limit of ours; on the loop. */
    void (*hang_up)(void *arg, const struct call_info *call);
    void *hang_up_arg;
    uint64_t max_session_ms; /* since the call was made; 0 no limit */
    uint64_t max_idle_ms;    /* without an event of the provider; 0 no limit */
};

/*
 * Any thread. The call is ours (calls_put, or the keep handler runs), the loop
 * has a slot of the registry reserved; the call's texts are copied. The
 * sideband opens on the loop; at its end the call is ended, released or
 * forgotten and the slot given back. 0; UV_EINVAL (the policy can't be read),
 * UV_ENOMEM: slot and call are still the caller's.
 */
int session_call_start(const struct session_call_config *cfg, struct loop *loop,
                       const struct call_info *info, unsigned flags);

#endif
