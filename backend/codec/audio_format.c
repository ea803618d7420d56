/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/audio_format.h"

#include <string.h>
#include <uv.h>

#define RATE 24000

static const char *const directions[] = {"input", "output"};

bool
audio_format_is_pcm(const json_t *format)
{
    if (!format || json_is_null(format))
        return true;
    const char *type = json_string_value(json_object_get(format, "type"));
    const json_t *rate = json_object_get(format, "rate");

    return type && strcmp(type, "audio/pcm") == 0
           && (!rate || json_number_value(rate) == RATE);
}

static const json_t *
format_of(const json_t *session, unsigned direction)
{
    const json_t *audio = json_object_get(session, "audio");

    return json_object_get(json_object_get(audio, directions[direction]),
                           "format");
}

const char *
audio_format_foreign(const json_t *session)
{
    for (unsigned i = AUDIO_INPUT; i <= AUDIO_OUTPUT; i++)
        if (!audio_format_is_pcm(format_of(session, i)))
            return directions[i];
    return NULL;
}

/* The member of an object, made if it is not there; borrowed. NULL: no memory.
 */
static json_t *
child(json_t *parent, const char *key)
{
    json_t *found = json_object_get(parent, key);

    if (json_is_object(found))
        return found;
    json_object_set_new(parent, key, json_object());
    return json_object_get(parent, key);
}

static int
format_set(json_t **settings, unsigned direction, const json_t *session)
{
    const json_t *type = json_object_get(session, "type");

    if (!*settings)
        *settings = json_pack("{s:s}", "type",
                              type ? json_string_value(type) : "realtime");
    json_t *side = child(child(*settings, "audio"), directions[direction]);
    json_t *format = json_pack("{s:s s:i}", "type", "audio/pcm", "rate", RATE);

    return json_object_set_new(side, "format", format) ? UV_ENOMEM : 0;
}

int
audio_format_settle(json_t **settings, const json_t *session)
{
    int result = 0;

    for (unsigned i = AUDIO_INPUT; i <= AUDIO_OUTPUT && !result; i++) {
        const json_t *set = format_of(*settings, i);
        const json_t *format = set ? set : format_of(session, i);

        if (!audio_format_is_pcm(format))
            result = format_set(settings, i, session);
    }
    return result;
}
