/* SPDX-License-Identifier: BSD-2-Clause */

/* R2.4: a line that stands while sockets take everything. */

#include "codec/voice_pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#define TARGET_MS 150u
#define PACKET_MS 20u
#define RTT_MS    100u

/* A sender that always has something, in steps of 10 ms; and a player behind
 * a line, who plays what has come. */
struct line {
    struct voice_pacer pacer;
    uint64_t now_ms;
    uint64_t came; /* places, as the pacer's */
    uint64_t played;
};

enum line_state { GOOD, STANDS, NO_REPORTS };

static void
line_run(struct line *l, unsigned ms, enum line_state state)
{
    for (uint64_t end_ms = l->now_ms + ms; l->now_ms < end_ms;) {
        l->now_ms += 10;
        voice_pacer_advance(&l->pacer, l->now_ms);
        while (voice_pacer_may(&l->pacer, PACKET_MS, TARGET_MS))
            voice_pacer_sent(&l->pacer, PACKET_MS, l->now_ms);
        if (state != STANDS)
            l->came = l->pacer.sent;
        l->played += l->played + 10 <= l->came ? 10 : 0;
        if (state == GOOD && l->now_ms % 1000 == 0)
            assert_true(voice_pacer_report(
                &l->pacer, l->played > RTT_MS ? l->played - RTT_MS : 0, RTT_MS,
                l->now_ms));
    }
}

static uint64_t
line_behind(const struct line *l)
{
    return l->pacer.sent - l->played;
}

static void
line_begin(struct line *l, unsigned ms, enum line_state state)
{
    *l = (struct line){.now_ms = 60000};
    voice_pacer_init(&l->pacer, l->now_ms);
    line_run(l, ms, state);
}

static void
test_stall(void **state)
{
    struct line l;

    (void) state;
    line_begin(&l, 5000, GOOD);
    assert_true(line_behind(&l) <= TARGET_MS + 10);
    for (unsigned ms = 0; ms < 10000; ms += 1000) {
        line_run(&l, 1000, STANDS);
        assert_true(line_behind(&l)
                    <= VOICE_PACER_SILENT_MS + TARGET_MS + PACKET_MS);
    }
    /* When it goes on, the player gets what he can play, and is soon no
     * further behind than before. */
    line_run(&l, 6000, GOOD);
    assert_true(line_behind(&l) <= TARGET_MS + 10);
    assert_true(l.played >= 5000 + 6000 - TARGET_MS);
}

/* Whoever never reports, or only now and then, is sent what it takes. */
static void
test_who_does_not_report(void **state)
{
    struct line l;

    (void) state;
    line_begin(&l, 60000, NO_REPORTS);
    assert_true(l.played >= 60000 - 100);
    line_begin(&l, 0, GOOD);
    for (unsigned n = 0; n < 10; n++) {
        line_run(&l, 5000, NO_REPORTS);
        line_run(&l, 1000, GOOD);
    }
    assert_true(l.played >= 60000 - 200);
}

/* One who stops to report, and plays on: waited for once. */
static void
test_who_reports_no_more(void **state)
{
    struct line l;
    uint64_t played;

    (void) state;
    line_begin(&l, 10000, GOOD);
    line_run(&l, VOICE_PACER_LOST_MS + 1000, NO_REPORTS);
    played = l.played;
    line_run(&l, 60000, NO_REPORTS);
    assert_true(l.played >= played + 60000 - 100);
}

/* Silent while there was nothing to play: an answer isn't held up. */
static void
test_idle_then_silent(void **state)
{
    struct line l;
    uint64_t played;

    (void) state;
    line_begin(&l, 10000, GOOD);
    l.now_ms += 5000; /* nothing is sent, nothing reported */
    played = l.played;
    voice_pacer_advance(&l.pacer, l.now_ms);
    l.played = l.came;
    line_run(&l, 60000, NO_REPORTS);
    assert_true(l.played >= played + 60000 - 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_who_does_not_report),
        cmocka_unit_test(test_who_reports_no_more),
        cmocka_unit_test(test_idle_then_silent),
    };

    return cmocka_run_group_tests_name("R2.4 pacing of a line that stands",
                                       tests, NULL, NULL);
}
