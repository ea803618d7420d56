/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which errors of the model do no harm, but silence clients that take every
 * error for the end: a cancel that came too late, a truncate of what was cut
 * shorter already. Nobody awaits them: an SDK that waits for errors by
 * event_id does so for response.create, whose errors are the affair of
 * session_responses and never swallowed here; item_retrieve_invalid_item_id
 * passes, since it answers a retrieve that somebody awaits. Pure.
 */

#ifndef VOICE_SESSION_ERRORS_H
#define VOICE_SESSION_ERRORS_H

#include <jansson.h>
#include <stdbool.h>

/* `error`: the member of an error event. */
bool session_errors_is_harmless(const json_t *error);

#endif
