/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_microphone.h"

#include "codec/base64.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCM_BYTES_A_MS 48
#define PIECE_CHARS    4096u /* decoded at a time */

void
session_microphone_init(struct session_microphone *m)
{
    *m = (struct session_microphone){.bytes_per_ms = PCM_BYTES_A_MS};
    voice_memo_init(&m->open, true);
    voice_memo_init(&m->held, true);
}

void
session_microphone_deinit(struct session_microphone *m)
{
    voice_memo_clear(&m->open);
    voice_memo_clear(&m->held);
}

/* Nothing, in the present format. */
static void
open_clear(struct session_microphone *m)
{
    voice_memo_clear(&m->open);
    m->open.pcm = m->bytes_per_ms == PCM_BYTES_A_MS;
    m->reader = (struct pcm_text_reader){0};
}

static void
silence_trim(struct session_microphone *m)
{
    if (!m->keeps)
        voice_memo_trim(&m->open, (size_t) m->bytes_per_ms
                                      * SESSION_MICROPHONE_BEFORE_MS);
}

void
session_microphone_set(struct session_microphone *m, uint32_t bytes_per_ms,
                       bool by_hand)
{
    if (m->bytes_per_ms != bytes_per_ms) {
        m->bytes_per_ms = bytes_per_ms;
        open_clear(m); /* what no one could read any more */
    }
    if (by_hand)
        m->keeps = true;
    else if (m->by_hand)
        m->keeps = false;
    m->by_hand = by_hand;
    silence_trim(m);
}

static bool
pcm_push(struct session_microphone *m, const char *text, size_t chars)
{
    int16_t pcm[PIECE_CHARS / 8 * 3 + 1];
    ssize_t samples = pcm_text_read(&m->reader, pcm, text, chars);

    if (samples > 0)
        voice_memo_push_pcm(&m->open, pcm, (size_t) samples);
    return samples >= 0;
}

static bool
bytes_push(struct session_microphone *m, const char *text, size_t chars)
{
    uint8_t data[PIECE_CHARS / 4 * 3];
    ssize_t bytes = base64_decode(data, text, chars);

    if (bytes > 0)
        voice_memo_push_bytes(&m->open, data, (size_t) bytes);
    return bytes >= 0;
}

/* Plain base64 to the end of what is open, up to where it is none. */
static void
base64_append(struct session_microphone *m, const char *text, size_t chars)
{
    size_t most = base64_decoded_max(chars);
    bool sound = most <= SESSION_MICROPHONE_MAX;

    if (!sound)
        return;
    voice_memo_trim(&m->open, SESSION_MICROPHONE_MAX - most);
    while (chars > 0 && sound) {
        size_t n = chars < PIECE_CHARS ? chars : PIECE_CHARS;

        sound = m->open.pcm ? pcm_push(m, text, n) : bytes_push(m, text, n);
        text += n;
        chars -= n;
    }
    silence_trim(m);
}

/* Some writers of JSON escape '/' or '+'. */
static void
escaped_append(struct session_microphone *m, struct realtime_span audio)
{
    json_t *text = json_loadb(audio.text, audio.bytes, JSON_DECODE_ANY, NULL);

    if (json_is_string(text))
        base64_append(m, json_string_value(text), json_string_length(text));
    json_decref(text);
}

void
session_microphone_append(struct session_microphone *m,
                          struct realtime_span audio)
{
    if (!audio.text || audio.bytes < 2 || audio.text[0] != '"')
        return;
    if (memchr(audio.text, '\\', audio.bytes))
        escaped_append(m, audio);
    else
        base64_append(m, audio.text + 1, audio.bytes - 2);
}

void
session_microphone_speech_started(struct session_microphone *m)
{
    m->keeps = true;
}

static void
held_free(struct session_microphone *m)
{
    voice_memo_clear(&m->held);
    m->held_is_sent = false;
    m->held_id[0] = 0;
}

/* What is open becomes what is held. */
static void
turn_take(struct session_microphone *m)
{
    held_free(m);
    m->held = m->open;
    voice_memo_init(&m->open, m->held.pcm);
    open_clear(m);
    m->keeps = m->by_hand;
}

void
session_microphone_commit(struct session_microphone *m)
{
    turn_take(m);
    m->held_is_sent = true;
}

void
session_microphone_clear(struct session_microphone *m)
{
    open_clear(m);
    m->keeps = m->by_hand;
}

void
session_microphone_committed(struct session_microphone *m, const char *item_id)
{
    if (!m->held_is_sent)
        turn_take(m);
    m->held_is_sent = false;
    snprintf(m->held_id, sizeof(m->held_id), "%s", item_id);
}

void
session_microphone_refused(struct session_microphone *m)
{
    if (m->held_is_sent)
        held_free(m);
}

void
session_microphone_settle(struct session_microphone *m, const char *item_id)
{
    if (item_id[0] && strcmp(m->held_id, item_id) == 0)
        held_free(m);
}

const struct voice_memo *
session_microphone_of(const struct session_microphone *m, const char *item_id)
{
    return voice_memo_bytes(&m->held) && strcmp(m->held_id, item_id) == 0
               ? &m->held
               : NULL;
}

char *
session_microphone_base64(const void *data, size_t bytes)
{
    char *text = malloc(base64_encoded_bytes(bytes) + 1);

    if (text)
        text[base64_encode(text, data, bytes)] = 0;
    return text;
}

char *
session_microphone_text(const struct voice_memo *memo)
{
    uint8_t *audio = voice_memo_read(memo);
    char *text =
        audio ? session_microphone_base64(audio, voice_memo_bytes(memo)) : NULL;

    free(audio);
    return text;
}
