/* SPDX-License-Identifier: BSD-2-Clause */

/* Runs real commands in real sandboxes: needs bubblewrap. */

#include "tools/tool_bash.h"

#include "codec/tool_limits.h"
#include "codec/tool_schema.h"
#include "tools/tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER 12345 /* of the root, when the test is root's */

struct probe {
    struct loop_task task, cancel;
    struct tool_run run;
    json_t *arguments;
    json_t *output;
    bool truncated;
    char error[512], type[64];
    atomic_uint finished;
};

static struct loop *loop;
static struct tool *bash;
static char place[] = "/tmp/voice-bash.XXXXXX";
static char root[64];

static void
on_finished(void *arg, struct tool_result *result)
{
    struct probe *p = arg;

    p->output = result->output;
    p->truncated = result->truncated;
    snprintf(p->error, sizeof(p->error), "%s", result->error ?: "");
    snprintf(p->type, sizeof(p->type), "%s", result->type ?: "");
    assert_true((result->output == NULL) == (result->error != NULL));
    tool_run_deinit(&p->run);
    atomic_fetch_add(&p->finished, 1);
}

static const struct tool_run_handlers handlers = {.on_finished = on_finished};

static void
on_start(struct loop_task *task, void *arg)
{
    struct probe *p = arg;

    (void) task;
    bash->ops->start(bash, &p->run);
}

static void
on_cancel(struct loop_task *task, void *arg)
{
    struct probe *p = arg;

    (void) task;
    if (atomic_load(&p->finished) == 0)
        bash->ops->cancel(bash, &p->run);
}

static struct probe *
probe_start(json_t *arguments)
{
    struct probe *p = calloc(1, sizeof(*p));
    struct tool_run_config cfg = {.loop = loop,
                                  .id = "run_1",
                                  .tenant = "",
                                  .session_id = "",
                                  .arguments = arguments,
                                  .traceparent = ""};

    assert_non_null(p);
    assert_non_null(arguments);
    p->arguments = arguments;
    tool_run_init(&p->run, &cfg, &handlers, p);
    p->task = (struct loop_task){.run = on_start, .arg = p};
    p->cancel = (struct loop_task){.run = on_cancel, .arg = p};
    loop_post(loop, &p->task);
    return p;
}

static struct probe *
probe_wait(struct probe *p)
{
    for (int i = 0; i < 60000 && atomic_load(&p->finished) == 0; i++)
        usleep(1000);
    usleep(1000);
    assert_int_equal(atomic_load(&p->finished), 1);
    return p;
}

static struct probe *
command_run(const char *command)
{
    return probe_wait(probe_start(json_pack("{s:s}", "command", command)));
}

static const char *
text_of(const struct probe *p, const char *name)
{
    const char *text = json_string_value(json_object_get(p->output, name));

    assert_non_null(text);
    return text;
}

static json_int_t
number_of(const struct probe *p, const char *name)
{
    assert_true(json_is_integer(json_object_get(p->output, name)));
    return json_integer_value(json_object_get(p->output, name));
}

static void
probe_free(struct probe *p)
{
    json_decref(p->arguments);
    json_decref(p->output);
    free(p);
}

static void
test_result_has_amplifiers_shape(void **state)
{
    struct probe *p = command_run("echo out; echo err >&2; pwd; exit 3");
    char expected[100];

    (void) state;
    snprintf(expected, sizeof(expected), "out\n%s\n", root);
    assert_string_equal(text_of(p, "stdout"), expected);
    assert_string_equal(text_of(p, "stderr"), "err\n");
    assert_int_equal(number_of(p, "returncode"), 3);
    assert_true(json_is_false(json_object_get(p->output, "truncated")));
    assert_int_equal(number_of(p, "stdout_total_bytes"), strlen(expected));
    assert_int_equal(number_of(p, "stderr_total_bytes"), 4);
    assert_false(p->truncated);
    probe_free(p);
    p = command_run("true");
    assert_string_equal(text_of(p, "stdout"), "");
    assert_int_equal(number_of(p, "returncode"), 0);
    probe_free(p);
}

/* R4.2: 50,000 bytes, of both together; head and tail; whole characters. */
static void
test_r4_2_output_is_cut(void **state)
{
    static const struct {
        const char *command;
        json_int_t out, errors;
        size_t least, most; /* bytes of stdout that are left */
    } rows[] = {
        {"head -c 50000 /dev/zero | tr '\\0' x", 50000, 0, 50000, 50000},
        {"head -c 50001 /dev/zero | tr '\\0' x", 50001, 0, 40000, 50000},
        {"head -c 45000 /dev/zero | tr '\\0' x; echo no >&2", 45000, 3, 45000,
         45000},
        {"head -c 90000 /dev/zero | tr '\\0' x;"
         "head -c 90000 /dev/zero | tr '\\0' y >&2",
         90000, 90000, 31000, 40000},
        {"echo hi; head -c 90000 /dev/zero | tr '\\0' y >&2", 3, 90000, 3, 3},
        {"head -c 49990 /dev/zero | tr '\\0' x; echo 0123456789012345 >&2",
         49990, 17, 39000, 49983},
        {"yes ü | head -c 4000000", 4000000, 0, 39000, 50000},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct probe *p = command_run(rows[i].command);
        size_t out = strlen(text_of(p, "stdout"));
        size_t errors = strlen(text_of(p, "stderr"));
        bool cut = rows[i].out + rows[i].errors > TOOL_LIMIT_BASH_BYTES;

        assert_int_equal(number_of(p, "stdout_total_bytes"), rows[i].out);
        assert_int_equal(number_of(p, "stderr_total_bytes"), rows[i].errors);
        assert_in_range(out, rows[i].least, rows[i].most);
        assert_true(out + errors <= TOOL_LIMIT_BASH_BYTES);
        assert_int_equal(json_is_true(json_object_get(p->output, "truncated")),
                         cut);
        assert_int_equal(p->truncated, cut);
        probe_free(p);
    }
    struct probe *p = command_run("seq 1 20000");
    assert_memory_equal(text_of(p, "stdout"), "1\n2\n3\n", 6);
    assert_non_null(strstr(text_of(p, "stdout"), "\n19999\n20000\n"));
    assert_non_null(strstr(text_of(p, "stdout"), " bytes left out "));
    probe_free(p);
}

static void
test_bytes_that_are_no_text(void **state)
{
    struct probe *p = command_run("printf 'a\\000b\\377c\\303'");

    (void) state;
    assert_string_equal(text_of(p, "stdout"), "a?b?c?");
    assert_int_equal(number_of(p, "stdout_total_bytes"), 6);
    probe_free(p);
}

static void
test_r3_5_time_limit(void **state)
{
    struct probe *p = probe_wait(probe_start(json_pack(
        "{s:s, s:i}", "command",
        "trap '' TERM; setsid sleep 100 & echo x; sleep 100", "timeout", 1)));

    (void) state;
    assert_string_equal(p->type, "timeout");
    assert_string_equal(p->error,
                        "The command was ended: it took longer than 1 s.");
    probe_free(p);
}

static void
test_cancelled(void **state)
{
    (void) state;
    for (int i = 0; i < 20; i++) {
        struct probe *p =
            probe_start(json_pack("{s:s}", "command", "cat /dev/zero"));
        usleep((useconds_t) i * 2000);
        loop_post(loop, &p->cancel);
        probe_wait(p);
        assert_string_equal(p->type, "cancelled");
        probe_free(p);
    }
}

static void
test_memory_and_own_signals(void **state)
{
    (void) state;
    struct probe *p = command_run("for i in 1 2 3 4 5 6; do (x=$(head -c "
                                  "40000000 /dev/zero | tr '\\0' x); sleep 9)"
                                  "& done; wait");
    assert_string_equal(p->type, "failed");
    assert_non_null(strstr(p->error, "more memory than the 128 MB"));
    probe_free(p);
    p = command_run("kill -9 $$");
    assert_int_equal(number_of(p, "returncode"), 137);
    probe_free(p);
}

static void
test_arguments(void **state)
{
    static const struct {
        const char *arguments;
        bool valid;
    } rows[] = {
        {"{\"command\":\"x\"}", true},
        {"{\"command\":\"x\",\"timeout\":5}", true},
        {"{\"command\":\"x\",\"timeout\":5,\"description\":\"\"}", true},
        {"{}", false},
        {"{\"command\":\"\"}", false},
        {"{\"command\":1}", false},
        {"{\"command\":\"x\",\"timeout\":0}", false},
        {"{\"command\":\"x\",\"timeout\":21}", false},
        {"{\"command\":\"x\",\"timeout\":1e300}", false},
        {"{\"command\":\"x\",\"run_in_background\":1}", false}};
    char error[TOOL_SCHEMA_ERROR_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *arguments = json_loads(rows[i].arguments, 0, NULL);
        assert_int_equal(tool_schema_check(bash->schema, arguments, error),
                         rows[i].valid ? 0 : UV_EINVAL);
        json_decref(arguments);
    }
    assert_int_equal(bash->spec.flags, 0);
    assert_int_equal(bash->spec.ttl_ms, 0);
    assert_true(bash->spec.timeout_ms > 20000);

    struct probe *p = probe_wait(
        probe_start(json_pack("{s:s%}", "command", "echo\0hi", (size_t) 7)));
    assert_string_equal(p->type, "invalid_arguments");
    probe_free(p);
    p = probe_wait(probe_start(
        json_pack("{s:s, s:b}", "command", "true", "run_in_background", 1)));
    assert_string_equal(p->type, "invalid_arguments");
    probe_free(p);
}

static void
test_not_too_many_at_once(void **state)
{
    struct probe *p[TOOL_BASH_RUNNING + 3];
    unsigned refused = 0;

    (void) state;
    for (size_t i = 0; i < TOOL_BASH_RUNNING + 3; i++)
        p[i] = probe_start(json_pack("{s:s}", "command", "sleep 0.5"));
    for (size_t i = 0; i < TOOL_BASH_RUNNING + 3; i++) {
        refused += strcmp(probe_wait(p[i])->type, "unavailable") == 0;
        probe_free(p[i]);
    }
    assert_int_equal(refused, 3);
    probe_free(command_run("true"));
}

static void
test_no_sandbox_no_tool(void **state)
{
    struct tool_bash_config cfg = {.sandbox = {.root = "/home/none",
                                               .memory_bytes = 1 << 28,
                                               .file_bytes = 1 << 20,
                                               .cpu_s = 10,
                                               .processes = 20},
                                   .max_timeout_ms = 1000};
    struct tool *none = NULL;

    (void) state;
    assert_int_not_equal(tool_bash_create(&none, &cfg), 0);
    assert_null(none);
}

static int
group_setup(void **state)
{
    struct tool_bash_config cfg = {.sandbox = {.root = root,
                                               .memory_bytes = 128 << 20,
                                               .file_bytes = 16 << 20,
                                               .cpu_s = 20,
                                               .processes = 40},
                                   .max_timeout_ms = 20000};

    (void) state;
    if (!mkdtemp(place) || chmod(place, 0755) != 0)
        return 1;
    snprintf(root, sizeof(root), "%s/root", place);
    if (mkdir(root, 0755) != 0
        || (getuid() == 0 && chown(root, OWNER, OWNER) != 0))
        return 1;
    if (tool_bash_create(&bash, &cfg) != 0)
        return 1;
    return loop_create(&loop, 0) != 0 || loop_start(loop) != 0;
}

static int
group_teardown(void **state)
{
    char command[100];

    (void) state;
    for (int i = 0; i < 10000 && child_count() != 0; i++)
        usleep(1000);
    assert_int_equal(child_count(), 0);
    loop_stop(loop);
    loop_destroy(&loop);
    tool_unref(&bash);
    snprintf(command, sizeof(command), "rm -rf '%s'", place);
    return system(command);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result_has_amplifiers_shape),
        cmocka_unit_test(test_r4_2_output_is_cut),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_r3_5_time_limit),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_memory_and_own_signals),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_not_too_many_at_once),
        cmocka_unit_test(test_no_sandbox_no_tool),
    };
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
