/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_calm.h"

#include <jansson.h>

void
session_calm_up(struct session_calm *calm, enum realtime_type type,
                uint64_t now_ms)
{
    if (type == REALTIME_AUDIO_APPEND) {
        calm->has_said = true;
        return; /* a microphone never rests */
    }
    if (type == REALTIME_AUDIO_COMMIT || type == REALTIME_AUDIO_CLEAR)
        calm->has_said = false;
    calm->stirred_ms = now_ms;
}

/* Where the model says how turns end: null is "by hand". A session without
 * the field, or one for text, changes nothing. */
static void
session_read(struct session_calm *calm, const char *json, size_t bytes)
{
    json_t *tree = json_loadb(json, bytes, 0, NULL);
    json_t *input = json_object_get(
        json_object_get(json_object_get(tree, "session"), "audio"), "input");
    const json_t *detection = json_object_get(input, "turn_detection");

    if (detection)
        calm->manual = json_is_null(detection);
    json_decref(tree);
}

void
session_calm_down(struct session_calm *calm, enum realtime_type type,
                  const char *json, size_t bytes, uint64_t now_ms)
{
    switch (type) {
    case REALTIME_SESSION_CREATED:
    case REALTIME_SESSION_UPDATED:
        session_read(calm, json, bytes);
        return;
    case REALTIME_SPEECH_STARTED:
        calm->speaking = true;
        break;
    case REALTIME_SPEECH_STOPPED:
        calm->speaking = false;
        break;
    case REALTIME_RESPONSE_CREATED:
        calm->responses++;
        break;
    case REALTIME_RESPONSE_DONE:
        calm->responses -= calm->responses > 0;
        break;
    default:
        return;
    }
    calm->stirred_ms = now_ms;
}

bool
session_calm_holds(const struct session_calm *calm, uint64_t now_ms)
{
    return calm->responses == 0 && !calm->speaking
           && !(calm->manual && calm->has_said)
           && now_ms - calm->stirred_ms >= SESSION_CALM_MS;
}
