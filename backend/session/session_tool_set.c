/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tool_set.h"

#include <string.h>
#include <uv.h>

static const char *
name_of(const json_t *definition)
{
    const char *type = json_string_value(json_object_get(definition, "type"));
    const char *name = json_string_value(json_object_get(definition, "name"));

    return type && strcmp(type, "function") != 0 ? NULL : name;
}

/* The names of the list, each with its place; NULL: no memory. */
static json_t *
names_make(const json_t *list)
{
    json_t *names = json_object();
    const json_t *definition;
    size_t index;
    int failed = !names;

    json_array_foreach(list, index, definition)
    {
        const char *name = name_of(definition);
        if (name)
            failed |= json_object_set_new(names, name,
                                          json_integer((json_int_t) index));
    }
    if (failed) {
        json_decref(names);
        names = NULL;
    }
    return names;
}

/* Takes the place of what *at holds. */
static void
put(json_t **at, json_t *value)
{
    json_decref(*at);
    *at = value;
}

int
session_tool_set_renew(struct session_tool_set *set, const char *definitions,
                       size_t bytes)
{
    json_t *server =
        json_loadb(definitions, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *names = names_make(server);

    if (!json_is_array(server) || !names) {
        bool broken = names != NULL;
        json_decref(server);
        json_decref(names);
        return broken ? UV_EINVAL : UV_ENOMEM;
    }
    if (set->names && json_object_update(set->gone, set->names)) {
        json_decref(server);
        json_decref(names);
        return UV_ENOMEM;
    }
    bool differs = !json_equal(server, set->server);
    put(&set->server, server);
    put(&set->names, names);
    return differs;
}

int
session_tool_set_open(struct session_tool_set *set, const char *definitions,
                      size_t bytes)
{
    int result;

    set->own = json_array();
    set->client = json_object();
    set->gone = json_object();
    if (!set->own || !set->client || !set->gone)
        return UV_ENOMEM;
    result = session_tool_set_renew(set, definitions, bytes);
    return result < 0 ? result : 0;
}

void
session_tool_set_deinit(struct session_tool_set *set)
{
    json_decref(set->server);
    json_decref(set->names);
    json_decref(set->gone);
    json_decref(set->own);
    json_decref(set->client);
    memset(set, 0, sizeof(*set));
}

size_t
session_tool_set_count(const struct session_tool_set *set)
{
    return json_array_size(set->server);
}

bool
session_tool_set_has(const struct session_tool_set *set, const char *name)
{
    return (json_object_get(set->names, name)
            || json_object_get(set->gone, name))
           && !json_object_get(set->client, name);
}

/* These are the client's now, and those alone. */
static int
client_note(struct session_tool_set *set, const json_t *tools)
{
    json_t *own = json_is_array(tools) ? json_deep_copy(tools) : json_array();
    json_t *client = names_make(own);

    if (!own || !client) {
        json_decref(own);
        json_decref(client);
        return UV_ENOMEM;
    }
    put(&set->own, own);
    put(&set->client, client);
    return 0;
}

json_t *
session_tool_set_told(const struct session_tool_set *set)
{
    json_t *all = json_array();
    json_t *definition;
    size_t index;
    int failed = !all;

    json_array_foreach(set->server, index, definition)
    {
        const char *name = name_of(definition);
        if (!name || session_tool_set_has(set, name))
            failed |= json_array_append(all, definition);
    }
    failed |= json_array_extend(all, set->own);
    if (failed) {
        json_decref(all);
        all = NULL;
    }
    return all;
}

int
session_tool_set_lay(struct session_tool_set *set, json_t *session, bool begins)
{
    json_t *own = json_object_get(session, "tools");

    if (!own && !begins)
        return 0;
    if (own && !json_is_array(own) && !json_is_null(own))
        return 0; /* the model's to refuse */
    if (client_note(set, own))
        return UV_ENOMEM;
    if (json_array_size(set->server) == 0)
        return 0;
    return json_object_set_new(session, "tools", session_tool_set_told(set))
               ? UV_ENOMEM
               : 1;
}

/* A provider may add to a definition; its words stay. */
static bool
is_our_word(const struct session_tool_set *set, const json_t *definition)
{
    const char *name = name_of(definition);
    const json_t *place = name ? json_object_get(set->names, name) : NULL;
    const json_t *own =
        json_array_get(set->server, (size_t) json_integer_value(place));

    return place
           && json_equal(json_object_get(own, "description"),
                         json_object_get(definition, "description"));
}

json_t *
session_tool_set_restore(struct session_tool_set *set, const json_t *session)
{
    const json_t *shown = json_object_get(session, "tools");
    json_t *own = json_array();
    json_t *definition, *told;
    size_t index, there = 0;

    json_array_foreach(shown, index, definition)
    {
        if (is_our_word(set, definition))
            there++;
        else
            json_array_append(own, definition);
    }
    told = client_note(set, own) ? NULL : session_tool_set_told(set);
    if (there + json_array_size(own) >= json_array_size(told)) {
        json_decref(told);
        told = NULL;
    }
    json_decref(own);
    return told;
}

int
session_tool_set_guard(const struct session_tool_set *set, json_t *response)
{
    json_t *tools = json_object_get(response, "tools");
    int changed = 0;

    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *name = name_of(json_array_get(tools, i));
        const json_t *own = name ? json_object_get(set->names, name) : NULL;
        if (!own || !session_tool_set_has(set, name))
            continue;
        json_int_t place = json_integer_value(own);
        if (json_array_set(tools, i,
                           json_array_get(set->server, (size_t) place)))
            return UV_ENOMEM;
        changed = 1;
    }
    return changed;
}

bool
session_tool_set_hide(const struct session_tool_set *set, json_t *session)
{
    json_t *tools = json_object_get(session, "tools");
    bool changed = false;

    for (size_t i = json_array_size(tools); i-- > 0;) {
        const char *name = name_of(json_array_get(tools, i));
        if (!name || json_object_get(set->client, name))
            continue;
        json_array_remove(tools, i);
        changed = true;
    }
    return changed;
}
