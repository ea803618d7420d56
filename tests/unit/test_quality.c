/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/metrics.h"
#include "service/quality.h"
#include "service/quality_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>

#define SECOND 1000u

static const struct quality_config granted = {
    .bitrate_bps = 32000,
    .complexity = 5,
    .fec = true,
    .profile = PLAYOUT_AGGRESSIVE,
};

/* One client, reporting once a second. */
struct client {
    struct quality q;
    uint64_t now_ms;
    unsigned changes; /* of level */
    unsigned news;    /* of the plan */
};

struct report {
    double rtt_ms;
    double jitter_ms;
    double loss;
    double underruns;
};

static void
client_begin(struct client *c, uint64_t now_ms)
{
    *c = (struct client){.now_ms = now_ms};
    quality_init(&c->q, &granted);
}

static enum quality_level
client_tick(struct client *c, unsigned ms)
{
    enum quality_level before = quality_plan(&c->q)->level;
    bool is_news;

    c->now_ms += ms;
    is_news = quality_update(&c->q, c->now_ms);
    c->news += is_news;
    if (quality_plan(&c->q)->level != before) {
        assert_true(is_news);
        c->changes++;
    }
    return quality_plan(&c->q)->level;
}

static enum quality_level
client_report(struct client *c, const struct report *r, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        quality_rtt(&c->q, r->rtt_ms, c->now_ms);
        quality_jitter(&c->q, QUALITY_DOWN, r->jitter_ms, c->now_ms);
        quality_loss_ratio(&c->q, QUALITY_DOWN, r->loss, c->now_ms);
        quality_underruns(&c->q, r->underruns, c->now_ms);
        (void) client_tick(c, SECOND);
    }
    return quality_plan(&c->q)->level;
}

static const struct report good = {40, 5, 0, 0};

static void
test_rules(void **state)
{
    static const struct {
        struct report report;
        enum quality_level level;
    } rows[] = {
        {{0, 0, 0, 0}, QUALITY_HIGH},
        {{40, 5, 0, 0}, QUALITY_HIGH},
        {{200, 50, 0.05, 0.4}, QUALITY_HIGH}, /* none is above */
        {{201, 5, 0, 0}, QUALITY_MEDIUM},
        {{40, 51, 0, 0}, QUALITY_MEDIUM},
        {{40, 5, 0.051, 0}, QUALITY_MEDIUM},
        {{40, 5, 0, 0.6}, QUALITY_MEDIUM}, /* three in five reports */
        {{500, 150, 0.15, 1.6}, QUALITY_MEDIUM},
        {{501, 5, 0, 0}, QUALITY_LOW},
        {{40, 151, 0, 0}, QUALITY_LOW},
        {{40, 5, 0.151, 0}, QUALITY_LOW},
        {{40, 5, 0, 1.8}, QUALITY_LOW},
        {{1e300, 1e300, 1e300, 1e300}, QUALITY_LOW},
        {{INFINITY, 5, 0, 0}, QUALITY_LOW},
        {{NAN, NAN, NAN, NAN}, QUALITY_HIGH},
        {{-1, -1e300, -INFINITY, -0.5}, QUALITY_HIGH},
        {{600, NAN, -5, NAN}, QUALITY_LOW},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client c;

        client_begin(&c, 5);
        assert_int_equal(client_report(&c, &rows[i].report, 2), QUALITY_HIGH);
        assert_int_equal(client_report(&c, &rows[i].report, 3), rows[i].level);
        assert_int_equal(client_report(&c, &rows[i].report, 50), rows[i].level);
    }
}

/* The mean of the last five, not one of them. */
static void
test_mean_of_five(void **state)
{
    static const struct report one = {700, 5, 0, 0}, stall = {9e9, 9e9, 0, 2};
    struct client c;

    (void) state;
    client_begin(&c, 0);
    (void) client_report(&c, &good, 10);
    assert_int_equal(client_report(&c, &one, 1), QUALITY_HIGH); /* 172 */
    assert_int_equal(client_report(&c, &one, 1), QUALITY_MEDIUM);
    (void) client_report(&c, &good, 30);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
    /* One stall of whatever length is no bad connection. */
    assert_int_equal(client_report(&c, &stall, 1), QUALITY_MEDIUM);
    assert_int_equal(client_report(&c, &good, 1), QUALITY_MEDIUM);
    assert_int_equal(client_report(&c, &good, 18), QUALITY_HIGH);
}

static void
assert_plan(const struct quality *q, const struct quality_plan *want)
{
    const struct quality_plan *plan = quality_plan(q);

    assert_int_equal(plan->level, want->level);
    assert_int_equal(plan->bitrate_bps, want->bitrate_bps);
    assert_int_equal(plan->loss_percent, want->loss_percent);
    assert_int_equal(plan->complexity, want->complexity);
    assert_int_equal(plan->fec, want->fec);
    assert_int_equal(plan->profile, want->profile);
}

static void
test_plans(void **state)
{
    static const struct report fair = {300, 5, 0, 0}, poor = {800, 5, 0, 0};
    static const struct {
        struct quality_config config;
        struct quality_plan plans[QUALITY_LEVELS];
    } rows[] = {
        {{32000, 5, true, PLAYOUT_AGGRESSIVE},
         {{QUALITY_HIGH, 32000, 5, 5, true, PLAYOUT_AGGRESSIVE},
          {QUALITY_MEDIUM, 24000, 10, 5, true, PLAYOUT_BALANCED},
          {QUALITY_LOW, 18000, 15, 5, true, PLAYOUT_CONSERVATIVE}}},
        {{24000, 10, true, PLAYOUT_BALANCED},
         {{QUALITY_HIGH, 24000, 5, 10, true, PLAYOUT_BALANCED},
          {QUALITY_MEDIUM, 24000, 10, 10, true, PLAYOUT_CONSERVATIVE},
          {QUALITY_LOW, 18000, 15, 10, true, PLAYOUT_CONSERVATIVE}}},
        {{12000, 0, false, PLAYOUT_CONSERVATIVE},
         {{QUALITY_HIGH, 12000, 0, 0, false, PLAYOUT_CONSERVATIVE},
          {QUALITY_MEDIUM, 12000, 0, 0, false, PLAYOUT_CONSERVATIVE},
          {QUALITY_LOW, 12000, 0, 0, false, PLAYOUT_CONSERVATIVE}}},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct client c;

        client_begin(&c, 0);
        quality_init(&c.q, &rows[i].config);
        assert_plan(&c.q, &rows[i].plans[0]);
        (void) client_report(&c, &good, 5);
        assert_int_equal(c.news, 0);
        (void) client_report(&c, &fair, 5);
        assert_plan(&c.q, &rows[i].plans[1]);
        (void) client_report(&c, &poor, 5);
        assert_plan(&c.q, &rows[i].plans[2]);
        (void) client_report(&c, &good, 60);
        assert_plan(&c.q, &rows[i].plans[0]);
        assert_int_equal(c.news, 4);
        assert_int_equal(c.changes, 4);
    }
}

/* Down at once, up one level at a time and not before five good seconds. */
static void
test_recovery(void **state)
{
    static const struct report poor = {900, 5, 0, 0};
    struct client c;
    unsigned good_s = 0;

    (void) state;
    client_begin(&c, 0);
    (void) client_report(&c, &good, 5);
    assert_int_equal(client_report(&c, &poor, 3), QUALITY_LOW);
    (void) client_report(&c, &poor, 2);
    while (client_report(&c, &good, 1) == QUALITY_LOW)
        good_s++;
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_MEDIUM);
    assert_in_range(good_s, 5, 10);
    good_s = 0;
    while (client_report(&c, &good, 1) == QUALITY_MEDIUM)
        good_s++;
    assert_in_range(good_s, 4, 10);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
    assert_int_equal(c.changes, 4); /* down by way of medium */
}

/* What is only just better is not better. */
static void
test_margin(void **state)
{
    static const struct report poor = {210, 5, 0, 0}, near = {170, 5, 0, 0},
                               far = {155, 5, 0, 0};
    struct client c;

    (void) state;
    client_begin(&c, 0);
    assert_int_equal(client_report(&c, &poor, 5), QUALITY_MEDIUM);
    assert_int_equal(client_report(&c, &near, 600), QUALITY_MEDIUM);
    assert_int_equal(client_report(&c, &far, 12), QUALITY_HIGH);
    assert_int_equal(client_report(&c, &near, 600), QUALITY_HIGH);
    assert_int_equal(c.changes, 2);
}

/* A connection that is bad for a while, again and again. */
static void
test_flapping(void **state)
{
    static const struct report poor = {400, 80, 0.1, 1};
    struct client c;
    unsigned first;

    (void) state;
    client_begin(&c, 0);
    for (unsigned i = 0; i < 3000; i++) /* each other second: the mean holds */
        (void) client_report(&c, i % 2 == 0 ? &good : &poor, 1);
    assert_true(c.changes <= 1);

    client_begin(&c, 0);
    for (unsigned i = 0; i < 10; i++) {
        (void) client_report(&c, &poor, 5);
        (void) client_report(&c, &good, 15);
    }
    first = c.changes;
    assert_in_range(first, 3, 8); /* the hold doubles until it outlasts it */
    for (unsigned i = 0; i < 100; i++) {
        (void) client_report(&c, &poor, 5);
        (void) client_report(&c, &good, 15);
    }
    assert_int_equal(c.changes, first);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_MEDIUM);
    /* In the end it is forgiven. */
    assert_int_equal(client_report(&c, &good, 70), QUALITY_HIGH);
}

/* A client that reports no more: it stays where it was for a while, and what
 * it said is of no more worth then. */
static void
test_stale(void **state)
{
    static const struct report poor = {900, 5, 0.12, 0};
    struct client c;

    (void) state;
    client_begin(&c, UINT32_MAX - 3000u); /* the low half wraps meanwhile */
    assert_int_equal(client_report(&c, &poor, 5), QUALITY_LOW);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 15);
    assert_int_equal(quality_rtt_ms(&c.q, c.now_ms), 900);
    for (unsigned s = 0; s < 100; s++)
        assert_int_equal(client_tick(&c, SECOND), QUALITY_LOW);
    assert_int_equal(quality_rtt_ms(&c.q, c.now_ms), 0);
    for (unsigned s = 0; s < 35; s++)
        (void) client_tick(&c, SECOND);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 5);
    /* And two new samples say nothing yet. */
    assert_int_equal(client_report(&c, &poor, 2), QUALITY_HIGH);
    assert_int_equal(client_report(&c, &poor, 1), QUALITY_LOW);
    /* Half of the counter's range later nothing old is new. */
    assert_int_equal(client_tick(&c, UINT32_MAX - 8000u), QUALITY_LOW);
    for (unsigned s = 0; s < 100; s++)
        (void) client_tick(&c, SECOND);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
}

/* One that reports nothing, and NGINX that asks how far it is. */
static void
test_pings(void **state)
{
    struct client c;

    (void) state;
    client_begin(&c, 0);
    for (unsigned s = 0; s < 120; s++) {
        if (s % 20 == 0)
            quality_rtt(&c.q, 300, c.now_ms);
        assert_int_equal(client_tick(&c, SECOND),
                         s < 40 ? QUALITY_HIGH : QUALITY_MEDIUM);
        assert_int_equal(quality_rtt_ms(&c.q, c.now_ms), 300);
    }
    for (unsigned s = 0; s < 120; s++) {
        if (s % 20 == 0)
            quality_rtt(&c.q, 50, c.now_ms);
        (void) client_tick(&c, SECOND);
    }
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
    assert_int_equal(c.changes, 2);
    /* Younger ones, when there are three, are what counts. */
    for (unsigned s = 0; s < 3; s++) {
        quality_rtt(&c.q, 800, c.now_ms);
        (void) client_tick(&c, SECOND);
    }
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_LOW);
}

/* --- loss --- */

static void
test_loss_in_packets(void **state)
{
    struct client c;

    (void) state;
    client_begin(&c, 0);
    /* Few packets (DTX) gather until they are a sample: one of five hundred
     * is not ten percent. */
    for (unsigned s = 0; s < 50; s++) {
        quality_loss(&c.q, QUALITY_UP, s == 25, 10, c.now_ms);
        assert_int_equal(client_tick(&c, SECOND), QUALITY_HIGH);
    }
    for (unsigned s = 0; s < 20; s++) {
        quality_loss(&c.q, QUALITY_UP, 0, 0, c.now_ms);
        quality_loss(&c.q, QUALITY_UP, 3, 50, c.now_ms);
        (void) client_tick(&c, SECOND);
    }
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_MEDIUM);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 10);
    for (unsigned s = 0; s < 5; s++) {
        quality_loss(&c.q, QUALITY_DOWN, UINT32_MAX, UINT32_MAX, c.now_ms);
        quality_loss(&c.q, QUALITY_UP, UINT32_MAX, 50, c.now_ms);
        (void) client_tick(&c, SECOND);
    }
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_LOW);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 30); /* the most */
}

/* Each direction by itself: a clean one doesn't hide the other. */
static void
test_loss_by_direction(void **state)
{
    struct client c;

    (void) state;
    client_begin(&c, 0);
    for (unsigned s = 0; s < 10; s++) {
        quality_loss(&c.q, QUALITY_UP, 0, 50, c.now_ms);
        quality_loss_ratio(&c.q, QUALITY_DOWN, 0.08, c.now_ms);
        quality_jitter(&c.q, QUALITY_DOWN, 1, c.now_ms);
        quality_jitter(&c.q, QUALITY_UP, 160, c.now_ms);
        (void) client_tick(&c, SECOND);
    }
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_LOW);
}

/* Over a window, not over a life; and it goes back by a margin. */
static void
test_loss_window(void **state)
{
    static const struct report lossy = {40, 5, 0.04, 0},
                               some = {40, 5, 0.02, 0};
    struct client c;

    (void) state;
    client_begin(&c, 0);
    (void) client_report(&c, &good, 1000);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 5);
    (void) client_report(&c, &lossy, 2);
    /* 24 kbit/s has FEC from ten percent on. */
    assert_int_equal(quality_plan(&c.q)->loss_percent, 10);
    assert_int_equal(quality_plan(&c.q)->level, QUALITY_HIGH);
    (void) client_report(&c, &some, 100);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 10);
    (void) client_report(&c, &good, 10);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 10); /* the window's */
    (void) client_report(&c, &good, 20);
    assert_int_equal(quality_plan(&c.q)->loss_percent, 5);
    assert_int_equal(c.news, 2);
}

static void
test_loss_steps(void **state)
{
    static const struct {
        double loss;
        unsigned percent;
    } rows[] = {{0, 5},      {0.009, 5},  {0.01, 10},  {0.05, 10},
                {0.099, 10}, {0.101, 15}, {0.149, 15}, {0.21, 25},
                {0.29, 30},  {0.6, 30},   {7, 30}};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct report r = {40, 5, rows[i].loss, 0};
        struct client c;

        client_begin(&c, 0);
        (void) client_report(&c, &r, 40);
        assert_int_equal(quality_plan(&c.q)->loss_percent, rows[i].percent);
    }
}

/* Anything at any time: the plan stays within what is granted. */
static void
test_hostile(void **state)
{
    static const double values[] = {0,    -1,   1,        1e-320,    250,
                                    1e9,  1e18, 1e308,    -1e308,    NAN,
                                    0.05, 0.5,  INFINITY, -INFINITY, 60};
    uint64_t seed = 7;
    struct client c;

    (void) state;
    client_begin(&c, UINT64_MAX - 4000000u);
    for (unsigned i = 0; i < 100000; i++) {
        const struct quality_plan *plan = quality_plan(&c.q);
        struct report r;
        double *fields[] = {&r.rtt_ms, &r.jitter_ms, &r.loss, &r.underruns};

        for (size_t k = 0; k < 4; k++) {
            seed = seed * UINT64_C(6364136223846793005) + 99991;
            *fields[k] =
                values[(seed >> 40) % (sizeof values / sizeof *values)];
        }
        quality_loss(&c.q, (seed >> 50) % 2, (uint32_t) (seed >> 20),
                     (uint32_t) (seed >> 24), c.now_ms);
        (void) client_report(&c, &r, 1);
        assert_in_range(plan->level, QUALITY_HIGH, QUALITY_LOW);
        assert_in_range(plan->bitrate_bps, 18000, granted.bitrate_bps);
        assert_in_range(plan->loss_percent, 5, 30);
        assert_in_range(plan->profile, PLAYOUT_AGGRESSIVE,
                        PLAYOUT_CONSERVATIVE);
        assert_in_range(quality_rtt_ms(&c.q, c.now_ms), 0, 2000);
    }
}

static void
test_names_and_counts(void **state)
{
    struct metric *low;
    int64_t before;

    (void) state;
    assert_string_equal(quality_level_name(QUALITY_HIGH), "high");
    assert_string_equal(quality_level_name(QUALITY_MEDIUM), "medium");
    assert_string_equal(quality_level_name(QUALITY_LOW), "low");
    assert_string_equal(quality_level_name((enum quality_level) 9), "low");
    quality_count_change(QUALITY_HIGH);
    low = metric_register(METRIC_COUNTER,
                          "voiced_quality_changes_total{level=\"low\"}", "");
    before = metric_get(low);
    quality_count_change(QUALITY_LOW);
    quality_count_change((enum quality_level) 9);
    assert_int_equal(metric_get(low), before + 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_mean_of_five),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_recovery),
        cmocka_unit_test(test_margin),
        cmocka_unit_test(test_flapping),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_pings),
        cmocka_unit_test(test_loss_in_packets),
        cmocka_unit_test(test_loss_by_direction),
        cmocka_unit_test(test_loss_window),
        cmocka_unit_test(test_loss_steps),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_names_and_counts),
    };

    return cmocka_run_group_tests_name("R6.3 quality", tests, NULL, NULL);
}
