/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   add, replace ─► entries, by name ─┬─► get
 *                                     └─► definitions: sets kept by names
 */

#include "service/tool_registry.h"

#include "base/buffer.h"
#include "base/log.h"
#include "service/tool_meter.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SETS_KEPT 16
/* Definitions of all there may be. */
#define SET_BYTES ((size_t) 64 * 1024 * 1024)

struct entry {
    struct tool *tool;
    char *group;      /* NULL: built in */
    char *definition; /* JSON text */
};

/* One set of names and its definitions. */
struct set {
    char *names; /* each with a NUL behind it */
    size_t names_bytes;
    bool all;
    struct tool_value *text;
    size_t count; /* of tools */
    uint64_t used;
};

struct tool_registry {
    pthread_mutex_t lock; /* of all but the watch */
    struct entry *entries;
    size_t count;
    struct set sets[SETS_KEPT];
    uint64_t version, uses;
    pthread_mutex_t watch_lock; /* held while told */
    tool_registry_changed_h *changed;
    void *changed_arg;
};

/* --- entries */

static void
entry_deinit(struct entry *e)
{
    tool_unref(&e->tool);
    free(e->group);
    free(e->definition);
}

/* Takes the share. */
static int
entry_init(struct entry *e, struct tool *tool, const char *group)
{
    json_t *tree = json_pack(
        "{s:s, s:s, s:s, s:O}", "type", "function", "name", tool->spec.name,
        "description", tool->spec.description, "parameters", tool->schema);

    *e = (struct entry){.tool = tool};
    e->definition = tree ? json_dumps(tree, JSON_COMPACT) : NULL;
    json_decref(tree);
    if (group)
        e->group = strdup(group);
    if (e->definition && (e->group || !group))
        return 0;
    entry_deinit(e);
    return UV_ENOMEM;
}

/* Where the name is, or would be. */
static size_t
entry_place(const struct entry *entries, size_t count, const char *name,
            bool *found)
{
    size_t low = 0, high = count;

    *found = false;
    while (low < high && !*found) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, entries[middle].tool->spec.name);

        if (order == 0)
            *found = true;
        if (order > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return high;
}

static void
entry_insert(struct entry *entries, size_t *count, size_t at,
             const struct entry *e)
{
    memmove(&entries[at + 1], &entries[at], (*count - at) * sizeof(*entries));
    entries[at] = *e;
    ++*count;
}

/* --- definitions, with the lock */

static void
set_deinit(struct set *s)
{
    free(s->names);
    tool_value_unref(s->text);
    *s = (struct set){0};
}

static void
sets_clear(struct tool_registry *r)
{
    for (size_t i = 0; i < SETS_KEPT; i++)
        set_deinit(&r->sets[i]);
}

static size_t
names_bytes(const struct policy_names *names)
{
    size_t bytes = 0;

    for (size_t i = 0; i < names->count; i++)
        bytes += strlen(names->items[i]) + 1;
    return bytes;
}

static bool
set_is_of(const struct set *s, const struct policy_names *names)
{
    const char *at = s->names;

    if (!s->text || s->all != names->all)
        return false;
    if (s->all)
        return true;
    for (size_t i = 0; i < names->count; i++) {
        size_t bytes = strlen(names->items[i]) + 1;

        if (bytes > s->names_bytes - (size_t) (at - s->names)
            || memcmp(at, names->items[i], bytes) != 0)
            return false;
        at += bytes;
    }
    return at == s->names + s->names_bytes;
}

static int
set_write(const struct tool_registry *r, const struct policy_names *names,
          struct buffer *out, size_t *count)
{
    int result = buffer_append(out, "[", 1);

    *count = 0;
    for (size_t i = 0; i < r->count && !result; i++) {
        const struct entry *e = &r->entries[i];

        if (!policy_names_have(names, e->tool->spec.name))
            continue;
        if (*count)
            result = buffer_append(out, ",", 1);
        if (!result)
            result = buffer_append(out, e->definition, strlen(e->definition));
        ++*count;
    }
    return result ? result : buffer_append(out, "]", 1);
}

/* The one that was used longest ago makes room. */
static struct set *
set_place(struct tool_registry *r)
{
    struct set *oldest = &r->sets[0];

    for (size_t i = 1; i < SETS_KEPT; i++) {
        if (r->sets[i].used < oldest->used)
            oldest = &r->sets[i];
    }
    set_deinit(oldest);
    return oldest;
}

static struct set *
set_make(struct tool_registry *r, const struct policy_names *names)
{
    struct set made = {.all = names->all};
    struct buffer text;
    char *at;

    made.names_bytes = names->all ? 0 : names_bytes(names);
    made.names = at = malloc(made.names_bytes + 1);
    buffer_init(&text, SET_BYTES);
    if (made.names && set_write(r, names, &text, &made.count) == 0)
        made.text = tool_value_make((const char *) text.data, text.bytes);
    buffer_deinit(&text);
    if (!made.text) {
        set_deinit(&made);
        return NULL;
    }
    for (size_t i = 0; !names->all && i < names->count; i++) {
        size_t bytes = strlen(names->items[i]) + 1;

        memcpy(at, names->items[i], bytes);
        at += bytes;
    }
    struct set *s = set_place(r);
    *s = made;
    return s;
}

struct tool_value *
tool_registry_definitions(struct tool_registry *r,
                          const struct policy_names *names, size_t *count)
{
    static const struct policy_names everything = {.all = true};
    struct tool_value *text = NULL;
    struct set *s = NULL;

    if (!names)
        names = &everything;
    pthread_mutex_lock(&r->lock);
    for (size_t i = 0; i < SETS_KEPT && !s; i++) {
        if (set_is_of(&r->sets[i], names))
            s = &r->sets[i];
    }
    if (!s)
        s = set_make(r, names);
    if (s) {
        s->used = ++r->uses;
        text = tool_value_ref(s->text);
        if (count)
            *count = s->count;
    }
    pthread_mutex_unlock(&r->lock);
    return text;
}

/* --- changes */

static void
changed_tell(struct tool_registry *r)
{
    pthread_mutex_lock(&r->watch_lock);
    if (r->changed)
        r->changed(r->changed_arg);
    pthread_mutex_unlock(&r->watch_lock);
}

static int
add_locked(struct tool_registry *r, const struct entry *e)
{
    bool found;
    size_t at = entry_place(r->entries, r->count, e->tool->spec.name, &found);

    if (found)
        return UV_EEXIST;
    if (r->count == TOOL_REGISTRY_MAX)
        return UV_ENOSPC;
    entry_insert(r->entries, &r->count, at, e);
    r->version++;
    sets_clear(r);
    return 0;
}

int
tool_registry_add(struct tool_registry *r, struct tool **tp)
{
    struct tool *tool = *tp;
    struct entry e;

    *tp = NULL;
    tool->meter = tool_meter_get(tool->spec.name);
    int result = entry_init(&e, tool, NULL);
    if (result)
        return result;
    pthread_mutex_lock(&r->lock);
    result = add_locked(r, &e);
    pthread_mutex_unlock(&r->lock);
    if (result)
        entry_deinit(&e);
    else
        changed_tell(r);
    return result;
}

/* A list of entries under way to take the registry's place, and what will be
 * freed then. */
struct change {
    struct entry *next, *out;
    size_t next_count, out_count;
};

/* What is not of that group stays. */
static void
group_split(const struct tool_registry *r, const char *group, struct change *c)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct entry *e = &r->entries[i];

        if (e->group && strcmp(e->group, group) == 0)
            c->out[c->out_count++] = *e;
        else
            c->next[c->next_count++] = *e;
    }
}

/* Those that find a place. How many don't. */
static unsigned
group_join(struct change *c, const struct entry *made, size_t count)
{
    unsigned refused = 0;

    for (size_t i = 0; i < count; i++) {
        bool found;
        size_t at = entry_place(c->next, c->next_count, made[i].tool->spec.name,
                                &found);

        if (!found && c->next_count < TOOL_REGISTRY_MAX) {
            entry_insert(c->next, &c->next_count, at, &made[i]);
            continue;
        }
        LOG(WARN, "tools", "event=tool_refused tool=%s why=%s",
            made[i].tool->spec.name, found ? "name_taken" : "too_many");
        c->out[c->out_count++] = made[i];
        refused++;
    }
    return refused;
}

/* Entries of a group's tools. Takes the shares; on failure all are gone. */
static struct entry *
group_make(const char *group, struct tool **tools, size_t count)
{
    struct entry *made = calloc(count + 1, sizeof(*made));
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        struct tool *tool = tools[i];

        tools[i] = NULL;
        if (!made) {
            tool_unref(&tool);
            continue;
        }
        tool->meter = tool_meter_get(tool->spec.name);
        if (entry_init(&made[n], tool, group) == 0) {
            n++;
            continue;
        }
        while (n > 0)
            entry_deinit(&made[--n]);
        free(made);
        made = NULL;
    }
    return made;
}

int
tool_registry_replace(struct tool_registry *r, const char *group,
                      struct tool **tools, size_t count, unsigned *refused)
{
    struct entry *made = group_make(group, tools, count);
    struct change c = {
        .next = calloc(TOOL_REGISTRY_MAX, sizeof(*c.next)),
        .out = calloc(TOOL_REGISTRY_MAX + count, sizeof(*c.out)),
    };
    unsigned bad = 0;

    if (!made || !c.next || !c.out) {
        for (size_t i = 0; made && i < count; i++)
            entry_deinit(&made[i]);
        free(made);
        free(c.next);
        free(c.out);
        return UV_ENOMEM;
    }
    pthread_mutex_lock(&r->lock);
    struct entry *before = r->entries;
    group_split(r, group, &c);
    bad = group_join(&c, made, count);
    r->entries = c.next;
    r->count = c.next_count;
    r->version++;
    sets_clear(r);
    pthread_mutex_unlock(&r->lock);
    while (c.out_count > 0)
        entry_deinit(&c.out[--c.out_count]);
    free(before);
    free(c.out);
    free(made);
    if (refused)
        *refused = bad;
    changed_tell(r);
    return 0;
}

/* --- questions */

struct tool *
tool_registry_get(struct tool_registry *r, const char *name)
{
    struct tool *tool = NULL;
    bool found;

    pthread_mutex_lock(&r->lock);
    size_t at = entry_place(r->entries, r->count, name, &found);
    if (found)
        tool = tool_ref(r->entries[at].tool);
    pthread_mutex_unlock(&r->lock);
    return tool;
}

uint64_t
tool_registry_version(struct tool_registry *r)
{
    pthread_mutex_lock(&r->lock);
    uint64_t version = r->version;
    pthread_mutex_unlock(&r->lock);
    return version;
}

size_t
tool_registry_count(struct tool_registry *r)
{
    pthread_mutex_lock(&r->lock);
    size_t count = r->count;
    pthread_mutex_unlock(&r->lock);
    return count;
}

void
tool_registry_watch(struct tool_registry *r, tool_registry_changed_h *changed,
                    void *arg)
{
    pthread_mutex_lock(&r->watch_lock);
    r->changed = changed;
    r->changed_arg = arg;
    pthread_mutex_unlock(&r->watch_lock);
}

/* --- life */

int
tool_registry_create(struct tool_registry **rp)
{
    struct tool_registry *r = calloc(1, sizeof(*r));
    struct entry *entries = calloc(TOOL_REGISTRY_MAX, sizeof(*entries));

    if (!r || !entries) {
        free(r);
        free(entries);
        return UV_ENOMEM;
    }
    r->entries = entries;
    r->version = 1;
    pthread_mutex_init(&r->lock, NULL);
    pthread_mutex_init(&r->watch_lock, NULL);
    *rp = r;
    return 0;
}

void
tool_registry_destroy(struct tool_registry **rp)
{
    struct tool_registry *r = *rp;

    *rp = NULL;
    if (!r)
        return;
    sets_clear(r);
    for (size_t i = 0; i < r->count; i++)
        entry_deinit(&r->entries[i]);
    free(r->entries);
    pthread_mutex_destroy(&r->lock);
    pthread_mutex_destroy(&r->watch_lock);
    free(r);
}
