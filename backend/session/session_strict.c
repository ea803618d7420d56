/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   event ─► repair of its type? ─no─► event_id put into the text
 *                │ yes
 *                └─► tree ─► fields filled in, renamed, taken out
 */

#include "session/session_strict.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* A repair notes what it changes. */
struct mender {
    bool changed;
    bool failed; /* no memory */
};

typedef void repair_h(struct mender *m, json_t *event);

bool
session_strict_is_unknown(const struct session_event *e)
{
    return e->type < REALTIME_OUTPUT_AUDIO_DELTA;
}

bool
session_strict_has_id(const struct session_event *e)
{
    struct realtime_span id = e->peek.value[REALTIME_KEY_EVENT_ID];

    return id.text && id.text[0] == '"' && id.bytes > 2;
}

/* Takes the value. */
static void
put(struct mender *m, json_t *object, const char *key, json_t *value)
{
    m->changed = true;
    if (!value || json_object_set_new(object, key, value))
        m->failed = true;
}

static void
put_missing(struct mender *m, json_t *object, const char *key, json_t *value)
{
    if (json_object_get(object, key))
        json_decref(value);
    else
        put(m, object, key, value);
}

static bool
is_text(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

static void
put_text(struct mender *m, json_t *object, const char *key, const char *text)
{
    if (!is_text(json_object_get(object, key), text))
        put(m, object, key, json_string(text));
}

/* A whole number, whatever stood there. */
static void
put_count(struct mender *m, json_t *object, const char *key, json_int_t missing)
{
    const json_t *value = json_object_get(object, key);

    if (json_is_integer(value))
        return;
    if (json_is_real(value) && json_real_value(value) >= 0
        && json_real_value(value) < 1e15)
        missing = (json_int_t) json_real_value(value);
    put(m, object, key, json_integer(missing));
}

/* The member as an object, made when it is none. */
static json_t *
object_need(struct mender *m, json_t *object, const char *key)
{
    if (!json_is_object(json_object_get(object, key)))
        put(m, object, key, json_object());
    return json_object_get(object, key);
}

/* The member as an array, made when it is none. */
static json_t *
array_need(struct mender *m, json_t *object, const char *key)
{
    if (!json_is_array(json_object_get(object, key)))
        put(m, object, key, json_array());
    return json_object_get(object, key);
}

/* --- usage */

static json_int_t
count_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* What is not told apart counts as text. */
static void
tokens_repair(struct mender *m, json_t *details, json_int_t all)
{
    json_int_t rest = all - count_of(details, "audio_tokens")
                      - count_of(details, "image_tokens");

    put_count(m, details, "text_tokens", rest > 0 ? rest : 0);
    put_count(m, details, "audio_tokens", 0);
}

static void
input_repair(struct mender *m, json_t *details, json_int_t all)
{
    tokens_repair(m, details, all);
    put_count(m, details, "image_tokens", 0);
    put_count(m, details, "cached_tokens", 0);
    json_t *cached = object_need(m, details, "cached_tokens_details");
    tokens_repair(m, cached, count_of(details, "cached_tokens"));
    put_count(m, cached, "image_tokens", 0);
}

static void
usage_repair(struct mender *m, json_t *response)
{
    json_t *usage = object_need(m, response, "usage");

    put_count(m, usage, "input_tokens", 0);
    put_count(m, usage, "output_tokens", 0);
    json_int_t input = count_of(usage, "input_tokens");
    json_int_t output = count_of(usage, "output_tokens");
    put_count(m, usage, "total_tokens", input + output);
    input_repair(m, object_need(m, usage, "input_token_details"), input);
    tokens_repair(m, object_need(m, usage, "output_token_details"), output);
}

/* --- parts of events */

static void
item_repair(struct mender *m, json_t *item)
{
    const json_t *type = json_object_get(item, "type");

    if (!json_is_object(item))
        return;
    if (is_text(type, "message"))
        array_need(m, item, "content");
    if (is_text(type, "function_call")
        && !json_is_string(json_object_get(item, "arguments")))
        put(m, item, "arguments", json_string(""));
}

static void
response_repair(struct mender *m, json_t *response, const char *status)
{
    const json_t *details = json_object_get(response, "status_details");
    size_t i;
    json_t *item;

    put_text(m, response, "object", "realtime.response");
    put_missing(m, response, "status", json_string(status));
    if (!json_is_object(details) && !json_is_null(details))
        put(m, response, "status_details", json_null());
    json_array_foreach(array_need(m, response, "output"), i, item)
        item_repair(m, item);
    put_missing(m, response, "metadata", json_null());
}

static void
part_nulls_remove(struct mender *m, json_t *part)
{
    const char *key;
    json_t *value;
    void *next;

    json_object_foreach_safe(part, next, key, value)
    {
        if (!json_is_null(value))
            continue;
        json_object_del(part, key);
        m->changed = true;
    }
}

/* --- by type */

static void
session_repair(struct mender *m, json_t *event)
{
    json_t *session = object_need(m, event, "session");
    const json_t *object = json_object_get(session, "object");
    bool transcribes =
        is_text(json_object_get(session, "type"), "transcription");

    if (!transcribes)
        put_text(m, session, "type", "realtime");
    if (!is_text(object, "realtime.session")
        && !is_text(object, "realtime.transcription_session"))
        put_text(m, session, "object",
                 transcribes ? "realtime.transcription_session"
                             : "realtime.session");
}

static void
response_created_repair(struct mender *m, json_t *event)
{
    json_t *response = object_need(m, event, "response");

    response_repair(m, response, "in_progress");
    put_missing(m, response, "usage", json_null());
}

static void
response_done_repair(struct mender *m, json_t *event)
{
    json_t *response = object_need(m, event, "response");

    response_repair(m, response, "completed");
    usage_repair(m, response);
}

static void
item_event_repair(struct mender *m, json_t *event)
{
    put_missing(m, event, "previous_item_id", json_null());
    item_repair(m, json_object_get(event, "item"));
}

static void
item_holder_repair(struct mender *m, json_t *event)
{
    item_repair(m, json_object_get(event, "item"));
}

static void
part_event_repair(struct mender *m, json_t *event)
{
    json_t *part = object_need(m, event, "part");
    const json_t *type = json_object_get(part, "type");

    part_nulls_remove(m, part);
    if (is_text(type, "output_text"))
        put_text(m, part, "type", "text");
    else if (!is_text(type, "text"))
        put_text(m, part, "type", "audio");
    put_missing(m, part,
                is_text(json_object_get(part, "type"), "text") ? "text"
                                                               : "transcript",
                json_string(""));
}

static void
heard_repair(struct mender *m, json_t *event)
{
    json_t *usage = json_object_get(event, "usage");

    put_count(m, event, "content_index", 0);
    if (!json_is_string(json_object_get(event, "transcript")))
        put(m, event, "transcript", json_string(""));
    if (usage && !json_is_object(usage)) {
        json_object_del(event, "usage");
        m->changed = true;
        return;
    }
    if (!is_text(json_object_get(usage, "type"), "tokens"))
        return;
    put_count(m, usage, "input_tokens", 0);
    put_count(m, usage, "output_tokens", 0);
    put_count(m, usage, "total_tokens",
              count_of(usage, "input_tokens")
                  + count_of(usage, "output_tokens"));
    tokens_repair(m, object_need(m, usage, "input_token_details"),
                  count_of(usage, "input_tokens"));
}

static void
rate_limits_repair(struct mender *m, json_t *event)
{
    json_t *limits = array_need(m, event, "rate_limits");

    for (size_t i = json_array_size(limits); i-- > 0;) {
        const json_t *name = json_object_get(json_array_get(limits, i), "name");
        if (is_text(name, "requests") || is_text(name, "tokens"))
            continue;
        json_array_remove(limits, i);
        m->changed = true;
    }
}

static void
error_repair(struct mender *m, json_t *event)
{
    static const char *const optional[] = {"code", "param", "event_id"};
    const json_t *error = json_object_get(event, "error");

    if (json_is_string(error))
        put(m, event, "error", json_pack("{s:O}", "message", error));
    json_t *object = object_need(m, event, "error");
    put_missing(m, object, "type", json_string("server_error"));
    if (!json_is_string(json_object_get(object, "message")))
        put(m, object, "message", json_string("The model reports an error."));
    for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
        put_missing(m, object, optional[i], json_null());
}

static repair_h *const repairs[REALTIME_TYPE_COUNT] = {
    [REALTIME_SESSION_CREATED] = session_repair,
    [REALTIME_SESSION_UPDATED] = session_repair,
    [REALTIME_RESPONSE_CREATED] = response_created_repair,
    [REALTIME_RESPONSE_DONE] = response_done_repair,
    [REALTIME_ITEM_ADDED] = item_event_repair,
    [REALTIME_ITEM_DONE] = item_event_repair,
    [REALTIME_ITEM_RETRIEVED] = item_holder_repair,
    [REALTIME_OUTPUT_ITEM_ADDED] = item_holder_repair,
    [REALTIME_OUTPUT_ITEM_DONE] = item_holder_repair,
    [REALTIME_PART_ADDED] = part_event_repair,
    [REALTIME_PART_DONE] = part_event_repair,
    [REALTIME_HEARD_COMPLETED] = heard_repair,
    [REALTIME_RATE_LIMITS] = rate_limits_repair,
    [REALTIME_ERROR] = error_repair,
};

/* The text with the id as its first member. */
static int
id_insert(struct session_event *e, const char *event_id)
{
    const char *rest = memchr(e->json, '{', e->bytes);
    size_t room = e->bytes + strlen(event_id) + 32;
    char *text = malloc(room);

    if (!text)
        return UV_ENOMEM;
    size_t left = e->bytes - (size_t) (++rest - e->json);
    int head = snprintf(text, room, "{\"event_id\":\"%s\",", event_id);
    memcpy(text + head, rest, left);
    text[(size_t) head + left] = 0;
    session_event_replace(e, &text, (size_t) head + left);
    return 0;
}

int
session_strict_apply(struct session_event *e, const char *event_id,
                     bool *changed)
{
    repair_h *repair = repairs[e->type];
    struct mender m = {false, false};

    *changed = false;
    /* The text may be behind a tree that another has changed. */
    if (!repair && !e->tree && event_id
        && !e->peek.value[REALTIME_KEY_EVENT_ID].text)
        return id_insert(e, event_id);
    if (!repair && !event_id)
        return 0;
    json_t *event = session_event_tree(e);
    if (!event)
        return UV_EINVAL;
    if (repair)
        repair(&m, event);
    *changed = m.changed;
    if (event_id)
        put(&m, event, "event_id", json_string(event_id));
    if (m.changed)
        session_event_touch(e);
    return m.failed ? UV_ENOMEM : 0;
}
