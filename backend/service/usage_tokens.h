/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tokens out of a model's `usage` object, or estimated when it says none.
 * Cached tokens are part of the input, and texts, audio and images count their
 * cached share. Pure, any thread.
 */

#ifndef VOICE_USAGE_TOKENS_H
#define VOICE_USAGE_TOKENS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct usage_tokens {
    uint64_t input;
    uint64_t input_text, input_audio, input_image;
    uint64_t cached;
    uint64_t cached_text, cached_audio, cached_image;
    uint64_t output;
    uint64_t output_text, output_audio;
    uint64_t transcribed, transcribed_ms; /* billed apart */
    bool estimated;
};

/* What a context held and a response brought, for an estimate. */
struct usage_seen {
    uint64_t input_chars;
    uint64_t input_audio_ms;
    uint64_t output_chars;
    uint64_t output_audio_ms;
};

/* `usage` of response.done. 0; UV_ENOENT: null or no object, estimate then. */
int usage_tokens_read(struct usage_tokens *tokens, const json_t *usage);

/* `usage` of …input_audio_transcription.completed: tokens or a duration. */
int usage_tokens_read_transcription(struct usage_tokens *tokens,
                                    const json_t *usage);

/* Four characters a token; audio one per 100 ms in and per 50 ms out. */
void usage_tokens_estimate(struct usage_tokens *tokens,
                           const struct usage_seen *seen);

#endif
