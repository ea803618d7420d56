/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_audio.h"

#include "codec/json_scan.h"

#include <string.h>

static bool
is_key(struct realtime_span key, const char *name)
{
    return key.bytes == strlen(name) && memcmp(key.text, name, key.bytes) == 0;
}

/* At a key; behind its colon afterwards. */
static bool
key_read(struct json_scan *s, struct realtime_span *key)
{
    bool escaped;

    if (json_scan_next(s) != '"')
        return false;
    key->text = (const char *) s->at + 1;
    if (!json_scan_string(s, &escaped))
        return false;
    key->bytes = (size_t) ((const char *) s->at - key->text) - 1;
    if (!json_scan_take(s, ':'))
        return false;
    json_scan_space(s);
    return true;
}

static void
member_note(struct history_audio *audio, struct realtime_span key,
            struct realtime_span value)
{
    bool text = value.bytes > 2 && value.text[0] == '"';

    if (is_key(key, "item_id") && text) {
        audio->item_id.text = value.text + 1;
        audio->item_id.bytes = value.bytes - 2;
    } else if (is_key(key, "content_index")) {
        if (value.bytes == 1 && value.text[0] >= '0' && value.text[0] <= '9')
            audio->content_index = (uint64_t) (value.text[0] - '0');
    } else if (is_key(key, "delta") && text) {
        audio->bytes = (value.bytes - 2) / 4 * 3;
    }
}

/* Everything but `"` and `"}` of what is left. */
static bool
last_note(struct history_audio *audio, const struct json_scan *s)
{
    size_t left = (size_t) (s->end - s->at);

    audio->bytes = left > 3 ? (left - 3) / 4 * 3 : 0;
    return true;
}

bool
history_audio_read(struct history_audio *audio, const char *json, size_t bytes)
{
    struct json_scan s = {(const uint8_t *) json,
                          (const uint8_t *) json + bytes};
    struct realtime_span key, value;
    bool escaped;

    memset(audio, 0, sizeof(*audio));
    if (!json_scan_take(&s, '{'))
        return false;
    do {
        if (!key_read(&s, &key))
            return false;
        if (audio->item_id.text && is_key(key, "delta"))
            return last_note(audio, &s);
        value.text = (const char *) s.at;
        if (json_scan_value(&s, &escaped) != JSON_SCAN_SOUND)
            return false;
        value.bytes = (size_t) ((const char *) s.at - value.text);
        member_note(audio, key, value);
    } while (json_scan_take(&s, ','));
    return audio->item_id.text != NULL;
}
