/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_credit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void
test_rate(void **state)
{
    struct session_credit credit;

    (void) state;
    session_credit_init(&credit, 5000);
    for (int i = 0; i < 10; i++)
        assert_true(session_credit_take(&credit, 5000));
    assert_false(session_credit_take(&credit, 5999));
    assert_true(session_credit_take(&credit, 6000));
    assert_false(session_credit_take(&credit, 6000));
    for (int i = 0; i < 10; i++)
        assert_true(session_credit_take(&credit, 1000000));
    assert_false(session_credit_take(&credit, 1000000));
    session_credit_done(&credit); /* an upstream that works */
    for (int i = 0; i < 10; i++)
        assert_true(session_credit_take(&credit, 1000000));
    assert_false(session_credit_take(&credit, 1000000));
}

/* Each is paid for: a response that never ends is not asked for ever. */
static void
test_vain(void **state)
{
    struct session_credit credit;
    uint64_t now_ms = 0;

    (void) state;
    session_credit_init(&credit, now_ms);
    for (int i = 0; i < 20; i++) {
        session_credit_begin(&credit);
        assert_true(session_credit_take(&credit, now_ms += 10000));
        session_credit_begin(&credit);
        session_credit_done(&credit);
    }
    for (int i = 0; i < 8; i++) {
        session_credit_begin(&credit);
        assert_true(session_credit_take(&credit, now_ms += 10000));
    }
    assert_true(session_credit_take(&credit, now_ms += 10000)); /* of none */
    session_credit_begin(&credit);
    assert_false(session_credit_take(&credit, now_ms += 10000));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_vain),
    };

    return cmocka_run_group_tests_name("session_credit", tests, NULL, NULL);
}
