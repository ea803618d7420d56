/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One session object laid over another, as a Realtime server does it with a
 * session.update: objects inside each other merge, arrays, texts, numbers and
 * null replace. Two objects that name different things (their `type` or `id`
 * differs: another kind of turn detection, another audio format) do not mix:
 * the new one replaces the old. Pure, any thread, owns nothing.
 */

#ifndef VOICE_SESSION_MERGE_H
#define VOICE_SESSION_MERGE_H

#include <jansson.h>

/* Changes `session`; copies out of `patch`. Both are objects; they themselves
 * always merge. 0; UV_ENOMEM: `session` holds a part of it. */
int session_merge(json_t *session, const json_t *patch);

#endif
