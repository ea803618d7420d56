/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   events ─► watch ─► flush (deferred) ─► RUN ─► tool_runner
 *                        ▲                             │
 *                        └── watch ◄── done, progress ─┘
 *   flush ─► OUTPUT, CREATE ─► send, create ─► model
 */

#include "session/session_tools.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "codec/session_opening.h"
#include "service/tool_registry.h"
#include "service/tool_runner.h"
#include "session/session_tool_texts.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000 /* something waits for a turn, and nobody says more */
#define CHAIN_TEXT                                                             \
    "Too many calls in a row without the user; this one was not run. Answer "  \
    "with what is known."

/* One order at the runner; freed at its end. */
struct session_tool_job {
    struct session_tool_job *next;
    struct session_tools *tools;
    struct tool_job *job; /* our share; NULL: given away */
    unsigned serial;
};

struct session_tools {
    struct session_tools_config cfg;
    const struct session_tools_handlers *handlers; /* NULL: closed */
    void *arg;
    struct session_tool_watch watch;
    struct session_tool_job *jobs;
    struct tool_lane lane;
    struct loop_task task;
    struct loop_timer *timer;
    bool queued; /* the task is */
    unsigned restores;
    uint64_t version; /* of the registry, as the model was told it */
};

/* --- life */

static void
tools_free(struct session_tools *t)
{
    session_tool_watch_deinit(&t->watch);
    if (t->timer)
        loop_timer_destroy(&t->timer);
    free(t);
}

static void
flush_later(struct session_tools *t)
{
    if (t->queued)
        return;
    t->queued = true;
    loop_defer(t->cfg.loop, &t->task);
}

static void
on_time(void *arg)
{
    flush_later(arg);
}

static void
on_hidden(void *arg, const char *item_id)
{
    struct session_tools *t = arg;

    if (t->handlers->on_hidden)
        t->handlers->on_hidden(t->arg, item_id);
}

static void on_flush(struct loop_task *task, void *arg);

typedef int take_h(struct session_tool_set *set, const char *definitions,
                   size_t bytes);

static int
definitions_take(struct session_tools *t, take_h *take)
{
    uint64_t version = tool_registry_version(t->cfg.registry);
    struct tool_value *value =
        tool_registry_definitions(t->cfg.registry, &t->cfg.policy->tools, NULL);
    int result;

    if (!value)
        return UV_ENOMEM;
    result = take(&t->watch.set, value->text, value->bytes);
    tool_value_unref(value);
    t->version = version;
    return result;
}

int
session_tools_create(struct session_tools **tp,
                     const struct session_tools_config *cfg,
                     const struct session_tools_handlers *handlers, void *arg)
{
    const struct policy_names *names = &cfg->policy->tools;
    struct session_tools *t;

    if (!cfg->runner || !cfg->registry || (!names->all && names->count == 0))
        return 0;
    t = calloc(1, sizeof(*t));
    if (!t)
        return UV_ENOMEM;
    t->cfg = *cfg;
    t->handlers = handlers;
    t->arg = arg;
    t->task = (struct loop_task){.run = on_flush, .arg = t};
    t->watch.log_id = cfg->session_id;
    t->watch.restores = cfg->beside;
    t->watch.on_hidden = on_hidden;
    t->watch.arg = t;
    session_tool_watch_init(&t->watch);
    int result = definitions_take(t, session_tool_set_open);
    if (!result)
        result = loop_timer_create(&t->timer, cfg->loop, on_time, t);
    if (result) {
        tools_free(t);
        return result;
    }
    *tp = t;
    return 0;
}

void
session_tools_close(struct session_tools **tp)
{
    struct session_tools *t = *tp;

    if (!t)
        return;
    *tp = NULL;
    t->handlers = NULL;
    if (t->queued)
        loop_undefer(t->cfg.loop, &t->task);
    loop_timer_destroy(&t->timer);
    for (struct session_tool_job *job = t->jobs; job; job = job->next)
        if (job->job)
            tool_job_cancel(&job->job);
    if (!t->jobs)
        tools_free(t);
}

int
session_tools_settings(struct session_tools *t, json_t **settings)
{
    if (!*settings && session_tool_set_count(&t->watch.set) == 0)
        return 0;
    if (!*settings)
        *settings = json_pack("{s:s}", "type", "realtime");
    if (!*settings || session_tool_set_lay(&t->watch.set, *settings, true) < 0)
        return UV_ENOMEM;
    return session_opening_order(settings);
}

void
session_tools_withdraw(const struct session_tools *t, json_t *settings)
{
    session_tool_set_hide(&t->watch.set, settings);
}

/* --- jobs */

static void
job_free(struct session_tool_job *job)
{
    struct session_tool_job **at = &job->tools->jobs;

    while (*at != job)
        at = &(*at)->next;
    *at = job->next;
    if (job->job)
        tool_job_put(&job->job);
    free(job);
}

static void
on_job_progress(void *arg, double progress, double total, const char *message)
{
    struct session_tool_job *job = arg;
    struct session_tools *t = job->tools;
    char numbers[SESSION_TOOL_NUMBERS_BYTES];

    if (!t->handlers)
        return;
    message = session_tool_text_progress(message, progress, total, numbers);
    session_tool_calls_progress(&t->watch.calls, job->serial, message);
    flush_later(t);
}

static void
on_job_acknowledged(void *arg, const char *json, size_t bytes)
{
    struct session_tool_job *job = arg;
    struct session_tools *t = job->tools;
    char *text;

    if (!t->handlers)
        return;
    text = session_tool_text_output(json, bytes);
    session_tool_calls_acknowledged(&t->watch.calls, job->serial, &text);
    flush_later(t);
}

static char *
answer_text(const struct tool_answer *answer)
{
    if (answer->ending == TOOL_DONE)
        return session_tool_text_output(answer->output->text,
                                        answer->output->bytes);
    return session_tool_failure(answer->type, answer->error);
}

static void
on_job_done(void *arg, const struct tool_answer *answer)
{
    struct session_tool_job *job = arg;
    struct session_tools *t = job->tools;
    unsigned serial = job->serial;

    job_free(job);
    if (!t->handlers) {
        if (!t->jobs)
            tools_free(t);
        return;
    }
    if (answer->ending == TOOL_CANCELLED) {
        session_tool_calls_dropped(&t->watch.calls, serial);
    } else {
        char *text = answer_text(answer);
        session_tool_calls_done(&t->watch.calls, serial, &text);
    }
    flush_later(t);
}

static const struct tool_order_handlers job_handlers = {
    .on_progress = on_job_progress,
    .on_acknowledged = on_job_acknowledged,
    .on_done = on_job_done,
};

static int
job_order(struct session_tools *t, struct session_tool_call *call,
          const json_t *arguments, struct tool_answer *answer)
{
    struct session_tool_job *job = calloc(1, sizeof(*job));
    const struct tool_order order = {
        .name = call->name,
        .arguments = arguments,
        .tenant = t->cfg.tenant,
        .session_id = t->cfg.session_id,
        .call_id = call->call_id,
        .model = t->cfg.model,
        .lane = &t->lane,
        .loop = t->cfg.loop,
    };

    if (!job)
        return UV_ENOMEM;
    job->tools = t;
    job->serial = call->serial;
    job->next = t->jobs;
    t->jobs = job;
    int result = tool_runner_order(
        t->cfg.runner, &order, &(struct tool_order_caller){&job_handlers, job},
        &job->job, answer);
    if (result)
        job_free(job);
    return result;
}

/* --- what is to be done */

static void
call_order(struct session_tools *t, struct session_tool_call *call,
           const json_t *arguments)
{
    struct tool_answer answer = {0};
    char *text;

    switch (job_order(t, call, arguments, &answer)) {
    case 0:
        session_tool_calls_running(call, clock_now_ms());
        break;
    case 1:
        text = answer_text(&answer);
        session_tool_call_finish(call, &text);
        tool_answer_deinit(&answer);
        break;
    default:
        session_tool_call_fail(call, "unavailable",
                               "The server has no memory for this now.");
    }
}

static void
call_run(struct session_tools *t, struct session_tool_call *call)
{
    json_t *arguments;

    if (t->watch.turn.chain > SESSION_TOOL_CALLS_CHAIN) {
        session_tool_call_fail(call, "busy", CHAIN_TEXT);
        return;
    }
    arguments = session_tool_text_arguments(call->arguments);
    if (arguments)
        call_order(t, call, arguments);
    else
        session_tool_call_fail(call, "invalid_arguments",
                               "The arguments are no JSON object, or too "
                               "large.");
    json_decref(arguments);
}

static void
job_cancel(struct session_tools *t, struct session_tool_call *call)
{
    for (struct session_tool_job *job = t->jobs; job; job = job->next)
        if (job->serial == call->serial && job->job)
            tool_job_cancel(&job->job);
    session_tool_calls_cancelled(&t->watch.calls, call);
}

/* Takes the text. 0: the model takes it, or is gone. */
static int
text_send(struct session_tools *t, char *text, bool create)
{
    int (*send)(void *, const char *, size_t) =
        create && t->handlers->create ? t->handlers->create : t->handlers->send;
    int result = text ? send(t->arg, text, strlen(text)) : UV_ENOMEM;

    free(text);
    return result == UV_EAGAIN || result == UV_EPIPE ? 0 : result;
}

static int
output_send(struct session_tools *t, struct session_tool_call *call)
{
    int result = text_send(t, session_tool_text_item(call), false);

    if (!result)
        session_tool_calls_told(&t->watch.calls, call);
    return result;
}

/* A call of our own and its output: what a tool says stays a tool's word. */
static int
late_send(struct session_tools *t, struct session_tool_call *call)
{
    char *output = NULL;
    int result = text_send(t, session_tool_text_late(call, &output), false);

    if (result) {
        free(output);
        return result;
    }
    if (text_send(t, output, false))
        LOG(WARN, t->cfg.session_id, "event=tool_late_lost");
    session_tool_calls_told(&t->watch.calls, call);
    return 0;
}

static int
create_send(struct session_tools *t, uint64_t now_ms)
{
    unsigned chain = t->watch.turn.chain;

    if (chain > SESSION_TOOL_CALLS_CHAIN) { /* it was told to stop calling */
        session_tool_calls_asked(&t->watch.calls, now_ms);
        session_tool_calls_refused(&t->watch.calls, false);
        return 0;
    }
    int result = text_send(
        t, session_tool_text_create(chain == SESSION_TOOL_CALLS_CHAIN, NULL),
        true);
    if (!result) {
        session_tool_turn_asked(&t->watch.turn, true, now_ms);
        session_tool_calls_asked(&t->watch.calls, now_ms);
    }
    return result;
}

static int
progress_send(struct session_tools *t, struct session_tool_call *call,
              uint64_t now_ms)
{
    int result =
        text_send(t, session_tool_text_create(true, call->message), true);

    if (!result) {
        session_tool_turn_asked(&t->watch.turn, false, now_ms);
        session_tool_calls_spoken(call, now_ms);
    }
    return result;
}

/* A server of tools was reached, has changed or is lost: the model is told when
 * no call is open. */
static void
definitions_renew(struct session_tools *t)
{
    if (t->version == tool_registry_version(t->cfg.registry)
        || !session_tool_calls_is_quiet(&t->watch.calls)
        || definitions_take(t, session_tool_set_renew) != 1)
        return;
    json_decref(t->watch.restore);
    t->watch.restore = session_tool_set_told(&t->watch.set);
    t->restores -= t->restores > 0;
}

/* Both would go on for ever, if the other one amends it too. */
static int
restore_send(struct session_tools *t)
{
    json_t *tools = t->watch.restore;
    int result = 0;

    if (t->restores < SESSION_TOOLS_RESTORES)
        result = text_send(t, session_tool_text_update(tools), false);
    if (result)
        return result;
    t->restores++;
    json_decref(tools);
    t->watch.restore = NULL;
    return 0;
}

static bool
is_free(const struct session_tools *t, uint64_t now_ms, uint64_t *wait_ms)
{
    if (!session_tool_turn_is_free(&t->watch.turn, now_ms, wait_ms))
        return false;
    return !t->handlers->is_idle || t->handlers->is_idle(t->arg);
}

/* 0: go on; 1: there is nothing to be done; UV_E*: not now. */
static int
step(struct session_tools *t, uint64_t now_ms)
{
    struct session_tool_call *call;
    uint64_t wait_ms;

    if (t->watch.restore)
        return restore_send(t);
    switch (session_tool_calls_next(
        &t->watch.calls, is_free(t, now_ms, &wait_ms), now_ms, &call)) {
    case TOOL_ACT_RUN:
        call_run(t, call);
        return 0;
    case TOOL_ACT_CANCEL:
        job_cancel(t, call);
        return 0;
    case TOOL_ACT_OUTPUT:
        return output_send(t, call);
    case TOOL_ACT_LATE:
        return late_send(t, call);
    case TOOL_ACT_CREATE:
        return create_send(t, now_ms);
    case TOOL_ACT_PROGRESS:
        return progress_send(t, call, now_ms);
    default:
        return 1;
    }
}

/* What waits for its moment is looked at again. */
static void
timer_set(struct session_tools *t, int result, uint64_t now_ms)
{
    uint64_t wait_ms = 0;

    if (result < 0) {
        loop_timer_start(t->timer, SESSION_TOOLS_RETRY_MS, 0);
    } else if (session_tool_calls_wants_turn(&t->watch.calls)) {
        session_tool_turn_is_free(&t->watch.turn, now_ms, &wait_ms);
        loop_timer_start(t->timer, wait_ms ? wait_ms : LOOK_MS, 0);
    } else {
        loop_timer_stop(t->timer);
    }
}

static void
on_flush(struct loop_task *task, void *arg)
{
    struct session_tools *t = arg;
    uint64_t now_ms = clock_now_ms();
    int result = 0;

    (void) task;
    t->queued = false;
    definitions_renew(t);
    while (result == 0)
        result = step(t, now_ms);
    timer_set(t, result, now_ms);
    if (t->handlers->on_moved)
        t->handlers->on_moved(t->arg);
}

/* --- events */

static bool
is_delta(enum realtime_type type)
{
    return type >= REALTIME_OUTPUT_AUDIO_DELTA
           && type <= REALTIME_ARGUMENTS_DELTA;
}

static bool
has_work(const struct session_tools *t)
{
    return t->watch.restore || !session_tool_calls_is_quiet(&t->watch.calls)
           || t->version != tool_registry_version(t->cfg.registry);
}

bool
session_tools_down(struct session_tools *t, struct session_event *e,
                   uint64_t now_ms)
{
    bool shown = session_tool_watch_down(&t->watch, e, now_ms);

    if (!is_delta(e->type) && has_work(t))
        flush_later(t);
    return shown;
}

enum session_tool_verdict
session_tools_up(struct session_tools *t, const struct realtime_peek *peek,
                 struct realtime_span text, char **made, uint64_t now_ms)
{
    enum session_tool_verdict verdict =
        session_tool_watch_up(&t->watch, peek, text, made, now_ms);

    if (peek->type != REALTIME_AUDIO_APPEND && has_work(t))
        flush_later(t);
    return verdict;
}

void
session_tools_look(struct session_tools *t)
{
    if (has_work(t))
        flush_later(t);
}

void
session_tools_missed(struct session_tools *t)
{
    session_tool_watch_missed(&t->watch);
    session_tools_look(t);
}

bool
session_tools_blocks(const struct session_tools *t)
{
    return t && session_tool_calls_blocks(&t->watch.calls);
}

bool
session_tools_is_quiet(const struct session_tools *t)
{
    return !t || session_tool_calls_is_quiet(&t->watch.calls);
}
