/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The voices: flite, brought to 24 kHz by speexdsp. mouth_open once, before
 * any thread speaks; then any thread, at the same time. Owns the voices for
 * good. A text is spoken as one utterance, so the first sound waits for the
 * prosody of all of it: whoever wants it soon passes one sentence at a time.
 *
 *   text ─► plain ASCII ─► flite (16 kHz, streamed) ─► speexdsp ─► 24 kHz
 */

#ifndef VOICE_MOUTH_H
#define VOICE_MOUTH_H

#include "speech_plugin/speech_plugin.h"

/* 0, or -1 with a reason in error. */
int mouth_open(char *error, size_t error_bytes);

/* As speech_plugin_api.say. */
int mouth_say(const char *text, const char *voice, double speed,
              speech_audio_h *audio, void *arg);

/* The phones of the en-us acoustic model for a lower case word, by lexicon
 * and letter-to-sound rules. 0, or -1: it can't be spoken. */
int mouth_phones(const char *word, char *phones, size_t phones_bytes);

#endif
