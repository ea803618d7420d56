/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_runner.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "service/tool_cache.h"
#include "service/tool_registry.h"
#include "tools/tool_run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define WAIT_MS 20000 /* for what must come */
#define THREADS 64
#define ROUNDS  150
#define RUNNING 6
#define WAITING 200
#define SCHEMA                                                                 \
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"      \
    "\"additionalProperties\":false}"

static struct loop *services, *session;
static struct tool_registry *registry;
static struct tool_cache *cache;
static struct tool_runner *runner;

/* --- a tool that does as it is told */

struct fake {
    struct tool tool;
    atomic_uint runs, cancels, destroyed;
    atomic_bool gate; /* work and start wait for it */
    atomic_bool begun;
    atomic_int file; /* what it reads and writes */
    atomic_uint file_version;
    unsigned work_us;
    unsigned pages;
    const char *fails;            /* a type */
    const char *text;             /* NULL: {"n":…} */
    struct tool_run *_Atomic run; /* started and not finished */
    bool ignores_cancel;
    bool acknowledges;
};

static struct fake fakes[4];
static atomic_uint destroyed;

static void
await(atomic_bool *flag)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (!atomic_load(flag) && clock_now_ms() < end)
        usleep(100);
    assert_true(atomic_load(flag));
}

static bool
gate_wait(struct fake *f, const struct tool_run *run)
{
    while (!atomic_load(&f->gate)) {
        if (!f->ignores_cancel && tool_run_is_cancelled(run))
            return false;
        usleep(100);
    }
    return true;
}

static enum tool_step
fake_work(struct tool *tool, struct tool_run *run)
{
    struct fake *f = (struct fake *) tool;

    atomic_fetch_add(&f->runs, 1);
    atomic_store(&f->begun, true);
    if (f->work_us)
        usleep(f->work_us);
    if (!gate_wait(f, run)) {
        tool_run_fail(run, "cancelled", "cancelled");
        return TOOL_STEP_DONE;
    }
    if (f->fails) {
        tool_run_fail(run, f->fails, "It is \xff broken.");
        return TOOL_STEP_DONE;
    }
    if (run->cfg.wants_pages) {
        uintptr_t page = (uintptr_t) run->kept;

        if (page < f->pages) {
            json_t *text = json_pack("{s:i}", "page", (int) page);

            tool_run_keep(run, (void *) (page + 1), NULL);
            if (tool_run_page(run, text) == 0)
                return TOOL_STEP_PAGE;
            tool_run_fail(run, "cancelled", "nobody reads");
            return TOOL_STEP_DONE;
        }
    }
    tool_run_succeed(run,
                     f->text ? json_string(f->text)
                             : json_pack("{s:i}", "n",
                                         (int) tool_run_integer(run, "n", -1)));
    return TOOL_STEP_DONE;
}

static void
fake_start(struct tool *tool, struct tool_run *run)
{
    struct fake *f = (struct fake *) tool;

    atomic_fetch_add(&f->runs, 1);
    if (f->acknowledges)
        tool_run_acknowledge(run, json_pack("{s:s}", "status", "begun"));
    tool_run_progress(run, 1, 4, "a quarter");
    atomic_store(&f->begun, true);
    if (atomic_load(&f->gate)) {
        tool_run_succeed(run, json_pack("{s:b}", "started", 1));
        return;
    }
    atomic_store(&f->run, run);
}

static void
fake_cancel(struct tool *tool, struct tool_run *run)
{
    struct fake *f = (struct fake *) tool;

    atomic_fetch_add(&f->cancels, 1);
    if (atomic_exchange(&f->run, NULL) == run)
        tool_run_fail(run, "cancelled", "stopped");
}

static int
fake_stamp(struct tool *tool, const json_t *arguments, struct tool_stamp *stamp)
{
    struct fake *f = (struct fake *) tool;

    (void) arguments;
    stamp->words[0] = atomic_load(&f->file_version) + 1;
    return 0;
}

static void
fake_destroy(struct tool *tool)
{
    tool_deinit(tool);
    atomic_fetch_add(&destroyed, 1);
}

static const struct tool_ops work_ops = {.work = fake_work,
                                         .destroy = fake_destroy};
static const struct tool_ops stamped_ops __attribute__((unused)) = {
    .work = fake_work, .stamp = fake_stamp, .destroy = fake_destroy};
static const struct tool_ops start_ops = {
    .start = fake_start, .cancel = fake_cancel, .destroy = fake_destroy};

static const struct tool_spec spec_of_read = {
    .description = "Reads.",
    .parameters = SCHEMA,
    .flags = TOOL_READ_ONLY,
    .ttl_ms = 30000,
    .timeout_ms = 60000,
    .max_bytes = 1000,
};

/* Made with its gate open. */
static struct fake *
fake_add(const char *name, const struct tool_ops *ops, struct tool_spec spec)
{
    struct fake *f = fakes;

    while (f->tool.ops)
        f++;
    spec.name = name;
    assert_int_equal(tool_init(&f->tool, ops, &spec), 0);
    atomic_store(&f->gate, true);
    struct tool *tool = &f->tool;
    assert_int_equal(tool_registry_add(registry, &tool), 0);
    assert_null(tool);
    return f;
}

/* --- one who orders */

struct caller {
    struct tool_job *job;
    struct tool_answer at_once;
    int result;
    atomic_uint done, pages, acknowledged, progressed;
    atomic_bool is_done;
    enum tool_ending ending;
    char text[256], type[32];
    bool is_patient; /* asks for no page by itself */
    bool on_session_loop;
};

static void
caller_note(struct caller *c, const struct tool_answer *answer)
{
    c->ending = answer->ending;
    snprintf(c->text, sizeof(c->text), "%s",
             answer->output ? answer->output->text : answer->error);
    snprintf(c->type, sizeof(c->type), "%s", answer->type ? answer->type : "");
    assert_true((answer->ending == TOOL_DONE) == (answer->output != NULL));
    assert_true((answer->error != NULL) == (answer->type != NULL));
}

static void
on_done(void *arg, const struct tool_answer *answer)
{
    struct caller *c = arg;

    if (loop_is_current(session))
        c->on_session_loop = true;
    caller_note(c, answer);
    atomic_fetch_add(&c->done, 1);
    atomic_store(&c->is_done, true);
}

static void
on_page(void *arg, const char *json, size_t bytes)
{
    struct caller *c = arg;
    char expected[32];

    snprintf(expected, sizeof(expected), "{\"page\":%u}",
             atomic_load(&c->pages));
    assert_int_equal(bytes, strlen(expected));
    assert_string_equal(json, expected);
    atomic_fetch_add(&c->pages, 1);
    if (!c->is_patient)
        tool_job_continue(c->job);
}

static void
on_progress(void *arg, double progress, double total, const char *message)
{
    struct caller *c = arg;

    assert_true(progress == 1 && total == 4);
    assert_string_equal(message, "a quarter");
    atomic_fetch_add(&c->progressed, 1);
}

static void
on_acknowledged(void *arg, const char *json, size_t bytes)
{
    struct caller *c = arg;

    assert_int_equal(bytes, strlen(json));
    assert_string_equal(json, "{\"status\":\"begun\"}");
    assert_int_equal(atomic_load(&c->done), 0);
    atomic_fetch_add(&c->acknowledged, 1);
}

static const struct tool_order_handlers handlers = {
    .on_page = on_page,
    .on_progress = on_progress,
    .on_acknowledged = on_acknowledged,
    .on_done = on_done,
};

static void
order_as(struct caller *c, struct tool_order order, const char *arguments)
{
    json_t *tree = json_loads(arguments, JSON_DECODE_ANY, NULL);
    struct tool_answer answer;

    assert_non_null(tree);
    *c = (struct caller){.is_patient = c->is_patient};
    order.arguments = tree;
    int result =
        tool_runner_order(runner, &order, &handlers, c, &c->job, &answer);
    json_decref(tree);
    c->result = result;
    if (result == 1) {
        assert_null(c->job);
        caller_note(c, &answer);
        c->at_once = answer;
        c->at_once.output = NULL; /* what is left are plain values */
        tool_answer_deinit(&answer);
    }
}

static void
order(struct caller *c, const char *name, const char *arguments)
{
    order_as(c, (struct tool_order){.name = name}, arguments);
}

static void
caller_wait(struct caller *c)
{
    assert_int_equal(c->result, 0);
    await(&c->is_done);
    assert_int_equal(atomic_load(&c->done), 1);
    tool_job_put(&c->job);
}

static void
order_wait(struct caller *c, const char *name, const char *arguments)
{
    order(c, name, arguments);
    if (c->result == 0)
        caller_wait(c);
    else
        assert_int_equal(c->result, 1);
}

static void
count_await(unsigned count)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (tool_runner_count(runner) != count && clock_now_ms() < end)
        usleep(200);
    assert_int_equal(tool_runner_count(runner), count);
}

/* --- set-up */

static int
setup(void **state)
{
    const struct tool_cache_config kept = {100, 1000000};

    (void) state;
    for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++)
        memset(&fakes[i], 0, sizeof(fakes[i]));
    assert_int_equal(loop_create(&services, 0), 0);
    assert_int_equal(loop_start(services), 0);
    assert_int_equal(loop_create(&session, 1), 0);
    assert_int_equal(loop_start(session), 0);
    assert_int_equal(tool_registry_create(&registry), 0);
    assert_int_equal(tool_cache_create(&cache, &kept), 0);
    const struct tool_runner_config cfg = {
        .registry = registry,
        .cache = cache,
        .loop = services,
        .root = "/root",
        .threads = 4,
        .max_running = RUNNING,
        .max_waiting = WAITING,
    };
    return tool_runner_create(&runner, &cfg);
}

/* The order of a server's end. */
static int
teardown(void **state)
{
    struct tool_cache_counts counts;

    (void) state;
    tool_runner_close(runner);
    count_await(0);
    tool_runner_destroy(&runner);
    loop_stop(session);
    loop_destroy(&session);
    loop_stop(services);
    loop_destroy(&services);
    tool_cache_get_counts(cache, &counts);
    assert_int_equal(counts.flights, 0);
    tool_cache_destroy(&cache);
    tool_registry_destroy(&registry);
    unsigned made = 0;
    for (size_t i = 0; i < sizeof(fakes) / sizeof(fakes[0]); i++)
        made += fakes[i].tool.ops != NULL;
    assert_int_equal(atomic_exchange(&destroyed, 0), made);
    return 0;
}

/* --- results */

static void
test_results(void **state)
{
    struct caller c = {0};
    struct tool_spec plain = spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("work", &work_ops, plain);
    fake_add("start", &start_ops, plain);
    order_wait(&c, "work", "{\"n\":7}");
    assert_int_equal(c.ending, TOOL_DONE);
    assert_string_equal(c.text, "{\"n\":7}");
    order_wait(&c, "start", "{}");
    assert_string_equal(c.text, "{\"started\":true}");
    assert_int_equal(atomic_load(&c.progressed), 1);
    f->text = "plain \"text\"";
    order_wait(&c, "work", "{}");
    assert_string_equal(c.text, "\"plain \\\"text\\\"\"");
    f->fails = "not_found";
    order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "not_found");
    assert_string_equal(c.text, "It is ? broken.");
    assert_int_equal(atomic_load(&f->runs), 3);
    order_as(&c, (struct tool_order){.name = "start", .loop = session}, "{}");
    caller_wait(&c);
    assert_true(c.on_session_loop);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_results),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
