/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_activity.h"

#include <math.h>
#include <string.h>

#define FRAME_SAMPLES  VOICE_ACTIVITY_FRAME_SAMPLES
#define FRAME_MS       10
#define QUARTER_FRAMES 25 /* the floor's minima are of 250 ms */
#define QUARTERS       8
#define FULL_SCALE     32768.0

/* The noise floor is a minimum, so it sits under the mean of the noise. */
#define FLOOR_BIAS_DB  2.5F
#define FLOOR_LEAST_DB (-65.0F)
#define QUIET_DB       (-55.0F) /* nothing under this is speech */
#define SNR_MIDDLE_DB  8.0F     /* where p is one half */
#define SNR_SLOPE_DB   3.0F
#define SMOOTHING      0.9F /* weight of the newest frame */
#define KEEP_MARGIN    0.15F

/*
 * A start needs 6 of the last 8 frames and going on needs 3 of the last 5.
 * (4 of 5 would be 20 ms earlier, but then every third key stroke is speech;
 * the padding before the start hides the 20 ms.)
 */
#define START_WINDOW 0xffu
#define START_FRAMES 6u
#define KEEP_WINDOW  0x1fu
#define KEEP_FRAMES  3

#define SILENCE_MIN_MS 20u
#define SILENCE_MAX_MS 60000u
#define SPEECH_MAX_MS  5000u

enum state { QUIET, SPEAKING, PAUSING };

/* Second-order Butterworth sections at 24 kHz: high-pass 200 Hz, low-pass
 * 3.8 kHz. b0 b1 b2 a1 a2. */
static const float sections[2][5] = {
    {0.963653F, -1.927306F, 0.963653F, -1.925984F, 0.928627F},
    {0.142923F, 0.285846F, 0.142923F, -0.683778F, 0.255469F},
};

static uint32_t
frames_of_ms(unsigned ms, unsigned least, unsigned most)
{
    ms = ms < least ? least : ms > most ? most : ms;
    return ms / FRAME_MS;
}

void
voice_activity_configure(struct voice_activity *va,
                         const struct voice_activity_config *cfg)
{
    double threshold = isnan(cfg->threshold) ? 0.5 : cfg->threshold;

    va->threshold = fmin(fmax(threshold, 0.05), 0.99);
    va->silence_frames =
        frames_of_ms(cfg->silence_ms, SILENCE_MIN_MS, SILENCE_MAX_MS);
    va->need_frames = frames_of_ms(cfg->min_speech_ms, START_FRAMES * FRAME_MS,
                                   SPEECH_MAX_MS);
    va->pause_frames = frames_of_ms(cfg->pause_ms, 0, SILENCE_MAX_MS);
}

void
voice_activity_init(struct voice_activity *va,
                    const struct voice_activity_config *cfg)
{
    memset(va, 0, sizeof *va);
    va->quarter_db = 0.0F;
    voice_activity_configure(va, cfg);
}

void
voice_activity_reset(struct voice_activity *va)
{
    va->state = QUIET;
    va->starters = va->keepers = 0;
    va->have_frames = va->quiet_frames = 0;
}

static float
section_run(const float *c, float *z, float x)
{
    float y = c[0] * x + z[0];

    z[0] = c[1] * x - c[3] * y + z[1];
    z[1] = c[2] * x - c[4] * y;
    return y;
}

/* Filters samples into the frame being filled. */
static void
frame_fill(struct voice_activity *va, const int16_t *pcm, size_t samples)
{
    double power = 0.0;

    for (size_t i = 0; i < samples; i++) {
        float x = section_run(sections[0], va->filter, (float) pcm[i]);

        x = section_run(sections[1], va->filter + 2, x);
        power += (double) x * (double) x;
    }
    va->frame_power += power;
    va->fill = (uint16_t) (va->fill + samples);
    va->at_samples += samples;
}

/*
 * Level of the finished frame in dBFS. The lightly smoothed level counts
 * where it is the lower one: it tames a rise, and a click grows no tail.
 */
static float
frame_level(struct voice_activity *va)
{
    float power =
        (float) (va->frame_power / (FRAME_SAMPLES * FULL_SCALE * FULL_SCALE));

    va->smooth_power =
        SMOOTHING * power + (1.0F - SMOOTHING) * va->smooth_power;
    va->frame_power = 0.0;
    va->fill = 0;
    return 10.0F * log10f(fminf(power, va->smooth_power) + 1e-10F);
}

static float
floor_level(const struct voice_activity *va)
{
    float least = va->quarter_fill > 0 ? va->quarter_db : 0.0F;

    for (unsigned i = 0; i < va->quarters; i++)
        least = fminf(least, va->floor_db[i]);
    return fmaxf(least + FLOOR_BIAS_DB, FLOOR_LEAST_DB);
}

static void
floor_feed(struct voice_activity *va, float level)
{
    if (va->quarter_fill == 0 || level < va->quarter_db)
        va->quarter_db = level;
    if (++va->quarter_fill < QUARTER_FRAMES)
        return;
    va->floor_db[va->quarter_index] = va->quarter_db;
    va->quarter_index = (uint8_t) ((va->quarter_index + 1) % QUARTERS);
    if (va->quarters < QUARTERS)
        va->quarters++;
    va->quarter_fill = 0;
}

static float
speech_probability(float level, float floor_db)
{
    if (level < QUIET_DB)
        return 0.0F;
    return 1.0F
           / (1.0F + expf(-(level - floor_db - SNR_MIDDLE_DB) / SNR_SLOPE_DB));
}

/* The frame's place in the histories; keeps voiced_end. */
static void
frame_judge(struct voice_activity *va, float p)
{
    float threshold = (float) va->threshold;
    float keep = fmaxf(threshold - KEEP_MARGIN, threshold / 2.0F);

    va->starters = va->starters << 1 | (p >= threshold);
    va->keepers = va->keepers << 1 | (p >= keep);
    if (__builtin_popcount(va->keepers & KEEP_WINDOW) >= KEEP_FRAMES) {
        va->quiet_frames = (uint32_t) __builtin_ctz(va->keepers);
        va->voiced_end =
            va->at_samples - (uint64_t) va->quiet_frames * FRAME_SAMPLES;
    } else {
        va->quiet_frames++;
    }
}

/* Start of the oldest voiced frame in a window of frames up to now. */
static uint64_t
window_start(const struct voice_activity *va, uint32_t window)
{
    unsigned back = 32u - (unsigned) __builtin_clz(window);
    uint64_t samples = (uint64_t) back * FRAME_SAMPLES;

    return samples < va->at_samples ? va->at_samples - samples : 0;
}

static enum voice_activity_kind
step_quiet(struct voice_activity *va)
{
    uint32_t window = va->starters & START_WINDOW;
    uint32_t voiced = (uint32_t) __builtin_popcount(window);

    if (va->have_frames == 0) {
        if (voiced < START_FRAMES)
            return VOICE_ACTIVITY_NONE;
        va->have_frames = voiced;
        va->candidate_at = window_start(va, window);
    } else if (va->quiet_frames > KEEP_FRAMES) {
        va->have_frames = 0;
    } else {
        va->have_frames += va->starters & 1u;
    }
    if (va->have_frames < va->need_frames)
        return VOICE_ACTIVITY_NONE;
    va->have_frames = 0;
    va->state = SPEAKING;
    return VOICE_ACTIVITY_STARTED;
}

static enum voice_activity_kind
step_speech(struct voice_activity *va)
{
    if (va->quiet_frames >= va->silence_frames) {
        voice_activity_reset(va);
        return VOICE_ACTIVITY_STOPPED;
    }
    if (va->state == PAUSING && va->quiet_frames < KEEP_FRAMES) {
        va->state = SPEAKING;
        va->candidate_at = window_start(va, va->keepers & KEEP_WINDOW);
        return VOICE_ACTIVITY_RESUMED;
    }
    if (va->state == SPEAKING && va->pause_frames > 0
        && va->quiet_frames >= va->pause_frames) {
        va->state = PAUSING;
        return VOICE_ACTIVITY_PAUSED;
    }
    return VOICE_ACTIVITY_NONE;
}

static void
frame_finish(struct voice_activity *va, struct voice_activity_news *news)
{
    float level = frame_level(va);

    floor_feed(va, level);
    frame_judge(va, speech_probability(level, floor_level(va)));
    news->kind = va->state == QUIET ? step_quiet(va) : step_speech(va);
    news->decided_samples = va->at_samples;
    news->at_samples = news->kind == VOICE_ACTIVITY_STARTED
                               || news->kind == VOICE_ACTIVITY_RESUMED
                           ? va->candidate_at
                           : va->voiced_end;
}

size_t
voice_activity_push(struct voice_activity *va, const int16_t *pcm,
                    size_t samples, struct voice_activity_news *news)
{
    size_t taken = 0;

    memset(news, 0, sizeof *news);
    while (taken < samples) {
        size_t want = (size_t) FRAME_SAMPLES - va->fill;
        size_t part = samples - taken < want ? samples - taken : want;

        frame_fill(va, pcm + taken, part);
        taken += part;
        if (va->fill < FRAME_SAMPLES)
            break;
        frame_finish(va, news);
        if (news->kind != VOICE_ACTIVITY_NONE)
            break;
    }
    return taken;
}

bool
voice_activity_is_speaking(const struct voice_activity *va)
{
    return va->state != QUIET;
}

bool
voice_activity_is_voiced(const struct voice_activity *va)
{
    return va->starters & 1u;
}

double
voice_activity_floor_dbfs(const struct voice_activity *va)
{
    return (double) floor_level(va);
}
