/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tool_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <float.h>
#include <stdlib.h>
#include <string.h>

static void
test_progress(void **state)
{
    static const struct {
        double progress, total;
        const char *message, *text;
    } table[] = {
        {3, 9, "two files to go", "two files to go"},
        {3, 9, "", "3 of 9 done"},
        {3, 9, NULL, "3 of 9 done"},
        {0.25, 1, NULL, "0.25 of 1 done"},
        {7, 0, NULL, "7 done"},
        {DBL_MAX, DBL_MAX, NULL, "1.79769e+308 of 1.79769e+308 done"},
    };
    char numbers[SESSION_TOOL_NUMBERS_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(session_tool_text_progress(table[i].message,
                                                       table[i].progress,
                                                       table[i].total, numbers),
                            table[i].text);
}

static void
test_arguments(void **state)
{
    static const char *const wrong[] = {"[]", "7", "{", "{\"a\":1,\"a\":2}",
                                        "{} {}"};

    (void) state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_null(session_tool_text_arguments(wrong[i]));
    json_t *none = session_tool_text_arguments(" \n");
    json_t *some = session_tool_text_arguments("{\"a\":1}");
    assert_int_equal(json_object_size(none), 0);
    assert_int_equal(json_integer_value(json_object_get(some, "a")), 1);
    json_decref(none);
    json_decref(some);
}

static void
test_output(void **state)
{
    static const char *const table[][2] = {
        {"{\"a\":1}", "{\"a\":1}"},
        {"\"two\\nlines\"", "two\nlines"},
        {"\"\"", ""},
        {"7", "7"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *text = session_tool_text_output(table[i][0], strlen(table[i][0]));

        assert_string_equal(text, table[i][1]);
        free(text);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_output),
    };

    return cmocka_run_group_tests_name("session_tool_texts", tests, NULL, NULL);
}
