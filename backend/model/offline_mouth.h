/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Speaks one text: sentence by sentence through the synthesiser, audio and
 * words taken by the response at its own pace. Owns its job and the audio not
 * yet taken (at most one sentence ahead). Runs on the session's loop.
 *
 *   text ─► sentence ─► speech_say ─► pcm waiting ─► offline_mouth_take
 */

#ifndef VOICE_OFFLINE_MOUTH_H
#define VOICE_OFFLINE_MOUTH_H

#include "gate/speech.h"

#include <stdbool.h>

struct offline_mouth;

struct offline_mouth_config {
    struct speech *speech;
    struct loop *loop;
    const char *text;  /* copied; not empty */
    const char *voice; /* copied */
    double speed;
    /* There is audio again after a take that gave none, or the end, or an
     * error. May destroy the mouth. */
    void (*on_ready)(void *arg);
    void *arg;
};

/* 0 or UV_E* when it could not begin. */
int offline_mouth_start(struct offline_mouth **mp,
                        const struct offline_mouth_config *cfg);
void offline_mouth_destroy(struct offline_mouth **mp);

/* Moves up to max samples; 0: none ready. */
size_t offline_mouth_take(struct offline_mouth *mouth, int16_t *pcm,
                          size_t max);

/*
 * The next few words, of sentences whose audio has begun; *bytes of them, not
 * NUL-terminated, borrowed. all: whatever has begun, at once. NULL: none now.
 */
const char *offline_mouth_words(struct offline_mouth *mouth, bool all,
                                size_t *bytes);

/* All was made and taken. */
bool offline_mouth_is_done(const struct offline_mouth *mouth);
int offline_mouth_error(const struct offline_mouth *mouth);

/* The length of the next few words of text (their spaces included). */
size_t offline_words_length(const char *text, size_t bytes);

#endif
