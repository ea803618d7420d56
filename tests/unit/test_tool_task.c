/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_task.h"

#include "gate/curl_stream.h"
#include "gate/http_client.h"
#include "kit/tool_rig.h"
#include "tools/agent_lanes.h"
#include "tools/tool_cancel.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define KEY "gw-key"

static struct {
    struct tool_rig rig;
    struct http_client *http;
    struct agent *agent;
    struct tool *task, *dispatch;
    char journal[64];
    pid_t server;
    int port;
} world;

/* --- the servers */

static void
server_start(const char *loads)
{
    char text[16] = "";
    int out[2];
    ssize_t bytes;

    snprintf(world.journal, sizeof(world.journal), "/tmp/test_task.XXXXXX");
    close(mkstemp(world.journal));
    assert_int_equal(pipe(out), 0);
    world.server = fork();
    if (world.server == 0) {
        dup2(out[1], STDOUT_FILENO);
        close(out[0]);
        close(out[1]);
        execlp("node", "node", "tests/tools/agents_fake.mjs", world.journal,
               KEY, loads, (char *) NULL);
        _exit(127);
    }
    close(out[1]);
    bytes = read(out[0], text, sizeof(text) - 1);
    close(out[0]);
    assert_true(bytes > 0);
    world.port = atoi(text);
}

static void
agent_make(enum agent_kind kind, const char *key, unsigned lanes,
           const char *bundle)
{
    char url[64];
    struct agent_config cfg = {.loop = world.rig.loop,
                               .http = world.http,
                               .kind = kind,
                               .url = url,
                               .key = key,
                               .model = "a-model",
                               .bundle = bundle,
                               .working_dir = "/srv/x",
                               .lanes = lanes,
                               .idle_ms = 60000};
    struct tool_task_config task = {.kind = TOOL_TASK_DELEGATE};
    struct tool_task_config dispatch = {.kind = TOOL_TASK_DISPATCH};

    snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", world.port,
             kind == AGENT_CHAT ? "/v1/" : "");
    assert_int_equal(agent_create(&world.agent, &cfg), 0);
    task.agent = dispatch.agent = world.agent;
    task.timeout_ms = 20000;
    assert_int_equal(tool_task_create(&world.task, &task), 0);
    assert_int_equal(tool_task_create(&world.dispatch, &dispatch), 0);
}

static void
world_begin(enum agent_kind kind)
{
    struct http_client_config cfg = {.keepalive = 10,
                                     .max = 20,
                                     .idle_ms = 30000,
                                     .connect_ms = 5000,
                                     .read_ms = 30000,
                                     .write_ms = 10000,
                                     .pool_wait_ms = 5000};

    memset(&world, 0, sizeof(world));
    server_start("0");
    tool_rig_open(&world.rig);
    cfg.loop = world.rig.loop;
    assert_int_equal(http_client_create(&world.http, &cfg), 0);
    agent_make(kind, KEY, 4, "dev");
}

static void
agent_end(void)
{
    tool_unref(&world.task);
    tool_unref(&world.dispatch);
    agent_unref(&world.agent);
    for (int i = 0; agent_closing() > 0 && i < 500; i++)
        usleep(10000);
    assert_int_equal(agent_closing(), 0);
}

static int
amplifierd_open(void **state)
{
    (void) state;
    world_begin(AGENT_AMPLIFIERD);
    return 0;
}

static int
chat_open(void **state)
{
    (void) state;
    world_begin(AGENT_CHAT);
    return 0;
}

static int
world_close(void **state)
{
    (void) state;
    agent_end();
    http_client_close(&world.http);
    tool_rig_close(&world.rig, NULL);
    kill(world.server, SIGKILL);
    waitpid(world.server, NULL, 0);
    unlink(world.journal);
    return 0;
}

static size_t
journal_count(const char *start)
{
    FILE *file = fopen(world.journal, "r");
    char text[4096];
    size_t count = 0;

    while (file != NULL && fgets(text, sizeof(text), file) != NULL)
        count += strncmp(text, start, strlen(start)) == 0;
    if (file != NULL)
        fclose(file);
    return count;
}

static void
journal_wait(const char *start, size_t count)
{
    for (int i = 0; i < 500 && journal_count(start) < count; i++)
        usleep(10000);
    assert_int_equal(journal_count(start), count);
}

static const char *
text_of(const struct tool_order_rig *order, const char *name)
{
    const char *text = json_string_value(json_object_get(order->output, name));

    return text != NULL ? text : "(none)";
}

static void
order_run(struct tool_order_rig *order, const char *arguments)
{
    tool_order_run(order, &world.rig, world.task, arguments);
}

static void
assert_says(const char *arguments, const char *text)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    order_run(&order, arguments);
    if (order.output == NULL)
        print_message("%s: %s\n", order.type, order.error);
    assert_non_null(order.output);
    assert_string_equal(text_of(&order, "response"), text);
    assert_string_equal(text_of(&order, "status"), "success");
    tool_order_free(&order);
}

static void
assert_fails(const char *arguments, const char *type, const char *error)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    order_run(&order, arguments);
    assert_null(order.output);
    if (strcmp(order.type, type) != 0 || strstr(order.error, error) == NULL)
        print_message("%s: %s\n", order.type, order.error);
    assert_string_equal(order.type, type);
    assert_non_null(strstr(order.error, error));
    assert_null(strstr(order.error, "sk-secret"));
    assert_null(strstr(order.error, KEY));
    tool_order_free(&order);
}

/* --- amplifierd */

static void
test_amplifierd_answers(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    assert_says("{\"instruction\":\"say hello\"}", "hello");
    assert_says("{\"instruction\":\"say \xc3\xa4\xe2\x82\xac\",\"agent\":"
                "\"explorer\"}",
                "\xc3\xa4\xe2\x82\xac");
    assert_says("{\"instruction\":\"none\"}", "");
    assert_int_equal(journal_count("create dev /srv/x"), 1);
    assert_int_equal(
        journal_count("execute Delegate this to the agent \"explorer\""), 1);
    order_run(&order, "{\"instruction\":\"say x\"}");
    assert_int_equal(
        json_integer_value(json_object_get(order.output, "turn_count")), 4);
    tool_order_free(&order);
}

static void
test_amplifierd_failures_are_told_without_secrets(void **state)
{
    (void) state;
    assert_fails("{\"instruction\":\"fail 502\"}", "failed",
                 "failed (HTTP 502)");
    assert_fails("{\"instruction\":\"fail 400\"}", "failed",
                 "refused the order (HTTP 400)");
    assert_fails("{\"instruction\":\"fail 429\"}", "unavailable", "too much");
    assert_fails("{\"instruction\":\"fail 413\"}", "too_large", "too large");
    assert_fails("{\"instruction\":\"nonsense\"}", "failed", "understood");
    assert_says("{\"instruction\":\"say still\"}", "still");
    agent_end();
    agent_make(AGENT_AMPLIFIERD, "wrong", 4, "dev");
    assert_fails("{\"instruction\":\"say x\"}", "unavailable", "key");
    agent_end();
    agent_make(AGENT_AMPLIFIERD, KEY, 4, "unknown");
    assert_fails("{\"instruction\":\"say x\"}", "failed", "HTTP 400");
    agent_end();
    world.port = 1;
    agent_make(AGENT_AMPLIFIERD, KEY, 4, "dev");
    assert_fails("{\"instruction\":\"say x\"}", "unavailable", "reached");
}

static void
test_amplifierd_that_still_loads_is_waited_for(void **state)
{
    (void) state;
    kill(world.server, SIGKILL);
    waitpid(world.server, NULL, 0);
    unlink(world.journal);
    agent_end();
    server_start("2");
    agent_make(AGENT_AMPLIFIERD, KEY, 4, "dev");
    assert_says("{\"instruction\":\"say late\"}", "late");
}

static void
test_amplifierd_conversations_go_on(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};
    char arguments[160];

    (void) state;
    order_run(&order, "{\"instruction\":\"say one\"}");
    snprintf(arguments, sizeof(arguments),
             "{\"instruction\":\"say two\",\"session_id\":\"%s\"}",
             text_of(&order, "session_id"));
    tool_order_free(&order);
    /* Another session of the same tenant, as after a dropped call. */
    order.session_id = "sess_b";
    order_run(&order, arguments);
    assert_int_equal(
        json_integer_value(json_object_get(order.output, "turn_count")), 2);
    tool_order_free(&order);
    assert_int_equal(journal_count("create"), 1);
    /* Another tenant's it is not. */
    order.tenant = "other";
    order_run(&order, arguments);
    assert_string_equal(order.type, "not_found");
    tool_order_free(&order);
    assert_fails("{\"instruction\":\"x\",\"session_id\":\"agent_x\"}",
                 "not_found", "no conversation");
    /* Begun anew when it is asked for, or when somebody else asks. */
    assert_says("{\"instruction\":\"say n\",\"context_depth\":\"none\"}", "n");
    assert_int_equal(journal_count("create"), 2);
    order.tenant = NULL;
    order.session_id = "sess_b";
    order_run(&order, "{\"instruction\":\"say x\"}");
    tool_order_free(&order);
    assert_int_equal(journal_count("create"), 3);
}

static void
test_amplifierd_orders_run_side_by_side(void **state)
{
    struct tool_order_rig orders[5];

    (void) state;
    for (int i = 0; i < 5; i++) {
        orders[i].session_id = "sess_a";
        orders[i].tenant = NULL;
        tool_order_begin(&orders[i], &world.rig, world.task,
                         "{\"instruction\":\"wait 1500\"}");
    }
    /* One more than there may be. */
    assert_true(tool_order_wait(&orders[4], 10000));
    assert_string_equal(orders[4].type, "unavailable");
    journal_wait("execute", 4);
    for (int i = 0; i < 4; i++)
        assert_false(orders[i].done);
    for (int i = 0; i < 4; i++) {
        assert_true(tool_order_wait(&orders[i], 10000));
        assert_string_equal(text_of(&orders[i], "response"), "waited");
    }
    for (int i = 0; i < 5; i++)
        tool_order_free(&orders[i]);
    /* The longest unused conversation makes room for another's. */
    orders[0].session_id = "sess_b";
    tool_order_run(&orders[0], &world.rig, world.task,
                   "{\"instruction\":\"say x\"}");
    assert_string_equal(text_of(&orders[0], "response"), "x");
    tool_order_free(&orders[0]);
    journal_wait("delete", 1);
}

/* The server waits for agents that end: one whose last turn is being told is
 * among them, though all others have let it go. */
static struct {
    struct loop_task begin;
    struct agent_turn *turn;
    unsigned closing;
    atomic_bool told;
} last_turn;

static void
on_last_reply(void *arg, const struct agent_reply *reply)
{
    (void) arg;
    (void) reply;
    tool_unref(&world.task);
    tool_unref(&world.dispatch);
    agent_unref(&world.agent);
    last_turn.closing = agent_closing();
    atomic_store(&last_turn.told, true);
}

static void
on_last_begin(struct loop_task *task, void *arg)
{
    const struct agent_order order = {.tenant = "",
                                      .caller = "",
                                      .name = "",
                                      .instruction = "say x",
                                      .conversation = "agent_unknown",
                                      .traceparent = "",
                                      .deadline_ms = UINT64_MAX};

    (void) task;
    (void) arg;
    assert_int_equal(
        agent_ask(world.agent, &order, on_last_reply, NULL, &last_turn.turn),
        0);
}

static void
test_agents_are_counted_until_their_last_turn(void **state)
{
    (void) state;
    memset(&last_turn, 0, sizeof(last_turn));
    last_turn.begin = (struct loop_task){.run = on_last_begin};
    loop_post(world.rig.loop, &last_turn.begin);
    for (int i = 0; !atomic_load(&last_turn.told) && i < 1000; i++)
        usleep(10000);
    assert_true(atomic_load(&last_turn.told));
    assert_true(last_turn.closing > 0);
}

static void
test_amplifierd_is_told_of_cancelled_orders(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    tool_order_begin(&order, &world.rig, world.task,
                     "{\"instruction\":\"wait 60000\"}");
    journal_wait("execute", 1);
    tool_order_cancel(&order);
    assert_true(tool_order_wait(&order, 5000));
    assert_string_equal(order.type, "cancelled");
    tool_order_free(&order);
    journal_wait("cancel true", 1);
    /* Its session is busy for a while yet: another one is made. */
    assert_says("{\"instruction\":\"say next\"}", "next");
    assert_int_equal(journal_count("create"), 2);
    journal_wait("delete", 1);
}

static void
test_amplifierd_busy_conversations_are_waited_for(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};
    char arguments[160];

    (void) state;
    order_run(&order, "{\"instruction\":\"say one\"}");
    snprintf(arguments, sizeof(arguments),
             "{\"instruction\":\"say two\",\"session_id\":\"%s\"}",
             text_of(&order, "session_id"));
    tool_order_free(&order);
    order.session_id = "sess_a";
    tool_order_begin(&order, &world.rig, world.task,
                     "{\"instruction\":\"wait 60000\"}");
    journal_wait("execute", 2);
    /* Ours is known to be busy, … */
    assert_fails(arguments, "unavailable", "busy");
    tool_order_cancel(&order);
    assert_true(tool_order_wait(&order, 5000));
    tool_order_free(&order);
    /* … then only the server's is. */
    assert_says(arguments, "two");
    assert_int_equal(journal_count("create"), 1);
}

static void
test_amplifierd_that_forgot(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};
    char arguments[160], command[160];

    (void) state;
    order_run(&order, "{\"instruction\":\"say one\"}");
    snprintf(arguments, sizeof(arguments),
             "{\"instruction\":\"say two\",\"session_id\":\"%s\"}",
             text_of(&order, "session_id"));
    tool_order_free(&order);
    snprintf(command, sizeof(command),
             "curl -s -H 'Authorization: Bearer " KEY
             "' -X POST http://127.0.0.1:%d/forget",
             world.port);
    assert_int_equal(system(command), 0);
    assert_says("{\"instruction\":\"say new\"}", "new");
    assert_int_equal(journal_count("create"), 2);
    assert_fails(arguments, "not_found", "no conversation");
}

static void
test_amplifierd_long_waits_end_at_the_deadline(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    world.task->spec.timeout_ms = 700;
    order_run(&order, "{\"instruction\":\"wait 60000\"}");
    assert_string_equal(order.type, "timeout");
    tool_order_free(&order);
    journal_wait("cancel true", 1);
}

static void
test_amplifierd_is_told_the_end(void **state)
{
    (void) state;
    assert_says("{\"instruction\":\"say x\"}", "x");
    agent_end();
    journal_wait("delete", 1);
}

/* Whenever an order is cancelled, it ends, and the next is obeyed. */
static void
test_orders_are_cancelled_at_any_moment(void **state)
{
    struct tool_order_rig order = {0};

    (void) state;
    for (int i = 0; i < 30; i++) {
        order.session_id = "sess_a";
        order.tenant = NULL;
        tool_order_begin(&order, &world.rig, world.task,
                         "{\"instruction\":\"wait 30\"}");
        usleep((useconds_t) (i * 2000));
        tool_order_cancel(&order);
        assert_true(tool_order_wait(&order, 10000));
        assert_true(order.output != NULL
                    || strcmp(order.type, "cancelled") == 0);
        tool_order_free(&order);
    }
    assert_says("{\"instruction\":\"say fine\"}", "fine");
}

/* --- dispatch */

static void
test_dispatch_acknowledges_first(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    tool_order_begin(&order, &world.rig, world.dispatch,
                     "{\"instruction\":\"wait 700\",\"agent\":\"coder\"}");
    assert_true(tool_order_wait_acknowledged(&order, 5000));
    assert_false(order.done);
    assert_string_equal(
        json_string_value(json_object_get(order.acknowledged, "status")),
        "dispatched");
    assert_string_equal(
        json_string_value(json_object_get(order.acknowledged, "agent")),
        "coder");
    assert_true(tool_order_wait(&order, 10000));
    assert_string_equal(text_of(&order, "response"), "waited");
    tool_order_free(&order);
    assert_int_equal(world.dispatch->spec.flags, TOOL_LONG);
}

/* --- chat completions */

static void
test_chat_answers_and_remembers(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};
    char arguments[200];

    (void) state;
    assert_says("{\"instruction\":\"say one\"}", "one");
    assert_int_equal(journal_count("chat a-model user:say one\n"), 1);
    assert_says("{\"instruction\":\"say two\",\"agent\":\"poet\"}", "two");
    assert_int_equal(
        journal_count("chat a-model system:Act as the agent \"poet\".|user:say "
                      "one|assistant:one|user:say two\n"),
        1);
    order_run(&order, "{\"instruction\":\"say three\",\"context_depth\":"
                      "\"recent\",\"context_turns\":1}");
    assert_int_equal(journal_count("chat a-model user:say two|assistant:two|"
                                   "user:say three\n"),
                     1);
    snprintf(arguments, sizeof(arguments),
             "{\"instruction\":\"say four\",\"context_depth\":\"none\","
             "\"session_id\":\"%s\"}",
             text_of(&order, "session_id"));
    tool_order_free(&order);
    assert_says(arguments, "four");
    assert_int_equal(journal_count("chat a-model user:say four\n"), 1);
    assert_says("{\"instruction\":\"none\"}", "refused");
}

static void
test_chat_history_has_a_cap(void **state)
{
    static char arguments[70000];
    static const char head[] = "{\"instruction\":\"say x";
    size_t bytes = sizeof(head) - 1;

    (void) state;
    memcpy(arguments, head, bytes);
    memset(arguments + bytes, 'y', 60000);
    memcpy(arguments + bytes + 60000, "\"}", 3);
    for (int i = 0; i < 4; i++) {
        struct tool_order_rig order = {.session_id = "sess_a"};

        order_run(&order, arguments);
        assert_non_null(order.output);
        tool_order_free(&order);
    }
    /* Two turns would be 240 KB. */
    assert_int_equal(
        journal_count("chat a-model user:say xyyyyyyyyyyyyyyyyyyyyyyyyy"), 4);
    assert_says("{\"instruction\":\"say z\",\"context_depth\":\"all\"}", "z");
    assert_int_equal(
        journal_count("chat a-model user:say xyyyyyyyyyyyyyyyyyyyyyyyyy|"
                      "assistant:xyyyyyyyyyyyyyyyyyyyyyyyyyyyyy|user:say z"),
        1);
}

static void
test_chat_failures_are_told_without_secrets(void **state)
{
    (void) state;
    assert_fails("{\"instruction\":\"fail 500\"}", "failed", "HTTP 500");
    assert_fails("{\"instruction\":\"nonsense\"}", "failed", "understood");
    assert_fails("{\"instruction\":\"fail 429\"}", "unavailable", "too much");
    assert_int_equal(journal_count("chat a-model user:fail 429"), 4);
    agent_end();
    agent_make(AGENT_CHAT, "wrong", 4, "");
    assert_fails("{\"instruction\":\"say x\"}", "unavailable", "key");
}

static void
test_chat_cancelled_orders_hang_up(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    tool_order_begin(&order, &world.rig, world.task,
                     "{\"instruction\":\"wait 60000\"}");
    journal_wait("chat", 1);
    tool_order_cancel(&order);
    assert_true(tool_order_wait(&order, 5000));
    assert_string_equal(order.type, "cancelled");
    tool_order_free(&order);
    journal_wait("closed", 1);
}

static void
test_r4_2_answers_are_cut(void **state)
{
    struct tool_order_rig order = {.session_id = "sess_a"};

    (void) state;
    order_run(&order, "{\"instruction\":\"big 200000\"}");
    assert_non_null(order.output);
    assert_true(order.truncated);
    assert_true(json_is_true(json_object_get(order.output, "truncated")));
    assert_int_equal(
        json_integer_value(json_object_get(order.output, "total_bytes")),
        200000);
    assert_true(json_dumpb(order.output, NULL, 0, JSON_COMPACT)
                <= world.task->spec.max_bytes);
    tool_order_free(&order);
    order_run(&order, "{\"instruction\":\"big 2000000\"}");
    assert_string_equal(order.type, "too_large");
    tool_order_free(&order);
}

/* --- what is refused before anything is made */

static void
test_agents_are_configured_soundly(void **state)
{
    static const char *const bad[] = {
        NULL,          "",           "ftp://a",       "http://",
        "https://",    "localhost",  "http://u@a",    "http://a/?b",
        "http://a/#b", "http://a b", "http://a\r\nX:"};
    struct agent_config cfg = {.kind = AGENT_CHAT,
                               .url = "http://127.0.0.1:1",
                               .model = "m",
                               .lanes = 1};
    struct agent *agent;

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cfg.url = bad[i];
        assert_int_equal(agent_create(&agent, &cfg), UV_EINVAL);
    }
    cfg.url = "http://127.0.0.1:1";
    cfg.model = "";
    assert_int_equal(agent_create(&agent, &cfg), UV_EINVAL);
    cfg.model = "m";
    cfg.lanes = 0;
    assert_int_equal(agent_create(&agent, &cfg), UV_EINVAL);
    cfg.lanes = AGENT_LANES_MAX + 1;
    assert_int_equal(agent_create(&agent, &cfg), UV_EINVAL);
}

/* --- lanes */

static void
on_gone(void *arg, struct agent_lane *lane)
{
    (void) lane;
    ++*(unsigned *) arg;
}

static struct agent_lane *
lane_take(struct agent_lanes *lanes, const char *caller, uint64_t now)
{
    struct agent_order order = {.tenant = "",
                                .caller = caller,
                                .conversation = "",
                                .context = AGENT_CONTEXT_RECENT};
    struct agent_lane *lane = NULL;

    (void) agent_lanes_take(lanes, &order, now, &lane);
    return lane;
}

static void
test_lanes(void **state)
{
    unsigned gone = 0;
    struct agent_lanes lanes = {.max = 2, .gone = on_gone, .arg = &gone};
    struct agent_lane *a, *b;

    (void) state;
    a = lane_take(&lanes, "s1", 10);
    b = lane_take(&lanes, "s1", 11);
    assert_true(a != NULL && b != NULL && a != b);
    assert_string_not_equal(a->id, b->id);
    assert_null(lane_take(&lanes, "s1", 12));
    agent_lanes_give(&lanes, a, 20);
    agent_lanes_give(&lanes, b, 21);
    /* The one that was used last. */
    assert_ptr_equal(lane_take(&lanes, "s1", 22), b);
    /* Somebody else's order drives out the idle one. */
    assert_int_equal(gone, 0);
    assert_non_null(lane_take(&lanes, "s2", 23));
    assert_int_equal(gone, 1);
    /* A lost one goes when it is idle. */
    b->lost = true;
    agent_lanes_give(&lanes, b, 30);
    assert_int_equal(gone, 2);
    assert_int_equal(lanes.count, 1);
    /* Over HTTP nobody comes back but by name. */
    a = lane_take(&lanes, "", 31);
    agent_lanes_give(&lanes, a, 32);
    agent_lanes_expire(&lanes, 50, 20);
    assert_int_equal(gone, 2);
    agent_lanes_expire(&lanes, 52, 20);
    assert_int_equal(gone, 3);
    lanes.first->busy = false;
    agent_lanes_expire(&lanes, 52, 0);
    assert_int_equal(lanes.count, 0);
}

/* --- cancel_current_task */

static struct {
    char tenant[16], session_id[16];
    bool immediate, all;
    unsigned count;
} told;

static unsigned
on_cancel(void *arg, const char *tenant, const char *session_id, bool immediate,
          struct buffer *names)
{
    (void) arg;
    snprintf(told.tenant, sizeof(told.tenant), "%s", tenant);
    told.all = session_id == NULL;
    snprintf(told.session_id, sizeof(told.session_id), "%s",
             session_id != NULL ? session_id : "");
    told.immediate = immediate;
    if (told.count > 0)
        assert_int_equal(buffer_append(names, "[\"bash\"]", 8), 0);
    return told.count;
}

static void
on_finished(void *arg, struct tool_result *result)
{
    *(json_t **) arg = result->output;
}

static json_t *
cancel_run(struct tool *tool, const char *session_id, const char *arguments)
{
    static const struct tool_run_handlers handlers = {.on_finished =
                                                          on_finished};
    json_t *output = NULL, *json = json_loads(arguments, 0, NULL);
    struct tool_run_config cfg = {
        .tenant = "t", .session_id = session_id, .arguments = json};
    struct tool_run run;

    tool_run_init(&run, &cfg, &handlers, &output);
    assert_int_equal(tool->ops->work(tool, &run), TOOL_STEP_DONE);
    tool_run_deinit(&run);
    json_decref(json);
    return output;
}

static void
test_cancel_current_task(void **state)
{
    struct tool_cancel_config cfg = {.cancel = on_cancel};
    struct tool *tool;
    json_t *output;

    (void) state;
    assert_int_equal(tool_cancel_create(&tool, &cfg), 0);
    told.count = 0;
    output = cancel_run(tool, "sess_a", "{}");
    assert_false(json_is_true(json_object_get(output, "cancelled")));
    assert_string_equal(json_string_value(json_object_get(output, "level")),
                        "graceful");
    assert_int_equal(json_array_size(json_object_get(output, "running_tools")),
                     0);
    assert_string_equal(told.session_id, "sess_a");
    assert_string_equal(told.tenant, "t");
    assert_false(told.immediate);
    json_decref(output);
    told.count = 1;
    output = cancel_run(tool, "", "{\"immediate\":true,\"reason\":\"stop\"}");
    assert_true(json_is_true(json_object_get(output, "cancelled")));
    assert_string_equal(json_string_value(json_object_get(output, "level")),
                        "immediate");
    assert_string_equal(json_string_value(json_array_get(
                            json_object_get(output, "running_tools"), 0)),
                        "bash");
    assert_true(told.immediate && told.all);
    json_decref(output);
    tool_unref(&tool);
}

#define AMPLIFIERD(f)                                                          \
    cmocka_unit_test_setup_teardown(f, amplifierd_open, world_close)
#define CHAT(f) cmocka_unit_test_setup_teardown(f, chat_open, world_close)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        AMPLIFIERD(test_amplifierd_answers),
        AMPLIFIERD(test_amplifierd_failures_are_told_without_secrets),
        AMPLIFIERD(test_amplifierd_that_still_loads_is_waited_for),
        AMPLIFIERD(test_amplifierd_conversations_go_on),
        AMPLIFIERD(test_amplifierd_orders_run_side_by_side),
        AMPLIFIERD(test_agents_are_counted_until_their_last_turn),
        AMPLIFIERD(test_amplifierd_is_told_of_cancelled_orders),
        AMPLIFIERD(test_amplifierd_busy_conversations_are_waited_for),
        AMPLIFIERD(test_amplifierd_that_forgot),
        AMPLIFIERD(test_amplifierd_long_waits_end_at_the_deadline),
        AMPLIFIERD(test_amplifierd_is_told_the_end),
        AMPLIFIERD(test_orders_are_cancelled_at_any_moment),
        AMPLIFIERD(test_dispatch_acknowledges_first),
        CHAT(test_chat_answers_and_remembers),
        CHAT(test_chat_history_has_a_cap),
        CHAT(test_chat_failures_are_told_without_secrets),
        CHAT(test_chat_cancelled_orders_hang_up),
        CHAT(test_r4_2_answers_are_cut),
        CHAT(test_orders_are_cancelled_at_any_moment),
        cmocka_unit_test(test_agents_are_configured_soundly),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_cancel_current_task),
    };

    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(curl_stream_library_open(), 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
