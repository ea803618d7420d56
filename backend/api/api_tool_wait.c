/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_tool_wait.h"

#include "api/api_wait.h"

#include <stdlib.h>
#include <string.h>

/* --- what a request orders */

static bool
is_hex(const char *text, size_t digits)
{
    return strspn(text, "0123456789abcdef") >= digits;
}

/* W3C Trace Context: version 00, or a later one's beginning. */
static const char *
traceparent_of(struct gate_request *rq)
{
    const char *text = gate_param(rq, "HTTP_TRACEPARENT");

    if (text == NULL || strlen(text) != 55 || text[2] != '-' || text[35] != '-'
        || text[52] != '-' || !is_hex(text, 2) || !is_hex(text + 3, 32)
        || !is_hex(text + 36, 16) || !is_hex(text + 53, 2)) {
        return "";
    }
    return text;
}

void
api_tool_order_init(struct tool_order *order, struct gate_request *rq,
                    const json_t *arguments)
{
    *order = (struct tool_order){
        .name = api_path_id(rq),
        .arguments = arguments,
        .tenant = api_tenant(rq),
        .session_id = "",
        .call_id = gate_request_id(rq),
        .traceparent = traceparent_of(rq),
    };
}

/* --- the wait: one share for the order, one for the request */

struct tool_wait {
    struct api_wait *wait;
    struct tool_job *job; /* the request's side alone */
    struct api_tool_result result;
    enum api_tool_shape shape;
    atomic_int steps; /* parked, done: who comes second wakes the request */
    atomic_int shares;
};

static void
wait_put(struct tool_wait *w)
{
    if (atomic_fetch_sub(&w->shares, 1) == 1) {
        api_tool_result_deinit(&w->result);
        free(w);
    }
}

static void
wait_step(struct tool_wait *w)
{
    if (atomic_fetch_add(&w->steps, 1) == 1) {
        api_wait_done(&w->wait, 0);
    }
}

/* --- the order's side, on any thread */

static void
on_done(void *arg, const struct tool_answer *answer)
{
    struct tool_wait *w = arg;

    api_tool_result_keep(&w->result, answer);
    wait_step(w);
    wait_put(w);
}

static const struct tool_order_handlers order_handlers = {.on_done = on_done};

/* --- the request's side */

static void
wait_cancel(struct tool_wait *w)
{
    if (w->job != NULL) {
        tool_job_cancel(&w->job);
    }
}

static void
on_gone(void *arg)
{
    wait_cancel(arg);
}

static void
on_release(void *arg)
{
    struct tool_wait *w = arg;

    if (w->job != NULL) {
        tool_job_put(&w->job);
    }
    wait_put(w);
}

static void
answer_waited(struct gate_request *rq, struct api_context *api, int result,
              void *arg)
{
    struct tool_wait *w = arg;

    (void) api;
    if (result == 0) {
        api_tool_answer_send(rq, w->shape, &w->result.answer);
        return;
    }
    const struct tool_answer late = api_tool_failure(
        TOOL_TIMED_OUT, "timeout", "The tool did not end in its time.");
    wait_cancel(w);
    api_tool_answer_send(rq, w->shape, &late);
}

static void
wait_park(struct tool_wait *w, struct gate_request *rq, struct api_context *api)
{
    const struct api_wait_config cfg = {
        .deadline_ms = API_TOOL_WAIT_MS,
        .answer = answer_waited,
        .gone = on_gone,
        .release = on_release,
        .arg = w,
    };

    if (api_wait_start(&w->wait, rq, api, &cfg) != 0) {
        wait_cancel(w);
        wait_put(w);
        gate_answer_busy(rq);
        return;
    }
    wait_step(w);
}

void
api_tool_wait(struct gate_request *rq, struct api_context *api,
              const struct tool_order *order, enum api_tool_shape shape)
{
    struct tool_wait *w = calloc(1, sizeof(*w));
    struct tool_answer answer;
    int result = UV_ENOMEM;

    if (w != NULL) {
        w->shape = shape;
        atomic_init(&w->steps, 0);
        atomic_init(&w->shares, 2);
        result = tool_runner_order(
            api->tool_runner, order,
            &(struct tool_order_caller){&order_handlers, w}, &w->job, &answer);
    }
    if (result == 0) {
        wait_park(w, rq, api);
        return;
    }
    free(w);
    if (result == 1) {
        api_tool_answer_send(rq, shape, &answer);
        tool_answer_deinit(&answer);
    } else {
        gate_answer_busy(rq);
    }
}
