/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_registry.h"

#include "base/metrics.h"

#include "base/clock.h"
#include "base/log.h"

#include <jansson.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* One loop's sessions. Only the loop's own thread takes entries out, so an
 * entry that was seen there stays until its own code returns. */
struct place {
    struct session_registry *registry;
    struct loop *loop;
    unsigned slots; /* reserved and entries */
    struct session_entry *first;
    struct session_entry *asking; /* not yet asked to end */
    struct loop_task end_task;
    bool end_posted;
};

struct session_registry {
    pthread_mutex_t mutex;
    struct metric *active;
    unsigned max_sessions;
    unsigned slots;
    unsigned place_count;
    struct place places[];
};

int
session_registry_create(struct session_registry **rp, struct loop **loops,
                        unsigned loop_count, unsigned max_sessions)
{
    struct session_registry *r;

    if (!loop_count)
        return UV_EINVAL;
    r = calloc(1, sizeof(*r) + loop_count * sizeof(r->places[0]));
    if (!r)
        return UV_ENOMEM;
    int result = uv_translate_sys_error(pthread_mutex_init(&r->mutex, NULL));
    if (result) {
        free(r);
        return result;
    }
    r->active = metric_register(METRIC_GAUGE, "voice_active_sessions",
                                "Sessions there are now.");
    r->max_sessions = max_sessions;
    r->place_count = loop_count;
    for (unsigned i = 0; i < loop_count; i++) {
        r->places[i].registry = r;
        r->places[i].loop = loops[i];
    }
    *rp = r;
    return 0;
}

void
session_registry_destroy(struct session_registry **rp)
{
    struct session_registry *r = *rp;

    if (!r)
        return;
    *rp = NULL;
    if (r->slots)
        LOG(ALERT, "registry", "event=destroyed sessions_left=%u", r->slots);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static struct place *
place_of(struct session_registry *r, const struct loop *loop)
{
    for (unsigned i = 0; i < r->place_count; i++)
        if (r->places[i].loop == loop)
            return &r->places[i];
    LOG(ALERT, "registry", "event=foreign_loop");
    abort();
}

int
session_registry_reserve(struct session_registry *r, struct loop **loop)
{
    struct place *least = &r->places[0];
    int result = UV_EBUSY;

    pthread_mutex_lock(&r->mutex);
    if (r->slots < r->max_sessions) {
        for (unsigned i = 1; i < r->place_count; i++)
            if (r->places[i].slots < least->slots)
                least = &r->places[i];
        least->slots++;
        r->slots++;
        *loop = least->loop;
        result = 0;
    }
    pthread_mutex_unlock(&r->mutex);
    return result;
}

int
session_registry_reserve_on(struct session_registry *r, struct loop *loop)
{
    int result = UV_EBUSY;

    pthread_mutex_lock(&r->mutex);
    if (r->slots < r->max_sessions) {
        place_of(r, loop)->slots++;
        r->slots++;
        result = 0;
    }
    pthread_mutex_unlock(&r->mutex);
    return result;
}

void
session_registry_release(struct session_registry *r, struct loop *loop)
{
    pthread_mutex_lock(&r->mutex);
    place_of(r, loop)->slots--;
    r->slots--;
    pthread_mutex_unlock(&r->mutex);
}

static void
entry_link(struct session_entry **list, struct session_entry *entry)
{
    entry->next = *list;
    entry->prev = list;
    if (entry->next)
        entry->next->prev = &entry->next;
    *list = entry;
}

static void
entry_unlink(struct session_entry *entry)
{
    *entry->prev = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
}

void
session_registry_add(struct session_registry *r, struct session_entry *entry)
{
    pthread_mutex_lock(&r->mutex);
    entry_link(&place_of(r, entry->loop)->first, entry);
    pthread_mutex_unlock(&r->mutex);
    metric_add(r->active, 1);
}

void
session_registry_remove(struct session_registry *r, struct session_entry *entry)
{
    pthread_mutex_lock(&r->mutex);
    entry_unlink(entry);
    place_of(r, entry->loop)->slots--;
    r->slots--;
    pthread_mutex_unlock(&r->mutex);
    metric_add(r->active, -1);
}

/* On the place's loop. */
static void
on_end_task(struct loop_task *task, void *arg)
{
    struct place *place = arg;
    struct session_registry *r = place->registry;
    struct session_entry *entry;

    (void) task;
    pthread_mutex_lock(&r->mutex);
    place->end_posted = false;
    place->asking = place->first;
    place->first = NULL;
    if (place->asking)
        place->asking->prev = &place->asking;
    while ((entry = place->asking) != NULL) {
        entry_unlink(entry);
        entry_link(&place->first, entry);
        pthread_mutex_unlock(&r->mutex);
        entry->on_end(entry);
        pthread_mutex_lock(&r->mutex);
    }
    pthread_mutex_unlock(&r->mutex);
}

void
session_registry_end_all(struct session_registry *r)
{
    pthread_mutex_lock(&r->mutex);
    for (unsigned i = 0; i < r->place_count; i++) {
        struct place *place = &r->places[i];
        if (place->end_posted)
            continue;
        place->end_posted = true;
        place->end_task.run = on_end_task;
        place->end_task.arg = place;
        loop_post(place->loop, &place->end_task);
    }
    pthread_mutex_unlock(&r->mutex);
}

unsigned
session_registry_count(const struct session_registry *r)
{
    /* The lock is not part of what is asked about. */
    pthread_mutex_t *mutex = (pthread_mutex_t *) (uintptr_t) &r->mutex;

    pthread_mutex_lock(mutex);
    unsigned slots = r->slots;
    pthread_mutex_unlock(mutex);
    return slots;
}

static json_t *
entry_json(const struct session_entry *entry, uint64_t now_ms)
{
    static const struct session_figures none = {.state = "live"};
    const struct session_figures *figures =
        entry->figures ? entry->figures : &none;

    return json_pack(
        "{s:s s:s s:s s:s? s:s? s:s? s:s? s:i s:I s:I s:I s:I}", "id",
        entry->id, "tenant", entry->tenant, "model", entry->model, "state",
        atomic_load_explicit(&figures->state, memory_order_relaxed), "client",
        atomic_load_explicit(&figures->client, memory_order_relaxed),
        "upstream",
        atomic_load_explicit(&figures->upstream, memory_order_relaxed),
        "quality",
        atomic_load_explicit(&figures->quality, memory_order_relaxed), "loop",
        (int) loop_index(entry->loop), "age_ms",
        (json_int_t) (now_ms - entry->since_ms), "up_messages",
        (json_int_t) atomic_load_explicit(&figures->up_messages,
                                          memory_order_relaxed),
        "down_messages",
        (json_int_t) atomic_load_explicit(&figures->down_messages,
                                          memory_order_relaxed),
        "queued_bytes",
        (json_int_t) atomic_load_explicit(&figures->queued_bytes,
                                          memory_order_relaxed));
}

static unsigned
entries_count(const struct session_entry *entry, const char *tenant)
{
    unsigned n = 0;

    for (; entry; entry = entry->next)
        n += strcmp(entry->tenant, tenant) == 0;
    return n;
}

unsigned
session_registry_count_of(struct session_registry *r, const char *tenant)
{
    unsigned n = 0;

    pthread_mutex_lock(&r->mutex);
    for (unsigned i = 0; i < r->place_count; i++) {
        n += entries_count(r->places[i].first, tenant);
        n += entries_count(r->places[i].asking, tenant);
    }
    pthread_mutex_unlock(&r->mutex);
    return n;
}

/* A name that is no UTF-8 costs its entry, never the list. */
static void
entries_append(json_t *list, const struct session_entry *entry, uint64_t now_ms)
{
    for (; entry; entry = entry->next) {
        json_t *item = entry_json(entry, now_ms);
        if (item)
            json_array_append_new(list, item);
    }
}

char *
session_registry_list(struct session_registry *r)
{
    uint64_t now_ms = clock_now_ms();
    json_t *list = json_array();

    if (!list)
        return NULL;
    pthread_mutex_lock(&r->mutex);
    for (unsigned i = 0; i < r->place_count; i++) {
        entries_append(list, r->places[i].first, now_ms);
        entries_append(list, r->places[i].asking, now_ms);
    }
    pthread_mutex_unlock(&r->mutex);
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}
