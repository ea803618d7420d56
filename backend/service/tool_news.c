/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/tool_news.h"

#include "base/clock.h"
#include "base/log.h"
#include "service/event_bus.h"

#include <stdlib.h>

#define SLOW_US 1000000 /* a run worth a line at level info */

/* Who called what. */
struct call {
    const char *tool, *tenant, *session_id, *call_id;
};

static struct call
call_of(const struct tool_origin *origin)
{
    return (struct call){origin->tool->spec.name, origin->tenant,
                         origin->session_id, origin->call_id};
}

static void
text_add(json_t *tree, const char *name, const char *text)
{
    if (text && text[0])
        json_object_set_new(tree, name, json_string(text));
}

static json_t *
call_tree(const struct call *call)
{
    json_t *tree = json_object();

    if (tree) {
        text_add(tree, "tool_name", call->tool);
        text_add(tree, "call_id", call->call_id);
        text_add(tree, "session_id", call->session_id);
    }
    return tree;
}

/* Takes the tree. An event that can't be told is nobody's loss. */
static void
tree_publish(struct event_bus *bus, const struct call *call, const char *type,
             json_t *tree)
{
    char *text = json_dumps(tree, JSON_COMPACT);

    json_decref(tree);
    if (text)
        event_bus_publish(bus, call->tenant, type, text);
    free(text);
}

static void
result_publish(struct event_bus *bus, const struct call *call, bool cached,
               const struct tool_value *value, uint64_t took_us)
{
    json_t *tree = call_tree(call);

    if (!tree)
        return;
    json_object_set_new(tree, "cached", json_boolean(cached));
    json_object_set_new(tree, "truncated", json_boolean(value->truncated));
    json_object_set_new(tree, "duration_ms",
                        json_integer((json_int_t) (took_us / 1000)));
    tree_publish(bus, call, "tool_result", tree);
}

static void
error_publish(struct event_bus *bus, const struct call *call, const char *type,
              uint64_t took_us)
{
    json_t *tree = call_tree(call);

    if (!tree)
        return;
    text_add(tree, "error", type);
    json_object_set_new(tree, "duration_ms",
                        json_integer((json_int_t) (took_us / 1000)));
    tree_publish(bus, call, "tool_error", tree);
}

void
tool_news_call(struct event_bus *bus, const struct tool_origin *origin)
{
    const struct call call = call_of(origin);

    if (bus)
        tree_publish(bus, &call, "tool_call", call_tree(&call));
}

void
tool_news_answer(struct event_bus *bus, const struct tool_origin *origin,
                 const struct tool_outcome *outcome)
{
    const struct call call = call_of(origin);
    uint64_t took_us = clock_now_us() - origin->ordered_us;

    if (!bus)
        return;
    if (outcome->value)
        result_publish(bus, &call, false, outcome->value, took_us);
    else
        error_publish(bus, &call, outcome->type, took_us);
}

void
tool_news_hit(struct event_bus *bus, const struct tool_order *order,
              const struct tool_value *value)
{
    const struct call call = {order->name, order->tenant ? order->tenant : "",
                              order->session_id, order->call_id};

    if (!bus || !order->session_id || !order->session_id[0])
        return;
    tree_publish(bus, &call, "tool_call", call_tree(&call));
    result_publish(bus, &call, true, value, 0);
}

void
tool_news_ran(const char *id, const struct tool_origin *origin,
              const struct tool_outcome *outcome, uint64_t took_us)
{
    const char *how = outcome->value ? "done" : outcome->type;

    if (outcome->value && took_us < SLOW_US)
        LOG(DEBUG, id, "tool=%s session=%s ended=%s duration_us=%llu",
            origin->tool->spec.name, origin->session_id, how,
            (unsigned long long) took_us);
    else
        LOG(INFO, id, "tool=%s session=%s ended=%s duration_us=%llu",
            origin->tool->spec.name, origin->session_id, how,
            (unsigned long long) took_us);
}
