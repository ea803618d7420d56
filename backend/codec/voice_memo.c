/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_memo.h"

#include "codec/pcm.h"

#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 5u
#define STEPS      89

static const int16_t steps[STEPS] = {
    7,     8,     9,     10,    11,    12,    13,    14,    16,    17,
    19,    21,    23,    25,    28,    31,    34,    37,    41,    45,
    50,    55,    60,    66,    73,    80,    88,    97,    107,   118,
    130,   143,   157,   173,   190,   209,   230,   253,   279,   307,
    337,   371,   408,   449,   494,   544,   598,   658,   724,   796,
    876,   963,   1060,  1166,  1282,  1411,  1552,  1707,  1878,  2066,
    2272,  2499,  2749,  3024,  3327,  3660,  4026,  4428,  4871,  5358,
    5894,  6484,  7132,  7845,  8630,  9493,  10442, 11487, 12635, 13899,
    15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
};
static const int8_t moves[8] = {-1, -1, -1, -1, 2, 4, 6, 8};

struct adpcm {
    int predictor;
    int index;
};

static int
clamp(int value, int least, int most)
{
    if (value < least)
        return least;
    return value > most ? most : value;
}

/* What a code means moves both sides alike. */
static int
code_apply(struct adpcm *a, unsigned code)
{
    int step = steps[a->index];
    int difference = step >> 3;

    if (code & 4)
        difference += step;
    if (code & 2)
        difference += step >> 1;
    if (code & 1)
        difference += step >> 2;
    if (code & 8)
        difference = -difference;
    a->predictor = clamp(a->predictor + difference, INT16_MIN, INT16_MAX);
    a->index = clamp(a->index + moves[code & 7], 0, STEPS - 1);
    return a->predictor;
}

static unsigned
sample_encode(struct adpcm *a, int sample)
{
    int difference = sample - a->predictor;
    int step = steps[a->index];
    unsigned code = 0;

    if (difference < 0) {
        code = 8;
        difference = -difference;
    }
    for (unsigned bit = 4; bit > 0; bit >>= 1, step >>= 1) {
        if (difference < step)
            continue;
        code |= bit;
        difference -= step;
    }
    code_apply(a, code);
    return code;
}

/* --- blocks */

static size_t
block_bytes(size_t samples)
{
    return HEAD_BYTES + (samples + 1) / 2;
}

static size_t
block_samples(const uint8_t *block)
{
    return (size_t) block[0] << 8 | block[1];
}

static void
block_write(struct voice_memo *memo, uint8_t *to, const int16_t *pcm,
            size_t samples)
{
    struct adpcm a = {memo->predictor, memo->index};
    uint8_t *at = to + HEAD_BYTES;

    to[0] = (uint8_t) (samples >> 8);
    to[1] = (uint8_t) samples;
    to[2] = (uint8_t) ((uint16_t) memo->predictor >> 8);
    to[3] = (uint8_t) memo->predictor;
    to[4] = memo->index;
    for (size_t i = 0; i < samples; i += 2) {
        unsigned code = sample_encode(&a, pcm[i]);

        if (i + 1 < samples)
            code |= sample_encode(&a, pcm[i + 1]) << 4;
        *at++ = (uint8_t) code;
    }
    memo->predictor = (int16_t) a.predictor;
    memo->index = (uint8_t) a.index;
}

static void
block_read(int16_t *to, const uint8_t *block)
{
    struct adpcm a = {(int16_t) (block[2] << 8 | block[3]), block[4]};
    size_t samples = block_samples(block);

    block += HEAD_BYTES;
    for (size_t i = 0; i < samples; i++)
        to[i] = (int16_t) code_apply(&a, block[i / 2] >> (i % 2 * 4) & 15);
}

/* --- the memo */

void
voice_memo_init(struct voice_memo *memo, bool pcm)
{
    *memo = (struct voice_memo){.pcm = pcm};
    buffer_init(&memo->blocks, SIZE_MAX / 2);
}

void
voice_memo_clear(struct voice_memo *memo)
{
    buffer_deinit(&memo->blocks);
    voice_memo_init(memo, memo->pcm);
}

void
voice_memo_push_pcm(struct voice_memo *memo, const int16_t *pcm, size_t samples)
{
    while (samples > 0) {
        size_t n = samples < VOICE_MEMO_BLOCK_SAMPLES
                       ? samples
                       : VOICE_MEMO_BLOCK_SAMPLES;
        uint8_t *room = buffer_reserve(&memo->blocks, block_bytes(n));

        if (!room)
            return;
        block_write(memo, room, pcm, n);
        buffer_commit(&memo->blocks, block_bytes(n));
        memo->audio_bytes += n * 2;
        pcm += n;
        samples -= n;
    }
}

void
voice_memo_push_bytes(struct voice_memo *memo, const void *data, size_t bytes)
{
    if (buffer_append(&memo->blocks, data, bytes) == 0)
        memo->audio_bytes += bytes;
}

static void
blocks_trim(struct voice_memo *memo, size_t most_bytes)
{
    while (memo->audio_bytes > most_bytes) {
        size_t samples = block_samples(memo->blocks.data);

        buffer_consume(&memo->blocks, block_bytes(samples));
        memo->audio_bytes -= samples * 2;
    }
}

void
voice_memo_trim(struct voice_memo *memo, size_t most_bytes)
{
    if (memo->audio_bytes <= most_bytes)
        return;
    if (memo->pcm) {
        blocks_trim(memo, most_bytes);
        return;
    }
    buffer_consume(&memo->blocks, memo->audio_bytes - most_bytes);
    memo->audio_bytes = most_bytes;
}

static void
blocks_read(const struct voice_memo *memo, uint8_t *to)
{
    const uint8_t *block = memo->blocks.data;
    const uint8_t *end = block + memo->blocks.bytes;
    int16_t pcm[VOICE_MEMO_BLOCK_SAMPLES];

    while (block < end) {
        size_t samples = block_samples(block);

        block_read(pcm, block);
        pcm_to_le(to, pcm, samples);
        to += samples * 2;
        block += block_bytes(samples);
    }
}

uint8_t *
voice_memo_read(const struct voice_memo *memo)
{
    uint8_t *audio = memo->audio_bytes ? malloc(memo->audio_bytes) : NULL;

    if (audio && memo->pcm)
        blocks_read(memo, audio);
    else if (audio)
        memcpy(audio, memo->blocks.data, memo->audio_bytes);
    return audio;
}
