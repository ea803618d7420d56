/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/audio_level.h"

#include "codec/pcm.h"

#include <math.h>

void
audio_level_push(struct audio_level *level, const int16_t *pcm, size_t samples)
{
    uint64_t power = 0;
    int highest = 0, lowest = 0;
    size_t clipped = 0;

    for (size_t i = 0; i < samples; i++) {
        int value = pcm[i];

        power += (uint32_t) (value * value);
        highest = value > highest ? value : highest;
        lowest = value < lowest ? value : lowest;
        clipped += value == INT16_MAX || value == INT16_MIN;
    }
    audio_level_merge(
        level, &(struct audio_level){
                   .power = power,
                   .samples = samples,
                   .clipped = clipped,
                   .peak = (unsigned) (-lowest > highest ? -lowest : highest),
               });
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
