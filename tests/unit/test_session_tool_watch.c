/* SPDX-License-Identifier: BSD-2-Clause */

/* Whose turn it is after a tool: a session's calls in every order that model,
 * client and jobs can bring about. */

#include "session/session_tool_watch.h"

#include "kit/tools_rig.h"

#include "session/session_tool_texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
test_one_call(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    assert_string_equal(k.ran, "c1 ");
    tools_rig_done(&k, "c1", "42");
    assert_string_equal(k.told, "c1=42 "); /* before response.done */
    assert_int_equal(k.creates, 0);
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    tools_rig_confirm(&k, "c1");
    assert_false(tools_rig_is_quiet(&k));
    tools_rig_created(&k, "r2");
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    assert_string_equal(k.told, "c1=42 ");
    tools_rig_close(&k);
}

static void
test_told_twice_runs_once(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "completed"));
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "in_progress"));
    tools_rig_flush(&k);
    tools_rig_done(&k, "c1", "a");
    tools_rig_ended(&k, "r1", "completed");
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "completed"));
    tools_rig_flush(&k);
    assert_int_equal(k.runs, 1);
    assert_int_equal(k.creates, 1);
    assert_string_equal(k.told, "c1=a ");
    tools_rig_close(&k);
}

/* R3.3 */
static void
test_outputs_in_order(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_called(&k, "r1", "c2", "beta");
    tools_rig_called(&k, "r1", "c3", "alpha");
    tools_rig_flush(&k);
    assert_string_equal(k.ran, "c1 c2 c3 ");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c3", "3");
    tools_rig_done(&k, "c2", "2");
    assert_string_equal(k.told, "");
    assert_int_equal(k.creates, 0);
    tools_rig_done(&k, "c1", "1");
    assert_string_equal(k.told, "c1=1 c2=2 c3=3 ");
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

/* A call of which nothing was told but in the response's output. */
static void
test_only_in_response_done(void **state)
{
    struct tools_rig k;
    struct session_event e;
    const char *text =
        "{\"type\":\"response.done\",\"response\":{\"id\":\"r1\",\"status\":"
        "\"completed\",\"output\":[{\"id\":\"m\",\"type\":\"message\"},"
        "{\"id\":\"i\",\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":"
        "\"alpha\",\"arguments\":\"{}\",\"status\":\"completed\"},"
        "{\"id\":\"j\",\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":"
        "\"theirs\",\"arguments\":\"{}\",\"status\":\"completed\"}]}}";

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    assert_true(session_tool_watch_down(&k.w, &e, k.now_ms));
    assert_int_equal(session_event_render(&e), 0);
    assert_null(strstr(e.json, "alpha"));
    assert_non_null(strstr(e.json, "theirs"));
    assert_non_null(strstr(e.json, "message"));
    session_event_close(&e);
    tools_rig_flush(&k);
    assert_string_equal(k.ran, "c1 ");
    tools_rig_close(&k);
}

static void
test_hidden(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    assert_false(
        tools_rig_down(&k, "{\"type\":\"conversation.item.added\",\"item\":{"
                           "\"id\":\"item_c1\",\"type\":\"function_call\","
                           "\"status\":\"in_progress\",\"call_id\":\"c1\","
                           "\"name\":\"alpha\"}}"));
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "in_progress"));
    assert_false(tools_rig_down(
        &k, "{\"type\":\"response.function_call_arguments.delta\","
            "\"response_id\":\"r1\",\"item_id\":\"item_c1\",\"delta\":"
            "\"{\"}"));
    assert_false(tools_rig_down(
        &k, "{\"type\":\"response.function_call_arguments.done\","
            "\"response_id\":\"r1\",\"item_id\":\"item_c1\"}"));
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "completed"));
    assert_false(
        tools_rig_down(&k, "{\"type\":\"conversation.item.done\",\"item\":{"
                           "\"id\":\"item_c1\",\"type\":\"function_call\","
                           "\"status\":\"completed\",\"call_id\":\"c1\","
                           "\"name\":\"alpha\"}}"));
    assert_non_null(strstr(k.hidden, "item_c1 "));
    /* The client's own, in every event. */
    assert_true(tools_rig_item(&k, "r1", "c2", "theirs", "in_progress"));
    assert_true(tools_rig_down(
        &k, "{\"type\":\"response.function_call_arguments.done\","
            "\"response_id\":\"r1\",\"item_id\":\"item_c2\"}"));
    /* One that the client put there, with a name of the server's. */
    assert_true(
        tools_rig_down(&k, "{\"type\":\"conversation.item.added\",\"item\":{"
                           "\"id\":\"item_x\",\"type\":\"function_call\","
                           "\"status\":\"completed\",\"call_id\":\"c9\","
                           "\"name\":\"alpha\"}}"));
    assert_null(strstr(k.hidden, "item_x"));
    /* An output that got another id than we gave it; one of ours. */
    assert_false(tools_rig_down(
        &k, "{\"type\":\"conversation.item.added\",\"item\":{\"id\":"
            "\"theirs_1\",\"type\":\"function_call_output\",\"call_id\":"
            "\"c1\"}}"));
    assert_false(tools_rig_down(
        &k, "{\"type\":\"conversation.item.done\",\"item\":{\"id\":"
            "\"theirs_2\",\"type\":\"function_call\",\"call_id\":"
            "\"call_gw_1\",\"name\":\"alpha\"}}"));
    assert_non_null(strstr(k.hidden, "theirs_1 theirs_2"));
    /* An error about what we sent. */
    assert_false(tools_rig_down(&k,
                                "{\"type\":\"error\",\"error\":{\"event_id\":"
                                "\"gw_tooli_1\",\"code\":\"x\"}}"));
    assert_true(tools_rig_down(&k,
                               "{\"type\":\"error\",\"error\":{\"event_id\":"
                               "\"mine\",\"code\":\"x\"}}"));
    tools_rig_close(&k);
}

/* R3.5 */
static void
test_cancelled_response(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_called(&k, "r1", "c2", "beta");
    tools_rig_flush(&k);
    tools_rig_done(&k, "c2", "2");
    tools_rig_speech(&k, "speech_started");
    tools_rig_ended(&k, "r1", "cancelled");
    tools_rig_flush(&k);
    assert_int_equal(k.cancels, 1);
    assert_non_null(strstr(k.told, "c1={\"error\":{"));
    assert_non_null(strstr(k.told, "\"type\":\"cancelled\""));
    assert_non_null(strstr(k.told, "c2=2 "));
    assert_true(tools_rig_is_quiet(&k));
    k.now_ms += 100000;
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    tools_rig_close(&k);
}

static void
test_cancelled_before_it_ran(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_ended(&k, "r1", "cancelled");
    tools_rig_flush(&k);
    assert_int_equal(k.runs, 0);
    assert_non_null(strstr(k.told, "c1={\"error\":{"));
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_incomplete_call(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "in_progress"));
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "incomplete"));
    tools_rig_flush(&k);
    assert_string_equal(k.told, "");
    tools_rig_ended(&k, "r1", "cancelled");
    tools_rig_flush(&k);
    assert_int_equal(k.runs, 0);
    assert_non_null(strstr(k.told, "not run"));
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

/* As when a model is lost in the middle of a call. */
static void
test_deleted_call_has_no_output(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "in_progress"));
    assert_false(tools_rig_item(&k, "r1", "c1", "alpha", "incomplete"));
    tools_rig_ended(&k, "r1", "cancelled");
    assert_false(tools_rig_down(&k, "{\"type\":\"conversation.item.deleted\","
                                    "\"item_id\":\"item_c1\"}"));
    tools_rig_flush(&k);
    assert_string_equal(k.told, "");
    assert_true(tools_rig_is_quiet(&k));

    tools_rig_calling(&k, "r2", "c2");
    tools_rig_down(&k, "{\"type\":\"conversation.item.deleted\",\"item_id\":"
                       "\"item_c2\"}");
    tools_rig_flush(&k);
    assert_int_equal(k.cancels, 1);
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_flush(&k);
    assert_string_equal(k.told, "");
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

/* A new turn while the tool runs: its response has not seen the output. */
static void
test_turn_meanwhile(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_speech(&k, "speech_started");
    tools_rig_done(&k, "c1", "42");
    assert_string_equal(k.told, "c1=42 ");
    assert_int_equal(k.creates, 0); /* the user speaks */
    tools_rig_speech(&k, "speech_stopped");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0); /* and is answered */
    tools_rig_confirm(&k, "c1");
    tools_rig_created(&k, "r2");
    tools_rig_flush(&k);
    assert_true(tools_rig_is_quiet(&k)); /* with the output before its eyes */
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    tools_rig_close(&k);
}

static void
test_turn_answered_before_output(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_speech(&k, "speech_started");
    tools_rig_speech(&k, "speech_stopped");
    tools_rig_created(&k, "r2");
    tools_rig_done(&k, "c1", "42");
    tools_rig_confirm(&k, "c1");
    assert_string_equal(k.told, "c1=42 ");
    assert_int_equal(k.creates, 0);
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1); /* nobody has spoken of it yet */
    tools_rig_created(&k, "r3");
    tools_rig_ended(&k, "r3", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_turn_never_answered(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_speech(&k, "speech_started");
    tools_rig_speech(&k, "speech_stopped");
    tools_rig_done(&k, "c1", "42");
    assert_int_equal(k.creates, 0);
    k.now_ms += SESSION_TOOL_TURN_ANSWER_MS;
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

static void
test_client_stops(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    /* The response still runs: its end decides. */
    tools_rig_up(&k, "{\"type\":\"response.cancel\"}", NULL);
    tools_rig_flush(&k);
    assert_int_equal(k.cancels, 0);
    tools_rig_ended(&k, "r1", "completed"); /* it was faster */
    tools_rig_up(&k, "{\"type\":\"response.cancel\"}", NULL);
    tools_rig_flush(&k);
    assert_int_equal(k.cancels, 1);
    assert_non_null(strstr(k.told, "\"type\":\"cancelled\""));
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));

    /* After the output, before the response to it. */
    tools_rig_calling(&k, "r2", "c2");
    tools_rig_done(&k, "c2", "x");
    tools_rig_speech(&k, "speech_started");
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_up(&k, "{\"type\":\"response.cancel\"}", NULL);
    tools_rig_speech(&k, "speech_stopped");
    k.now_ms += 60000;
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

#define OUTPUT(call)                                                           \
    "{\"type\":\"conversation.item.create\",\"item\":{\"type\":"               \
    "\"function_call_output\",\"call_id\":\"" call "\",\"output\":\"x\"}}"

static void
test_client_answers_first(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_called(&k, "r1", "c2", "theirs");
    tools_rig_flush(&k);
    assert_string_equal(k.ran, "c1 ");
    tools_rig_ended(&k, "r1", "completed");
    assert_false(session_tool_calls_blocks(&k.w.calls));
    assert_int_equal(tools_rig_up(&k, OUTPUT("c2"), NULL), SESSION_TOOL_SEND);
    assert_true(session_tool_calls_blocks(&k.w.calls)); /* its create waits */
    k.idle = false;
    tools_rig_done(&k, "c1", "1");
    assert_false(session_tool_calls_blocks(&k.w.calls));
    assert_int_equal(k.creates, 0); /* the client's own goes */
    tools_rig_confirm(&k, "c1");
    tools_rig_created(&k, "r2");
    k.idle = true;
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_client_answers_and_asks_nothing(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c2", "theirs");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_flush(&k);
    tools_rig_up(&k, OUTPUT("c2"), NULL);
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c1", "1");
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

static void
test_client_answers_last(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_called(&k, "r1", "c2", "theirs");
    tools_rig_flush(&k);
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c1", "1");
    assert_int_equal(k.creates, 0);
    assert_true(tools_rig_is_quiet(&k));
    assert_int_equal(tools_rig_up(&k, OUTPUT("c2"), NULL), SESSION_TOOL_SEND);
    assert_false(session_tool_calls_blocks(&k.w.calls));
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    tools_rig_close(&k);
}

static void
test_only_the_clients(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c1", "theirs");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_flush(&k);
    assert_true(tools_rig_is_quiet(&k));
    assert_int_equal(tools_rig_up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_SEND);
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 0);
    assert_string_equal(k.told, "");
    tools_rig_close(&k);
}

static void
test_client_may_not_answer_ours(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    assert_int_equal(tools_rig_up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_REFUSE);
    assert_int_equal(
        tools_rig_up(&k,
                     "{\"type\":\"conversation.item.create\",\"item\":{"
                     "\"type\":\"function_call\\u005foutput\",\"call_id\":"
                     "\"\\u00631\",\"output\":\"x\"}}",
                     NULL),
        SESSION_TOOL_REFUSE);
    assert_int_equal(tools_rig_up(&k, OUTPUT("c7"), NULL), SESSION_TOOL_SEND);
    tools_rig_done(&k, "c1", "1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_flush(&k);
    assert_int_equal(tools_rig_up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_REFUSE);
    assert_string_equal(k.told, "c1=1 ");
    tools_rig_close(&k);
}

static void
test_create_meets_another_response(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c1", "1");
    assert_int_equal(k.creates, 1);
    tools_rig_created(&k, "vad"); /* it began before the output was there */
    tools_rig_confirm(&k, "c1");
    assert_false(tools_rig_down(&k, REFUSED(ACTIVE)));
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    tools_rig_ended(&k, "vad", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 2);
    tools_rig_created(&k, "r2");
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_create_meets_one_that_saw_it(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c1", "1");
    tools_rig_confirm(&k, "c1");
    tools_rig_created(&k, "vad");
    assert_false(tools_rig_down(&k, REFUSED(ACTIVE)));
    tools_rig_ended(&k, "vad", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.creates, 1);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_create_refused(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_done(&k, "c1", "1");
    assert_false(tools_rig_down(&k, REFUSED("insufficient_quota")));
    tools_rig_flush(&k);
    assert_true(tools_rig_is_quiet(&k));
    assert_int_equal(k.creates, 1);

    tools_rig_calling(&k, "r2", "c2");
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_done(&k, "c2", "2");
    for (unsigned i = 0; i < 10; i++) {
        assert_false(tools_rig_down(&k, REFUSED(ACTIVE)));
        tools_rig_flush(&k);
    }
    assert_int_equal(k.creates, 1 + SESSION_TOOL_CALLS_TRIES);
    assert_true(tools_rig_is_quiet(&k));

    tools_rig_calling(&k, "r3", "c3"); /* nobody says anything of the create */
    tools_rig_ended(&k, "r3", "completed");
    tools_rig_done(&k, "c3", "3");
    k.now_ms += 10000;
    tools_rig_flush(&k);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_long_tool(void **state)
{
    struct tools_rig k;
    char *text = strdup("started");

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    session_tool_calls_acknowledged(&k.w.calls, tools_rig_serial(&k, "c1"),
                                    &text);
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_flush(&k);
    assert_string_equal(k.told, "c1=started ");
    assert_int_equal(k.creates, 1);
    tools_rig_confirm(&k, "c1");
    tools_rig_created(&k, "r2");
    assert_false(tools_rig_is_quiet(&k));
    tools_rig_done(&k, "c1", "result"); /* not in the middle of a response */
    assert_int_equal(k.lates, 0);
    tools_rig_speech(&k, "speech_started");
    tools_rig_ended(&k, "r2", "cancelled");
    tools_rig_flush(&k);
    assert_int_equal(k.lates, 0);
    tools_rig_speech(&k, "speech_stopped");
    tools_rig_created(&k, "r3");
    tools_rig_ended(&k, "r3", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.lates, 1);
    assert_string_equal(k.told, "c1=started late=result ");
    assert_int_equal(k.creates, 2);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_long_tool_of_a_cancelled_response_goes_on(void **state)
{
    struct tools_rig k;
    char *text = strdup("started");

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    session_tool_calls_acknowledged(&k.w.calls, tools_rig_serial(&k, "c1"),
                                    &text);
    tools_rig_ended(&k, "r1", "cancelled");
    tools_rig_flush(&k);
    assert_int_equal(k.cancels, 0);
    assert_string_equal(k.told, "c1=started ");
    tools_rig_done(&k, "c1", "result");
    assert_int_equal(k.lates, 1);
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

static void
test_long_tool_done_before_its_first_word_went(void **state)
{
    struct tools_rig k;
    char *text = strdup("started");

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    tools_rig_called(&k, "r1", "c0", "beta");
    tools_rig_called(&k, "r1", "c1", "alpha");
    tools_rig_flush(&k);
    session_tool_calls_acknowledged(&k.w.calls, tools_rig_serial(&k, "c1"),
                                    &text);
    tools_rig_done(&k, "c1", "result");
    tools_rig_done(&k, "c0", "zero");
    assert_string_equal(k.told, "c0=zero c1=result ");
    assert_int_equal(k.lates, 0);
    tools_rig_close(&k);
}

/* By cancel_current_task, or over HTTP. */
static void
test_cancelled_by_others(void **state)
{
    struct tools_rig k;
    char *text = strdup("started");

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "long");
    session_tool_calls_acknowledged(&k.w.calls, tools_rig_serial(&k, "long"),
                                    &text);
    tools_rig_called(&k, "r1", "short", "beta");
    tools_rig_flush(&k);
    session_tool_calls_dropped(&k.w.calls, tools_rig_serial(&k, "long"));
    session_tool_calls_dropped(&k.w.calls, tools_rig_serial(&k, "short"));
    tools_rig_ended(&k, "r1", "completed");
    tools_rig_flush(&k);
    assert_non_null(strstr(k.told, "long=started"));
    assert_non_null(strstr(k.told, "short={\"error\""));
    assert_int_equal(k.creates, 1);
    tools_rig_confirm(&k, "long");
    tools_rig_confirm(&k, "short");
    tools_rig_created(&k, "r2");
    assert_int_equal(k.lates, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_progress(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    session_tool_calls_progress(&k.w.calls, tools_rig_serial(&k, "c1"), "half");
    tools_rig_flush(&k);
    assert_int_equal(k.spoken, 0);
    /* Its moment comes though nothing else happens. */
    assert_true(session_tool_calls_wants_turn(&k.w.calls));
    k.now_ms += 5000;
    tools_rig_flush(&k);
    assert_int_equal(k.spoken, 1);
    assert_false(session_tool_calls_wants_turn(&k.w.calls));
    tools_rig_created(&k, "r2");
    session_tool_calls_progress(&k.w.calls, tools_rig_serial(&k, "c1"), "more");
    k.now_ms += 15000;
    tools_rig_flush(&k);
    assert_int_equal(k.spoken, 1); /* it is being spoken of */
    tools_rig_done(&k, "c1", "1");
    tools_rig_confirm(&k, "c1");
    tools_rig_ended(&k, "r2", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.spoken, 1);
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

/* A message that is too long ends behind a character, or nothing could be said
 * of it. */
static void
test_progress_is_cut(void **state)
{
    struct session_tool_call *call;
    char message[3 * 100 + 1];
    struct tools_rig k;
    char *text;

    (void) state;
    for (size_t i = 0; i + 1 < sizeof(message); i += 3)
        memcpy(message + i, "\xe2\x82\xac", 4);
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_ended(&k, "r1", "completed");
    session_tool_calls_progress(&k.w.calls, tools_rig_serial(&k, "c1"),
                                message);
    call = session_tool_table_find(&k.w.calls.table, "c1");
    assert_non_null(call);
    assert_int_equal(strlen(call->message) % 3, 0);
    assert_true(strlen(call->message) > 100);
    text = session_tool_text_create(true, call->message);
    assert_non_null(text);
    assert_non_null(strstr(text, "instructions"));
    free(text);
    tools_rig_close(&k);
}

/* Who asked for it has it. */
static void
test_out_of_the_conversation(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_up(&k,
                 "{\"type\":\"response.create\",\"response\":{\"conversation\":"
                 "\"none\"}}",
                 NULL);
    tools_rig_down(
        &k, "{\"type\":\"response.created\",\"response\":{\"id\":\"out\","
            "\"conversation_id\":null}}");
    assert_true(tools_rig_item(&k, "out", "c1", "alpha", "in_progress"));
    assert_true(tools_rig_item(&k, "out", "c1", "alpha", "completed"));
    tools_rig_ended(&k, "out", "completed");
    tools_rig_flush(&k);
    assert_int_equal(k.runs, 0);
    assert_true(tools_rig_is_quiet(&k));
    tools_rig_close(&k);
}

static void
test_too_many(void **state)
{
    struct tools_rig k;
    char id[16];

    (void) state;
    tools_rig_open(&k);
    tools_rig_created(&k, "r1");
    for (unsigned i = 0; i <= SESSION_TOOL_CALLS_OPEN; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        tools_rig_called(&k, "r1", id, "alpha");
    }
    tools_rig_flush(&k);
    assert_int_equal(k.runs, SESSION_TOOL_CALLS_OPEN);
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(id, sizeof(id), "d%u", i);
        tools_rig_item(&k, "r1", id, "alpha", "completed");
    }
    assert_true(k.w.calls.table.entries <= 1024);
    tools_rig_ended(&k, "r1", "cancelled");
    tools_rig_flush(&k);
    assert_true(tools_rig_is_quiet(&k));
    assert_true(k.w.calls.table.entries <= SESSION_TOOL_TABLE_KEPT);
    tools_rig_close(&k);
}

static void
test_events_missed(void **state)
{
    struct tools_rig k;

    (void) state;
    tools_rig_open(&k);
    tools_rig_calling(&k, "r1", "c1");
    tools_rig_called(&k, "r1", "c2", "beta");
    tools_rig_item(&k, "r1", "c3", "beta", "in_progress");
    tools_rig_flush(&k);
    session_tool_watch_missed(&k.w);
    tools_rig_done(&k, "c1", "1");
    tools_rig_done(&k, "c2", "2");
    assert_non_null(strstr(k.told, "c1=1 c2=2 c3={\"error\""));
    assert_int_equal(k.creates, 1);
    tools_rig_close(&k);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_call),
        cmocka_unit_test(test_told_twice_runs_once),
        cmocka_unit_test(test_outputs_in_order),
        cmocka_unit_test(test_only_in_response_done),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_cancelled_response),
        cmocka_unit_test(test_cancelled_before_it_ran),
        cmocka_unit_test(test_incomplete_call),
        cmocka_unit_test(test_deleted_call_has_no_output),
        cmocka_unit_test(test_turn_meanwhile),
        cmocka_unit_test(test_turn_answered_before_output),
        cmocka_unit_test(test_turn_never_answered),
        cmocka_unit_test(test_client_stops),
        cmocka_unit_test(test_client_answers_first),
        cmocka_unit_test(test_client_answers_and_asks_nothing),
        cmocka_unit_test(test_client_answers_last),
        cmocka_unit_test(test_only_the_clients),
        cmocka_unit_test(test_client_may_not_answer_ours),
        cmocka_unit_test(test_create_meets_another_response),
        cmocka_unit_test(test_create_meets_one_that_saw_it),
        cmocka_unit_test(test_create_refused),
        cmocka_unit_test(test_long_tool),
        cmocka_unit_test(test_long_tool_of_a_cancelled_response_goes_on),
        cmocka_unit_test(test_long_tool_done_before_its_first_word_went),
        cmocka_unit_test(test_cancelled_by_others),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_progress_is_cut),
        cmocka_unit_test(test_out_of_the_conversation),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_events_missed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
