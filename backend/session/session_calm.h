/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Whether a conversation is at a calm moment: no response is being made, the
 * user is not speaking, and nobody has just done something that calls for an
 * answer. Watches the types of the events that pass; part of session_down, on
 * its loop. Pure: `now` is an argument.
 */

#ifndef VOICE_SESSION_CALM_H
#define VOICE_SESSION_CALM_H

#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What follows a turn's step by itself, or by the client, comes within that:
 * a response after the end of speech, response.create after an item. */
#define SESSION_CALM_MS 500

struct session_calm {
    uint64_t stirred_ms; /* of the last step of a turn */
    uint32_t responses;  /* being made */
    bool speaking;
    bool manual;   /* no turn detection: the client says when a turn ends */
    bool has_said; /* manual: audio that no commit has taken yet */
};

/* A client's event that went to the model. */
void session_calm_up(struct session_calm *calm, enum realtime_type type,
                     uint64_t now_ms);
/* An event of the model; the text is read when it shows the session. */
void session_calm_down(struct session_calm *calm, enum realtime_type type,
                       const char *json, size_t bytes, uint64_t now_ms);

bool session_calm_holds(const struct session_calm *calm, uint64_t now_ms);

#endif
