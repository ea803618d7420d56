/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/quality.h"

/* Ages: older samples don't make the level, round trips only where there are
 * no younger ones, as NGINX measures one every 20 s; nor the expected loss. */
#define FRESH_MS  15000
#define PINGED_MS 75000
#define WINDOW_MS 60000
#define EXPIRE_MS 120000
#define ENOUGH    3  /* samples that say something */
#define PACKETS   25 /* that make a sample of loss */

/* Larger samples count as these: one alone of five never makes low of high. */
#define RTT_MAX_MS    2000.0
#define JITTER_MAX_MS 500.0

/* Up when all is under so many percent of the bounds, for so long. */
#define EASED_PERCENT 80
#define HOLD_MS       5000
#define HOLD_MAX_MS   60000
#define BLIND_MS      30000 /* while nothing is heard of the RTT */
#define SOON_MS       60000 /* down again so soon: the hold doubles */

#define BITRATE_MEDIUM 24000
#define BITRATE_LOW    18000
#define LOSS_STEP      500 /* of 10,000 */
#define LOSS_NONE      100 /* less is none */
#define LOSS_FEC       10  /* percent: at 24 kbit/s libopus makes FEC from it */
#define LOSS_MAX       30

#define MS_US         1000u
#define UNDERRUN_UNIT 1000u

/* Of the means: medium above, low above. */
static const uint32_t bounds[QUALITY_MEASURES][2] = {
    [QUALITY_RTT] = {200 * MS_US, 500 * MS_US},
    [QUALITY_JITTER] = {50 * MS_US, 150 * MS_US},
    [QUALITY_JITTER_DOWN] = {50 * MS_US, 150 * MS_US},
    [QUALITY_LOSS] = {500, 1500},
    [QUALITY_LOSS_DOWN] = {500, 1500},
    [QUALITY_UNDERRUNS] = {2 * UNDERRUN_UNIT / QUALITY_RECENT,
                           8 * UNDERRUN_UNIT / QUALITY_RECENT},
};

static struct quality_samples *
measure_of(struct quality *q, enum quality_measure up, enum quality_path path)
{
    return &q->samples[path == QUALITY_DOWN ? up + 1 : up];
}

static void
samples_push(struct quality_samples *samples, uint32_t value, uint64_t now_ms)
{
    samples->ring[samples->next].value = value;
    samples->ring[samples->next].at_ms = (uint32_t) now_ms;
    samples->next = (uint8_t) ((samples->next + 1) % QUALITY_SAMPLES);
    if (samples->count < QUALITY_SAMPLES)
        samples->count++;
}

/* The mean of the newest ones, at most so many and none that is older; and
 * how many they are. */
static uint32_t
samples_mean(const struct quality_samples *samples, unsigned most,
             uint32_t age_ms, uint64_t now_ms, unsigned *count)
{
    uint64_t sum = 0;
    unsigned n = 0;

    while (n < most && n < samples->count) {
        unsigned at =
            (samples->next + QUALITY_SAMPLES - 1 - n) % QUALITY_SAMPLES;

        if ((uint32_t) now_ms - samples->ring[at].at_ms > age_ms)
            break;
        sum += samples->ring[at].value;
        n++;
    }
    *count = n;
    return n > 0 ? (uint32_t) (sum / n) : 0;
}

/* What is so old that it would seem new again some day. */
static void
samples_expire(struct quality_samples *samples, uint64_t now_ms)
{
    unsigned count;

    (void) samples_mean(samples, 1, EXPIRE_MS, now_ms, &count);
    if (count == 0)
        samples->count = 0;
}

/* The last five of those that are young enough: the mean, and how many. */
static uint32_t
recent_mean(const struct quality *q, enum quality_measure measure,
            uint64_t now_ms, unsigned *count)
{
    const struct quality_samples *samples = &q->samples[measure];
    uint32_t mean =
        samples_mean(samples, QUALITY_RECENT, FRESH_MS, now_ms, count);

    if (measure != QUALITY_RTT || *count >= ENOUGH)
        return mean;
    return samples_mean(samples, QUALITY_RECENT, PINGED_MS, now_ms, count);
}

/* 0 while they are too few. */
static uint32_t
recent_judged(const struct quality *q, enum quality_measure measure,
              uint64_t now_ms)
{
    unsigned count;
    uint32_t mean = recent_mean(q, measure, now_ms, &count);

    return count >= ENOUGH ? mean : 0;
}

/* A number of a client's in whole units, or -1: none. NaN compares false. */
static int64_t
number_take(double number, double most, double unit)
{
    if (!(number >= 0))
        return -1;
    return (int64_t) ((number < most ? number : most) * unit);
}

/* With FEC what is expected decides whether libopus makes any: so more than is
 * lost, as soon as something is or may soon be. */
static unsigned
loss_percent(const struct quality *q, enum quality_level level, uint32_t parts)
{
    static const unsigned least[QUALITY_LEVELS] = {5, 10, 15};
    unsigned percent = (parts + LOSS_STEP - 1) / LOSS_STEP * 5;

    if (parts < LOSS_NONE)
        percent = 0;
    else if (percent < LOSS_FEC && q->config.fec)
        percent = LOSS_FEC;
    if (percent > LOSS_MAX)
        percent = LOSS_MAX;
    return percent > least[level] || !q->config.fec ? percent : least[level];
}

void
quality_init(struct quality *q, const struct quality_config *config)
{
    *q = (struct quality){.config = *config, .hold_ms = HOLD_MS};
    q->plan =
        (struct quality_plan){.level = QUALITY_HIGH,
                              .bitrate_bps = config->bitrate_bps,
                              .loss_percent = loss_percent(q, QUALITY_HIGH, 0),
                              .complexity = config->complexity,
                              .fec = config->fec,
                              .profile = config->profile};
}

void
quality_rtt(struct quality *q, double ms, uint64_t now_ms)
{
    int64_t us = number_take(ms, RTT_MAX_MS, MS_US);

    if (us >= 0)
        samples_push(&q->samples[QUALITY_RTT], (uint32_t) us, now_ms);
}

void
quality_jitter(struct quality *q, enum quality_path path, double ms,
               uint64_t now_ms)
{
    int64_t us = number_take(ms, JITTER_MAX_MS, MS_US);

    if (us >= 0)
        samples_push(measure_of(q, QUALITY_JITTER, path), (uint32_t) us,
                     now_ms);
}

void
quality_loss_ratio(struct quality *q, enum quality_path path, double ratio,
                   uint64_t now_ms)
{
    int64_t parts = number_take(ratio, 1, 10000);

    if (parts >= 0)
        samples_push(measure_of(q, QUALITY_LOSS, path), (uint32_t) parts,
                     now_ms);
}

void
quality_loss(struct quality *q, enum quality_path path, uint32_t lost,
             uint32_t total, uint64_t now_ms)
{
    struct quality_packets *packets = &q->packets[path == QUALITY_DOWN];
    uint64_t all = (uint64_t) packets->total + total;
    uint64_t missing = (uint64_t) packets->lost + (lost < total ? lost : total);

    if (all >= PACKETS) {
        samples_push(measure_of(q, QUALITY_LOSS, path),
                     (uint32_t) (missing * 10000 / all), now_ms);
        all = missing = 0;
    }
    packets->total = (uint32_t) all;
    packets->lost = (uint32_t) missing;
}

void
quality_underruns(struct quality *q, double count, uint64_t now_ms)
{
    int64_t units = number_take(count, 1000, UNDERRUN_UNIT);

    if (units >= 0)
        samples_push(&q->samples[QUALITY_UNDERRUNS], (uint32_t) units, now_ms);
}

/* The level when each bound is but so many percent of itself. */
static enum quality_level
level_judge(const struct quality *q, unsigned percent, uint64_t now_ms)
{
    enum quality_level level = QUALITY_HIGH;

    for (size_t i = 0; i < QUALITY_MEASURES; i++) {
        uint64_t mean = recent_judged(q, i, now_ms);

        while (level < QUALITY_LOW
               && mean * 100 > (uint64_t) bounds[i][level] * percent)
            level++;
    }
    return level;
}

static uint64_t
hold_ms(const struct quality *q, uint64_t now_ms)
{
    unsigned count;

    (void) recent_mean(q, QUALITY_RTT, now_ms, &count);
    return count >= ENOUGH || q->hold_ms > BLIND_MS ? q->hold_ms : BLIND_MS;
}

static enum quality_level
level_lower(struct quality *q, enum quality_level level, uint64_t now_ms)
{
    bool is_soon = q->was_raised && now_ms - q->raised_ms < SOON_MS;

    q->hold_ms = is_soon ? q->hold_ms * 2 : HOLD_MS;
    if (q->hold_ms > HOLD_MAX_MS)
        q->hold_ms = HOLD_MAX_MS;
    q->is_better = false;
    q->was_raised = false;
    return level;
}

/* All is better, and has been since better_ms. */
static enum quality_level
level_raise(struct quality *q, uint64_t now_ms)
{
    if (!q->is_better) {
        q->is_better = true;
        q->better_ms = now_ms;
    }
    if (now_ms - q->better_ms < hold_ms(q, now_ms))
        return q->plan.level;
    q->better_ms = now_ms;
    q->was_raised = true;
    q->raised_ms = now_ms;
    return q->plan.level - 1;
}

static enum quality_level
level_next(struct quality *q, uint64_t now_ms)
{
    enum quality_level level = level_judge(q, 100, now_ms);

    if (level > q->plan.level)
        return level_lower(q, level, now_ms);
    if (level_judge(q, EASED_PERCENT, now_ms) < q->plan.level)
        return level_raise(q, now_ms);
    q->is_better = false;
    return q->plan.level;
}

/* What is lost, of 10,000: lately, or over the window if that was more. */
static uint32_t
loss_mean(const struct quality *q, uint64_t now_ms)
{
    uint32_t most = 0;

    for (unsigned path = 0; path < 2; path++) {
        const struct quality_samples *samples =
            &q->samples[QUALITY_LOSS + path];
        uint32_t lately = recent_judged(q, QUALITY_LOSS + path, now_ms);
        unsigned count;
        uint32_t mean =
            samples_mean(samples, QUALITY_SAMPLES, WINDOW_MS, now_ms, &count);

        mean = count >= ENOUGH ? mean : 0;
        mean = mean > lately ? mean : lately;
        most = most > mean ? most : mean;
    }
    return most;
}

/* Up as soon as it is more; down when it is less by a margin. */
static unsigned
loss_next(const struct quality *q, enum quality_level level, uint64_t now_ms)
{
    uint32_t parts = loss_mean(q, now_ms);
    unsigned percent = loss_percent(q, level, parts);
    unsigned eased = loss_percent(q, level, parts + parts / 4);

    if (percent < q->plan.loss_percent)
        percent = eased < q->plan.loss_percent ? eased : q->plan.loss_percent;
    return percent;
}

static unsigned
bitrate_at(const struct quality_config *config, enum quality_level level)
{
    unsigned most = level == QUALITY_LOW      ? BITRATE_LOW
                    : level == QUALITY_MEDIUM ? BITRATE_MEDIUM
                                              : config->bitrate_bps;

    return config->bitrate_bps < most ? config->bitrate_bps : most;
}

static enum playout_profile
profile_at(const struct quality_config *config, enum quality_level level)
{
    unsigned profile = (unsigned) config->profile + level;

    return profile < PLAYOUT_CONSERVATIVE ? (enum playout_profile) profile
                                          : PLAYOUT_CONSERVATIVE;
}

bool
quality_update(struct quality *q, uint64_t now_ms)
{
    struct quality_plan before = q->plan;
    struct quality_plan *plan = &q->plan;

    for (size_t i = 0; i < QUALITY_MEASURES; i++)
        samples_expire(&q->samples[i], now_ms);
    plan->level = level_next(q, now_ms);
    plan->loss_percent = loss_next(q, plan->level, now_ms);
    plan->bitrate_bps = bitrate_at(&q->config, plan->level);
    plan->profile = profile_at(&q->config, plan->level);
    return plan->level != before.level
           || plan->loss_percent != before.loss_percent
           || plan->bitrate_bps != before.bitrate_bps
           || plan->profile != before.profile;
}

const struct quality_plan *
quality_plan(const struct quality *q)
{
    return &q->plan;
}

unsigned
quality_rtt_ms(const struct quality *q, uint64_t now_ms)
{
    unsigned count;
    uint32_t us = recent_mean(q, QUALITY_RTT, now_ms, &count);

    return (us + MS_US - 1) / MS_US;
}

const char *
quality_level_name(enum quality_level level)
{
    static const char *const names[QUALITY_LEVELS] = {"high", "medium", "low"};

    return (unsigned) level < QUALITY_LEVELS ? names[level]
                                             : names[QUALITY_LOW];
}
