/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A link that notes what it is asked for, and what was told of the calls. */
struct rig {
    struct mcp_link link;
    struct mcp_calls calls;
    struct mcp_greeting greeting;
    uint64_t numbers;
    int send_result;
    char sent[2000], told[2000];
    bool adds; /* another call, from within on_done */
};

__attribute__((format(printf, 2, 3))) static void
note(char *to, const char *fmt, ...)
{
    va_list ap;
    size_t n = strlen(to);
    va_start(ap, fmt);
    vsnprintf(to + n, 2000 - n, fmt, ap);
    va_end(ap);
}

static int
on_send(struct mcp_link *link, const struct mcp_send *message)
{
    struct rig *rig = (struct rig *) link;
    if (!rig->send_result)
        note(rig->sent, "%s:%d%s%s ", message->method, (int) message->number,
             message->name ? "=" : "", message->name ? message->name : "");
    return rig->send_result;
}

static void
on_forget(struct mcp_link *link, uint64_t number)
{
    note(((struct rig *) link)->sent, "forget:%d ", (int) number);
}

static const struct mcp_link_ops ops = {.send = on_send, .forget = on_forget};

static uint64_t
next_number(void *arg)
{
    return ++((struct rig *) arg)->numbers;
}

static struct mcp_calls_way
way_of(struct rig *rig)
{
    return (struct mcp_calls_way){&rig->link, &rig->greeting, next_number, rig};
}

static int64_t add(struct rig *rig, const char *tool);

static void
on_progress(void *arg, const struct mcp_progress *progress)
{
    note(((struct rig *) arg)->told, "%g ", progress->progress);
}

static void
on_done(void *arg, const struct mcp_call_end *end)
{
    struct rig *rig = arg;
    note(rig->told, "%s ",
         end->result  ? "result"
         : end->error ? uv_err_name(end->error)
                      : end->message);
    if (rig->adds) {
        rig->adds = false;
        assert_true(add(rig, "late") > 0);
    }
}

static const struct mcp_call_handlers handlers = {on_progress, on_done};

static int64_t
add(struct rig *rig, const char *tool)
{
    json_t *arguments = json_object();
    const struct mcp_call_request rq = {
        .tool = tool, .arguments = arguments, .timeout_ms = 1000};
    int64_t id = mcp_calls_add(&rig->calls, &rq, &handlers, rig, 5000);
    json_decref(arguments);
    return id;
}

static int
rig_make(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    rig->link.ops = &ops;
    rig->greeting.era = MCP_ERA_LEGACY;
    rig->greeting.version = MCP_LEGACY;
    mcp_calls_init(&rig->calls);
    *state = rig;
    return 0;
}

static int
rig_free(void **state)
{
    struct rig *rig = *state;
    mcp_calls_fail_all(&rig->calls, true, UV_ECANCELED, "");
    assert_int_equal(rig->calls.count, 0);
    free(rig);
    return 0;
}

static void
answer(struct rig *rig, uint64_t number, bool expected)
{
    json_t *result = json_object();
    const struct json_rpc m = {
        .kind = JSON_RPC_RESULT, .number = number, .result = result};
    assert_int_equal(mcp_calls_answer(&rig->calls, &m), expected);
    json_decref(result);
}

static void
calls_are_sent_in_order_and_answered_by_number(void **state)
{
    struct rig *rig = *state;
    const struct mcp_calls_way way = way_of(rig);
    const struct json_rpc refusal = {.kind = JSON_RPC_ERROR,
                                     .number = 1,
                                     .code = -32602,
                                     .message = "refused"};

    assert_true(add(rig, "a") > 0 && add(rig, "b") > 0);
    mcp_calls_flush(&rig->calls, &way);
    mcp_calls_flush(&rig->calls, &way);
    assert_string_equal(rig->sent, "tools/call:1=a tools/call:2=b ");
    answer(rig, 2, true);
    answer(rig, 2, false);
    answer(rig, 0, false);
    assert_true(mcp_calls_answer(&rig->calls, &refusal));
    assert_string_equal(rig->told, "result refused ");
}

static void
a_refused_call_is_sent_once_more(void **state)
{
    struct rig *rig = *state;
    const struct mcp_calls_way way = way_of(rig);

    add(rig, "a");
    add(rig, "b");
    mcp_calls_flush(&rig->calls, &way);
    assert_true(mcp_calls_fail(&rig->calls, 1, UV_ENOTCONN, ""));
    assert_true(mcp_calls_fail(&rig->calls, 2, UV_EPROTO, ""));
    assert_false(mcp_calls_fail(&rig->calls, 7, UV_EPROTO, ""));
    /* What was sent is lost, what waits is not. */
    mcp_calls_fail_all(&rig->calls, false, UV_ECONNRESET, "");
    assert_int_equal(rig->calls.count, 1);
    mcp_calls_flush(&rig->calls, &way);
    assert_true(mcp_calls_fail(&rig->calls, 3, UV_ENOTCONN, ""));
    assert_string_equal(rig->told, "EPROTO ENOTCONN ");
    assert_string_equal(rig->sent,
                        "tools/call:1=a tools/call:2=b tools/call:3=a ");
}

static void
a_call_that_is_given_up_is_told_the_server(void **state)
{
    struct rig *rig = *state;
    const struct mcp_calls_way way = way_of(rig);
    int64_t first = add(rig, "a"), waits;

    mcp_calls_flush(&rig->calls, &way);
    waits = add(rig, "b");
    mcp_calls_cancel(&rig->calls, first, &way);
    mcp_calls_cancel(&rig->calls, first, &way);
    mcp_calls_cancel(&rig->calls, waits, &way);
    add(rig, "c");
    mcp_calls_flush(&rig->calls, &way);
    mcp_calls_expire(&rig->calls, 5999, &way);
    assert_int_equal(rig->calls.count, 1);
    mcp_calls_expire(&rig->calls, 6000, NULL);
    assert_string_equal(rig->told, "ECANCELED ECANCELED ETIMEDOUT ");
    assert_string_equal(rig->sent, "tools/call:1=a notifications/cancelled:0 "
                                   "forget:1 tools/call:2=c ");
}

static void
progress_is_told_ten_times_a_second(void **state)
{
    struct rig *rig = *state;
    const struct mcp_calls_way way = way_of(rig);
    struct mcp_progress p = {.token = 1};

    add(rig, "a");
    assert_false(mcp_calls_progress(&rig->calls, &p, 1));
    mcp_calls_flush(&rig->calls, &way);
    for (int i = 0; i < 250; i++) {
        p.progress = i;
        assert_true(mcp_calls_progress(&rig->calls, &p, (uint64_t) (1 + i)));
    }
    assert_string_equal(rig->told, "0 100 200 ");
}

static void
what_can_not_be_sent_ends_and_others_may_come(void **state)
{
    struct rig *rig = *state;
    const struct mcp_calls_way way = way_of(rig);

    add(rig, "a");
    add(rig, "b");
    rig->send_result = UV_ENOBUFS;
    rig->adds = true;
    mcp_calls_flush(&rig->calls, &way);
    assert_string_equal(rig->told, "ENOBUFS ENOBUFS ENOBUFS ");
    rig->send_result = 0;
    add(rig, "c");
    mcp_calls_flush(&rig->calls, &way);
    rig->adds = true;
    mcp_calls_fail_all(&rig->calls, true, UV_EPIPE, "");
    assert_int_equal(rig->calls.count, 1);
    mcp_calls_flush(&rig->calls, &way);
    assert_non_null(strstr(rig->sent, "=late "));
}

static void
there_is_a_most(void **state)
{
    struct rig *rig = *state;

    for (int i = 0; i < MCP_CALLS_MAX; i++)
        assert_true(add(rig, "a") > 0);
    assert_int_equal(add(rig, "a"), UV_ENOBUFS);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_make, rig_free)
    const struct CMUnitTest tests[] = {
        TEST(calls_are_sent_in_order_and_answered_by_number),
        TEST(a_refused_call_is_sent_once_more),
        TEST(a_call_that_is_given_up_is_told_the_server),
        TEST(progress_is_told_ten_times_a_second),
        TEST(what_can_not_be_sent_ends_and_others_may_come),
        TEST(there_is_a_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
