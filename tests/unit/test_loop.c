/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/loop.h"

#include "base/histogram.h"
#include "base/log.h"
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TASKS 1000

struct step {
    struct loop_task task;
    struct loop *loop;
    int number;
    int again;
};

static int order[4 * TASKS];
static int order_count;
static struct step steps[TASKS];

static void
on_step(struct loop_task *task, void *arg)
{
    struct step *step = arg;

    assert_true(loop_is_current(step->loop));
    order[order_count++] = step->number;
    if (step->again-- > 0) {
        loop_post(step->loop, task);
    }
}

static void
test_posts_run_in_order(void **state)
{
    struct loop *loop;

    (void) state;
    order_count = 0;
    assert_int_equal(loop_create(&loop, 3), 0);
    assert_int_equal(loop_index(loop), 3);
    assert_int_equal(loop_start(loop), 0);
    assert_false(loop_is_current(loop));
    for (int i = 0; i < TASKS; i++) {
        steps[i] = (struct step){{NULL, on_step, &steps[i]}, loop, i, 1};
        loop_post(loop, &steps[i].task);
    }
    usleep(20000);
    loop_stop(loop);
    loop_destroy(&loop);
    assert_null(loop);
    assert_int_equal(order_count, 2 * TASKS);
}

static struct loop_task second;

static void
on_second(struct loop_task *task, void *arg)
{
    (void) task;
    order[order_count++] = 2;
    (void) arg;
}

static void
on_first(struct loop_task *task, void *arg)
{
    (void) task;
    order[order_count++] = 1;
    second = (struct loop_task){NULL, on_second, arg};
    loop_defer(arg, &second);
}

static void
test_defer(void **state)
{
    struct loop_task first, gone;
    struct loop *loop;
    uint32_t turn;

    (void) state;
    order_count = 0;
    assert_int_equal(loop_create(&loop, 0), 0);
    first = (struct loop_task){NULL, on_first, loop};
    gone = (struct loop_task){NULL, on_first, loop};
    loop_defer(loop, &first);
    loop_defer(loop, &gone);
    loop_undefer(loop, &gone);
    loop_undefer(loop, &gone);
    turn = loop_turn(loop);
    uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    assert_int_not_equal(loop_turn(loop), turn);
    assert_int_equal(order_count, 2);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 2);
    loop_destroy(&loop);
}

/* --- watched descriptors: what each of two heard */

struct watcher {
    struct loop_watch watch;
    struct watcher *victim; /* closed when this one hears of anything */
    unsigned heard;
    int times;
};

static void
on_watch(struct loop_watch *watch, unsigned events)
{
    struct watcher *w = (struct watcher *) watch;

    assert_false(w->heard & LOOP_CLOSED);
    w->heard |= events;
    w->times++;
    if (w->victim != NULL) {
        loop_watch_close(&w->victim->watch);
        w->victim = NULL;
    }
}

static void
turn(struct loop *loop, int times)
{
    while (times-- > 0) {
        uv_run(loop_uv(loop), UV_RUN_NOWAIT);
    }
}

static void
test_watch(void **state)
{
    struct watcher w = {.times = 0};
    struct loop *loop;
    int fds[2];

    (void) state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(loop_create(&loop, 0), 0);
    assert_int_equal(loop_watch_open(loop, &w.watch, -1, 0, on_watch),
                     UV_EBADF);
    assert_int_equal(
        loop_watch_open(loop, &w.watch, fds[0], LOOP_READABLE, on_watch), 0);
    turn(loop, 2);
    assert_int_equal(w.times, 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    turn(loop, 3);
    assert_int_equal(w.heard, LOOP_READABLE);
    assert_int_equal(w.times, 3);
    /* Neither bytes nor a hang-up matter to who wants nothing. */
    loop_watch_want(&w.watch, 0);
    close(fds[1]);
    turn(loop, 3);
    assert_int_equal(w.times, 3);
    loop_watch_want(&w.watch, LOOP_READABLE);
    turn(loop, 1);
    assert_int_equal(w.times, 4);
    loop_watch_close(&w.watch);
    assert_int_equal(w.times, 4);
    turn(loop, 1);
    assert_int_equal(w.heard, LOOP_READABLE | LOOP_CLOSED);
    close(fds[0]);
    loop_destroy(&loop);
}

/* Both are ready in one batch, and the first to hear of it closes the other. */
static void
test_watch_closed_in_batch(void **state)
{
    struct watcher w[2] = {{.times = 0}};
    struct loop *loop;
    int fds[2];

    (void) state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(loop_create(&loop, 0), 0);
    assert_int_equal(
        loop_watch_open(loop, &w[0].watch, fds[0], LOOP_READABLE, on_watch), 0);
    assert_int_equal(
        loop_watch_open(loop, &w[1].watch, fds[1], LOOP_WRITABLE, on_watch), 0);
    w[0].victim = &w[1];
    w[1].victim = &w[0];
    turn(loop, 1);
    assert_int_equal(w[0].times + w[1].times, 1);
    struct watcher *left = w[0].times ? &w[0] : &w[1];
    w[0].victim = w[1].victim = NULL;
    loop_watch_close(&left->watch);
    /* Both last calls come, the latest with the loop. */
    loop_destroy(&loop);
    assert_true(w[0].heard & w[1].heard & LOOP_CLOSED);
    close(fds[0]);
    close(fds[1]);
}

/* --- the rest of a busy loop */

struct spinner {
    struct loop_task task;
    struct loop *loop;
    atomic_int left;
};

static void
on_spin(struct loop_task *task, void *arg)
{
    struct spinner *s = arg;

    if (atomic_fetch_sub(&s->left, 1) > 1) {
        loop_post(s->loop, task);
    }
}

/* Turns that a loop makes in 100 ms when each asks for the next. */
static int
turns_made(unsigned rest_us)
{
    struct spinner s = {.left = 1 << 30};

    assert_int_equal(loop_create(&s.loop, 0), 0);
    loop_set_rest(s.loop, rest_us);
    assert_int_equal(loop_start(s.loop), 0);
    s.task = (struct loop_task){NULL, on_spin, &s};
    loop_post(s.loop, &s.task);
    usleep(100000);
    int made = (1 << 30) - atomic_exchange(&s.left, 1);
    usleep(10000);
    /* Not &s.loop: the loop's thread reads that until it is joined. */
    struct loop *loop = s.loop;
    loop_destroy(&loop);
    return made;
}

static void
test_rest(void **state)
{
    int rested = turns_made(400);

    (void) state;
    assert_true(rested > 8);
    /* Far more than that without a rest, on the slowest machine. */
    assert_true(turns_made(0) > rested);
}

static char *
log_line(enum log_format format, const char *id, const char *text)
{
    static char line[8192];
    char path[] = "/tmp/voice-log-XXXXXX";
    const struct log_config cfg = {LOG_LEVEL_INFO, format, LOG_TARGET_FILE,
                                   path};
    FILE *file;
    size_t n;

    close(mkstemp(path));
    assert_int_equal(log_open(&cfg), 0);
    LOG(DEBUG, id, "not this");
    LOG(WARN, id, "%s", text);
    log_close();
    file = fopen(path, "r");
    n = fread(line, 1, sizeof(line) - 1, file);
    line[n] = '\0';
    fclose(file);
    unlink(path);
    return line;
}

static void
test_log(void **state)
{
    struct log_limit limit = {0};
    uint64_t swallowed;
    char *line;

    (void) state;
    line = log_line(LOG_FORMAT_TEXT, "sess_1", "a=1\nforged \x1b[1m \xff");
    assert_non_null(strstr(line, "Z warn [sess_1] a=1?forged ?[1m ?\n"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    line = log_line(LOG_FORMAT_JSON, NULL, "q=\"x\" \n \xc3\xa4 \xff");
    assert_non_null(strstr(line, "\"level\":\"warn\",\"message\":\"q=\\u0022x"
                                 "\\u0022 \\u000a \xc3\xa4 ?\"}\n"));
    assert_true(log_limit_pass(&limit, &swallowed));
    assert_false(log_limit_pass(&limit, &swallowed));
    assert_false(log_limit_pass(&limit, &swallowed));
    limit.next_ms = 0;
    assert_true(log_limit_pass(&limit, &swallowed));
    assert_int_equal(swallowed, 2);
}

static void
test_metrics(void **state)
{
    struct metric *a = metric_register(METRIC_COUNTER, "t_a{x=\"1\"}", "A.");
    struct metric *g = metric_register(METRIC_GAUGE, "t_g", "G.");
    struct metric *b = metric_register(METRIC_COUNTER, "t_a{x=\"2\"}", "A.");
    struct buffer out;

    (void) state;
    assert_ptr_equal(a, metric_register(METRIC_COUNTER, "t_a{x=\"1\"}", ""));
    metric_add(a, 2);
    metric_add(a, 3);
    metric_set(g, -7);
    metric_add(b, 1);
    buffer_init(&out, 1 << 20);
    assert_int_equal(metrics_dump_prometheus(&out), 0);
    assert_string_equal(buffer_text(&out),
                        "# HELP t_a A.\n# TYPE t_a counter\n"
                        "t_a{x=\"1\"} 5\nt_a{x=\"2\"} 1\n"
                        "# HELP t_g G.\n# TYPE t_g gauge\nt_g -7\n");
    buffer_clear(&out);
    assert_int_equal(metrics_dump_json(&out), 0);
    assert_string_equal(buffer_text(&out), "{\"t_a{x=\\\"1\\\"}\":5,"
                                           "\"t_g\":-7,"
                                           "\"t_a{x=\\\"2\\\"}\":1}");
    for (int i = 0; i < METRICS_MAX + 10; i++) {
        char name[32];

        snprintf(name, sizeof(name), "t_many_%d", i);
        metric_add(metric_register(METRIC_COUNTER, name, "M."), 1);
    }
    buffer_deinit(&out);
}

static void
test_histograms(void **state)
{
    const double bounds[] = {0.1, 0.5, 2};
    struct histogram *h = histogram_register("t_s", "S.", bounds, 3);
    struct histogram *w = histogram_register("t_w{a=\"1\"}", "W.", bounds, 1);
    const double values[] = {-1, 0.1, 0.11, 0.5, 1.9999995, 2, 2.1, 1000};
    struct buffer out;

    (void) state;
    assert_ptr_equal(h, histogram_register("t_s", "", bounds, 3));
    assert_ptr_equal(w, histogram_register("t_w{a=\"1\"}", "", bounds, 1));
    assert_ptr_not_equal(w,
                         histogram_register("t_w{a=\"12\"}", "W.", bounds, 1));
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        histogram_observe(h, values[i]);
    histogram_observe(w, 0.05);
    buffer_init(&out, 1 << 20);
    assert_int_equal(histograms_dump_prometheus(&out), 0);
    assert_string_equal(buffer_text(&out),
                        "# HELP t_s S.\n# TYPE t_s histogram\n"
                        "t_s_bucket{le=\"0.1\"} 2\nt_s_bucket{le=\"0.5\"} 4\n"
                        "t_s_bucket{le=\"2\"} 6\nt_s_bucket{le=\"+Inf\"} 8\n"
                        "t_s_sum 1006.810000\nt_s_count 8\n"
                        "# HELP t_w W.\n# TYPE t_w histogram\n"
                        "t_w_bucket{a=\"1\",le=\"0.1\"} 1\n"
                        "t_w_bucket{a=\"1\",le=\"+Inf\"} 1\n"
                        "t_w_sum{a=\"1\"} 0.050000\nt_w_count{a=\"1\"} 1\n"
                        "t_w_bucket{a=\"12\",le=\"0.1\"} 0\n"
                        "t_w_bucket{a=\"12\",le=\"+Inf\"} 0\n"
                        "t_w_sum{a=\"12\"} 0.000000\nt_w_count{a=\"12\"} 0\n");
    buffer_clear(&out);
    assert_int_equal(histograms_dump_json(&out, ","), 0);
    assert_string_equal(buffer_text(&out),
                        ",\"t_s_count\":8,\"t_w_count{a=\\\"1\\\"}\":1,"
                        "\"t_w_count{a=\\\"12\\\"}\":0");
    for (int i = 0; i < HISTOGRAMS_MAX + 10; i++) {
        char name[32];

        snprintf(name, sizeof(name), "t_more_%d", i);
        histogram_observe(histogram_register(name, "M.", bounds, 3), 1);
    }
    buffer_clear(&out);
    assert_int_equal(histograms_dump_prometheus(&out), 0);
    assert_non_null(
        strstr(buffer_text(&out), "\nvoiced_histograms_overflow_count 14\n"));
    buffer_deinit(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_posts_run_in_order),
        cmocka_unit_test(test_defer),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_watch_closed_in_batch),
        cmocka_unit_test(test_rest),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_histograms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
