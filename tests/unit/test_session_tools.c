/* SPDX-License-Identifier: BSD-2-Clause */

/* The server's tools in a whole session: a client, a model, a runner with
 * tools that do as they are told. */

#include "session/session_tools.h"

#include "base/clock.h"
#include "kit/session_rig.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 10000 /* for what must come */
#define SCHEMA                                                                 \
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"      \
    "\"additionalProperties\":false}"
#define CREATED                                                                \
    "{\"type\":\"session.created\",\"event_id\":\"event_1\",\"session\":{"     \
    "\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_m\"," \
    "\"tools\":[],\"instructions\":\"\"}}"
#define UPDATED                                                                \
    "{\"type\":\"session.updated\",\"event_id\":\"event_2\",\"session\":{"     \
    "\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":\"sess_m\"}" \
    "}"

/* A tool that is started, and ends when the test says so. */
struct slow {
    struct tool tool;
    struct tool_run *_Atomic run; /* started and not finished */
    struct loop_task task;
    const char *text;
    bool acknowledge;
    atomic_uint started, cancelled;
};

struct world {
    struct rig rig;
    struct loop *services;
    struct slow alpha, beta, gamma;
    size_t seen; /* messages of the model that were looked at */
};

static void
slow_start(struct tool *tool, struct tool_run *run)
{
    struct slow *s = (struct slow *) tool;

    atomic_fetch_add(&s->started, 1);
    atomic_store(&s->run, run);
}

static void
slow_cancel(struct tool *tool, struct tool_run *run)
{
    struct slow *s = (struct slow *) tool;

    atomic_store(&s->run, NULL);
    atomic_fetch_add(&s->cancelled, 1);
    tool_run_fail(run, "cancelled", "told to");
}

static void
slow_destroy(struct tool *tool)
{
    tool_deinit(tool);
}

static const struct tool_ops slow_ops = {
    .start = slow_start, .cancel = slow_cancel, .destroy = slow_destroy};

static void
slow_add(struct world *w, struct slow *s, const char *name, unsigned flags)
{
    const struct tool_spec spec = {
        .name = name,
        .description = "Does as it is told",
        .parameters = SCHEMA,
        .flags = flags,
        .domain = TOOL_DOMAIN_OTHER,
        .timeout_ms = 60000,
        .max_bytes = 1000000,
    };
    struct tool *tool = &s->tool;

    assert_int_equal(tool_init(tool, &slow_ops, &spec), 0);
    assert_int_equal(tool_registry_add(w->rig.tools, &tool), 0);
}

/* --- the world */

static void
world_open(struct world *w, const char *policy)
{
    struct tool_runner_config cfg = {
        .root = "", .max_running = 8, .max_waiting = 8, .threads = 1};

    memset(w, 0, sizeof(*w));
    rig_init(&w->rig, policy);
    assert_int_equal(loop_create(&w->services, 1), 0);
    assert_int_equal(loop_start(w->services), 0);
    assert_int_equal(tool_registry_create(&w->rig.tools), 0);
    slow_add(w, &w->alpha, "alpha", TOOL_READ_ONLY);
    slow_add(w, &w->beta, "beta", TOOL_READ_ONLY | TOOL_LONG);
    cfg.registry = w->rig.tools;
    cfg.loop = w->services;
    assert_int_equal(tool_runner_create(&w->rig.runner, &cfg), 0);
    assert_int_equal(rig_session_start(&w->rig), 0);
    rig_turn(&w->rig);
    rig_say(&w->rig, CREATED);
}

static void
turn_a_while(struct world *w)
{
    rig_turn(&w->rig);
    usleep(500);
}

static void
world_close(struct world *w)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    rig_client_close(&w->rig, 1000);
    rig_wait_end(&w->rig);
    if (!w->rig.model.closed)
        rig_model_end(&w->rig, 1000, "");
    rig_wait_end(&w->rig);
    tool_runner_close(w->rig.runner);
    while (tool_runner_count(w->rig.runner) && clock_now_ms() < end)
        turn_a_while(w);
    for (int i = 0; i < 20; i++) /* last words on the session's loop */
        turn_a_while(w);
    assert_int_equal(tool_runner_count(w->rig.runner), 0);
    tool_runner_destroy(&w->rig.runner);
    tool_registry_destroy(&w->rig.tools);
    loop_stop(w->services);
    loop_destroy(&w->services);
    assert_int_equal(session_tool_illegal_count(), 0);
    rig_stop(&w->rig);
}

/* The next message to the model; waits for it. */
static const char *
model_next(struct world *w)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (w->rig.model.got.count <= w->seen && clock_now_ms() < end)
        turn_a_while(w);
    return rig_model_got(&w->rig, w->seen++);
}

static void
model_silent(struct world *w)
{
    for (int i = 0; i < 20; i++)
        turn_a_while(w);
    if (w->rig.model.got.count > w->seen)
        fail_msg("unasked: %s", rig_model_got(&w->rig, w->seen));
}

static json_t *
output_next(struct world *w, const char *call_id)
{
    const char *text = model_next(w);
    json_t *event = json_loads(text, 0, NULL);
    json_t *item = json_object_get(event, "item");

    if (!item
        || strcmp(json_string_value(json_object_get(item, "call_id")), call_id))
        fail_msg("no output of %s: %s", call_id, text);
    assert_string_equal(json_string_value(json_object_get(item, "type")),
                        "function_call_output");
    json_incref(item);
    json_decref(event);
    return item;
}

static void
assert_output(struct world *w, const char *call_id, const char *part)
{
    json_t *item = output_next(w, call_id);
    const char *text = json_string_value(json_object_get(item, "output"));

    assert_non_null(text);
    if (!strstr(text, part))
        fail_msg("%s has not %s", text, part);
    json_decref(item);
}

/* The output that came last is in the conversation. */
static void
confirm_last(struct world *w)
{
    char *event = strdup(rig_model_got(&w->rig, w->seen - 1));
    json_t *tree = json_loads(event, 0, NULL);

    json_object_set_new(tree, "type", json_string("conversation.item.added"));
    free(event);
    event = json_dumps(tree, JSON_COMPACT);
    json_decref(tree);
    rig_say(&w->rig, event);
    free(event);
}

static void
assert_create(struct world *w)
{
    const char *text = model_next(w);

    if (!strstr(text, "\"response.create\""))
        fail_msg("no response.create: %s", text);
}

static const char *
client_last(struct world *w)
{
    return rig_client_got(&w->rig, w->rig.got.count - 1);
}

/* --- what the model says */

static void
created(struct world *w, const char *id)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"response.created\",\"event_id\":\"e\",\"response\":{"
             "\"id\":\"%s\",\"conversation_id\":\"conv\"}}",
             id);
    rig_say(&w->rig, text);
}

static void
called(struct world *w, const char *response, const char *call,
       const char *name, const char *arguments)
{
    static const char *const steps[][2] = {{"added", "in_progress"},
                                           {"done", "completed"}};
    char text[1024];

    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"response.output_item.%s\",\"event_id\":\"e\","
                 "\"response_id\":\"%s\",\"output_index\":0,\"item\":{\"id\":"
                 "\"item_%s\",\"type\":\"function_call\",\"status\":\"%s\","
                 "\"call_id\":\"%s\",\"name\":\"%s\",\"arguments\":\"%s\"}}",
                 steps[i][0], response, call, steps[i][1], call, name,
                 i ? arguments : "");
        rig_say(&w->rig, text);
    }
}

static void
ended(struct world *w, const char *id, const char *status)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"response.done\",\"event_id\":\"e\",\"response\":{"
             "\"id\":\"%s\",\"status\":\"%s\",\"output\":[]}}",
             id, status);
    rig_say(&w->rig, text);
}

/* --- what the tools do */

static void
on_finish(struct loop_task *task, void *arg)
{
    struct slow *s = arg;
    struct tool_run *run = atomic_load(&s->run);

    (void) task;
    if (s->acknowledge) {
        s->acknowledge = false;
        tool_run_acknowledge(run, json_string("begun"));
        return;
    }
    atomic_store(&s->run, NULL);
    tool_run_succeed(run, json_pack("{s:s}", "text", s->text));
}

static void
started(struct world *w, struct slow *s)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (!atomic_load(&s->run) && clock_now_ms() < end)
        turn_a_while(w);
    assert_non_null(atomic_load(&s->run));
}

static void
finish(struct world *w, struct slow *s, const char *text)
{
    started(w, s);
    s->text = text;
    s->task = (struct loop_task){.run = on_finish, .arg = s};
    loop_post(w->services, &s->task);
}

static void
cancelled(struct world *w, struct slow *s)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (!atomic_load(&s->cancelled) && clock_now_ms() < end)
        turn_a_while(w);
    assert_int_equal(atomic_load(&s->cancelled), 1);
}

/* --- tests */

#define ALL "{\"tools\":\"all\"}"

/* The policy's tools are told once, in one form, and are not for the client. */
static void
test_definitions(void **state)
{
    struct world w;
    const char *update;

    (void) state;
    world_open(&w, "{\"tools\":[\"beta\",\"cancel_current_task\"]}");
    update = model_next(&w);
    assert_non_null(strstr(update, "\"session.update\""));
    assert_non_null(strstr(update, "\"tools\":[{\"type\":\"function\","
                                   "\"name\":\"beta\""));
    assert_null(strstr(update, "alpha"));
    assert_non_null(strstr(client_last(&w), "\"session.created\""));
    assert_null(strstr(client_last(&w), "beta"));
    assert_non_null(strstr(client_last(&w), "\"tools\":[]"));
    size_t count = w.rig.got.count;
    rig_say(&w.rig, UPDATED);
    assert_int_equal(w.rig.got.count, count);

    rig_send(&w.rig, "{\"type\":\"session.update\",\"session\":{\"tools\":[{"
                     "\"type\":\"function\",\"name\":\"theirs\"}]}}");
    update = model_next(&w);
    assert_non_null(strstr(update, "\"beta\""));
    assert_true(strstr(update, "\"beta\"") < strstr(update, "\"theirs\""));
    rig_say(&w.rig,
            "{\"type\":\"session.updated\",\"event_id\":\"e\",\"session\":{"
            "\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":"
            "\"s\",\"tools\":[{\"type\":\"function\",\"name\":\"beta\"},{"
            "\"type\":\"function\",\"name\":\"theirs\"}]}}");
    assert_non_null(strstr(client_last(&w), "theirs"));
    assert_null(strstr(client_last(&w), "beta"));
    world_close(&w);
}

static void
test_no_tools(void **state)
{
    struct world w;

    (void) state;
    world_open(&w, "{\"tools\":[\"unknown\"]}");
    model_silent(&w);
    world_close(&w);
}

/* Rather a session without tools than none. */
static void
test_definitions_refused(void **state)
{
    struct world w;
    const char *update;

    (void) state;
    world_open(&w, "{\"tools\":\"all\",\"voice\":\"marin\"}");
    assert_non_null(strstr(model_next(&w), "\"alpha\""));
    size_t count = w.rig.got.count;
    rig_say(&w.rig, "{\"type\":\"error\",\"event_id\":\"e\",\"error\":{"
                    "\"type\":\"invalid_request_error\",\"code\":\"x\","
                    "\"message\":\"no\",\"param\":\"session.tools[0]\","
                    "\"event_id\":\"sess_0123456789ABCDEFGHIJK\"}}");
    update = model_next(&w);
    assert_null(strstr(update, "\"alpha\""));
    assert_non_null(strstr(update, "\"marin\""));
    rig_say(&w.rig, UPDATED);
    assert_int_equal(w.rig.got.count, count);
    rig_send(&w.rig, "{\"type\":\"response.create\"}");
    assert_create(&w);
    world_close(&w);
}

static void
begin(struct world *w)
{
    world_open(w, ALL);
    model_next(w);
    rig_say(&w->rig, UPDATED);
}

/* A server of tools that is reached late. */
static void
test_tools_that_come_later(void **state)
{
    struct world w;
    struct tool *tool = &w.gamma.tool;
    const struct tool_spec spec = {.name = "gamma",
                                   .description = "Comes late",
                                   .parameters = SCHEMA,
                                   .domain = TOOL_DOMAIN_OTHER,
                                   .timeout_ms = 60000,
                                   .max_bytes = 1000};
    const char *update;

    (void) state;
    begin(&w);
    rig_send(&w.rig, "{\"type\":\"session.update\",\"session\":{\"tools\":[{"
                     "\"type\":\"function\",\"name\":\"theirs\"}]}}");
    model_next(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    assert_int_equal(tool_init(tool, &slow_ops, &spec), 0);
    assert_int_equal(tool_registry_replace(w.rig.tools, "late", &tool, 1, NULL),
                     0);
    finish(&w, &w.alpha, "x");
    assert_output(&w, "c1", "x"); /* first what is open */
    confirm_last(&w);
    ended(&w, "r1", "completed");
    assert_create(&w);
    created(&w, "r2");
    update = model_next(&w);
    assert_non_null(strstr(update, "\"session.update\""));
    assert_true(strstr(update, "\"alpha\"") < strstr(update, "\"gamma\""));
    assert_true(strstr(update, "\"gamma\"") < strstr(update, "\"theirs\""));
    called(&w, "r2", "c2", "gamma", "{}");
    finish(&w, &w.gamma, "late");
    assert_output(&w, "c2", "late");
    ended(&w, "r2", "completed");
    assert_create(&w);
    model_silent(&w);
    world_close(&w);
}

static void
test_call(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    size_t count = w.rig.got.count;
    called(&w, "r1", "c1", "alpha", "{\\\"n\\\":1}");
    assert_int_equal(w.rig.got.count, count); /* nothing of it is shown */
    finish(&w, &w.alpha, "result");
    json_t *item = output_next(&w, "c1");
    assert_string_equal(json_string_value(json_object_get(item, "output")),
                        "{\"text\":\"result\"}");
    const char *id = json_string_value(json_object_get(item, "id"));
    assert_memory_equal(id, "item_gw_", 8);
    assert_true(strlen(id) <= 32);
    json_decref(item);
    model_silent(&w);
    ended(&w, "r1", "completed");
    assert_create(&w);
    model_silent(&w);
    created(&w, "r2");
    ended(&w, "r2", "completed");
    model_silent(&w);
    world_close(&w);
}

static void
test_arguments(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "no json");
    assert_output(&w, "c1", "invalid_arguments");
    called(&w, "r1", "c2", "alpha", "{\\\"m\\\":1}");
    assert_output(&w, "c2", "invalid_arguments");
    assert_int_equal(atomic_load(&w.alpha.started), 0);
    ended(&w, "r1", "completed");
    assert_create(&w);
    world_close(&w);
}

static void
test_client_may_not_answer(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    started(&w, &w.alpha);
    rig_send(&w.rig, "{\"type\":\"conversation.item.create\",\"event_id\":"
                     "\"mine\",\"item\":{\"type\":\"function_call_output\","
                     "\"call_id\":\"c1\",\"output\":\"x\"}}");
    assert_non_null(strstr(client_last(&w), "\"mine\""));
    assert_non_null(strstr(client_last(&w), "invalid_value"));
    rig_send(&w.rig, "{\"type\":\"conversation.item.delete\",\"item_id\":"
                     "\"item_c1\"}");
    assert_non_null(strstr(client_last(&w), "no such item"));
    model_silent(&w);
    finish(&w, &w.alpha, "x");
    assert_output(&w, "c1", "x");
    world_close(&w);
}

/* The client's create waits for the server's output. */
static void
test_both(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    size_t count = w.rig.got.count;
    called(&w, "r1", "c2", "theirs", "{}");
    assert_int_equal(w.rig.got.count, count + 2);
    ended(&w, "r1", "completed");
    started(&w, &w.alpha);
    rig_send(&w.rig, "{\"type\":\"conversation.item.create\",\"item\":{"
                     "\"type\":\"function_call_output\",\"call_id\":\"c2\","
                     "\"output\":\"mine\"}}");
    assert_non_null(strstr(model_next(&w), "mine"));
    rig_send(&w.rig, "{\"type\":\"response.create\",\"event_id\":\"clients\"}");
    model_silent(&w);
    finish(&w, &w.alpha, "x");
    assert_output(&w, "c1", "x");
    assert_non_null(strstr(model_next(&w), "clients"));
    model_silent(&w);
    world_close(&w);
}

static void
test_interrupted(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    started(&w, &w.alpha);
    ended(&w, "r1", "cancelled");
    assert_output(&w, "c1", "\"cancelled\"");
    cancelled(&w, &w.alpha);
    model_silent(&w);
    world_close(&w);
}

static void
test_session_ends(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    started(&w, &w.alpha);
    rig_client_close(&w.rig, 1000);
    cancelled(&w, &w.alpha);
    world_close(&w);
}

static void
test_long(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "beta", "{}");
    w.beta.acknowledge = true;
    finish(&w, &w.beta, "");
    assert_output(&w, "c1", "begun");
    ended(&w, "r1", "completed");
    assert_create(&w);
    created(&w, "r2");
    finish(&w, &w.beta, "much later");
    model_silent(&w);
    ended(&w, "r2", "completed");
    const char *call = model_next(&w);
    assert_non_null(strstr(call, "\"function_call\""));
    assert_non_null(strstr(call, "\\\"result_of\\\":\\\"c1\\\""));
    const char *output = model_next(&w);
    assert_non_null(strstr(output, "much later"));
    assert_null(strstr(output, "\"c1\""));
    assert_create(&w);
    world_close(&w);
}

static void
test_model_takes_nothing(void **state)
{
    struct world w;

    (void) state;
    begin(&w);
    created(&w, "r1");
    called(&w, "r1", "c1", "alpha", "{}");
    w.rig.model.send_result = UV_ENOBUFS;
    finish(&w, &w.alpha, "kept");
    for (int i = 0; i < 20; i++)
        turn_a_while(&w);
    w.rig.model.send_result = 0;
    assert_output(&w, "c1", "kept");
    ended(&w, "r1", "completed");
    assert_create(&w);
    model_silent(&w);
    world_close(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definitions),
        cmocka_unit_test(test_no_tools),
        cmocka_unit_test(test_definitions_refused),
        cmocka_unit_test(test_tools_that_come_later),
        cmocka_unit_test(test_call),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_client_may_not_answer),
        cmocka_unit_test(test_both),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_session_ends),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_model_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
