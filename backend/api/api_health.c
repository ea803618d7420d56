/* SPDX-License-Identifier: BSD-2-Clause */

#include "api/api_health.h"

#include "config.h"
#include "service/tool_registry.h"
#include "session/session_registry.h"

#include <stdlib.h>
#include <string.h>

static const char *
health_state(struct api_context *api)
{
    if (atomic_load_explicit(&api->draining, memory_order_relaxed)) {
        return "draining";
    }
    return atomic_load_explicit(&api->ready, memory_order_relaxed) ? "healthy"
                                                                   : "starting";
}

static bool
health_is_good(const char *state)
{
    return strcmp(state, "healthy") == 0;
}

void
api_health(struct gate_request *rq, struct api_context *api)
{
    const char *state = health_state(api);
    json_int_t tools =
        api->tools ? (json_int_t) tool_registry_count(api->tools) : 0;
    json_t *tree = json_pack("{s:s, s:s, s:s, s:{s:b, s:I}, s:s?}", "status",
                             state, "version", VOICE_VERSION, "assistant_name",
                             "ngx-voice", "amplifier", "enabled", tools > 0,
                             "tools_count", tools, "model", api->model_name);

    api_json(rq, health_is_good(state) ? 200 : 503, &tree);
}

void
api_health_live(struct gate_request *rq, struct api_context *api)
{
    static const char alive[] = "{\"status\":\"alive\"}";

    (void) api;
    api_json_text(rq, 200, alive, sizeof(alive) - 1);
}

void
api_health_ready(struct gate_request *rq, struct api_context *api)
{
    static const char ready[] = "{\"status\":\"ready\"}";
    static const char not_ready[] = "{\"status\":\"not_ready\"}";

    if (health_is_good(health_state(api))) {
        api_json_text(rq, 200, ready, sizeof(ready) - 1);
    } else {
        api_json_text(rq, 503, not_ready, sizeof(not_ready) - 1);
    }
}

/* A tenant sees its own. */
static json_t *
sessions_of(json_t *all, const char *tenant)
{
    json_t *mine = json_array(), *entry;
    size_t i;

    json_array_foreach(all, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "tenant"));

        if (name != NULL && strcmp(name, tenant) == 0) {
            json_array_append(mine, entry);
        }
    }
    return mine;
}

void
api_sessions_live(struct gate_request *rq, struct api_context *api)
{
    char *text = session_registry_list(api->sessions);
    json_t *all = text != NULL ? json_loads(text, 0, NULL) : NULL;
    json_t *tree = NULL;

    if (all != NULL) {
        tree = json_pack("{s:o}", "sessions", sessions_of(all, api_tenant(rq)));
    }
    json_decref(all);
    free(text);
    api_json(rq, 200, &tree);
}
