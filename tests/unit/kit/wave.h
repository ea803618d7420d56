/* SPDX-License-Identifier: BSD-2-Clause */

/* Sound for tests: the spoken fixtures, and noise that is always the same. */

#ifndef VOICE_KIT_WAVE_H
#define VOICE_KIT_WAVE_H

#include <stddef.h>
#include <stdint.h>

/* tests/fixtures/<name>, malloc'ed, given; fails the test without it. Run
 * from the top of the tree. */
int16_t *wave_load(const char *name, size_t *samples);

/* Adds white noise of about this rms to the samples. */
void wave_add_noise(int16_t *pcm, size_t samples, double rms, uint32_t seed);

#endif
