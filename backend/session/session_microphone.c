/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_microphone.h"

#include "codec/base64.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PCM_BYTES_A_MS 48

void
session_microphone_init(struct session_microphone *m)
{
    *m = (struct session_microphone){.bytes_per_ms = PCM_BYTES_A_MS};
    buffer_init(&m->open, SESSION_MICROPHONE_MAX);
    buffer_init(&m->held, SESSION_MICROPHONE_MAX);
}

void
session_microphone_deinit(struct session_microphone *m)
{
    buffer_deinit(&m->open);
    buffer_deinit(&m->held);
}

/* Drops the beginning beyond `most`; never half a sample. */
static void
open_trim(struct session_microphone *m, size_t most)
{
    size_t sample = m->bytes_per_ms == PCM_BYTES_A_MS ? 2 : 1;

    if (m->open.bytes <= most)
        return;
    size_t over = m->open.bytes - most;
    over += over % sample;
    buffer_consume(&m->open, over);
}

static void
silence_trim(struct session_microphone *m)
{
    if (!m->keeps)
        open_trim(m, (size_t) m->bytes_per_ms * SESSION_MICROPHONE_BEFORE_MS);
}

void
session_microphone_set(struct session_microphone *m, uint32_t bytes_per_ms,
                       bool by_hand)
{
    if (m->bytes_per_ms != bytes_per_ms)
        buffer_clear(&m->open); /* what no one could read any more */
    m->bytes_per_ms = bytes_per_ms;
    if (by_hand)
        m->keeps = true;
    else if (m->by_hand)
        m->keeps = false;
    m->by_hand = by_hand;
    silence_trim(m);
}

/* Plain base64 to the end of what is open. */
static void
base64_append(struct session_microphone *m, const char *text, size_t chars)
{
    size_t most = base64_decoded_max(chars);

    if (most == 0 || most > SESSION_MICROPHONE_MAX)
        return;
    open_trim(m, SESSION_MICROPHONE_MAX - most);
    uint8_t *room = buffer_reserve(&m->open, most);
    if (!room)
        return; /* no memory: a poorer history */
    ssize_t bytes = base64_decode(room, text, chars);
    if (bytes > 0)
        buffer_commit(&m->open, (size_t) bytes);
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
    buffer_deinit(&m->held);
    m->held_is_sent = false;
    m->held_id[0] = 0;
}

/* What is open becomes what is held. */
static void
turn_take(struct session_microphone *m)
{
    held_free(m);
    m->held = m->open;
    buffer_init(&m->open, SESSION_MICROPHONE_MAX);
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
    buffer_deinit(&m->open);
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

const struct buffer *
session_microphone_of(const struct session_microphone *m, const char *item_id)
{
    return m->held.bytes && strcmp(m->held_id, item_id) == 0 ? &m->held : NULL;
}

char *
session_microphone_base64(const void *data, size_t bytes)
{
    char *text = malloc(base64_encoded_bytes(bytes) + 1);

    if (text)
        text[base64_encode(text, data, bytes)] = 0;
    return text;
}
