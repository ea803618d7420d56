/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The id of a response or item, copied out of an event so that it can be told
 * from others and be shown again. Pure, embedded. A text too long to be kept
 * is "", and still told from others.
 */

#ifndef VOICE_SESSION_VOICE_ID_H
#define VOICE_SESSION_VOICE_ID_H

#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_VOICE_ID_BYTES 48 /* with a NUL; ids of the API have 32 */

struct session_voice_id {
    uint64_t key;                      /* a hash of the text */
    char text[SESSION_VOICE_ID_BYTES]; /* as in JSON, without its quotes */
};

/* Of a JSON string with its quotes; anything else, and none: an id of its
 * own. */
void session_voice_id_read(struct session_voice_id *id,
                           struct realtime_span span);
bool session_voice_id_is(const struct session_voice_id *a,
                         const struct session_voice_id *b);

#endif
