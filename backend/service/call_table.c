/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/call_table.h"

#include <stdlib.h>
#include <string.h>

bool
call_id_is_sound(const char *id)
{
    static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz"
                                "0123456789._-";
    size_t bytes = strnlen(id, CALLS_ID_BYTES);

    /* Nor the name of a directory: it becomes a part of paths. */
    return bytes > 0 && bytes < CALLS_ID_BYTES && strspn(id, chars) == bytes
           && strspn(id, ".") < bytes;
}

static struct call **
place_of(struct call_table *t, const char *id)
{
    uint32_t hash = 2166136261u;

    for (const char *at = id; *at; at++)
        hash = (hash ^ (unsigned char) *at) * 16777619u;
    struct call **place = &t->buckets[hash % CALL_TABLE_BUCKETS];
    while (*place && strcmp((*place)->info.id, id) != 0)
        place = &(*place)->next;
    return place;
}

static const char *
text_copy(char **room, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = memcpy(*room, text, bytes);

    *room += bytes;
    return copy;
}

struct call *
call_copy(const struct call_info *info)
{
    struct call *call =
        calloc(1, sizeof(*call) + strlen(info->id) + strlen(info->tenant)
                      + strlen(info->upstream) + strlen(info->model)
                      + strlen(info->policy) + strlen(info->session) + 6);

    if (!call)
        return NULL;
    char *room = call->texts;
    call->info.id = text_copy(&room, info->id);
    call->info.tenant = text_copy(&room, info->tenant);
    call->info.upstream = text_copy(&room, info->upstream);
    call->info.model = text_copy(&room, info->model);
    call->info.policy = text_copy(&room, info->policy);
    call->info.session = text_copy(&room, info->session);
    call->info.created_ms = info->created_ms;
    return call;
}

void
call_table_deinit(struct call_table *t)
{
    for (size_t i = 0; i < CALL_TABLE_BUCKETS; i++)
        while (t->buckets[i]) {
            struct call *call = t->buckets[i];
            t->buckets[i] = call->next;
            free(call);
        }
    t->count = 0;
}

struct call *
call_table_find(struct call_table *t, const char *id)
{
    return *place_of(t, id);
}

int
call_table_add(struct call_table *t, const struct call_info *info,
               struct call **call)
{
    struct call **place = place_of(t, info->id);

    if (*place)
        return UV_EEXIST;
    if (t->count >= CALLS_MAX)
        return UV_ENOBUFS;
    *place = call_copy(info);
    if (!*place)
        return UV_ENOMEM;
    t->count++;
    *call = *place;
    return 0;
}

void
call_table_remove(struct call_table *t, const char *id)
{
    struct call **place = place_of(t, id);
    struct call *call = *place;

    if (!call)
        return;
    *place = call->next;
    t->count--;
    free(call);
}

struct call *
call_table_visit(struct call_table *t, call_visit_h *visit, void *arg)
{
    for (size_t i = 0; i < CALL_TABLE_BUCKETS; i++)
        for (struct call *at = t->buckets[i]; at; at = at->next)
            if (!visit(arg, at))
                return at;
    return NULL;
}
