/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Conversations made of chance, cut at every step: the model is gone, what it
 * had not said yet and what it had not read is lost. A client made of what it
 * was told knows what must hold.
 *
 *   client ─► inbox ─► model ─► outbox ─► client (view, what is open)
 *      └──────── history ◄─────────┘
 */

#include "session/session_history.h"

#include "kit/history_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 200
#define SEEDS 3

struct world {
    struct session_history *history;
    uint32_t seed;
    unsigned ids;
    json_t *inbox;    /* the client's events that the model has not read */
    json_t *outbox;   /* the model's that nobody has heard */
    json_t *model;    /* ids of the model's conversation, in order */
    json_t *view;     /* the client's: {id, call_id?, output?, whole} */
    json_t *open;     /* what the client has been told of, and no end */
    json_t *owed;     /* call_id of calls that the client will answer */
    json_t *answered; /* call_id: how often the model has got an output */
    char main[32];    /* the open response of the conversation */
    unsigned items, whole, calls; /* of it, as the client has been told */
    unsigned asked;    /* response.create that has led to nothing yet */
    unsigned resumed;  /* response.create, by the last resume */
    bool speaks, turn; /* of the user; a turn of his has no response yet */
    bool active;       /* a response of the conversation is wanted or open */
};

static uint32_t
chance(struct world *w, uint32_t n)
{
    w->seed = w->seed * 1664525u + 1013904223u;
    return (w->seed >> 16) % n;
}

static char *
new_id(struct world *w, const char *kind)
{
    static char ids[8][32];
    char *id = ids[w->ids % 8];

    snprintf(id, sizeof(ids[0]), "%s_%u", kind, w->ids++);
    return id;
}

static ssize_t
place(const json_t *list, const char *id)
{
    const json_t *one;
    size_t i;

    json_array_foreach(list, i, one) if (strcmp(json_is_string(one)
                                                    ? json_string_value(one)
                                                    : history_at(one, "id"),
                                                id)
                                         == 0) return (ssize_t) i;
    return -1;
}

/* --- what the client makes of it */

static void
open_set(struct world *w, const char *a, const char *b, bool open)
{
    char key[128];

    snprintf(key, sizeof(key), "%s %s", a, b);
    if (open) {
        assert_null(json_object_get(w->open, key));
        json_object_set_new(w->open, key, json_true());
    } else {
        assert_int_equal(json_object_del(w->open, key), 0);
    }
}

static json_t *
view_item(const json_t *item)
{
    json_t *one = json_pack("{s:s, s:b}", "id", history_at(item, "id"), "whole",
                            strcmp(history_at(item, "status"), "in_progress"));
    const char *call_id = history_at(item, "call_id");

    if (call_id[0])
        json_object_set_new(one, "call_id", json_string(call_id));
    if (strcmp(history_at(item, "type"), "function_call_output") == 0)
        json_object_set_new(one, "output", json_true());
    return one;
}

static void
view_added(struct world *w, const json_t *event)
{
    const json_t *item = json_object_get(event, "item");
    const char *previous = history_at(event, "previous_item_id");
    ssize_t after = previous[0] ? place(w->view, previous) : -1;

    assert_int_equal(place(w->view, history_at(item, "id")), -1);
    json_array_insert_new(w->view, (size_t) (after + 1), view_item(item));
}

static void
view_whole(struct world *w, const char *id)
{
    ssize_t at = place(w->view, id);
    json_t *one = json_array_get(w->view, (size_t) at);
    const char *call_id = history_at(one, "call_id");

    if (at < 0)
        return;
    if (json_is_false(json_object_get(one, "whole")) && call_id[0])
        json_array_append_new(w->owed, json_string(call_id));
    json_object_set_new(one, "whole", json_true());
}

static void
view_deleted(struct world *w, const char *id)
{
    ssize_t at = place(w->view, id);

    assert_true(at >= 0);
    json_array_remove(w->view, (size_t) at);
}

/* What may be missing of the response when the model goes. */
static void
main_note(struct world *w, const json_t *event)
{
    const char *type = history_at(event, "type");
    const char *id = history_at(event, "response.id");
    bool call = strcmp(type, "response.function_call_arguments.done") == 0;

    if (strcmp(type, "input_audio_buffer.speech_started") == 0) {
        w->speaks = true;
    } else if (strcmp(type, "input_audio_buffer.committed") == 0) {
        w->speaks = false;
        w->turn = true;
    } else if (strcmp(type, "response.created") == 0
               && !history_at(event, "response.metadata.beside")[0]) {
        snprintf(w->main, sizeof(w->main), "%s", id);
        w->asked -= w->asked > 0;
        w->items = w->whole = w->calls = 0;
        w->turn = false;
    } else if (strcmp(type, "response.done") == 0 && strcmp(id, w->main) == 0) {
        w->main[0] = 0;
    }
    if (!w->main[0] || strcmp(w->main, history_at(event, "response_id")) != 0)
        return;
    w->items += strcmp(type, "response.output_item.added") == 0;
    w->whole += call || strcmp(type, "response.content_part.done") == 0;
    w->calls += call;
}

static unsigned
asks_expected(const struct world *w)
{
    bool broken =
        w->main[0] && !w->calls && (w->whole < w->items || w->items == 0);

    return w->asked || (!w->speaks && (broken || w->turn));
}

static void
client_told(struct world *w, const json_t *event)
{
    const char *type = history_at(event, "type");
    const char *item = history_at(event, "item_id");
    const char *response = history_at(event, "response.id");

    main_note(w, event);
    assert_true(strncmp(history_at(event, "event_id"), "event_", 6) == 0);
    if (strcmp(type, "conversation.item.added") == 0)
        view_added(w, event);
    else if (strcmp(type, "conversation.item.deleted") == 0)
        view_deleted(w, item);
    else if (strcmp(type, "response.created") == 0)
        open_set(w, "response", response, true);
    else if (strcmp(type, "response.output_item.added") == 0)
        open_set(w, "item", history_at(event, "item.id"), true);
    else if (strcmp(type, "response.content_part.added") == 0)
        open_set(w, "part", item, true);
    else if (strcmp(type, "response.content_part.done") == 0)
        open_set(w, "part", item, false);
    else if (strcmp(type, "response.function_call_arguments.done") == 0)
        view_whole(w, item);
    else if (strcmp(type, "response.output_item.done") == 0)
        open_set(w, "item", history_at(event, "item.id"), false);
    if (strcmp(type, "response.done") != 0)
        return;
    open_set(w, "response", response, false);
    if (strcmp(history_at(event, "response.metadata.beside"), "yes") != 0)
        w->active = false;
}

/* --- what the model says; heard one by one */

static void __attribute__((format(printf, 2, 3)))
say(struct world *w, const char *fmt, ...)
{
    char text[2048];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *event = json_loads(text, 0, NULL);
    assert_non_null(event);
    json_object_set_new(event, "event_id", json_string("event_m"));
    json_array_append_new(w->outbox, event);
}

static void
say_item(struct world *w, ssize_t at, const char *item)
{
    const char *previous =
        at > 0 ? json_string_value(json_array_get(w->model, (size_t) at - 1))
               : NULL;

    for (int done = 0; done < 2; done++)
        say(w,
            "{'type':'conversation.item.%s','previous_item_id':%s%s%s,"
            "'item':%s}",
            done ? "done" : "added", previous ? "'" : "",
            previous ? previous : "null", previous ? "'" : "", item);
}

static void
say_message(struct world *w, const char *response, const char *id, int index,
            bool beside)
{
    const char *last = json_string_value(
        json_array_get(w->model, json_array_size(w->model) - 1));

    say(w,
        "{'type':'response.output_item.added','response_id':'%s',"
        "'output_index':%d,'item':{'id':'%s','type':'message','status':"
        "'in_progress','role':'assistant','content':[]}}",
        response, index, id);
    if (!beside) {
        say(w,
            "{'type':'conversation.item.added','previous_item_id':%s%s%s,"
            "'item':{'id':'%s','type':'message','status':'in_progress',"
            "'role':'assistant','content':[]}}",
            last ? "'" : "", last ? last : "null", last ? "'" : "", id);
        json_array_append_new(w->model, json_string(id));
    }
    say(w,
        "{'type':'response.content_part.added','response_id':'%s',"
        "'item_id':'%s','output_index':%d,'content_index':0,'part':{'type':"
        "'audio','transcript':''}}",
        response, id, index);
    for (uint32_t i = chance(w, 3); i > 0; i--)
        say(w,
            "{'type':'response.output_audio_transcript.delta',"
            "'response_id':'%s','item_id':'%s','output_index':%d,"
            "'content_index':0,'delta':'word '}",
            response, id, index);
    say(w,
        "{'type':'response.output_audio.done','response_id':'%s','item_id':"
        "'%s','output_index':%d,'content_index':0}",
        response, id, index);
    say(w,
        "{'type':'response.output_audio_transcript.done','response_id':"
        "'%s','item_id':'%s','output_index':%d,'content_index':0,"
        "'transcript':'words.'}",
        response, id, index);
    say(w,
        "{'type':'response.content_part.done','response_id':'%s','item_id':"
        "'%s','output_index':%d,'content_index':0,'part':{'type':'audio',"
        "'transcript':'words.'}}",
        response, id, index);
    if (!beside)
        say(w,
            "{'type':'conversation.item.done','item':{'id':'%s','type':"
            "'message','status':'completed','role':'assistant','content':"
            "[{'type':'output_audio','transcript':'words.'}]}}",
            id);
    say(w,
        "{'type':'response.output_item.done','response_id':'%s',"
        "'output_index':%d,'item':{'id':'%s','type':'message','status':"
        "'completed','role':'assistant','content':[{'type':'output_audio',"
        "'transcript':'words.'}]}}",
        response, index, id);
}

static void
say_call(struct world *w, const char *response, const char *id, int index)
{
    const char *last = json_string_value(
        json_array_get(w->model, json_array_size(w->model) - 1));
    char item[256];

    snprintf(item, sizeof(item),
             "{'id':'%s','type':'function_call','status':'in_progress','name':"
             "'f','call_id':'c_%s','arguments':''}",
             id, id);
    say(w,
        "{'type':'response.output_item.added','response_id':'%s',"
        "'output_index':%d,'item':%s}",
        response, index, item);
    say(w,
        "{'type':'conversation.item.added','previous_item_id':%s%s%s,"
        "'item':%s}",
        last ? "'" : "", last ? last : "null", last ? "'" : "", item);
    json_array_append_new(w->model, json_string(id));
    say(w,
        "{'type':'response.function_call_arguments.delta','response_id':"
        "'%s','item_id':'%s','output_index':%d,'call_id':'c_%s','delta':"
        "'[1'}",
        response, id, index, id);
    say(w,
        "{'type':'response.function_call_arguments.done','response_id':"
        "'%s','item_id':'%s','output_index':%d,'call_id':'c_%s','name':'f',"
        "'arguments':'[1]'}",
        response, id, index, id);
    snprintf(item, sizeof(item),
             "{'id':'%s','type':'function_call','status':'completed','name':"
             "'f','call_id':'c_%s','arguments':'[1]'}",
             id, id);
    say(w, "{'type':'conversation.item.done','item':%s}", item);
    say(w,
        "{'type':'response.output_item.done','response_id':'%s',"
        "'output_index':%d,'item':%s}",
        response, index, item);
}

static void
say_response(struct world *w, bool beside)
{
    char response[32];
    uint32_t calls = beside ? 0 : chance(w, 4);
    int index = 0;

    snprintf(response, sizeof(response), "%s", new_id(w, "resp"));
    say(w,
        "{'type':'response.created','response':{'id':'%s','object':"
        "'realtime.response','status':'in_progress','conversation_id':%s,"
        "'metadata':%s}}",
        response, beside ? "null" : "'conv'",
        beside ? "{'beside':'yes'}" : "null");
    if (calls == 0 || chance(w, 2))
        say_message(w, response, new_id(w, "item"), index++, beside);
    for (; calls > 0; calls--)
        say_call(w, response, new_id(w, "item"), index++);
    say(w,
        "{'type':'response.done','response':{'id':'%s','status':"
        "'completed','output':[],'metadata':%s}}",
        response, beside ? "{'beside':'yes'}" : "null");
}

static void
say_user_turn(struct world *w)
{
    char item[256], id[32];

    snprintf(id, sizeof(id), "%s", new_id(w, "item"));
    snprintf(item, sizeof(item),
             "{'id':'%s','type':'message','status':'completed','role':'user',"
             "'content':[{'type':'input_audio','transcript':null}]}",
             id);
    say(w, "{'type':'input_audio_buffer.speech_started','item_id':'%s'}", id);
    say(w, "{'type':'input_audio_buffer.speech_stopped','item_id':'%s'}", id);
    size_t n = json_array_size(w->model);
    const char *last =
        n ? json_string_value(json_array_get(w->model, n - 1)) : NULL;
    say(w,
        "{'type':'input_audio_buffer.committed','item_id':'%s',"
        "'previous_item_id':%s%s%s}",
        id, last ? "'" : "", last ? last : "null", last ? "'" : "");
    json_array_append_new(w->model, json_string(id));
    say_item(w, (ssize_t) n, item);
    if (chance(w, 2))
        say(w,
            "{'type':'conversation.item.input_audio_transcription.completed'"
            ",'item_id':'%s','content_index':0,'transcript':'said'}",
            id);
    say_response(w, false);
}

/* --- what the model does with what it reads */

static void
model_item(struct world *w, const json_t *event)
{
    json_t *item = json_deep_copy(json_object_get(event, "item"));
    const char *previous = history_at(event, "previous_item_id");
    const char *call_id = history_at(item, "call_id");
    size_t at = json_array_size(w->model);
    ssize_t after = place(w->model, previous);

    if (!history_at(item, "id")[0])
        json_object_set_new(item, "id", json_string(new_id(w, "item")));
    if (previous[0] && strcmp(previous, "root") != 0 && after < 0) {
        say(w,
            "{'type':'error','error':{'type':'invalid_request_error',"
            "'code':'item_not_found','event_id':'%s'}}",
            history_at(event, "event_id"));
        json_decref(item);
        return;
    }
    if (previous[0])
        at = strcmp(previous, "root") == 0 ? 0 : (size_t) after + 1;
    assert_int_equal(place(w->model, history_at(item, "id")), -1);
    json_array_insert_new(w->model, at, json_string(history_at(item, "id")));
    if (call_id[0]) {
        json_int_t n =
            json_integer_value(json_object_get(w->answered, call_id));
        json_object_set_new(w->answered, call_id, json_integer(n + 1));
    }
    char *text = json_dumps(item, JSON_COMPACT);
    say_item(w, (ssize_t) at, text);
    free(text);
    json_decref(item);
}

static void
model_delete(struct world *w, const json_t *event)
{
    ssize_t at = place(w->model, history_at(event, "item_id"));

    if (at < 0) {
        say(w,
            "{'type':'error','error':{'type':'invalid_request_error',"
            "'code':'item_not_found','event_id':'%s'}}",
            history_at(event, "event_id"));
        return;
    }
    say(w, "{'type':'conversation.item.deleted','item_id':'%s'}",
        history_at(event, "item_id"));
    json_array_remove(w->model, (size_t) at);
}

static void
model_read(struct world *w)
{
    json_t *event = json_incref(json_array_get(w->inbox, 0));
    const char *type = history_at(event, "type");

    json_array_remove(w->inbox, 0);
    if (strcmp(type, "conversation.item.create") == 0)
        model_item(w, event);
    else if (strcmp(type, "conversation.item.delete") == 0)
        model_delete(w, event);
    else if (strcmp(type, "response.create") == 0)
        say_response(
            w, strcmp(history_at(event, "response.conversation"), "none") == 0);
    json_decref(event);
}

static void
client_hear(struct world *w)
{
    json_t *event = json_incref(json_array_get(w->outbox, 0));
    char *text = json_dumps(event, JSON_COMPACT);

    json_array_remove(w->outbox, 0);
    assert_true(history_down(w->history, text));
    client_told(w, event);
    json_decref(event);
    free(text);
}

/* --- what the client does */

static void __attribute__((format(printf, 2, 3)))
send(struct world *w, const char *fmt, ...)
{
    char text[1024];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    history_up(w->history, text);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_array_append_new(w->inbox, json_loads(text, 0, NULL));
}

static void
client_message(struct world *w)
{
    size_t n = json_array_size(w->view);
    char id[64] = "", previous[96] = "";

    if (chance(w, 2))
        snprintf(id, sizeof(id), "'id':'%s',", new_id(w, "mine"));
    if (chance(w, 4) == 0)
        snprintf(previous, sizeof(previous), "'previous_item_id':'%s',",
                 n && chance(w, 2) ? history_at(
                     json_array_get(w->view, chance(w, (uint32_t) n)), "id")
                                   : "root");
    send(w,
         "{'type':'conversation.item.create','event_id':'%s',%s'item':{%s"
         "'type':'message','role':'%s','content':[{'type':'input_text','text':"
         "'t'}]}}",
         new_id(w, "ev"), previous, id, chance(w, 3) ? "user" : "system");
}

static void
client_outputs(struct world *w)
{
    while (json_array_size(w->owed)) {
        send(w,
             "{'type':'conversation.item.create','event_id':'%s','item':{"
             "'type':'function_call_output','call_id':'%s','output':'42'}}",
             new_id(w, "ev"), json_string_value(json_array_get(w->owed, 0)));
        json_array_remove(w->owed, 0);
    }
}

static void
client_ask(struct world *w, bool beside)
{
    w->active = w->active || !beside;
    w->asked += !beside;
    send(w, "{'type':'response.create','event_id':'%s'%s}", new_id(w, "ev"),
         beside ? ",'response':{'conversation':'none'}" : "");
}

/* Not what is being said. */
static void
client_delete(struct world *w)
{
    size_t n = json_array_size(w->view);
    const json_t *one =
        n ? json_array_get(w->view, chance(w, (uint32_t) n)) : NULL;

    if (one && !w->active && json_array_size(w->outbox) == 0
        && json_array_size(w->inbox) == 0)
        send(w,
             "{'type':'conversation.item.delete','event_id':'%s',"
             "'item_id':'%s'}",
             new_id(w, "ev"), history_at(one, "id"));
}

static void
step(struct world *w)
{
    uint32_t what = chance(w, 16);

    if (what < 9 && json_array_size(w->outbox))
        client_hear(w);
    else if (what < 11 && json_array_size(w->inbox))
        model_read(w);
    else if (what < 12)
        client_message(w);
    else if (what < 13 && json_array_size(w->owed))
        client_outputs(w);
    else if (what < 14 && !w->active)
        client_ask(w, false);
    else if (what < 15 && chance(w, 4) == 0)
        client_delete(w);
    else if (chance(w, 3) == 0)
        client_ask(w, true);
    else if (!w->active && json_array_size(w->inbox) == 0
             && json_array_size(w->outbox) == 0) {
        w->active = true;
        say_user_turn(w);
    }
}

/* --- the cut */

static void
on_told(void *arg, const char *json, size_t bytes)
{
    json_t *event = json_loadb(json, bytes, 0, NULL);

    client_told(arg, event);
    json_decref(event);
}

/* What the client sees, without outputs whose call it has deleted. */
static json_t *
view_expected(const struct world *w)
{
    json_t *ids = json_array();
    const json_t *one, *other;
    size_t i, j;

    json_array_foreach(w->view, i, one)
    {
        bool found = !json_object_get(one, "output");
        json_array_foreach(w->view, j, other) found =
            found
            || (!json_object_get(other, "output")
                && strcmp(history_at(one, "call_id"),
                          history_at(other, "call_id"))
                       == 0);
        if (found)
            json_array_append(ids, json_object_get(one, "id"));
    }
    return ids;
}

static void
replay_check(struct world *w, const json_t *items)
{
    json_t *expected = view_expected(w), *ids = json_array();
    json_t *calls = json_object();
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *type = history_at(item, "type");
        assert_int_equal(place(ids, history_at(item, "id")), -1);
        json_array_append(ids, json_object_get(item, "id"));
        if (strcmp(type, "function_call") == 0)
            json_object_set_new(calls, history_at(item, "call_id"),
                                json_true());
        if (strcmp(type, "function_call_output") == 0)
            assert_int_equal(
                json_object_del(calls, history_at(item, "call_id")), 0);
    }
    if (!json_equal(ids, expected)) {
        json_dumpf(expected, stderr, 0);
        json_dumpf(ids, stderr, 0);
    }
    assert_true(json_equal(ids, expected));
    json_decref(w->model);
    w->model = ids;
    json_decref(expected);
    json_decref(calls);
}

static void
on_resumed(void *arg, const char *json, size_t bytes)
{
    struct world *w = arg;
    json_t *event = json_loadb(json, bytes, 0, NULL);

    if (strcmp(history_at(event, "type"), "response.create") == 0
        && strcmp(history_at(event, "response.conversation"), "none") != 0) {
        w->active = true;
        w->asked = 1;
        w->resumed++;
    }
    json_array_append_new(w->inbox, event);
}

/* Answers that the client had sent and the dead model took are in the replay;
 * those it did not are sent again: never both. */
static void
cut(struct world *w)
{
    unsigned asks = asks_expected(w);
    json_t *items;

    json_array_clear(w->inbox);
    json_array_clear(w->outbox);
    assert_int_equal(session_history_close_response(w->history, on_told, w), 0);
    assert_int_equal(json_object_size(w->open), 0);
    w->active = false;
    items = history_items(w->history);
    replay_check(w, items);
    json_object_clear(w->answered);
    const json_t *item;
    size_t i;
    json_array_foreach(
        items, i,
        item) if (strcmp(history_at(item, "type"), "function_call_output") == 0)
        json_object_set_new(w->answered, history_at(item, "call_id"),
                            json_integer(1));
    json_decref(items);
    w->resumed = 0;
    assert_int_equal(session_history_wants_response(w->history), asks);
    assert_int_equal(session_history_resume(w->history, on_resumed, w), 0);
    assert_int_equal(w->resumed, asks);
    w->speaks = false;
}

/* Everything that is on its way arrives, and every call gets its output. */
static void
finish(struct world *w)
{
    const char *call_id;
    const json_t *n, *one;
    size_t i;

    while (json_array_size(w->inbox) || json_array_size(w->outbox)
           || json_array_size(w->owed)) {
        if (json_array_size(w->outbox))
            client_hear(w);
        else if (json_array_size(w->inbox))
            model_read(w);
        else
            client_outputs(w);
    }
    assert_int_equal(json_object_size(w->open), 0);
    json_object_foreach(w->answered, call_id, n)
        assert_int_equal(json_integer_value(n), 1);
    json_array_foreach(w->view, i, one) if (history_at(one, "call_id")[0]
                                            && !json_object_get(one, "output"))
        assert_true(json_object_get(w->answered, history_at(one, "call_id"))
                    != NULL);
    json_t *items = history_items(w->history);
    replay_check(w, items);
    json_decref(items);
}

static void
run(uint32_t seed, unsigned cut_at, unsigned cut_again)
{
    struct world w = {.seed = seed,
                      .inbox = json_array(),
                      .outbox = json_array(),
                      .model = json_array(),
                      .view = json_array(),
                      .open = json_object(),
                      .owed = json_array(),
                      .answered = json_object()};

    assert_int_equal(session_history_create(&w.history), 0);
    for (unsigned i = 0; i < STEPS; i++) {
        if (i == cut_at || i == cut_again)
            cut(&w);
        step(&w);
    }
    finish(&w);
    session_history_destroy(&w.history);
    json_decref(w.inbox);
    json_decref(w.outbox);
    json_decref(w.model);
    json_decref(w.view);
    json_decref(w.open);
    json_decref(w.owed);
    json_decref(w.answered);
}

static void
test_cut_everywhere(void **state)
{
    (void) state;
    for (uint32_t seed = 1; seed <= SEEDS; seed++)
        for (unsigned at = 0; at < STEPS; at++)
            run(seed, at, STEPS);
}

/* Twice in a row, at all distances. */
static void
test_cut_twice(void **state)
{
    (void) state;
    for (uint32_t seed = 100; seed < 100 + STEPS; seed++)
        run(seed, seed % STEPS, (seed + seed * seed % 17) % STEPS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everywhere),
        cmocka_unit_test(test_cut_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
