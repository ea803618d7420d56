/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The recogniser: pocketsphinx, one decoder an `ears`, used by one thread at a
 * time. A grammar becomes a search of the decoder; the most recent few are
 * kept. Every utterance starts from the same state, so an answer depends on
 * its audio and grammar alone. Owns its decoder; the dictionary is shared.
 *
 *   24 kHz ─► pass 1: learns the noise ─► pass 2: the grammar ─► words
 *                                     └─► pass 3: any phones  ─► accept?
 */

#ifndef VOICE_EARS_H
#define VOICE_EARS_H

#include "speech_plugin/speech_plugin.h"

/* Once, before any other; silences the library. 0, or -1 with a reason. */
int ears_open(char *error, size_t error_bytes);

/* As in speech_plugin_api. */
int ears_create(struct speech_ears **ep);
void ears_destroy(struct speech_ears *ears);
int ears_hear(struct speech_ears *ears, const struct speech_grammar *grammar,
              const int16_t *pcm, size_t samples, struct speech_heard *heard);

#endif
