/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Telephone audio: G.711 µ-law and A-law (ITU-T G.711) to 16-bit PCM and back,
 * and the step between its 8 kHz and the 24 kHz used inside. Pure, no
 * allocation; a resampler holds the state of one stream in one direction and
 * is used on one thread at a time. Owns nothing. For speech, not music: the
 * band is 0 to about 3.6 kHz.
 */

#ifndef VOICE_G711_H
#define VOICE_G711_H

#include <stddef.h>
#include <stdint.h>

enum g711_law { G711_ULAW, G711_ALAW };

void g711_decode(enum g711_law law, int16_t *pcm, const uint8_t *bytes,
                 size_t samples);
void g711_encode(enum g711_law law, uint8_t *bytes, const int16_t *pcm,
                 size_t samples);

#define G711_RATIO 3  /* 24 kHz over 8 kHz */
#define G711_TAPS  72 /* of the low-pass filter, at 24 kHz */

/* One stream. Zeroed memory is a fresh one. */
struct g711_resampler {
    int16_t history[G711_TAPS]; /* newest last */
    unsigned phase;             /* down: samples since the last one out */
};

/* 8 to 24 kHz: writes exactly 3 * samples. Delay 1.5 ms. */
void g711_resample_up(struct g711_resampler *state, int16_t *to,
                      const int16_t *from, size_t samples);

/* 24 to 8 kHz: any count in; gives the count written, at most
 * samples / 3 + 1. Delay 1.5 ms. `to` may be `from`. */
size_t g711_resample_down(struct g711_resampler *state, int16_t *to,
                          const int16_t *from, size_t samples);

#endif
