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

int
session_tool_set_open(struct session_tool_set *set, const char *definitions,
                      size_t bytes)
{
    const json_t *definition;
    size_t index;
    int failed;

    set->server = json_loadb(definitions, bytes, JSON_REJECT_DUPLICATES, NULL);
    set->names = json_object();
    set->client = json_object();
    failed = !set->names || !set->client;
    json_array_foreach(set->server, index, definition)
    {
        const char *name = name_of(definition);
        if (name)
            failed |= json_object_set_new(set->names, name,
                                          json_integer((json_int_t) index));
    }
    if (failed)
        return UV_ENOMEM;
    return json_is_array(set->server) ? 0 : UV_EINVAL;
}

void
session_tool_set_deinit(struct session_tool_set *set)
{
    json_decref(set->server);
    json_decref(set->names);
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
    return json_object_get(set->names, name)
           && !json_object_get(set->client, name);
}

/* The names in the list are the client's now, and those alone. */
static int
client_note(struct session_tool_set *set, const json_t *tools)
{
    const json_t *definition;
    size_t index;
    int failed = 0;

    json_object_clear(set->client);
    json_array_foreach(tools, index, definition)
    {
        const char *name = name_of(definition);
        if (name)
            failed |= json_object_set_new(set->client, name, json_true());
    }
    return failed ? UV_ENOMEM : 0;
}

int
session_tool_set_lay(struct session_tool_set *set, json_t *session, bool begins)
{
    json_t *own = json_object_get(session, "tools");
    json_t *definition, *all;
    size_t index;
    int failed;

    if (!own && !begins)
        return 0;
    if (own && !json_is_array(own) && !json_is_null(own))
        return 0; /* the model's to refuse */
    all = json_array();
    failed = !all || client_note(set, own);
    json_array_foreach(set->server, index, definition)
    {
        const char *name = name_of(definition);
        if (!name || session_tool_set_has(set, name))
            failed |= json_array_append(all, definition);
    }
    if (json_is_array(own))
        failed |= json_array_extend(all, own);
    failed |= json_object_set_new(session, "tools", all);
    return failed ? UV_ENOMEM : 1;
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
    json_t *next = json_object(), *own = json_array();
    json_t *definition, *tools = NULL;
    size_t index, there = 0, wanted = 0;

    json_array_foreach(shown, index, definition)
    {
        if (is_our_word(set, definition))
            there++;
        else
            json_array_append(own, definition);
    }
    json_object_set(next, "tools", own);
    if (session_tool_set_lay(set, next, true) == 1) {
        tools = json_object_get(next, "tools");
        wanted = json_array_size(tools) - json_array_size(own);
    }
    tools = there < wanted ? json_incref(tools) : NULL;
    json_decref(own);
    json_decref(next);
    return tools;
}

int
session_tool_set_guard(const struct session_tool_set *set, json_t *response)
{
    json_t *tools = json_object_get(response, "tools");
    int changed = 0;

    for (size_t i = 0; i < json_array_size(tools); i++) {
        const char *name = name_of(json_array_get(tools, i));
        if (!name || !session_tool_set_has(set, name))
            continue;
        json_int_t place =
            json_integer_value(json_object_get(set->names, name));
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
        if (!name || !session_tool_set_has(set, name))
            continue;
        json_array_remove(tools, i);
        changed = true;
    }
    return changed;
}
