/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/audio_level.h"

#include "codec/pcm.h"

#include <math.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#endif

/* Any count, in plain C. */
static void
samples_look(struct audio_level *out, const int16_t *pcm, size_t samples)
{
    int highest = 0, lowest = 0;

    for (size_t i = 0; i < samples; i++) {
        int value = pcm[i];

        out->power += (uint32_t) (value * value);
        highest = value > highest ? value : highest;
        lowest = value < lowest ? value : lowest;
        out->clipped += value == INT16_MAX || value == INT16_MIN;
    }
    out->peak = (unsigned) (-lowest > highest ? -lowest : highest);
}

#ifdef HAVE_AVX2

/* Of eight unsigned numbers. */
__attribute__((target("avx2"))) static __m256i
sums_widen(__m256i sums)
{
    return _mm256_add_epi64(
        _mm256_srli_epi64(sums, 32),
        _mm256_and_si256(sums, _mm256_set1_epi64x(0xffffffff)));
}

/*
 * 16 samples a round; gives how many it has seen. Two squares are 2^31 at
 * most, a number without a sign. The magnitude of INT16_MIN is 0x8000, one
 * without a sign too.
 */
__attribute__((target("avx2"))) static size_t
samples_look_avx2(struct audio_level *out, const int16_t *pcm, size_t samples)
{
    const __m256i most = _mm256_set1_epi16(INT16_MAX);
    const __m256i least = _mm256_set1_epi16(INT16_MIN);
    __m256i power = _mm256_setzero_si256(), peak = power;
    uint64_t sums[4];
    uint16_t peaks[16];
    size_t done = 0;

    for (; samples - done >= 16; done += 16) {
        __m256i in = _mm256_loadu_si256((const void *) (pcm + done));
        __m256i magnitude = _mm256_abs_epi16(in);
        __m256i clipped = _mm256_or_si256(_mm256_cmpeq_epi16(in, most),
                                          _mm256_cmpeq_epi16(in, least));
        unsigned bytes = (unsigned) _mm256_movemask_epi8(clipped);

        power = _mm256_add_epi64(power, sums_widen(_mm256_madd_epi16(in, in)));
        peak = _mm256_max_epu16(peak, magnitude);
        out->clipped += (unsigned) __builtin_popcount(bytes) / 2;
    }
    _mm256_storeu_si256((void *) sums, power);
    _mm256_storeu_si256((void *) peaks, peak);
    out->power = sums[0] + sums[1] + sums[2] + sums[3];
    for (size_t i = 0; i < 16; i++)
        out->peak = peaks[i] > out->peak ? peaks[i] : out->peak;
    return done;
}

#endif

void
audio_level_push(struct audio_level *level, const int16_t *pcm, size_t samples)
{
    struct audio_level rest = {0};
    size_t done = 0;

#ifdef HAVE_AVX2
    if (samples >= 16 && __builtin_cpu_supports("avx2")) {
        struct audio_level whole = {0};
        done = samples_look_avx2(&whole, pcm, samples);
        audio_level_merge(level, &whole);
    }
#endif
    samples_look(&rest, pcm + done, samples - done);
    rest.samples = samples;
    audio_level_merge(level, &rest);
}

void
audio_level_merge(struct audio_level *level, const struct audio_level *other)
{
    level->power += other->power;
    level->samples += other->samples;
    level->clipped += other->clipped;
    if (other->peak > level->peak)
        level->peak = other->peak;
}

double
audio_level_rms(const struct audio_level *level)
{
    if (level->samples == 0)
        return 0.0;
    return sqrt((double) level->power / (double) level->samples);
}

static double
dbfs(double magnitude)
{
    if (magnitude <= 0.0)
        return PCM_SILENCE_DBFS;
    return fmax(20.0 * log10(magnitude / 32768.0), PCM_SILENCE_DBFS);
}

double
audio_level_rms_dbfs(const struct audio_level *level)
{
    return dbfs(audio_level_rms(level));
}

double
audio_level_peak_dbfs(const struct audio_level *level)
{
    return dbfs((double) level->peak);
}

uint64_t
audio_level_duration_ms(const struct audio_level *level)
{
    return pcm_ms_of_samples(level->samples);
}
