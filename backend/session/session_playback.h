/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How much audio of each of the last assistant items was really sent to the
 * client, and what becomes of a conversation.item.truncate in its light:
 *
 *   - beyond what was sent, or cut shorter before: clamped. A model answers
 *     such a truncate with an error that whole pipelines took for the end;
 *   - at 0 ms: nothing was heard. Models refuse 0, so it becomes 1: the item
 *     is cut, and the model does not believe that all of it was heard;
 *   - of an item that no audio was sent of (text, or none known): there is
 *     nothing to cut, a model has but an error for it; the client is answered
 *     with the conversation.item.truncated that it waits for;
 *   - one that is not well-formed, or may be of an item too old to be known:
 *     the model decides.
 *
 * Pure; embedded in the session.
 */

#ifndef VOICE_SESSION_PLAYBACK_H
#define VOICE_SESSION_PLAYBACK_H

#include "codec/realtime_event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SESSION_PLAYBACK_ITEMS    8
#define SESSION_PLAYBACK_ID_BYTES 48 /* ids of the API have 32 at most */

struct session_playback {
    struct {
        uint64_t sent_bytes; /* of audio */
        uint16_t bytes_per_ms;
        char id[SESSION_PLAYBACK_ID_BYTES]; /* "" free */
    } items[SESSION_PLAYBACK_ITEMS];
    unsigned next;         /* to be written over */
    bool forgot;           /* an item's place was taken, or it had none */
    uint16_t bytes_per_ms; /* of the output format; 0: 24 kHz PCM */
};

enum session_truncate {
    TRUNCATE_PASS,
    TRUNCATE_CLAMP, /* to *audio_end_ms */
    TRUNCATE_ANSWER /* as if done */
};

/* A session or a response as the model shows it: its output format. */
void session_playback_format(struct session_playback *p, const json_t *shown);

/* An audio delta that has gone to the client. */
void session_playback_sent(struct session_playback *p,
                           const struct realtime_peek *delta);

/* The model has cut an item. */
void session_playback_truncated(struct session_playback *p,
                                const struct realtime_peek *truncated);

/* A client's conversation.item.truncate. */
enum session_truncate session_playback_look(const struct session_playback *p,
                                            const struct realtime_peek *asked,
                                            uint64_t *audio_end_ms);

#endif
