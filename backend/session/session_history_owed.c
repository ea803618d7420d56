/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_owed.h"

#include "session/session_history.h"

#include <stdlib.h>
#include <string.h>

void
history_owed_init(struct history_owed_list *list)
{
    *list = (struct history_owed_list){0};
    list->last = &list->first;
}

void
history_owed_free(struct history_owed *owed)
{
    if (!owed)
        return;
    json_decref(owed->item);
    free(owed->event_id);
    free(owed->item_id);
    free(owed->previous);
    free(owed);
}

void
history_owed_take(struct history_owed_list *list, struct history_owed *owed)
{
    struct history_owed **at = &list->first;

    while (*at && *at != owed)
        at = &(*at)->next;
    if (!*at)
        return;
    *at = owed->next;
    if (!owed->next)
        list->last = at;
    owed->next = NULL;
    list->count--;
    list->bytes -= owed->bytes;
}

static void
forget(struct history_owed_list *list, struct history_owed *owed)
{
    history_owed_take(list, owed);
    history_owed_free(owed);
}

void
history_owed_clear(struct history_owed_list *list)
{
    while (list->first)
        forget(list, list->first);
}

/* --- coming */

static char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? strdup(text) : NULL;
}

static void
event_read(struct history_owed *owed, const json_t *event)
{
    const char *conversation;

    owed->event_id = text_of(event, "event_id");
    if (owed->type == REALTIME_ITEM_CREATE) {
        owed->item = json_incref(json_object_get(event, "item"));
        owed->item_id = text_of(owed->item, "id");
        owed->previous = text_of(event, "previous_item_id");
    } else if (owed->type == REALTIME_RESPONSE_CREATE) {
        conversation = json_string_value(json_object_get(
            json_object_get(event, "response"), "conversation"));
        owed->beside = conversation && strcmp(conversation, "none") == 0;
    } else {
        owed->item_id = text_of(event, "item_id");
    }
}

/* The oldest but settings; but those too when there are many. */
static struct history_owed *
dispensable(struct history_owed_list *list)
{
    struct history_owed *owed = list->first;

    if (list->count >= 2 * SESSION_HISTORY_OWED)
        return owed;
    while (owed && owed->type == REALTIME_SESSION_UPDATE)
        owed = owed->next;
    return owed;
}

void
history_owed_push(struct history_owed_list *list, enum realtime_type type,
                  const json_t *event, const char *json, size_t bytes)
{
    struct history_owed *owed = NULL, *oldest;

    /* Settings are never left out: a session without its policy is none. */
    if (bytes <= SESSION_HISTORY_OWED_MAX || type == REALTIME_SESSION_UPDATE)
        owed = calloc(1, sizeof(*owed) + bytes + 1);
    if (!owed) {
        list->forgotten++;
        return;
    }
    while ((oldest = dispensable(list)) != NULL
           && (list->count >= SESSION_HISTORY_OWED
               || list->bytes + bytes > SESSION_HISTORY_OWED_MAX)) {
        list->forgotten++;
        forget(list, oldest);
    }
    owed->type = type;
    owed->bytes = bytes;
    memcpy(owed->text, json, bytes);
    event_read(owed, event);
    *list->last = owed;
    list->last = &owed->next;
    list->count++;
    list->bytes += bytes;
}

/* --- going */

static struct history_owed *
answered(struct history_owed_list *list, struct history_owed *owed)
{
    struct history_owed *old = list->first, *next;

    for (; owed && old != owed; old = next) {
        next = old->next;
        if (old->type != REALTIME_RESPONSE_CREATE
            && old->type != REALTIME_AUDIO_COMMIT)
            forget(list, old);
    }
    if (owed)
        history_owed_take(list, owed);
    return owed;
}

struct history_owed *
history_owed_answer(struct history_owed_list *list, enum realtime_type type,
                    const char *item_id)
{
    struct history_owed *owed = list->first;

    for (; owed; owed = owed->next)
        if (owed->type == type
            && (!item_id || !owed->item_id
                || strcmp(item_id, owed->item_id) == 0))
            break;
    return answered(list, owed);
}

static bool
is_same(const json_t *a, const json_t *b, const char *key)
{
    const char *x = json_string_value(json_object_get(a, key));
    const char *y = json_string_value(json_object_get(b, key));

    return x && y ? strcmp(x, y) == 0 : x == y;
}

static bool
is_made_from(const struct history_owed *owed, const json_t *item)
{
    const char *id = json_string_value(json_object_get(item, "id"));

    if (owed->item_id)
        return id && strcmp(id, owed->item_id) == 0;
    return is_same(owed->item, item, "type")
           && is_same(owed->item, item, "role")
           && is_same(owed->item, item, "call_id");
}

struct history_owed *
history_owed_create(struct history_owed_list *list, const json_t *item)
{
    struct history_owed *owed = list->first;

    for (; owed; owed = owed->next)
        if (owed->type == REALTIME_ITEM_CREATE && is_made_from(owed, item))
            break;
    return answered(list, owed);
}

struct history_owed *
history_owed_response(struct history_owed_list *list, bool beside)
{
    struct history_owed *owed = list->first;

    for (; owed; owed = owed->next)
        if (owed->type == REALTIME_RESPONSE_CREATE && owed->beside == beside)
            break;
    if (owed)
        history_owed_take(list, owed);
    return owed;
}

/* What errors without the client's event_id are about. */
static enum realtime_type
type_of_code(const char *code)
{
    static const struct {
        const char *code;
        enum realtime_type type;
    } known[] = {
        {"conversation_already_has_active_response", REALTIME_RESPONSE_CREATE},
        {"input_audio_buffer_commit_empty", REALTIME_AUDIO_COMMIT},
        {"item_retrieve_invalid_item_id", REALTIME_ITEM_RETRIEVE},
        {"response_cancel_not_active", REALTIME_RESPONSE_CANCEL},
    };

    for (size_t i = 0; code && i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(code, known[i].code) == 0)
            return known[i].type;
    return REALTIME_OTHER;
}

struct history_owed *
history_owed_error(struct history_owed_list *list, const json_t *error)
{
    const char *id = json_string_value(json_object_get(error, "event_id"));
    const char *code = json_string_value(json_object_get(error, "code"));
    const char *kind = json_string_value(json_object_get(error, "type"));
    enum realtime_type type = type_of_code(code);
    struct history_owed *owed = list->first;

    if (!id && kind && strcmp(kind, "invalid_request_error") != 0)
        return NULL; /* of the server's own: rates, its faults */
    if (code && strcmp(code, "session_expired") == 0)
        return NULL;
    for (; owed; owed = owed->next) {
        if (id && owed->event_id && strcmp(id, owed->event_id) == 0)
            break;
        if (!id && !owed->event_id
            && (type == REALTIME_OTHER || type == owed->type))
            break;
    }
    if (owed)
        history_owed_take(list, owed);
    return owed;
}

void
history_owed_age(struct history_owed_list *list)
{
    struct history_owed *owed, *next;

    for (owed = list->first; owed; owed = next) {
        next = owed->next;
        if (owed->is_old)
            forget(list, owed);
        else
            owed->is_old = true;
    }
}

bool
history_owed_has_response(const struct history_owed_list *list)
{
    const struct history_owed *owed;

    for (owed = list->first; owed; owed = owed->next)
        if (owed->type == REALTIME_RESPONSE_CREATE && !owed->beside)
            return true;
    return false;
}
