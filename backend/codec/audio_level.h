/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How loud and how long a stretch of audio was: RMS, peak, duration (R5.1),
 * told piece by piece as it passes; mono 16-bit PCM at 24 kHz. Pure, no
 * allocation, one thread at a time; the struct is embedded by its user, owns
 * nothing and keeps no audio.
 */

#ifndef VOICE_AUDIO_LEVEL_H
#define VOICE_AUDIO_LEVEL_H

#include <stddef.h>
#include <stdint.h>

/* Zeroed memory is a fresh one. */
struct audio_level {
    uint64_t power;   /* sum of squares: room for 8 days of full scale */
    uint64_t samples; /* so far */
    uint64_t clipped; /* at full scale: the microphone is too loud */
    unsigned peak;    /* largest magnitude, 0…32768 */
};

void audio_level_push(struct audio_level *level, const int16_t *pcm,
                      size_t samples);

/* What `other` saw as if this had seen it too. */
void audio_level_merge(struct audio_level *level,
                       const struct audio_level *other);

/* Root mean square in sample units, 0 when nothing was pushed. */
double audio_level_rms(const struct audio_level *level);

/* In dB under full scale, at least PCM_SILENCE_DBFS. A full-scale square wave
 * has an rms of 0 dBFS. */
double audio_level_rms_dbfs(const struct audio_level *level);
double audio_level_peak_dbfs(const struct audio_level *level);

uint64_t audio_level_duration_ms(const struct audio_level *level);

#endif
