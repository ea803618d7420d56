/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * WAV files of 16-bit 24 kHz mono PCM, read and written as a whole, and where
 * the speech in them ends. No threads. Refuses any other format.
 */

#ifndef VOICE_VOICECTL_WAV_H
#define VOICE_VOICECTL_WAV_H

#include <stddef.h>
#include <stdint.h>

/* *pcm is malloc'ed and given. 0, UV_E*, or UV_EINVAL and it is said on
 * stderr what is wrong with the file. */
int wav_read(const char *path, int16_t **pcm, size_t *samples);
int wav_write(const char *path, const int16_t *pcm, size_t samples);

/* The sample behind the last 10 ms that are as loud as speech; 0: silence. */
size_t wav_speech_end(const int16_t *pcm, size_t samples);

#endif
