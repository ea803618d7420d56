/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Mono 16-bit PCM: byte order, loudness and the linear operations. Pure: no
 * I/O, no clock, no allocation, any thread. Owns nothing. Refuses to wrap
 * around: everything saturates. Buffers may be the same one where said.
 */

#ifndef VOICE_PCM_H
#define VOICE_PCM_H

#include <stddef.h>
#include <stdint.h>

#define PCM_RATE         24000u /* samples a second, everywhere inside */
#define PCM_SILENCE_DBFS (-96.0)

/* Samples of a duration and back, rounded down. */
static inline size_t
pcm_samples_of_ms(uint64_t ms)
{
    return (size_t) (ms * PCM_RATE / 1000);
}

static inline uint64_t
pcm_ms_of_samples(uint64_t samples)
{
    return samples * 1000 / PCM_RATE;
}

/* Little-endian bytes (the wire) to samples and back. `from` and `to` may be
 * the same memory. */
void pcm_from_le(int16_t *to, const uint8_t *from, size_t samples);
void pcm_to_le(uint8_t *to, const int16_t *from, size_t samples);

/* Largest magnitude, 0…32768. */
unsigned pcm_peak(const int16_t *pcm, size_t samples);

/* Root mean square in sample units, 0 when empty. */
double pcm_rms(const int16_t *pcm, size_t samples);

/* Mean power of the samples in dB under full scale (a full-scale square wave
 * is 0), at least PCM_SILENCE_DBFS. */
double pcm_level_dbfs(const int16_t *pcm, size_t samples);

/* In place, times gain, saturating. NaN counts as 0. */
void pcm_scale(int16_t *pcm, size_t samples, double gain);

/* to += from, saturating. */
void pcm_mix(int16_t *to, const int16_t *from, size_t samples);

/* In place, a straight line of gain from `start` (at the first sample) to
 * `end` (reached one sample after the last). */
void pcm_fade(int16_t *pcm, size_t samples, double start, double end);

#endif
