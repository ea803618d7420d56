/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/load_cut.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static struct load_cut cut;
static uint64_t now_ms;

static int
setup(void **state)
{
    (void) state;
    load_cut_init(&cut);
    now_ms = 1000;
    return 0;
}

/* That many windows of a second; how often the steps changed. */
static unsigned
windows(unsigned count, unsigned busy)
{
    unsigned changes = 0;

    for (unsigned i = 0; i < count; i++, now_ms += 1000)
        changes += load_cut_note(&cut, busy, now_ms);
    return changes;
}

static void
test_calm_changes_nothing(void **state)
{
    (void) state;
    assert_int_equal(windows(100, 0), 0);
    assert_int_equal(windows(100, LOAD_CUT_HIGH), 0);
    assert_int_equal(load_cut_steps(&cut), 0);
}

static void
test_pressure_cuts_one_step_a_window(void **state)
{
    (void) state;
    assert_int_equal(windows(1, LOAD_CUT_HIGH + 1), 1);
    assert_int_equal(load_cut_steps(&cut), 1);
    assert_int_equal(windows(2, 900), 2);
    assert_int_equal(load_cut_steps(&cut), 3);
}

static void
test_no_air_cuts_two_steps_and_ends_at_the_most(void **state)
{
    (void) state;
    windows(1, 1000);
    assert_int_equal(load_cut_steps(&cut), 2);
    assert_int_equal(windows(10, 1000), 2);
    assert_int_equal(load_cut_steps(&cut), LOAD_CUT_MAX);
}

static void
test_between_the_bounds_all_stays(void **state)
{
    (void) state;
    windows(2, 900);
    assert_int_equal(windows(100, 700), 0);
    assert_int_equal(load_cut_steps(&cut), 2);
}

static void
test_a_calm_while_gives_one_back(void **state)
{
    (void) state;
    windows(2, 900);
    assert_int_equal(windows(5, 100), 0);
    assert_int_equal(windows(1, 100), 1);
    assert_int_equal(load_cut_steps(&cut), 1);
    assert_int_equal(windows(4, 100), 0);
    assert_int_equal(windows(1, 100), 1);
    assert_int_equal(load_cut_steps(&cut), 0);
    assert_int_equal(windows(50, 100), 0);
}

static void
test_a_stir_begins_the_while_anew(void **state)
{
    (void) state;
    windows(1, 900);
    windows(4, 100);
    windows(1, LOAD_CUT_LOW);
    assert_int_equal(windows(5, 100), 0);
    assert_int_equal(windows(1, 100), 1);
}

/* A machine where one step less is too much, for an hour. */
static void
test_a_machine_at_its_limit_does_not_swing(void **state)
{
    unsigned changes = 0;

    (void) state;
    for (unsigned i = 0; i < 3600; i++, now_ms += 1000)
        changes +=
            load_cut_note(&cut, load_cut_steps(&cut) >= 3 ? 500 : 900, now_ms);
    assert_in_range(load_cut_steps(&cut), 2, 3);
    /* Two a try, a try in 80 s at most in the end. */
    assert_in_range(changes, 4, 2 * 3600 / 80 + 16);
}

static void
test_long_calm_forgets_the_tries(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 5; i++) {
        windows(1, 900);
        while (load_cut_steps(&cut) > 0)
            windows(1, 100);
    }
    assert_true(cut.calm_ms > LOAD_CUT_CALM_MS);
    windows(LOAD_CUT_CALM_MAX_MS / 1000 + 1, 100);
    assert_int_equal(cut.calm_ms, LOAD_CUT_CALM_MS);
}

static void
test_apply(void **state)
{
    (void) state;
    assert_int_equal(load_cut_apply(5, 0), 5);
    assert_int_equal(load_cut_apply(5, 2), 3);
    assert_int_equal(load_cut_apply(5, 5), 0);
    assert_int_equal(load_cut_apply(1, 5), 0);
    assert_int_equal(load_cut_apply(10, 5), 5);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_calm_changes_nothing, setup),
        cmocka_unit_test_setup(test_pressure_cuts_one_step_a_window, setup),
        cmocka_unit_test_setup(test_no_air_cuts_two_steps_and_ends_at_the_most,
                               setup),
        cmocka_unit_test_setup(test_between_the_bounds_all_stays, setup),
        cmocka_unit_test_setup(test_a_calm_while_gives_one_back, setup),
        cmocka_unit_test_setup(test_a_stir_begins_the_while_anew, setup),
        cmocka_unit_test_setup(test_a_machine_at_its_limit_does_not_swing,
                               setup),
        cmocka_unit_test_setup(test_long_calm_forgets_the_tries, setup),
        cmocka_unit_test_setup(test_apply, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
