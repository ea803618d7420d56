/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   speech_started ─► item held ─► texts kept ─► committed ─► item added, done
 *                                                          ─► delta so far
 *   text so far ─► begins with what was told? ─► the rest as a delta
 *   final text  ─► completed, once
 */

#include "codec/dialect_xai_speech.h"

#include "codec/dialect_told.h"

#include <string.h>
#include <uv.h>

#define HEARD "conversation.item.input_audio_transcription."

static struct dialect_note *
note_of(struct dialect_event *e, bool make)
{
    return dialect_memory_note(e->memory, json_object_get(e->tree, "item_id"),
                               make);
}

int
dialect_xai_started(struct dialect_event *e)
{
    struct dialect_note *note = note_of(e, true);
    const json_t *start = json_object_get(e->tree, "audio_start_ms");

    e->memory->interrupted = true;
    if (note && json_is_integer(start))
        note->start_ms = json_integer_value(start);
    json_object_del(e->tree, "previous_item_id");
    return DIALECT_PASS;
}

int
dialect_xai_stopped(struct dialect_event *e)
{
    struct dialect_note *note = note_of(e, true);
    const json_t *end = json_object_get(e->tree, "audio_end_ms");

    if (note && json_is_integer(end))
        note->end_ms = json_integer_value(end);
    json_object_del(e->tree, "previous_item_id");
    return DIALECT_PASS;
}

/* --- the item */

/* An event of the speech's item. */
static json_t *
speech_event(struct dialect_event *e, const struct dialect_note *note,
             const char *type)
{
    json_t *event = dialect_event_make(e, type);

    if (event
        && (json_object_set_new(event, "item_id", json_string(note->id))
            || json_object_set_new(event, "content_index", json_integer(0)))) {
        json_decref(event);
        return NULL;
    }
    return event;
}

/* GA's item holds no audio and, at this time, no transcript. */
static int
item_emit(struct dialect_event *e, struct dialect_note *note,
          const char *previous)
{
    json_t *added = dialect_event_make(e, "conversation.item.added");
    json_t *item =
        json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:n}]}", "id", note->id,
                  "type", "message", "status", "completed", "role", "user",
                  "content", "type", "input_audio", "transcript");

    note->held = false;
    if (!added || json_object_set_new(added, "item", item)
        || json_object_set_new(added, "previous_item_id",
                               previous[0] ? json_string(previous)
                                           : json_null())) {
        json_decref(added);
        return UV_ENOMEM;
    }
    int result = dialect_told_added(e, added);
    json_decref(added);
    return result < 0 ? result : 0;
}

int
dialect_xai_hold(struct dialect_event *e, json_t *item)
{
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, true);

    if (!note || note->added)
        return note ? DIALECT_DROP : DIALECT_PASS;
    if (!note->committed) {
        note->held = true;
        return DIALECT_DROP;
    }
    if (json_object_set_new(item, "status", json_string("completed")))
        return UV_ENOMEM;
    return dialect_told_added(e, e->tree);
}

/* --- what was understood */

static int
delta_emit(struct dialect_event *e, struct dialect_note *note)
{
    const char *rest = note->text ? note->text + note->told_bytes : "";
    json_t *delta;

    if (!rest[0])
        return 0;
    delta = speech_event(e, note, HEARD "delta");
    note->told_bytes += strlen(rest);
    if (delta && json_object_set_new(delta, "delta", json_string(rest))) {
        json_decref(delta);
        return UV_ENOMEM;
    }
    return dialect_event_emit_new(e, delta);
}

/* xAI counts no tokens here; the length of the speech is known. */
static json_t *
speech_usage(const struct dialect_note *note)
{
    double seconds = 0;

    if (note->start_ms >= 0 && note->end_ms > note->start_ms)
        seconds = (double) (note->end_ms - note->start_ms) / 1000;
    return json_pack("{s:s, s:f}", "type", "duration", "seconds", seconds);
}

static int
completed_emit(struct dialect_event *e, struct dialect_note *note)
{
    json_t *completed = speech_event(e, note, HEARD "completed");
    const char *text = dialect_string(e->tree, "transcript");

    if (!text)
        text = note->text ? note->text : "";
    note->told = true;
    if (completed
        && (json_object_set_new(completed, "transcript", json_string(text))
            || json_object_set_new(completed, "usage", speech_usage(note)))) {
        json_decref(completed);
        return UV_ENOMEM;
    }
    return dialect_event_emit_new(e, completed);
}

/* What may be told now: nothing before the commit. */
static int
heard_tell(struct dialect_event *e, struct dialect_note *note)
{
    if (!note->committed)
        return 0;
    if (delta_emit(e, note))
        return UV_ENOMEM;
    return note->heard ? completed_emit(e, note) : 0;
}

/* A text that takes back what was told gives no delta; the final one stands
 * in `completed` alone then. */
static void
heard_keep(struct dialect_note *note, const char *text)
{
    bool goes_on =
        note->told_bytes == 0
        || (note->text && strncmp(note->text, text, note->told_bytes) == 0);

    if (!goes_on && !note->heard)
        return;
    dialect_note_text(note, text);
    if (!goes_on || !note->text)
        note->told_bytes = note->text ? strlen(note->text) : 0;
}

int
dialect_xai_heard(struct dialect_event *e)
{
    bool updated = dialect_string_is(e->tree, "type", HEARD "updated");
    const char *text = dialect_string(e->tree, "transcript");
    struct dialect_note *note = note_of(e, false);

    if (!note) {
        note = note_of(e, true);
        if (!note)
            return DIALECT_DROP;
        note->committed = true; /* long ago */
    }
    if (note->told)
        return DIALECT_DROP;
    if (!updated && !dialect_string_is(e->tree, "status", "in_progress"))
        note->heard = true;
    if (text)
        heard_keep(note, text);
    int result = heard_tell(e, note);
    return result ? result : DIALECT_DROP;
}

int
dialect_xai_committed(struct dialect_event *e)
{
    struct dialect_note *note = note_of(e, true);
    char previous[DIALECT_ID_BYTES];

    memcpy(previous, e->memory->last_item, sizeof(previous));
    if (dialect_event_identify(e)
        || json_object_set_new(e->tree, "previous_item_id",
                               previous[0] ? json_string(previous)
                                           : json_null())
        || dialect_event_emit(e, e->tree))
        return UV_ENOMEM;
    if (!note || note->committed)
        return DIALECT_DROP;
    note->committed = true;
    if (note->held && item_emit(e, note, previous))
        return UV_ENOMEM;
    int result = heard_tell(e, note);
    return result ? result : DIALECT_DROP;
}
