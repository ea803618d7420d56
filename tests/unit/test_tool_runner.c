/* SPDX-License-Identifier: BSD-2-Clause */

/* What runs of tools give: results, pages, kept ones. */

#include "kit/fake_tool.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS 64

/* --- results */

static void
test_results(void **state)
{
    struct caller c = {0};
    struct tool_spec plain = fake_spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("work", &fake_work_ops, plain);
    fake_add("start", &fake_start_ops, plain);
    caller_order_wait(&c, "work", "{\"n\":7}");
    assert_int_equal(c.ending, TOOL_DONE);
    assert_string_equal(c.text, "{\"n\":7}");
    caller_order_wait(&c, "start", "{}");
    assert_string_equal(c.text, "{\"started\":true}");
    assert_int_equal(atomic_load(&c.progressed), 1);
    f->text = "plain \"text\"";
    caller_order_wait(&c, "work", "{}");
    assert_string_equal(c.text, "\"plain \\\"text\\\"\"");
    f->fails = "not_found";
    caller_order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "not_found");
    assert_string_equal(c.text, "It is ? broken.");
    assert_int_equal(atomic_load(&f->runs), 3);
    caller_order_as(&c, (struct tool_order){.name = "start", .loop = session},
                    "{}");
    caller_wait(&c);
    assert_true(c.on_session_loop);
}

/* --- refused */

static void
test_refusals(void **state)
{
    struct caller c = {0};
    struct tool_spec small = fake_spec_of_read;

    (void) state;
    small.max_bytes = 16;
    small.ttl_ms = 0;
    struct fake *f = fake_add("work", &fake_work_ops, small);
    caller_order_wait(&c, "none", "{}");
    assert_int_equal(c.ending, TOOL_UNKNOWN);
    assert_string_equal(c.type, "unknown_tool");
    caller_order_wait(&c, "work", "{\"n\":\"x\"}");
    assert_int_equal(c.ending, TOOL_INVALID);
    assert_string_equal(c.type, "invalid_arguments");
    assert_non_null(strstr(c.text, "arguments.n"));
    caller_order_wait(&c, "work", "[]");
    assert_int_equal(c.ending, TOOL_INVALID);
    assert_int_equal(atomic_load(&f->runs), 0);
    f->text = "longer than it may be";
    caller_order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "too_large");
    f->text = "it is fitting.";
    caller_order_wait(&c, "work", "{}");
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- R3.2, the cache */

static void
test_r3_2_kept(void **state)
{
    struct caller c = {0};
    struct tool_spec once = fake_spec_of_read;

    (void) state;
    once.flags |= TOOL_AT_ONCE;
    struct fake *f = fake_add("read", &fake_work_ops, fake_spec_of_read);
    struct fake *quick = fake_add("quick", &fake_work_ops, once);
    caller_order_wait(&c, "read", "{\"n\":1}");
    assert_int_equal(c.result, 0);
    assert_false(c.at_once.cached);
    caller_order_wait(&c, "read", "{ \"n\" : 1 }");
    assert_int_equal(c.result, 1);
    assert_true(c.at_once.cached);
    assert_string_equal(c.text, "{\"n\":1}");
    assert_int_equal(atomic_load(&f->runs), 1);
    caller_order_as(&c, (struct tool_order){.name = "read", .tenant = "other"},
                    "{\"n\":1}");
    caller_wait(&c);
    caller_order_wait(&c, "read", "{\"n\":2}");
    assert_int_equal(atomic_load(&f->runs), 3);
    f->fails = "failed";
    for (int i = 0; i < 3; i++)
        caller_order_wait(&c, "read", "{\"n\":3}");
    assert_int_equal(atomic_load(&f->runs), 6); /* no failure is kept */
    for (int i = 0; i < 3; i++) {
        caller_order(&c, "quick", "{\"n\":4}");
        assert_int_equal(c.result, 1); /* at once, and never kept */
        assert_string_equal(c.text, "{\"n\":4}");
        assert_false(c.at_once.cached);
    }
    assert_int_equal(atomic_load(&quick->runs), 3);
    quick->fails = "denied";
    caller_order(&c, "quick", "{}");
    assert_int_equal(c.ending, TOOL_FAILED);
    assert_string_equal(c.type, "denied");
}

static void
test_r3_2_stamps_and_refresh(void **state)
{
    struct caller c = {0};
    struct tool_spec stamped = fake_spec_of_read, brief = fake_spec_of_read;

    (void) state;
    stamped.flags |= TOOL_STAMPED;
    brief.ttl_ms = 400;
    struct fake *f = fake_add("stamped", &fake_stamped_ops, stamped);
    struct fake *b = fake_add("brief", &fake_work_ops, brief);
    caller_order_wait(&c, "stamped", "{}");
    caller_order_wait(&c, "stamped", "{}");
    assert_int_equal(atomic_load(&f->runs), 2); /* its own stamp was 0 */
    atomic_fetch_add(&f->file_version, 1);
    caller_order_wait(&c, "stamped", "{}");
    assert_int_equal(atomic_load(&f->runs), 3);

    caller_order_wait(&c, "brief", "{}");
    uint64_t begun = clock_now_ms();
    while (atomic_load(&b->runs) == 1 && clock_now_ms() < begun + WAIT_MS) {
        caller_order_wait(&c, "brief", "{}");
        usleep(2000);
    }
    assert_int_equal(c.ending, TOOL_DONE);
    fake_count_await(0);
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
    caller_order(&a->caller, "slow", "{\"n\":5}");
    if (a->caller.result == 0) {
        fake_await(&a->caller.is_done);
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
    struct fake *f = fake_add("slow", &fake_work_ops, fake_spec_of_read);
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

/* One that gives its share away as soon as it is told, on whatever thread that
 * is: the call that ordered may not have returned yet. */
struct hasty {
    struct tool_job *job;
    atomic_bool told;
};

static void
hasty_on_done(void *arg, const struct tool_answer *answer)
{
    struct hasty *h = arg;

    (void) answer;
    tool_job_put(&h->job);
    atomic_store(&h->told, true);
}

static void *
hasty_thread(void *arg)
{
    static const struct tool_order_handlers handlers = {.on_done =
                                                            hasty_on_done};
    const struct tool_order order = {.name = "swift", .arguments = arg};

    for (int i = 0; i < 2000; i++) {
        struct hasty h = {.job = NULL};
        struct tool_answer answer;

        atomic_init(&h.told, false);
        int result = tool_runner_order(
            runner, &order, &(struct tool_order_caller){&handlers, &h}, &h.job,
            &answer);
        if (result == 0)
            fake_await(&h.told);
        else
            tool_answer_deinit(&answer);
    }
    return NULL;
}

static void
test_shares_given_away_at_once(void **state)
{
    pthread_t threads[8];
    json_t *arguments = json_object();

    (void) state;
    struct fake *f = fake_add("swift", &fake_work_ops, fake_spec_of_read);
    f->fails = "not_found"; /* and so not kept: each waits for a run */
    for (int i = 0; i < 8; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, hasty_thread, arguments), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    fake_count_await(0);
    json_decref(arguments);
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

        caller_order_wait(&c, "file_read", "{}");
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
    struct tool_spec writer = fake_spec_of_read;
    struct caller c = {0};
    pthread_t readers[2];

    (void) state;
    writer.flags = 0;
    fake_add("file_read", &read_ops, fake_spec_of_read);
    fake_add("file_write", &write_ops, writer);
    atomic_store(&file_content, 0);
    atomic_store(&readers_end, false);
    for (int i = 0; i < 2; i++)
        pthread_create(&readers[i], NULL, reader_thread, NULL);
    for (int i = 1; i <= 400; i++) {
        int seen;

        caller_order_wait(&c, "file_write", "{}");
        caller_order_wait(&c, "file_read", "{}");
        assert_int_equal(sscanf(c.text, "{\"n\":%d}", &seen), 1);
        assert_int_equal(seen, i);
    }
    atomic_store(&readers_end, true);
    for (int i = 0; i < 2; i++)
        pthread_join(readers[i], NULL);
}

/* --- pages */

static void
test_r3_4_pages(void **state)
{
    struct caller c = {.is_patient = true};
    struct tool_spec paged = fake_spec_of_read;
    const struct tool_order wanted = {
        .name = "paged", .wants_pages = true, .loop = session};

    (void) state;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("paged", &fake_work_ops, paged);
    f->pages = 100;
    caller_order_as(&c, wanted, "{}");
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
    fake_count_await(0);
    assert_int_equal(atomic_load(&f->runs), 3);

    caller_order_wait(&c, "paged", "{}"); /* not wanted: one result, and kept */
    assert_string_equal(c.text, "{\"n\":-1}");
    caller_order_wait(&c, "paged", "{}");
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
    static const struct tool_order_handlers reading = {
        .on_page = on_page_read, .on_done = caller_on_done};
    struct tool_spec paged = fake_spec_of_read;
    json_t *arguments = json_object();
    struct tool_order paged_order = {
        .name = "paged", .arguments = arguments, .wants_pages = true};
    struct tool_job *job;
    struct tool_answer answer;

    (void) state;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("paged", &fake_work_ops, paged);
    f->pages = 500;
    for (int i = 0; i < 2; i++) {
        struct caller c = {0};

        paged_order.loop = i ? session : NULL;
        atomic_store(&page_job, NULL);
        atomic_store(&pages_read, 0);
        c.result = tool_runner_order(runner, &paged_order,
                                     &(struct tool_order_caller){&reading, &c},
                                     &job, &answer);
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
    struct tool_spec spec = fake_spec_of_read;

    (void) state;
    spec.flags = TOOL_LONG;
    spec.ttl_ms = 0;
    struct fake *f = fake_add("long", &fake_start_ops, spec);
    atomic_store(&f->gate, false);
    f->acknowledges = true;
    for (int i = 0; i < 2 * RUNNING; i++) { /* none waits for another */
        atomic_store(&f->begun, false);
        caller_order_as(
            &c[i],
            (struct tool_order){.name = "long", .loop = session, .lane = &lane},
            "{}");
        assert_int_equal(c[i].result, 0);
        fake_await(&f->begun);
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
    fake_count_await(0);
    assert_int_equal(lane.later, 0);
}

int
main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_results),
        TEST(test_refusals),
        TEST(test_r3_2_kept),
        TEST(test_r3_2_stamps_and_refresh),
        TEST(test_r3_2_64_threads_one_execution),
        TEST(test_shares_given_away_at_once),
        TEST(test_r3_2_a_write_is_seen_by_the_next_read),
        TEST(test_r3_4_pages),
        TEST(test_r3_4_all_pages),
        TEST(test_long),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
