/* SPDX-License-Identifier: BSD-2-Clause */

/* Whose turn it is after a tool: a session's calls in every order that model,
 * client and jobs can bring about. What session_tools does with what is to be
 * done next is done here by hand. */

#include "session/session_tool_watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define DEFINITIONS                                                            \
    "[{\"type\":\"function\",\"name\":\"alpha\",\"parameters\":{}},"           \
    "{\"type\":\"function\",\"name\":\"beta\",\"parameters\":{}}]"

struct kit {
    struct session_tool_watch w;
    uint64_t now_ms;
    char told[16384]; /* "call_1=text call_2=…" */
    char ran[256];    /* "call_1 call_2" */
    char hidden[256];
    unsigned creates, runs, cancels, lates, spoken;
    unsigned outputs; /* for ids */
    bool idle;
};

static void
on_hidden(void *arg, const char *item_id)
{
    struct kit *k = arg;
    size_t used = strlen(k->hidden);

    snprintf(k->hidden + used, sizeof(k->hidden) - used, "%s ", item_id);
}

static void
kit_open(struct kit *k)
{
    memset(k, 0, sizeof(*k));
    k->now_ms = 100000;
    k->idle = true;
    k->w.log_id = "test";
    k->w.on_hidden = on_hidden;
    k->w.arg = k;
    session_tool_watch_init(&k->w);
    assert_int_equal(
        session_tool_set_open(&k->w.set, DEFINITIONS, strlen(DEFINITIONS)), 0);
}

static void
kit_close(struct kit *k)
{
    session_tool_watch_deinit(&k->w);
    assert_int_equal(session_tool_illegal_count(), 0);
}

/* --- what comes */

static bool __attribute__((format(printf, 2, 3)))
down(struct kit *k, const char *fmt, ...)
{
    char text[2048];
    struct session_event e;
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    bool shown = session_tool_watch_down(&k->w, &e, k->now_ms);
    session_event_close(&e);
    return shown;
}

static enum session_tool_verdict
up(struct kit *k, const char *text, char **made)
{
    const struct realtime_span span = {text, strlen(text)};
    struct realtime_peek peek;
    char *own = NULL;

    assert_int_equal(realtime_peek(text, span.bytes, &peek), REALTIME_SOUND);
    enum session_tool_verdict verdict = session_tool_watch_up(
        &k->w, &peek, span, made ? made : &own, k->now_ms);
    free(own);
    return verdict;
}

static void
created(struct kit *k, const char *id)
{
    assert_true(down(k,
                     "{\"type\":\"response.created\",\"response\":{\"id\":"
                     "\"%s\",\"conversation_id\":\"conv\"}}",
                     id));
}

static void
ended(struct kit *k, const char *id, const char *status)
{
    assert_true(down(k,
                     "{\"type\":\"response.done\",\"response\":{\"id\":\"%s\","
                     "\"status\":\"%s\",\"output\":[]}}",
                     id, status));
}

static bool
item(struct kit *k, const char *type, const char *response, const char *call,
     const char *name, const char *status)
{
    return down(k,
                "{\"type\":\"response.output_item.%s\",\"response_id\":\"%s\","
                "\"output_index\":0,\"item\":{\"id\":\"item_%s\",\"type\":"
                "\"function_call\",\"status\":\"%s\",\"call_id\":\"%s\","
                "\"name\":\"%s\",\"arguments\":\"{}\"}}",
                type, response, call, status, call, name);
}

static void
called(struct kit *k, const char *response, const char *call, const char *name)
{
    bool server = session_tool_set_has(&k->w.set, name);

    assert_int_equal(item(k, "added", response, call, name, "in_progress"),
                     !server);
    assert_int_equal(item(k, "done", response, call, name, "completed"),
                     !server);
}

static void
speech(struct kit *k, const char *what)
{
    assert_true(down(k, "{\"type\":\"input_audio_buffer.%s\"}", what));
}

static void
confirm(struct kit *k, const char *call)
{
    const struct session_tool_call *c =
        session_tool_table_find(&k->w.calls.table, call);

    assert_non_null(c);
    assert_true(c->output_id[0]);
    down(k,
         "{\"type\":\"conversation.item.added\",\"item\":{\"id\":\"%s\","
         "\"type\":\"function_call_output\",\"call_id\":\"%s\"}}",
         c->output_id, call);
}

/* --- what is done */

static void
note(char *to, size_t room, const char *a, const char *b)
{
    size_t used = strlen(to);

    snprintf(to + used, room - used, "%s%s%s ", a, b ? "=" : "", b ? b : "");
}

static void
told(struct kit *k, struct session_tool_call *call)
{
    note(k->told, sizeof(k->told), call->call_id,
         call->text ? call->text : "none");
    snprintf(call->output_id, sizeof(call->output_id), "item_gw_%u",
             ++k->outputs);
    session_tool_calls_told(&k->w.calls, call);
}

static bool
act(struct kit *k)
{
    struct session_tool_call *call;
    uint64_t wait_ms;
    bool free =
        k->idle && session_tool_turn_is_free(&k->w.turn, k->now_ms, &wait_ms);

    switch (session_tool_calls_next(&k->w.calls, free, k->now_ms, &call)) {
    case TOOL_ACT_RUN:
        k->runs++;
        note(k->ran, sizeof(k->ran), call->call_id, NULL);
        session_tool_calls_running(call, k->now_ms);
        return true;
    case TOOL_ACT_CANCEL:
        k->cancels++;
        session_tool_calls_cancelled(&k->w.calls, call);
        return true;
    case TOOL_ACT_OUTPUT:
        told(k, call);
        return true;
    case TOOL_ACT_LATE:
        k->lates++;
        note(k->told, sizeof(k->told), "late", call->text);
        session_tool_calls_told(&k->w.calls, call);
        return true;
    case TOOL_ACT_CREATE:
        assert_true(free);
        k->creates++;
        session_tool_turn_asked(&k->w.turn, true, k->now_ms);
        session_tool_calls_asked(&k->w.calls, k->now_ms);
        return true;
    case TOOL_ACT_PROGRESS:
        k->spoken++;
        session_tool_turn_asked(&k->w.turn, false, k->now_ms);
        session_tool_calls_spoken(call, k->now_ms);
        return true;
    default:
        return false;
    }
}

static void
flush(struct kit *k)
{
    while (act(k))
        ;
}

static unsigned
serial_of(const struct kit *k, const char *call)
{
    const struct session_tool_call *c =
        session_tool_table_find(&k->w.calls.table, call);

    assert_non_null(c);
    return c->serial;
}

static void
job_done(struct kit *k, const char *call, const char *text)
{
    char *copy = strdup(text);

    session_tool_calls_done(&k->w.calls, serial_of(k, call), &copy);
    assert_null(copy);
    flush(k);
}

static bool
is_quiet(const struct kit *k)
{
    return session_tool_calls_is_quiet(&k->w.calls);
}

/* A response that calls alpha once, up to the running job. */
static void
calling(struct kit *k, const char *response, const char *call)
{
    created(k, response);
    called(k, response, call, "alpha");
    flush(k);
}

/* --- tests */

static void
test_one_call(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    assert_string_equal(k.ran, "c1 ");
    job_done(&k, "c1", "42");
    assert_string_equal(k.told, "c1=42 "); /* before response.done */
    assert_int_equal(k.creates, 0);
    ended(&k, "r1", "completed");
    flush(&k);
    assert_int_equal(k.creates, 1);
    confirm(&k, "c1");
    assert_false(is_quiet(&k));
    created(&k, "r2");
    assert_true(is_quiet(&k));
    ended(&k, "r2", "completed");
    flush(&k);
    assert_int_equal(k.creates, 1);
    assert_string_equal(k.told, "c1=42 ");
    kit_close(&k);
}

static void
test_told_twice_runs_once(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    assert_false(item(&k, "done", "r1", "c1", "alpha", "completed"));
    assert_false(item(&k, "added", "r1", "c1", "alpha", "in_progress"));
    flush(&k);
    job_done(&k, "c1", "a");
    ended(&k, "r1", "completed");
    assert_false(item(&k, "done", "r1", "c1", "alpha", "completed"));
    flush(&k);
    assert_int_equal(k.runs, 1);
    assert_int_equal(k.creates, 1);
    assert_string_equal(k.told, "c1=a ");
    kit_close(&k);
}

/* R3.3 */
static void
test_outputs_in_order(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c1", "alpha");
    called(&k, "r1", "c2", "beta");
    called(&k, "r1", "c3", "alpha");
    flush(&k);
    assert_string_equal(k.ran, "c1 c2 c3 ");
    ended(&k, "r1", "completed");
    job_done(&k, "c3", "3");
    job_done(&k, "c2", "2");
    assert_string_equal(k.told, "");
    assert_int_equal(k.creates, 0);
    job_done(&k, "c1", "1");
    assert_string_equal(k.told, "c1=1 c2=2 c3=3 ");
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

/* A call of which nothing was told but in the response's output. */
static void
test_only_in_response_done(void **state)
{
    struct kit k;
    struct session_event e;
    const char *text =
        "{\"type\":\"response.done\",\"response\":{\"id\":\"r1\",\"status\":"
        "\"completed\",\"output\":[{\"id\":\"m\",\"type\":\"message\"},"
        "{\"id\":\"i\",\"type\":\"function_call\",\"call_id\":\"c1\",\"name\":"
        "\"alpha\",\"arguments\":\"{}\",\"status\":\"completed\"},"
        "{\"id\":\"j\",\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":"
        "\"theirs\",\"arguments\":\"{}\",\"status\":\"completed\"}]}}";

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    assert_true(session_tool_watch_down(&k.w, &e, k.now_ms));
    assert_int_equal(session_event_render(&e), 0);
    assert_null(strstr(e.json, "alpha"));
    assert_non_null(strstr(e.json, "theirs"));
    assert_non_null(strstr(e.json, "message"));
    session_event_close(&e);
    flush(&k);
    assert_string_equal(k.ran, "c1 ");
    kit_close(&k);
}

static void
test_hidden(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    assert_false(down(&k, "{\"type\":\"conversation.item.added\",\"item\":{"
                          "\"id\":\"item_c1\",\"type\":\"function_call\","
                          "\"status\":\"in_progress\",\"call_id\":\"c1\","
                          "\"name\":\"alpha\"}}"));
    assert_false(item(&k, "added", "r1", "c1", "alpha", "in_progress"));
    assert_false(
        down(&k, "{\"type\":\"response.function_call_arguments.delta\","
                 "\"response_id\":\"r1\",\"item_id\":\"item_c1\",\"delta\":"
                 "\"{\"}"));
    assert_false(down(&k, "{\"type\":\"response.function_call_arguments.done\","
                          "\"response_id\":\"r1\",\"item_id\":\"item_c1\"}"));
    assert_false(item(&k, "done", "r1", "c1", "alpha", "completed"));
    assert_false(down(&k, "{\"type\":\"conversation.item.done\",\"item\":{"
                          "\"id\":\"item_c1\",\"type\":\"function_call\","
                          "\"status\":\"completed\",\"call_id\":\"c1\","
                          "\"name\":\"alpha\"}}"));
    assert_non_null(strstr(k.hidden, "item_c1 "));
    /* The client's own, in every event. */
    assert_true(item(&k, "added", "r1", "c2", "theirs", "in_progress"));
    assert_true(down(&k, "{\"type\":\"response.function_call_arguments.done\","
                         "\"response_id\":\"r1\",\"item_id\":\"item_c2\"}"));
    /* One that the client put there, with a name of the server's. */
    assert_true(down(&k, "{\"type\":\"conversation.item.added\",\"item\":{"
                         "\"id\":\"item_x\",\"type\":\"function_call\","
                         "\"status\":\"completed\",\"call_id\":\"c9\","
                         "\"name\":\"alpha\"}}"));
    assert_null(strstr(k.hidden, "item_x"));
    /* An error about what we sent. */
    assert_false(down(&k, "{\"type\":\"error\",\"error\":{\"event_id\":"
                          "\"gw_tooli_1\",\"code\":\"x\"}}"));
    assert_true(down(&k, "{\"type\":\"error\",\"error\":{\"event_id\":"
                         "\"mine\",\"code\":\"x\"}}"));
    kit_close(&k);
}

/* R3.5 */
static void
test_cancelled_response(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    called(&k, "r1", "c2", "beta");
    flush(&k);
    job_done(&k, "c2", "2");
    speech(&k, "speech_started");
    ended(&k, "r1", "cancelled");
    flush(&k);
    assert_int_equal(k.cancels, 1);
    assert_non_null(strstr(k.told, "c1={\"error\":{"));
    assert_non_null(strstr(k.told, "\"type\":\"cancelled\""));
    assert_non_null(strstr(k.told, "c2=2 "));
    assert_true(is_quiet(&k));
    k.now_ms += 100000;
    flush(&k);
    assert_int_equal(k.creates, 0);
    kit_close(&k);
}

static void
test_cancelled_before_it_ran(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c1", "alpha");
    ended(&k, "r1", "cancelled");
    flush(&k);
    assert_int_equal(k.runs, 0);
    assert_non_null(strstr(k.told, "c1={\"error\":{"));
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_incomplete_call(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    assert_false(item(&k, "added", "r1", "c1", "alpha", "in_progress"));
    assert_false(item(&k, "done", "r1", "c1", "alpha", "incomplete"));
    flush(&k);
    assert_string_equal(k.told, "");
    ended(&k, "r1", "cancelled");
    flush(&k);
    assert_int_equal(k.runs, 0);
    assert_non_null(strstr(k.told, "not run"));
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

/* As when a model is lost in the middle of a call. */
static void
test_deleted_call_has_no_output(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    assert_false(item(&k, "added", "r1", "c1", "alpha", "in_progress"));
    assert_false(item(&k, "done", "r1", "c1", "alpha", "incomplete"));
    ended(&k, "r1", "cancelled");
    assert_false(down(&k, "{\"type\":\"conversation.item.deleted\","
                          "\"item_id\":\"item_c1\"}"));
    flush(&k);
    assert_string_equal(k.told, "");
    assert_true(is_quiet(&k));

    calling(&k, "r2", "c2");
    down(&k, "{\"type\":\"conversation.item.deleted\",\"item_id\":"
             "\"item_c2\"}");
    flush(&k);
    assert_int_equal(k.cancels, 1);
    ended(&k, "r2", "completed");
    flush(&k);
    assert_string_equal(k.told, "");
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

/* A new turn while the tool runs: its response has not seen the output. */
static void
test_turn_meanwhile(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    speech(&k, "speech_started");
    job_done(&k, "c1", "42");
    assert_string_equal(k.told, "c1=42 ");
    assert_int_equal(k.creates, 0); /* the user speaks */
    speech(&k, "speech_stopped");
    flush(&k);
    assert_int_equal(k.creates, 0); /* and is answered */
    confirm(&k, "c1");
    created(&k, "r2");
    flush(&k);
    assert_true(is_quiet(&k)); /* with the output before its eyes */
    ended(&k, "r2", "completed");
    flush(&k);
    assert_int_equal(k.creates, 0);
    kit_close(&k);
}

static void
test_turn_answered_before_output(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    speech(&k, "speech_started");
    speech(&k, "speech_stopped");
    created(&k, "r2");
    job_done(&k, "c1", "42");
    confirm(&k, "c1");
    assert_string_equal(k.told, "c1=42 ");
    assert_int_equal(k.creates, 0);
    ended(&k, "r2", "completed");
    flush(&k);
    assert_int_equal(k.creates, 1); /* nobody has spoken of it yet */
    created(&k, "r3");
    ended(&k, "r3", "completed");
    flush(&k);
    assert_int_equal(k.creates, 1);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_turn_never_answered(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    speech(&k, "speech_started");
    speech(&k, "speech_stopped");
    job_done(&k, "c1", "42");
    assert_int_equal(k.creates, 0);
    k.now_ms += SESSION_TOOL_TURN_ANSWER_MS;
    flush(&k);
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

static void
test_client_stops(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    /* The response still runs: its end decides. */
    up(&k, "{\"type\":\"response.cancel\"}", NULL);
    flush(&k);
    assert_int_equal(k.cancels, 0);
    ended(&k, "r1", "completed"); /* it was faster */
    up(&k, "{\"type\":\"response.cancel\"}", NULL);
    flush(&k);
    assert_int_equal(k.cancels, 1);
    assert_non_null(strstr(k.told, "\"type\":\"cancelled\""));
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));

    /* After the output, before the response to it. */
    calling(&k, "r2", "c2");
    job_done(&k, "c2", "x");
    speech(&k, "speech_started");
    ended(&k, "r2", "completed");
    up(&k, "{\"type\":\"response.cancel\"}", NULL);
    speech(&k, "speech_stopped");
    k.now_ms += 60000;
    flush(&k);
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

#define OUTPUT(call)                                                           \
    "{\"type\":\"conversation.item.create\",\"item\":{\"type\":"               \
    "\"function_call_output\",\"call_id\":\"" call "\",\"output\":\"x\"}}"

static void
test_client_answers_first(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c1", "alpha");
    called(&k, "r1", "c2", "theirs");
    flush(&k);
    assert_string_equal(k.ran, "c1 ");
    ended(&k, "r1", "completed");
    assert_false(session_tool_calls_blocks(&k.w.calls));
    assert_int_equal(up(&k, OUTPUT("c2"), NULL), SESSION_TOOL_SEND);
    assert_true(session_tool_calls_blocks(&k.w.calls)); /* its create waits */
    k.idle = false;
    job_done(&k, "c1", "1");
    assert_false(session_tool_calls_blocks(&k.w.calls));
    assert_int_equal(k.creates, 0); /* the client's own goes */
    confirm(&k, "c1");
    created(&k, "r2");
    k.idle = true;
    flush(&k);
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_client_answers_and_asks_nothing(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c2", "theirs");
    called(&k, "r1", "c1", "alpha");
    flush(&k);
    up(&k, OUTPUT("c2"), NULL);
    ended(&k, "r1", "completed");
    job_done(&k, "c1", "1");
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

static void
test_client_answers_last(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c1", "alpha");
    called(&k, "r1", "c2", "theirs");
    flush(&k);
    ended(&k, "r1", "completed");
    job_done(&k, "c1", "1");
    assert_int_equal(k.creates, 0);
    assert_true(is_quiet(&k));
    assert_int_equal(up(&k, OUTPUT("c2"), NULL), SESSION_TOOL_SEND);
    assert_false(session_tool_calls_blocks(&k.w.calls));
    flush(&k);
    assert_int_equal(k.creates, 0);
    kit_close(&k);
}

static void
test_only_the_clients(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c1", "theirs");
    ended(&k, "r1", "completed");
    flush(&k);
    assert_true(is_quiet(&k));
    assert_int_equal(up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_SEND);
    flush(&k);
    assert_int_equal(k.creates, 0);
    assert_string_equal(k.told, "");
    kit_close(&k);
}

static void
test_client_may_not_answer_ours(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    assert_int_equal(up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_REFUSE);
    assert_int_equal(up(&k,
                        "{\"type\":\"conversation.item.create\",\"item\":{"
                        "\"type\":\"function_call\\u005foutput\",\"call_id\":"
                        "\"\\u00631\",\"output\":\"x\"}}",
                        NULL),
                     SESSION_TOOL_REFUSE);
    assert_int_equal(up(&k, OUTPUT("c7"), NULL), SESSION_TOOL_SEND);
    job_done(&k, "c1", "1");
    ended(&k, "r1", "completed");
    flush(&k);
    assert_int_equal(up(&k, OUTPUT("c1"), NULL), SESSION_TOOL_REFUSE);
    assert_string_equal(k.told, "c1=1 ");
    kit_close(&k);
}

#define REFUSED(code)                                                          \
    "{\"type\":\"error\",\"error\":{\"event_id\":\"gw_toolr_1\",\"code\":"     \
    "\"" code "\"}}"
#define ACTIVE "conversation_already_has_active_response"

static void
test_create_meets_another_response(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    job_done(&k, "c1", "1");
    assert_int_equal(k.creates, 1);
    created(&k, "vad"); /* it began before the output was there */
    confirm(&k, "c1");
    assert_false(down(&k, REFUSED(ACTIVE)));
    flush(&k);
    assert_int_equal(k.creates, 1);
    ended(&k, "vad", "completed");
    flush(&k);
    assert_int_equal(k.creates, 2);
    created(&k, "r2");
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_create_meets_one_that_saw_it(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    job_done(&k, "c1", "1");
    confirm(&k, "c1");
    created(&k, "vad");
    assert_false(down(&k, REFUSED(ACTIVE)));
    ended(&k, "vad", "completed");
    flush(&k);
    assert_int_equal(k.creates, 1);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_create_refused(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    job_done(&k, "c1", "1");
    assert_false(down(&k, REFUSED("insufficient_quota")));
    flush(&k);
    assert_true(is_quiet(&k));
    assert_int_equal(k.creates, 1);

    calling(&k, "r2", "c2");
    ended(&k, "r2", "completed");
    job_done(&k, "c2", "2");
    for (unsigned i = 0; i < 10; i++) {
        assert_false(down(&k, REFUSED(ACTIVE)));
        flush(&k);
    }
    assert_int_equal(k.creates, 1 + SESSION_TOOL_CALLS_TRIES);
    assert_true(is_quiet(&k));

    calling(&k, "r3", "c3"); /* nobody says anything of the create */
    ended(&k, "r3", "completed");
    job_done(&k, "c3", "3");
    k.now_ms += 10000;
    flush(&k);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_long_tool(void **state)
{
    struct kit k;
    char *text = strdup("started");

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    session_tool_calls_acknowledged(&k.w.calls, serial_of(&k, "c1"), &text);
    ended(&k, "r1", "completed");
    flush(&k);
    assert_string_equal(k.told, "c1=started ");
    assert_int_equal(k.creates, 1);
    confirm(&k, "c1");
    created(&k, "r2");
    assert_false(is_quiet(&k));
    job_done(&k, "c1", "result"); /* not in the middle of a response */
    assert_int_equal(k.lates, 0);
    speech(&k, "speech_started");
    ended(&k, "r2", "cancelled");
    flush(&k);
    assert_int_equal(k.lates, 0);
    speech(&k, "speech_stopped");
    created(&k, "r3");
    ended(&k, "r3", "completed");
    flush(&k);
    assert_int_equal(k.lates, 1);
    assert_string_equal(k.told, "c1=started late=result ");
    assert_int_equal(k.creates, 2);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_long_tool_of_a_cancelled_response_goes_on(void **state)
{
    struct kit k;
    char *text = strdup("started");

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    session_tool_calls_acknowledged(&k.w.calls, serial_of(&k, "c1"), &text);
    ended(&k, "r1", "cancelled");
    flush(&k);
    assert_int_equal(k.cancels, 0);
    assert_string_equal(k.told, "c1=started ");
    job_done(&k, "c1", "result");
    assert_int_equal(k.lates, 1);
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

static void
test_long_tool_done_before_its_first_word_went(void **state)
{
    struct kit k;
    char *text = strdup("started");

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    called(&k, "r1", "c0", "beta");
    called(&k, "r1", "c1", "alpha");
    flush(&k);
    session_tool_calls_acknowledged(&k.w.calls, serial_of(&k, "c1"), &text);
    job_done(&k, "c1", "result");
    job_done(&k, "c0", "zero");
    assert_string_equal(k.told, "c0=zero c1=result ");
    assert_int_equal(k.lates, 0);
    kit_close(&k);
}

/* By cancel_current_task, or over HTTP. */
static void
test_cancelled_by_others(void **state)
{
    struct kit k;
    char *text = strdup("started");

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "long");
    session_tool_calls_acknowledged(&k.w.calls, serial_of(&k, "long"), &text);
    called(&k, "r1", "short", "beta");
    flush(&k);
    session_tool_calls_dropped(&k.w.calls, serial_of(&k, "long"));
    session_tool_calls_dropped(&k.w.calls, serial_of(&k, "short"));
    ended(&k, "r1", "completed");
    flush(&k);
    assert_non_null(strstr(k.told, "long=started"));
    assert_non_null(strstr(k.told, "short={\"error\""));
    assert_int_equal(k.creates, 1);
    confirm(&k, "long");
    confirm(&k, "short");
    created(&k, "r2");
    assert_int_equal(k.lates, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_progress(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    ended(&k, "r1", "completed");
    session_tool_calls_progress(&k.w.calls, serial_of(&k, "c1"), "half");
    flush(&k);
    assert_int_equal(k.spoken, 0);
    k.now_ms += 5000;
    flush(&k);
    assert_int_equal(k.spoken, 1);
    created(&k, "r2");
    session_tool_calls_progress(&k.w.calls, serial_of(&k, "c1"), "more");
    k.now_ms += 15000;
    flush(&k);
    assert_int_equal(k.spoken, 1); /* it is being spoken of */
    job_done(&k, "c1", "1");
    confirm(&k, "c1");
    ended(&k, "r2", "completed");
    flush(&k);
    assert_int_equal(k.spoken, 1);
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

/* Who asked for it has it. */
static void
test_out_of_the_conversation(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    up(&k,
       "{\"type\":\"response.create\",\"response\":{\"conversation\":"
       "\"none\"}}",
       NULL);
    down(&k, "{\"type\":\"response.created\",\"response\":{\"id\":\"out\","
             "\"conversation_id\":null}}");
    assert_true(item(&k, "added", "out", "c1", "alpha", "in_progress"));
    assert_true(item(&k, "done", "out", "c1", "alpha", "completed"));
    ended(&k, "out", "completed");
    flush(&k);
    assert_int_equal(k.runs, 0);
    assert_true(is_quiet(&k));
    kit_close(&k);
}

static void
test_too_many(void **state)
{
    struct kit k;
    char id[16];

    (void) state;
    kit_open(&k);
    created(&k, "r1");
    for (unsigned i = 0; i <= SESSION_TOOL_CALLS_OPEN; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        called(&k, "r1", id, "alpha");
    }
    flush(&k);
    assert_int_equal(k.runs, SESSION_TOOL_CALLS_OPEN);
    for (unsigned i = 0; i < 1200; i++) {
        snprintf(id, sizeof(id), "d%u", i);
        item(&k, "done", "r1", id, "alpha", "completed");
    }
    assert_true(k.w.calls.table.entries <= 1024);
    ended(&k, "r1", "cancelled");
    flush(&k);
    assert_true(is_quiet(&k));
    assert_true(k.w.calls.table.entries <= SESSION_TOOL_TABLE_KEPT);
    kit_close(&k);
}

static void
test_events_missed(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    calling(&k, "r1", "c1");
    called(&k, "r1", "c2", "beta");
    item(&k, "added", "r1", "c3", "beta", "in_progress");
    flush(&k);
    session_tool_watch_missed(&k.w);
    job_done(&k, "c1", "1");
    job_done(&k, "c2", "2");
    assert_non_null(strstr(k.told, "c1=1 c2=2 c3={\"error\""));
    assert_int_equal(k.creates, 1);
    kit_close(&k);
}

/* --- whose tools there are */

static void
test_tools_laid_and_hidden(void **state)
{
    struct kit k;
    char *made = NULL;
    json_t *session = json_object();

    (void) state;
    kit_open(&k);
    assert_int_equal(session_tool_set_lay(&k.w.set, session, true), 1);
    assert_int_equal(json_array_size(json_object_get(session, "tools")), 2);
    assert_true(session_tool_set_hide(&k.w.set, session));
    assert_int_equal(json_array_size(json_object_get(session, "tools")), 0);
    json_decref(session);

    /* The client's own name is the client's, the server's come first. */
    assert_int_equal(
        up(&k,
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
    created(&k, "r1");
    assert_true(item(&k, "added", "r1", "c1", "alpha", "in_progress"));

    /* What says nothing of tools changes nothing of them. */
    assert_int_equal(up(&k,
                        "{\"type\":\"session.update\",\"session\":{"
                        "\"instructions\":\"x\"}}",
                        NULL),
                     SESSION_TOOL_SEND);
    assert_false(session_tool_set_has(&k.w.set, "alpha"));
    assert_int_equal(
        up(&k, "{\"type\":\"session.update\",\"session\":{\"tools\":[]}}",
           NULL),
        SESSION_TOOL_CHANGED);
    assert_true(session_tool_set_has(&k.w.set, "alpha"));
    kit_close(&k);
}

/* A server of tools that is lost after the model has called it. */
static void
test_tools_gone(void **state)
{
    struct kit k;
    const char *less = "[{\"type\":\"function\",\"name\":\"beta\"}]";

    (void) state;
    kit_open(&k);
    assert_int_equal(session_tool_set_renew(&k.w.set, less, strlen(less)), 1);
    assert_int_equal(session_tool_set_renew(&k.w.set, less, strlen(less)), 0);
    assert_int_equal(session_tool_set_renew(&k.w.set, "{", 1), UV_EINVAL);
    json_t *told = session_tool_set_told(&k.w.set);
    assert_int_equal(json_array_size(told), 1);
    json_decref(told);
    created(&k, "r1");
    called(&k, "r1", "c1", "alpha");
    flush(&k);
    assert_string_equal(k.ran, "c1 "); /* the runner says what there is */
    kit_close(&k);
}

/* The client tells the model past us. */
static void
test_tools_restored(void **state)
{
    struct kit k;

    (void) state;
    kit_open(&k);
    k.w.restores = true;
    down(&k, "{\"type\":\"session.updated\",\"session\":{\"tools\":["
             "{\"type\":\"function\",\"name\":\"theirs\"},"
             "{\"type\":\"function\",\"name\":\"beta\",\"description\":"
             "\"mine\"}]}}");
    assert_int_equal(json_array_size(k.w.restore), 3);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(k.w.restore, 0), "name")),
                        "alpha");
    assert_false(session_tool_set_has(&k.w.set, "beta"));
    down(&k, "{\"type\":\"session.updated\",\"session\":{\"tools\":["
             "{\"type\":\"function\",\"name\":\"alpha\"},"
             "{\"type\":\"function\",\"name\":\"theirs\"},"
             "{\"type\":\"function\",\"name\":\"beta\",\"description\":"
             "\"mine\"}]}}");
    assert_null(k.w.restore);
    kit_close(&k);
}

static void
test_tools_of_a_response(void **state)
{
    struct kit k;
    char *made = NULL;

    (void) state;
    kit_open(&k);
    assert_int_equal(
        up(&k,
           "{\"type\":\"response.create\",\"response\":{\"tools\":[{\"type\":"
           "\"function\",\"name\":\"alpha\",\"description\":\"mine\"}]}}",
           &made),
        SESSION_TOOL_CHANGED);
    assert_null(strstr(made, "mine"));
    free(made);
    assert_int_equal(
        up(&k, "{\"type\":\"response.create\",\"response\":{\"tools\":[]}}",
           NULL),
        SESSION_TOOL_SEND);
    kit_close(&k);
}

/* --- anything in any order */

struct chaos {
    struct kit k;
    char running[16]; /* the conversation's response, "" none */
    unsigned responses, calls;
    bool open[4096]; /* the model made the call */
    bool speaking;
    unsigned confirmed;
};

static unsigned
chance(unsigned *seed, unsigned n)
{
    *seed = *seed * 1103515245u + 12345u;
    return (*seed >> 16) % n;
}

static void
chaos_begin(struct chaos *c)
{
    snprintf(c->running, sizeof(c->running), "r%u", ++c->responses);
    created(&c->k, c->running);
}

static void
chaos_end(struct chaos *c, unsigned *seed)
{
    static const char *const ends[] = {"completed", "cancelled", "failed"};

    ended(&c->k, c->running, ends[chance(seed, 3)]);
    c->running[0] = 0;
}

static void
chaos_call(struct chaos *c, unsigned *seed)
{
    char id[16];

    snprintf(id, sizeof(id), "c%u", ++c->calls);
    item(&c->k, "added", c->running, id, "alpha", "in_progress");
    if (chance(seed, 4))
        item(&c->k, "done", c->running, id, "alpha", "completed");
    else if (chance(seed, 2))
        item(&c->k, "done", c->running, id, "alpha", "incomplete");
}

static void
chaos_job(struct chaos *c, unsigned *seed)
{
    struct session_tool_call *call = c->k.w.calls.table.first;
    unsigned skip = chance(seed, 4);
    char *text = strdup("done");
    unsigned serial = 0;

    for (; call; call = call->next)
        if (call->has_job && (serial = call->serial) && skip-- == 0)
            break;
    if (chance(seed, 5) == 0)
        session_tool_calls_acknowledged(&c->k.w.calls, serial, &text);
    else
        session_tool_calls_done(&c->k.w.calls, serial, &text);
    free(text);
}

static void
chaos_confirm(struct chaos *c)
{
    while (c->confirmed < c->k.outputs)
        down(&c->k,
             "{\"type\":\"conversation.item.added\",\"item\":{\"id\":"
             "\"item_gw_%u\",\"type\":\"function_call_output\"}}",
             ++c->confirmed);
}

static void
chaos_step(struct chaos *c, unsigned *seed)
{
    switch (chance(seed, 9)) {
    case 0:
        if (!c->running[0])
            chaos_begin(c);
        break;
    case 1:
        if (c->running[0])
            chaos_end(c, seed);
        break;
    case 2:
    case 3:
        if (c->running[0] && c->calls < 60)
            chaos_call(c, seed);
        break;
    case 4:
        chaos_job(c, seed);
        break;
    case 5:
        c->speaking = !c->speaking;
        speech(&c->k, c->speaking ? "speech_started" : "speech_stopped");
        break;
    case 6:
        up(&c->k, "{\"type\":\"response.cancel\"}", NULL);
        break;
    case 7:
        chaos_confirm(c);
        break;
    default:
        if (chance(seed, 2))
            down(&c->k, REFUSED(ACTIVE));
    }
    c->k.now_ms += chance(seed, 3000);
    if (chance(seed, 3))
        flush(&c->k);
}

/* Jobs end, responses end, everybody falls silent. */
static void
chaos_calm(struct chaos *c)
{
    for (unsigned i = 0; i < 200; i++) {
        struct session_tool_call *call = c->k.w.calls.table.first;

        while (call && !call->has_job)
            call = call->next;
        if (call) {
            char *text = strdup("done");
            session_tool_calls_done(&c->k.w.calls, call->serial, &text);
        }
        if (c->running[0]) {
            ended(&c->k, c->running, "completed");
            c->running[0] = 0;
        }
        if (c->speaking)
            speech(&c->k, "speech_stopped");
        c->speaking = false;
        c->k.now_ms += 3000;
        flush(&c->k);
        chaos_confirm(c);
        if (c->k.w.turn.asked_ms)
            chaos_begin(c);
    }
}

static unsigned
occurrences(const char *text, const char *id)
{
    unsigned count = 0;
    size_t bytes = strlen(id);

    while ((text = strstr(text, id)) != NULL) {
        count += text[bytes] == '=';
        text += bytes;
    }
    return count;
}

static void
test_chaos(void **state)
{
    struct chaos *c = malloc(sizeof(*c));
    char *told = malloc(1 << 16);
    char id[16];

    (void) state;
    for (unsigned run = 0; run < 2000; run++) {
        unsigned seed = run * 7919 + 1;
        memset(c, 0, sizeof(*c));
        kit_open(&c->k);
        told[0] = 0;
        for (unsigned i = 0; i < 150; i++) {
            chaos_step(c, &seed);
            strcat(told, c->k.told);
            c->k.told[0] = 0;
        }
        chaos_calm(c);
        strcat(told, c->k.told);
        if (!is_quiet(&c->k))
            print_message("run %u\n", run);
        assert_true(is_quiet(&c->k));
        for (unsigned i = 1; i <= c->calls; i++) {
            snprintf(id, sizeof(id), "c%u", i);
            if (occurrences(told, id) != 1)
                print_message("run %u: %s in %s\n", run, id, told);
            assert_int_equal(occurrences(told, id), 1);
        }
        kit_close(&c->k);
    }
    free(told);
    free(c);
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
        cmocka_unit_test(test_out_of_the_conversation),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_events_missed),
        cmocka_unit_test(test_tools_laid_and_hidden),
        cmocka_unit_test(test_tools_gone),
        cmocka_unit_test(test_tools_restored),
        cmocka_unit_test(test_tools_of_a_response),
        cmocka_unit_test(test_chaos),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
