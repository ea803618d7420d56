/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   client ─► peek ─► size ─► waiting (model not ready, or behind others)
 *               │       │        │
 *               │       │        └─► policy ─► tools ─► filters ─► model_link
 *               └───────┴────────────────┴──────────┴─► error event ─► client
 *   model full, or much waiting ─► client paused
 */

#include "session/session_up.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/client_filter.h"
#include "session/session_filtered.h"

#include <stdlib.h>
#include <string.h>

struct session_up_message {
    struct session_up_message *next;
    size_t bytes;
    enum stream_opcode opcode;
    char text[];
};

static atomic_size_t waiting_all;

void
session_up_init(struct session_up *up)
{
    up->phase = UP_WAITING;
    up->last = &up->first;
}

static void
fail(struct session_up *up, enum session_end_reason reason, const char *text)
{
    up->handlers->on_fail(up->arg, reason, text);
}

static void
pause_settle(struct session_up *up)
{
    if (up->phase != UP_CLOSED)
        session_client_pause(up->client,
                             up->model_full
                                 || up->waiting_bytes > SESSION_UP_WAIT_HIGH);
}

/* --- messages that wait */

static void
waiting_count(struct session_up *up, size_t bytes, bool in)
{
    if (in) {
        up->waiting_bytes += bytes;
        atomic_fetch_add(&waiting_all, bytes);
    } else {
        up->waiting_bytes -= bytes;
        atomic_fetch_sub(&waiting_all, bytes);
    }
}

bool
session_up_is_empty(const struct session_up *up)
{
    return up->first == NULL && !up->model_full;
}

size_t
session_up_waiting_all(void)
{
    return atomic_load(&waiting_all);
}

static void
waiting_push(struct session_up *up, enum stream_opcode opcode, const char *text,
             size_t bytes)
{
    struct session_up_message *message = NULL;
    size_t all = atomic_load(&waiting_all);

    if (all <= SESSION_UP_WAIT_ALL && bytes <= SESSION_UP_WAIT_ALL - all)
        message = malloc(sizeof(*message) + bytes + 1);
    if (!message) {
        fail(up, END_OVERLOADED, "too much waits for the model");
        return;
    }
    message->next = NULL;
    message->bytes = bytes;
    message->opcode = opcode;
    memcpy(message->text, text, bytes);
    message->text[bytes] = 0;
    *up->last = message;
    up->last = &message->next;
    waiting_count(up, bytes + sizeof(*message), true);
    pause_settle(up);
}

/* Gives the first one, or NULL. */
static struct session_up_message *
waiting_pop(struct session_up *up)
{
    struct session_up_message *message = up->first;

    if (!message)
        return NULL;
    up->first = message->next;
    if (!up->first)
        up->last = &up->first;
    waiting_count(up, message->bytes + sizeof(*message), false);
    return message;
}

/* --- to the model */

static void
model_send(struct session_up *up, const char *text, size_t bytes)
{
    int result = model_link_send(up->link, text, bytes);

    /* UV_EPIPE: closed, its handler is on its way. */
    if (result == UV_EAGAIN) {
        up->model_full = true;
        pause_settle(up);
    } else if (result && result != UV_EPIPE) {
        fail(up, END_UPSTREAM_LOST, "the model took no event");
    }
}

/* The creates that waited behind a response go with it; who gave one an
 * event_id awaits a word about it. */
static void
creates_drop(struct session_up *up)
{
    char *id;

    while (session_filters_drop(&up->down->filters, &id)) {
        struct realtime_error error = session_filters_active;
        error.event_id.text = id;
        error.event_id.bytes = id ? strlen(id) : 0;
        if (id)
            session_down_error(up->down, &error);
        free(id);
    }
}

/* What the policy lets through and is the client's to say of tools. */
static void
filters_pass(struct session_up *up, const struct realtime_peek *peek,
             const char *text, size_t bytes)
{
    const struct realtime_span span = {text, bytes};
    struct session_filters_out out;

    switch (session_filters_up(&up->down->filters, peek, span, clock_now_ms(),
                               &out)) {
    case FILTERS_SEND:
        session_levels_up(&up->down->levels, peek);
        model_send(up, out.text.text, out.text.bytes);
        break;
    case FILTERS_ANSWER:
        session_down_answer(up->down, out.answer);
        break;
    case FILTERS_REFUSE:
        session_down_error(up->down, &out.error);
        break;
    default:
        break;
    }
    if (out.drops)
        creates_drop(up);
}

static void
event_filter(struct session_up *up, const struct realtime_peek *peek,
             const char *text, size_t bytes)
{
    const struct realtime_span span = {text, bytes};
    const struct realtime_error error = {
        .code = "invalid_value",
        .message = "The call is not one that a client answers.",
        .param = "item.call_id",
        .event_id = peek->value[REALTIME_KEY_EVENT_ID],
    };
    char *made = NULL;

    switch (session_down_tools(up->down, peek, span, &made)) {
    case SESSION_TOOL_SEND:
        filters_pass(up, peek, text, bytes);
        break;
    case SESSION_TOOL_CHANGED:
        filters_pass(up, peek, made, strlen(made));
        free(made);
        break;
    case SESSION_TOOL_REFUSE:
        session_down_error(up->down, &error);
        break;
    default:
        fail(up, END_OVERLOADED, "no memory");
    }
}

static void
policy_pass(struct session_up *up, const struct realtime_peek *peek,
            const char *text, size_t bytes)
{
    struct client_filter filter = {.policy = up->policy,
                                   .model = up->model,
                                   .turns = &up->down->filters.turns};
    int result = client_filter_apply(&filter, peek, text, bytes);

    if (result == UV_ENOMEM) {
        fail(up, END_OVERLOADED, "no memory");
    } else if (result) {
        session_filtered(result == UV_EACCES ? FILTERED_POLICY
                                             : FILTERED_INVALID);
        session_down_error(up->down, &filter.error);
    } else {
        event_filter(up, peek, filter.text, filter.bytes);
        free(filter.text);
    }
}

static void
event_refuse(struct session_up *up, const struct realtime_peek *peek,
             const char *code, const char *message)
{
    struct realtime_error error = {
        .code = code,
        .message = message,
        .event_id = peek->value[REALTIME_KEY_EVENT_ID],
    };

    session_down_error(up->down, &error);
}

static void
binary_refuse(struct session_up *up)
{
    const struct realtime_error error = {
        .code = "invalid_event",
        .message = "Binary messages have no meaning here: events are text.",
    };

    session_down_error(up->down, &error);
}

static void
event_pass(struct session_up *up, const struct realtime_peek *peek,
           const char *text, size_t bytes)
{
    session_down_note_event(up->down, peek);
    session_usage_up(&up->down->usage, peek, bytes);
    if (client_filter_is_needed(up->policy, peek))
        policy_pass(up, peek, text, bytes);
    else
        event_filter(up, peek, text, bytes);
}

/* Peeks, and answers or hands over. */
static void
message_pass(struct session_up *up, enum stream_opcode opcode, const char *text,
             size_t bytes)
{
    struct realtime_peek peek;

    if (opcode != STREAM_TEXT) {
        binary_refuse(up);
        return;
    }
    enum realtime_defect defect = realtime_peek(text, bytes, &peek);
    if (defect)
        event_refuse(up, &peek, "invalid_event", realtime_defect_text(defect));
    else if (bytes > SESSION_UP_EVENT_MAX && peek.type != REALTIME_AUDIO_APPEND)
        event_refuse(up, &peek, "event_too_large",
                     "An event without audio may have 1 MiB.");
    else
        event_pass(up, &peek, text, bytes);
}

void
session_up_message(struct session_up *up, enum stream_opcode opcode,
                   const void *data, size_t bytes)
{
    if (up->phase == UP_CLOSED)
        return;
    atomic_fetch_add_explicit(&up->entry->figures->up_messages, 1,
                              memory_order_relaxed);
    if (up->phase == UP_WAITING || up->first || up->model_full) {
        waiting_push(up, opcode, data, bytes);
        return;
    }
    uint64_t from_us = clock_now_us();
    message_pass(up, opcode, data, bytes);
    session_down_note_up(up->down, clock_now_us() - from_us);
}

/* What waited, as far as the model takes it. */
static void
waiting_flush(struct session_up *up)
{
    struct session_up_message *message;

    while (up->phase == UP_OPEN && !up->model_full
           && (message = waiting_pop(up)) != NULL) {
        message_pass(up, message->opcode, message->text, message->bytes);
        free(message);
    }
    pause_settle(up);
}

void
session_up_open(struct session_up *up)
{
    if (up->phase != UP_WAITING)
        return;
    up->phase = UP_OPEN;
    waiting_flush(up);
}

void
session_up_writable(struct session_up *up)
{
    up->model_full = false;
    if (up->phase == UP_OPEN)
        waiting_flush(up);
    session_down_resume(up->down);
}

void
session_up_close(struct session_up *up)
{
    struct session_up_message *message;

    up->phase = UP_CLOSED;
    while ((message = waiting_pop(up)) != NULL)
        free(message);
}
