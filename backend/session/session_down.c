/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model ─► opening ─► stages ─► stream_link ─► client
 *              │          latency
 *              └─► session.update (the policy)
 *   stream full ─► model paused; room again ─► model resumed
 */

#include "session/session_down.h"

#include "base/clock.h"
#include "base/log.h"
#include "gate/crypto.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct event {
    enum realtime_type type;
    const char *json;
    size_t bytes;
};

void
session_down_init(struct session_down *down)
{
    down->phase = DOWN_CREATED;
}

void
session_down_close(struct session_down *down)
{
    down->phase = DOWN_CLOSED;
}

static void
full_enter(struct session_down *down)
{
    down->full = true;
    model_link_pause(down->link, true);
    down->handlers->on_full(down->arg, true);
}

/* To the client. The call may end the session. */
static void
text_send(struct session_down *down, const char *json, size_t bytes)
{
    int result = session_client_send(down->client, STREAM_TEXT, json, bytes);

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
    if (down->phase == DOWN_OPEN)
        error_send(down, error);
}

/* --- opening */

static void
open_enter(struct session_down *down, const char *json, size_t bytes)
{
    down->phase = DOWN_OPEN;
    text_send(down, json, bytes);
    if (down->phase == DOWN_OPEN)
        down->handlers->on_open(down->arg);
}

/* The session's own id marks our update, so that its refusal is recognised. */
static void
policy_send(struct session_down *down)
{
    char *update = policy_session_update(down->policy, down->entry->id);

    if (!update) {
        down->handlers->on_fail(down->arg, END_OVERLOADED, "no memory");
        return;
    }
    down->phase = DOWN_UPDATED;
    int result = model_link_send(down->link, update, strlen(update));
    free(update);
    if (result && result != UV_EAGAIN)
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "the model took no session.update");
}

static void
on_created(struct session_down *down, const struct event *event)
{
    if (event->type == REALTIME_ERROR) {
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "the model began with an error");
        return;
    }
    if (event->type != REALTIME_SESSION_CREATED)
        return;
    if (policy_sets_session(down->policy))
        policy_send(down);
    else
        open_enter(down, event->json, event->bytes);
}

/* The client's session.created, made from the model's session.updated. */
static void
updated_open(struct session_down *down, const struct event *event)
{
    struct realtime_peek peek;
    char id[CRYPTO_ID_BYTES];
    size_t bytes;

    if (realtime_peek(event->json, event->bytes, &peek)
        || !peek.value[REALTIME_KEY_SESSION].text) {
        down->handlers->on_fail(down->arg, END_UPSTREAM_LOST,
                                "the model's session.updated has no session");
        return;
    }
    crypto_id("event_", id);
    char *created =
        realtime_created_build(id, peek.value[REALTIME_KEY_SESSION], &bytes);
    if (!created) {
        down->handlers->on_fail(down->arg, END_OVERLOADED, "no memory");
        return;
    }
    open_enter(down, created, bytes);
    free(created);
}

/* Its code and param say which directive to look at. */
static void
refusal_log(struct session_down *down, const struct event *event)
{
    const char *code = NULL, *param = NULL;
    json_t *tree = json_loadb(event->json, event->bytes, 0, NULL);

    if (tree)
        json_unpack(tree, "{s:{s?s, s?s}}", "error", "code", &code, "param",
                    &param);
    LOG(ERROR, down->entry->id, "event=policy_refused code=%.64s param=%.64s",
        code ? code : "none", param ? param : "none");
    json_decref(tree);
}

/* Only our update is on its way, so nothing else here is for the client. A
 * policy that the model refuses must not be left out: the session ends. */
static void
on_updated(struct session_down *down, const struct event *event)
{
    if (event->type == REALTIME_SESSION_UPDATED) {
        updated_open(down, event);
    } else if (event->type == REALTIME_ERROR) {
        refusal_log(down, event);
        down->handlers->on_fail(down->arg, END_POLICY_REFUSED,
                                "the model refuses the session's settings");
    }
}

/* --- stages: each may look, replace, or swallow (false) */

typedef bool session_stage_h(struct session_down *down, struct event *event);

static bool
latency_stage(struct session_down *down, struct event *event)
{
    struct session_latency *l = &down->latency;

    if (event->type == REALTIME_RESPONSE_CREATED) {
        l->waiting = true;
        l->turn_us = l->up_us;
    } else if (event->type == REALTIME_RESPONSE_DONE) {
        l->waiting = false;
        l->turns++;
    }
    return true;
}

static session_stage_h *const stages[] = {latency_stage};

void
session_down_note_event(struct session_down *down, enum realtime_type type)
{
    session_calm_up(&down->calm, type, clock_now_ms());
}

bool
session_down_is_calm(const struct session_down *down)
{
    return down->phase == DOWN_OPEN
           && session_client_queued_bytes(down->client) == 0
           && session_calm_holds(&down->calm, clock_now_ms());
}

static bool
is_output(enum realtime_type type)
{
    return type == REALTIME_OUTPUT_AUDIO_DELTA
           || type == REALTIME_OUTPUT_TRANSCRIPT_DELTA
           || type == REALTIME_OUTPUT_TEXT_DELTA
           || type == REALTIME_ARGUMENTS_DELTA;
}

/* After the first output of a turn has been written. */
static void
latency_sent(struct session_latency *l, uint64_t took_us)
{
    l->waiting = false;
    l->measured++;
    l->gateway_us += l->turn_us + took_us;
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

static void
open_pass(struct session_down *down, struct event *event)
{
    bool measure = down->latency.waiting && is_output(event->type);
    uint64_t from_us = measure ? clock_now_us() : 0;

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
        if (!stages[i](down, event))
            return;
    if (event->bytes > SESSION_DOWN_EVENT_MAX)
        oversize_send(down, event->bytes);
    else
        text_send(down, event->json, event->bytes);
    if (measure)
        latency_sent(&down->latency, clock_now_us() - from_us);
}

void
session_down_event(struct session_down *down, const char *json, size_t bytes)
{
    struct event event = {realtime_type_of(json, bytes), json, bytes};

    session_calm_down(&down->calm, event.type, json, bytes, clock_now_ms());
    switch (down->phase) {
    case DOWN_CREATED:
        on_created(down, &event);
        break;
    case DOWN_UPDATED:
        on_updated(down, &event);
        break;
    case DOWN_OPEN:
        open_pass(down, &event);
        break;
    case DOWN_CLOSED:
        break;
    }
}

void
session_down_note_up(struct session_down *down, uint64_t took_us)
{
    down->latency.up_us =
        took_us > UINT32_MAX ? UINT32_MAX : (uint32_t) took_us;
}

uint64_t
session_down_gateway_us(const struct session_down *down)
{
    const struct session_latency *l = &down->latency;

    return l->measured ? l->gateway_us / l->measured : 0;
}
