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
#define SLOTS   64 /* runs of a fake that wait */
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
    const char *fails;               /* a type */
    const char *text;                /* NULL: {"n":…} */
    struct tool_run *started[SLOTS]; /* and not finished; the loop's */
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

static void
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

/* --- refused */

static void
test_refusals(void **state)
{
    struct caller c = {0};
    struct tool_spec small = spec_of_read;

    (void) state;
    small.max_bytes = 16;
    small.ttl_ms = 0;
    struct fake *f = fake_add("work", &work_ops, small);
    order_wait(&c, "none", "{}");
    assert_int_equal(c.ending, TOOL_UNKNOWN);
    assert_string_equal(c.type, "unknown_tool");
    order_wait(&c, "work", "{\"n\":\"x\"}");
    assert_int_equal(c.ending, TOOL_INVALID);
    assert_string_equal(c.type, "invalid_arguments");
    assert_non_null(strstr(c.text, "arguments.n"));
    order_wait(&c, "work", "[]");
    assert_int_equal(c.ending, TOOL_INVALID);
    assert_int_equal(atomic_load(&f->runs), 0);
    f->text = "longer than it may be";
    order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "too_large");
    f->text = "it is fitting.";
    order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- R3.2, the cache */

static void
test_r3_2_kept(void **state)
{
    struct caller c = {0};
    struct tool_spec once = spec_of_read;

    (void) state;
    once.flags |= TOOL_AT_ONCE;
    struct fake *f = fake_add("read", &work_ops, spec_of_read);
    struct fake *quick = fake_add("quick", &work_ops, once);
    order_wait(&c, "read", "{\"n\":1}");
    assert_int_equal(c.result, 0);
    assert_false(c.at_once.cached);
    order_wait(&c, "read", "{ \"n\" : 1 }");
    assert_int_equal(c.result, 1);
    assert_true(c.at_once.cached);
    assert_string_equal(c.text, "{\"n\":1}");
    assert_int_equal(atomic_load(&f->runs), 1);
    order_as(&c, (struct tool_order){.name = "read", .tenant = "other"},
             "{\"n\":1}");
    caller_wait(&c);
    order_wait(&c, "read", "{\"n\":2}");
    assert_int_equal(atomic_load(&f->runs), 3);
    f->fails = "failed";
    for (int i = 0; i < 3; i++)
        order_wait(&c, "read", "{\"n\":3}");
    assert_int_equal(atomic_load(&f->runs), 6); /* no failure is kept */
    for (int i = 0; i < 3; i++) {
        order(&c, "quick", "{\"n\":4}");
        assert_int_equal(c.result, 1); /* at once, and never kept */
        assert_string_equal(c.text, "{\"n\":4}");
        assert_false(c.at_once.cached);
    }
    assert_int_equal(atomic_load(&quick->runs), 3);
    quick->fails = "denied";
    order(&c, "quick", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "denied");
}

static void
test_r3_2_stamps_and_refresh(void **state)
{
    struct caller c = {0};
    struct tool_spec stamped = spec_of_read, brief = spec_of_read;

    (void) state;
    stamped.flags |= TOOL_STAMPED;
    brief.ttl_ms = 400;
    struct fake *f = fake_add("stamped", &stamped_ops, stamped);
    struct fake *b = fake_add("brief", &work_ops, brief);
    order_wait(&c, "stamped", "{}");
    order_wait(&c, "stamped", "{}");
    assert_int_equal(atomic_load(&f->runs), 2); /* its own stamp was 0 */
    atomic_fetch_add(&f->file_version, 1);
    order_wait(&c, "stamped", "{}");
    assert_int_equal(atomic_load(&f->runs), 3);

    order_wait(&c, "brief", "{}");
    uint64_t begun = clock_now_ms();
    while (atomic_load(&b->runs) == 1 && clock_now_ms() < begun + WAIT_MS) {
        order_wait(&c, "brief", "{}");
        usleep(2000);
    }
    assert_int_equal(c.ending, TOOL_DONE);
    count_await(0);
    assert_true(atomic_load(&b->runs) >= 2);
}

struct asker {
    pthread_t thread;
    struct caller caller;
    pthread_barrier_t *barrier;
};

static void *
ask_thread(void *arg)
{
    struct asker *a = arg;

    pthread_barrier_wait(a->barrier);
    order(&a->caller, "slow", "{\"n\":5}");
    if (a->caller.result == 0) {
        await(&a->caller.is_done);
        tool_job_put(&a->caller.job);
    }
    return NULL;
}

static void
test_r3_2_64_threads_one_execution(void **state)
{
    static struct asker askers[THREADS];
    pthread_barrier_t barrier;

    (void) state;
    struct fake *f = fake_add("slow", &work_ops, spec_of_read);
    f->work_us = 300000;
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        askers[i] = (struct asker){.barrier = &barrier};
        assert_int_equal(
            pthread_create(&askers[i].thread, NULL, ask_thread, &askers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_int_equal(askers[i].caller.ending, TOOL_DONE);
        assert_string_equal(askers[i].caller.text, "{\"n\":5}");
        assert_int_equal(atomic_load(&askers[i].caller.done),
                         askers[i].caller.result == 0);
    }
    pthread_barrier_destroy(&barrier);
    assert_int_equal(atomic_load(&f->runs), 1);
}

/* A file that is read slowly, and its writer: what is read after a write was
 * answered is what was written, or later. */
static atomic_int file_content;

static enum tool_step
file_read(struct tool *tool, struct tool_run *run)
{
    int content = atomic_load(&file_content);

    (void) tool;
    usleep((unsigned) (content % 7) * 50);
    tool_run_succeed(run, json_pack("{s:i}", "n", content));
    return TOOL_STEP_DONE;
}

static enum tool_step
file_write(struct tool *tool, struct tool_run *run)
{
    (void) tool;
    atomic_fetch_add(&file_content, 1);
    usleep(100);
    tool_run_succeed(run, json_pack("{s:i}", "n", atomic_load(&file_content)));
    return TOOL_STEP_DONE;
}

static atomic_bool readers_end;

static void *
reader_thread(void *arg)
{
    struct caller c = {0};

    (void) arg;
    while (!atomic_load(&readers_end)) {
        int before = atomic_load(&file_content), seen;

        order_wait(&c, "file_read", "{}");
        assert_int_equal(sscanf(c.text, "{\"n\":%d}", &seen), 1);
        assert_true(seen >= before - 2); /* writers are under way */
    }
    return NULL;
}

static void
test_r3_2_a_write_is_seen_by_the_next_read(void **state)
{
    static const struct tool_ops read_ops = {.work = file_read,
                                             .destroy = fake_destroy};
    static const struct tool_ops write_ops = {.work = file_write,
                                              .destroy = fake_destroy};
    struct tool_spec writer = spec_of_read;
    struct caller c = {0};
    pthread_t readers[2];

    (void) state;
    writer.flags = 0;
    fake_add("file_read", &read_ops, spec_of_read);
    fake_add("file_write", &write_ops, writer);
    atomic_store(&file_content, 0);
    atomic_store(&readers_end, false);
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, reader_thread, NULL);
    for (int i = 1; i <= 400; i++) {
        int seen;

        order_wait(&c, "file_write", "{}");
        order_wait(&c, "file_read", "{}");
        assert_int_equal(sscanf(c.text, "{\"n\":%d}", &seen), 1);
        assert_int_equal(seen, i);
    }
    atomic_store(&readers_end, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
}

/* --- cancelled, at every stage */

static void
caller_wait_cancelled(struct caller *c)
{
    caller_wait(c);
    assert_int_equal(c->ending, TOOL_CANCELLED);
    assert_string_equal(c->type, "cancelled");
}

static void
test_cancel_before_it_begins(void **state)
{
    struct caller blockers[RUNNING] = {0}, c = {0};
    struct tool_spec plain = spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &start_ops, plain);
    atomic_store(&f->gate, false);
    for (int i = 0; i < RUNNING; i++)
        order(&blockers[i], "start", "{}");
    order(&c, "start", "{}");
    struct tool_job *job = c.job;
    tool_job_cancel(&job);
    assert_null(job);
    await(&c.is_done);
    assert_int_equal(c.ending, TOOL_CANCELLED);
    for (int i = 0; i < RUNNING; i++) {
        tool_job_cancel(&blockers[i].job);
        caller_wait_cancelled(&blockers[i]);
    }
    count_await(0);
    assert_int_equal(atomic_load(&f->runs), RUNNING);
    assert_int_equal(atomic_load(&f->cancels), RUNNING);
}

static void
test_cancel_while_it_runs(void **state)
{
    struct caller c = {0};
    struct tool_spec plain = spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *work = fake_add("work", &work_ops, plain);
    struct fake *start = fake_add("start", &start_ops, plain);
    atomic_store(&work->gate, false);
    order(&c, "work", "{}");
    await(&work->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);

    atomic_store(&start->gate, false);
    start->ignores_cancel = true; /* answered all the same */
    order_as(&c, (struct tool_order){.name = "start", .loop = session}, "{}");
    await(&start->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);
    assert_true(c.on_session_loop);
    usleep(1000);
    assert_int_equal(tool_runner_count(runner), 1);
    fake_finish(start);
    count_await(0);
    assert_int_equal(atomic_load(&c.done), 1);
    assert_int_equal(atomic_load(&start->cancels), 1);

    order_wait(&c, "work", "{\"n\":\"late\"}");
    struct tool_job *none = NULL;
    tool_job_cancel(&none);
}

static void
test_cancel_after_it_is_done(void **state)
{
    struct caller c = {0};

    (void) state;
    fake_add("read", &work_ops, spec_of_read);
    order(&c, "read", "{}");
    await(&c.is_done);
    tool_job_cancel(&c.job);
    count_await(0);
    assert_int_equal(atomic_load(&c.done), 1);
    assert_int_equal(c.ending, TOOL_DONE);
}

/* What would be left half done is let end; what has not begun is not. */
static void
test_cancel_of_a_writer(void **state)
{
    struct caller c = {0};
    struct tool_spec writer = spec_of_read;

    (void) state;
    writer.flags = 0;
    struct fake *f = fake_add("write", &work_ops, writer);
    atomic_store(&f->gate, false);
    order(&c, "write", "{}");
    await(&f->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);
    usleep(5000);
    assert_int_equal(tool_runner_count(runner), 1); /* not told */
    atomic_store(&f->gate, true);
    count_await(0);
}

static void
test_r3_2_who_leaves_takes_nobody_along(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void) state;
    struct fake *f = fake_add("read", &work_ops, spec_of_read);
    atomic_store(&f->gate, false);
    order(&a, "read", "{}");
    await(&f->begun);
    order(&b, "read", "{}");
    order(&c, "read", "{}");
    tool_job_cancel(&a.job); /* for whom it was begun */
    caller_wait_cancelled(&a);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);
    assert_int_equal(atomic_load(&b.done), 0);
    atomic_store(&f->gate, true);
    caller_wait(&b);
    assert_int_equal(b.ending, TOOL_DONE);
    assert_int_equal(atomic_load(&f->runs), 1);

    atomic_store(&f->gate, false); /* the last one out ends it */
    atomic_store(&f->begun, false);
    order(&a, "read", "{\"n\":1}");
    order(&b, "read", "{\"n\":1}");
    await(&f->begun);
    tool_job_cancel(&b.job);
    tool_job_cancel(&a.job);
    caller_wait_cancelled(&a);
    caller_wait_cancelled(&b);
    count_await(0); /* though its gate is shut */
    assert_int_equal(atomic_load(&f->runs), 2);
    atomic_store(&f->gate, true);
    order_wait(&c, "read", "{\"n\":1}");
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- time */

static void
test_r3_5_deadline(void **state)
{
    struct caller c = {0}, joined = {0};
    struct tool_spec brief = spec_of_read;

    (void) state;
    brief.timeout_ms = 30;
    struct fake *f = fake_add("work", &work_ops, brief);
    struct fake *s = fake_add("start", &start_ops, brief);
    atomic_store(&f->gate, false);
    atomic_store(&s->gate, false);
    f->ignores_cancel = true;
    order(&c, "work", "{}");
    order(&joined, "work", "{}");
    caller_wait(&c);
    caller_wait(&joined);
    assert_int_equal(c.ending, TOOL_TIMED_OUT);
    assert_string_equal(c.type, "timeout");
    assert_string_equal(c.text,
                        "work did not end within 30 ms and was stopped.");
    assert_int_equal(joined.ending, TOOL_TIMED_OUT);
    assert_int_equal(tool_runner_count(runner), 1);
    atomic_store(&f->gate, true);
    count_await(0);
    order_wait(&c, "start", "{}");
    assert_int_equal(c.ending, TOOL_TIMED_OUT);
    count_await(0);
    assert_int_equal(atomic_load(&s->cancels), 1);
    order_wait(&c, "work", "{}"); /* no trace of it is kept */
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- caps */

static void
test_caps(void **state)
{
    static struct caller many[RUNNING + WAITING + 1];
    struct tool_lane lane = {0};
    struct tool_spec plain = spec_of_read;
    unsigned count = 0, busy = 0;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &start_ops, plain);
    struct fake *w = fake_add("work", &work_ops, plain);
    atomic_store(&f->gate, false);
    for (; count < TOOL_RUNNER_LANE_WAITING + TOOL_RUNNER_LANE_MAX; count++)
        order_as(&many[count],
                 (struct tool_order){.name = "start", .lane = &lane}, "{}");
    for (unsigned i = 0; i < count; i++)
        busy += many[i].ending == TOOL_BUSY && many[i].result == 1;
    /* The process lets fewer run than the lane would. */
    assert_int_equal(busy, TOOL_RUNNER_LANE_MAX - RUNNING);
    assert_int_equal(lane.running, RUNNING);
    assert_int_equal(lane.waiting, TOOL_RUNNER_LANE_WAITING);
    for (unsigned i = 0; i < count; i++)
        tool_job_cancel(&many[i].job);
    count_await(0);
    assert_int_equal(lane.running + lane.waiting + lane.later, 0);

    for (count = 0; count < RUNNING + WAITING + 1; count++)
        order(&many[count], "work", "{}");
    for (unsigned i = 0; i < count; i++) {
        if (many[i].result == 0)
            caller_wait(&many[i]);
    }
    assert_int_equal(atomic_load(&w->runs), count);

    for (count = 0; count < RUNNING + WAITING + 1; count++)
        order(&many[count], "start", "{}");
    assert_int_equal(many[count - 1].result, 1);
    assert_int_equal(many[count - 1].ending, TOOL_BUSY);
    assert_string_equal(many[count - 1].type, "busy");
    for (unsigned i = 0; i < count; i++)
        tool_job_cancel(&many[i].job);
    count_await(0);
}

/* A lane that is full holds up nobody else. */
static void
test_lanes_are_apart(void **state)
{
    struct caller many[4] = {0}, other = {0};
    struct tool_lane full = {.running = TOOL_RUNNER_LANE_MAX};
    struct tool_spec plain = spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    fake_add("work", &work_ops, plain);
    for (int i = 0; i < 4; i++)
        order_as(&many[i], (struct tool_order){.name = "work", .lane = &full},
                 "{}");
    order_wait(&other, "work", "{}");
    assert_int_equal(other.ending, TOOL_DONE);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&many[i].done), 0);
        tool_job_cancel(&many[i].job);
        caller_wait_cancelled(&many[i]);
    }
    assert_int_equal(full.waiting, 0);
    assert_int_equal(full.running, TOOL_RUNNER_LANE_MAX);
}

/* --- pages */

static void
test_r3_4_pages(void **state)
{
    struct caller c = {.is_patient = true};
    struct tool_spec paged = spec_of_read;
    const struct tool_order wanted = {
        .name = "paged", .wants_pages = true, .loop = session};

    (void) state;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("paged", &work_ops, paged);
    f->pages = 100;
    order_as(&c, wanted, "{}");
    for (unsigned i = 1; i <= 3; i++) {
        while (atomic_load(&c.pages) < i)
            usleep(100);
        usleep(1000);
        assert_int_equal(atomic_load(&f->runs), i); /* none ahead of time */
        if (i < 3)
            tool_job_continue(c.job);
    }
    assert_int_equal(atomic_load(&c.done), 0);
    tool_job_cancel(&c.job); /* between two pages */
    caller_wait_cancelled(&c);
    count_await(0);
    assert_int_equal(atomic_load(&f->runs), 3);

    order_wait(&c, "paged", "{}"); /* not wanted: one result, and kept */
    assert_string_equal(c.text, "{\"n\":-1}");
    order_wait(&c, "paged", "{}");
    assert_int_equal(c.result, 1);
}

static struct tool_job *_Atomic page_job;
static atomic_uint pages_read;

static void
on_page_read(void *arg, const char *json, size_t bytes)
{
    struct tool_job *job;

    (void) arg;
    (void) json;
    (void) bytes;
    atomic_fetch_add(&pages_read, 1);
    while ((job = atomic_load(&page_job)) == NULL)
        usleep(10);
    tool_job_continue(job);
}

static void
test_r3_4_all_pages(void **state)
{
    static const struct tool_order_handlers reading = {.on_page = on_page_read,
                                                       .on_done = on_done};
    struct tool_spec paged = spec_of_read;
    json_t *arguments = json_object();
    struct tool_order paged_order = {
        .name = "paged", .arguments = arguments, .wants_pages = true};
    struct tool_job *job;
    struct tool_answer answer;

    (void) state;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("paged", &work_ops, paged);
    f->pages = 500;
    for (int i = 0; i < 2; i++) {
        struct caller c = {0};

        paged_order.loop = i ? session : NULL;
        atomic_store(&page_job, NULL);
        atomic_store(&pages_read, 0);
        c.result = tool_runner_order(runner, &paged_order, &reading, &c, &job,
                                     &answer);
        assert_int_equal(c.result, 0);
        atomic_store(&page_job, job);
        caller_wait(&c);
        assert_int_equal(c.ending, TOOL_DONE);
        assert_int_equal(atomic_load(&pages_read), 500);
        tool_job_put(&job);
    }
    json_decref(arguments);
}

/* --- long ones */

static void
test_long(void **state)
{
    struct caller c[2 * RUNNING] = {0};
    struct tool_lane lane = {0};
    struct tool_spec spec = spec_of_read;

    (void) state;
    spec.flags = TOOL_LONG;
    spec.ttl_ms = 0;
    struct fake *f = fake_add("long", &start_ops, spec);
    atomic_store(&f->gate, false);
    f->acknowledges = true;
    for (int i = 0; i < 2 * RUNNING; i++) { /* none waits for another */
        atomic_store(&f->begun, false);
        order_as(
            &c[i],
            (struct tool_order){.name = "long", .loop = session, .lane = &lane},
            "{}");
        assert_int_equal(c[i].result, 0);
        await(&f->begun);
        while (!atomic_load(&c[i].acknowledged))
            usleep(100);
    }
    assert_int_equal(lane.running, 0);
    assert_int_equal(lane.later, 2 * RUNNING);
    fake_finish(f);
    for (int i = 0; i < 2 * RUNNING; i++) {
        caller_wait(&c[i]);
        assert_int_equal(c[i].ending, TOOL_DONE);
        assert_string_equal(c[i].text, "{\"finished\":true}");
    }
    count_await(0);
    assert_int_equal(lane.later, 0);
}

/* --- all of a tenant */

static void
test_cancel_all(void **state)
{
    struct caller ours[RUNNING + 2] = {0}, theirs = {0};
    struct tool_spec plain = spec_of_read;
    struct buffer names;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &start_ops, plain);
    atomic_store(&f->gate, false);
    order_as(&theirs, (struct tool_order){.name = "start", .tenant = "other"},
             "{}");
    for (int i = 0; i < RUNNING + 2; i++)
        order_as(&ours[i],
                 (struct tool_order){.name = "start",
                                     .tenant = "us",
                                     .session_id = i % 2 ? "s1" : "s0"},
                 "{}");
    buffer_init(&names, 4096);
    assert_int_equal(tool_runner_list(runner, "other", &names), 1);
    assert_string_equal(buffer_text(&names), "[\"start\"]");
    buffer_clear(&names);
    assert_int_equal(tool_runner_list(runner, "us", &names), RUNNING - 1);
    buffer_clear(&names);
    assert_int_equal(tool_runner_list(runner, "nobody", &names), 0);
    assert_string_equal(buffer_text(&names), "[]");
    buffer_clear(&names);
    /* Graceful: what waits. */
    assert_int_equal(tool_runner_cancel(runner, "us", NULL, false, &names),
                     RUNNING + 2);
    for (int i = RUNNING - 1; i < RUNNING + 2; i++)
        caller_wait_cancelled(&ours[i]);
    assert_int_equal(atomic_load(&ours[0].done), 0);
    /* At once, of one session. */
    buffer_clear(&names);
    assert_int_equal(tool_runner_cancel(runner, "us", "s1", true, &names), 2);
    assert_string_equal(buffer_text(&names), "[\"start\",\"start\"]");
    caller_wait_cancelled(&ours[1]);
    caller_wait_cancelled(&ours[3]);
    assert_int_equal(tool_runner_cancel(runner, "us", NULL, true, NULL), 3);
    for (int i = 0; i < RUNNING - 1; i += 2)
        caller_wait_cancelled(&ours[i]);
    assert_int_equal(tool_runner_list(runner, NULL, NULL), 0);
    assert_int_equal(atomic_load(&theirs.done), 0);
    tool_job_cancel(&theirs.job);
    caller_wait_cancelled(&theirs);
    buffer_deinit(&names);
}

/* --- the end */

static void
test_close_while_all_runs(void **state)
{
    struct caller c[24] = {0}, late = {0};
    struct tool_spec paged = spec_of_read;

    (void) state;
    struct fake *f = fake_add("work", &work_ops, spec_of_read);
    struct fake *s = fake_add("start", &start_ops, spec_of_read);
    paged.flags |= TOOL_PAGES;
    struct fake *p = fake_add("paged", &work_ops, paged);
    atomic_store(&f->gate, false);
    atomic_store(&s->gate, false);
    p->pages = 10;
    for (int i = 0; i < 24; i++) {
        const struct tool_order one = {.name = i % 3 == 0   ? "work"
                                               : i % 3 == 1 ? "start"
                                                            : "paged",
                                       .wants_pages = true,
                                       .loop = i % 2 ? session : NULL};
        char arguments[32];

        snprintf(arguments, sizeof(arguments), "{\"n\":%d}", i / 6);
        c[i].is_patient = true;
        order_as(&c[i], one, arguments);
    }
    usleep(5000);
    tool_runner_close(runner);
    for (int i = 0; i < 24; i++)
        caller_wait_cancelled(&c[i]);
    count_await(0);
    order_wait(&late, "work", "{\"n\":99}");
    assert_int_equal(late.ending, TOOL_BUSY);
}

/* --- everything at once: every order is answered once */

static atomic_uint storm_done;

struct storm_order {
    struct tool_job *job;
    atomic_uint done;
};

static void
on_storm_done(void *arg, const struct tool_answer *answer)
{
    struct storm_order *o = arg;

    assert_true((answer->output != NULL) == (answer->ending == TOOL_DONE));
    assert_int_equal(atomic_fetch_add(&o->done, 1), 0);
    atomic_fetch_add(&storm_done, 1);
}

static void
on_storm_page(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    assert_int_equal(strlen(json), bytes);
}

static void *
storm_thread(void *arg)
{
    static const struct tool_order_handlers storm = {.on_page = on_storm_page,
                                                     .on_done = on_storm_done};
    static const char *const names[] = {"work", "start", "write", "paged"};
    struct storm_order *orders = calloc(ROUNDS, sizeof(*orders));
    struct tool_lane lane = {0};
    unsigned seed = (unsigned) (uintptr_t) arg, given = 0, told = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned dice = (unsigned) rand_r(&seed);
        json_t *arguments = json_pack("{s:i}", "n", (int) (dice % 5));
        const struct tool_order one = {
            .name = names[dice / 8 % 4],
            .arguments = arguments,
            .tenant = dice % 3 ? "a" : "b",
            .session_id = "s",
            .lane = dice % 2 ? &lane : NULL,
            .loop = dice / 16 % 2 ? session : NULL,
            .wants_pages = dice / 32 % 2,
        };
        struct tool_answer answer;

        int result = tool_runner_order(runner, &one, &storm, &orders[i],
                                       &orders[i].job, &answer);
        json_decref(arguments);
        assert_true(result == 0 || result == 1);
        given += result == 0;
        if (result == 1)
            tool_answer_deinit(&answer);
        if (dice / 64 % 4 == 0)
            usleep(dice / 256 % 300);
        struct storm_order *victim = &orders[dice / 512 % (i + 1)];
        if (dice / 1024 % 2)
            tool_job_cancel(&victim->job);
        else if (victim->job && dice / 2048 % 2)
            tool_job_continue(victim->job);
        if (dice / 4096 % 64 == 0)
            tool_runner_cancel(runner, "b", NULL, dice / 8192 % 2, NULL);
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        tool_job_cancel(&orders[i].job);
    uint64_t end = clock_now_ms() + WAIT_MS;
    do {
        told = 0;
        for (unsigned i = 0; i < ROUNDS; i++)
            told += atomic_load(&orders[i].done);
        usleep(500);
    } while (told < given && clock_now_ms() < end);
    assert_int_equal(told, given);
    assert_int_equal(lane.running + lane.waiting + lane.later, 0);
    free(orders);
    return NULL;
}

static void
test_storm(void **state)
{
    pthread_t threads[6];
    struct tool_spec writer = spec_of_read, paged = spec_of_read;
    struct tool_cache_counts counts;

    (void) state;
    writer.flags = 0;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("work", &work_ops, spec_of_read);
    f->work_us = 200;
    struct fake *s = fake_add("start", &start_ops, spec_of_read);
    fake_add("write", &work_ops, writer);
    struct fake *p = fake_add("paged", &work_ops, paged);
    p->pages = 3;
    for (uintptr_t i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, storm_thread, (void *) (i + 1));
    for (int i = 0; i < 20; i++) {
        usleep(2000);
        atomic_store(&s->gate, i % 2);
    }
    atomic_store(&s->gate, true);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    count_await(0);
    tool_cache_get_counts(cache, &counts);
    assert_int_equal(counts.flights, 0);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_results),
        TEST(test_refusals),
        TEST(test_r3_2_kept),
        TEST(test_r3_2_stamps_and_refresh),
        TEST(test_r3_2_64_threads_one_execution),
        TEST(test_r3_2_a_write_is_seen_by_the_next_read),
        TEST(test_cancel_before_it_begins),
        TEST(test_cancel_while_it_runs),
        TEST(test_cancel_after_it_is_done),
        TEST(test_cancel_of_a_writer),
        TEST(test_r3_2_who_leaves_takes_nobody_along),
        TEST(test_r3_5_deadline),
        TEST(test_caps),
        TEST(test_lanes_are_apart),
        TEST(test_r3_4_pages),
        TEST(test_r3_4_all_pages),
        TEST(test_long),
        TEST(test_cancel_all),
        TEST(test_close_while_all_runs),
        TEST(test_storm),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
