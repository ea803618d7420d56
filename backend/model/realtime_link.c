/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   send ─► waiting ─┐ (until open)
 *     └──────────────┴─► wire ─► upstream
 *   on_event ◄─ (session.created first) ◄─ wire ◄─ upstream
 */

#include "model/realtime_link.h"

#include "base/log.h"
#include "codec/ws_frame.h"
#include "model/realtime_opening.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REASON_BYTES 128

/* X(state, name): it only ever goes on. */
#define LINK_STATES(X)                                                         \
    X(LINK_OPENING, "opening") /* has an opening */                            \
    X(LINK_OPEN, "open")       /* has a wire */                                \
    X(LINK_CLOSING, "closing") /* awaits the wire's end, if it has one */      \
    X(LINK_ENDED, "ended")     /* on_closed is due */

enum link_state {
#define X(state, name) state,
    LINK_STATES(X)
#undef X
};

struct waiting {
    struct waiting *next;
    size_t bytes;
    char json[];
};

struct realtime_link {
    struct model_link base; /* first: the interface */
    enum link_state state;
    struct loop *loop;
    struct model_link_handlers handlers;
    void *arg;
    struct realtime_opening *opening;
    struct realtime_wire *wire;
    struct upstream *upstream; /* of the wire */

    struct waiting *first, **last; /* not sent before it is open */
    size_t waiting_bytes;
    bool wants_room; /* a send said UV_EAGAIN */
    bool paused;

    struct loop_task task; /* what may not be told from inside a call */
    bool posted;
    bool room_due;
    bool created_due; /* to the new owner */
    bool keep_created;
    char *created; /* kept */

    uint16_t close_code;
    char close_reason[REASON_BYTES];
    char *id;
};

static void
link_post(struct realtime_link *l)
{
    if (l->posted)
        return;
    l->posted = true;
    loop_post(l->loop, &l->task);
}

/* The only writer of the state. */
static void
link_enter(struct realtime_link *l, enum link_state state)
{
    static const char *const names[] = {
#define X(id, name) name,
        LINK_STATES(X)
#undef X
    };

    LOG(DEBUG, l->id, "realtime_link %s -> %s", names[l->state], names[state]);
    l->state = state;
}

/* --- the end */

static void
waiting_free(struct realtime_link *l)
{
    struct waiting *text;

    while ((text = l->first) != NULL) {
        l->first = text->next;
        free(text);
    }
    l->last = &l->first;
    l->waiting_bytes = 0;
}

static void
link_free(struct realtime_link *l)
{
    waiting_free(l);
    free(l->created);
    free(l->id);
    free(l);
}

/* Tells, with nothing of the link left to touch. */
static void
link_finish(struct realtime_link *l)
{
    struct model_link_handlers handlers = l->handlers;
    char reason[REASON_BYTES];
    uint16_t code = l->close_code;
    void *arg = l->arg;

    memcpy(reason, l->close_reason, sizeof(reason));
    link_free(l);
    handlers.on_closed(arg, code, reason);
}

/* Opening and wire are gone. From a last callback or from our task. */
static void
link_end(struct realtime_link *l)
{
    if (l->state != LINK_ENDED)
        link_enter(l, LINK_ENDED);
    if (!l->posted) /* else the task finishes */
        link_finish(l);
}

static void
close_set(struct realtime_link *l, uint16_t code, const char *reason)
{
    l->close_code = code;
    snprintf(l->close_reason, sizeof(l->close_reason), "%s", reason);
}

static void
link_close(struct realtime_link *l, uint16_t code, const char *reason)
{
    if (l->state >= LINK_CLOSING)
        return;
    close_set(l, code, reason);
    link_enter(l, LINK_CLOSING);
    waiting_free(l);
    if (l->opening)
        realtime_opening_cancel(&l->opening);
    if (l->wire)
        realtime_wire_close(l->wire, WS_CLOSE_NORMAL);
    else
        link_post(l);
}

static int
too_much(struct realtime_link *l)
{
    link_close(l, WS_CLOSE_TRY_LATER, "the model takes too little");
    return UV_EPIPE;
}

/* --- what the wire reports */

/* The kept session.created, before anything else. */
static void
created_tell(struct realtime_link *l)
{
    char *created = l->created;

    l->created_due = false;
    l->created = NULL;
    if (created)
        l->handlers.on_event(l->arg, created, strlen(created));
    free(created);
}

static void
on_wire_open(void *arg)
{
    (void) arg; /* it was when it was given */
}

static void
on_wire_text(void *arg, const char *json, size_t bytes)
{
    struct realtime_link *l = arg;

    if (l->state == LINK_OPEN && l->created_due)
        created_tell(l);
    if (l->state == LINK_OPEN)
        l->handlers.on_event(l->arg, json, bytes);
}

static void
on_wire_writable(void *arg)
{
    struct realtime_link *l = arg;

    if (l->state != LINK_OPEN || !l->wants_room)
        return;
    l->wants_room = false;
    l->handlers.on_writable(l->arg);
}

/* What the upstream said is passed on; what we found wrong with it is not
 * the client's fault. */
static void
lost_set(struct realtime_link *l, const struct realtime_end *end)
{
    LOG(INFO, l->id, "event=upstream_closed upstream=%s code=%u why=\"%s\"",
        upstream_name(l->upstream), end->code, realtime_end_text(end));
    if (end->fault == WS_FAULT_FRAME)
        close_set(l, WS_CLOSE_INTERNAL, "the model sent what can't be read");
    else if (end->fault != WS_FAULT_NONE || end->code == WS_CLOSE_LOST)
        close_set(l, WS_CLOSE_LOST, "the model is gone");
    else if (end->code == WS_CLOSE_NOT_GIVEN)
        close_set(l, WS_CLOSE_NORMAL, "");
    else if (upstream_key_is_in(l->upstream, end->reason))
        close_set(l, end->code, "");
    else
        close_set(l, end->code, end->reason);
}

static void
on_wire_closed(void *arg, const struct realtime_end *end)
{
    struct realtime_link *l = arg;

    l->wire = NULL;
    if (l->state == LINK_OPEN)
        lost_set(l, end);
    link_end(l);
}

static const struct realtime_wire_handlers wire_handlers = {
    .on_open = on_wire_open,
    .on_text = on_wire_text,
    .on_writable = on_wire_writable,
    .on_closed = on_wire_closed,
};

/* --- what the opening reports */

static void
waiting_flush(struct realtime_link *l)
{
    struct waiting *text;
    int result = 0;

    while ((text = l->first) != NULL && !result) {
        result = realtime_wire_send(l->wire, text->json, text->bytes);
        l->first = text->next;
        free(text);
    }
    waiting_free(l);
    if (result) {
        too_much(l);
    } else if (l->wants_room && realtime_wire_queued_bytes(l->wire) == 0) {
        l->room_due = true;
        link_post(l);
    }
}

static void
on_opened(void *arg, struct realtime_wire **wire, const char *json,
          size_t bytes)
{
    struct realtime_link *l = arg;

    l->opening = NULL;
    l->wire = *wire;
    l->upstream = realtime_wire_upstream(l->wire);
    realtime_wire_adopt(l->wire, &wire_handlers, l);
    link_enter(l, LINK_OPEN);
    waiting_flush(l);
    if (l->state != LINK_OPEN)
        return;
    if (l->paused)
        realtime_wire_pause(l->wire, true);
    if (l->keep_created)
        l->created = strndup(json, bytes);
    l->handlers.on_event(l->arg, json, bytes);
}

/* A close by the handler changes nothing any more. */
static void
on_failed(void *arg, const struct realtime_fault *fault)
{
    struct realtime_link *l = arg;
    char json[REALTIME_ERROR_BYTES];
    size_t bytes = realtime_fault_write(fault, json);

    l->opening = NULL;
    close_set(l, fault->close_code, fault->close_reason);
    link_enter(l, LINK_ENDED);
    l->handlers.on_event(l->arg, json, bytes);
    link_end(l);
}

static const struct realtime_opening_handlers opening_handlers = {on_opened,
                                                                  on_failed};

/* --- what was put off */

static void
on_task(struct loop_task *task, void *arg)
{
    struct realtime_link *l = arg;

    (void) task;
    l->posted = false;
    if (l->state == LINK_OPEN && l->created_due)
        created_tell(l);
    if (l->state == LINK_OPEN && l->room_due) {
        l->room_due = l->wants_room = false;
        l->handlers.on_writable(l->arg);
    }
    if ((l->state == LINK_CLOSING && !l->wire) || l->state == LINK_ENDED)
        link_end(l);
}

/* --- the interface */

static struct realtime_link *
link_of(struct model_link *link)
{
    return (struct realtime_link *) link;
}

static int
waiting_push(struct realtime_link *l, const char *json, size_t bytes)
{
    struct waiting *text = NULL;

    if (bytes <= REALTIME_LINK_MAX - l->waiting_bytes)
        text = malloc(sizeof(*text) + bytes);
    if (!text)
        return UV_ENOBUFS;
    text->next = NULL;
    text->bytes = bytes;
    memcpy(text->json, json, bytes);
    *l->last = text;
    l->last = &text->next;
    l->waiting_bytes += bytes;
    return 0;
}

static int
realtime_send(struct model_link *link, const char *json, size_t bytes)
{
    struct realtime_link *l = link_of(link);
    bool open = l->state == LINK_OPEN;

    if (l->state > LINK_OPEN)
        return UV_EPIPE;
    int result = open ? realtime_wire_send(l->wire, json, bytes)
                      : waiting_push(l, json, bytes);
    if (result == UV_ENOTCONN) /* its end is on its way */
        return UV_EPIPE;
    if (result)
        return too_much(l);
    if ((open ? realtime_wire_queued_bytes(l->wire) : l->waiting_bytes)
        <= REALTIME_LINK_HIGH)
        return 0;
    l->wants_room = true;
    return UV_EAGAIN;
}

static void
realtime_pause(struct model_link *link, bool paused)
{
    struct realtime_link *l = link_of(link);

    if (l->paused == paused)
        return;
    l->paused = paused;
    if (l->state == LINK_OPEN)
        realtime_wire_pause(l->wire, paused);
}

static void
realtime_close(struct model_link *link)
{
    link_close(link_of(link), WS_CLOSE_NORMAL, "");
}

static const char *
realtime_name(const struct model_link *link)
{
    const struct realtime_link *l = (const struct realtime_link *) link;

    const struct upstream *u =
        l->opening ? realtime_opening_upstream(l->opening) : l->upstream;

    return u ? upstream_name(u) : "remote";
}

static void
realtime_adopt(struct model_link *link,
               const struct model_link_handlers *handlers, void *arg)
{
    struct realtime_link *l = link_of(link);

    l->handlers = *handlers;
    l->arg = arg;
    l->wants_room = l->room_due = false;
    realtime_pause(link, false);
    if (l->created) {
        l->created_due = true;
        link_post(l);
    }
}

static const struct model_link_ops realtime_ops = {
    .send = realtime_send,
    .pause = realtime_pause,
    .close = realtime_close,
    .name = realtime_name,
    .adopt = realtime_adopt,
};

/* --- open */

int
realtime_link_open(struct model_link **lp,
                   const struct realtime_link_config *cfg,
                   const struct model_link_handlers *handlers, void *arg)
{
    struct realtime_link *l = calloc(1, sizeof(*l));
    const char *id = cfg->link.session_id;

    if (!l)
        return UV_ENOMEM;
    l->base.ops = &realtime_ops;
    l->loop = cfg->link.loop;
    l->handlers = *handlers;
    l->arg = arg;
    l->last = &l->first;
    l->keep_created = cfg->keep_created;
    l->task.run = on_task;
    l->task.arg = l;
    l->id = strdup(id ? id : "warm");
    int result = l->id
                     ? realtime_opening_start(&l->opening, cfg->upstreams,
                                              &cfg->link, &opening_handlers, l)
                     : UV_ENOMEM;
    if (result)
        link_free(l);
    else
        *lp = &l->base;
    return result;
}
