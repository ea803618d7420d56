/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_told.h"

#include <string.h>
#include <uv.h>

/* An answer of a function has no status; what a client wrote may have none. */
static bool
is_whole(const json_t *item)
{
    const char *status = dialect_string(item, "status");

    if (dialect_string_is(item, "type", "function_call_output"))
        return true;
    if (status)
        return strcmp(status, "in_progress") != 0;
    return dialect_string_is(item, "role", "user")
           || dialect_string_is(item, "role", "system");
}

static json_t *
previous_of(const struct dialect_note *note)
{
    return note && note->previous[0] ? json_string(note->previous)
                                     : json_null();
}

static int
done_emit(struct dialect_event *e, struct dialect_note *note, json_t *item)
{
    json_t *done = dialect_event_make(e, "conversation.item.done");

    if (note)
        note->done = true;
    if (done
        && (json_object_set_new(done, "previous_item_id", previous_of(note))
            || json_object_set(done, "item", item))) {
        json_decref(done);
        return UV_ENOMEM;
    }
    return dialect_event_emit_new(e, done);
}

int
dialect_told_added(struct dialect_event *e, json_t *added)
{
    json_t *item = json_object_get(added, "item");
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, true);

    if (note && note->added)
        return DIALECT_DROP;
    if (note) {
        note->added = true;
        dialect_memory_set(note->previous,
                           json_object_get(added, "previous_item_id"));
        memcpy(e->memory->last_item, note->id, sizeof(note->id));
    }
    if (dialect_event_identify(e)
        || json_object_set_new(added, "previous_item_id", previous_of(note))
        || dialect_event_emit(e, added))
        return UV_ENOMEM;
    if (is_whole(item) && done_emit(e, note, item))
        return UV_ENOMEM;
    return DIALECT_DROP;
}

int
dialect_told_done(struct dialect_event *e, json_t *item)
{
    const json_t *id = json_object_get(item, "id");
    struct dialect_note *note = dialect_memory_note(e->memory, id, false);

    if (!note || !note->added || note->done)
        return 0;
    return done_emit(e, note, item);
}
