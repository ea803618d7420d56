/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/fake_tool.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define SCHEMA                                                                 \
    "{\"type\":\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},"      \
    "\"additionalProperties\":false}"

struct loop *services, *session;
struct tool_registry *registry;
struct tool_cache *cache;
struct tool_runner *runner;

/* --- a tool that does as it is told */

static struct fake fakes[4];
static atomic_uint destroyed;

void
fake_await(atomic_bool *flag)
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
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!f->started[i]) {
            f->started[i] = run;
            return;
        }
    }
    tool_run_fail(run, "failed", "no slot");
}

static void
fake_cancel(struct tool *tool, struct tool_run *run)
{
    struct fake *f = (struct fake *) tool;

    atomic_fetch_add(&f->cancels, 1);
    assert_true(loop_is_current(services));
    for (unsigned i = 0; i < SLOTS && !f->ignores_cancel; i++) {
        if (f->started[i] != run)
            continue;
        f->started[i] = NULL;
        tool_run_fail(run, "cancelled", "stopped");
        return;
    }
}

/* Ends what was started, on its loop. */
static struct loop_task finish_task;

static void
on_finish(struct loop_task *task, void *arg)
{
    struct fake *f = arg;

    (void) task;
    for (unsigned i = 0; i < SLOTS; i++) {
        struct tool_run *run = f->started[i];

        f->started[i] = NULL;
        if (run)
            tool_run_succeed(run, json_pack("{s:b}", "finished", 1));
    }
}

void
fake_finish(struct fake *f)
{
    finish_task = (struct loop_task){.run = on_finish, .arg = f};
    loop_post(services, &finish_task);
}

static int
fake_stamp(struct tool *tool, const json_t *arguments, struct tool_stamp *stamp)
{
    struct fake *f = (struct fake *) tool;

    (void) arguments;
    stamp->words[0] = atomic_load(&f->file_version) + 1;
    return 0;
}

void
fake_destroy(struct tool *tool)
{
    tool_deinit(tool);
    atomic_fetch_add(&destroyed, 1);
}

const struct tool_ops fake_work_ops = {.work = fake_work,
                                       .destroy = fake_destroy};
const struct tool_ops fake_stamped_ops __attribute__((unused)) = {
    .work = fake_work, .stamp = fake_stamp, .destroy = fake_destroy};
const struct tool_ops fake_start_ops = {
    .start = fake_start, .cancel = fake_cancel, .destroy = fake_destroy};

const struct tool_spec fake_spec_of_read = {
    .description = "Reads.",
    .parameters = SCHEMA,
    .flags = TOOL_READ_ONLY,
    .ttl_ms = 30000,
    .timeout_ms = 60000,
    .max_bytes = 1000,
};

/* Made with its gate open. */
struct fake *
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

void
caller_on_done(void *arg, const struct tool_answer *answer)
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
    .on_done = caller_on_done,
};

void
caller_order_as(struct caller *c, struct tool_order order,
                const char *arguments)
{
    json_t *tree = json_loads(arguments, JSON_DECODE_ANY, NULL);
    struct tool_answer answer;

    assert_non_null(tree);
    *c = (struct caller){.is_patient = c->is_patient};
    order.arguments = tree;
    if (!order.session_id)
        order.session_id = "kit";
    int result = tool_runner_order(runner, &order,
                                   &(struct tool_order_caller){&handlers, c},
                                   &c->job, &answer);
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

void
caller_order(struct caller *c, const char *name, const char *arguments)
{
    caller_order_as(c, (struct tool_order){.name = name}, arguments);
}

void
caller_wait(struct caller *c)
{
    assert_int_equal(c->result, 0);
    fake_await(&c->is_done);
    assert_int_equal(atomic_load(&c->done), 1);
    tool_job_put(&c->job);
}

void
caller_order_wait(struct caller *c, const char *name, const char *arguments)
{
    caller_order(c, name, arguments);
    if (c->result == 0)
        caller_wait(c);
    else
        assert_int_equal(c->result, 1);
}

void
fake_count_await(unsigned count)
{
    uint64_t end = clock_now_ms() + WAIT_MS;

    while (tool_runner_count(runner) != count && clock_now_ms() < end)
        usleep(200);
    assert_int_equal(tool_runner_count(runner), count);
}

/* --- set-up */

int
fake_setup(void **state)
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
int
fake_teardown(void **state)
{
    struct tool_cache_counts counts;

    (void) state;
    tool_runner_close(runner);
    fake_count_await(0);
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

void
caller_wait_cancelled(struct caller *c)
{
    caller_wait(c);
    assert_int_equal(c->ending, TOOL_CANCELLED);
    assert_string_equal(c->type, "cancelled");
}
