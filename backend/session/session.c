/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Life of a session: what its legs report becomes a state, and every way to
 * the end goes through session_end. Memory goes when the stream, the model
 * and the timer have each made their last call: one reference each.
 */

#include "session/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/ws_frame.h"
#include "service/event_bus.h"
#include "session/session_down.h"
#include "session/session_drain.h"
#include "session/session_registry.h"
#include "session/session_summary.h"
#include "session/session_up.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID_BYTES     64
#define REASON_BYTES 160

enum session_state {
#define X(id, text, next) id,
    SESSION_STATES(X)
#undef X
};
enum session_client_leg {
#define X(id, text, next) id,
    SESSION_CLIENT_LEGS(X)
#undef X
};
enum session_upstream_leg {
#define X(id, text, next) id,
    SESSION_UPSTREAM_LEGS(X)
#undef X
};

/* A state machine: names, and for each state a bit for each it may become. */
struct machine {
    const char *name;
    const char *const *names;
    const uint8_t *next;
};

#define LIVE                 (1u << SESSION_LIVE)
#define DRAINING             (1u << SESSION_DRAINING)
#define ENDED                (1u << SESSION_ENDED)
#define NONE                 (1u << CLIENT_NONE)
#define ATTACHED             (1u << CLIENT_ATTACHED)
#define DETACHED             (1u << CLIENT_DETACHED)
#define READY                (1u << UPSTREAM_READY)
#define SWAPPING             (1u << UPSTREAM_SWAPPING)
#define LOST                 (1u << UPSTREAM_LOST)
#define TEXT(id, text, next) text,
#define NEXT(id, text, next) next,

static const struct machine state_machine = {
    "state", (const char *const[]){SESSION_STATES(TEXT)},
    (const uint8_t[]){SESSION_STATES(NEXT)}};
static const struct machine client_machine = {
    "client", (const char *const[]){SESSION_CLIENT_LEGS(TEXT)},
    (const uint8_t[]){SESSION_CLIENT_LEGS(NEXT)}};
static const struct machine upstream_machine = {
    "upstream", (const char *const[]){SESSION_UPSTREAM_LEGS(TEXT)},
    (const uint8_t[]){SESSION_UPSTREAM_LEGS(NEXT)}};

static const struct {
    const char *text;
    uint16_t code;
} reasons[END_REASON_COUNT] = {
#define X(id, text, code) [id] = {text, code},
    SESSION_END_REASONS(X)
#undef X
};

struct session {
    struct session_entry entry;
    struct session_figures figures;
    struct session_registry *registry;
    struct event_bus *events;
    struct stream_link *stream; /* `client_link`; NULL after its last call */
    struct stream_link client_link;
    struct model_link *link; /* NULL before it is open, and after */
    const struct policy *policy;
    struct session_up up;
    struct session_down down;
    struct session_drain *drain; /* NULL unless draining */
    uv_timer_t timer; /* while starting: the start; then: a full queue */
    uint8_t state;
    uint8_t client;
    uint8_t upstream;
    uint8_t reason;
    uint16_t close_code;
    uint16_t refs;
    uint32_t rtt_us;
    uint64_t ended_ms;
    struct stream_link_stats stats;
    char id[ID_BYTES];
    char names[]; /* model, tenant */
};

static atomic_uint illegal_count;

unsigned
session_illegal_count(void)
{
    return atomic_load(&illegal_count);
}

/* The only writer of the three states. */
static bool
enter(struct session *s, const struct machine *m, uint8_t *state, unsigned to)
{
    if (!(m->next[*state] >> to & 1)) {
        atomic_fetch_add(&illegal_count, 1);
        LOG(ALERT, s->id, "event=illegal_state machine=%s from=%s to=%s",
            m->name, m->names[*state], m->names[to]);
        return false;
    }
    LOG(DEBUG, s->id, "%s=%s was=%s", m->name, m->names[to], m->names[*state]);
    *state = (uint8_t) to;
    return true;
}

static void
state_enter(struct session *s, enum session_state to)
{
    if (enter(s, &state_machine, &s->state, to))
        atomic_store_explicit(&s->figures.state, state_machine.names[to],
                              memory_order_relaxed);
}

static void
client_enter(struct session *s, enum session_client_leg to)
{
    enter(s, &client_machine, &s->client, to);
}

static void
upstream_enter(struct session *s, enum session_upstream_leg to)
{
    enter(s, &upstream_machine, &s->upstream, to);
}

/* Id and model are plain characters; api_realtime lets no others in. */
static void
session_tell(struct session *s, const char *type, const char *reason)
{
    char fields[512];

    if (!s->events)
        return;
    snprintf(fields, sizeof(fields),
             "{\"session_id\":\"%s\",\"model\":\"%s\"%s%s%s}", s->id,
             s->entry.model, reason ? ",\"reason\":\"" : "",
             reason ? reason : "", reason ? "\"" : "");
    int result = event_bus_publish(s->events, s->entry.tenant, type, fields);
    if (result)
        LOG_LIMITED(WARN, s->id, "event=not_published type=%s error=\"%s\"",
                    type, uv_strerror(result));
}

/* --- the end */

static void
session_free(struct session *s)
{
    const struct session_summary summary = {
        .id = s->id,
        .reason = reasons[s->reason].text,
        .model = s->entry.model,
        .code = s->close_code,
        .duration_ms = s->ended_ms - s->entry.since_ms,
        .stream = s->stats,
        .turns = s->down.latency.turns,
        .gateway_us = session_down_gateway_us(&s->down),
        .rtt_us = s->rtt_us,
    };

    session_summary_log(&summary);
    session_end_count(s->reason);
    session_tell(s, "session_end", reasons[s->reason].text);
    policy_put(&s->policy);
    session_registry_remove(s->registry, &s->entry);
    free(s);
}

static void
session_unref(struct session *s)
{
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
    uv_close((uv_handle_t *) &s->timer, on_timer_closed);
    if (s->stream)
        stream_link_close(s->stream, s->close_code, text);
    if (s->link)
        model_link_close(s->link);
}

/* A peer's text as a value for the log. */
static void
text_clean(char out[REASON_BYTES], const char *text)
{
    size_t i;

    for (i = 0; text[i] && i < REASON_BYTES - 1; i++)
        out[i] =
            text[i] >= ' ' && text[i] <= '~' && text[i] != '"' ? text[i] : '?';
    out[i] = 0;
}

static void
end(struct session *s, enum session_end_reason reason, unsigned code,
    const char *text)
{
    char clean[REASON_BYTES];

    if (s->state == SESSION_ENDED)
        return;
    text_clean(clean, text);
    state_enter(s, SESSION_ENDED);
    s->reason = reason;
    s->close_code = (uint16_t) code;
    s->ended_ms = clock_now_ms();
    LOG(INFO, s->id, "event=session_end reason=%s why=\"%s\"",
        reasons[reason].text, clean);
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
    end(s, reason, reasons[reason].code, text);
}

static void
on_server_end(struct session_entry *entry)
{
    /* Its first member. */
    session_end((struct session *) entry, END_SHUTDOWN,
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
    if (s->state == SESSION_STARTING)
        state_enter(s, SESSION_LIVE);
    session_up_open(&s->up);
}

static const struct session_up_handlers up_handlers = {on_fail};
static const struct session_down_handlers down_handlers = {
    on_down_open, on_down_full, on_fail};

/* --- what the client leg reports */

static void
on_stream_message(void *arg, enum stream_opcode opcode, const uint8_t *data,
                  size_t bytes)
{
    struct session *s = arg;

    session_up_message(&s->up, opcode, data, bytes);
}

static void
on_stream_rtt(void *arg, uint32_t rtt_us)
{
    struct session *s = arg;

    s->rtt_us = rtt_us;
}

/* Whether the client can go on with this session over another connection:
 * none is given what that takes. */
static bool
client_can_resume(const struct session *s)
{
    (void) s;
    return false;
}

static bool
on_drain_look(void *arg)
{
    const struct session *s = arg;

    return session_up_is_empty(&s->up) && session_down_is_calm(&s->down);
}

static void
on_drain_over(void *arg)
{
    struct session *s = arg;
    unsigned code =
        client_can_resume(s) ? WS_CLOSE_RESTART : WS_CLOSE_GOING_AWAY;

    end(s, END_DRAINED, code, "the gateway is shutting down");
}

static const struct session_drain_handlers drain_handlers = {on_drain_look,
                                                             on_drain_over};

static void
on_stream_drain(void *arg, uint32_t ms)
{
    struct session *s = arg;
    const struct session_drain_config cfg = {
        .loop = s->entry.loop,
        .ms = ms,
        .patience_ms = client_can_resume(s) ? 0 : session_drain_patience_ms(ms),
    };

    if (s->state == SESSION_ENDED || s->state == SESSION_DRAINING)
        return;
    LOG(INFO, s->id, "event=drain ms=%" PRIu32, ms);
    state_enter(s, SESSION_DRAINING);
    if (session_drain_start(&s->drain, &cfg, &drain_handlers, s))
        LOG(WARN, s->id, "event=drain_unwatched error=\"no memory\"");
}

static void
on_stream_writable(void *arg)
{
    struct session *s = arg;

    session_down_writable(&s->down);
}

static enum session_end_reason
client_reason(const struct session *s, uint16_t code)
{
    if (code == WS_CLOSE_GOING_AWAY && s->state == SESSION_DRAINING)
        return END_DRAINED; /* NGINX's, its time being over */
    switch (code) {
    case WS_CLOSE_LOST:
        return END_CLIENT_LOST;
    case WS_CLOSE_PROTOCOL_ERROR:
    case WS_CLOSE_BAD_PAYLOAD:
        return END_PROTOCOL_ERROR;
    case WS_CLOSE_TOO_BIG:
        return END_MESSAGE_TOO_BIG;
    case WS_CLOSE_TRY_LATER:
        return END_OVERLOADED;
    default:
        return END_CLIENT_CLOSED;
    }
}

static void
on_stream_closed(void *arg, uint16_t code, const char *reason)
{
    struct session *s = arg;

    stream_link_get_stats(s->stream, &s->stats);
    s->stream = NULL;
    client_enter(s, CLIENT_NONE);
    end(s, client_reason(s, code), code, reason ? reason : "");
    session_unref(s);
}

static const struct stream_link_handlers stream_handlers = {
    on_stream_message, on_stream_rtt, on_stream_drain, on_stream_writable,
    on_stream_closed};

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

static const struct model_link_handlers link_handlers = {
    on_link_event, on_link_writable, on_link_closed};

/* --- the start */

static void
on_start_late(uv_timer_t *timer)
{
    session_end(timer->data, END_UPSTREAM_LOST, "the model did not start");
}

static int
client_open(struct session *s, const struct session_config *cfg)
{
    const struct stream_link_config stream = {
        .loop = cfg->loop,
        .fd = cfg->fd,
        .id = s->id,
        .max_message_bytes = cfg->max_message_bytes,
        .down_high_bytes = SESSION_DOWN_HIGH,
        .down_max_bytes = SESSION_DOWN_MAX,
    };

    s->stream = &s->client_link;
    return stream_link_open(s->stream, &stream, &stream_handlers, s);
}

static void
upstream_open(struct session *s, const struct session_config *cfg)
{
    const struct model_link_config model = {
        .loop = cfg->loop,
        .session_id = s->id,
        .model = s->entry.model,
    };
    int result = cfg->open_model(&s->link, &model, &link_handlers, s,
                                 cfg->open_model_arg);

    if (result) {
        s->link = NULL;
        upstream_enter(s, UPSTREAM_LOST);
        session_end(s, result == UV_EBUSY ? END_OVERLOADED : END_UPSTREAM_LOST,
                    "the model can't be opened");
        return;
    }
    s->refs++;
    s->up.link = s->link;
    s->down.link = s->link;
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
    atomic_init(&s->figures.state, state_machine.names[SESSION_STARTING]);
}

static void
directions_init(struct session *s)
{
    s->up.policy = s->policy;
    s->up.model = s->entry.model;
    s->up.stream = s->stream;
    s->up.down = &s->down;
    s->up.entry = &s->entry;
    s->up.handlers = &up_handlers;
    s->up.arg = s;
    session_up_init(&s->up);
    s->down.policy = s->policy;
    s->down.stream = s->stream;
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
    s->policy = policy_ref(cfg->policy);
    s->refs = 2; /* stream, timer */
    directions_init(s);
    session_registry_add(s->registry, &s->entry);
    uv_timer_init(loop_uv(cfg->loop), &s->timer);
    s->timer.data = s;
    uv_timer_start(&s->timer, on_start_late, SESSION_START_MS, 0);
    client_enter(s, CLIENT_ATTACHED);
    session_tell(s, "session_start", NULL);
    upstream_open(s, cfg);
    return 0;
}
