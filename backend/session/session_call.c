/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   start ─► opening ─► live ─► over
 *              ▲  │       │
 *              └ waiting ◄┘     over: the call is ended, released or forgotten
 */

#include "session/session_call.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/realtime_event.h"
#include "codec/session_opening.h"
#include "gate/crypto.h"
#include "service/call_table.h"
#include "session/session_calm.h"
#include "session/session_registry.h"
#include "session/session_summary.h"
#include "session/session_tools.h"
#include "session/session_usage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MS     500
#define BACKOFF_MAX_MS 30000
#define CODE_BYTES     64
#define ID_BYTES       (CALLS_ID_BYTES + 8)

#define CALL_STATES(X)                                                         \
    X(CALL_OPENING, "opening", LIVE | WAITING | OVER)                          \
    X(CALL_LIVE, "live", WAITING | OVER)                                       \
    X(CALL_WAITING, "waiting", OPENING | OVER)                                 \
    X(CALL_OVER, "over", 0)

enum call_state {
#define X(id, text, next) id,
    CALL_STATES(X)
#undef X
};

#define OPENING (1u << CALL_OPENING)
#define LIVE    (1u << CALL_LIVE)
#define WAITING (1u << CALL_WAITING)
#define OVER    (1u << CALL_OVER)

static const struct {
    const char *text;
    unsigned next;
} states[] = {
#define X(id, text, next) {text, next},
    CALL_STATES(X)
#undef X
};

/* What becomes of the call when its sideband here is over. */
enum call_fate { FATE_END, FATE_RELEASE, FATE_FORGET };

struct session_call {
    struct session_entry entry; /* first: on_server_end finds us by it */
    struct session_figures figures;
    struct session_call_config cfg;
    struct loop_task task;
    uv_timer_t timer;
    struct call *call; /* owns; a copy */
    const struct policy *policy;
    struct model_link *link;     /* NULL between two */
    struct session_tools *tools; /* NULL: none */
    struct session_calm calm;
    struct session_usage usage;
    enum call_state state;
    enum call_fate fate;
    enum session_end_reason reason;
    uint16_t code;     /* of the provider's close */
    bool made;         /* its session is still to be told */
    unsigned refs;     /* timer, link */
    unsigned failures; /* in a row */
    unsigned attaches;
    unsigned turns;
    uint64_t stir_ms;   /* of the provider's last event */
    uint64_t open_ms;   /* waiting: when to try again */
    uint64_t lost_ms;   /* since when there is no link */
    uint64_t wanted_ms; /* since when another process wants it; 0 */
    uint64_t ended_ms;
    char refusal[CODE_BYTES]; /* code of the provider's last error */
    char id[ID_BYTES];
};

static void
enter(struct session_call *s, enum call_state to)
{
    if (!(states[s->state].next >> to & 1)) {
        LOG(ALERT, s->id, "event=illegal_state machine=call from=%s to=%s",
            states[s->state].text, states[to].text);
        return;
    }
    LOG(DEBUG, s->id, "call=%s was=%s", states[to].text, states[s->state].text);
    s->state = to;
    atomic_store_explicit(&s->figures.state, states[to].text,
                          memory_order_relaxed);
}

/* --- the end */

static const char *
fate_text(const struct session_call *s)
{
    return s->fate == FATE_FORGET ? "moved" : session_end_text(s->reason);
}

static void
fate_tell(struct session_call *s)
{
    const char *id = s->call->info.id;

    if (s->fate == FATE_END)
        calls_end(s->cfg.calls, id, session_end_text(s->reason));
    else if (s->fate == FATE_RELEASE)
        calls_release(s->cfg.calls, id);
    else
        calls_forget(s->cfg.calls, id);
}

static void
session_call_free(struct session_call *s)
{
    LOG(NOTICE, NULL,
        "session=%s ended=%s code=%u duration_ms=%" PRIu64
        " down_messages=%u turns=%u attaches=%u model=%s call=%s",
        s->id, fate_text(s), s->code, s->ended_ms - s->entry.since_ms,
        atomic_load(&s->figures.down_messages), s->turns, s->attaches,
        s->entry.model, s->call->info.id);
    session_end_count(s->reason);
    session_usage_end(&s->usage, s->ended_ms - s->entry.since_ms);
    /* One that goes on elsewhere has not ended. */
    if (s->fate == FATE_END)
        session_publish(s->cfg.events, &s->entry, "session_end", fate_text(s));
    policy_put(&s->policy);
    session_registry_remove(s->cfg.registry, &s->entry);
    fate_tell(s);
    free(s->call);
    free(s);
}

static void
session_call_unref(struct session_call *s)
{
    if (--s->refs == 0)
        session_call_free(s);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    session_call_unref(handle->data);
}

static void
finish(struct session_call *s, enum call_fate fate,
       enum session_end_reason reason, const char *why)
{
    char clean[SESSION_CLEAN_BYTES];

    if (s->state == CALL_OVER)
        return;
    session_text_clean(clean, why);
    enter(s, CALL_OVER);
    s->fate = fate;
    s->reason = reason;
    s->ended_ms = clock_now_ms();
    LOG(INFO, s->id, "event=session_end reason=%s why=\"%s\"", fate_text(s),
        clean);
    uv_close((uv_handle_t *) &s->timer, on_timer_closed);
    session_tools_close(&s->tools);
    if (s->link)
        model_link_close(s->link);
}

/* Somebody who shares the store takes the call over at once. */
static void
on_server_end(struct session_entry *entry)
{
    finish((struct session_call *) entry, FATE_RELEASE, END_SHUTDOWN,
           "the server is going away");
}

/* --- the link */

static uint64_t
age_ms(const struct session_call *s)
{
    int64_t age = clock_wall_ms() - s->call->info.created_ms;

    return age > 0 ? (uint64_t) age : 0;
}

static bool
refused_as(const struct session_call *s, const char *reason, const char *code)
{
    return strcmp(s->refusal, code) == 0 || strstr(reason, code);
}

/* Half of it by chance, so that many don't come at once. */
static uint64_t
backoff_ms(unsigned failures)
{
    uint64_t ms =
        failures < 7 ? (uint64_t) BACKOFF_MS << (failures - 1) : BACKOFF_MAX_MS;
    uint32_t chance;

    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    crypto_random(&chance, sizeof(chance));
    return ms / 2 + chance % (ms / 2 + 1);
}

static void
wait_enter(struct session_call *s)
{
    uint64_t now_ms = clock_now_ms();

    s->failures++;
    s->open_ms = now_ms + backoff_ms(s->failures);
    if (!s->lost_ms)
        s->lost_ms = now_ms;
    enter(s, CALL_WAITING);
}

/* A call ends with 1000; it is not found when it has ended before, or has not
 * begun yet. Every other end is the link's. */
static void
on_link_closed(void *arg, uint16_t code, const char *reason)
{
    struct session_call *s = arg;

    reason = reason ? reason : "";
    s->link = NULL;
    if (s->state != CALL_OVER) {
        s->code = code;
        if (code == 1000 && s->state == CALL_LIVE)
            finish(s, FATE_END, END_UPSTREAM_CLOSED, "the call has ended");
        else if (refused_as(s, reason, "session_expired"))
            finish(s, FATE_END, END_UPSTREAM_CLOSED, "the session expired");
        else if (refused_as(s, reason, "call_id_not_found")
                 && age_ms(s) >= SESSION_CALL_YOUNG_MS)
            finish(s, FATE_END, END_UPSTREAM_CLOSED, "the call is gone");
        else
            wait_enter(s);
    }
    session_call_unref(s);
}

/* What its maker asked for is in the call already, but not with every provider
 * whole: a token of Azure's is bound to less. A call of somebody else's making
 * was told. */
static void
session_tell(struct session_call *s)
{
    json_t *settings = NULL;
    int result =
        session_opening_settings(&settings, s->policy, s->call->info.session);

    if (!result && s->tools)
        result = session_tools_settings(s->tools, &settings);
    if (!result && settings && s->made) {
        char *update = session_opening_update(settings, s->id);
        result = update ? model_link_send(s->link, update, strlen(update))
                        : UV_ENOMEM;
        free(update);
    }
    json_decref(settings);
    s->made = false;
    if (result && result != UV_EAGAIN)
        LOG(WARN, s->id, "event=session_not_told error=\"%s\"",
            uv_strerror(result));
}

static void
on_attached(struct session_call *s)
{
    if (s->state != CALL_OPENING)
        return;
    enter(s, CALL_LIVE);
    s->failures = 0;
    s->lost_ms = 0;
    s->stir_ms = clock_now_ms();
    s->attaches++;
    s->refusal[0] = 0;
    memset(&s->calm, 0, sizeof(s->calm));
    LOG(INFO, s->id, "event=call_attached call=%s upstream=%s",
        s->call->info.id, model_link_name(s->link));
    if (s->attaches == 1)
        session_tell(s);
    else if (s->tools)
        session_tools_missed(s->tools);
}

/* Of ours there is one that can fail: the session.update. */
static void
on_error(struct session_call *s, const char *json, size_t bytes)
{
    json_t *tree = json_loadb(json, bytes, 0, NULL);
    const char *code = NULL, *param = NULL, *cause = NULL;

    if (tree)
        json_unpack(tree, "{s:{s?s, s?s, s?s}}", "error", "code", &code,
                    "param", &param, "event_id", &cause);
    snprintf(s->refusal, sizeof(s->refusal), "%s", code ? code : "");
    if (cause && strcmp(cause, s->id) == 0)
        LOG(ERROR, s->id, "event=policy_refused code=%.64s param=%.64s",
            code ? code : "none", param ? param : "none");
    json_decref(tree);
}

/* The observers read the same event as those of a client do. */
static void
observers_tell(struct session_call *s, const char *json, size_t bytes)
{
    struct session_event e;

    if (session_event_open(&e, json, bytes) == 0) {
        session_usage_down(&s->usage, &e);
        if (s->tools)
            session_tools_down(s->tools, &e, s->stir_ms);
        session_event_close(&e);
    }
}

static void
on_link_event(void *arg, const char *json, size_t bytes)
{
    struct session_call *s = arg;

    if (s->state == CALL_OVER)
        return;
    if (bytes == sizeof(MODEL_LINK_ATTACHED) - 1
        && memcmp(json, MODEL_LINK_ATTACHED, bytes) == 0) {
        on_attached(s);
        return;
    }
    enum realtime_type type = realtime_type_of(json, bytes);
    s->stir_ms = clock_now_ms();
    atomic_fetch_add_explicit(&s->figures.down_messages, 1,
                              memory_order_relaxed);
    session_calm_down(&s->calm, type, json, bytes, s->stir_ms);
    if (type == REALTIME_ERROR)
        on_error(s, json, bytes);
    else if (type == REALTIME_RESPONSE_DONE)
        s->turns++;
    observers_tell(s, json, bytes);
}

static void
on_link_writable(void *arg)
{
    struct session_call *s = arg;

    if (s->tools)
        session_tools_look(s->tools);
}

static int
on_tools_send(void *arg, const char *json, size_t bytes)
{
    struct session_call *s = arg;

    return s->state == CALL_LIVE ? model_link_send(s->link, json, bytes)
                                 : UV_ENOTCONN;
}

/* The caller has the model's word for word: nothing can be hidden from it. */
static void
tools_open(struct session_call *s)
{
    static const struct session_tools_handlers handlers = {.send =
                                                               on_tools_send};
    const struct session_tools_config tools = {
        .loop = s->entry.loop,
        .runner = s->cfg.tool_runner,
        .registry = s->cfg.tool_registry,
        .policy = s->policy,
        .beside = true,
        .tenant = s->entry.tenant,
        .model = s->entry.model,
        .session_id = s->id,
    };

    if (session_tools_create(&s->tools, &tools, &handlers, s))
        LOG(WARN, s->id, "event=tools_missing error=\"no memory\"");
}

static const struct model_link_handlers link_handlers = {
    on_link_event, on_link_writable, on_link_closed};

static void
link_open(struct session_call *s)
{
    const char *const upstream = s->call->info.upstream;
    const struct model_link_config model = {
        .loop = s->entry.loop,
        .session_id = s->id,
        .model = s->entry.model,
        .upstreams = &upstream,
        .upstream_count = 1,
        .call_id = s->call->info.id,
    };

    s->refusal[0] = 0;
    int result = s->cfg.open_model(&s->link, &model, &link_handlers, s,
                                   s->cfg.open_model_arg);
    if (!result) {
        s->refs++;
        return;
    }
    s->link = NULL;
    if (result == UV_ENOENT)
        finish(s, FATE_RELEASE, END_UPSTREAM_LOST,
               "its upstream is not configured any more");
    else
        wait_enter(s);
}

/* --- looking after it */

static bool
is_calm(const struct session_call *s, uint64_t now_ms)
{
    return session_calm_holds(&s->calm, now_ms)
           && session_tools_is_quiet(s->tools);
}

/* Whether the call is still ours to keep; false: it is over here. */
static bool
standing_check(struct session_call *s, uint64_t now_ms)
{
    switch (calls_standing(s->cfg.calls, s->call->info.id)) {
    case CALL_LOST:
        finish(s, FATE_FORGET, END_UPSTREAM_LOST, "another has it");
        return false;
    case CALL_WANTED:
        if (!s->wanted_ms)
            s->wanted_ms = now_ms;
        if (s->state == CALL_LIVE && !is_calm(s, now_ms)
            && now_ms - s->wanted_ms < SESSION_CALL_GIVE_MS)
            return true;
        finish(s, FATE_RELEASE, END_DRAINED, "another process takes it over");
        return false;
    default:
        return true;
    }
}

static void
limit_end(struct session_call *s, enum session_end_reason reason,
          const char *why)
{
    s->cfg.hang_up(s->cfg.hang_up_arg, &s->call->info);
    finish(s, FATE_END, reason, why);
}

/* Whether the operator's limits let it go on. */
static bool
limits_check(struct session_call *s, uint64_t now_ms)
{
    uint64_t max_ms = s->cfg.max_session_ms, idle_ms = s->cfg.max_idle_ms;

    if (max_ms && age_ms(s) >= max_ms)
        limit_end(s, END_SESSION_LIMIT, "it has lasted as long as it may");
    else if (idle_ms && s->state == CALL_LIVE && now_ms - s->stir_ms >= idle_ms)
        limit_end(s, END_IDLE, "nothing has happened for too long");
    return s->state != CALL_OVER;
}

static void
on_look(uv_timer_t *timer)
{
    struct session_call *s = timer->data;
    uint64_t now_ms = clock_now_ms();

    if (!standing_check(s, now_ms) || !limits_check(s, now_ms))
        return;
    if (age_ms(s) >= SESSION_CALL_OLDEST_MS)
        finish(s, FATE_END, END_SESSION_LIMIT, "no call lasts longer");
    else if (s->lost_ms && now_ms - s->lost_ms >= SESSION_CALL_GIVE_UP_MS)
        finish(s, FATE_END, END_UPSTREAM_LOST, "it can't be attached to");
    else if (s->state == CALL_WAITING && now_ms >= s->open_ms) {
        enter(s, CALL_OPENING);
        link_open(s);
    }
}

/* --- the start */

static void
on_start(struct loop_task *task, void *arg)
{
    struct session_call *s = arg;

    (void) task;
    s->entry.since_ms = clock_now_ms();
    session_registry_add(s->cfg.registry, &s->entry);
    uv_timer_init(loop_uv(s->entry.loop), &s->timer);
    s->timer.data = s;
    s->refs = 1;
    uv_timer_start(&s->timer, on_look, SESSION_CALL_LOOK_MS,
                   SESSION_CALL_LOOK_MS);
    if (s->made)
        session_publish(s->cfg.events, &s->entry, "session_start", NULL);
    tools_open(s);
    link_open(s);
}

/* The provider's session has the same tail. */
static void
id_make(struct session_call *s)
{
    const char *id = s->call->info.id;
    const char *tail = strchr(id, '_');

    snprintf(s->id, sizeof(s->id), "sess_%s", tail && tail[1] ? tail + 1 : id);
}

static void
entry_fill(struct session_call *s, struct loop *loop)
{
    s->entry.id = s->id;
    s->entry.model = s->call->info.model;
    s->entry.tenant = s->call->info.tenant;
    s->entry.loop = loop;
    s->entry.figures = &s->figures;
    s->entry.on_end = on_server_end;
    atomic_init(&s->figures.state, states[CALL_OPENING].text);
}

int
session_call_start(const struct session_call_config *cfg, struct loop *loop,
                   const struct call_info *info, unsigned flags)
{
    char error[POLICY_ERROR_BYTES];
    struct session_call *s = calloc(1, sizeof(*s));

    if (!s)
        return UV_ENOMEM;
    int result = policy_get(&s->policy, info->policy, error);
    if (!result) {
        s->call = call_copy(info);
        result = s->call ? 0 : UV_ENOMEM;
    }
    if (result) {
        policy_put(&s->policy);
        free(s);
        return result;
    }
    s->cfg = *cfg;
    s->made = flags & SESSION_CALL_MADE;
    id_make(s);
    entry_fill(s, loop);
    session_usage_start(&s->usage, cfg->usage,
                        flags & SESSION_CALL_COUNTED ? cfg->limits : NULL,
                        &s->entry);
    s->task = (struct loop_task){.run = on_start, .arg = s};
    loop_post(loop, &s->task);
    return 0;
}
