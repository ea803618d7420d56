/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The audio formats of the Realtime API: base64 text in one of them to 24 kHz
 * PCM and back. One struct is one stream in one direction; it carries what a
 * chunk leaves over (half a sample, the resampler's past). Pure, any thread.
 *
 *   base64 ─► bytes ─► G.711 ─► 8 to 24 kHz ─► PCM   (and the other way)
 */

#ifndef VOICE_OFFLINE_AUDIO_H
#define VOICE_OFFLINE_AUDIO_H

#include "codec/g711.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum offline_format { OFFLINE_PCM, OFFLINE_PCMU, OFFLINE_PCMA };

struct offline_audio {
    enum offline_format format;
    struct g711_resampler resampler;
    uint8_t odd; /* first byte of a sample cut in two */
    bool has_odd;
};

/* A fresh stream. */
void offline_audio_init(struct offline_audio *audio,
                        enum offline_format format);

/*
 * Gives *pcm (malloc'ed; NULL when it came to no sample). 0, UV_EINVAL (not
 * base64), UV_E2BIG (more than max_bytes of audio), UV_ENOMEM. The stream is
 * unchanged on error.
 */
int offline_audio_decode(struct offline_audio *audio, const json_t *text,
                         size_t max_bytes, int16_t **pcm, size_t *samples);

/* Gives a JSON string, NULL when out of memory. */
json_t *offline_audio_encode(struct offline_audio *audio, const int16_t *pcm,
                             size_t samples);

#endif
