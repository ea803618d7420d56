/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/voice_load.h"

#include "codec/load_cut.h"

#include "base/clock.h"
#include "base/metrics.h"
#include "base/thread_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOOPS      2
#define LIMIT_LOOK 2000 /* of 10 ms */

static struct loop *loops[LOOPS], *home;
static atomic_bool spinning;

static int
setup(void **state)
{
    (void) state;
    for (unsigned i = 0; i < LOOPS; i++) {
        assert_int_equal(loop_create(&loops[i], i), 0);
        assert_int_equal(loop_start(loops[i]), 0);
    }
    assert_int_equal(loop_create(&home, LOOPS), 0);
    return loop_start(home);
}

static int
teardown(void **state)
{
    (void) state;
    for (unsigned i = 0; i < LOOPS; i++)
        loop_destroy(&loops[i]);
    loop_destroy(&home);
    return 0;
}

/* Works for 2 ms, lets the loop turn, and comes again. */
static void
on_spin(struct loop_task *task, void *arg)
{
    uint64_t end = clock_now_us() + 2000;

    while (clock_now_us() < end) {
    }
    if (atomic_load(&spinning))
        loop_post(arg, task);
}

static int64_t
metric_of(const char *name)
{
    return metric_get(metric_register(METRIC_GAUGE, name, ""));
}

static uint64_t
lag_count(void)
{
    struct buffer text;
    unsigned long count = 0;

    buffer_init(&text, 1u << 20);
    assert_int_equal(metrics_dump_json(&text), 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    const char *at =
        strstr((const char *) text.data, "\"voice_loop_lag_seconds_count\":");
    if (at)
        count = strtoul(strchr(at, ':') + 1, NULL, 10);
    buffer_deinit(&text);
    return count;
}

static void
test_nothing_is_cut_without_it(void **state)
{
    struct voice_load *none = NULL;

    (void) state;
    assert_int_equal(voice_load_complexity(5), 5);
    assert_int_equal(voice_load_complexity(10), 10);
    voice_load_destroy(&none);
}

static void
test_r5_1_a_loop_without_rest_cuts(void **state)
{
    const struct voice_load_config cfg = {home, loops, LOOPS, 50, LOAD_CUT_MAX};
    struct loop_task spin = {.run = on_spin, .arg = loops[1]};
    struct voice_load *load;

    (void) state;
    assert_int_equal(voice_load_create(&load, &cfg), 0);
    atomic_store(&spinning, true);
    loop_post(loops[1], &spin);
    for (unsigned i = 0; i < LIMIT_LOOK && voice_load_complexity(5) > 0; i++)
        usleep(10000);
    assert_int_equal(voice_load_complexity(5), 0);
    assert_int_equal(metric_of("voiced_opus_complexity_cut"), 5);
    assert_true(metric_of("voiced_loop_busy_percent") >= 80);
    atomic_store(&spinning, false);
    for (unsigned i = 0;
         i < LIMIT_LOOK && metric_of("voiced_loop_busy_percent") > 50; i++)
        usleep(10000);
    assert_true(metric_of("voiced_loop_busy_percent") <= 50);
    voice_load_destroy(&load);
    assert_null(load);
    assert_int_equal(voice_load_complexity(5), 5);
}

static void
test_r5_1_lag_is_told(void **state)
{
    const struct voice_load_config cfg = {home, loops, LOOPS, 10, LOAD_CUT_MAX};
    uint64_t before = lag_count();
    struct voice_load *load;

    (void) state;
    assert_int_equal(voice_load_create(&load, &cfg), 0);
    for (unsigned i = 0; i < LIMIT_LOOK && lag_count() < before + 6; i++)
        usleep(10000);
    assert_true(lag_count() >= before + 6);
    voice_load_destroy(&load);
}

static void
on_hold(struct loop_task *task, void *arg)
{
    (void) task;
    uv_sem_wait(arg);
}

/* A loop that is stuck holds one task, and the end waits for it. */
static void
test_a_stuck_loop_is_not_heaped_upon(void **state)
{
    const struct voice_load_config cfg = {home, loops, 1, 5, LOAD_CUT_MAX};
    struct voice_load *load;
    uv_sem_t hold;
    struct loop_task task = {.run = on_hold, .arg = &hold};

    (void) state;
    uv_sem_init(&hold, 0);
    loop_post(loops[0], &task);
    assert_int_equal(voice_load_create(&load, &cfg), 0);
    uint64_t before = lag_count();
    usleep(100000);
    assert_int_equal(lag_count(), before);
    uv_sem_post(&hold);
    voice_load_destroy(&load);
    assert_int_equal(lag_count(), before + 1);
    uv_sem_destroy(&hold);
}

/* --- a thread's time */

static void *
time_told(void *arg)
{
    struct thread_time *t = arg;

    assert_int_equal(thread_time_open(t), 0);
    uint64_t at_us = thread_time_busy_us(t);
    usleep(50000);
    uint64_t slept_us = thread_time_busy_us(t) - at_us;
    uint64_t end = clock_now_us() + 50000;
    while (clock_now_us() < end) {
    }
    uint64_t ran_us = thread_time_busy_us(t) - at_us - slept_us;
    /* 50 ms less the clock's own edges; what it waited for a processor while
     * it wanted one counts too. */
    assert_true(ran_us >= 40000);
    assert_true(slept_us < ran_us);
    return NULL;
}

static void
test_time_of_a_thread(void **state)
{
    struct thread_time t = {0};
    pthread_t thread;

    (void) state;
    assert_int_equal(thread_time_busy_us(&t), 0);
    thread_time_close(&t);
    assert_int_equal(pthread_create(&thread, NULL, time_told, &t), 0);
    pthread_join(thread, NULL);
    thread_time_close(&t);
    assert_int_equal(thread_time_busy_us(&t), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_cut_without_it),
        cmocka_unit_test_setup_teardown(test_r5_1_a_loop_without_rest_cuts,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(test_r5_1_lag_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_stuck_loop_is_not_heaped_upon,
                                        setup, teardown),
        cmocka_unit_test(test_time_of_a_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
