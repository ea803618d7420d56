/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How a client's session begins: from the model's session.created, the policy
 * and the session bound to a minted secret are made (1) the one session.update
 * that the model is told and (2) the session.created that the client sees at
 * once, as if the update had been answered already. Pure, any thread.
 *
 * Whose word counts where both say something: the bound session is what the
 * client would have sent first, so under `allow` it lies over the policy,
 * under `merge` too, but instructions join (policy first, bound after); under
 * `deny` the policy lies over it.
 *
 * A turn detection that names only some of its fields is told in full: see
 * turn_detection.h.
 *
 * The update's session is rendered with type, instructions, tools, tool_choice
 * first and always in that order: equal settings give equal bytes, so that a
 * provider's prompt cache finds its prefix again.
 */

#ifndef VOICE_SESSION_OPENING_H
#define VOICE_SESSION_OPENING_H

#include "codec/policy.h"

#include <jansson.h>

#define SESSION_OPENING_BOUND_MAX 262144 /* bytes of a bound session */

/*
 * The session for the update; *out is given, NULL when there is nothing to
 * tell. `bound`: a session object as text, NULL none. 0; UV_EINVAL: `bound` is
 * no session; UV_ENOMEM.
 */
int session_opening_settings(json_t **out, const struct policy *policy,
                             const char *bound);

/*
 * Lays a preset of turn detection over them, by its name (see
 * turn_detection_named; NULL: none, nothing changes), whatever they say:
 * it is the client's own word, which a session.update could say as well. 0,
 * UV_EINVAL: no such name, UV_ENOMEM.
 */
int session_opening_vad(json_t **settings, const char *name);

/*
 * Leaves of the settings what the model's session can have: one that only
 * transcribes has no voice and says nothing. *settings is NULL when nothing is
 * left. 0 or UV_ENOMEM.
 */
int session_opening_fit(json_t **settings, const json_t *session);

/* Puts the members that every update begins with in front, after one of them
 * was changed. 0 or UV_ENOMEM: *settings may be NULL then. */
int session_opening_order(json_t **settings);

/* The session.update with these settings and this event_id; malloc'ed, given;
 * NULL: no memory. */
char *session_opening_update(const json_t *settings, const char *event_id);

/*
 * Changes the session of a session.created of the model into the client's:
 * settings (may be NULL) laid over it, its id replaced. 0 or UV_ENOMEM.
 */
int session_opening_apply(json_t *session, const json_t *settings,
                          const char *id);

#endif
