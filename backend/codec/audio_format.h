/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The audio formats that a session or a response names (audio.input.format,
 * audio.output.format): a session whose client speaks Opus has 24 kHz PCM on
 * the model's side in both directions, whatever anybody asks for. Pure, any
 * thread, owns nothing.
 */

#ifndef VOICE_AUDIO_FORMAT_H
#define VOICE_AUDIO_FORMAT_H

#include <jansson.h>
#include <stdbool.h>

enum audio_direction { AUDIO_INPUT, AUDIO_OUTPUT };

/* Whether it is {"type":"audio/pcm","rate":24000}; one that is left out is:
 * that is the API's default. */
bool audio_format_is_pcm(const json_t *format);

/* Which direction of a session or response has another one: "input", "output",
 * or NULL. */
const char *audio_format_foreign(const json_t *session);

/*
 * Adds to the settings that will be laid over the session (*settings may be
 * NULL) what makes both formats PCM; nothing where they are. 0 or UV_ENOMEM.
 */
int audio_format_settle(json_t **settings, const json_t *session);

#endif
