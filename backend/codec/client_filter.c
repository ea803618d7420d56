/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   text ─► tree ─► keys, session, response, item checked, merged ─► text
 */

#include "codec/client_filter.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

/* Audio and nothing else: nearly all there is, and it can say nothing else. */
static bool
is_plain_append(const struct realtime_peek *peek)
{
    if (peek->type != REALTIME_AUDIO_APPEND || !peek->known_keys)
        return false;
    for (int key = 0; key < REALTIME_KEY_COUNT; key++)
        if (peek->value[key].text && key != REALTIME_KEY_TYPE
            && key != REALTIME_KEY_EVENT_ID && key != REALTIME_KEY_AUDIO)
            return false;
    return true;
}

/* Whatever has a session or a response, or a key that no event of the API has
 * (a model beside its place), is looked at under any policy. */
bool
client_filter_is_needed(const struct policy *policy,
                        const struct realtime_peek *peek)
{
    if (is_plain_append(peek))
        return false;
    if (policy->client_update != POLICY_UPDATE_ALLOW)
        return true;
    return !peek->known_keys || peek->value[REALTIME_KEY_SESSION].text
           || peek->value[REALTIME_KEY_RESPONSE].text;
}

static int
forbid(struct client_filter *f, const char *param)
{
    f->error.code = "forbidden";
    f->error.message = "The configuration of this server does not let a "
                       "client set this.";
    f->error.param = param;
    return UV_EACCES;
}

static int
reject(struct client_filter *f, const char *param, const char *message)
{
    f->error.code = "invalid_value";
    f->error.message = message;
    f->error.param = param;
    return UV_EINVAL;
}

/* The names of a group's keys, for error.param. */
struct group {
    const char *key;
    const char *instructions;
    const char *tools;
    const char *model;
    const char *prompt;
};

static const struct group session_group = {"session", "session.instructions",
                                           "session.tools", "session.model",
                                           "session.prompt"};
static const struct group response_group = {"response", "response.instructions",
                                            "response.tools", "response.model",
                                            "response.prompt"};

/* Whether `key` is `plain` to a server that does not mind the case of keys;
 * such a one folds some characters beyond ASCII too. */
static bool
key_is_disguised(const char *key)
{
    static const char *const guarded[] = {
        "type", "session", "response", "item",  "instructions", "tools",
        "role", "prompt",  "model",    "input", "conversation"};

    for (const char *p = key; *p; p++)
        if ((unsigned char) *p > 127)
            return true;
    for (size_t i = 0; i < sizeof(guarded) / sizeof(guarded[0]); i++)
        if (strcasecmp(key, guarded[i]) == 0 && strcmp(key, guarded[i]) != 0)
            return true;
    return false;
}

/* Of one object; what is none has no keys. */
static int
keys_check(struct client_filter *f, json_t *object)
{
    const char *key;
    json_t *value;

    json_object_foreach(object, key, value) if (key_is_disguised(key))
    {
        f->error.code = "invalid_event";
        f->error.message = "A key of the event is no key of the API, but "
                           "could be taken for one.";
        return UV_EINVAL;
    }
    return 0;
}

static int
instructions_merge(struct client_filter *f, json_t *from, const char *text)
{
    const char *first = f->policy->instructions;
    json_t *merged;

    if (!first)
        return 0;
    merged = *text ? json_sprintf("%s\n\n%s", first, text) : json_string(first);
    if (!merged)
        return UV_ENOMEM;
    return json_object_set_new(from, "instructions", merged) ? UV_ENOMEM : 0;
}

static int
instructions_check(struct client_filter *f, json_t *from, const struct group *g)
{
    json_t *value = json_object_get(from, "instructions");
    const char *text = json_string_value(value);

    if (!value)
        return 0;
    if (json_is_null(value))
        text = "";
    if (!text)
        return reject(f, g->instructions, "Instructions must be a text.");
    if (f->policy->client_update == POLICY_UPDATE_MERGE)
        return instructions_merge(f, from, text);
    if (f->policy->instructions && strcmp(text, f->policy->instructions) == 0)
        return 0;
    return forbid(f, g->instructions);
}

/* `same` values change nothing and are left out; others are forbidden. */
static int
other_check(struct client_filter *f, json_t *from, const struct group *g)
{
    json_t *model = json_object_get(from, "model");
    json_t *tools = json_object_get(from, "tools");
    json_t *prompt = json_object_get(from, "prompt");

    if (prompt && !json_is_null(prompt))
        return forbid(f, g->prompt);
    if (model
        && (!json_is_string(model)
            || strcmp(json_string_value(model), f->model) != 0))
        return forbid(f, g->model);
    json_object_del(from, "model");
    if (!tools || f->policy->client_update == POLICY_UPDATE_MERGE)
        return 0;
    if (!json_is_array(tools) || json_array_size(tools))
        return forbid(f, g->tools);
    json_object_del(from, "tools");
    return 0;
}

static int
item_check(struct client_filter *f, json_t *item, const char *param)
{
    const json_t *value = json_object_get(item, "role");
    const char *role = json_string_value(value);
    int result = keys_check(f, item);

    if (result || f->policy->client_update != POLICY_UPDATE_DENY || !value)
        return result;
    if (role && (strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0))
        return 0;
    return forbid(f, param);
}

static int
group_check(struct client_filter *f, json_t *event, const struct group *g)
{
    json_t *from = json_object_get(event, g->key);
    size_t index;
    json_t *item;

    if (!from)
        return 0;
    if (!json_is_object(from))
        return reject(f, g->key, "This must be an object.");
    int result = keys_check(f, from);
    if (!result)
        result = instructions_check(f, from, g);
    if (!result)
        result = other_check(f, from, g);
    json_array_foreach(json_object_get(from, "input"), index, item) if (!result)
        result = item_check(f, item, "response.input");
    return result;
}

/* --- a client that may set all but the model */

static int
model_check(struct client_filter *f, json_t *from, const char *param)
{
    json_t *model = json_object_get(from, "model");
    const char *name = json_string_value(model);
    const char *found;

    if (!f->policy->model || !json_is_object(from))
        return 0;
    int result = keys_check(f, from);
    if (result || !model || json_is_null(model))
        return result;
    if (name && *name
        && (strcmp(name, f->model) == 0
            || policy_model(f->policy, name, &found) == 0))
        return 0;
    return forbid(f, param);
}

/* A prompt template may name a model too. */
static int
models_check(struct client_filter *f, json_t *event)
{
    static const struct group *const groups[] = {&session_group,
                                                 &response_group};
    int result = model_check(f, event, "model");

    for (size_t i = 0; !result && i < 2; i++) {
        json_t *from = json_object_get(event, groups[i]->key);
        result = model_check(f, from, groups[i]->model);
        if (!result)
            result = model_check(f, json_object_get(from, "prompt"),
                                 groups[i]->prompt);
    }
    return result;
}

/* What some servers take from beside its place. */
static int
top_check(struct client_filter *f, json_t *event)
{
    static const char *const misplaced[] = {"instructions", "tools", "prompt",
                                            "model"};
    int result = keys_check(f, event);

    for (size_t i = 0; !result && i < 4; i++)
        if (json_object_get(event, misplaced[i]))
            result = forbid(f, misplaced[i]);
    return result;
}

/* A part is looked at wherever it stands: who knows what a server makes of a
 * session in an event that has none. */
static int
event_check(struct client_filter *f, enum realtime_type type, json_t *event)
{
    int result = top_check(f, event);

    if (result)
        return result;
    if (type == REALTIME_OTHER || type > REALTIME_RESPONSE_CANCEL)
        return reject(f, "type", "No such event, or not allowed here.");
    result = group_check(f, event, &session_group);
    if (!result)
        result = group_check(f, event, &response_group);
    if (!result)
        result = item_check(f, json_object_get(event, "item"), "item.role");
    return result;
}

int
client_filter_apply(struct client_filter *f, const struct realtime_peek *peek,
                    const char *text, size_t bytes)
{
    json_t *event = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    int result;

    memset(&f->error, 0, sizeof(f->error));
    f->error.event_id = peek->value[REALTIME_KEY_EVENT_ID];
    f->text = NULL;
    if (!event) {
        result = reject(f, NULL,
                        "The event can't be read: a key comes twice, or a "
                        "number or text is out of bounds.");
        f->error.code = "invalid_event";
        return result;
    }
    if (f->policy->client_update == POLICY_UPDATE_ALLOW)
        result = models_check(f, event);
    else
        result = event_check(f, peek->type, event);
    if (!result && f->turns && peek->type == REALTIME_SESSION_UPDATE)
        result = turn_detection_complete(f->turns, f->policy,
                                         json_object_get(event, "session"));
    if (!result) {
        f->text = json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15));
        if (f->text)
            f->bytes = strlen(f->text);
        else
            result = UV_ENOMEM;
    }
    json_decref(event);
    return result;
}
