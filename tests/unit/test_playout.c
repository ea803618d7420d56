/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/playout.h"
#include "codec/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#define MS        1000u /* us */
#define LONG_MS   120000u
#define FRAME_48K 960u

static void
jitter_fill(struct playout *p, uint32_t jitter_us, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        playout_jitter(p, jitter_us, p->moved_ms);
}

static void
test_profiles(void **state)
{
    static const struct {
        enum playout_profile profile;
        const char *name;
        struct playout_bounds bounds;
    } rows[] = {
        {PLAYOUT_AGGRESSIVE, "aggressive", {40, 80, 150}},
        {PLAYOUT_BALANCED, "balanced", {80, 150, 300}},
        {PLAYOUT_CONSERVATIVE, "conservative", {150, 250, 500}},
        {(enum playout_profile) 77, "conservative", {150, 250, 500}},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct playout p;

        assert_memory_equal(playout_bounds(rows[i].profile), &rows[i].bounds,
                            sizeof rows[i].bounds);
        assert_string_equal(playout_profile_name(rows[i].profile),
                            rows[i].name);
        playout_init(&p, rows[i].profile, 5000);
        assert_int_equal(playout_target_ms(&p, 5000), rows[i].bounds.target_ms);
        assert_int_equal(playout_target_ms(&p, 5000 + LONG_MS),
                         rows[i].bounds.target_ms);
    }
    assert_int_equal(PLAYOUT_AGGRESSIVE, POLICY_BUFFER_AGGRESSIVE);
    assert_int_equal(PLAYOUT_BALANCED, POLICY_BUFFER_BALANCED);
    assert_int_equal(PLAYOUT_CONSERVATIVE, POLICY_BUFFER_CONSERVATIVE);
}

/* Fifty samples, of which so many are large: what comes of it in the end. */
static void
test_p95(void **state)
{
    static const struct {
        unsigned large;
        uint32_t small_us, large_us;
        unsigned target_ms;
    } rows[] = {
        {50, 0, 60 * MS, 120},       {2, 10 * MS, 140 * MS, 80},
        {3, 10 * MS, 100 * MS, 200}, {3, 60 * MS, 100 * MS, 200},
        {2, 60 * MS, 100 * MS, 120}, {50, 0, 0, 80},
        {50, 0, 40 * MS, 80},        {50, 0, 41 * MS, 90},
        {50, 0, 149 * MS, 300},      {50, 0, 4000 * MS, 300},
        {50, 0, UINT32_MAX, 300},    {3, 0, 61 * MS, 130},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (unsigned turn = 0; turn < PLAYOUT_SAMPLES; turn += 7) {
            struct playout p;

            playout_init(&p, PLAYOUT_BALANCED, 0);
            jitter_fill(&p, 500 * MS, turn); /* which leave again */
            for (unsigned n = 0; n < PLAYOUT_SAMPLES; n++)
                playout_jitter(
                    &p,
                    n % 16 == 0 && n / 16 < rows[i].large ? rows[i].large_us
                    : rows[i].large == PLAYOUT_SAMPLES    ? rows[i].large_us
                                                          : rows[i].small_us,
                    0);
            assert_int_equal(playout_target_ms(&p, LONG_MS), rows[i].target_ms);
        }
    }
}

static void
test_few_samples(void **state)
{
    struct playout p;

    (void) state;
    playout_init(&p, PLAYOUT_BALANCED, 0);
    jitter_fill(&p, 100 * MS, 4); /* too few to say anything */
    assert_int_equal(playout_target_ms(&p, LONG_MS), 150);
    jitter_fill(&p, 100 * MS, 1);
    assert_int_equal(playout_target_ms(&p, 2 * LONG_MS), 200);

    playout_init(&p, PLAYOUT_BALANCED, 0);
    jitter_fill(&p, 1 * MS, 24); /* too few to go below the profile's */
    assert_int_equal(playout_target_ms(&p, LONG_MS), 150);
    jitter_fill(&p, 1 * MS, 1);
    assert_int_equal(playout_target_ms(&p, 2 * LONG_MS), 80);
}

static void
test_slew(void **state)
{
    struct playout p;
    uint64_t now_ms = 1000;

    (void) state;
    playout_init(&p, PLAYOUT_BALANCED, now_ms);
    jitter_fill(&p, 140 * MS, PLAYOUT_SAMPLES); /* 150 to 280 */
    assert_int_equal(playout_target_ms(&p, now_ms), 150);
    assert_int_equal(playout_target_ms(&p, now_ms += 100), 200);
    assert_int_equal(playout_target_ms(&p, now_ms += 100), 250);
    assert_int_equal(playout_target_ms(&p, now_ms += 100), 280);
    assert_int_equal(playout_target_ms(&p, now_ms += 100), 280);
    jitter_fill(&p, 20 * MS, PLAYOUT_SAMPLES); /* and to 80, slowly */
    assert_int_equal(playout_target_ms(&p, now_ms += 1000), 270);
    assert_int_equal(playout_target_ms(&p, now_ms += 10000), 170);
    assert_int_equal(playout_target_ms(&p, now_ms += 9000), 80);
    /* A clock that stands, or goes back, moves nothing. */
    jitter_fill(&p, 140 * MS, PLAYOUT_SAMPLES);
    assert_int_equal(playout_target_ms(&p, now_ms), 80);
    assert_int_equal(playout_target_ms(&p, now_ms - 5000), 80);
    assert_int_equal(playout_target_ms(&p, now_ms + 20), 90);
    assert_int_equal(playout_target_ms(&p, UINT64_MAX), 280);
}

/* In small steps of time the same as in one. */
static void
test_slew_in_steps(void **state)
{
    struct playout p, q;

    (void) state;
    playout_init(&p, PLAYOUT_CONSERVATIVE, 0);
    playout_init(&q, PLAYOUT_CONSERVATIVE, 0);
    jitter_fill(&p, 90 * MS, PLAYOUT_SAMPLES);
    jitter_fill(&q, 90 * MS, PLAYOUT_SAMPLES);
    for (uint64_t now_ms = 1; now_ms <= 3000; now_ms++)
        (void) playout_target_ms(&p, now_ms);
    assert_int_equal(playout_target_ms(&p, 3000), 220);
    assert_int_equal(playout_target_ms(&q, 3000), 220);
}

static void
test_underruns(void **state)
{
    struct playout p;

    (void) state;
    playout_init(&p, PLAYOUT_BALANCED, 0);
    jitter_fill(&p, 50 * MS, PLAYOUT_SAMPLES);
    assert_int_equal(playout_target_ms(&p, 10000), 100);
    playout_underrun(&p, 2, 10000); /* two are not more than two */
    assert_int_equal(playout_target_ms(&p, 12000), 100);
    playout_underrun(&p, 0, 12000);
    assert_int_equal(playout_target_ms(&p, 12000), 100);
    playout_underrun(&p, 1, 12000);
    assert_int_equal(playout_target_ms(&p, 13000), 150);
    assert_int_equal(playout_target_ms(&p, 32000), 150);
    /* It fades by half its worth in ten seconds, and is gone. */
    assert_int_equal(playout_target_ms(&p, 42000), 130);
    assert_int_equal(playout_target_ms(&p, 53000), 100);

    playout_underrun(&p, 6, 60000); /* two times x1.5 and no more */
    assert_int_equal(playout_target_ms(&p, 61000), 230);
    playout_underrun(&p, UINT32_MAX, 61000);
    assert_int_equal(playout_target_ms(&p, 62000), 230);
    jitter_fill(&p, 140 * MS, PLAYOUT_SAMPLES); /* within the profile */
    assert_int_equal(playout_target_ms(&p, 63000), 300);
}

static void
test_underruns_far_apart(void **state)
{
    struct playout p;

    (void) state;
    playout_init(&p, PLAYOUT_AGGRESSIVE, 0);
    for (uint64_t now_ms = 0; now_ms < 400000; now_ms += 16000)
        playout_underrun(&p, 1, now_ms);
    assert_int_equal(playout_target_ms(&p, 400000), 80);
    playout_underrun(&p, 1, 400000);
    playout_underrun(&p, 1, 401000);
    assert_int_equal(playout_target_ms(&p, 402000), 120);
}

static void
test_profile_changes(void **state)
{
    struct playout p;

    (void) state;
    playout_init(&p, PLAYOUT_AGGRESSIVE, 0);
    jitter_fill(&p, 10 * MS, PLAYOUT_SAMPLES);
    assert_int_equal(playout_target_ms(&p, 20000), 40);
    playout_set_profile(&p, PLAYOUT_CONSERVATIVE, 20000);
    assert_int_equal(playout_target_ms(&p, 20000), 40);
    assert_int_equal(playout_target_ms(&p, 20100), 90);
    assert_int_equal(playout_target_ms(&p, 21000), 150); /* jitter is known */
    playout_set_profile(&p, PLAYOUT_BALANCED, 21000);
    assert_int_equal(playout_target_ms(&p, 22000), 140);
    assert_int_equal(playout_target_ms(&p, 40000), 80);
    playout_set_profile(&p, (enum playout_profile) - 1, 40000);
    assert_int_equal(playout_target_ms(&p, 50000), 150);
}

static void
test_forget(void **state)
{
    struct playout p;

    (void) state;
    playout_init(&p, PLAYOUT_BALANCED, 0);
    jitter_fill(&p, 140 * MS, PLAYOUT_SAMPLES);
    playout_underrun(&p, 3, 0);
    assert_int_equal(playout_target_ms(&p, 5000), 300);
    playout_forget(&p, 5000);
    assert_int_equal(playout_target_ms(&p, 5000), 300);
    assert_int_equal(playout_target_ms(&p, 10000), 250);
    assert_int_equal(playout_target_ms(&p, LONG_MS), 150);
}

/* --- jitter of arrival --- */

struct came {
    uint32_t step_48k; /* since the stamp before */
    uint64_t after_us; /* since the one before came */
    int64_t jitter_us;
    bool start;
};

static void
arrivals_check(const struct came *rows, size_t count, uint32_t stamp)
{
    struct playout_arrival arrival = {0};
    uint64_t now_us = 77;

    for (size_t i = 0; i < count; i++) {
        stamp += rows[i].step_48k;
        now_us += rows[i].after_us;
        assert_int_equal(
            playout_arrival_take(&arrival, stamp, rows[i].start, now_us),
            rows[i].jitter_us);
    }
}

#define CHECK_ARRIVALS(rows)                                                   \
    do {                                                                       \
        arrivals_check(rows, sizeof(rows) / sizeof *(rows), 0);                \
        arrivals_check(rows, sizeof(rows) / sizeof *(rows), 0xfffff000u);      \
    } while (0)

static void
test_arrival(void **state)
{
    static const struct came even[] = {
        {0, 0, -1, true}, {960, 20000, 0, false}, {960, 20000, 0, false}};
    static const struct came stall[] = {
        {0, 0, -1, true},          {960, 20000, 0, false},
        {960, 220000, -1, false}, /* and what waited behind it: a stall */
        {960, 0, 200000, false},   {960, 0, 180000, false},
        {960, 100, 160000, false}, {960, 20000, 140100, false}};
    static const struct came skipped[] = {
        {0, 0, -1, true},
        {960, 20000, 0, false},
        {960, 420000, -1, false}, /* DTX that its stamps do not show */
        {960, 420000, -1, false},
        {960, 420000, -1, false},
        {960, 20000, 0, false}, /* speech again */
        {960, 21000, 1000, false},
        {960, 219000, -1, false}, /* and a stall is one still */
        {960, 0, 200000, false}};
    static const struct came quicker[] = {
        {0, 0, -1, true}, /* was late itself: the next ones show it */
        {960, 5000, 0, false},
        {960, 20000, 0, false},
        {960, 21000, 1000, false}};
    static const struct came silence[] = {
        {0, 0, -1, true},
        {960, 20000, 0, false},
        {48000 * 3, 3000000, 0, false}, /* DTX takes time */
        {960, 22000, 2000, false}};
    static const struct came pause[] = {
        {0, 0, -1, true},
        {960, 20000, 0, false},
        {960, 9000000, -1, true}, /* a new beginning: no jitter */
        {960, 25000, 5000, false}};
    static const struct came quiet_pause[] = {
        {0, 0, -1, true},
        {960, 20000, 0, false},
        {960, 4020000, -1, false}, /* not told, and no jitter either */
        {960, 20000, 0, false},
        {960, 1500000, -1, false}, /* the next five seconds begin */
        {240000, 5000000, 0, false},
        {960, 21000, 1000, false}};
    static const struct came jump[] = {
        {0, 0, -1, true},
        {960, 20000, 0, false},
        {0x7fffffff, 20000, -1, false}, /* nonsense begins anew */
        {960, 20000, 0, false},
        {0x80000001, 20000, -1, false},
        {960, 30000, 10000, false}};
    static const struct came back[] = {{0, 0, -1, true},
                                       {960, 20000, 0, false},
                                       {(uint32_t) -960, 0, 20000, false},
                                       {1920, 20000, 0, false}};

    (void) state;
    CHECK_ARRIVALS(even);
    CHECK_ARRIVALS(stall);
    CHECK_ARRIVALS(skipped);
    CHECK_ARRIVALS(quicker);
    CHECK_ARRIVALS(silence);
    CHECK_ARRIVALS(pause);
    CHECK_ARRIVALS(quiet_pause);
    CHECK_ARRIVALS(jump);
    CHECK_ARRIVALS(back);
}

/* A small step stays jitter for five to ten seconds, then it is the network; a
 * clock that is 200 ppm wrong makes none worth a word. */
static void
test_arrival_windows(void **state)
{
    struct playout_arrival arrival = {0};
    uint64_t now_us = 0;
    uint32_t stamp = 0;
    int64_t jitter_us = 0;

    (void) state;
    for (unsigned i = 0; i < 30000; i++) {
        now_us += 20004;
        stamp += FRAME_48K;
        jitter_us = playout_arrival_take(&arrival, stamp, i == 0, now_us);
        assert_in_range(jitter_us + 1, 0, 2100);
    }
    now_us += 70000;
    for (unsigned i = 0; i < 600; i++) {
        now_us += 20000;
        stamp += FRAME_48K;
        jitter_us = playout_arrival_take(&arrival, stamp, false, now_us);
        if (i < 245)
            assert_in_range(jitter_us, 70000, 73000);
    }
    assert_int_equal(jitter_us, 0);
}

/* Whatever a client stamps, nothing overflows, and no sample is beyond. */
static void
test_arrival_hostile(void **state)
{
    struct playout_arrival arrival = {0};
    uint64_t seed = 1, now_us = 0;

    (void) state;
    for (unsigned i = 0; i < 200000; i++) {
        int64_t jitter_us;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        now_us += seed >> 46;
        jitter_us = playout_arrival_take(&arrival, (uint32_t) (seed >> 20),
                                         (seed >> 60) == 0, now_us);
        assert_in_range(jitter_us + 1, 0, PLAYOUT_JITTER_MAX_US + 1);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_p95),
        cmocka_unit_test(test_few_samples),
        cmocka_unit_test(test_slew),
        cmocka_unit_test(test_slew_in_steps),
        cmocka_unit_test(test_underruns),
        cmocka_unit_test(test_underruns_far_apart),
        cmocka_unit_test(test_profile_changes),
        cmocka_unit_test(test_forget),
        cmocka_unit_test(test_arrival),
        cmocka_unit_test(test_arrival_windows),
        cmocka_unit_test(test_arrival_hostile),
    };

    return cmocka_run_group_tests_name("R2.2 playout", tests, NULL, NULL);
}
