/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   calls ─┬► order ─► answered at once ──────────┐
 *          ├► order ─► under way ─► on_done ──────┤ left - 1
 *          └► the request, once it is parked ─────┘
 *   left 0 ─► gate_resume ─► {"results":[…]}
 */

#include "api/api_tools_batch.h"

#include "api/api_tool_answer.h"
#include "api/api_tool_wait.h"
#include "api/api_wait.h"
#include "codec/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RESULTS_MAX_BYTES (256u << 20)

struct batch;

struct batch_call {
    struct batch *batch;
    const char *id, *name;   /* of the tree */
    const json_t *arguments; /* of the tree; NULL: none given */
    struct tool_job *job;    /* the request's side alone */
    struct api_tool_result result;
};

/* One share for the request, one for each order under way. */
struct batch {
    json_t *tree;
    struct api_wait *wait;
    struct tool_lane lane;
    json_t *none; /* {} */
    atomic_int left;
    atomic_int shares;
    size_t count;
    struct batch_call calls[API_TOOLS_BATCH_MAX];
};

static void
batch_put(struct batch *b)
{
    if (atomic_fetch_sub(&b->shares, 1) != 1) {
        return;
    }
    for (size_t i = 0; i < b->count; i++) {
        api_tool_result_deinit(&b->calls[i].result);
    }
    json_decref(b->none);
    json_decref(b->tree);
    free(b);
}

static void
batch_step(struct batch *b)
{
    if (atomic_fetch_sub(&b->left, 1) == 1) {
        api_wait_done(&b->wait, 0);
    }
}

static void
batch_cancel(struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->calls[i].job != NULL) {
            tool_job_cancel(&b->calls[i].job);
        }
    }
}

/* --- the orders' side, on any thread */

static void
on_done(void *arg, const struct tool_answer *answer)
{
    struct batch_call *call = arg;
    struct batch *b = call->batch;

    api_tool_result_keep(&call->result, answer);
    batch_step(b);
    batch_put(b);
}

static const struct tool_order_handlers order_handlers = {.on_done = on_done};

/* --- the answer */

static int
put_result(struct buffer *out, const struct batch_call *call)
{
    json_t *id = json_string(call->id);
    char *quoted = json_dumps(id, JSON_ENCODE_ANY | API_JSON);
    int err = quoted == NULL ? UV_ENOMEM
                             : buffer_printf(out, "{\"call_id\":%s,", quoted);

    free(quoted);
    json_decref(id);
    if (err == 0) {
        err = api_tool_answer_write(out, &call->result.answer);
    }
    return err != 0 ? err : buffer_append(out, "}", 1);
}

static void
batch_answer(struct gate_request *rq, const struct batch *b)
{
    struct buffer body;
    int err;

    buffer_init(&body, RESULTS_MAX_BYTES);
    err = buffer_printf(&body, "{\"results\":[");
    for (size_t i = 0; i < b->count && err == 0; i++) {
        err = i > 0 ? buffer_append(&body, ",", 1) : 0;
        if (err == 0) {
            err = put_result(&body, &b->calls[i]);
        }
    }
    if (err == 0) {
        err = buffer_append(&body, "]}", 2);
    }
    if (err == 0) {
        api_json_text(rq, 200, (const char *) body.data, body.bytes);
    } else {
        api_error(rq, 500, "internal_error", "The answer can't be written.",
                  NULL);
    }
    buffer_deinit(&body);
}

/* Late, when the orders may still end: what they have is not looked at. */
static void
answer_waited(struct gate_request *rq, struct api_context *api, int result,
              void *arg)
{
    struct batch *b = arg;

    (void) api;
    if (result == 0) {
        batch_answer(rq, b);
    } else {
        batch_cancel(b);
        api_error(rq, 504, "timeout", "The tools did not end in their time.",
                  NULL);
    }
}

static void
on_gone(void *arg)
{
    batch_cancel(arg);
}

static void
on_release(void *arg)
{
    struct batch *b = arg;

    for (size_t i = 0; i < b->count; i++) {
        if (b->calls[i].job != NULL) {
            tool_job_put(&b->calls[i].job);
        }
    }
    batch_put(b);
}

/* --- the calls */

static void
call_fail(struct batch_call *call, enum tool_ending ending, const char *type,
          const char *error)
{
    const struct tool_answer answer = api_tool_failure(ending, type, error);

    api_tool_result_keep(&call->result, &answer);
    atomic_fetch_sub(&call->batch->left, 1);
}

static void
call_order(struct batch_call *call, struct gate_request *rq,
           struct api_context *api)
{
    struct batch *b = call->batch;
    struct tool_answer answer;
    struct tool_order order;
    int result;

    api_tool_order_init(&order, rq,
                        call->arguments != NULL ? call->arguments : b->none);
    order.name = call->name;
    order.call_id = call->id;
    order.lane = &b->lane;
    atomic_fetch_add(&b->shares, 1);
    result =
        tool_runner_order(api->tool_runner, &order,
                          &(struct tool_order_caller){&order_handlers, call},
                          &call->job, &answer);
    if (result == 0) {
        return;
    }
    atomic_fetch_sub(&b->shares, 1);
    if (result == 1) {
        api_tool_result_keep(&call->result, &answer);
        tool_answer_deinit(&answer);
        atomic_fetch_sub(&b->left, 1);
    } else {
        call_fail(call, TOOL_BUSY, "busy", "There is no memory for it now.");
    }
}

static void
call_start(struct batch_call *call, struct gate_request *rq,
           struct api_context *api, const struct policy *policy)
{
    if (!policy_names_have(&policy->http_tools, call->name)) {
        call_fail(call, TOOL_UNKNOWN, "unknown_tool",
                  "There is no such tool here.");
    } else if (call->arguments != NULL && !json_is_object(call->arguments)) {
        call_fail(call, TOOL_INVALID, "invalid_arguments", API_TOOL_NO_OBJECT);
    } else if (json_dumpb(call->arguments, NULL, 0, JSON_COMPACT)
               > TOOL_RUNNER_ARGUMENTS_BYTES) {
        call_fail(call, TOOL_INVALID, "invalid_arguments",
                  "The arguments are too large.");
    } else {
        call_order(call, rq, api);
    }
}

/* --- what was asked for */

/* NULL: it is fine; else what is wrong, with the field in `param`. */
static const char *
call_read(struct batch_call *call, const json_t *entry, size_t i,
          char param[48])
{
    const json_t *id = json_object_get(entry, "call_id");

    call->name = json_string_value(json_object_get(entry, "name"));
    call->arguments = json_object_get(entry, "arguments");
    call->id = json_string_value(id);
    snprintf(param, 48, "calls[%zu]", i);
    if (!json_is_object(entry)) {
        return "A call is an object.";
    }
    snprintf(param, 48, "calls[%zu].name", i);
    if (call->name == NULL) {
        return "A call needs the name of a tool.";
    }
    snprintf(param, 48, "calls[%zu].call_id", i);
    if (call->id == NULL || json_string_length(id) == 0
        || json_string_length(id) >= API_ID_BYTES) {
        return "A call needs an id of at most 127 bytes.";
    }
    return NULL;
}

static const char *
batch_read(struct batch *b, char param[48])
{
    const json_t *calls = json_object_get(b->tree, "calls");
    const char *wrong = NULL;
    const json_t *entry;
    size_t i;

    snprintf(param, 48, "calls");
    if (json_array_size(calls) == 0
        || json_array_size(calls) > API_TOOLS_BATCH_MAX) {
        return "An array of 1 to 32 calls.";
    }
    json_array_foreach(calls, i, entry)
    {
        b->calls[i].batch = b;
        wrong = call_read(&b->calls[i], entry, i, param);
        if (wrong != NULL) {
            return wrong;
        }
        b->count++;
    }
    return NULL;
}

static struct batch *
batch_create(json_t **tree)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (b == NULL) {
        json_decref(*tree);
    } else {
        b->tree = *tree;
        b->none = json_object();
        atomic_init(&b->shares, 1);
    }
    *tree = NULL;
    if (b != NULL && b->none == NULL) {
        batch_put(b);
        return NULL;
    }
    return b;
}

/* All that could be said at once has been; the rest is waited for. */
static void
batch_park(struct batch *b, struct gate_request *rq, struct api_context *api)
{
    const struct api_wait_config cfg = {
        .deadline_ms = API_TOOL_WAIT_MS,
        .answer = answer_waited,
        .gone = on_gone,
        .release = on_release,
        .arg = b,
    };

    if (atomic_load(&b->left) == 1) {
        batch_answer(rq, b);
        on_release(b);
    } else if (api_wait_start(&b->wait, rq, api, &cfg) != 0) {
        batch_cancel(b);
        batch_put(b);
        gate_answer_busy(rq);
    } else {
        batch_step(b);
    }
}

void
api_tools_batch(struct gate_request *rq, struct api_context *api,
                const struct policy *policy, json_t **tree)
{
    struct batch *b = batch_create(tree);
    char param[48];
    const char *wrong;

    if (b == NULL) {
        gate_answer_busy(rq);
        return;
    }
    wrong = batch_read(b, param);
    if (wrong != NULL) {
        api_error(rq, 400, "invalid_value", wrong, param);
        batch_put(b);
        return;
    }
    atomic_init(&b->left, (int) b->count + 1);
    for (size_t i = 0; i < b->count; i++) {
        call_start(&b->calls[i], rq, api, policy);
    }
    batch_park(b, rq, api);
}
