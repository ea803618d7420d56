/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define TARGET 150

/* Sends all that may go at that moment. */
static unsigned
fill(struct voice_pacer *p, uint64_t now)
{
    unsigned packets = 0;

    voice_pacer_advance(p, now);
    for (; voice_pacer_may(p, 20, TARGET); packets++)
        voice_pacer_sent(p, 20, now);
    return packets;
}

static void
test_first(void **state)
{
    struct voice_pacer p;

    (void) state;
    voice_pacer_init(&p, 1000);
    assert_int_equal(voice_pacer_when(&p, 40, TARGET), 1000);
    assert_int_equal(fill(&p, 5000), 7);
    assert_int_equal(voice_pacer_ahead(&p), 140);
    assert_int_equal(voice_pacer_when(&p, 20, TARGET), 5010);
    assert_int_equal(voice_pacer_when(&p, 40, TARGET), 5030);
    assert_int_equal(fill(&p, 5009), 0);
    assert_int_equal(fill(&p, 5010), 1);
    assert_int_equal(fill(&p, 5000), 0); /* back in time: it stands still */
    voice_pacer_advance(&p, 9000);       /* dry long since */
    assert_int_equal(voice_pacer_heard(&p), 160);
    assert_int_equal(fill(&p, 9000), 7);
    /* a frame longer than the target goes when there is nothing else */
    voice_pacer_init(&p, 1000);
    assert_true(voice_pacer_may(&p, 20, 10));
    voice_pacer_sent(&p, 20, 1000);
    assert_false(voice_pacer_may(&p, 20, 10));
    assert_int_equal(voice_pacer_when(&p, 20, 10), 1020);
}

static void
test_reports(void **state)
{
    struct voice_pacer p;
    uint64_t now = 10000;

    (void) state;
    voice_pacer_init(&p, now);
    fill(&p, now);
    /* exactly as reckoned: nothing changes */
    for (; now < 13000; now += 10) {
        fill(&p, now);
        if (now % 500 == 0)
            assert_true(voice_pacer_report(&p, now - 10000, 0, now));
    }
    assert_int_equal(voice_pacer_ahead(&p), p.sent - 2990);
    /* not known yet, and of a place that never was */
    assert_false(voice_pacer_report(&p, p.sent + 1, 0, now));
    /* one that is late: what was heard follows, the pace does not */
    assert_true(voice_pacer_report(&p, 2450, 100, now));
    assert_int_equal(voice_pacer_heard(&p), 2550);
    assert_int_equal(voice_pacer_ahead(&p), p.sent - 3000);
    /* three that agree: the player is behind */
    for (int i = 0; i < 3; i++) {
        for (uint64_t end = now + 500; now < end; now += 10)
            fill(&p, now);
        voice_pacer_advance(&p, now);
        assert_true(voice_pacer_report(&p, now - 10400, 100, now));
        assert_int_equal(voice_pacer_heard(&p), now - 10300);
    }
    assert_int_equal(voice_pacer_ahead(&p), p.sent - (now - 10300));
    assert_int_equal(fill(&p, now), 0);
    voice_pacer_cut(&p, now);
    assert_int_equal(voice_pacer_ahead(&p), 0);
    assert_false(voice_pacer_report(&p, p.sent - 1, 100, now));
    assert_true(voice_pacer_report(&p, p.sent, 100, now));
}

/* Who stands still is believed at once. */
static void
test_stuck(void **state)
{
    struct voice_pacer p;
    uint64_t now = 1000;

    (void) state;
    voice_pacer_init(&p, now);
    for (; now < 3000; now += 10)
        fill(&p, now);
    assert_true(voice_pacer_report(&p, 1900, 50, now));
    assert_int_equal(fill(&p, now), 0);
    for (; now < 4000; now += 10)
        fill(&p, now);
    assert_true(voice_pacer_report(&p, 1900, 50, now));
    assert_int_equal(voice_pacer_heard(&p), 1950);
    assert_int_equal(voice_pacer_ahead(&p), p.sent - 1950);
    assert_int_equal(fill(&p, now), 0);
}

/* A clock that runs fast gains what a bad one does, and no more. */
static void
test_drift(void **state)
{
    struct voice_pacer p;
    uint64_t now = 1000;

    (void) state;
    voice_pacer_init(&p, now);
    for (int s = 0; s < 60; s++) {
        for (int i = 0; i < 100; i++, now += 10)
            fill(&p, now);
        assert_true(voice_pacer_report(&p, p.sent, 0, now)); /* a lie */
    }
    assert_in_range(p.sent, 60000, 60000 + 150 + 60 * 2 + 20);
}

static void
test_skip(void **state)
{
    struct voice_pacer p;

    (void) state;
    voice_pacer_init(&p, 1000);
    fill(&p, 1000);
    voice_pacer_skipped(&p, 3000, 4000);
    voice_pacer_skipped(&p, 20, 4000);
    assert_int_equal(voice_pacer_ahead(&p), 0);
    assert_int_equal(voice_pacer_heard(&p), 140);
    assert_int_equal(fill(&p, 4000), 7);
    assert_int_equal(voice_pacer_ahead(&p), 140);
    voice_pacer_advance(&p, 4010);
    assert_int_equal(voice_pacer_heard(&p), 3170);
    /* one who has to come there yet */
    voice_pacer_skipped(&p, 1000, 4010);
    assert_int_equal(voice_pacer_ahead(&p), 130);
    assert_int_equal(voice_pacer_when(&p, 20, TARGET), 4010);
    voice_pacer_sent(&p, 20, 4010);
    voice_pacer_advance(&p, 4110);
    assert_int_equal(voice_pacer_heard(&p), 3270);
    assert_int_equal(voice_pacer_ahead(&p), 50);
    voice_pacer_advance(&p, 4145);
    assert_int_equal(voice_pacer_heard(&p), 4305);
    assert_int_equal(voice_pacer_ahead(&p), 15);
    assert_true(voice_pacer_report(&p, 3290, 20, 4146));
    assert_int_equal(voice_pacer_heard(&p), 4306);
}

/* A gap of 100 ms behind 140: who comes to it jumps, or fills it. */
static void
gap_make(struct voice_pacer *p)
{
    voice_pacer_init(p, 1000);
    fill(p, 1000);
    voice_pacer_skipped(p, 100, 1000);
    voice_pacer_sent(p, 1000, 1000);
    assert_true(voice_pacer_report(p, 1, 0, 1001));
}

static void
test_filled(void **state)
{
    struct voice_pacer p;

    (void) state;
    gap_make(&p); /* jumped over */
    assert_true(voice_pacer_report(&p, 360, 0, 1260));
    assert_int_equal(voice_pacer_take_filled(&p), 0);
    gap_make(&p); /* filled, as two reports tell */
    assert_true(voice_pacer_report(&p, 180, 0, 1180));
    assert_int_equal(voice_pacer_take_filled(&p), 100);
    assert_true(voice_pacer_report(&p, 340, 0, 1340));
    assert_int_equal(voice_pacer_take_filled(&p), 0);
    gap_make(&p); /* in part */
    assert_true(voice_pacer_report(&p, 330, 0, 1260));
    assert_int_equal(voice_pacer_take_filled(&p), 30);
    gap_make(&p); /* has not come there: it stood still */
    assert_true(voice_pacer_report(&p, 100, 0, 1200));
    assert_int_equal(voice_pacer_take_filled(&p), 0);
    gap_make(&p); /* behind the gap it stood still for longer than that */
    assert_true(voice_pacer_report(&p, 300, 0, 1600));
    assert_int_equal(voice_pacer_take_filled(&p), 100);
    assert_true(voice_pacer_report(&p, 300, 0, 1700));
    assert_int_equal(voice_pacer_take_filled(&p), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        {"R2.4 the first at once, then in time", test_first, NULL, NULL, NULL},
        {"R2.4 reports", test_reports, NULL, NULL, NULL},
        {"R2.4 a player that stands still", test_stuck, NULL, NULL, NULL},
        {"R2.4 drift", test_drift, NULL, NULL, NULL},
        {"R2.4 what is left out", test_skip, NULL, NULL, NULL},
        {"R2.4 gaps that a player fills", test_filled, NULL, NULL, NULL},
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
