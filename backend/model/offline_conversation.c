/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_conversation.h"

#include "codec/pcm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* An event stays under 1 MiB: strict clients' sockets take no more. */
#define RETRIEVED_AUDIO_MAX (1000u * 1024u)

struct offline_conversation {
    struct offline_conversation_config cfg;
    char id[OFFLINE_ID_BYTES];
    struct offline_item **items; /* one reference each */
    size_t count;
    size_t bytes;
    uint64_t dropped;
};

int
offline_conversation_create(struct offline_conversation **cp,
                            const struct offline_conversation_config *cfg)
{
    struct offline_conversation *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return UV_ENOMEM;
    c->cfg = *cfg;
    offline_id_make(c->id, "conv_", 21);
    *cp = c;
    return 0;
}

void
offline_conversation_destroy(struct offline_conversation **cp)
{
    struct offline_conversation *c = *cp;

    if (c == NULL)
        return;
    for (size_t i = 0; i < c->count; i++)
        offline_item_unref(&c->items[i]);
    free(c->items);
    free(c);
    *cp = NULL;
}

/* --- the list */

static size_t
index_of(const struct offline_conversation *c, const char *id)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i]->id, id) == 0)
            return i;
    return SIZE_MAX;
}

static void
list_remove(struct offline_conversation *c, size_t at)
{
    c->bytes -= c->items[at]->counted_bytes;
    offline_item_unref(&c->items[at]);
    c->count--;
    memmove(&c->items[at], &c->items[at + 1],
            (c->count - at) * sizeof(c->items[0]));
}

static int
list_insert(struct offline_conversation *c, size_t at,
            struct offline_item *item)
{
    struct offline_item **grown;

    if (c->count % 16 == 0) {
        grown = realloc(c->items, (c->count + 16) * sizeof(*grown));
        if (grown == NULL)
            return UV_ENOMEM;
        c->items = grown;
    }
    memmove(&c->items[at + 1], &c->items[at],
            (c->count - at) * sizeof(c->items[0]));
    c->items[at] = offline_item_ref(item);
    c->count++;
    item->counted_bytes = 0;
    offline_conversation_measure(c, item);
    return 0;
}

/* The newest item's audio is what the next answer needs: it stays. */
static void
drop_old_audio(struct offline_conversation *c)
{
    size_t freed;

    for (size_t i = 0; i + 1 < c->count && c->bytes > c->cfg.max_bytes; i++) {
        if (c->items[i]->pcm == NULL)
            continue;
        freed = offline_item_drop_audio(c->items[i]);
        if (freed > c->items[i]->counted_bytes)
            freed = c->items[i]->counted_bytes;
        c->items[i]->counted_bytes -= freed;
        c->bytes -= freed;
        c->dropped++;
    }
}

void
offline_conversation_measure(struct offline_conversation *c,
                             struct offline_item *item)
{
    if (offline_conversation_find(c, item->id) != item)
        return;
    c->bytes -= item->counted_bytes;
    item->counted_bytes = offline_item_bytes(item);
    c->bytes += item->counted_bytes;
    drop_old_audio(c);
}

/* --- events */

static json_t *
previous_of(const struct offline_conversation *c, size_t at)
{
    return at == 0 ? json_null() : json_string(c->items[at - 1]->id);
}

static void
emit_item(struct offline_conversation *c, const char *type, size_t at)
{
    offline_emit(&c->cfg.sink, type, "{s:o, s:O}", "previous_item_id",
                 previous_of(c, at), "item", c->items[at]->json);
}

/* --- adding */

static bool
has_call(const struct offline_conversation *c, const char *call_id)
{
    for (size_t i = c->count; i-- > 0;)
        if (c->items[i]->kind == ITEM_CALL
            && strcmp(offline_item_field(c->items[i], "call_id"), call_id) == 0)
            return true;
    return false;
}

static int
place_of(const struct offline_conversation *c, const char *previous, size_t *at,
         struct offline_fault *fault)
{
    *at = c->count;
    if (previous == NULL)
        return 0;
    if (strcmp(previous, "root") == 0) {
        *at = 0;
        return 0;
    }
    *at = index_of(c, previous);
    if (*at == SIZE_MAX)
        return offline_fault_set(fault, "item_create_invalid_item_id",
                                 "previous_item_id",
                                 "Error inserting item: the previous item "
                                 "with id '%.64s' does not exist.",
                                 previous);
    (*at)++;
    return 0;
}

static int
check_insert(const struct offline_conversation *c,
             const struct offline_item *item, struct offline_fault *fault)
{
    if (index_of(c, item->id) != SIZE_MAX)
        return offline_fault_set(fault, "item_create_invalid_item_id",
                                 "item.id",
                                 "Error adding item: an item with id '%s' "
                                 "already exists.",
                                 item->id);
    if (item->kind == ITEM_OUTPUT
        && !has_call(c, offline_item_field(item, "call_id")))
        return offline_fault_set(fault, "invalid_tool_call_id", "item.call_id",
                                 "Tool call ID '%.64s' not found in "
                                 "conversation.",
                                 offline_item_field(item, "call_id"));
    if (c->count >= c->cfg.max_items
        || offline_item_bytes(item) > c->cfg.max_bytes)
        return offline_fault_set(fault, "conversation_too_large", "item",
                                 "The conversation can't hold another item "
                                 "of this size: delete items first.");
    return 0;
}

int
offline_conversation_insert(struct offline_conversation *c,
                            struct offline_item *item, const char *previous,
                            struct offline_fault *fault)
{
    size_t at;

    if (check_insert(c, item, fault) != 0
        || place_of(c, previous, &at, fault) != 0)
        return UV_EINVAL;
    if (list_insert(c, at, item) != 0)
        return offline_fault_server(fault, "server_error", "Out of memory.");
    if (c->bytes > c->cfg.max_bytes) {
        /* Not even dropping audio made room: texts fill it. */
        list_remove(c, at);
        return offline_fault_set(fault, "conversation_too_large", "item",
                                 "The conversation is full: delete items "
                                 "first.");
    }
    emit_item(c, "conversation.item.added", at);
    emit_item(c, "conversation.item.done", at);
    return 0;
}

int
offline_conversation_append(struct offline_conversation *c,
                            struct offline_item *item)
{
    struct offline_fault none;
    int rc;

    while (c->count > 1
           && (c->count >= c->cfg.max_items || c->bytes > c->cfg.max_bytes))
        offline_conversation_delete(c, c->items[0]->id, &none);
    rc = list_insert(c, c->count, item);
    if (rc == 0)
        emit_item(c, "conversation.item.added", c->count - 1);
    return rc;
}

void
offline_conversation_finish(struct offline_conversation *c,
                            struct offline_item *item)
{
    size_t at = index_of(c, item->id);

    if (at == SIZE_MAX || c->items[at] != item)
        return;
    offline_conversation_measure(c, item);
    emit_item(c, "conversation.item.done", at);
}

/* --- client events */

static struct offline_item *
find_or_fault(const struct offline_conversation *c, const char *verb,
              const char *id, struct offline_fault *fault)
{
    struct offline_item *item = offline_conversation_find(c, id);
    char code[48];

    if (item != NULL)
        return item;
    snprintf(code, sizeof(code), "item_%s_invalid_item_id", verb);
    offline_fault_set(fault, code, "item_id",
                      "Item with item_id '%.64s' not found.", id);
    return NULL;
}

int
offline_conversation_delete(struct offline_conversation *c, const char *id,
                            struct offline_fault *fault)
{
    char gone[OFFLINE_ID_BYTES];

    if (find_or_fault(c, "delete", id, fault) == NULL)
        return UV_EINVAL;
    /* id may be the item's own memory. */
    memcpy(gone, c->items[index_of(c, id)]->id, sizeof(gone));
    list_remove(c, index_of(c, id));
    offline_emit(&c->cfg.sink, "conversation.item.deleted", "{s:s}", "item_id",
                 gone);
    return 0;
}

static int
check_truncate(const struct offline_item *item, json_int_t index,
               json_int_t audio_ms, struct offline_fault *fault)
{
    uint64_t have_ms = pcm_ms_of_samples(item->samples);

    if (item->kind != ITEM_ASSISTANT || !item->has_audio)
        return offline_fault_set(fault, "unsupported_content_type", "item_id",
                                 "Only model output audio messages can be "
                                 "truncated.");
    if (index != (json_int_t) item->audio_index)
        return offline_fault_set(fault, "invalid_value", "content_index",
                                 "Invalid value: %lld. The item has no audio "
                                 "at this index.",
                                 (long long) index);
    if (audio_ms < 0)
        return offline_fault_set(fault, "invalid_value", "audio_end_ms",
                                 "Invalid value: %lld. Expected a value of "
                                 "at least 0.",
                                 (long long) audio_ms);
    if ((uint64_t) audio_ms > have_ms)
        return offline_fault_set(fault, "invalid_value", "audio_end_ms",
                                 "Audio content of %llums is already shorter "
                                 "than %lldms",
                                 (unsigned long long) have_ms,
                                 (long long) audio_ms);
    return 0;
}

int
offline_conversation_truncate(struct offline_conversation *c,
                              const json_t *event, struct offline_fault *fault)
{
    const char *id = json_string_value(json_object_get(event, "item_id"));
    json_int_t index =
        json_integer_value(json_object_get(event, "content_index"));
    json_int_t audio_ms =
        json_integer_value(json_object_get(event, "audio_end_ms"));
    struct offline_item *item = find_or_fault(c, "truncate", id, fault);

    if (item == NULL || check_truncate(item, index, audio_ms, fault) != 0)
        return UV_EINVAL;
    offline_item_cut(item, (uint64_t) audio_ms);
    offline_conversation_measure(c, item);
    offline_emit(&c->cfg.sink, "conversation.item.truncated", "{s:s, s:I, s:I}",
                 "item_id", item->id, "content_index", index, "audio_end_ms",
                 audio_ms);
    return 0;
}

int
offline_conversation_retrieve(struct offline_conversation *c, const char *id,
                              struct offline_fault *fault)
{
    struct offline_item *item = find_or_fault(c, "retrieve", id, fault);

    if (item == NULL)
        return UV_EINVAL;
    offline_emit(&c->cfg.sink, "conversation.item.retrieved", "{s:o}", "item",
                 offline_item_with_audio(item, RETRIEVED_AUDIO_MAX));
    return 0;
}

/* --- questions */

const char *
offline_conversation_id(const struct offline_conversation *c)
{
    return c->id;
}

const char *
offline_conversation_last_id(const struct offline_conversation *c)
{
    return c->count > 0 ? c->items[c->count - 1]->id : NULL;
}

struct offline_item *
offline_conversation_find(const struct offline_conversation *c, const char *id)
{
    size_t at = index_of(c, id);

    return at == SIZE_MAX ? NULL : c->items[at];
}

size_t
offline_conversation_count(const struct offline_conversation *c)
{
    return c->count;
}

struct offline_item *
offline_conversation_at(const struct offline_conversation *c, size_t index)
{
    return c->items[index];
}

size_t
offline_conversation_bytes(const struct offline_conversation *c)
{
    return c->bytes;
}

uint64_t
offline_conversation_dropped(const struct offline_conversation *c)
{
    return c->dropped;
}
