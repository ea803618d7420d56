/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_age.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define MINUTE 60000ull

static void
test_an_hour(void **state)
{
    struct session_age age;

    (void) state;
    session_age_init(&age, 60 * MINUTE);
    assert_false(session_age_is_due(&age, 100 * MINUTE)); /* none has begun */
    assert_false(session_age_is_over(&age, 100 * MINUTE));
    session_age_start(&age, MINUTE);
    assert_false(session_age_is_due(&age, 56 * MINUTE - 1));
    assert_true(session_age_is_due(&age, 56 * MINUTE));
    assert_false(session_age_is_over(&age, 61 * MINUTE - 30001));
    assert_true(session_age_is_over(&age, 61 * MINUTE - 30000));
    session_age_start(&age, 61 * MINUTE);
    assert_false(session_age_is_due(&age, 61 * MINUTE));
}

static void
test_put_off(void **state)
{
    struct session_age age;

    (void) state;
    session_age_init(&age, 10000);
    session_age_start(&age, 5000);
    assert_true(session_age_is_due(&age, 14000));
    session_age_put_off(&age, 14000);
    assert_false(session_age_is_due(&age, 14499));
    assert_true(session_age_is_due(&age, 14500));
    assert_true(session_age_is_over(&age, 14900)); /* whatever was put off */
}

static void
test_no_cap(void **state)
{
    struct session_age age;

    (void) state;
    session_age_init(&age, 0);
    session_age_start(&age, 5000);
    assert_false(session_age_is_due(&age, UINT64_MAX));
    assert_false(session_age_is_over(&age, UINT64_MAX));
    assert_true(session_age_look_ms(&age) > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_hour),
        cmocka_unit_test(test_put_off),
        cmocka_unit_test(test_no_cap),
    };

    return cmocka_run_group_tests_name("session_age", tests, NULL, NULL);
}
