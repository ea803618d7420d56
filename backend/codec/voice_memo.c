/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A magnitude plus 132 as a float has, in exponent and four bits of mantissa,
 * just the eight segments of sixteen steps that the mu-law is: no table and no
 * branch, so that the compiler makes vectors of it.
 */

#include "codec/voice_memo.h"

#include "codec/pcm.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_SAMPLES 480u
#define BIAS          132
#define SEGMENT_BITS  19u         /* below the four bits of mantissa */
#define SEGMENT_FIRST (134u << 4) /* of 128, 2^7 */
#define STEP_MIDDLE   (1u << 18)

static void
compress(uint8_t *to, const int16_t *pcm, size_t samples)
{
    float biased[PIECE_SAMPLES];
    uint32_t bits[PIECE_SAMPLES];

    for (size_t i = 0; i < samples; i++)
        biased[i] = (float) (abs(pcm[i]) + BIAS);
    memcpy(bits, biased, samples * sizeof(bits[0]));
    for (size_t i = 0; i < samples; i++) {
        uint32_t code = (bits[i] >> SEGMENT_BITS) - SEGMENT_FIRST;

        code = code > 127 ? 127 : code;
        to[i] = (uint8_t) (code | ((uint32_t) pcm[i] >> 24 & 0x80));
    }
}

static void
expand(int16_t *to, const uint8_t *codes, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        uint32_t bits =
            ((codes[i] & 127u) + SEGMENT_FIRST) << SEGMENT_BITS | STEP_MIDDLE;
        float biased;

        memcpy(&biased, &bits, sizeof(biased));
        int magnitude = (int) biased - BIAS;
        to[i] = (int16_t) (codes[i] & 0x80 ? -magnitude : magnitude);
    }
}

void
voice_memo_init(struct voice_memo *memo, bool pcm)
{
    *memo = (struct voice_memo){.pcm = pcm};
    buffer_init(&memo->kept, SIZE_MAX / 2);
}

void
voice_memo_clear(struct voice_memo *memo)
{
    buffer_deinit(&memo->kept);
}

void
voice_memo_push_pcm(struct voice_memo *memo, const int16_t *pcm, size_t samples)
{
    while (samples > 0) {
        size_t n = samples < PIECE_SAMPLES ? samples : PIECE_SAMPLES;
        uint8_t *room = buffer_reserve(&memo->kept, n);

        if (!room)
            return;
        compress(room, pcm, n);
        buffer_commit(&memo->kept, n);
        pcm += n;
        samples -= n;
    }
}

void
voice_memo_push_bytes(struct voice_memo *memo, const void *data, size_t bytes)
{
    (void) buffer_append(&memo->kept, data, bytes);
}

size_t
voice_memo_bytes(const struct voice_memo *memo)
{
    return memo->kept.bytes * (memo->pcm ? 2 : 1);
}

void
voice_memo_trim(struct voice_memo *memo, size_t most_bytes)
{
    size_t most = most_bytes / (memo->pcm ? 2 : 1);

    if (memo->kept.bytes > most)
        buffer_consume(&memo->kept, memo->kept.bytes - most);
}

static void
pcm_read(const struct voice_memo *memo, uint8_t *to)
{
    int16_t pcm[PIECE_SAMPLES];

    for (size_t at = 0; at < memo->kept.bytes; at += PIECE_SAMPLES) {
        size_t left = memo->kept.bytes - at;
        size_t n = left < PIECE_SAMPLES ? left : PIECE_SAMPLES;

        expand(pcm, memo->kept.data + at, n);
        pcm_to_le(to + at * 2, pcm, n);
    }
}

uint8_t *
voice_memo_read(const struct voice_memo *memo)
{
    size_t bytes = voice_memo_bytes(memo);
    uint8_t *audio = bytes ? malloc(bytes) : NULL;

    if (audio && memo->pcm)
        pcm_read(memo, audio);
    else if (audio)
        memcpy(audio, memo->kept.data, bytes);
    return audio;
}
