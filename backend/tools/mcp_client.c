/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/mcp_client.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "tools/mcp_http.h"
#include "tools/mcp_list.h"
#include "tools/mcp_opening.h"
#include "tools/mcp_state.h"
#include "tools/mcp_stdio.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PROBE_MS     5000 /* and a third of the connect timeout at most */
#define PAUSE_MS     500  /* doubled with each failure */
#define PAUSE_MAX_MS 60000
#define STEADY_MS    30000 /* up so long, its earlier failures don't count */
#define LOOK_MS      500   /* for calls that are overdue */
#define STRAY_MAX    1000  /* requests of the server a connection */

struct mcp_client {
    struct mcp_client_config cfg;
    const struct mcp_client_handlers *handlers;
    void *arg;
    enum mcp_state state;
    enum mcp_era era; /* what it spoke last time */
    struct mcp_link *link;
    unsigned links;            /* open, or not closed for good yet */
    struct loop_timer *timer;  /* an attempt's limit, or a pause's end */
    struct loop_timer *looker; /* for calls that are overdue; runs with them */
    struct loop_task task;
    bool task_posted;
    bool forgotten; /* by the server: what comes waits for another link */
    struct mcp_greeting greeting;
    struct mcp_opening *opening;
    struct mcp_list *list;
    struct mcp_calls calls;
    uint64_t numbers; /* given so far */
    unsigned failures;
    unsigned strays;
    uint64_t ready_ms;
};

static void attempt_start(struct mcp_client *c);

static void
client_enter(struct mcp_client *c, enum mcp_state state)
{
    if (!mcp_state_may_follow(c->state, state)) {
        LOG(ALERT, c->cfg.server->name, "mcp_state=%s refused=%s",
            mcp_state_name(c->state), mcp_state_name(state));
        return;
    }
    LOG(DEBUG, c->cfg.server->name, "mcp_state=%s was=%s",
        mcp_state_name(state), mcp_state_name(c->state));
    c->state = state;
}

static uint64_t
number_next(void *arg)
{
    struct mcp_client *c = arg;

    return ++c->numbers;
}

static struct mcp_calls_way
way_of(struct mcp_client *c)
{
    return (struct mcp_calls_way){
        .link = c->link,
        .greeting = &c->greeting,
        .next_number = number_next,
        .arg = c,
    };
}

static void
task_post(struct mcp_client *c)
{
    if (c->task_posted)
        return;
    c->task_posted = true;
    loop_post(c->cfg.loop, &c->task);
}

/* --- links and their end */

static void
link_drop(struct mcp_client *c)
{
    struct mcp_link *link = c->link;

    c->link = NULL;
    mcp_opening_stop(c->opening);
    mcp_list_stop(c->list);
    if (link)
        link->ops->close(link);
}

static void
client_free_parts(struct mcp_client *c)
{
    mcp_opening_destroy(&c->opening);
    mcp_list_destroy(&c->list);
    if (c->timer)
        loop_timer_destroy(&c->timer);
    if (c->looker)
        loop_timer_destroy(&c->looker);
    free(c);
}

static void
client_free(struct mcp_client *c)
{
    const struct mcp_client_handlers *handlers = c->handlers;
    void *arg = c->arg;

    client_free_parts(c);
    handlers->on_closed(arg);
}

static void
on_link_closed(void *arg)
{
    struct mcp_client *c = arg;

    c->links--;
    if (c->state == MCP_CLOSED && !c->links)
        task_post(c);
}

/* At once, but not inside what has led here: another attempt, the calls that
 * have come, or the end. */
static void
on_task(struct loop_task *task, void *arg)
{
    struct mcp_client *c = arg;
    const struct mcp_calls_way way = way_of(c);

    (void) task;
    c->task_posted = false;
    if (c->state == MCP_CLOSED && !c->links)
        client_free(c);
    else if (c->state == MCP_IDLE)
        attempt_start(c);
    else if (c->state == MCP_READY && !c->forgotten)
        mcp_calls_flush(&c->calls, &way);
}

/* --- pauses */

static uint64_t
pause_next(struct mcp_client *c)
{
    unsigned shift = c->failures > 8 ? 8 : c->failures;
    uint64_t ms = (uint64_t) PAUSE_MS << shift;

    if (ms > PAUSE_MAX_MS)
        ms = PAUSE_MAX_MS;
    c->failures++;
    /* Not all clients of a server at the same moment. */
    return ms - ms / 4 + clock_now_us() % (ms / 2);
}

static void
client_pause(struct mcp_client *c)
{
    client_enter(c, MCP_PAUSED);
    loop_timer_start(c->timer, pause_next(c), 0);
}

/* It was not reached; what waits for it has waited long enough. */
static void
attempt_fail(struct mcp_client *c, const char *why)
{
    char text[160];

    snprintf(text, sizeof(text), "%s: %s", mcp_state_name(c->state), why);
    c->era = MCP_ERA_UNKNOWN;
    link_drop(c);
    client_pause(c);
    mcp_calls_fail_all(&c->calls, true, UV_ENOTCONN, "it can't be reached");
    c->handlers->on_down(c->arg, text);
}

static void
client_again(struct mcp_client *c)
{
    link_drop(c);
    client_enter(c, MCP_IDLE);
    loop_timer_stop(c->timer);
    task_post(c);
    mcp_calls_fail_all(&c->calls, false, UV_ECONNRESET, "it was lost");
}

/* The link of a server that was there is lost. */
static void
ready_lost(struct mcp_client *c, int error, const char *why)
{
    if (clock_now_ms() - c->ready_ms > STEADY_MS)
        c->failures = 0;
    LOG(WARN, c->cfg.server->name, "mcp=lost why=\"%s\"", why);
    if (error == UV_ENOTCONN && clock_now_ms() - c->ready_ms > PAUSE_MS) {
        client_again(c);
        return;
    }
    link_drop(c);
    client_pause(c);
    mcp_calls_fail_all(&c->calls, false, UV_ECONNRESET, why);
}

static void
on_link_lost(void *arg, int error, const char *why)
{
    struct mcp_client *c = arg;

    if (c->state == MCP_READY) {
        ready_lost(c, error, why);
    } else if (mcp_opening_is_probing(c->opening) && error == UV_ECONNRESET) {
        /* There are servers that die of a question they don't know. */
        c->era = MCP_ERA_LEGACY;
        client_again(c);
    } else if (c->state != MCP_CLOSED) {
        attempt_fail(c, why);
    }
}

/* --- sending */

/* Takes params. Gives the number, 0: it could not be sent. */
static uint64_t
request_send(struct mcp_client *c, const char *method, json_t *params,
             enum mcp_era era, uint64_t timeout_ms)
{
    uint64_t number = number_next(c);
    char *text;

    if (params && era == MCP_ERA_MODERN)
        params = mcp_params_stamp(params);
    text = params ? json_rpc_request(number, method, params) : NULL;
    const struct mcp_send message = {
        .text = text,
        .method = method,
        .number = number,
        .timeout_ms = timeout_ms,
        .era = era,
        .version = era == MCP_ERA_MODERN   ? MCP_MODERN
                   : era == MCP_ERA_LEGACY ? c->greeting.version
                                           : NULL,
    };
    int result = text ? c->link->ops->send(c->link, &message) : UV_ENOMEM;
    free(text);
    return result ? 0 : number;
}

/* Takes the text. What can't be sent was not wanted that much. */
static void
text_send(struct mcp_client *c, const char *method, char *text)
{
    const struct mcp_send message = {
        .text = text,
        .method = method,
        .timeout_ms = c->cfg.server->connect_timeout_ms,
        .era = c->greeting.era,
        .version = c->greeting.version,
    };

    if (text && c->link)
        (void) c->link->ops->send(c->link, &message);
    free(text);
}

/* --- an attempt */

static const struct mcp_link_handlers link_handlers;

static void
attempt_start(struct mcp_client *c)
{
    const struct mcp_client_config *cfg = &c->cfg;
    const struct mcp_link_config link = {
        .loop = cfg->loop, .http = cfg->http, .server = cfg->server};
    int result;

    memset(&c->greeting, 0, sizeof(c->greeting));
    c->strays = 0;
    c->forgotten = false;
    result = cfg->server->mcp[0]
                 ? mcp_http_create(&c->link, &link, &link_handlers, c)
                 : mcp_stdio_create(&c->link, &link, &link_handlers, c);
    if (result) {
        attempt_fail(c, uv_strerror(result));
        return;
    }
    c->links++;
    client_enter(c, MCP_OPENING);
    loop_timer_start(c->timer, cfg->server->connect_timeout_ms, 0);
    mcp_opening_start(c->opening, c->era);
}

static void
on_timer(void *arg)
{
    struct mcp_client *c = arg;

    if (c->state == MCP_PAUSED) {
        client_enter(c, MCP_IDLE);
        attempt_start(c);
    } else if (c->state == MCP_OPENING || c->state == MCP_LISTING) {
        attempt_fail(c, "it took longer than connect_timeout");
    }
}

/* --- its greeting */

static uint64_t
on_opening_sends(void *arg, const char *method, json_t *params,
                 enum mcp_era era)
{
    struct mcp_client *c = arg;

    return request_send(c, method, params, era,
                        c->cfg.server->connect_timeout_ms);
}

static void
on_opening_open(void *arg, const struct mcp_greeting *greeting)
{
    struct mcp_client *c = arg;

    c->greeting = *greeting;
    c->era = greeting->era;
    if (c->era == MCP_ERA_LEGACY) {
        text_send(c, "notifications/initialized",
                  json_rpc_notification("notifications/initialized", NULL));
        c->link->ops->listen(c->link, greeting->version);
    }
    client_enter(c, MCP_LISTING);
    loop_timer_start(c->timer, c->cfg.server->connect_timeout_ms, 0);
    mcp_list_start(c->list, &c->greeting);
}

static void
on_opening_failed(void *arg, const char *why)
{
    attempt_fail(arg, why);
}

static const struct mcp_opening_handlers opening_handlers = {
    .on_send = on_opening_sends,
    .on_open = on_opening_open,
    .on_failed = on_opening_failed,
};

/* --- what comes */

/* Servers may ask clients too. */
static void
request_answer(struct mcp_client *c, const struct json_rpc *request)
{
    bool ping = strcmp(request->method, "ping") == 0;

    if (c->strays++ >= STRAY_MAX)
        return;
    text_send(c, NULL,
              ping ? json_rpc_result(request->id, json_object())
                   : json_rpc_error(request->id, JSON_RPC_METHOD_NOT_FOUND,
                                    "this client does not offer that"));
}

static void
notification_take(struct mcp_client *c, const struct json_rpc *message)
{
    struct mcp_progress progress;

    if (strcmp(message->method, "notifications/progress") == 0) {
        if (mcp_progress_read(&progress, message->params) == 0)
            mcp_calls_progress(&c->calls, &progress, clock_now_ms());
    } else if (strcmp(message->method, "notifications/tools/list_changed")
               == 0) {
        mcp_list_changed(c->list);
    }
}

static void
answer_take(struct mcp_client *c, const struct json_rpc *answer)
{
    if (answer->number && !mcp_opening_answer(c->opening, answer)
        && !mcp_list_answer(c->list, answer))
        mcp_calls_answer(&c->calls, answer);
}

static void
on_link_message(void *arg, const json_t *tree)
{
    struct mcp_client *c = arg;
    struct json_rpc message;

    if (!c->link || json_rpc_read(&message, tree) != 0)
        return;
    switch (message.kind) {
    case JSON_RPC_REQUEST:
        request_answer(c, &message);
        break;
    case JSON_RPC_NOTIFICATION:
        notification_take(c, &message);
        break;
    default:
        answer_take(c, &message);
    }
}

static void
on_link_failed(void *arg, uint64_t number, int error, unsigned status,
               const char *why)
{
    struct mcp_client *c = arg;

    if (!c->link)
        return;
    c->forgotten |= error == UV_ENOTCONN;
    if (!mcp_opening_failed(c->opening, number, error, status, why)
        && !mcp_list_failed(c->list, number, error))
        mcp_calls_fail(&c->calls, number, error, why);
}

static const struct mcp_link_handlers link_handlers = {
    .on_message = on_link_message,
    .on_failed = on_link_failed,
    .on_lost = on_link_lost,
    .on_closed = on_link_closed,
};

/* --- the list of tools */

static uint64_t
on_list_sends(void *arg, const char *method, json_t *params,
              uint64_t timeout_ms)
{
    struct mcp_client *c = arg;

    if (!c->link) {
        json_decref(params);
        return 0;
    }
    return request_send(c, method, params, c->greeting.era, timeout_ms);
}

static void
on_list_done(void *arg, const json_t *tools)
{
    struct mcp_client *c = arg;

    if (c->state == MCP_LISTING) {
        client_enter(c, MCP_READY);
        loop_timer_stop(c->timer);
        c->ready_ms = clock_now_ms();
        LOG(INFO, c->cfg.server->name,
            "mcp=ready version=%s server=\"%s\" tools=%zu", c->greeting.version,
            c->greeting.server, json_array_size(tools));
    }
    c->handlers->on_list(c->arg, tools);
    if (c->state == MCP_READY && !c->forgotten) {
        const struct mcp_calls_way way = way_of(c);
        mcp_calls_flush(&c->calls, &way);
    }
}

static void
on_list_failed(void *arg, int error, const char *why)
{
    struct mcp_client *c = arg;

    (void) error;
    if (c->state == MCP_LISTING)
        attempt_fail(c, why);
}

static const struct mcp_list_handlers list_handlers = {
    .on_send = on_list_sends,
    .on_done = on_list_done,
    .on_failed = on_list_failed,
};

/* --- calls */

static void
on_look(void *arg)
{
    struct mcp_client *c = arg;
    const struct mcp_calls_way way = way_of(c);

    if (!c->calls.count)
        loop_timer_stop(c->looker);
    mcp_calls_expire(&c->calls, clock_now_ms(), c->link ? &way : NULL);
}

int64_t
mcp_client_call(struct mcp_client *c, const struct mcp_call_request *rq,
                const struct mcp_call_handlers *handlers, void *arg)
{
    /* A short pause is waited for. */
    if (c->state == MCP_CLOSED || (c->state == MCP_PAUSED && c->failures > 2))
        return UV_ENOTCONN;
    int64_t id = mcp_calls_add(&c->calls, rq, handlers, arg, clock_now_ms());
    if (id < 0)
        return id;
    if (c->calls.count == 1)
        loop_timer_start(c->looker, LOOK_MS, LOOK_MS);
    if (c->state == MCP_READY)
        task_post(c);
    return id;
}

void
mcp_client_cancel(struct mcp_client *c, int64_t id)
{
    const struct mcp_calls_way way = way_of(c);

    mcp_calls_cancel(&c->calls, id, c->link ? &way : NULL);
}

/* --- life */

void
mcp_client_close(struct mcp_client *c)
{
    if (c->state == MCP_CLOSED)
        return;
    client_enter(c, MCP_CLOSED);
    loop_timer_stop(c->timer);
    loop_timer_stop(c->looker);
    link_drop(c);
    mcp_calls_fail_all(&c->calls, true, UV_ECANCELED, "it is being closed");
    if (!c->links)
        task_post(c);
}

static int
parts_create(struct mcp_client *c)
{
    const struct mcp_client_config *cfg = &c->cfg;
    uint64_t third = cfg->server->connect_timeout_ms / 3;
    int result = loop_timer_create(&c->timer, cfg->loop, on_timer, c);

    if (!result)
        result = loop_timer_create(&c->looker, cfg->loop, on_look, c);
    if (!result)
        result = mcp_opening_create(&c->opening, cfg->loop,
                                    third < PROBE_MS ? third : PROBE_MS,
                                    &opening_handlers, c);
    if (!result)
        result = mcp_list_create(&c->list, cfg->loop, cfg->server,
                                 &list_handlers, c);
    return result;
}

int
mcp_client_create(struct mcp_client **cp, const struct mcp_client_config *cfg,
                  const struct mcp_client_handlers *handlers, void *arg)
{
    struct mcp_client *c = calloc(1, sizeof(*c));
    int result = c ? 0 : UV_ENOMEM;

    if (result)
        return result;
    c->cfg = *cfg;
    c->handlers = handlers;
    c->arg = arg;
    c->task = (struct loop_task){.run = on_task, .arg = c};
    mcp_calls_init(&c->calls);
    result = parts_create(c);
    if (result) {
        client_free_parts(c);
        return result;
    }
    task_post(c);
    *cp = c;
    return 0;
}
