/* SPDX-License-Identifier: BSD-2-Clause */

/* Whose tools a session has, and what of them the model and the client are
 * told. */

#include "session/session_tool_set.h"

#include "kit/tools_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void
test_tools_laid_and_hidden(void **state)
{
    struct tools_rig k;
    char *made = NULL;
    json_t *session = json_object();

    (void) state;
    tools_rig_open(&k);
    assert_int_equal(session_tool_set_lay(&k.w.set, session, true), 1);
    assert_int_equal(json_array_size(json_object_get(session, "tools")), 2);
    assert_true(session_tool_set_hide(&k.w.set, session));
    assert_int_equal(json_array_size(json_object_get(session, "tools")), 0);
    json_decref(session);

    /* The client's own name is the client's, the server's come first. */
    assert_int_equal(
        tools_rig_up(
            &k,
            "{\"type\":\"session.update\",\"session\":{\"tools\":[{\"type\":"
            "\"function\",\"name\":\"alpha\",\"description\":\"mine\"},"
            "{\"type\":\"function\",\"name\":\"theirs\"}]}}",
            &made),
        SESSION_TOOL_CHANGED);
    assert_string_equal(
        made, "{\"type\":\"session.update\",\"session\":{\"tools\":[{\"type\":"
              "\"function\",\"name\":\"beta\",\"parameters\":{}},{\"type\":"
              "\"function\",\"name\":\"alpha\",\"description\":\"mine\"},"
              "{\"type\":\"function\",\"name\":\"theirs\"}]}}");
    free(made);
    assert_false(session_tool_set_has(&k.w.set, "alpha"));
    assert_true(session_tool_set_has(&k.w.set, "beta"));
    tools_rig_created(&k, "r1");
    assert_true(tools_rig_item(&k, "r1", "c1", "alpha", "in_progress"));

    /* What says nothing of tools changes nothing of them. */
    assert_int_equal(tools_rig_up(&k,
                                  "{\"type\":\"session.update\",\"session\":{"
                                  "\"instructions\":\"x\"}}",
                                  NULL),
                     SESSION_TOOL_SEND);
    assert_false(session_tool_set_has(&k.w.set, "alpha"));
    assert_int_equal(
        tools_rig_up(&k,
                     "{\"type\":\"session.update\",\"session\":{\"tools\":[]}}",
                     NULL),
        SESSION_TOOL_CHANGED);
    assert_true(session_tool_set_has(&k.w.set, "alpha"));
    tools_rig_close(&k);
}

/* A server of tools that is lost after the model has called it. */
static void
test_tools_gone(void **state)
{
    struct tools_rig k;
    const char *less = "[{\"type\":\"function\",\"name\":\"beta\"}]";

    (void) state;
    tools_rig_open(&k);
    assert_int_equal(session_tool_set_renew(&k.w.set, less, strlen(less)), 1);
    assert_int_equal(session_tool_set_renew(&k.w.set, less, strlen(less)), 0);
    assert_int_equal(session_tool_set_renew(&k.w.set, "{", 1), UV_EINVAL);
    json_t *told = session_tool_set_told(&k.w.set);
    assert_int_equal(json_array_size(told), 1);
    json_decref(told);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_flush(&k);
    assert_string_equal(k.ran, "c1 "); /* the runner says what there is */
    tools_rig_close(&k);
}

/* The client tells the model past us. */
static void
test_tools_restored(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    k.w.restores = true;
    tools_rig_down(&k,
                   "{\"type\":\"session.updated\",\"session\":{\"tools\":["
                   "{\"type\":\"function\",\"name\":\"theirs\"},"
                   "{\"type\":\"function\",\"name\":\"beta\",\"description\":"
                   "\"mine\"}]}}");
    assert_int_equal(json_array_size(k.w.restore), 3);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(k.w.restore, 0), "name")),
                        "alpha");
    assert_false(session_tool_set_has(&k.w.set, "beta"));
    tools_rig_down(&k,
                   "{\"type\":\"session.updated\",\"session\":{\"tools\":["
                   "{\"type\":\"function\",\"name\":\"alpha\"},"
                   "{\"type\":\"function\",\"name\":\"theirs\"},"
                   "{\"type\":\"function\",\"name\":\"beta\",\"description\":"
                   "\"mine\"}]}}");
    assert_null(k.w.restore);
    tools_rig_close(&k);
}

static void
test_tools_of_a_response(void **state)
{
    struct tools_rig k;
    char *made = NULL;

    (void) state;
    tools_rig_open(&k);
    assert_int_equal(
        tools_rig_up(
            &k,
            "{\"type\":\"response.create\",\"response\":{\"tools\":[{\"type\":"
            "\"function\",\"name\":\"alpha\",\"description\":\"mine\"}]}}",
            &made),
        SESSION_TOOL_CHANGED);
    assert_null(strstr(made, "mine"));
    free(made);
    assert_int_equal(
        tools_rig_up(
            &k, "{\"type\":\"response.create\",\"response\":{\"tools\":[]}}",
            NULL),
        SESSION_TOOL_SEND);
    tools_rig_close(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tools_laid_and_hidden),
        cmocka_unit_test(test_tools_gone),
        cmocka_unit_test(test_tools_restored),
        cmocka_unit_test(test_tools_of_a_response),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
