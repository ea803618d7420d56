/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Speech that is kept for a while in half of its memory: 24 kHz PCM with the
 * logarithmic steps of G.711's mu-law (ITU-T G.711), or, where it is small
 * already, as the bytes it came in. Pure; embedded in its user, on one thread
 * at a time; owns its memory, none while it is empty. What is too much loses
 * its beginning.
 */

#ifndef VOICE_VOICE_MEMO_H
#define VOICE_VOICE_MEMO_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct voice_memo {
    struct buffer kept; /* a byte a sample, or as it came */
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

/* Of audio as reading gives it; PCM has two for a sample. */
size_t voice_memo_bytes(const struct voice_memo *memo);

/* Drops the beginning until at most that many bytes of audio are left. */
void voice_memo_trim(struct voice_memo *memo, size_t most_bytes);

/* All of it as it came (PCM: little-endian, nearly as it came); malloc'ed,
 * given. NULL: empty, or no memory. */
uint8_t *voice_memo_read(const struct voice_memo *memo);

#endif
