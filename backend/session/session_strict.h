/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What strict clients demand of every event that reaches them: a documented
 * type of the GA API, an event_id, and the fields that typed clients die
 * without (session.object, usage with all its details on response.done, no
 * null in a content part, …). What is missing is filled in with what the API
 * says for "nothing"; values that are there stay. Pure, any thread.
 *
 * Deltas and other events that carry nothing to repair pass by the peek alone,
 * without a tree.
 */

#ifndef VOICE_SESSION_STRICT_H
#define VOICE_SESSION_STRICT_H

#include "session/session_event.h"

#include <stdbool.h>

/* One that no documented client expects. */
bool session_strict_is_unknown(const struct session_event *e);

bool session_strict_has_id(const struct session_event *e);

/*
 * Repairs the event, giving it event_id if it has none (NULL: it has one).
 * *changed says whether anything but the id was. 0; UV_EINVAL: it can't be
 * read; UV_ENOMEM.
 */
int session_strict_apply(struct session_event *e, const char *event_id,
                         bool *changed);

#endif
