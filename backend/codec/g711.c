/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/g711.h"

#include <string.h>

#define ULAW_BIAS 132   /* makes every segment a power of two */
#define ULAW_MOST 32635 /* the largest magnitude that has a code */

/*
 * Low-pass at 24 kHz in Q15: -1 dB at 3.4 kHz, -20 dB at 4 kHz, under -58 dB
 * from 4.6 kHz (windowed sinc, Kaiser 5). Symmetric, so order is no matter.
 */
static const int16_t taps[G711_TAPS] = {
    2,    14,   18,   2,    -27,   -41,   -16,   40,    77,   47,   -46,  -126,
    -103, 33,   181,  192,  10,    -236,  -317,  -103,  276,  486,  270,  -277,
    -706, -552, 206,  1001, 1045,  19,    -1467, -2096, -717, 2719, 6874, 9703,
    9703, 6874, 2719, -717, -2096, -1467, 19,    1045,  1001, 206,  -552, -706,
    -277, 270,  486,  276,  -103,  -317,  -236,  10,    192,  181,  33,   -103,
    -126, -46,  47,   77,   40,    -16,   -41,   -27,   2,    18,   14,   2,
};

static uint8_t
ulaw_of(int sample)
{
    int sign = sample < 0 ? 0x80 : 0;
    int magnitude = sample < 0 ? -sample : sample;
    int exponent;

    magnitude = (magnitude > ULAW_MOST ? ULAW_MOST : magnitude) + ULAW_BIAS;
    exponent = 31 - __builtin_clz((unsigned) magnitude) - 7;
    return (uint8_t) ~(sign | exponent << 4
                       | (magnitude >> (exponent + 3) & 0x0f));
}

static int16_t
ulaw_sample(uint8_t byte)
{
    int code = (uint8_t) ~byte;
    int exponent = code >> 4 & 7;
    int magnitude = (((code & 0x0f) << 3 | 0x84) << exponent) - ULAW_BIAS;

    return (int16_t) (code & 0x80 ? -magnitude : magnitude);
}

static uint8_t
alaw_of(int sample)
{
    int sign = sample < 0 ? 0 : 0x80;
    int magnitude = (sample < 0 ? -sample - 1 : sample) >> 4; /* 11 bits */
    int code = magnitude;

    if (magnitude > 15) {
        int exponent = 31 - __builtin_clz((unsigned) magnitude) - 4;

        code = (exponent + 1) << 4 | (magnitude >> exponent & 0x0f);
    }
    return (uint8_t) ((sign | code) ^ 0x55);
}

static int16_t
alaw_sample(uint8_t byte)
{
    int code = byte ^ 0x55;
    int exponent = code >> 4 & 7;
    int magnitude = (code & 0x0f) << 4 | 8; /* the middle of the step */

    if (exponent > 0)
        magnitude = (magnitude | 0x100) << (exponent - 1);
    return (int16_t) (code & 0x80 ? magnitude : -magnitude);
}

void
g711_decode(enum g711_law law, int16_t *pcm, const uint8_t *bytes,
            size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        pcm[i] =
            law == G711_ULAW ? ulaw_sample(bytes[i]) : alaw_sample(bytes[i]);
}

void
g711_encode(enum g711_law law, uint8_t *bytes, const int16_t *pcm,
            size_t samples)
{
    for (size_t i = 0; i < samples; i++)
        bytes[i] = law == G711_ULAW ? ulaw_of(pcm[i]) : alaw_of(pcm[i]);
}

static int16_t
from_q15(int64_t sum)
{
    sum = (sum + (1 << 14)) >> 15;
    if (sum > INT16_MAX)
        return INT16_MAX;
    return (int16_t) (sum < INT16_MIN ? INT16_MIN : sum);
}

static void
history_push(struct g711_resampler *state, int16_t sample)
{
    memmove(state->history, state->history + 1,
            sizeof state->history - sizeof state->history[0]);
    state->history[G711_TAPS - 1] = sample;
}

/* Between two samples in come two zeros, so each sample out meets every third
 * tap only, and the level is made up for by the ratio. */
void
g711_resample_up(struct g711_resampler *state, int16_t *to, const int16_t *from,
                 size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        history_push(state, from[i]);
        for (unsigned phase = 0; phase < G711_RATIO; phase++) {
            const int16_t *newest = state->history + G711_TAPS - 1;
            int64_t sum = 0;

            for (unsigned k = 0; k < G711_TAPS / G711_RATIO; k++)
                sum +=
                    (int32_t) taps[phase + k * G711_RATIO] * newest[-(int) k];
            *to++ = from_q15(sum * G711_RATIO);
        }
    }
}

size_t
g711_resample_down(struct g711_resampler *state, int16_t *to,
                   const int16_t *from, size_t samples)
{
    size_t written = 0;

    for (size_t i = 0; i < samples; i++) {
        int64_t sum = 0;

        history_push(state, from[i]);
        state->phase = (state->phase + 1) % G711_RATIO;
        if (state->phase != 0)
            continue;
        for (unsigned k = 0; k < G711_TAPS; k++)
            sum += (int32_t) taps[k] * state->history[k];
        to[written++] = from_q15(sum);
    }
    return written;
}
