/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Speech that is kept for a while in a quarter of its memory: 24 kHz PCM as
 * 4-bit ADPCM (the IMA's, as in RFC 3551, 4.5.1) in blocks of 20 ms at most,
 * or, where it is small already (G.711), as the bytes it came in. Pure;
 * embedded in its user, on one thread at a time; owns its memory, none while it
 * is empty. What is too much loses its beginning, block by block.
 *
 *   ┌─────────┬───────────┬───────┬─────────────────────┐
 *   │ samples │ predictor │ index │ four bits a sample  │  a block
 *   └─────────┴───────────┴───────┴─────────────────────┘
 *     2 bytes   2           1       (samples + 1) / 2
 */

#ifndef VOICE_VOICE_MEMO_H
#define VOICE_VOICE_MEMO_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOICE_MEMO_BLOCK_SAMPLES 480u

struct voice_memo {
    struct buffer blocks;
    size_t audio_bytes; /* that reading gives */
    int16_t predictor;  /* of the block that comes next */
    uint8_t index;
    bool pcm;
};

/* `pcm`: samples are appended, else bytes. */
void voice_memo_init(struct voice_memo *memo, bool pcm);
/* Empty, without memory, of the same kind. */
void voice_memo_clear(struct voice_memo *memo);

/* Without memory it is not kept. Each only in a memo of its kind. */
void voice_memo_push_pcm(struct voice_memo *memo, const int16_t *pcm,
                         size_t samples);
void voice_memo_push_bytes(struct voice_memo *memo, const void *data,
                           size_t bytes);

/* Drops the beginning until at most that many bytes of audio are left. */
void voice_memo_trim(struct voice_memo *memo, size_t most_bytes);

/* All of it as it came (PCM: little-endian, nearly as it came), audio_bytes of
 * them; malloc'ed, given. NULL: empty, or no memory. */
uint8_t *voice_memo_read(const struct voice_memo *memo);

#endif
