/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/pcm.h"

#include <math.h>
#include <string.h>

static int16_t
saturate(double value)
{
    if (!(value > -32768.0)) /* NaN too, which pcm_scale has ruled out */
        return INT16_MIN;
    return value < 32767.0 ? (int16_t) lrint(value) : INT16_MAX;
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

void
pcm_from_le(int16_t *to, const uint8_t *from, size_t samples)
{
    if (samples > 0)
        memmove(to, from, samples * sizeof *to);
}

void
pcm_to_le(uint8_t *to, const int16_t *from, size_t samples)
{
    if (samples > 0)
        memmove(to, from, samples * sizeof *from);
}

#else

void
pcm_from_le(int16_t *to, const uint8_t *from, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        unsigned value = from[2 * i] | (unsigned) from[2 * i + 1] << 8;

        to[i] = (int16_t) value;
    }
}

void
pcm_to_le(uint8_t *to, const int16_t *from, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        unsigned value = (uint16_t) from[i];

        to[2 * i] = (uint8_t) value;
        to[2 * i + 1] = (uint8_t) (value >> 8);
    }
}

#endif

unsigned
pcm_peak(const int16_t *pcm, size_t samples)
{
    int most = 0;

    for (size_t i = 0; i < samples; i++) {
        int magnitude = pcm[i] < 0 ? -pcm[i] : pcm[i];

        most = magnitude > most ? magnitude : most;
    }
    return (unsigned) most;
}

double
pcm_rms(const int16_t *pcm, size_t samples)
{
    uint64_t power = 0; /* 2^30 a sample: room for 2^34 samples */

    if (samples == 0)
        return 0.0;
    for (size_t i = 0; i < samples; i++)
        power += (uint64_t) ((int32_t) pcm[i] * pcm[i]);
    return sqrt((double) power / (double) samples);
}

double
pcm_level_dbfs(const int16_t *pcm, size_t samples)
{
    double rms = pcm_rms(pcm, samples);

    if (rms <= 0.0)
        return PCM_SILENCE_DBFS;
    return fmax(20.0 * log10(rms / 32768.0), PCM_SILENCE_DBFS);
}

void
pcm_scale(int16_t *pcm, size_t samples, double gain)
{
    if (isnan(gain))
        gain = 0.0;
    for (size_t i = 0; i < samples; i++) /* 0 times infinity is no number */
        pcm[i] = pcm[i] == 0 ? 0 : saturate(pcm[i] * gain);
}

void
pcm_mix(int16_t *to, const int16_t *from, size_t samples)
{
    for (size_t i = 0; i < samples; i++) {
        int sum = to[i] + from[i];

        sum = sum > INT16_MAX ? INT16_MAX : sum;
        to[i] = (int16_t) (sum < INT16_MIN ? INT16_MIN : sum);
    }
}

void
pcm_fade(int16_t *pcm, size_t samples, double start, double end)
{
    double step = samples > 0 ? (end - start) / (double) samples : 0.0;

    for (size_t i = 0; i < samples; i++)
        pcm_scale(pcm + i, 1, start + step * (double) i);
}
