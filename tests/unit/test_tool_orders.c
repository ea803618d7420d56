/* SPDX-License-Identifier: BSD-2-Clause */

/* How orders end: cancelled at every stage, at their time, refused, closed. */

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

#define ROUNDS 150

/* --- cancelled, at every stage */

static void
test_cancel_before_it_begins(void **state)
{
    struct caller blockers[RUNNING] = {0}, c = {0};
    struct tool_spec plain = fake_spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &fake_start_ops, plain);
    atomic_store(&f->gate, false);
    for (int i = 0; i < RUNNING; i++)
        caller_order(&blockers[i], "start", "{}");
    caller_order(&c, "start", "{}");
    struct tool_job *job = c.job;
    tool_job_cancel(&job);
    assert_null(job);
    fake_await(&c.is_done);
    assert_int_equal(c.ending, TOOL_CANCELLED);
    for (int i = 0; i < RUNNING; i++) {
        tool_job_cancel(&blockers[i].job);
        caller_wait_cancelled(&blockers[i]);
    }
    fake_count_await(0);
    assert_int_equal(atomic_load(&f->runs), RUNNING);
    assert_int_equal(atomic_load(&f->cancels), RUNNING);
}

static void
test_cancel_while_it_runs(void **state)
{
    struct caller c = {0};
    struct tool_spec plain = fake_spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *work = fake_add("work", &fake_work_ops, plain);
    struct fake *start = fake_add("start", &fake_start_ops, plain);
    atomic_store(&work->gate, false);
    caller_order(&c, "work", "{}");
    fake_await(&work->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);

    atomic_store(&start->gate, false);
    start->ignores_cancel = true; /* answered all the same */
    caller_order_as(&c, (struct tool_order){.name = "start", .loop = session},
                    "{}");
    fake_await(&start->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);
    assert_true(c.on_session_loop);
    usleep(1000);
    assert_int_equal(tool_runner_count(runner), 1);
    fake_finish(start);
    fake_count_await(0);
    assert_int_equal(atomic_load(&c.done), 1);
    assert_int_equal(atomic_load(&start->cancels), 1);

    caller_order_wait(&c, "work", "{\"n\":\"late\"}");
    struct tool_job *none = NULL;
    tool_job_cancel(&none);
}

static void
test_cancel_after_it_is_done(void **state)
{
    struct caller c = {0};

    (void) state;
    fake_add("read", &fake_work_ops, fake_spec_of_read);
    caller_order(&c, "read", "{}");
    fake_await(&c.is_done);
    tool_job_cancel(&c.job);
    fake_count_await(0);
    assert_int_equal(atomic_load(&c.done), 1);
    assert_int_equal(c.ending, TOOL_DONE);
}

/* What would be left half done is let end; what has not begun is not. */
static void
test_cancel_of_a_writer(void **state)
{
    struct caller c = {0};
    struct tool_spec writer = fake_spec_of_read;

    (void) state;
    writer.flags = 0;
    struct fake *f = fake_add("write", &fake_work_ops, writer);
    atomic_store(&f->gate, false);
    caller_order(&c, "write", "{}");
    fake_await(&f->begun);
    tool_job_cancel(&c.job);
    caller_wait_cancelled(&c);
    usleep(5000);
    assert_int_equal(tool_runner_count(runner), 1); /* not told */
    atomic_store(&f->gate, true);
    fake_count_await(0);
}

static void
test_r3_2_who_leaves_takes_nobody_along(void **state)
{
    struct caller a = {0}, b = {0}, c = {0};

    (void) state;
    struct fake *f = fake_add("read", &fake_work_ops, fake_spec_of_read);
    atomic_store(&f->gate, false);
    caller_order(&a, "read", "{}");
    fake_await(&f->begun);
    caller_order(&b, "read", "{}");
    caller_order(&c, "read", "{}");
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
    caller_order(&a, "read", "{\"n\":1}");
    caller_order(&b, "read", "{\"n\":1}");
    fake_await(&f->begun);
    tool_job_cancel(&b.job);
    tool_job_cancel(&a.job);
    caller_wait_cancelled(&a);
    caller_wait_cancelled(&b);
    fake_count_await(0); /* though its gate is shut */
    assert_int_equal(atomic_load(&f->runs), 2);
    atomic_store(&f->gate, true);
    caller_order_wait(&c, "read", "{\"n\":1}");
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- time */

static void
test_r3_5_deadline(void **state)
{
    struct caller c = {0}, joined = {0};
    struct tool_spec brief = fake_spec_of_read;

    (void) state;
    brief.timeout_ms = 30;
    struct fake *f = fake_add("work", &fake_work_ops, brief);
    struct fake *s = fake_add("start", &fake_start_ops, brief);
    atomic_store(&f->gate, false);
    atomic_store(&s->gate, false);
    f->ignores_cancel = true;
    caller_order(&c, "work", "{}");
    caller_order(&joined, "work", "{}");
    caller_wait(&c);
    caller_wait(&joined);
    assert_int_equal(c.ending, TOOL_TIMED_OUT);
    assert_string_equal(c.type, "timeout");
    assert_string_equal(c.text,
                        "work did not end within 30 ms and was stopped.");
    assert_int_equal(joined.ending, TOOL_TIMED_OUT);
    assert_int_equal(tool_runner_count(runner), 1);
    atomic_store(&f->gate, true);
    fake_count_await(0);
    caller_order_wait(&c, "start", "{}");
    assert_int_equal(c.ending, TOOL_TIMED_OUT);
    fake_count_await(0);
    assert_int_equal(atomic_load(&s->cancels), 1);
    caller_order_wait(&c, "work", "{}"); /* no trace of it is kept */
    assert_int_equal(c.ending, TOOL_DONE);
}

/* --- caps */

static void
test_caps(void **state)
{
    static struct caller many[RUNNING + WAITING + 1];
    struct tool_lane lane = {0};
    struct tool_spec plain = fake_spec_of_read;
    unsigned count = 0, busy = 0;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &fake_start_ops, plain);
    struct fake *w = fake_add("work", &fake_work_ops, plain);
    atomic_store(&f->gate, false);
    for (; count < TOOL_RUNNER_LANE_WAITING + TOOL_RUNNER_LANE_MAX; count++)
        caller_order_as(&many[count],
                        (struct tool_order){.name = "start", .lane = &lane},
                        "{}");
    for (unsigned i = 0; i < count; i++)
        busy += many[i].ending == TOOL_BUSY && many[i].result == 1;
    /* The process lets fewer run than the lane would. */
    assert_int_equal(busy, TOOL_RUNNER_LANE_MAX - RUNNING);
    assert_int_equal(lane.running, RUNNING);
    assert_int_equal(lane.waiting, TOOL_RUNNER_LANE_WAITING);
    for (unsigned i = 0; i < count; i++)
        tool_job_cancel(&many[i].job);
    fake_count_await(0);
    assert_int_equal(lane.running + lane.waiting + lane.later, 0);

    for (count = 0; count < RUNNING + WAITING + 1; count++)
        caller_order(&many[count], "work", "{}");
    for (unsigned i = 0; i < count; i++) {
        if (many[i].result == 0)
            caller_wait(&many[i]);
    }
    assert_int_equal(atomic_load(&w->runs), count);

    for (count = 0; count < RUNNING + WAITING + 1; count++)
        caller_order(&many[count], "start", "{}");
    assert_int_equal(many[count - 1].result, 1);
    assert_int_equal(many[count - 1].ending, TOOL_BUSY);
    assert_string_equal(many[count - 1].type, "busy");
    for (unsigned i = 0; i < count; i++)
        tool_job_cancel(&many[i].job);
    fake_count_await(0);
}

/* A lane that is full holds up nobody else. */
static void
test_lanes_are_apart(void **state)
{
    struct caller many[4] = {0}, other = {0};
    struct tool_lane full = {.running = TOOL_RUNNER_LANE_MAX};
    struct tool_spec plain = fake_spec_of_read;

    (void) state;
    plain.ttl_ms = 0;
    fake_add("work", &fake_work_ops, plain);
    for (int i = 0; i < 4; i++)
        caller_order_as(
            &many[i], (struct tool_order){.name = "work", .lane = &full}, "{}");
    caller_order_wait(&other, "work", "{}");
    assert_int_equal(other.ending, TOOL_DONE);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(atomic_load(&many[i].done), 0);
        tool_job_cancel(&many[i].job);
        caller_wait_cancelled(&many[i]);
    }
    assert_int_equal(full.waiting, 0);
    assert_int_equal(full.running, TOOL_RUNNER_LANE_MAX);
}

/* --- all of a tenant */

static void
test_cancel_all(void **state)
{
    struct caller ours[RUNNING + 2] = {0}, theirs = {0};
    struct tool_spec plain = fake_spec_of_read;
    struct buffer names;

    (void) state;
    plain.ttl_ms = 0;
    struct fake *f = fake_add("start", &fake_start_ops, plain);
    atomic_store(&f->gate, false);
    caller_order_as(
        &theirs, (struct tool_order){.name = "start", .tenant = "other"}, "{}");
    for (int i = 0; i < RUNNING + 2; i++)
        caller_order_as(&ours[i],
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
    struct tool_spec paged = fake_spec_of_read;

    (void) state;
    struct fake *f = fake_add("work", &fake_work_ops, fake_spec_of_read);
    struct fake *s = fake_add("start", &fake_start_ops, fake_spec_of_read);
    paged.flags |= TOOL_PAGES;
    struct fake *p = fake_add("paged", &fake_work_ops, paged);
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
        caller_order_as(&c[i], one, arguments);
    }
    usleep(5000);
    tool_runner_close(runner);
    for (int i = 0; i < 24; i++)
        caller_wait_cancelled(&c[i]);
    fake_count_await(0);
    caller_order_wait(&late, "work", "{\"n\":99}");
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

        int result = tool_runner_order(
            runner, &one, &(struct tool_order_caller){&storm, &orders[i]},
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
    struct tool_spec writer = fake_spec_of_read, paged = fake_spec_of_read;
    struct tool_cache_counts counts;

    (void) state;
    writer.flags = 0;
    paged.flags |= TOOL_PAGES;
    struct fake *f = fake_add("work", &fake_work_ops, fake_spec_of_read);
    f->work_us = 200;
    struct fake *s = fake_add("start", &fake_start_ops, fake_spec_of_read);
    fake_add("write", &fake_work_ops, writer);
    struct fake *p = fake_add("paged", &fake_work_ops, paged);
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
    fake_count_await(0);
    tool_cache_get_counts(cache, &counts);
    assert_int_equal(counts.flights, 0);
}

int
main(void)
{
#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_cancel_before_it_begins),
        TEST(test_cancel_while_it_runs),
        TEST(test_cancel_after_it_is_done),
        TEST(test_cancel_of_a_writer),
        TEST(test_r3_2_who_leaves_takes_nobody_along),
        TEST(test_r3_5_deadline),
        TEST(test_caps),
        TEST(test_lanes_are_apart),
        TEST(test_cancel_all),
        TEST(test_close_while_all_runs),
        TEST(test_storm),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
