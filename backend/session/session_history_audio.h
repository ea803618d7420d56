/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much audio of which item an event response.output_audio.delta brings,
 * from its head alone when the delta is its last member, as it mostly is.
 * Pure; owns nothing. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_AUDIO_H
#define VOICE_SESSION_HISTORY_AUDIO_H

#include "codec/realtime_event.h"

#include <stdint.h>

struct history_audio {
    struct realtime_span item_id; /* without quotes, in the event */
    uint64_t content_index;
    size_t bytes; /* decoded; padding counted as audio */
};

/* False: it is no such event. */
bool history_audio_read(struct history_audio *audio, const char *json,
                        size_t bytes);

#endif
