/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The last responses that were cancelled, by id: what a model still says of
 * one after its response.done is late and must not be played. The end of
 * playback (output_audio_buffer.*) is documented to follow and passes. Pure.
 */

#ifndef VOICE_SESSION_CANCELLED_H
#define VOICE_SESSION_CANCELLED_H

#include "session/session_event.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_CANCELLED_IDS      4
#define SESSION_CANCELLED_MS       30000 /* later nothing is under way */
#define SESSION_CANCELLED_ID_BYTES 64    /* a longer one is not noted */

struct session_cancelled {
    struct {
        uint64_t until_ms; /* 0: free */
        char id[SESSION_CANCELLED_ID_BYTES];
    } ids[SESSION_CANCELLED_IDS];
    uint64_t until_ms; /* of the latest */
};

/* An event of the model; true: it is late. */
bool session_cancelled_look(struct session_cancelled *c,
                            struct session_event *e, uint64_t now_ms);

#endif
