/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_playback.h"

#include <stdio.h>
#include <string.h>

#define PCM_BYTES_PER_MS  48
#define G711_BYTES_PER_MS 8
#define MS_DIGITS_MAX     12

void
session_playback_format(struct session_playback *p, const json_t *shown)
{
    const json_t *audio = json_object_get(shown, "audio");
    const json_t *format =
        json_object_get(json_object_get(audio, "output"), "format");
    const char *type = json_string_value(json_object_get(format, "type"));

    if (type)
        p->bytes_per_ms =
            strcmp(type, "audio/pcmu") == 0 || strcmp(type, "audio/pcma") == 0
                ? G711_BYTES_PER_MS
                : PCM_BYTES_PER_MS;
}

/* The plain text of a string value; "" for any other, and one too long. */
static void
id_read(struct realtime_span span, char out[SESSION_PLAYBACK_ID_BYTES])
{
    out[0] = 0;
    if (!span.text || span.text[0] != '"' || span.bytes < 3
        || span.bytes - 2 >= SESSION_PLAYBACK_ID_BYTES
        || memchr(span.text, '\\', span.bytes))
        return;
    memcpy(out, span.text + 1, span.bytes - 2);
    out[span.bytes - 2] = 0;
}

/* A whole number that is not negative; false: it is something else. */
static bool
count_read(struct realtime_span span, uint64_t *out)
{
    uint64_t value = 0;

    if (!span.text || span.bytes == 0 || span.bytes > MS_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < span.bytes; i++) {
        if (span.text[i] < '0' || span.text[i] > '9')
            return false;
        value = value * 10 + (uint64_t) (span.text[i] - '0');
    }
    *out = value;
    return true;
}

/* Its place, or SESSION_PLAYBACK_ITEMS. */
static unsigned
item_find(const struct session_playback *p, const char *id)
{
    unsigned i;

    for (i = 0; i < SESSION_PLAYBACK_ITEMS; i++)
        if (strcmp(p->items[i].id, id) == 0)
            break;
    return i;
}

static unsigned
item_make(struct session_playback *p, const char *id)
{
    unsigned place = p->next;

    p->forgot |= p->items[place].id[0] != 0;
    p->next = (place + 1) % SESSION_PLAYBACK_ITEMS;
    snprintf(p->items[place].id, sizeof(p->items[place].id), "%s", id);
    p->items[place].sent_bytes = 0;
    p->items[place].bytes_per_ms =
        p->bytes_per_ms ? p->bytes_per_ms : PCM_BYTES_PER_MS;
    return place;
}

/* Of base64 in quotes, padded or not. */
static uint64_t
audio_bytes(struct realtime_span span)
{
    size_t chars = span.bytes < 2 ? 0 : span.bytes - 2;

    while (chars > 0 && span.text[chars] == '=')
        chars--;
    return (uint64_t) chars * 3 / 4;
}

void
session_playback_sent(struct session_playback *p,
                      const struct realtime_peek *delta)
{
    char id[SESSION_PLAYBACK_ID_BYTES];

    id_read(delta->value[REALTIME_KEY_ITEM_ID], id);
    if (!*id) {
        p->forgot = true;
        return;
    }
    unsigned place = item_find(p, id);
    if (place == SESSION_PLAYBACK_ITEMS)
        place = item_make(p, id);
    p->items[place].sent_bytes += audio_bytes(delta->value[REALTIME_KEY_DELTA]);
}

void
session_playback_truncated(struct session_playback *p,
                           const struct realtime_peek *truncated)
{
    char id[SESSION_PLAYBACK_ID_BYTES];
    uint64_t ms;

    id_read(truncated->value[REALTIME_KEY_ITEM_ID], id);
    if (!*id || !count_read(truncated->value[REALTIME_KEY_AUDIO_END_MS], &ms))
        return;
    unsigned place = item_find(p, id);
    if (place != SESSION_PLAYBACK_ITEMS
        && ms * p->items[place].bytes_per_ms < p->items[place].sent_bytes)
        p->items[place].sent_bytes = ms * p->items[place].bytes_per_ms;
}

enum session_truncate
session_playback_look(const struct session_playback *p,
                      const struct realtime_peek *asked, uint64_t *audio_end_ms)
{
    char id[SESSION_PLAYBACK_ID_BYTES];
    uint64_t ms, index;

    id_read(asked->value[REALTIME_KEY_ITEM_ID], id);
    if (!*id || !count_read(asked->value[REALTIME_KEY_CONTENT_INDEX], &index)
        || !count_read(asked->value[REALTIME_KEY_AUDIO_END_MS], &ms))
        return TRUNCATE_PASS;
    unsigned place = item_find(p, id);
    if (place == SESSION_PLAYBACK_ITEMS)
        return p->forgot ? TRUNCATE_PASS : TRUNCATE_ANSWER;
    uint64_t sent_ms =
        p->items[place].sent_bytes / p->items[place].bytes_per_ms;
    if (sent_ms == 0)
        return TRUNCATE_ANSWER;
    if (ms > 0 && ms <= sent_ms)
        return TRUNCATE_PASS;
    *audio_end_ms = ms == 0 ? 1 : sent_ms;
    return TRUNCATE_CLAMP;
}
