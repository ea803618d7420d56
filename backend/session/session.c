/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Life of a session: what its legs report becomes a state, and every way to
 * the end goes through session_end. Memory goes when each connection of the
 * client, the model and the timer have made their last call, and nobody who
 * comes back is on the way: one reference each.
 */

#include "session/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/ws_frame.h"
#include "service/event_bus.h"
#include "session/session_client.h"
#include "session/session_down.h"
#include "session/session_drain.h"
#include "session/session_limits.h"
#include "session/session_registry.h"
#include "session/session_summary.h"
#include "session/session_up.h"
#include "session/session_upstream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_BYTES     64
#define REASON_BYTES 160

struct session {
    struct session_entry entry;
    struct session_figures figures;
    struct session_registry *registry;
    struct event_bus *events;
    struct session_client client;
    struct model_link *link; /* NULL before it is open, and after */
    const char *server;      /* the name of the last one it had */
    const struct policy *policy;
    struct session_up up;
    struct session_down down;
    struct session_drain *drain;   /* NULL unless draining */
    struct session_limits *limits; /* NULL: none */
    uv_timer_t timer; /* while starting: the start; then: a full queue */
    uint8_t state, client_leg, upstream, reason;
    uint16_t close_code, refs;
    uint64_t accepted_us, ended_ms;
    char id[ID_BYTES];
    char names[]; /* model, tenant */
};

static void
shown_enter(struct session *s, const struct session_machine *machine,
            uint8_t *state, unsigned to, const char *_Atomic *figure)
{
    if (session_state_enter(machine, state, to, s->id))
        *figure = session_state_name(machine, to);
}

static void
state_enter(struct session *s, enum session_state to)
{
    shown_enter(s, &session_machine, &s->state, to, &s->figures.state);
}

static void
client_enter(struct session *s, enum session_client_leg to)
{
    shown_enter(s, &session_client_machine, &s->client_leg, to,
                &s->figures.client);
}

static void
upstream_enter(struct session *s, enum session_upstream_leg to)
{
    shown_enter(s, &session_upstream_machine, &s->upstream, to,
                &s->figures.upstream);
}

/* --- the end */

static void
session_free(struct session *s)
{
    struct session_summary summary = {
        .entry = &s->entry,
        .reason = session_end_text(s->reason),
        .upstream = s->server,
        .code = s->close_code,
        .duration_ms = s->ended_ms - s->entry.since_ms,
        .turns = session_turns_figures(&s->down.turns),
        .levels = s->down.levels.sum,
    };

    session_client_get_stats(&s->client, &summary.stream);
    session_client_get_voice(&s->client, &summary.voice);
    session_summary_log(&summary);
    session_end_count(s->reason);
    session_publish(s->events, &s->entry, "session_end",
                    session_end_text(s->reason));
    session_usage_end(&s->down.usage, summary.duration_ms);
    session_turns_deinit(&s->down.turns);
    session_client_deinit(&s->client);
    policy_put(&s->policy);
    session_registry_remove(s->registry, &s->entry);
    free(s);
}

/* Also a handler: a leg or the levels have made their last call. */
static void
session_unref(void *arg)
{
    struct session *s = arg;

    if (--s->refs == 0)
        session_free(s);
}

static void
on_timer_closed(uv_handle_t *handle)
{
    session_unref(handle->data);
}

static void
legs_close(struct session *s, const char *text)
{
    session_up_close(&s->up);
    session_down_close(&s->down);
    session_drain_stop(&s->drain);
    session_limits_stop(&s->limits);
    uv_close((uv_handle_t *) &s->timer, on_timer_closed);
    session_client_close(&s->client, s->close_code, text);
    if (s->link)
        model_link_close(s->link);
}

static void
end(struct session *s, enum session_end_reason reason, unsigned code,
    const char *text)
{
    char clean[SESSION_CLEAN_BYTES];

    if (s->state == SESSION_ENDED)
        return;
    session_text_clean(clean, text);
    state_enter(s, SESSION_ENDED);
    s->reason = reason;
    s->close_code = (uint16_t) code;
    s->ended_ms = clock_now_ms();
    LOG(INFO, s->id, "event=session_end reason=%s why=\"%s\"",
        session_end_text(reason), clean);
    legs_close(s, text);
}

void
session_end(struct session *s, enum session_end_reason reason, const char *fmt,
            ...)
{
    char text[REASON_BYTES];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    end(s, reason, session_end_code(reason), text);
}

static void
on_server_end(struct session_entry *entry)
{
    session_end((struct session *) entry /* its first member */, END_SHUTDOWN,
                "the server is going away");
}

/* --- what the directions report */

static void
on_fail(void *arg, enum session_end_reason reason, const char *text)
{
    session_end(arg, reason, "%s", text);
}

static void
on_slow_client(uv_timer_t *timer)
{
    session_end(timer->data, END_SLOW_CLIENT,
                "the client has taken too little for %d ms",
                SESSION_SLOW_CLIENT_MS);
}

static void
on_down_full(void *arg, bool full)
{
    struct session *s = arg;

    if (s->state == SESSION_ENDED)
        return;
    if (full)
        uv_timer_start(&s->timer, on_slow_client, SESSION_SLOW_CLIENT_MS, 0);
    else
        uv_timer_stop(&s->timer);
}

static void
on_down_open(void *arg)
{
    struct session *s = arg;

    if (!s->down.full)
        uv_timer_stop(&s->timer);
    upstream_enter(s, UPSTREAM_READY);
    s->server = model_link_name(s->link);
    if (s->state == SESSION_STARTING) {
        session_live_tell(&s->entry, s->server, s->accepted_us);
        state_enter(s, SESSION_LIVE);
    }
    session_up_open(&s->up);
}

static const struct session_up_handlers up_handlers = {on_fail};
static const struct session_down_handlers down_handlers = {
    on_down_open, on_down_full, on_fail, session_unref};

/* --- what the client leg reports */

static void
on_client_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
                  size_t bytes)
{
    struct session *s = arg;

    session_up_message(&s->up, opcode, data, bytes);
}

static bool
on_drain_look(void *arg)
{
    const struct session *s = arg;

    return session_up_is_empty(&s->up) && session_down_is_calm(&s->down);
}

/* A client that may come back is sent to another worker. */
static void
on_drain_over(void *arg)
{
    struct session *s = arg;

    if (session_client_may_return(&s->client))
        session_client_drop(&s->client, WS_CLOSE_RESTART, "come back at once");
    else
        session_end(s, END_DRAINED, "the gateway is shutting down");
}

static const struct session_drain_handlers drain_handlers = {on_drain_look,
                                                             on_drain_over};

static void
on_client_drain(void *arg, uint32_t ms)
{
    struct session *s = arg;
    const struct session_drain_config cfg = {
        .loop = s->entry.loop,
        .ms = ms,
        .patience_ms = session_client_may_return(&s->client)
                           ? 0
                           : session_drain_patience_ms(ms),
    };

    if (s->state == SESSION_ENDED || s->state == SESSION_DRAINING)
        return;
    LOG(INFO, s->id, "event=drain ms=%" PRIu32, ms);
    state_enter(s, SESSION_DRAINING);
    if (session_drain_start(&s->drain, &cfg, &drain_handlers, s))
        LOG(WARN, s->id, "event=drain_unwatched error=\"no memory\"");
}

static void
on_client_writable(void *arg)
{
    struct session *s = arg;

    session_down_writable(&s->down);
}

/* A connection that was lost, not one that somebody closed. */
static bool
on_client_lost(void *arg, uint16_t code)
{
    struct session *s = arg;
    bool drained = s->state == SESSION_DRAINING && code == WS_CLOSE_GOING_AWAY;

    if (s->state != SESSION_LIVE && s->state != SESSION_DRAINING)
        return false;
    if (code != WS_CLOSE_LOST && code != WS_CLOSE_RESTART && !drained)
        return false;
    LOG(INFO, s->id, "event=client_detached code=%u", code);
    client_enter(s, CLIENT_DETACHED);
    session_drain_stop(&s->drain);
    if (s->state == SESSION_DRAINING)
        state_enter(s, SESSION_LIVE);
    session_down_writable(&s->down);
    return true;
}

static void
on_client_attached(void *arg)
{
    struct session *s = arg;

    s->refs++;
    if (s->client_leg == CLIENT_DETACHED)
        client_enter(s, CLIENT_ATTACHED);
    session_drain_stop(&s->drain); /* the worker of the connection before */
    if (s->state == SESSION_DRAINING)
        state_enter(s, SESSION_LIVE);
    LOG(INFO, s->id, "event=client_resumed");
    session_publish(s->events, &s->entry, "session_resumed", NULL);
    /* The full queue may have been that of the connection before. */
    if (!session_client_is_full(&s->client))
        session_down_writable(&s->down);
}

static void
on_client_closed(void *arg, uint16_t code, const char *reason)
{
    struct session *s = arg;

    client_enter(s, CLIENT_NONE);
    end(s, session_end_of(code, s->state == SESSION_DRAINING), code, reason);
}

static const struct session_client_handlers client_handlers = {
    .on_message = on_client_message,
    .on_drain = on_client_drain,
    .on_writable = on_client_writable,
    .on_lost = on_client_lost,
    .on_attached = on_client_attached,
    .on_closed = on_client_closed,
    .on_gone = session_unref,
};

const char *
session_id(const struct session *s)
{
    return s->id;
}

int
session_expect(struct session *s, const char *after,
               struct session_return *coming)
{
    if (s->state != SESSION_LIVE && s->state != SESSION_DRAINING)
        return UV_ENOENT;
    int result = session_client_expect(&s->client, after, coming);
    if (!result)
        s->refs++;
    return result;
}

void
session_attach(const struct session_return *coming, int fd)
{
    struct session *s = coming->session;

    if (!session_client_attach(&s->client, coming, fd) && fd >= 0)
        LOG(WARN, s->id, "event=attach_failed");
    session_unref(s);
}

/* --- limits */

static uint64_t
on_limits_look(void *arg)
{
    const struct session *s = arg;

    return session_down_stirred_ms(&s->down);
}

static void
on_limits_over(void *arg, bool idle)
{
    struct session *s = arg;
    const struct realtime_error error = {
        .code = idle ? "session_idle" : "session_expired",
        .message = idle ? "The session has been idle for too long."
                        : "The session has reached its longest duration here.",
    };

    session_down_error(&s->down, &error);
    session_end(s, idle ? END_IDLE : END_SESSION_LIMIT, "%s", error.message);
}

static void
limits_start(struct session *s, const struct session_config *cfg)
{
    static const struct session_limits_handlers handlers = {on_limits_look,
                                                            on_limits_over};
    const struct session_limits_config limits = {
        .loop = cfg->loop,
        .max_session_ms = cfg->max_session_ms,
        .max_idle_ms = cfg->max_idle_ms,
    };

    if (session_limits_start(&s->limits, &limits, &handlers, s))
        LOG(WARN, s->id, "event=limits_unwatched error=\"no memory\"");
}

/* --- what the upstream leg reports */

static void
on_link_event(void *arg, const char *json, size_t bytes)
{
    struct session *s = arg;

    session_down_event(&s->down, json, bytes);
}

static void
on_link_writable(void *arg)
{
    struct session *s = arg;

    session_up_writable(&s->up);
}

/* A code that may be on the wire goes on to the client. */
static void
on_link_closed(void *arg, uint16_t code, const char *reason)
{
    struct session *s = arg;

    s->link = NULL;
    upstream_enter(s, UPSTREAM_LOST);
    if (ws_close_code_is_valid(code))
        end(s, END_UPSTREAM_CLOSED, code, reason ? reason : "");
    else
        session_end(s, END_UPSTREAM_LOST, "the model is gone");
    session_unref(s);
}

static void
on_link_swapping(void *arg, bool swapping)
{
    struct session *s = arg;

    upstream_enter(s, swapping ? UPSTREAM_SWAPPING : UPSTREAM_READY);
    s->server = swapping ? s->server : model_link_name(s->link);
}

static const struct session_upstream_handlers link_handlers = {
    {on_link_event, on_link_writable, on_link_closed}, on_link_swapping};

/* --- the start */

static void
on_start_late(uv_timer_t *timer)
{
    session_end(timer->data, END_UPSTREAM_LOST, "the model did not start");
}

static int
client_open(struct session *s, const struct session_config *cfg)
{
    const struct session_client_config client = {
        .loop = cfg->loop,
        .id = s->id,
        .max_message_bytes = cfg->max_message_bytes,
        .down_high_bytes = SESSION_DOWN_HIGH,
        .down_max_bytes = SESSION_DOWN_MAX,
        .dialect = cfg->client_dialect,
        .opus = cfg->client_opus ? cfg->policy : NULL,
        .token = cfg->resume_token,
        .tenant = s->entry.tenant,
        .turns = &s->down.turns,
        .figures = &s->figures,
        .resumes = cfg->resumes,
        .session = s,
        .grace_ms = cfg->resume_grace_ms,
    };

    return session_client_open(&s->client, &client, cfg->fd, &client_handlers,
                               s);
}

static void
upstream_open(struct session *s, const struct session_config *cfg)
{
    const struct session_upstream_config upstream = {
        .link =
            {
                .loop = cfg->loop,
                .session_id = s->id,
                .model = s->entry.model,
                .upstreams = cfg->upstreams,
                .upstream_count = cfg->upstream_count,
                .call_id = cfg->call_id,
                .intent = cfg->intent,
                .safety_id = cfg->safety_id,
                .warm_ticket = cfg->warm_ticket,
            },
        .open_model = cfg->open_model,
        .open_model_arg = cfg->open_model_arg,
        .can_be_lost = cfg->model_can_be_lost && !cfg->intent,
        .max_session_ms = cfg->upstream_cap_ms,
    };
    int result = session_down_equip(&s->down, cfg);

    if (!result)
        result = session_upstream_open(&s->link, &upstream, &link_handlers, s);
    if (result) {
        s->link = NULL;
        upstream_enter(s, UPSTREAM_LOST);
        session_end(s, result == UV_EBUSY ? END_OVERLOADED : END_UPSTREAM_LOST,
                    "the model can't be opened");
        return;
    }
    s->refs++;
    s->up.link = s->down.link = s->link;
}

static void
entry_fill(struct session *s, const struct session_config *cfg)
{
    size_t model_bytes = strlen(cfg->model) + 1;

    snprintf(s->id, sizeof(s->id), "%s", cfg->id);
    memcpy(s->names, cfg->model, model_bytes);
    memcpy(s->names + model_bytes, cfg->tenant, strlen(cfg->tenant) + 1);
    s->entry.id = s->id;
    s->entry.model = s->names;
    s->entry.tenant = s->names + model_bytes;
    s->entry.loop = cfg->loop;
    s->entry.since_ms = clock_now_ms();
    s->entry.figures = &s->figures;
    s->entry.on_end = on_server_end;
    s->figures.state = session_state_name(&session_machine, SESSION_STARTING);
    s->figures.upstream =
        session_state_name(&session_upstream_machine, UPSTREAM_OPENING);
}

static void
directions_init(struct session *s)
{
    s->up.policy = s->policy;
    s->up.model = s->entry.model;
    s->up.client = &s->client;
    s->up.down = &s->down;
    s->up.entry = &s->entry;
    s->up.handlers = &up_handlers;
    s->up.arg = s;
    session_up_init(&s->up);
    s->down.policy = s->policy;
    s->down.client = &s->client;
    s->down.entry = &s->entry;
    s->down.handlers = &down_handlers;
    s->down.arg = s;
    session_down_init(&s->down);
}

int
session_start(const struct session_config *cfg)
{
    struct session *s =
        calloc(1, sizeof(*s) + strlen(cfg->model) + strlen(cfg->tenant) + 2);

    if (!s) {
        close(cfg->fd);
        return UV_ENOMEM;
    }
    entry_fill(s, cfg);
    int result = client_open(s, cfg);
    if (result) {
        free(s);
        return result;
    }
    s->registry = cfg->registry;
    s->events = cfg->events;
    s->accepted_us = cfg->accepted_us;
    s->policy = policy_ref(cfg->policy);
    s->refs = 3; /* stream, timer, session_down */
    directions_init(s);
    session_usage_start(&s->down.usage, cfg->usage, cfg->limits, &s->entry);
    session_registry_add(s->registry, &s->entry);
    uv_timer_init(loop_uv(cfg->loop), &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_start_late,
                   cfg->start_ms ? cfg->start_ms : SESSION_START_MS, 0);
    client_enter(s, CLIENT_ATTACHED);
    limits_start(s, cfg);
    session_publish(s->events, &s->entry, "session_start", NULL);
    upstream_open(s, cfg);
    return 0;
}
