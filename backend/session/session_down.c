/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model ─► opening ─► stages ─► session_client ─► client
 *              │          settle · usage · levels · tools · filters
 *              └─► session.update (policy, bound session) ─► model
 *   stream full ─► model paused; room again ─► model resumed
 */

#include "session/session_down.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/audio_format.h"
#include "codec/session_opening.h"
#include "gate/crypto.h"
#include "session/session_event.h"
#include "session/session_filtered.h"

#include <stdlib.h>
#include <string.h>

void
session_down_init(struct session_down *down)
{
    down->phase = DOWN_CREATED;
    session_filters_init(&down->filters, down->policy, down->entry->id);
    session_levels_init(&down->levels, down->entry->loop, down->entry->id);
}

static const struct session_tools_handlers tools_handlers;

/* A session beside a call leaves the tools to the server's own sideband. */
static int
tools_equip(struct session_down *down, const struct session_config *cfg)
{
    const struct session_tools_config tools = {
        .loop = cfg->loop,
        .runner = cfg->tool_runner,
        .registry = cfg->tool_registry,
        .policy = down->policy,
        .tenant = down->entry->tenant,
        .model = down->entry->model,
        .session_id = down->entry->id,
    };

    if (cfg->call_id || cfg->intent)
        return 0;
    return session_tools_create(&down->tools, &tools, &tools_handlers, down);
}

int
session_down_equip(struct session_down *down, const struct session_config *cfg)
{
    const char *bound = cfg->bound_session;

    down->vad = cfg->vad;
    down->bound_session = bound ? strdup(bound) : NULL;
    if (bound && !down->bound_session)
        return UV_ENOMEM;
    return tools_equip(down, cfg);
}

static void
bound_free(struct session_down *down)
{
    free(down->bound_session);
    down->bound_session = NULL;
}

static void
settings_free(struct session_down *down)
{
    json_decref(down->settings);
    down->settings = NULL;
}

void
session_down_close(struct session_down *down)
{
    down->phase = DOWN_CLOSED;
    bound_free(down);
    settings_free(down);
    session_tools_close(&down->tools);
    session_filters_deinit(&down->filters);
    session_levels_close(&down->levels, down->handlers->on_gone, down->arg);
}

/* The client has its session.created. */
static bool
is_open(const struct session_down *down)
{
    return down->phase == DOWN_SETTLING || down->phase == DOWN_OPEN;
}

static void
full_enter(struct session_down *down)
{
    down->full = true;
    model_link_pause(down->link, true);
    down->handlers->on_full(down->arg, true);
}

/* To the client; `peek` is of this text, NULL: nobody has looked at it. The
 * call may end the session. */
static void
peeked_send(struct session_down *down, const char *json, size_t bytes,
            const struct realtime_peek *peek)
{
    int result = session_client_send(down->client, json, bytes, peek);

    if (result == UV_ENOBUFS || result == UV_ENOMEM) {
        down->handlers->on_fail(down->arg, END_SLOW_CLIENT,
                                "the client reads too slowly");
        return;
    }
    if (result) /* closed: its handler is on its way */
        return;
    size_t queued = session_client_queued_bytes(down->client);
    atomic_fetch_add_explicit(&down->entry->figures->down_messages, 1,
                              memory_order_relaxed);
    atomic_store_explicit(&down->entry->figures->queued_bytes, queued,
                          memory_order_relaxed);
    if (!down->full && session_client_is_full(down->client))
        full_enter(down);
}

static void
text_send(struct session_down *down, const char *json, size_t bytes)
{
    peeked_send(down, json, bytes, NULL);
}

void
session_down_writable(struct session_down *down)
{
    if (down->phase == DOWN_CLOSED || !down->full)
        return;
    down->full = false;
    atomic_store_explicit(&down->entry->figures->queued_bytes,
                          session_client_queued_bytes(down->client),
                          memory_order_relaxed);
    model_link_pause(down->link, false);
    down->handlers->on_full(down->arg, false);
}

static void
error_send(struct session_down *down, const struct realtime_error *error)
{
    char text[REALTIME_ERROR_BYTES];
    char id[CRYPTO_ID_BYTES];

    crypto_id("event_", id);
    size_t bytes = realtime_error_write(text, id, error);
    text_send(down, text, bytes);
}

void
session_down_error(struct session_down *down,
                   const struct realtime_error *error)
{
    if (is_open(down))
        error_send(down, error);
}

void
session_down_answer(struct session_down *down, const char *json)
{
    if (is_open(down))
        text_send(down, json, strlen(json));
}

/* --- stages: each may look, change, or swallow (false) */

typedef bool session_stage_h(struct session_down *down,
                             struct session_event *e);

/* Its code and param say which directive to look at. */
static void
refusal_log(struct session_down *down, struct session_event *e)
{
    const char *code = NULL, *param = NULL;
    json_t *tree = session_event_tree(e);

    if (tree)
        json_unpack(tree, "{s:{s?s, s?s}}", "error", "code", &code, "param",
                    &param);
    LOG(ERROR, down->entry->id, "event=policy_refused code=%.64s param=%.64s",
        code ? code : "none", param ? param : "none");
}

/* Whether an error is the answer to our own update: it bears its id, or none,
 * since nothing that went before could have one. */
static bool
is_refusal(const struct session_down *down, struct session_event *e)
{
    json_t *error = json_object_get(session_event_tree(e), "error");
    const char *id = json_string_value(json_object_get(error, "event_id"));

    return !id || strcmp(id, down->entry->id) == 0;
}

static int settings_send(struct session_down *down, const json_t *settings);

/* A model that can't make sense of some tool's definition, maybe of a server
 * far away, is no reason to have no session. */
static bool
tools_withdraw(struct session_down *down, struct session_event *e)
{
    json_t *error = json_object_get(session_event_tree(e), "error");
    const char *param = json_string_value(json_object_get(error, "param"));

    if (!down->tools || !down->settings || !param
        || strncmp(param, "session.tools", 13) != 0)
        return false;
    LOG(ERROR, down->entry->id, "event=tools_refused param=%.64s", param);
    session_tools_withdraw(down->tools, down->settings);
    session_tools_close(&down->tools);
    int result = settings_send(down, down->settings);
    settings_free(down);
    return result == 0;
}

/* The model answers in order: its first session.updated is of our update, and
 * the client has been told already what it says. A policy that the model
 * refuses must not be left out: the session ends. */
static bool
settle_stage(struct session_down *down, struct session_event *e)
{
    if (down->phase != DOWN_SETTLING)
        return true;
    if (e->type == REALTIME_SESSION_UPDATED) {
        down->phase = DOWN_OPEN;
        settings_free(down);
        return false;
    }
    if (e->type != REALTIME_ERROR || !is_refusal(down, e))
        return true;
    if (tools_withdraw(down, e))
        return false;
    refusal_log(down, e);
    down->handlers->on_fail(down->arg, END_POLICY_REFUSED,
                            "the model refuses the session's settings");
    return false;
}

static bool
filters_stage(struct session_down *down, struct session_event *e)
{
    return session_filters_down(&down->filters, e, clock_now_ms());
}

static bool
levels_stage(struct session_down *down, struct session_event *e)
{
    session_levels_down(&down->levels, e);
    return true;
}

/* What the client is not shown was a response's all the same. */
static bool
tools_stage(struct session_down *down, struct session_event *e)
{
    uint64_t now_ms = clock_now_ms();

    if (!down->tools || session_tools_down(down->tools, e, now_ms))
        return true;
    session_responses_look(&down->filters.responses, e, now_ms);
    return false;
}

/* Also what a later stage keeps from the client is paid for. */
static bool
usage_stage(struct session_down *down, struct session_event *e)
{
    session_usage_down(&down->usage, e);
    return true;
}

static session_stage_h *const stages[] = {
    settle_stage, usage_stage, levels_stage, tools_stage, filters_stage,
};

void
session_down_note_event(struct session_down *down,
                        const struct realtime_peek *peek)
{
    uint64_t now_us = clock_now_us();

    session_calm_up(&down->calm, peek->type, now_us / 1000);
    session_turns_up(&down->turns, peek, now_us);
}

uint64_t
session_down_stirred_ms(const struct session_down *down)
{
    uint64_t heard_ms = session_client_heard_ms(down->client);

    if (!session_tools_is_quiet(down->tools))
        return clock_now_ms();
    return heard_ms > down->calm.stirred_ms ? heard_ms : down->calm.stirred_ms;
}

bool
session_down_is_calm(const struct session_down *down)
{
    uint64_t now_ms = clock_now_ms();

    return down->phase == DOWN_OPEN && session_tools_is_quiet(down->tools)
           && session_client_queued_bytes(down->client) == 0
           && session_client_heard_ms(down->client) + SESSION_CALM_MS <= now_ms
           && session_calm_holds(&down->calm, now_ms);
}

static void
oversize_send(struct session_down *down, size_t bytes)
{
    const struct realtime_error error = {
        .type = "server_error",
        .code = "event_too_large",
        .message = "An event of the model was too large to be passed on.",
    };

    LOG(WARN, down->entry->id, "event=down_too_large bytes=%zu", bytes);
    error_send(down, &error);
}

/* What the stages have left, to the client. */
static void
event_send(struct session_down *down, struct session_event *e)
{
    if (session_event_render(e))
        down->handlers->on_fail(down->arg, END_OVERLOADED, "no memory");
    else if (e->bytes > SESSION_DOWN_EVENT_MAX)
        oversize_send(down, e->bytes);
    else
        peeked_send(down, e->json, e->bytes, e->made ? NULL : &e->peek);
}

static bool
stages_pass(struct session_down *down, struct session_event *e)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
        if (!stages[i](down, e))
            return false;
    return true;
}

/* What a filter held back until this event. A model that is full takes it
 * all the same, and tells whoever sends next. */
static void
held_release(struct session_down *down)
{
    size_t bytes;
    const char *text;

    if (!is_open(down))
        return;
    text = session_filters_next(&down->filters, &bytes, clock_now_ms());
    if (text && model_link_send(down->link, text, bytes) == UV_ENOBUFS)
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "too much waits for the model");
}

/* --- the server's tools */

static int
on_tools_send(void *arg, const char *json, size_t bytes)
{
    struct session_down *down = arg;

    return is_open(down) ? model_link_send(down->link, json, bytes)
                         : UV_ENOTCONN;
}

static int
on_tools_create(void *arg, const char *json, size_t bytes)
{
    struct session_down *down = arg;
    struct realtime_peek peek;
    int result = on_tools_send(arg, json, bytes);

    if ((!result || result == UV_EAGAIN)
        && realtime_peek(json, bytes, &peek) == REALTIME_SOUND) {
        session_down_note_event(down, &peek);
        session_filters_asked(&down->filters, &peek, clock_now_ms());
    }
    return result;
}

static bool
on_tools_idle(void *arg)
{
    struct session_down *down = arg;

    return session_filters_is_idle(&down->filters, clock_now_ms());
}

static void
on_tools_hidden(void *arg, const char *item_id)
{
    struct session_down *down = arg;

    session_scrub_item(&down->filters.scrub, item_id);
}

static void
on_tools_moved(void *arg)
{
    struct session_down *down = arg;

    session_filters_block(&down->filters, session_tools_blocks(down->tools));
    held_release(down);
}

static const struct session_tools_handlers tools_handlers = {
    .send = on_tools_send,
    .create = on_tools_create,
    .is_idle = on_tools_idle,
    .on_hidden = on_tools_hidden,
    .on_moved = on_tools_moved,
};

enum session_tool_verdict
session_down_tools(struct session_down *down, const struct realtime_peek *peek,
                   struct realtime_span text, char **made)
{
    enum session_tool_verdict verdict;

    if (!down->tools)
        return SESSION_TOOL_SEND;
    verdict = session_tools_up(down->tools, peek, text, made, clock_now_ms());
    session_filters_block(&down->filters, session_tools_blocks(down->tools));
    return verdict;
}

void
session_down_resume(struct session_down *down)
{
    if (down->tools)
        session_tools_look(down->tools);
}

static void
event_pass(struct session_down *down, struct session_event *e)
{
    bool measure = session_turns_down(&down->turns, e, clock_now_us);

    if (stages_pass(down, e)) {
        event_send(down, e);
        session_filters_sent(&down->filters, e);
        if (e->type == REALTIME_OUTPUT_AUDIO_DELTA)
            session_levels_sent(&down->levels, &e->peek);
        if (measure)
            session_turns_sent(&down->turns, clock_now_us());
    }
    held_release(down);
}

/* --- opening */

/* The session's own id marks our update, so that its refusal is recognised. */
static int
settings_send(struct session_down *down, const json_t *settings)
{
    char *update = session_opening_update(settings, down->entry->id);

    if (!update)
        return UV_ENOMEM;
    int result = model_link_send(down->link, update, strlen(update));
    free(update);
    return result == UV_EAGAIN ? 0 : result;
}

static bool
is_named(const json_t *session, const char *id)
{
    const char *name = json_string_value(json_object_get(session, "id"));

    return name && strcmp(name, id) == 0;
}

/* The settings go to the model and into the client's session.created. */
static int
opening_make(struct session_down *down, struct session_event *e)
{
    json_t *session = json_object_get(session_event_tree(e), "session");
    json_t *settings = NULL;

    if (!json_is_object(session))
        return UV_EPROTO;
    int result =
        session_opening_settings(&settings, down->policy, down->bound_session);
    if (!result)
        result = session_opening_vad(&settings, down->vad);
    if (!result && down->tools)
        result = session_tools_settings(down->tools, &settings);
    if (!result)
        result = session_opening_fit(&settings, session);
    if (!result && session_client_speaks_opus(down->client))
        result = audio_format_settle(&settings, session);
    if (settings || !is_named(session, down->entry->id))
        session_event_touch(e);
    if (!result)
        result = session_opening_apply(session, settings, down->entry->id);
    if (!result)
        result = session_filters_open(&down->filters, settings);
    if (!result && settings)
        result = settings_send(down, settings);
    if (!result)
        down->phase = settings ? DOWN_SETTLING : DOWN_OPEN;
    if (!result && down->tools)
        down->settings = settings;
    else
        json_decref(settings);
    bound_free(down);
    return result;
}

static void
opening_fail(struct session_down *down, int error)
{
    if (error == UV_EPROTO)
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "the model's session.created has no session");
    else if (error == UV_EINVAL)
        down->handlers->on_fail(down->arg, END_INTERNAL,
                                "the bound session can't be read");
    else if (error == UV_ENOMEM)
        down->handlers->on_fail(down->arg, END_OVERLOADED, "no memory");
    else
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "the model took no session.update");
}

/* A call's session has begun before: nothing is told, to neither side. */
static bool
is_attached(const struct session_event *e)
{
    return e->bytes == sizeof(MODEL_LINK_ATTACHED) - 1
           && memcmp(e->json, MODEL_LINK_ATTACHED, e->bytes) == 0;
}

/* A model that can't begin says why and then closes: the client is to read
 * it. */
static void
on_created(struct session_down *down, struct session_event *e)
{
    if (e->type == REALTIME_ERROR) {
        event_pass(down, e);
        return;
    }
    if (is_attached(e)) {
        down->phase = DOWN_OPEN;
        bound_free(down);
        down->handlers->on_open(down->arg);
        return;
    }
    if (e->type != REALTIME_SESSION_CREATED)
        return;
    int result = opening_make(down, e);
    if (result) {
        opening_fail(down, result);
        return;
    }
    event_pass(down, e);
    if (is_open(down))
        down->handlers->on_open(down->arg);
}

void
session_down_event(struct session_down *down, const char *json, size_t bytes)
{
    struct session_event e;

    if (session_event_open(&e, json, bytes)) {
        LOG_LIMITED(WARN, down->entry->id, "event=down_unreadable bytes=%zu",
                    bytes);
        session_filtered(FILTERED_UNREADABLE);
        return;
    }
    session_calm_down(&down->calm, e.type, json, bytes, clock_now_ms());
    if (down->phase == DOWN_CREATED)
        on_created(down, &e);
    else if (down->phase != DOWN_CLOSED)
        event_pass(down, &e);
    session_event_close(&e);
}

void
session_down_note_up(struct session_down *down, uint64_t took_us)
{
    session_turns_took(&down->turns, took_us);
}
