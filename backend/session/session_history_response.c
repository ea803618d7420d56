/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   item told ─► parts: audio.done, text.done, part.done ─► item.done
 *        ─► output_item.done ─► … ─► response.done ─► what can't be kept:
 * deleted
 */

#include "session/session_history_response.h"

#include "session/session_history.h"

#include <stdlib.h>
#include <string.h>

struct history_response *
history_responses_open(struct history_responses *responses, const json_t *shown,
                       struct history_owed *request)
{
    const char *id = json_string_value(json_object_get(shown, "id"));
    struct history_response *response = NULL;

    if (id && responses->count < SESSION_HISTORY_OPEN_MAX
        && (response = calloc(1, sizeof(*response))) != NULL)
        response->id = strdup(id);
    if (!response || !response->id) {
        free(response);
        history_owed_free(request);
        return NULL;
    }
    response->shown = json_deep_copy(shown);
    response->request = request;
    response->next = responses->first;
    responses->first = response;
    responses->count++;
    return response;
}

struct history_response *
history_responses_find(const struct history_responses *responses,
                       const char *id)
{
    struct history_response *response;

    for (response = responses->first; response; response = response->next)
        if (strcmp(response->id, id) == 0)
            return response;
    return NULL;
}

struct history_response *
history_responses_main(const struct history_responses *responses)
{
    struct history_response *response;

    for (response = responses->first; response; response = response->next)
        if (!response->beside)
            return response;
    return NULL;
}

static void
response_free(struct history_response *response)
{
    history_owed_free(response->request);
    json_decref(response->shown);
    free(response->id);
    free(response);
}

void
history_responses_end(struct history_responses *responses,
                      struct history_response *response,
                      struct history_items *items)
{
    struct history_response **at = &responses->first;
    struct history_item *item, *next;

    for (item = items->first; item; item = next) {
        next = item->next;
        if (item->response != response)
            continue;
        item->response = NULL;
        if (!item->listed)
            history_items_remove(items, item);
    }
    while (*at != response)
        at = &(*at)->next;
    *at = response->next;
    responses->count--;
    response_free(response);
}

void
history_responses_clear(struct history_responses *responses)
{
    struct history_response *response;

    while ((response = responses->first) != NULL) {
        responses->first = response->next;
        response_free(response);
    }
    responses->count = 0;
}

/* --- the end, towards the client */

struct closing {
    const struct history_response *response; /* NULL: of no response */
    struct history_script *script;
};

/* Takes the fields. */
static void
tell(const struct closing *c, const char *type, json_t *fields)
{
    json_t *event = json_pack("{s:s}", "type", type);

    if (!event || !fields || json_object_update(event, fields)) {
        json_decref(event);
        event = NULL;
    }
    json_decref(fields);
    history_script_tell(c->script, event);
}

static const struct history_item *
listed_before(const struct history_item *item)
{
    for (item = item->prev; item && !item->listed; item = item->prev)
        ;
    return item;
}

static void
item_tell(const struct closing *c, const char *type,
          const struct history_item *item, const char *status)
{
    const struct history_item *before = listed_before(item);

    tell(c, type,
         json_pack("{s:s?, s:o}", "previous_item_id",
                   before ? before->id : NULL, "item",
                   history_item_shown(item, status)));
}

static void
item_told(const struct closing *c, struct history_item *item,
          const char *status)
{
    if (item->kind == HISTORY_RAW || item->kind == HISTORY_LISTED
        || !item->listed)
        return;
    if (!item->told_added)
        item_tell(c, "conversation.item.added", item, status);
    if (!item->told_done)
        item_tell(c, "conversation.item.done", item, status);
    item->told_added = item->told_done = true;
}

static void
part_tell(const struct closing *c, const char *type,
          const struct history_item *item, unsigned index)
{
    const struct history_part *part = &item->parts[index];
    json_t *fields =
        json_pack("{s:s, s:s, s:i, s:i}", "response_id", c->response->id,
                  "item_id", item->id, "output_index", (int) item->output_index,
                  "content_index", (int) index);

    if (strcmp(type, "response.content_part.done") == 0)
        json_object_set_new(fields, "part", history_part_shown(part));
    else if (strcmp(type, "response.output_text.done") == 0)
        json_object_set_new(fields, "text", history_text_json(&part->text));
    else if (strcmp(type, "response.output_audio_transcript.done") == 0)
        json_object_set_new(fields, "transcript",
                            history_text_json(&part->text));
    tell(c, type, fields);
}

static void
part_close(const struct closing *c, struct history_item *item, unsigned index)
{
    struct history_part *part = &item->parts[index];
    bool audio = part->kind == HISTORY_AUDIO;

    if (audio && !part->audio_done)
        part_tell(c, "response.output_audio.done", item, index);
    if (!part->text_done)
        part_tell(c,
                  audio ? "response.output_audio_transcript.done"
                        : "response.output_text.done",
                  item, index);
    part_tell(c, "response.content_part.done", item, index);
    part->audio_done = part->text_done = true;
    part->open = false;
}

/* Whether it has all that belongs into it. */
static bool
item_is_whole(const struct history_item *item)
{
    if (item->cut_short)
        return false;
    if (item->output_done)
        return item->kind != HISTORY_CALL || item->arguments_done;
    if (item->kind == HISTORY_CALL)
        return item->arguments_done;
    for (unsigned i = 0; i < item->part_count; i++)
        if (item->parts[i].open)
            return false;
    return item->kind == HISTORY_MESSAGE && item->part_count > 0;
}

static void
output_close(const struct closing *c, struct history_item *item)
{
    item->cut_short = !item_is_whole(item);
    const char *status = item->cut_short ? "incomplete" : "completed";

    if (item->listed && !item->told_added) {
        item_tell(c, "conversation.item.added", item, "in_progress");
        item->told_added = true;
    }
    for (unsigned i = 0; i < item->part_count; i++)
        if (item->parts[i].open)
            part_close(c, item, i);
    item_told(c, item, status);
    if (item->output_done)
        return;
    tell(c, "response.output_item.done",
         json_pack("{s:s, s:i, s:o}", "response_id", c->response->id,
                   "output_index", (int) item->output_index, "item",
                   history_item_shown(item, status)));
    item->output_done = true;
}

/* --- the response */

static json_t *
usage_none(void)
{
    return json_pack(
        "{s:i, s:i, s:i, s:{s:i, s:i, s:i, s:i, s:{s:i, s:i, s:i}},"
        " s:{s:i, s:i}}",
        "total_tokens", 0, "input_tokens", 0, "output_tokens", 0,
        "input_token_details", "text_tokens", 0, "audio_tokens", 0,
        "image_tokens", 0, "cached_tokens", 0, "cached_tokens_details",
        "text_tokens", 0, "audio_tokens", 0, "image_tokens", 0,
        "output_token_details", "text_tokens", 0, "audio_tokens", 0);
}

static json_t *
outputs_shown(const struct history_response *response,
              const struct history_items *items)
{
    const struct history_item *item;
    json_t *output = json_array();

    for (item = items->first; item; item = item->next)
        if (item->response == response)
            json_array_append_new(output,
                                  history_item_shown(item, item_is_whole(item)
                                                               ? "completed"
                                                               : "incomplete"));
    return output;
}

static void
response_tell(const struct closing *c, const struct history_items *items,
              bool completed)
{
    json_t *shown = json_deep_copy(c->response->shown);
    json_t *details = completed ? json_null()
                                : json_pack("{s:s, s:s}", "type", "cancelled",
                                            "reason", "client_cancelled");

    if (!shown)
        shown = json_pack("{s:s}", "id", c->response->id);
    json_object_set_new(shown, "object", json_string("realtime.response"));
    json_object_set_new(shown, "status",
                        json_string(completed ? "completed" : "cancelled"));
    json_object_set_new(shown, "status_details", details);
    json_object_set_new(shown, "output", outputs_shown(c->response, items));
    json_object_set_new(shown, "usage", usage_none());
    tell(c, "response.done", json_pack("{s:o}", "response", shown));
}

/* A call cut short, or a message of which nothing was said. */
static bool
can_be_kept(const struct history_item *item)
{
    if (item->kind == HISTORY_CALL)
        return item->arguments_done;
    return item->kind == HISTORY_MESSAGE && !history_item_is_empty(item);
}

static void
remains_delete(const struct closing *c, struct history_items *items)
{
    struct history_item *item, *next;

    for (item = items->first; item; item = next) {
        next = item->next;
        if (item->response != c->response || !item->listed
            || item->kind == HISTORY_RAW || can_be_kept(item))
            continue;
        tell(c, "conversation.item.deleted",
             json_pack("{s:s}", "item_id", item->id));
        history_items_unlist(items, item); /* gone with its response */
    }
}

bool
history_response_close(const struct history_response *response,
                       struct history_items *items,
                       struct history_script *script)
{
    const struct closing c = {response, script};
    struct history_item *item;
    bool called = false, broken = false, more = true;

    for (item = items->first; item; item = item->next) {
        if (item->response != response)
            continue;
        called = called || (item->kind == HISTORY_CALL && item->arguments_done);
        broken = broken || !item_is_whole(item);
        more = item->commentary;
        output_close(&c, item);
    }
    bool completed = called || (!broken && !more);
    response_tell(&c, items, completed);
    remains_delete(&c, items);
    return !completed && !response->cancelled;
}

void
history_items_close(struct history_items *items, struct history_script *script)
{
    const struct closing c = {NULL, script};
    struct history_item *item;

    for (item = items->first; item; item = item->next)
        if (item->listed && !item->response
            && (!item->told_added || (!item->told_done && items->tells_done)))
            item_told(&c, item, "completed");
}
