/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_calls.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define LINK_SLACK_MS 2000 /* we end it first, and tell the server */

struct mcp_call {
    struct mcp_call *next;
    int64_t id;
    uint64_t number; /* it was sent with; 0: it waits */
    bool refused;    /* by a server that had forgotten the session */
    char *tool, *traceparent;
    json_t *arguments, *schema;
    uint64_t timeout_ms, deadline_ms;
    uint64_t progress_ms; /* of the last word */
    const struct mcp_call_handlers *handlers;
    void *arg;
};

void
mcp_calls_init(struct mcp_calls *calls)
{
    *calls = (struct mcp_calls){.first = NULL};
    calls->last = &calls->first;
}

static void
call_free(struct mcp_call *call)
{
    free(call->tool);
    free(call->traceparent);
    json_decref(call->arguments);
    json_decref(call->schema);
    free(call);
}

int64_t
mcp_calls_add(struct mcp_calls *calls, const struct mcp_call_request *rq,
              const struct mcp_call_handlers *handlers, void *arg,
              uint64_t now_ms)
{
    struct mcp_call *call;

    if (calls->count >= MCP_CALLS_MAX)
        return UV_ENOBUFS;
    call = calloc(1, sizeof(*call));
    if (!call)
        return UV_ENOMEM;
    call->id = ++calls->ids;
    call->tool = strdup(rq->tool);
    call->traceparent = strdup(rq->traceparent ? rq->traceparent : "");
    call->arguments = json_incref((json_t *) rq->arguments);
    call->schema = json_incref((json_t *) rq->schema);
    call->timeout_ms = rq->timeout_ms;
    call->deadline_ms = now_ms + rq->timeout_ms;
    call->handlers = handlers;
    call->arg = arg;
    if (!call->tool || !call->traceparent) {
        call_free(call);
        return UV_ENOMEM;
    }
    *calls->last = call;
    calls->last = &call->next;
    calls->count++;
    return call->id;
}

/* Out of the list, at *link. */
static struct mcp_call *
call_take(struct mcp_calls *calls, struct mcp_call **link)
{
    struct mcp_call *call = *link;

    *link = call->next;
    if (!*link)
        calls->last = link;
    calls->count--;
    return call;
}

/* Taken already; the handler may do anything with the list. */
static void
call_end(struct mcp_call *call, const struct mcp_call_end *end)
{
    call->handlers->on_done(call->arg, end);
    call_free(call);
}

static void
call_end_with(struct mcp_call *call, int error, const char *why)
{
    const struct mcp_call_end end = {.error = error, .message = why};

    call_end(call, &end);
}

static struct mcp_call **
call_find(struct mcp_calls *calls, uint64_t number)
{
    struct mcp_call **link = &calls->first;

    while (*link && (!number || (*link)->number != number))
        link = &(*link)->next;
    return link;
}

/* --- sending */

static char *
call_text(const struct mcp_call *call, uint64_t number, enum mcp_era era)
{
    json_t *params =
        mcp_call_params(call->tool, call->arguments, number, call->traceparent);

    if (params && era == MCP_ERA_MODERN)
        params = mcp_params_stamp(params);
    return params ? json_rpc_request(number, "tools/call", params) : NULL;
}

static int
call_send(struct mcp_call *call, const struct mcp_calls_way *way)
{
    uint64_t number = way->next_number(way->arg);
    char *text = call_text(call, number, way->greeting->era);
    const struct mcp_send message = {
        .text = text,
        .method = "tools/call",
        .number = number,
        .timeout_ms = call->timeout_ms + LINK_SLACK_MS,
        .era = way->greeting->era,
        .version = way->greeting->version,
        .name = call->tool,
        .schema = call->schema,
        .arguments = call->arguments,
    };
    int result = text ? way->link->ops->send(way->link, &message) : UV_ENOMEM;

    free(text);
    call->number = result ? 0 : number;
    return result;
}

void
mcp_calls_flush(struct mcp_calls *calls, const struct mcp_calls_way *way)
{
    struct mcp_call **link = &calls->first;

    while (*link) {
        int error = (*link)->number ? 0 : call_send(*link, way);

        if (error) {
            call_end_with(call_take(calls, link), error, uv_strerror(error));
            link = &calls->first; /* whatever that has led to */
        } else {
            link = &(*link)->next;
        }
    }
}

/* --- what comes back */

bool
mcp_calls_answer(struct mcp_calls *calls, const struct json_rpc *answer)
{
    struct mcp_call **link = call_find(calls, answer->number);
    const struct mcp_call_end end = {
        .result = answer->kind == JSON_RPC_RESULT ? answer->result : NULL,
        .code = answer->code,
        .message = answer->message,
    };

    if (!*link)
        return false;
    call_end(call_take(calls, link), &end);
    return true;
}

bool
mcp_calls_progress(struct mcp_calls *calls, const struct mcp_progress *progress,
                   uint64_t now_ms)
{
    struct mcp_call *call = *call_find(calls, progress->token);

    if (!call)
        return false;
    if (call->progress_ms && now_ms - call->progress_ms < MCP_PROGRESS_LEAST_MS)
        return true;
    call->progress_ms = now_ms;
    call->handlers->on_progress(call->arg, progress);
    return true;
}

bool
mcp_calls_fail(struct mcp_calls *calls, uint64_t number, int error,
               const char *why)
{
    struct mcp_call **link = call_find(calls, number);

    if (!*link)
        return false;
    if (error == UV_ENOTCONN && !(*link)->refused) {
        (*link)->refused = true;
        (*link)->number = 0;
    } else {
        call_end_with(call_take(calls, link), error, why);
    }
    return true;
}

void
mcp_calls_fail_all(struct mcp_calls *calls, bool waiting_too, int error,
                   const char *why)
{
    struct mcp_calls failed;
    struct mcp_call **link = &calls->first;

    /* First out of the list: handlers may add new ones. */
    mcp_calls_init(&failed);
    while (*link) {
        if (!waiting_too && !(*link)->number) {
            link = &(*link)->next;
            continue;
        }
        struct mcp_call *call = call_take(calls, link);
        call->next = NULL;
        *failed.last = call;
        failed.last = &call->next;
    }
    while (failed.first) {
        struct mcp_call *call = failed.first;

        failed.first = call->next;
        call_end_with(call, error, why);
    }
}

/* --- giving up */

/* The modern era over HTTP needs no word: the stream's end says it. */
static void
server_tell(uint64_t number, const struct mcp_calls_way *way)
{
    json_t *params = mcp_cancelled_params(number);

    if (params && way->greeting->era == MCP_ERA_MODERN)
        params = mcp_params_stamp(params);
    char *text = params
                     ? json_rpc_notification("notifications/cancelled", params)
                     : NULL;
    const struct mcp_send message = {
        .text = text,
        .method = "notifications/cancelled",
        .timeout_ms = LINK_SLACK_MS,
        .era = way->greeting->era,
        .version = way->greeting->version,
    };

    if (text)
        (void) way->link->ops->send(way->link, &message);
    free(text);
    way->link->ops->forget(way->link, number);
}

static void
call_give_up(struct mcp_calls *calls, struct mcp_call **link, int error,
             const char *why, const struct mcp_calls_way *way)
{
    struct mcp_call *call = call_take(calls, link);

    if (call->number && way)
        server_tell(call->number, way);
    call_end_with(call, error, why);
}

void
mcp_calls_cancel(struct mcp_calls *calls, int64_t id,
                 const struct mcp_calls_way *way)
{
    struct mcp_call **link = &calls->first;

    while (*link && (*link)->id != id)
        link = &(*link)->next;
    if (*link)
        call_give_up(calls, link, UV_ECANCELED, "cancelled", way);
}

void
mcp_calls_expire(struct mcp_calls *calls, uint64_t now_ms,
                 const struct mcp_calls_way *way)
{
    struct mcp_call **link = &calls->first;

    while (*link) {
        if ((*link)->deadline_ms > now_ms) {
            link = &(*link)->next;
            continue;
        }
        call_give_up(calls, link, UV_ETIMEDOUT, "it took too long", way);
        link = &calls->first;
    }
}
