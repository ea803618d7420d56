/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   push ─► audio, or events ─► the oldest over the cap go
 *   find ─► replay: both queues, merged by number
 */

#include "session/session_tail.h"

#include "codec/realtime_event.h"
#include "gate/stream_link.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct session_tail_entry {
    struct session_tail_entry *next;
    uint64_t number;
    uint64_t at_ms;
    size_t bytes;
    uint8_t opcode;
    bool passing;
    char data[];
};

static void
queue_init(struct session_tail_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->bytes = 0;
}

void
session_tail_init(struct session_tail *tail, unsigned keep_ms)
{
    memset(tail, 0, sizeof(*tail));
    tail->keep_ms = keep_ms;
    queue_init(&tail->events);
    queue_init(&tail->audio);
}

/* The number of the one that went. */
static uint64_t
queue_drop(struct session_tail_queue *queue)
{
    struct session_tail_entry *entry = queue->first;
    uint64_t number = entry->number;

    queue->first = entry->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->bytes -= entry->bytes;
    free(entry);
    return number;
}

void
session_tail_deinit(struct session_tail *tail)
{
    while (tail->events.first)
        queue_drop(&tail->events);
    while (tail->audio.first)
        queue_drop(&tail->audio);
}

/* Binary messages are audio; so is one event among the texts. */
static bool
may_be_lost(const struct session_tail_message *message)
{
    return message->passing || message->opcode == STREAM_BINARY
           || realtime_type_of(message->data, message->bytes)
                  == REALTIME_OUTPUT_AUDIO_DELTA;
}

/* The oldest one is not needed: one that is old itself came after it. */
static bool
is_past(const struct session_tail_queue *queue, uint64_t now_ms,
        unsigned keep_ms)
{
    const struct session_tail_entry *next =
        queue->first ? queue->first->next : NULL;

    return next && now_ms > next->at_ms && now_ms - next->at_ms > keep_ms;
}

static void
queue_push(struct session_tail_queue *queue, struct session_tail_entry *entry)
{
    *queue->last = entry;
    queue->last = &entry->next;
    queue->bytes += entry->bytes;
}

int
session_tail_push(struct session_tail *tail,
                  const struct session_tail_message *message)
{
    struct session_tail_entry *entry = malloc(sizeof(*entry) + message->bytes);
    uint64_t number = tail->count++;

    if (!entry) {
        tail->gap = tail->count;
        return UV_ENOMEM;
    }
    entry->next = NULL;
    entry->number = number;
    entry->bytes = message->bytes;
    entry->at_ms = message->at_ms;
    entry->opcode = message->opcode;
    entry->passing = message->passing;
    memcpy(entry->data, message->data, message->bytes);
    if (may_be_lost(message)) {
        queue_push(&tail->audio, entry);
        while (tail->audio.bytes > SESSION_TAIL_AUDIO_BYTES
               || is_past(&tail->audio, message->at_ms, tail->keep_ms))
            queue_drop(&tail->audio);
    } else {
        queue_push(&tail->events, entry);
        while (tail->events.bytes > SESSION_TAIL_EVENT_BYTES
               || is_past(&tail->events, message->at_ms, tail->keep_ms))
            tail->gap = queue_drop(&tail->events) + 1;
    }
    return 0;
}

void
session_tail_set_mark(struct session_tail *tail)
{
    tail->mark = tail->count;
}

static bool
queue_find(const struct session_tail_queue *queue, const char *event_id,
           uint64_t *number)
{
    struct realtime_peek peek;

    for (const struct session_tail_entry *e = queue->first; e; e = e->next) {
        if (e->opcode == STREAM_TEXT
            && realtime_peek(e->data, e->bytes, &peek) == REALTIME_SOUND
            && realtime_span_equals(peek.value[REALTIME_KEY_EVENT_ID],
                                    event_id)) {
            *number = e->number;
            return true;
        }
    }
    return false;
}

int
session_tail_find(const struct session_tail *tail, const char *event_id,
                  uint64_t *from)
{
    if (!event_id[0]) {
        *from = tail->mark;
    } else if (queue_find(&tail->events, event_id, from)
               || queue_find(&tail->audio, event_id, from)) {
        *from += 1;
    } else {
        return UV_ENOENT;
    }
    return *from >= tail->gap ? 0 : UV_ENOENT;
}

static const struct session_tail_entry *
skip_to(const struct session_tail_queue *queue, uint64_t from)
{
    const struct session_tail_entry *entry = queue->first;

    while (entry && entry->number < from)
        entry = entry->next;
    return entry;
}

void
session_tail_replay(const struct session_tail *tail, uint64_t from,
                    session_tail_h *handler, void *arg)
{
    const struct session_tail_entry *event = skip_to(&tail->events, from);
    const struct session_tail_entry *audio = skip_to(&tail->audio, from);

    while (event || audio) {
        bool first = !audio || (event && event->number < audio->number);
        const struct session_tail_entry **at = first ? &event : &audio;
        const struct session_tail_message message = {
            .opcode = (*at)->opcode,
            .data = (*at)->data,
            .bytes = (*at)->bytes,
        };

        bool passing = (*at)->passing;

        *at = (*at)->next;
        if (!passing)
            handler(arg, &message);
    }
}
