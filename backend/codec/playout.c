/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/playout.h"

/* What comes every ten seconds is not forgotten until it comes again. */
#define RISE_SAMPLES 5   /* so many can raise the target */
#define FALL_SAMPLES 25  /* and so many lower it below the profile's */
#define RISE_US      500 /* a millisecond: half a second in one second */
#define FALL_US      10  /* a millisecond: fifty times as slow */
#define STEP_MS      10

#define UNDERRUN_WINDOW_MS 30000
#define UNDERRUNS_MAX      6     /* of one call: two boosts */
#define BOOST_MAX_PERCENT  225   /* one and a half times, twice */
#define BOOST_HOLD_MS      20000 /* then it fades */
#define BOOST_FADE_MS      400   /* a percent: 20 s for half */

/* So much later than its stamp says: a line that stood still, or a pause. */
#define PAUSE_US     80000
#define WINDOW_US    5000000
#define JUMP_48K     480000             /* 10 s: the sender began anew */
#define US_OF(ticks) ((ticks) *125 / 6) /* 48 kHz to us */

static const struct playout_bounds profiles[] = {
    [PLAYOUT_AGGRESSIVE] = {40, 80, 150},
    [PLAYOUT_BALANCED] = {80, 150, 300},
    [PLAYOUT_CONSERVATIVE] = {150, 250, 500},
};

static const char *const names[] = {
    [PLAYOUT_AGGRESSIVE] = "aggressive",
    [PLAYOUT_BALANCED] = "balanced",
    [PLAYOUT_CONSERVATIVE] = "conservative",
};

static enum playout_profile
profile_in_range(enum playout_profile profile)
{
    return (unsigned) profile <= PLAYOUT_CONSERVATIVE ? profile
                                                      : PLAYOUT_CONSERVATIVE;
}

const struct playout_bounds *
playout_bounds(enum playout_profile profile)
{
    return &profiles[profile_in_range(profile)];
}

const char *
playout_profile_name(enum playout_profile profile)
{
    return names[profile_in_range(profile)];
}

void
playout_init(struct playout *p, enum playout_profile profile, uint64_t now_ms)
{
    *p = (struct playout){.moved_ms = now_ms,
                          .boost_percent = 100,
                          .profile = profile_in_range(profile)};
    p->target_us = (uint64_t) profiles[p->profile].target_ms * 1000;
}

/* The sample that 95 of 100 are not above, by nearest rank. Of fifty that is
 * the third largest: three to remember, nothing to sort. */
static uint32_t
jitter_p95(const struct playout *p)
{
    unsigned above = p->count - (95 * p->count + 99) / 100;
    uint32_t top[3] = {0};

    for (unsigned i = 0; i < p->count; i++) {
        uint32_t value = p->jitter_us[i];

        for (unsigned k = 0; k < 3; k++) {
            uint32_t smaller = top[k] < value ? top[k] : value;

            top[k] = top[k] < value ? value : top[k];
            value = smaller;
        }
    }
    return top[above];
}

static unsigned
boost_percent(const struct playout *p, uint64_t now_ms)
{
    uint64_t age_ms = now_ms > p->boosted_ms ? now_ms - p->boosted_ms : 0;
    uint64_t faded =
        age_ms > BOOST_HOLD_MS ? (age_ms - BOOST_HOLD_MS) / BOOST_FADE_MS : 0;

    if (faded >= p->boost_percent - 100)
        return 100;
    return p->boost_percent - (unsigned) faded;
}

/* Where the target should be; it may take a while to get there. */
static uint64_t
wanted_us(const struct playout *p, uint64_t now_ms)
{
    const struct playout_bounds *bounds = &profiles[p->profile];
    uint64_t least_us =
        1000
        * (uint64_t) (p->count < FALL_SAMPLES ? bounds->target_ms
                                              : bounds->min_ms);
    uint64_t max_us = (uint64_t) bounds->max_ms * 1000;
    uint64_t us = p->wanted_us;

    us = (us > least_us ? us : least_us) * boost_percent(p, now_ms) / 100;
    return us < max_us ? us : max_us;
}

static void
target_move(struct playout *p, uint64_t now_ms)
{
    uint64_t wanted = wanted_us(p, now_ms);
    uint64_t ms;

    if (now_ms <= p->moved_ms)
        return;
    ms = now_ms - p->moved_ms;
    p->moved_ms = now_ms;
    if (wanted > p->target_us)
        p->target_us = (wanted - p->target_us) / RISE_US < ms
                           ? wanted
                           : p->target_us + ms * RISE_US;
    else
        p->target_us = (p->target_us - wanted) / FALL_US < ms
                           ? wanted
                           : p->target_us - ms * FALL_US;
}

void
playout_set_profile(struct playout *p, enum playout_profile profile,
                    uint64_t now_ms)
{
    target_move(p, now_ms);
    p->profile = profile_in_range(profile);
}

void
playout_forget(struct playout *p, uint64_t now_ms)
{
    target_move(p, now_ms);
    p->count = 0;
    p->next = 0;
    p->wanted_us = 0;
    p->underruns = 0;
    p->boost_percent = 100;
}

void
playout_jitter(struct playout *p, uint32_t jitter_us, uint64_t now_ms)
{
    target_move(p, now_ms);
    p->jitter_us[p->next] =
        jitter_us < PLAYOUT_JITTER_MAX_US ? jitter_us : PLAYOUT_JITTER_MAX_US;
    p->next = (p->next + 1) % PLAYOUT_SAMPLES;
    if (p->count < PLAYOUT_SAMPLES)
        p->count++;
    if (p->count >= RISE_SAMPLES)
        p->wanted_us = 2 * jitter_p95(p);
}

/* One more; the third within the window boosts and all three are forgotten. */
static void
underrun_take(struct playout *p, uint64_t now_ms)
{
    unsigned boost = boost_percent(p, now_ms) * 3 / 2;

    while (p->underruns > 0
           && now_ms > p->underrun_ms[0] + UNDERRUN_WINDOW_MS) {
        p->underrun_ms[0] = p->underrun_ms[1];
        p->underruns--;
    }
    if (p->underruns < 2) {
        p->underrun_ms[p->underruns++] = now_ms;
        return;
    }
    p->underruns = 0;
    p->boost_percent = boost < BOOST_MAX_PERCENT ? boost : BOOST_MAX_PERCENT;
    p->boosted_ms = now_ms;
}

void
playout_underrun(struct playout *p, unsigned count, uint64_t now_ms)
{
    target_move(p, now_ms);
    for (unsigned i = 0; i < count && i < UNDERRUNS_MAX; i++)
        underrun_take(p, now_ms);
}

unsigned
playout_target_ms(struct playout *p, uint64_t now_ms)
{
    target_move(p, now_ms);
    return (unsigned) ((p->target_us / 1000 + STEP_MS - 1) / STEP_MS * STEP_MS);
}

static int64_t
window_least_us(const struct playout_arrival *arrival)
{
    return arrival->least_us < arrival->before_us ? arrival->least_us
                                                  : arrival->before_us;
}

static void
arrival_begin(struct playout_arrival *arrival, uint64_t now_us)
{
    arrival->started = true;
    arrival->time_48k = 0;
    arrival->window_us = now_us;
    arrival->least_us = (int64_t) now_us;
    arrival->before_us = (int64_t) now_us;
    arrival->held_us = 0;
    arrival->late_us = 0;
}

/* A packet came late. What waited behind it on a line that stood still comes
 * with it, and then each is told as late as the one before it; behind a pause
 * of the sender, whose stamps only do not show it, comes nothing, and from
 * there on all is as late. */
static void
held_judge(struct playout_arrival *arrival, int64_t step_us, int64_t gap_us)
{
    if (arrival->held_us > 0 && gap_us >= step_us / 2) {
        arrival->least_us += arrival->held_us;
        arrival->before_us += arrival->held_us;
        arrival->late_us = 0;
    }
    arrival->held_us = 0;
}

static int64_t
sample_take(struct playout_arrival *arrival, int64_t late_us, bool together)
{
    int64_t before_us = arrival->late_us;

    arrival->late_us = before_us > 0 && together ? late_us : 0;
    if (before_us == 0 || (!together && before_us < late_us))
        before_us = late_us;
    return before_us <= PLAYOUT_JITTER_MAX_US ? before_us : -1;
}

int64_t
playout_arrival_take(struct playout_arrival *arrival, uint32_t timestamp_48k,
                     bool start, uint64_t now_us)
{
    int32_t step = (int32_t) (timestamp_48k - arrival->last_stamp);
    int64_t gap_us = (int64_t) (now_us - arrival->last_us);
    int64_t passage_us, late_us;

    arrival->last_stamp = timestamp_48k;
    arrival->last_us = now_us;
    if (start || !arrival->started || step > JUMP_48K || step < -JUMP_48K) {
        arrival_begin(arrival, now_us);
        return -1;
    }
    held_judge(arrival, US_OF(step), gap_us);
    arrival->time_48k += step;
    passage_us = (int64_t) now_us - US_OF(arrival->time_48k);
    if (now_us - arrival->window_us >= WINDOW_US) {
        arrival->window_us = now_us;
        arrival->before_us = arrival->least_us;
        arrival->least_us = passage_us;
    } else if (passage_us < arrival->least_us) {
        arrival->least_us = passage_us;
    }
    late_us = passage_us - window_least_us(arrival);
    if (gap_us - US_OF(step) > PAUSE_US && late_us > PAUSE_US) {
        arrival->held_us = gap_us - US_OF(step);
        arrival->late_us = late_us;
        return -1;
    }
    return sample_take(arrival, late_us, gap_us < US_OF(step) / 2);
}
