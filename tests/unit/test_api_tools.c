/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_tools.h"

#include "api/api_tools_stream.h"
#include "api/router.h"
#include "base/clock.h"
#include "codec/policy.h"
#include "kit/fcgi_peer.h"
#include "kit/policy_text.h"
#include "service/event_bus.h"
#include "service/tool_cache.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "tools/tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGES 400

static struct {
    struct server_config config;
    struct api_context api;
    struct loop *loops[1], *services;
    struct tool_cache *cache;
    int listen_fd;
    char path[108];
    char *policy;
    atomic_uint echoed, started, cancelled, paged;
    _Atomic(struct tool_run *) held;
} rig;

/* --- tools */

static const char any_object[] = "{\"type\":\"object\"}";

/* Its arguments; kept. */
static enum tool_step
echo_work(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    atomic_fetch_add(&rig.echoed, 1);
    tool_run_succeed(run, json_pack("{s:O}", "echo", run->cfg.arguments));
    return TOOL_STEP_DONE;
}

static enum tool_step
fail_work(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    tool_run_fail(run, "not_found", "No \"such\" thing.");
    return TOOL_STEP_DONE;
}

/* PAGES of 10 kB, then how many there were. */
static enum tool_step
pages_work(struct tool *tool, struct tool_run *run)
{
    int *made = run->kept;
    char text[10001];

    (void) tool;
    if (made == NULL) {
        made = calloc(1, sizeof(*made));
        tool_run_keep(run, made, free);
    }
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    if (*made < PAGES && !tool_run_is_cancelled(run)) {
        atomic_fetch_add(&rig.paged, 1);
        if (tool_run_page(run,
                          json_pack("{s:i, s:s}", "n", (*made)++, "text", text))
            == 0) {
            return TOOL_STEP_PAGE;
        }
    }
    tool_run_succeed(run, json_pack("{s:i}", "total", *made));
    return TOOL_STEP_DONE;
}

/* Until it is cancelled, or let go. */
static void
hold_start(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    tool_run_progress(run, 1, 4, "one \"quarter\"");
    atomic_store(&rig.held, run);
    atomic_fetch_add(&rig.started, 1);
}

static void
hold_cancel(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    atomic_fetch_add(&rig.cancelled, 1);
    tool_run_fail(run, "cancelled", "Cancelled.");
}

/* 50 ms. */
struct nap {
    uv_timer_t timer;
    struct tool_run *run;
};

static void
on_nap_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void
on_nap(uv_timer_t *timer)
{
    struct nap *nap = timer->data;
    struct tool_run *run = nap->run;

    uv_close((uv_handle_t *) timer, on_nap_closed);
    tool_run_succeed(run, json_string("slept"));
}

static void
nap_start(struct tool *tool, struct tool_run *run)
{
    struct nap *nap = calloc(1, sizeof(*nap));

    (void) tool;
    nap->run = run;
    nap->timer.data = nap;
    uv_timer_init(loop_uv(run->cfg.loop), &nap->timer);
    uv_timer_start(&nap->timer, on_nap, 50, 0);
}

static void
tool_free(struct tool *tool)
{
    tool_deinit(tool);
    free(tool);
}

static void
nothing_cancel(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    (void) run;
}

static const struct tool_ops echo_ops = {.work = echo_work,
                                         .destroy = tool_free};
static const struct tool_ops fail_ops = {.work = fail_work,
                                         .destroy = tool_free};
static const struct tool_ops pages_ops = {.work = pages_work,
                                          .destroy = tool_free};
static const struct tool_ops hold_ops = {
    .start = hold_start, .cancel = hold_cancel, .destroy = tool_free};
static const struct tool_ops nap_ops = {
    .start = nap_start, .cancel = nothing_cancel, .destroy = tool_free};

static void
tool_put(const char *name, const struct tool_ops *ops, unsigned flags,
         const char *schema)
{
    struct tool *tool = calloc(1, sizeof(*tool));
    const struct tool_spec spec = {
        .name = name,
        .description = "A tool of the test.",
        .parameters = schema,
        .flags = flags,
        .domain = TOOL_DOMAIN_OTHER,
        .ttl_ms = ops == &echo_ops ? 60000 : 0,
        .timeout_ms = 20000,
        .max_bytes = 100000,
    };

    assert_int_equal(tool_init(tool, ops, &spec), 0);
    assert_int_equal(tool_registry_add(rig.api.tools, &tool), 0);
}

/* --- the rig */

static void
tools_start(void)
{
    const struct tool_cache_config cache = {.max_entries = 100,
                                            .max_bytes = 1 << 20};
    struct tool_runner_config runner = {
        .root = "",
        .threads = 8,
        .max_running = 64,
        .max_waiting = 64,
    };

    assert_int_equal(tool_cache_create(&rig.cache, &cache), 0);
    assert_int_equal(tool_registry_create(&rig.api.tools), 0);
    tool_put("echo", &echo_ops, TOOL_READ_ONLY,
             "{\"type\":\"object\",\"properties\":"
             "{\"n\":{\"type\":\"integer\"}}}");
    tool_put("fail", &fail_ops, TOOL_READ_ONLY, any_object);
    tool_put("pages", &pages_ops, TOOL_READ_ONLY | TOOL_PAGES, any_object);
    tool_put("hold", &hold_ops, TOOL_READ_ONLY, any_object);
    tool_put("nap", &nap_ops, TOOL_READ_ONLY, any_object);
    tool_put("secret", &echo_ops, TOOL_READ_ONLY, any_object);
    runner.registry = rig.api.tools;
    runner.cache = rig.cache;
    runner.loop = rig.services;
    assert_int_equal(tool_runner_create(&rig.api.tool_runner, &runner), 0);
}

static int
rig_start(void **state)
{
    struct gate_config cfg = {.listen_fd = fcgi_listen(rig.path),
                              .threads = 2,
                              .max_parked = 64,
                              .max_body_bytes = 1 << 20,
                              .read_timeout_ms = 1000};

    (void) state;
    rig.listen_fd = cfg.listen_fd;
    memset(&rig.config, 0, sizeof(rig.config));
    rig.config.max_parked = 64;
    rig.config.auth.mode = AUTH_NONE;
    rig.api = (struct api_context){
        .config = &rig.config, .loops = rig.loops, .loop_count = 1};
    rig.api.ready = true;
    rig.echoed = rig.started = rig.cancelled = rig.paged = 0;
    rig.held = NULL;
    rig.policy = policy_text("{\"http_tools\":[\"echo\",\"fail\",\"pages\","
                             "\"hold\",\"nap\",\"missing\"],"
                             "\"web_app\":true}");
    assert_int_equal(loop_create(&rig.loops[0], 0), 0);
    assert_int_equal(loop_start(rig.loops[0]), 0);
    assert_int_equal(loop_create(&rig.services, 1), 0);
    assert_int_equal(loop_start(rig.services), 0);
    assert_int_equal(event_bus_create(&rig.api.events), 0);
    tools_start();
    assert_int_equal(gate_create(&rig.api.gate, &cfg, router_handle, &rig.api),
                     0);
    assert_int_equal(gate_start(rig.api.gate), 0);
    return 0;
}

static bool
nothing_left(void *arg)
{
    (void) arg;
    return tool_runner_count(rig.api.tool_runner) == 0
           && api_tools_stream_count() == 0;
}

static int
rig_stop(void **state)
{
    (void) state;
    gate_destroy(&rig.api.gate);
    tool_runner_close(rig.api.tool_runner);
    assert_true(fcgi_eventually(nothing_left, NULL));
    tool_runner_destroy(&rig.api.tool_runner);
    loop_stop(rig.loops[0]);
    loop_stop(rig.services);
    tool_registry_destroy(&rig.api.tools);
    tool_cache_destroy(&rig.cache);
    loop_destroy(&rig.loops[0]);
    loop_destroy(&rig.services);
    event_bus_destroy(&rig.api.events);
    policy_cache_clear();
    free(rig.policy);
    close(rig.listen_fd);
    fcgi_unlink(rig.path);
    return 0;
}

struct question {
    const char *method, *path, *body;
    const char *type, *accept, *origin, *tenant, *policy;
};

static int
ask(struct question q)
{
    const char *params[32] = {"REQUEST_METHOD", q.method,    "DOCUMENT_URI",
                              q.path,           "HTTP_HOST", "voice.example"};
    const char *more[] = {
        "VOICE_POLICY", q.policy != NULL ? q.policy : rig.policy,
        "CONTENT_TYPE", q.type != NULL ? q.type : "application/json",
        "HTTP_ACCEPT",  q.accept,
        "HTTP_ORIGIN",  q.origin,
        "VOICE_TENANT", q.tenant,
    };
    size_t count = 6;
    struct fcgi_bytes b = {0};
    int fd = fcgi_connect(rig.path);

    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i += 2) {
        if (more[i + 1] != NULL) {
            params[count++] = more[i];
            params[count++] = more[i + 1];
        }
    }
    fcgi_put_request(&b, false, params);
    if (q.body != NULL) {
        fcgi_put_record(&b, 5, q.body, strlen(q.body));
    }
    fcgi_put_record(&b, 5, "", 0);
    fcgi_write(fd, &b, 0);
    fcgi_free(&b);
    return fd;
}

static char *
answer(int fd)
{
    static char *text;
    struct fcgi_bytes out = {0};

    assert_true(fcgi_read(fd, &out, 0));
    fcgi_put(&out, "", 1);
    free(text);
    text = (char *) out.data;
    close(fd);
    return text;
}

static void
expect(struct question q, const char *want)
{
    char *text = answer(ask(q));

    if (strstr(text, want) == NULL) {
        fail_msg("%s %s: no '%s' in\n%.2000s", q.method, q.path, want, text);
    }
}

#define GET(...)  ((struct question){.method = "GET", .path = __VA_ARGS__})
#define POST(...) ((struct question){.method = "POST", .path = __VA_ARGS__})

static bool
is_started(void *arg)
{
    return atomic_load(&rig.started) >= *(unsigned *) arg;
}

static bool
is_cancelled(void *arg)
{
    return atomic_load(&rig.cancelled) >= *(unsigned *) arg;
}

/* --- tests */

static void
test_list(void **state)
{
    char *text;

    (void) state;
    expect(GET("/v1/tools"), "{\"tools\":[{\"type\":\"function\","
                             "\"name\":\"echo\",");
    expect(GET("/v1/tools"), ",\"count\":5}");
    expect(GET("/tools"), ",\"count\":5}");
    text = answer(ask(GET("/v1/tools")));
    assert_null(strstr(text, "secret"));
    expect(GET("/v1/tools", .policy = ""), "policy_missing");
    expect(POST("/v1/tools/echo", "{}", .policy = "{\"v\":1,"),
           "policy_invalid");
}

static void
test_one(void **state)
{
    (void) state;
    expect(POST("/v1/tools/echo", "{\"n\":1}"),
           "{\"success\":true,\"output\":{\"echo\":{\"n\":1}},"
           "\"cached\":false,\"truncated\":false,\"duration_ms\":");
    expect(POST("/v1/tools/echo", "{\"n\":1}"), "\"cached\":true");
    assert_int_equal(rig.echoed, 1);
    expect(POST("/v1/tools/echo", "{\"n\":1}", .tenant = "other"),
           "\"cached\":false");
    expect(POST("/v1/tools/nap", "{}"), "\"output\":\"slept\"");
    expect(POST("/v1/tools/fail", "{}"),
           "{\"success\":false,\"error\":{\"message\":\"No \\\"such\\\" "
           "thing.\",\"type\":\"not_found\"},\"cached\":false,"
           "\"truncated\":false,");
    expect(POST("/v1/tools/fail", "{}"), "Status: 200 ");
}

static void
test_refused(void **state)
{
    char *none = policy_text("");

    (void) state;
    expect(POST("/v1/tools/secret", "{}"), "Status: 404 ");
    expect(POST("/v1/tools/secret", "{}"), "tool_not_found");
    expect(POST("/v1/tools/missing", "{}"), "Status: 404 ");
    expect(POST("/v1/tools/echo", "{}", .policy = none), "Status: 404 ");
    expect(POST("/v1/tools/echo", "{}", .type = "text/plain"), "Status: 415 ");
    expect(POST("/v1/tools/echo", "{", .type = NULL), "Status: 400 ");
    expect(POST("/v1/tools/echo", "{\"n\":1,\"n\":2}"), "Status: 400 ");
    expect(POST("/v1/tools/echo", "[1]"), "invalid_arguments");
    expect(POST("/v1/tools/echo", "[1]"), "Status: 200 ");
    expect(POST("/v1/tools/echo", "{\"n\":\"x\"}"), "invalid_arguments");
    expect(POST("/v1/tools/echo", "{}", .origin = "https://evil"),
           "origin_not_allowed");
    expect(GET("/v1/tools/echo"), "Allow: POST, OPTIONS");
    assert_int_equal(rig.echoed, 0);
    free(none);
}

static void
test_web_app(void **state)
{
    char *off = policy_text("{\"http_tools\":[\"echo\"]}");

    (void) state;
    expect(POST("/execute/echo", "{}"),
           "{\"success\":true,\"output\":{\"echo\":{}}}");
    expect(POST("/execute/fail", "{}"),
           "{\"success\":false,\"error\":\"No \\\"such\\\" thing.\"}");
    expect(POST("/execute/secret", "{}"), "{\"success\":false,\"error\":");
    expect(POST("/execute/secret", "{}"), "Status: 200 ");
    expect(POST("/execute/missing", "{}"), "{\"success\":false,\"error\":");
    expect(POST("/execute/echo", "{"), "{\"detail\":\"line 1 ");
    expect(POST("/execute/echo", "{}", .type = "text/plain"), "Status: 415 ");
    for (int i = 0; i < 5; i++) {
        static const char *const paths[] = {
            "/execute/echo", "/cancel", "/tools", "/cancel/status", "/events"};
        struct question q = {.method = i < 2 ? "POST" : "GET",
                             .path = paths[i],
                             .body = i < 2 ? "{}" : NULL,
                             .policy = off};

        expect(q, "Status: 404 ");
        expect(q, "{\"detail\":\"Not Found\"}");
    }
    free(off);
}

static void
test_batch(void **state)
{
    static const char many[] =
        "{\"calls\":[{\"call_id\":\"a\",\"name\":\"nap\",\"arguments\":{}},"
        "{\"call_id\":\"b\",\"name\":\"echo\",\"arguments\":{\"n\":7}},"
        "{\"call_id\":\"c\",\"name\":\"secret\",\"arguments\":{}},"
        "{\"call_id\":\"d\",\"name\":\"fail\"},"
        "{\"call_id\":\"e\\\"\",\"name\":\"echo\",\"arguments\":[]},"
        "{\"call_id\":\"f\",\"name\":\"nap\",\"arguments\":{\"a\":1}}]}";
    json_t *tree, *results;
    uint64_t begun = clock_now_ms();
    char *text = answer(ask(POST("/v1/tools", many)));
    static const char *const ids[] = {"a", "b", "c", "d", "e\"", "f"};

    (void) state;
    assert_true(clock_now_ms() - begun < 2000);
    tree = json_loads(strstr(text, "\r\n\r\n") + 4, 0, NULL);
    results = json_object_get(tree, "results");
    assert_int_equal(json_array_size(results), 6);
    for (size_t i = 0; i < 6; i++) {
        json_t *result = json_array_get(results, i);

        assert_string_equal(
            json_string_value(json_object_get(result, "call_id")), ids[i]);
        assert_int_equal(json_is_true(json_object_get(result, "success")),
                         i == 0 || i == 1 || i == 5);
    }
    json_decref(tree);
    expect(POST("/v1/tools", "{\"calls\":[{\"call_id\":\"b\",\"name\":"
                             "\"echo\",\"arguments\":{\"n\":7}}]}"),
           "\"cached\":true");
    expect(POST("/v1/tools", "{\"calls\":[]}"), "Status: 400 ");
    expect(POST("/v1/tools", "[]"), "\"param\":\"calls\"");
    expect(POST("/v1/tools", "{\"calls\":[7]}"), "\"param\":\"calls[0]\"");
    expect(POST("/v1/tools", "{\"calls\":[{\"call_id\":\"a\"}]}"),
           "\"param\":\"calls[0].name\"");
    expect(POST("/v1/tools", "{\"calls\":[{\"name\":\"echo\"}]}"),
           "\"param\":\"calls[0].call_id\"");
}

static size_t
count_of(const char *text, const char *what)
{
    size_t count = 0;

    for (; (text = strstr(text, what)) != NULL; text += strlen(what)) {
        count++;
    }
    return count;
}

static void
test_stream(void **state)
{
    char *text;

    (void) state;
    text = answer(
        ask(POST("/v1/tools/pages", "{}", .accept = "application/x-ndjson")));
    assert_non_null(strstr(text, "Content-Type: application/x-ndjson\r\n"));
    assert_non_null(strstr(text, "X-Accel-Buffering: no\r\n"));
    assert_non_null(
        strstr(text, "\r\n\r\n{\"type\":\"page\",\"page\":{\"n\":0,"));
    assert_int_equal(count_of(text, "\n{\"type\":\"page\","), PAGES);
    assert_non_null(strstr(text, "\n{\"type\":\"result\",\"success\":true,"
                                 "\"output\":{\"total\":400},"));
    text = answer(
        ask(POST("/v1/tools/pages", "{}", .accept = "text/event-stream, */*")));
    assert_non_null(strstr(text, "Content-Type: text/event-stream\r\n"));
    assert_int_equal(
        count_of(text, "event: page\ndata: {\"type\":\"page\",\"page\":{"),
        PAGES);
    assert_non_null(strstr(text,
                           "\n\nevent: result\ndata: {\"type\":\"result\","
                           "\"success\":true,"));
    expect(POST("/v1/tools/secret", "{}", .accept = "text/event-stream"),
           "Status: 404 ");
    expect(POST("/v1/tools/echo", "[]", .accept = "text/event-stream"),
           "invalid_arguments");
    expect(POST("/v1/tools/fail", "{}", .accept = "text/event-stream"),
           "data: {\"type\":\"result\",\"success\":false,");
    expect(POST("/v1/tools/nap", "{}", .accept = "application/x-ndjson"),
           "{\"type\":\"result\",\"success\":true,\"output\":\"slept\",");
    expect(POST("/v1/tools/echo", "{}", .accept = "application/x-ndjson"),
           "\"cached\":false");
}

/* It gets no page further than what the sockets hold. */
static void
test_slow_reader(void **state)
{
    int fd = ask(POST("/v1/tools/pages", "{}", .accept = "text/event-stream"));
    struct fcgi_bytes some = {0};
    unsigned made;

    (void) state;
    assert_false(fcgi_read(fd, &some, 10000));
    fcgi_free(&some);
    usleep(200000);
    made = rig.paged;
    assert_true(made < PAGES);
    usleep(100000);
    assert_int_equal(rig.paged, made);
    expect(POST("/v1/tools/echo", "{}"), "\"success\":true");
    close(fd);
    assert_true(fcgi_eventually(nothing_left, NULL));
    assert_true(rig.paged < PAGES);
}

static void
test_hang_up(void **state)
{
    static const char *const accepts[] = {NULL, "text/event-stream"};
    unsigned count = 0;

    (void) state;
    for (int i = 0; i < 2; i++) {
        int fd = ask(POST("/v1/tools/hold", "{}", .accept = accepts[i]));

        count++;
        assert_true(fcgi_eventually(is_started, &count));
        close(fd);
        assert_true(fcgi_eventually(is_cancelled, &count));
    }
    int fd = ask(POST("/v1/tools", "{\"calls\":[{\"call_id\":\"a\","
                                   "\"name\":\"hold\"},{\"call_id\":\"b\","
                                   "\"name\":\"hold\",\"arguments\":"
                                   "{\"b\":1}}]}"));
    count += 2;
    assert_true(fcgi_eventually(is_started, &count));
    close(fd);
    assert_true(fcgi_eventually(is_cancelled, &count));
    assert_true(fcgi_eventually(nothing_left, NULL));
}

static void
test_cancel(void **state)
{
    unsigned count = 1;
    int fd;

    (void) state;
    expect(GET("/v1/cancel/status"),
           "{\"is_cancellable\":false,\"is_cancelled\":false,"
           "\"level\":\"none\",\"running_tools\":[],\"active_children\":0}");
    expect(POST("/v1/cancel", NULL, .type = "x/y"),
           "{\"cancelled\":false,\"level\":\"graceful\",\"running_tools\":[],"
           "\"was_already_cancelled\":false}");
    fd = ask(POST("/v1/tools/hold", "{}", .tenant = "acme"));
    assert_true(fcgi_eventually(is_started, &count));
    /* Another tenant neither sees nor cancels it. */
    expect(GET("/v1/cancel/status"), "\"running_tools\":[]");
    expect(POST("/v1/cancel", "{\"immediate\":true}"), "\"cancelled\":false");
    expect(POST("/v1/cancel", "{\"immediate\":true,\"session_id\":\"\"}"),
           "Status: 400 ");
    expect(POST("/v1/cancel", "{\"immediate\":true,\"session_id\":\"sess_x\"}",
                .tenant = "acme"),
           "\"cancelled\":false");
    expect(GET("/v1/cancel/status", .tenant = "acme"),
           "{\"is_cancellable\":true,\"is_cancelled\":false,"
           "\"level\":\"none\",\"running_tools\":[\"hold\"],");
    assert_int_equal(rig.cancelled, 0);
    expect(POST("/v1/cancel", "{}", .tenant = "acme"),
           "{\"cancelled\":true,\"level\":\"graceful\","
           "\"running_tools\":[\"hold\"],\"was_already_cancelled\":false}");
    expect(GET("/cancel/status", .tenant = "acme"),
           "\"is_cancelled\":true,\"level\":\"graceful\"");
    assert_int_equal(rig.cancelled, 0);
    expect(POST("/cancel", "{\"reason\":\"enough\"}", .tenant = "acme"),
           "\"was_already_cancelled\":true");
    expect(POST("/cancel", "{\"immediate\":true}", .tenant = "acme"),
           "{\"cancelled\":true,\"level\":\"immediate\","
           "\"running_tools\":[\"hold\"],\"was_already_cancelled\":false}");
    assert_non_null(strstr(answer(fd), "\"type\":\"cancelled\""));
    assert_int_equal(rig.cancelled, 1);
    expect(POST("/cancel", "{\"immediate\":1}"), "{\"detail\":");
    expect(POST("/v1/cancel", "{}", .origin = "https://evil"),
           "origin_not_allowed");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_start, rig_stop)
    const struct CMUnitTest tests[] = {
        TEST(test_list),        TEST(test_one),     TEST(test_refused),
        TEST(test_web_app),     TEST(test_batch),   TEST(test_stream),
        TEST(test_slow_reader), TEST(test_hang_up), TEST(test_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
