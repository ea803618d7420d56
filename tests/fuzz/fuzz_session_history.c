/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A conversation in lines, each a text up ('>') or down ('<'), or '!': the
 * model is lost. What is told then is JSON, has its ids, no id twice, no output
 * without its call; and to close twice says nothing more.
 */

#include "session/session_history.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define CHECK(ok)                                                              \
    do {                                                                       \
        if (!(ok))                                                             \
            abort();                                                           \
    } while (0)

static const char *
text_at(const json_t *event, const char *object, const char *key)
{
    const json_t *from = object ? json_object_get(event, object) : event;
    const char *text = json_string_value(json_object_get(from, key));

    return text ? text : "";
}

static json_t *
event_of(const char *json, size_t bytes)
{
    json_t *event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);

    CHECK(json[bytes] == 0 && event);
    CHECK(text_at(event, NULL, "type")[0]);
    return event;
}

static void
on_closed(void *arg, const char *json, size_t bytes)
{
    unsigned *count = arg;
    json_t *event = event_of(json, bytes);

    CHECK(strncmp(text_at(event, NULL, "event_id"), "event_", 6) == 0);
    ++*count;
    json_decref(event);
}

struct replay {
    json_t *ids, *calls, *outputs;
};

static void
on_replayed(void *arg, const char *item_id, const char *json, size_t bytes)
{
    struct replay *replay = arg;
    json_t *event = event_of(json, bytes);
    const char *type = text_at(event, "item", "type");
    const char *call_id = text_at(event, "item", "call_id");

    CHECK(strcmp(text_at(event, NULL, "event_id"),
                 item_id ? item_id : SESSION_HISTORY_SETTINGS)
          == 0);
    if (item_id) {
        CHECK(strlen(item_id) <= 32);
        CHECK(strcmp(text_at(event, "item", "id"), item_id) == 0);
        CHECK(!json_object_get(replay->ids, item_id));
        json_object_set_new(replay->ids, item_id, json_true());
    }
    if (strcmp(type, "function_call") == 0) {
        CHECK(!json_object_get(replay->calls, call_id));
        json_object_set_new(replay->calls, call_id, json_true());
    } else if (strcmp(type, "function_call_output") == 0) {
        CHECK(json_object_get(replay->calls, call_id));
        CHECK(!json_object_get(replay->outputs, call_id));
        json_object_set_new(replay->outputs, call_id, json_true());
    }
    json_decref(event);
}

static void
on_resumed(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    json_decref(event_of(json, bytes));
}

static void
lose(struct session_history *h)
{
    struct replay replay = {json_object(), json_object(), json_object()};
    unsigned told = 0, again = 0;

    CHECK(session_history_close_response(h, on_closed, &told) == 0);
    CHECK(session_history_close_response(h, on_closed, &again) == 0);
    CHECK(again == 0);
    CHECK(session_history_replay(h, on_replayed, &replay) == 0);
    CHECK(session_history_resume(h, on_resumed, NULL) == 0);
    json_decref(replay.ids);
    json_decref(replay.calls);
    json_decref(replay.outputs);
}

static void
up(struct session_history *h, const char *text, size_t bytes)
{
    struct realtime_peek peek;
    unsigned told = 0;

    if (realtime_peek(text, bytes, &peek))
        return;
    if (session_history_answers(h, &peek, on_closed, &told)) {
        CHECK(told == 1);
        return;
    }
    if (peek.type == REALTIME_AUDIO_APPEND)
        session_history_audio(h, peek.value[REALTIME_KEY_AUDIO]);
    session_history_up(h, peek.type, text, bytes);
}

static void
line_feed(struct session_history *h, const uint8_t *line, size_t bytes)
{
    char *text;

    if (line[0] == '!') {
        lose(h);
        return;
    }
    text = malloc(bytes);
    CHECK(text);
    memcpy(text, line + 1, bytes - 1);
    text[--bytes] = 0;
    if (line[0] == '>')
        up(h, text, bytes);
    else
        session_history_down(h, realtime_type_of(text, bytes), text, bytes);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct session_history *h;
    struct session_history_figures figures;
    size_t at = 0;

    CHECK(session_history_create(&h) == 0);
    while (at < bytes) {
        const uint8_t *end = memchr(data + at, '\n', bytes - at);
        size_t n = (end ? (size_t) (end - data) : bytes) - at;
        if (n > 0)
            line_feed(h, data + at, n);
        at += n + 1;
    }
    lose(h);
    session_history_figures(h, &figures);
    CHECK(figures.items > 0 || figures.bytes == 0);
    session_history_destroy(&h);
    return 0;
}
