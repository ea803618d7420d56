/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/tool_rig.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void
tool_rig_open(struct tool_rig *rig)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&rig->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&rig->news, &attr);
    pthread_condattr_destroy(&attr);
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    assert_int_equal(loop_start(rig->loop), 0);
}

void
tool_rig_close(struct tool_rig *rig, unsigned (*left)(void))
{
    for (unsigned turns = 0; left != NULL && left() > 0; turns++) {
        assert_true(turns < 6000);
        usleep(10000);
    }
    loop_destroy(&rig->loop);
    pthread_mutex_destroy(&rig->lock);
    pthread_cond_destroy(&rig->news);
}

static void
on_acknowledged(void *arg, json_t *output)
{
    struct tool_order_rig *order = arg;

    pthread_mutex_lock(&order->rig->lock);
    order->acknowledged = output;
    pthread_cond_broadcast(&order->rig->news);
    pthread_mutex_unlock(&order->rig->lock);
}

static void
on_finished(void *arg, struct tool_result *result)
{
    struct tool_order_rig *order = arg;

    pthread_mutex_lock(&order->rig->lock);
    order->output = result->output;
    order->truncated = result->truncated;
    if (result->error != NULL)
        snprintf(order->error, sizeof(order->error), "%s", result->error);
    if (result->type != NULL)
        snprintf(order->type, sizeof(order->type), "%s", result->type);
    order->done = true;
    pthread_cond_broadcast(&order->rig->news);
    pthread_mutex_unlock(&order->rig->lock);
}

static void
on_start(struct loop_task *task, void *arg)
{
    struct tool_order_rig *order = arg;

    (void) task;
    order->tool->ops->start(order->tool, &order->run);
}

static void
on_cancel(struct loop_task *task, void *arg)
{
    struct tool_order_rig *order = arg;

    (void) task;
    if (!order->run.finished && order->tool->ops->cancel != NULL)
        order->tool->ops->cancel(order->tool, &order->run);
}

void
tool_order_begin(struct tool_order_rig *order, struct tool_rig *rig,
                 struct tool *tool, const char *arguments)
{
    static const struct tool_run_handlers handlers = {
        .on_acknowledged = on_acknowledged, .on_finished = on_finished};
    const char *tenant = order->tenant, *session_id = order->session_id;
    struct tool_run_config cfg = {.loop = rig->loop,
                                  .id = "run_test",
                                  .tenant = tenant != NULL ? tenant : "",
                                  .session_id =
                                      session_id != NULL ? session_id : "",
                                  .traceparent = ""};

    memset(order, 0, sizeof(*order));
    order->rig = rig;
    order->tool = tool;
    order->arguments = json_loads(arguments, 0, NULL);
    assert_non_null(order->arguments);
    cfg.arguments = order->arguments;
    cfg.deadline_ms = clock_now_ms() + tool->spec.timeout_ms;
    tool_run_init(&order->run, &cfg, &handlers, order);
    order->start.run = on_start;
    order->start.arg = order;
    order->cancel.run = on_cancel;
    order->cancel.arg = order;
    loop_post(rig->loop, &order->start);
}

void
tool_order_cancel(struct tool_order_rig *order)
{
    tool_run_cancel(&order->run);
    loop_post(order->rig->loop, &order->cancel);
}

static bool
order_wait(struct tool_order_rig *order, unsigned limit_ms, bool acknowledged)
{
    struct timespec until;
    bool come = false;
    int error = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t) (limit_ms / 1000) + 1;
    pthread_mutex_lock(&order->rig->lock);
    while (error == 0 && !come) {
        come = acknowledged ? order->acknowledged != NULL : order->done;
        if (!come)
            error = pthread_cond_timedwait(&order->rig->news, &order->rig->lock,
                                           &until);
    }
    pthread_mutex_unlock(&order->rig->lock);
    return come;
}

bool
tool_order_wait(struct tool_order_rig *order, unsigned limit_ms)
{
    return order_wait(order, limit_ms, false);
}

bool
tool_order_wait_acknowledged(struct tool_order_rig *order, unsigned limit_ms)
{
    return order_wait(order, limit_ms, true);
}

/* The loop may still be inside the run that has just said its end. */
static void
on_settled(struct loop_task *task, void *arg)
{
    struct tool_order_rig *order = arg;

    (void) task;
    tool_run_deinit(&order->run);
    pthread_mutex_lock(&order->rig->lock);
    order->done = false;
    pthread_cond_broadcast(&order->rig->news);
    pthread_mutex_unlock(&order->rig->lock);
}

void
tool_order_free(struct tool_order_rig *order)
{
    assert_true(order->done);
    order->start.run = on_settled;
    loop_post(order->rig->loop, &order->start);
    pthread_mutex_lock(&order->rig->lock);
    while (order->done)
        pthread_cond_wait(&order->rig->news, &order->rig->lock);
    pthread_mutex_unlock(&order->rig->lock);
    json_decref(order->arguments);
    json_decref(order->output);
    json_decref(order->acknowledged);
    memset(order, 0, sizeof(*order));
}

void
tool_order_run(struct tool_order_rig *order, struct tool_rig *rig,
               struct tool *tool, const char *arguments)
{
    tool_order_begin(order, rig, tool, arguments);
    assert_true(tool_order_wait(order, 60000));
}
