/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_silence.h"

#include "codec/opus_voice.h"

#define PER_MS      (OPUS_VOICE_RATE / 1000)
#define STEP        OPUS_VOICE_STEP_SAMPLES /* what is made up comes in these */
#define LUMP        (500u * PER_MS)         /* fed at once, at most */
#define CREDIT_UNIT 1000u                   /* of a sample */
#define CREDIT_MAX  ((uint64_t) SESSION_SILENCE_FILL_MS * PER_MS * CREDIT_UNIT)
#define AHEAD_MAX   (10u * OPUS_VOICE_RATE)

static size_t
least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

static uint64_t
us_of(size_t samples)
{
    return (uint64_t) samples * 1000 / PER_MS;
}

/* None for a clock that stands still. */
static uint64_t
samples_between(uint64_t from_us, uint64_t to_us)
{
    return to_us > from_us ? (to_us - from_us) * PER_MS / 1000 : 0;
}

static void
credit_count(struct session_voice_silence *s, uint64_t now_us)
{
    uint64_t passed_us = now_us > s->credited_us ? now_us - s->credited_us : 0;

    s->credited_us += passed_us;
    s->credit = passed_us < SESSION_SILENCE_FILL_MS * 1000
                    ? s->credit + passed_us * PER_MS
                    : CREDIT_MAX;
    if (s->credit > CREDIT_MAX)
        s->credit = CREDIT_MAX;
}

static size_t
credit_samples(const struct session_voice_silence *s)
{
    return (size_t) (s->credit / CREDIT_UNIT);
}

static void
credit_use(struct session_voice_silence *s, size_t samples)
{
    s->credit -= (uint64_t) samples * CREDIT_UNIT;
}

/* What *left covers of *of: whole steps, or all of it. */
static void
part_cover(size_t *of, size_t *left)
{
    size_t n = *left < *of ? *left - *left % STEP : *of;

    *of -= n;
    *left -= n;
}

/* Lowers *of by `over` at least, in whole steps; gives by how much. */
static size_t
part_cut(size_t *of, size_t over)
{
    size_t n = least_of((over + STEP - 1) / STEP * STEP, *of);

    *of -= n;
    return n;
}

/*
 * What the model has heard instead is not missing: in this silence, or before
 * it where only silence is left out by that. What is beyond the credit is left
 * out, first of the silence.
 */
static void
gap_lower(struct session_voice_silence *s, struct session_voice_gap *gap)
{
    size_t left = s->ahead + s->fed, now, all, over;

    part_cover(&gap->rest, &left);
    now = least_of(left, s->fed);
    left -= now;
    part_cover(&gap->lost, &now);
    s->ahead = least_of(left + now, AHEAD_MAX);
    all = gap->rest + gap->lost;
    over = all > credit_samples(s) ? all - credit_samples(s) : 0;
    gap->cut = part_cut(&gap->rest, over);
    if (gap->cut < over)
        gap->cut += part_cut(&gap->lost, over - gap->cut);
    credit_use(s, all - gap->cut);
}

void
session_voice_silence_restart(struct session_voice_silence *s)
{
    s->ahead = 0;
    s->rests = false;
}

static void
run_count(struct session_voice_silence *s,
          const struct session_voice_arrival *arrival, bool after_rest)
{
    s->run = after_rest ? arrival->samples : s->run + arrival->samples;
    if (s->run >= SESSION_SILENCE_RUN_MS * PER_MS) {
        s->run = SESSION_SILENCE_RUN_MS * PER_MS;
        s->owed = true;
        s->turn = 0;
    }
    if (arrival->rests)
        s->run = 0;
}

static uint32_t
delay_after(const struct session_voice_arrival *arrival)
{
    uint32_t late = arrival->jitter_us < SESSION_SILENCE_LATE_MS * 250
                        ? arrival->jitter_us * 4
                        : SESSION_SILENCE_LATE_MS * 1000;

    if (arrival->rests)
        return SESSION_SILENCE_STEP_MS * 1000;
    return late > SESSION_SILENCE_WAIT_MS * 1000
               ? late
               : SESSION_SILENCE_WAIT_MS * 1000;
}

void
session_voice_silence_packet(struct session_voice_silence *s,
                             const struct session_voice_arrival *arrival,
                             struct session_voice_gap *gap, uint64_t now_us)
{
    bool after_rest = gap->rest > 0 || !arrival->follows;

    if (!s->started) {
        s->credit = SESSION_SILENCE_SLACK_MS * PER_MS * CREDIT_UNIT;
        s->credited_us = now_us;
        s->started = true;
    }
    gap->cut = 0;
    credit_count(s, now_us);
    if (arrival->follows) {
        gap_lower(s, gap);
    } else {
        gap->rest = gap->lost = 0;
        s->ahead = 0;
    }
    run_count(s, arrival, after_rest);
    s->fed = 0;
    s->heard_us = now_us + us_of(arrival->samples); /* when the next is due */
    s->rests = arrival->rests;
    s->delay_us = delay_after(arrival);
}

/* Whether the model is to hear more silence, at some time. */
static bool
more_is_due(const struct session_voice_silence *s)
{
    size_t most = SESSION_SILENCE_MOST_MS * PER_MS;

    if (!s->speaking)
        most = SESSION_SILENCE_LEAST_MS * PER_MS;
    return s->owed && !s->manual && !s->paused && s->turn < most;
}

uint64_t
session_voice_silence_due_us(const struct session_voice_silence *s)
{
    return more_is_due(s) ? s->heard_us + s->delay_us : 0;
}

/* When the model has heard silence for long enough it waits for what it heard
 * too much of before. Gives the part of n samples that is such. */
static size_t
ahead_take(struct session_voice_silence *s, size_t n)
{
    if (s->speaking || s->fed < SESSION_SILENCE_ENOUGH_MS * PER_MS)
        return 0;
    n = least_of(n, s->ahead);
    s->ahead -= n;
    return n;
}

size_t
session_voice_silence_take(struct session_voice_silence *s, uint64_t now_us)
{
    uint64_t due_us = session_voice_silence_due_us(s);
    uint64_t passed;
    size_t n;

    if (due_us == 0 || now_us < due_us)
        return 0;
    credit_count(s, now_us);
    passed = samples_between(s->heard_us, now_us);
    n = passed < LUMP ? (size_t) passed : LUMP;
    if (n > credit_samples(s)) { /* what can't be fed now never is */
        n = credit_samples(s);
        s->heard_us = now_us - us_of(n);
    }
    n -= n % STEP;
    s->delay_us = SESSION_SILENCE_STEP_MS * 1000;
    s->fed += n;
    s->turn += n;
    s->run = 0;
    s->heard_us += us_of(n);
    n -= ahead_take(s, n);
    credit_use(s, n);
    return n;
}

void
session_voice_silence_speech(struct session_voice_silence *s, bool speaking,
                             uint64_t now_us)
{
    bool was_due = more_is_due(s);

    s->speaking = speaking;
    if (speaking)
        s->owed = s->started;
    if (!was_due && s->fed > 0) /* what was not fed meanwhile never is */
        s->heard_us = now_us;
}

void
session_voice_silence_pause(struct session_voice_silence *s, bool paused,
                            uint64_t now_us)
{
    if (s->paused && !paused)
        s->heard_us = now_us;
    s->paused = paused;
}

void
session_voice_silence_set_manual(struct session_voice_silence *s, bool manual)
{
    if (s->manual != manual)
        s->owed = false;
    s->manual = manual;
}
