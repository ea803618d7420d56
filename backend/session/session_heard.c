/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_heard.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Which part an event is of; id "": one that we can't keep. */
struct place {
    char id[HEARD_TEXT_ID_BYTES];
    unsigned content_index;
};

static struct place
place_of(const struct realtime_peek *peek)
{
    struct realtime_span id = peek->value[REALTIME_KEY_ITEM_ID];
    struct realtime_span index = peek->value[REALTIME_KEY_CONTENT_INDEX];
    struct place place = {.id = ""};

    if (id.text && id.bytes >= 2 && id.bytes - 2 < sizeof(place.id))
        snprintf(place.id, sizeof(place.id), "%.*s", (int) id.bytes - 2,
                 id.text + 1);
    if (index.text)
        place.content_index = (unsigned) strtoul(index.text, NULL, 10);
    return place;
}

void
session_heard_init(struct session_heard *h)
{
    heard_text_init(&h->texts);
}

void
session_heard_deinit(struct session_heard *h)
{
    heard_text_deinit(&h->texts);
}

/* Base64 has four characters for three bytes, a sample two. */
void
session_heard_audio(struct session_heard *h, const struct realtime_peek *peek)
{
    const struct place place = place_of(peek);
    size_t chars = peek->value[REALTIME_KEY_DELTA].bytes;

    heard_text_audio(&h->texts, place.id, place.content_index,
                     chars > 2 ? (uint64_t) (chars - 2) * 3 / 8 : 0);
}

void
session_heard_words(struct session_heard *h, const struct realtime_peek *peek)
{
    const struct place place = place_of(peek);
    struct realtime_span delta = peek->value[REALTIME_KEY_DELTA];
    json_t *text =
        delta.text ? json_loadb(delta.text, delta.bytes, JSON_DECODE_ANY, NULL)
                   : NULL;

    if (json_is_string(text))
        heard_text_grow(&h->texts, place.id, place.content_index,
                        json_string_value(text), json_string_length(text));
    json_decref(text);
}

void
session_heard_item(struct session_heard *h, const struct realtime_peek *peek)
{
    struct realtime_span told = peek->value[REALTIME_KEY_ITEM];
    json_t *item =
        told.text ? json_loadb(told.text, told.bytes, 0, NULL) : NULL;
    const char *id = json_string_value(json_object_get(item, "id"));
    const char *status = json_string_value(json_object_get(item, "status"));
    size_t parts = json_array_size(json_object_get(item, "content"));

    if (id && status && strcmp(status, "completed") == 0)
        for (unsigned i = 0; i < parts; i++)
            heard_text_whole(&h->texts, id, i);
    json_decref(item);
}

char *
session_heard_truncated(struct session_heard *h,
                        const struct realtime_peek *peek, const char *json,
                        size_t bytes)
{
    const struct place place = place_of(peek);
    struct realtime_span end = peek->value[REALTIME_KEY_AUDIO_END_MS];
    uint64_t end_ms = end.text ? strtoull(end.text, NULL, 10) : 0;
    size_t heard;
    const char *text = heard_text_cut(&h->texts, place.id, place.content_index,
                                      end_ms, &heard);
    json_t *event = text ? json_loadb(json, bytes, 0, NULL) : NULL;
    char *made = NULL;

    if (event
        && json_object_set_new(event, "transcript", json_stringn(text, heard))
               == 0)
        made = json_dumps(event, JSON_COMPACT);
    json_decref(event);
    return made;
}
