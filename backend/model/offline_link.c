/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model_link_send ─► offline_server ─► event JSON ─► queue ─► on_event
 *                                                      (task of the loop)
 */

#include "model/offline_link.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "model/offline_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_PER_TURN  64u /* of the loop: others want it too */
#define REASON_BYTES     124u
#define SESSION_ID_BYTES 64u

#define CLOSE_NORMAL     1000u
#define CLOSE_GOING_AWAY 1001u
#define CLOSE_TRY_AGAIN  1013u

struct link_event {
    struct link_event *next;
    size_t bytes;
    char *json; /* owned */
};

/* X(state, name): OPEN takes events; ENDING delivers what is left and then
 * closes; CLOSING delivers nothing any more. */
#define LINK_STATES(X)                                                         \
    X(LINK_OPEN, "open")                                                       \
    X(LINK_ENDING, "ending")                                                   \
    X(LINK_CLOSING, "closing")

enum link_state {
#define X(state, name) state,
    LINK_STATES(X)
#undef X
};

struct offline_link {
    struct model_link base; /* first: the interface */
    enum link_state state;
    struct loop *loop;
    struct model_link_handlers handlers;
    void *arg;
    struct offline_limits limits;
    struct offline_server *server;
    struct loop_timer *expiry;
    struct loop_task task; /* delivery */
    bool posted;
    bool paused;
    bool wants_room; /* a send said UV_EAGAIN */
    struct link_event *first, **last;
    size_t queue_bytes;
    uint16_t close_code;
    char close_reason[REASON_BYTES];
    char session_id[SESSION_ID_BYTES];
};

static void
link_post(struct offline_link *l)
{
    if (l->posted)
        return;
    l->posted = true;
    loop_post(l->loop, &l->task);
}

/* The only writer of the state: it only ever goes on. */
static bool
link_enter(struct offline_link *l, enum link_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        LINK_STATES(X)
#undef X
    };

    if (state <= l->state)
        return false;
    LOG(DEBUG, l->session_id, "offline_link %s -> %s", names[l->state],
        names[state]);
    l->state = state;
    link_post(l);
    return true;
}

static void
link_close_with(struct offline_link *l, enum link_state state, uint16_t code,
                const char *reason)
{
    if (!link_enter(l, state))
        return;
    l->close_code = code;
    snprintf(l->close_reason, sizeof(l->close_reason), "%s", reason);
}

/* --- the queue */

static struct link_event *
queue_pop(struct offline_link *l)
{
    struct link_event *event = l->first;

    if (event == NULL)
        return NULL;
    l->first = event->next;
    if (l->first == NULL)
        l->last = &l->first;
    l->queue_bytes -= event->bytes;
    return event;
}

static void
event_free(struct link_event *event)
{
    free(event->json);
    free(event);
}

static void
queue_push(struct offline_link *l, char *json)
{
    struct link_event *event = calloc(1, sizeof(*event));

    if (event == NULL) {
        free(json);
        return;
    }
    event->json = json;
    event->bytes = strlen(json);
    *l->last = event;
    l->last = &event->next;
    l->queue_bytes += event->bytes;
    link_post(l);
}

/* Events are made text here: what they refer to may change at once. */
static void
on_server_event(void *arg, json_t *event)
{
    struct offline_link *l = arg;
    char *json;

    if (l->state == LINK_CLOSING || event == NULL) {
        json_decref(event);
        return;
    }
    json = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(12));
    json_decref(event);
    if (json == NULL) {
        LOG(WARN, l->session_id, "event_lost=1 reason=\"out of memory\"");
        return;
    }
    queue_push(l, json);
    /* A client that asks faster than it reads gets no more memory. */
    if (l->queue_bytes > l->limits.max_queue_bytes)
        link_close_with(l, LINK_CLOSING, CLOSE_TRY_AGAIN,
                        "events are not taken fast enough");
}

static void
link_free(struct offline_link *l)
{
    struct link_event *event;

    while ((event = queue_pop(l)) != NULL)
        event_free(event);
    loop_timer_destroy(&l->expiry);
    offline_server_destroy(&l->server);
    free(l);
}

/* The last thing: tells, with nothing of the link left to touch. */
static void
link_finish(struct offline_link *l)
{
    struct model_link_handlers handlers = l->handlers;
    char reason[REASON_BYTES];
    uint16_t code = l->close_code;
    void *arg = l->arg;

    memcpy(reason, l->close_reason, sizeof(reason));
    link_free(l);
    handlers.on_closed(arg, code, reason);
}

static void
link_deliver(struct offline_link *l)
{
    struct link_event *event;

    for (unsigned n = 0; n < EVENTS_PER_TURN; n++) {
        if (l->paused || l->state == LINK_CLOSING)
            return;
        event = queue_pop(l);
        if (event == NULL)
            break;
        l->handlers.on_event(l->arg, event->json, event->bytes);
        event_free(event);
    }
    if (l->first != NULL)
        link_post(l);
    else if (l->state == LINK_ENDING)
        link_enter(l, LINK_CLOSING);
}

static void
on_task(struct loop_task *task, void *arg)
{
    struct offline_link *l = arg;

    (void) task;
    l->posted = false;
    link_deliver(l);
    if (l->state == LINK_CLOSING) {
        /* Posted again from within: let that one finish it. */
        if (!l->posted)
            link_finish(l);
        return;
    }
    if (l->wants_room && l->queue_bytes < l->limits.max_queue_bytes / 4) {
        l->wants_room = false;
        l->handlers.on_writable(l->arg);
    }
}

/* --- the interface */

static int
offline_send(struct model_link *link, const char *json, size_t bytes)
{
    struct offline_link *l = (struct offline_link *) link;

    if (l->state != LINK_OPEN)
        return UV_EPIPE;
    offline_server_take(l->server, json, bytes);
    if (l->queue_bytes < l->limits.max_queue_bytes / 2)
        return 0;
    l->wants_room = true;
    return UV_EAGAIN;
}

static void
offline_pause(struct model_link *link, bool paused)
{
    struct offline_link *l = (struct offline_link *) link;

    if (l->paused == paused)
        return;
    l->paused = paused;
    if (l->state == LINK_OPEN)
        offline_server_pause(l->server, paused);
    if (!paused)
        link_post(l);
}

static void
offline_close(struct model_link *link)
{
    link_close_with((struct offline_link *) link, LINK_CLOSING, CLOSE_NORMAL,
                    "");
}

static const char *
offline_name(const struct model_link *link)
{
    (void) link;
    return "offline";
}

static const struct model_link_ops offline_ops = {
    .send = offline_send,
    .pause = offline_pause,
    .close = offline_close,
    .name = offline_name,
};

/* --- open */

static void
on_expired(void *arg)
{
    struct offline_link *l = arg;
    struct offline_sink sink = {on_server_event, l};
    struct offline_fault fault;
    char message[96];

    snprintf(message, sizeof(message),
             "Your session hit the maximum duration of %llu minutes.",
             (unsigned long long) ((l->limits.max_session_ms + 59999) / 60000));
    offline_fault_set(&fault, "session_expired", NULL, "%s", message);
    offline_emit_fault(&sink, &fault, NULL);
    offline_server_pause(l->server, true);
    link_close_with(l, LINK_ENDING, CLOSE_GOING_AWAY, message);
}

static void
limits_fill(struct offline_limits *limits)
{
    static const struct offline_limits defaults = {
        .max_append_bytes = 15u << 20,
        .max_input_bytes = 30u << 20,
        .max_conversation_bytes = 32u << 20,
        .max_items = 2000,
        .max_queue_bytes = 8u << 20,
        .max_session_ms = 60u * 60u * 1000u,
    };

    if (limits->max_append_bytes == 0)
        limits->max_append_bytes = defaults.max_append_bytes;
    if (limits->max_input_bytes == 0)
        limits->max_input_bytes = defaults.max_input_bytes;
    if (limits->max_conversation_bytes == 0)
        limits->max_conversation_bytes = defaults.max_conversation_bytes;
    if (limits->max_items == 0)
        limits->max_items = defaults.max_items;
    if (limits->max_queue_bytes == 0)
        limits->max_queue_bytes = defaults.max_queue_bytes;
    if (limits->max_session_ms == 0)
        limits->max_session_ms = defaults.max_session_ms;
}

static int
server_open(struct offline_link *l, const struct offline_link_config *cfg)
{
    uint64_t left_ms = l->limits.max_session_ms;
    struct offline_server_config server = {
        .sink = {on_server_event, l},
        .loop = cfg->link.loop,
        .speech = cfg->speech,
        .session_id = cfg->link.session_id,
        .model = cfg->link.model,
        .expires_at_s = (clock_wall_ms() + (int64_t) left_ms) / 1000,
        .transcription = cfg->transcription,
        .audio_pace = cfg->audio_pace > 0 ? cfg->audio_pace : 8,
        .max_append_bytes = l->limits.max_append_bytes,
        .max_input_bytes = l->limits.max_input_bytes,
        .max_conversation_bytes = l->limits.max_conversation_bytes,
        .max_items = l->limits.max_items,
    };

    return offline_server_create(&l->server, &server);
}

int
offline_link_open(struct model_link **lp, const struct offline_link_config *cfg,
                  const struct model_link_handlers *handlers, void *arg)
{
    struct offline_link *l = calloc(1, sizeof(*l));
    int rc;

    if (l == NULL)
        return UV_ENOMEM;
    l->base.ops = &offline_ops;
    l->loop = cfg->link.loop;
    l->handlers = *handlers;
    l->arg = arg;
    l->last = &l->first;
    l->limits = cfg->limits;
    limits_fill(&l->limits);
    l->task.run = on_task;
    l->task.arg = l;
    snprintf(l->session_id, sizeof(l->session_id), "%s", cfg->link.session_id);
    rc = loop_timer_create(&l->expiry, l->loop, on_expired, l);
    if (rc == 0)
        rc = server_open(l, cfg);
    if (rc != 0) {
        link_free(l);
        return rc;
    }
    loop_timer_start(l->expiry, l->limits.max_session_ms, 0);
    offline_server_greet(l->server);
    *lp = &l->base;
    return 0;
}
