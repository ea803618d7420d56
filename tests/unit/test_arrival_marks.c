/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/arrival_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void
test_nothing_is_known_at_first(void **state)
{
    const struct arrival_marks m = {0};

    (void) state;
    assert_int_equal(arrival_marks_when(&m, 0), 0);
    assert_int_equal(arrival_marks_when(&m, 100), 0);
}

/* Packets of 20 ms, each as it is said. */
static void
test_in_real_time(void **state)
{
    struct arrival_marks m = {0};

    (void) state;
    for (uint32_t ms = 20; ms <= 10000; ms += 20)
        arrival_marks_note(&m, ms, 5000000 + ms * 1000);
    for (uint32_t ms = 10000 - 40 * (ARRIVAL_MARKS - 2); ms <= 10000; ms++)
        assert_int_equal(arrival_marks_when(&m, ms), 5000000 + ms * 1000);
    assert_int_equal(arrival_marks_when(&m, 10001), 0);
    assert_int_equal(arrival_marks_when(&m, 100), 0);
}

/* A stall, and then all of it at once: it came when it came. */
static void
test_a_burst(void **state)
{
    struct arrival_marks m = {0};

    (void) state;
    arrival_marks_note(&m, 1000, 1000000);
    arrival_marks_note(&m, 1500, 3000000);
    arrival_marks_note(&m, 1540, 3040000);
    assert_int_equal(arrival_marks_when(&m, 1000), 1000000);
    assert_int_equal(arrival_marks_when(&m, 1500), 3000000);
    assert_int_equal(arrival_marks_when(&m, 1520), 3020000);
    assert_int_equal(arrival_marks_when(&m, 1250), 2000000);
    assert_int_equal(arrival_marks_when(&m, 999), 0);
}

/* Small steps are gathered, so that the marks span a while. */
static void
test_small_steps_are_gathered(void **state)
{
    struct arrival_marks m = {0};

    (void) state;
    for (uint32_t ms = 1; ms <= 4000; ms++)
        arrival_marks_note(&m, ms, ms * 1000);
    assert_int_equal(m.count, 100);
    assert_int_equal(arrival_marks_when(&m, 2000), 2000000);
}

static void
test_the_same_place_twice(void **state)
{
    struct arrival_marks m = {0};

    (void) state;
    arrival_marks_note(&m, 0, 7);
    arrival_marks_note(&m, 0, 9);
    assert_int_equal(m.count, 1);
    assert_int_equal(arrival_marks_when(&m, 0), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_known_at_first),
        cmocka_unit_test(test_in_real_time),
        cmocka_unit_test(test_a_burst),
        cmocka_unit_test(test_small_steps_are_gathered),
        cmocka_unit_test(test_the_same_place_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
