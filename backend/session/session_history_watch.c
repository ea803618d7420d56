/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model ─► audio deltas: counted by their head alone
 *       └──► others known here: parsed ─► items, responses, settings
 */

#include "session/session_history_watch.h"

#include "session/session_history.h"
#include "session/session_history_audio.h"

#include <stdio.h>
#include <string.h>

typedef bool watch_h(struct session_history *h, const json_t *event);

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

static uint64_t
index_of(const json_t *event, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(event, key));

    return value < 0 ? UINT64_MAX : (uint64_t) value;
}

static struct history_item *
item_of(const struct session_history *h, const json_t *event)
{
    const char *id = text_of(event, "item_id");

    return id[0] ? history_items_find(&h->items, id) : NULL;
}

/* --- settings and turns */

static bool
on_session(struct session_history *h, const json_t *event)
{
    history_settings_shown(&h->settings, json_object_get(event, "session"));
    session_microphone_set(&h->microphone, h->settings.in_bytes_per_ms,
                           h->settings.by_hand);
    if (strcmp(text_of(event, "type"), "session.updated") == 0)
        history_owed_free(
            history_owed_answer(&h->owed, REALTIME_SESSION_UPDATE, NULL));
    return true;
}

static bool
on_speech_started(struct session_history *h, const json_t *event)
{
    (void) event;
    h->speech = true;
    session_microphone_speech_started(&h->microphone);
    return true;
}

static bool
on_cleared(struct session_history *h, const json_t *event)
{
    (void) event;
    h->speech = false;
    history_owed_free(
        history_owed_answer(&h->owed, REALTIME_AUDIO_CLEAR, NULL));
    return true;
}

static struct history_item *
item_new(struct session_history *h, const char *id, const char *previous)
{
    struct history_item *item = history_item_create(id);
    struct history_item *after = NULL;

    if (!item) {
        h->items.dropped++;
        return NULL;
    }
    if (strcmp(previous, "root") != 0) {
        after = previous[0] ? history_items_find(&h->items, previous) : NULL;
        if (!after)
            after = h->items.last;
    }
    history_items_insert(&h->items, item, after);
    return item;
}

/* The item's own events may never come. */
static bool
on_committed(struct session_history *h, const json_t *event)
{
    struct history_owed *commit =
        history_owed_answer(&h->owed, REALTIME_AUDIO_COMMIT, NULL);
    const char *id = text_of(event, "item_id");
    struct history_item *item = history_items_find(&h->items, id);

    h->speech = false;
    h->turn_waits = !commit && h->settings.auto_answers;
    history_owed_free(commit);
    session_microphone_committed(&h->microphone, id);
    snprintf(h->turn_id, sizeof(h->turn_id), "%s", id);
    if (!item)
        item = item_new(h, id, text_of(event, "previous_item_id"));
    if (!item)
        return true;
    item->role = HISTORY_USER;
    history_item_part(item, 0, HISTORY_AUDIO);
    history_items_list(&h->items, item);
    history_items_count(&h->items, item);
    return true;
}

/* --- items */

static struct history_item *
item_added(struct session_history *h, const json_t *event, const json_t *json)
{
    bool whole = strcmp(text_of(json, "status"), "in_progress") != 0;
    struct history_owed *create =
        whole ? history_owed_create(&h->owed, json) : NULL;
    const char *previous = create && create->previous
                               ? create->previous
                               : text_of(event, "previous_item_id");
    struct history_item *item = item_new(h, text_of(json, "id"), previous);

    if (item && create)
        history_item_read(item, create->item); /* more than the echo has */
    if (item && whole)
        item->arguments_done = true;
    history_owed_free(create);
    return item;
}

/* A response's item gets its place; one of a turn has it. */
static void
item_place(struct session_history *h, struct history_item *item,
           const json_t *event)
{
    const char *previous = text_of(event, "previous_item_id");
    struct history_item *after =
        previous[0] ? history_items_find(&h->items, previous) : NULL;

    if (after && item->response)
        history_items_move(&h->items, item, after);
}

static bool
on_item_added(struct session_history *h, const json_t *event)
{
    const json_t *json = json_object_get(event, "item");
    struct history_item *item =
        history_items_find(&h->items, text_of(json, "id"));

    if (item && item->replayed)
        return false;
    if (item)
        item_place(h, item, event);
    else
        item = item_added(h, event, json);
    if (!item)
        return true;
    history_item_read(item, json);
    item->told_added = true;
    history_items_list(&h->items, item);
    history_items_count(&h->items, item);
    return true;
}

/* As it is at its end: a call that is not incomplete has its arguments. */
static void
item_ended(struct session_history *h, struct history_item *item,
           const json_t *json)
{
    history_item_read(item, json);
    item->completed |= strcmp(text_of(json, "status"), "completed") == 0;
    if (item->kind == HISTORY_CALL
        && strcmp(text_of(json, "status"), "incomplete") != 0)
        item->arguments_done = true;
    history_items_count(&h->items, item);
}

static bool
on_item_done(struct session_history *h, const json_t *event)
{
    const json_t *json = json_object_get(event, "item");
    struct history_item *item =
        history_items_find(&h->items, text_of(json, "id"));

    h->items.tells_done = true;
    if (!item)
        return true;
    if (item->replayed)
        return false;
    item->told_done = true;
    item_ended(h, item, json);
    return true;
}

static bool
on_item_deleted(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);

    history_owed_free(history_owed_answer(&h->owed, REALTIME_ITEM_DELETE,
                                          text_of(event, "item_id")));
    if (item)
        history_items_unlist(&h->items, item);
    return true;
}

static bool
on_item_truncated(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);

    history_owed_free(history_owed_answer(&h->owed, REALTIME_ITEM_TRUNCATE,
                                          text_of(event, "item_id")));
    if (!item)
        return true;
    history_item_truncate(item, index_of(event, "content_index"),
                          index_of(event, "audio_end_ms"),
                          h->settings.out_bytes_per_ms);
    history_items_count(&h->items, item);
    return true;
}

static bool
on_item_retrieved(struct session_history *h, const json_t *event)
{
    (void) event; /* may hold much audio: not parsed */
    history_owed_free(
        history_owed_answer(&h->owed, REALTIME_ITEM_RETRIEVE, NULL));
    return true;
}

/* --- what is said in them */

static void
text_add(struct session_history *h, const json_t *event,
         enum history_part_kind kind)
{
    struct history_item *item = item_of(h, event);
    struct history_part *part;

    if (!item || item->kind != HISTORY_MESSAGE)
        return;
    part = history_item_part(item, index_of(event, "content_index"), kind);
    if (!part || part->cut || part->text_done)
        return;
    history_text_grow(&part->text, json_object_get(event, "delta"));
    history_items_count(&h->items, item);
}

static bool
on_text_delta(struct session_history *h, const json_t *event)
{
    text_add(h, event, HISTORY_TEXT);
    return true;
}

static bool
on_transcript_delta(struct session_history *h, const json_t *event)
{
    text_add(h, event, HISTORY_AUDIO);
    return true;
}

static void
text_whole(struct session_history *h, const json_t *event,
           enum history_part_kind kind, const char *key)
{
    struct history_item *item = item_of(h, event);
    struct history_part *part;

    if (!item || item->kind != HISTORY_MESSAGE)
        return;
    part = history_item_part(item, index_of(event, "content_index"), kind);
    if (!part || part->kind != kind)
        return;
    if (!part->cut)
        history_text_set(&part->text, json_object_get(event, key));
    part->text_done = true;
    history_items_count(&h->items, item);
}

static bool
on_text_done(struct session_history *h, const json_t *event)
{
    text_whole(h, event, HISTORY_TEXT, "text");
    return true;
}

static bool
on_transcript_done(struct session_history *h, const json_t *event)
{
    text_whole(h, event, HISTORY_AUDIO, "transcript");
    return true;
}

/* What the user said is known: his audio is not needed any more. */
static bool
on_user_transcript(struct session_history *h, const json_t *event)
{
    const char *id = text_of(event, "item_id");

    if (text_of(event, "transcript")[0])
        session_microphone_settle(&h->microphone, id);
    text_whole(h, event, HISTORY_AUDIO, "transcript");
    return true;
}

static bool
on_audio_done(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);
    uint64_t index = index_of(event, "content_index");

    if (item && index < item->part_count)
        item->parts[index].audio_done = true;
    return true;
}

static bool
on_arguments_delta(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);

    if (!item || item->kind != HISTORY_CALL || item->arguments_done)
        return true;
    history_text_grow(&item->text, json_object_get(event, "delta"));
    history_items_count(&h->items, item);
    return true;
}

static bool
on_arguments_done(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);

    if (!item || item->kind != HISTORY_CALL)
        return true;
    history_text_set(&item->text, json_object_get(event, "arguments"));
    item->arguments_done = true;
    history_items_count(&h->items, item);
    return true;
}

static bool
on_part_added(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);
    bool audio =
        strstr(text_of(json_object_get(event, "part"), "type"), "audio");
    struct history_part *part =
        item ? history_item_part(item, index_of(event, "content_index"),
                                 audio ? HISTORY_AUDIO : HISTORY_TEXT)
             : NULL;

    if (part)
        part->open = true;
    return true;
}

static bool
on_part_done(struct session_history *h, const json_t *event)
{
    struct history_item *item = item_of(h, event);
    uint64_t index = index_of(event, "content_index");

    if (item && index < item->part_count)
        item->parts[index].open = false;
    return true;
}

/* --- responses */

/* Out of band a response names no conversation; some models never do. */
static bool
on_response_created(struct session_history *h, const json_t *event)
{
    const json_t *shown = json_object_get(event, "response");
    const json_t *conversation = json_object_get(shown, "conversation_id");
    bool beside = h->beside_sent && json_is_null(conversation);
    struct history_owed *request = history_owed_response(&h->owed, beside);
    struct history_response *response;

    if (beside)
        h->beside_sent--;
    else
        h->turn_waits = false;
    response = history_responses_open(&h->responses, shown, request);
    if (!response)
        return true;
    response->beside = beside;
    snprintf(response->turn_id, sizeof(response->turn_id), "%s", h->turn_id);
    return true;
}

static bool
on_output_added(struct session_history *h, const json_t *event)
{
    struct history_response *response =
        history_responses_find(&h->responses, text_of(event, "response_id"));
    const json_t *json = json_object_get(event, "item");
    struct history_item *item =
        history_items_find(&h->items, text_of(json, "id"));

    if (!item)
        item = item_new(h, text_of(json, "id"), "");
    if (!item)
        return true;
    item->response = response;
    item->output_index = (uint32_t) index_of(event, "output_index");
    item->role = HISTORY_ASSISTANT;
    item->arguments_done = false;
    history_item_read(item, json);
    if (!response || !response->beside)
        history_items_list(&h->items, item);
    history_items_count(&h->items, item);
    return true;
}

static bool
on_output_done(struct session_history *h, const json_t *event)
{
    const json_t *json = json_object_get(event, "item");
    struct history_item *item =
        history_items_find(&h->items, text_of(json, "id"));

    if (!item)
        return true;
    item->output_done = true;
    item_ended(h, item, json);
    return true;
}

static bool
on_response_done(struct session_history *h, const json_t *event)
{
    const json_t *shown = json_object_get(event, "response");
    struct history_response *response =
        history_responses_find(&h->responses, text_of(shown, "id"));

    if (!response)
        return true;
    if (!response->beside)
        history_owed_age(&h->owed);
    if (strcmp(text_of(shown, "status"), "failed") != 0 && !response->beside)
        session_microphone_settle(&h->microphone, response->turn_id);
    history_responses_end(&h->responses, response, &h->items);
    return true;
}

/* A late answer to the replay. */
static bool
is_of_replay(struct session_history *h, const json_t *error)
{
    const char *id = text_of(error, "event_id");
    struct history_item *item =
        id[0] ? history_items_find(&h->items, id) : NULL;

    if (!item || !item->replayed)
        return strcmp(id, SESSION_HISTORY_SETTINGS) == 0;
    h->refused++;
    history_items_unlist(&h->items, item);
    return true;
}

static bool
on_error(struct session_history *h, const json_t *event)
{
    const json_t *error = json_object_get(event, "error");
    struct history_owed *owed = history_owed_error(&h->owed, error);

    if (!owed)
        return !is_of_replay(h, error);
    if (owed->type == REALTIME_SESSION_UPDATE)
        history_settings_refused(&h->settings);
    else if (owed->type == REALTIME_AUDIO_COMMIT)
        session_microphone_refused(&h->microphone);
    else if (owed->type == REALTIME_RESPONSE_CREATE && owed->beside)
        h->beside_sent -= h->beside_sent > 0;
    history_owed_free(owed);
    return true;
}

/* --- which is which */

static const struct {
    watch_h *watch;
    bool unread; /* it wants no tree */
} watched[REALTIME_TYPE_COUNT] = {
    [REALTIME_SESSION_CREATED] = {on_session, false},
    [REALTIME_SESSION_UPDATED] = {on_session, false},
    [REALTIME_SPEECH_STARTED] = {on_speech_started, true},
    [REALTIME_AUDIO_CLEARED] = {on_cleared, true},
    [REALTIME_AUDIO_COMMITTED] = {on_committed, false},
    [REALTIME_ITEM_ADDED] = {on_item_added, false},
    [REALTIME_ITEM_DONE] = {on_item_done, false},
    [REALTIME_ITEM_DELETED] = {on_item_deleted, false},
    [REALTIME_ITEM_TRUNCATED] = {on_item_truncated, false},
    [REALTIME_ITEM_RETRIEVED] = {on_item_retrieved, true},
    [REALTIME_HEARD_DELTA] = {on_transcript_delta, false},
    [REALTIME_HEARD_COMPLETED] = {on_user_transcript, false},
    [REALTIME_RESPONSE_CREATED] = {on_response_created, false},
    [REALTIME_RESPONSE_DONE] = {on_response_done, false},
    [REALTIME_OUTPUT_ITEM_ADDED] = {on_output_added, false},
    [REALTIME_OUTPUT_ITEM_DONE] = {on_output_done, false},
    [REALTIME_PART_ADDED] = {on_part_added, false},
    [REALTIME_PART_DONE] = {on_part_done, false},
    [REALTIME_OUTPUT_TEXT_DELTA] = {on_text_delta, false},
    [REALTIME_OUTPUT_TEXT_DONE] = {on_text_done, false},
    [REALTIME_OUTPUT_TRANSCRIPT_DELTA] = {on_transcript_delta, false},
    [REALTIME_OUTPUT_TRANSCRIPT_DONE] = {on_transcript_done, false},
    [REALTIME_OUTPUT_AUDIO_DONE] = {on_audio_done, false},
    [REALTIME_ARGUMENTS_DELTA] = {on_arguments_delta, false},
    [REALTIME_ARGUMENTS_DONE] = {on_arguments_done, false},
    [REALTIME_ERROR] = {on_error, false},
};

/* --- audio of the model */

static void
audio_count(struct session_history *h, const char *json, size_t bytes)
{
    struct history_audio head;
    char id[SESSION_MICROPHONE_ID];

    if (!history_audio_read(&head, json, bytes)
        || head.item_id.bytes >= sizeof(id))
        return;
    memcpy(id, head.item_id.text, head.item_id.bytes);
    id[head.item_id.bytes] = 0;
    struct history_item *item = history_items_find(&h->items, id);
    if (item && head.content_index < item->part_count
        && !item->parts[head.content_index].cut)
        item->parts[head.content_index].audio_bytes += head.bytes;
}

bool
history_watch_down(struct session_history *h, enum realtime_type type,
                   const char *json, size_t bytes)
{
    if (type == REALTIME_OUTPUT_AUDIO_DELTA) {
        audio_count(h, json, bytes);
        return true;
    }
    if (!watched[type].watch)
        return true;
    if (watched[type].unread)
        return watched[type].watch(h, NULL);
    json_t *event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);
    bool passes = !event || watched[type].watch(h, event);
    json_decref(event);
    return passes;
}
