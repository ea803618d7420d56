/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history_items.h"

#include <string.h>

void
history_items_clear(struct history_items *items)
{
    struct history_item *item, *next;

    for (item = items->first; item; item = next) {
        next = item->next;
        history_item_destroy(item);
    }
    items->first = items->last = NULL;
    items->count = items->bytes = 0;
}

/* --- finding */

static bool
is_id(const struct history_item *item, const char *id)
{
    char wire[HISTORY_WIRE_MAX + 1];

    if (strcmp(item->id, id) == 0)
        return true;
    if (strlen(item->id) <= HISTORY_WIRE_MAX)
        return false;
    history_wire_id(item->id, wire);
    return strcmp(wire, id) == 0;
}

/* What is asked for is mostly among the last ones. */
struct history_item *
history_items_find(const struct history_items *items, const char *id)
{
    struct history_item *item;

    for (item = items->last; item; item = item->prev)
        if (is_id(item, id))
            return item;
    return NULL;
}

static bool
is_of_call(const struct history_item *item, enum history_kind kind,
           const char *call_id)
{
    return item->listed && item->kind == kind && item->call_id
           && strcmp(item->call_id, call_id) == 0;
}

struct history_item *
history_items_call(const struct history_items *items, const char *call_id)
{
    struct history_item *item;

    for (item = items->first; item; item = item->next)
        if (is_of_call(item, HISTORY_CALL, call_id))
            return item;
    return NULL;
}

struct history_item *
history_items_output(const struct history_items *items, const char *call_id,
                     const struct history_item *after)
{
    struct history_item *item;

    for (item = after ? after->next : items->first; item; item = item->next)
        if (is_of_call(item, HISTORY_OUTPUT, call_id))
            return item;
    return NULL;
}

/* --- linking */

static void
link_after(struct history_items *items, struct history_item *item,
           struct history_item *after)
{
    item->prev = after;
    item->next = after ? after->next : items->first;
    if (item->next)
        item->next->prev = item;
    else
        items->last = item;
    if (after)
        after->next = item;
    else
        items->first = item;
}

static void
unlink_item(struct history_items *items, struct history_item *item)
{
    if (item->prev)
        item->prev->next = item->next;
    else
        items->first = item->next;
    if (item->next)
        item->next->prev = item->prev;
    else
        items->last = item->prev;
}

void
history_items_insert(struct history_items *items, struct history_item *item,
                     struct history_item *after)
{
    link_after(items, item, after);
    items->count++;
}

void
history_items_move(struct history_items *items, struct history_item *item,
                   struct history_item *after)
{
    if (after == item)
        return;
    unlink_item(items, item);
    link_after(items, item, after);
}

void
history_items_list(struct history_items *items, struct history_item *item)
{
    struct history_item *call;

    item->listed = true;
    if (!item->call_id)
        return;
    if (item->kind == HISTORY_OUTPUT
        && (call = history_items_call(items, item->call_id)) != NULL)
        call->answered = true;
    if (item->kind == HISTORY_CALL)
        item->answered =
            history_items_output(items, item->call_id, NULL) != NULL;
}

/* Its call has no output any more, unless there is another. */
static void
output_leaves(struct history_items *items, struct history_item *item)
{
    struct history_item *call;

    item->listed = false;
    if (item->kind == HISTORY_OUTPUT && item->call_id
        && (call = history_items_call(items, item->call_id)) != NULL)
        call->answered =
            history_items_output(items, item->call_id, NULL) != NULL;
}

void
history_items_remove(struct history_items *items, struct history_item *item)
{
    output_leaves(items, item);
    unlink_item(items, item);
    items->count--;
    items->bytes -= item->counted;
    history_item_destroy(item);
}

void
history_items_unlist(struct history_items *items, struct history_item *item)
{
    output_leaves(items, item);
    if (!item->response)
        history_items_remove(items, item);
}

/* --- the cap */

static bool
is_pending(const struct history_item *item)
{
    return item->kind == HISTORY_CALL && !item->answered;
}

static struct history_item *
oldest(const struct history_items *items, bool pending_too)
{
    struct history_item *item;

    for (item = items->first; item; item = item->next)
        if (!item->response && (pending_too || !is_pending(item)))
            return item;
    return NULL;
}

static void
outputs_drop(struct history_items *items, const char *call_id)
{
    struct history_item *output;

    while ((output = history_items_output(items, call_id, NULL)) != NULL) {
        history_items_remove(items, output);
        items->dropped++;
    }
}

/* With the other half, if it is of a pair. */
static void
drop(struct history_items *items, struct history_item *item)
{
    struct history_item *call = item;

    items->dropped++;
    if (item->kind == HISTORY_OUTPUT && item->call_id
        && (call = history_items_call(items, item->call_id)) == NULL)
        call = item;
    if (call->kind == HISTORY_CALL && call->call_id && call->listed)
        outputs_drop(items, call->call_id);
    else
        call = item;
    if (call->kind == HISTORY_CALL || call == item)
        history_items_remove(items, call);
}

void
history_items_count(struct history_items *items, struct history_item *item)
{
    size_t bytes = history_item_bytes(item);
    struct history_item *old;

    items->bytes += bytes - item->counted;
    item->counted = bytes;
    while (items->bytes > items->max_bytes) {
        old = oldest(items, false);
        if (!old)
            old = oldest(items, true);
        if (!old)
            return;
        drop(items, old);
    }
}
