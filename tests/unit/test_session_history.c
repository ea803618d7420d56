/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_history.h"

#include "kit/history_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A call of a response of its own, up to `state`: 0 begun, 1 half its
 * arguments, 2 all of them, 3 output_item.done, 4 response.done. */
static void
call_say(struct session_history *h, const char *n, int state)
{
    static const char *const events[] = {
        "{'type':'response.created','response':{'object':'realtime.response',"
        "'id':'resp_%s','conversation_id':'conv_V'}}",
        "{'type':'response.output_item.added','response_id':'resp_%s',"
        "'output_index':0,'item':{'id':'item_%s','type':'function_call',"
        "'status':'in_progress','name':'f','call_id':'call_%s','arguments':''}"
        "}",
        "{'type':'conversation.item.added','previous_item_id':null,'item':{"
        "'id':'item_%s','type':'function_call','status':'in_progress','name':"
        "'f','call_id':'call_%s','arguments':''}}",
        "{'type':'response.function_call_arguments.delta','response_id':"
        "'resp_%s','item_id':'item_%s','output_index':0,'call_id':'call_%s',"
        "'delta':'[1'}",
        "{'type':'response.function_call_arguments.done','response_id':"
        "'resp_%s','item_id':'item_%s','output_index':0,'call_id':'call_%s',"
        "'name':'f','arguments':'[1]'}",
        "{'type':'conversation.item.done','item':{'id':'item_%s','type':"
        "'function_call','status':'completed','name':'f','call_id':'call_%s',"
        "'arguments':'[1]'}}",
        "{'type':'response.output_item.done','response_id':'resp_%s',"
        "'output_index':0,'item':{'id':'item_%s','type':'function_call',"
        "'status':'completed','name':'f','call_id':'call_%s','arguments':"
        "'[1]'}}",
        "{'type':'response.done','response':{'id':'resp_%s','status':"
        "'completed'}}",
    };
    static const int until[] = {3, 4, 5, 7, 8};
    char text[1024];

    for (int i = 0; i < until[state]; i++) {
        snprintf(text, sizeof(text), events[i], n, n, n);
        assert_true(history_down(h, text));
    }
}

static void
output_say(struct session_history *h, const char *n, bool answered)
{
    char text[1024];

    snprintf(text, sizeof(text),
             "{'type':'conversation.item.create','item':{'type':"
             "'function_call_output','call_id':'call_%s','output':'42'}}",
             n);
    history_up(h, text);
    if (!answered)
        return;
    for (int done = 0; done < 2; done++) {
        snprintf(text, sizeof(text),
                 "{'type':'conversation.item.%s','previous_item_id':null,"
                 "'item':{'id':'item_o%s','type':'function_call_output',"
                 "'call_id':'call_%s','output':'42'}}",
                 done ? "done" : "added", n, n);
        assert_true(history_down(h, text));
    }
}

/* --- the replay */

static void
test_settings(void **state)
{
    json_t *events = history_replay(*state);
    const json_t *update = json_array_get(events, 0);
    const json_t *session = json_object_get(update, "session");
    char *text = json_dumps(session, JSON_COMPACT | JSON_SORT_KEYS);

    assert_int_equal(json_array_size(events), 1);
    history_assert_at(update, "type", "session.update");
    assert_string_equal(
        text,
        "{\"audio\":{\"input\":{\"format\":{\"rate\":24000,\"type\":\"audio/"
        "pcm\"},\"noise_reduction\":null,\"transcription\":{\"model\":"
        "\"whisper-1\"},\"turn_detection\":{\"create_response\":true,"
        "\"interrupt_response\":true,\"prefix_padding_ms\":300,"
        "\"silence_duration_ms\":500,\"threshold\":0.5,\"type\":\"server_"
        "vad\"}},\"output\":{\"format\":{\"rate\":24000,\"type\":\"audio/"
        "pcm\"},\"speed\":1.0,\"voice\":\"marin\"}},\"instructions\":\"Be "
        "brief.\",\"max_output_tokens\":\"inf\",\"output_modalities\":["
        "\"audio\"],\"tool_choice\":\"auto\",\"tools\":[{\"description\":"
        "\"d\",\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{"
        "\"default\":null}},\"type\":\"object\"},\"type\":\"function\"}],"
        "\"truncation\":\"auto\",\"type\":\"realtime\"}");
    free(text);
    json_decref(events);
}

static void
test_secret_tools(void **state)
{
    history_up(*state,
               "{'type':'session.update','session':{'type':'realtime','tools':"
               "[{'type':'mcp','server_label':'s','authorization':'Bearer x'}]"
               "}}");
    assert_true(history_down(
        *state, "{'type':'session.updated','session':{'type':'realtime',"
                "'tools':[{'type':'mcp','server_label':'s'}]}}"));
    json_t *events = history_replay(*state);
    history_assert_at(json_array_get(events, 0),
                      "session.tools.0.authorization", "Bearer x");
    json_decref(events);
    history_up(*state, "{'type':'session.update','session':{'type':'realtime',"
                       "'tools':[]}}");
    assert_true(history_down(*state, "{'type':'session.updated','session':{"
                                     "'type':'realtime','tools':[]}}"));
    events = history_replay(*state);
    history_assert_at(json_array_get(events, 0),
                      "session.tools.0.authorization", "");
    json_decref(events);
}

/* A model behind another gateway that keeps them to itself. */
static void
test_settings_not_shown(void **state)
{
    history_up(*state, "{'type':'session.update','session':{'type':'realtime',"
                       "'instructions':'Be brief.','tools':[{'type':'function',"
                       "'name':'f','parameters':{}}]}}");
    assert_true(history_down(
        *state, "{'type':'session.updated','session':{'type':'realtime',"
                "'instructions':'','tools':[]}}"));
    json_t *events = history_replay(*state);
    history_assert_at(json_array_get(events, 0), "session.instructions",
                      "Be brief.");
    history_assert_at(json_array_get(events, 0), "session.tools.0.name", "f");
    json_decref(events);
    assert_true(history_down(
        *state, "{'type':'session.updated','session':{'type':'realtime',"
                "'instructions':'Be quick.','tools':[{'type':'function',"
                "'name':'g','parameters':{}}]}}"));
    events = history_replay(*state);
    history_assert_at(json_array_get(events, 0), "session.instructions",
                      "Be quick.");
    history_assert_at(json_array_get(events, 0), "session.tools.0.name", "g");
    json_decref(events);
}

static void
test_spoken_turns(void **state)
{
    struct session_history *h = *state;

    history_say_user_turn(h, "item_u1", "null");
    history_say_begin(h, "resp_1", "item_a1", "'item_u1'");
    history_say_words(h, "resp_1", "item_a1", "Hello");
    history_say_transcript(h, "item_u1", "Good day.");
    history_say_words(h, "resp_1", "item_a1", " there.");
    history_say_end(h, "resp_1", "item_a1", "Hello there.");
    history_say_user_turn(h, "item_u2", "'item_a1'");
    assert_false(session_history_is_quiet(h)); /* a response is due */
    history_say_begin(h, "resp_2", "item_a2", "'item_u2'");
    history_say_end(h, "resp_2", "item_a2", "Yes.");
    assert_true(session_history_is_quiet(h));

    json_t *items = history_items(h);
    assert_int_equal(json_array_size(items), 4);
    history_assert_at(items, "0.id", "item_u1");
    history_assert_at(items, "0.role", "user");
    history_assert_at(items, "0.content.0.type", "input_text");
    history_assert_at(items, "0.content.0.text", "Good day.");
    history_assert_at(items, "1.id", "item_a1");
    history_assert_at(items, "1.role", "assistant");
    history_assert_at(items, "1.content.0.type", "output_text");
    history_assert_at(items, "1.content.0.text", "Hello there.");
    history_assert_at(items, "2.id", "item_u2");
    history_assert_at(items, "2.content.0.text",
                      "(The user's words here are not known.)");
    history_assert_at(items, "3.content.0.text", "Yes.");
    json_decref(items);
}

static void
test_text_turn(void **state)
{
    struct session_history *h = *state;

    history_up(h, "{'type':'conversation.item.create','item':{'type':"
                  "'message','role':'system','content':[{'type':'input_text',"
                  "'text':'S'}]}}");
    history_up(h, "{'type':'conversation.item.create','item':{'id':'mine',"
                  "'type':'message','role':'user','content':[{'type':"
                  "'input_text','text':'hi \\u0000 \\u00e9'},{'type':"
                  "'input_image','image_url':'data:x','detail':'low'}]}}");
    assert_false(session_history_is_quiet(h));
    history_down(h, "{'type':'conversation.item.added','previous_item_id':null,"
                    "'item':{'id':'item_S','type':'message','status':"
                    "'completed','role':'system','content':[{'type':"
                    "'input_text','text':'S'}]}}");
    history_down(h, "{'type':'conversation.item.added','previous_item_id':"
                    "'item_S','item':{'id':'mine','type':'message','status':"
                    "'completed','role':'user','content':[{'type':"
                    "'input_text','text':'hi \\u0000 \\u00e9'},{'type':"
                    "'input_image'}]}}");
    assert_true(session_history_is_quiet(h));
    json_t *items = history_items(h);
    assert_int_equal(json_array_size(items), 2);
    history_assert_at(items, "0.id", "item_S");
    history_assert_at(items, "0.role", "system");
    history_assert_at(items, "1.id", "mine");
    const json_t *text = json_object_get(
        json_array_get(json_object_get(json_array_get(items, 1), "content"), 0),
        "text");
    assert_int_equal(json_string_length(text), 7);
    assert_memory_equal(json_string_value(text), "hi \0 \xc3\xa9", 7);
    history_assert_at(items, "1.content.1.image_url", "data:x");
    json_decref(items);
}

static void
item_create(struct session_history *h, const char *id, const char *previous)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{'type':'conversation.item.create',%s%s%s'item':{'id':'%s',"
             "'type':'message','role':'user','content':[{'type':'input_text',"
             "'text':'%s'}]}}",
             previous ? "'previous_item_id':'" : "", previous ? previous : "",
             previous ? "'," : "", id, id);
    history_up(h, text);
    bool root = previous && strcmp(previous, "root") == 0;
    snprintf(text, sizeof(text),
             "{'type':'conversation.item.added','previous_item_id':%s%s%s,"
             "'item':{'id':'%s','type':'message','status':'completed','role':"
             "'user','content':[{'type':'input_text','text':'%s'}]}}",
             root || !previous ? "" : "'",
             root || !previous ? "null" : previous,
             root || !previous ? "" : "'", id, id);
    assert_true(history_down(h, text));
}

static void
test_order(void **state)
{
    struct session_history *h = *state;

    item_create(h, "a", NULL);
    item_create(h, "b", NULL);
    item_create(h, "c", "a");
    item_create(h, "d", "root");
    item_create(h, "e", "b");
    history_assert_order(h, "d a c b e");
    history_up(h, "{'type':'conversation.item.delete','item_id':'a'}");
    assert_true(
        history_down(h, "{'type':'conversation.item.deleted','item_id':'a'}"));
    history_assert_order(h, "d c b e");
    assert_true(session_history_is_quiet(h));
}

static void
test_long_id(void **state)
{
    struct session_history *h = *state;

    item_create(h, "0123456789012345678901234567890123456789", NULL);
    json_t *items = history_items(h);
    char id[64];
    snprintf(id, sizeof(id), "%s", history_at(items, "0.id"));
    json_decref(items);
    assert_int_equal(strlen(id), 32);
    assert_int_equal(strncmp(id, "item_", 5), 0);
    item_create(h, "last", id); /* as the new model calls it */
    item_create(h, "first", "root");
    char wanted[128];
    snprintf(wanted, sizeof(wanted), "first %s last", id);
    history_assert_order(h, wanted);
}

static void
test_truncate(void **state)
{
    struct session_history *h = *state;

    history_say_begin(h, "resp_1", "item_a1", "null");
    for (int i = 0; i < 5; i++)
        history_say_words(h, "resp_1", "item_a1", i ? " word" : "word");
    history_say_end(h, "resp_1", "item_a1", "word word word word word");
    history_up(h, "{'type':'conversation.item.truncate','item_id':'item_a1',"
                  "'content_index':0,'audio_end_ms':250}");
    assert_false(session_history_is_quiet(h));
    history_down(h, "{'type':'conversation.item.truncated','item_id':'item_a1',"
                    "'content_index':0,'audio_end_ms':250}");
    assert_true(session_history_is_quiet(h));
    json_t *items = history_items(h);
    history_assert_at(items, "0.content.0.text", "word word"); /* of 500 ms */
    json_decref(items);
}

/* A model writes ahead of its voice: not all that has words was heard. */
static void
test_truncate_midway(void **state)
{
    struct session_history *h = *state;

    history_say_begin(h, "resp_1", "item_a1", "null");
    history_say_words(h, "resp_1", "item_a1", "one two three");
    history_say_words(h, "resp_1", "item_a1", " four five six seven");
    history_down(h, "{'type':'conversation.item.truncated','item_id':'item_a1',"
                    "'content_index':0,'audio_end_ms':600}");
    json_t *items = history_items(h);
    history_assert_at(items, "0.content.0.text", "one two");
    json_decref(items);
    /* cut again: a part of what was left */
    history_down(h, "{'type':'conversation.item.truncated','item_id':'item_a1',"
                    "'content_index':0,'audio_end_ms':100}");
    items = history_items(h);
    history_assert_at(items, "0.content.0.text", "one");
    json_decref(items);
}

/* After a replay the model has text, and refuses to truncate it. */
static void
on_told(void *arg, const char *json, size_t bytes)
{
    json_array_append_new(arg, json_loadb(json, bytes, 0, NULL));
}

static void
test_truncate_replayed(void **state)
{
    static const char cut[] =
        "{\"type\":\"conversation.item.truncate\",\"item_id\":\"item_a1\","
        "\"content_index\":0,\"audio_end_ms\":0}";
    struct session_history *h = *state;
    json_t *told = json_array();
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(cut, strlen(cut), &peek), REALTIME_SOUND);
    history_say_begin(h, "resp_1", "item_a1", "null");
    history_say_words(h, "resp_1", "item_a1", "one two");
    history_say_end(h, "resp_1", "item_a1", "one two");
    assert_false(session_history_answers(h, &peek, on_told, told));
    json_decref(history_replay(h)); /* comes to nothing */
    assert_false(session_history_answers(h, &peek, on_told, told));
    json_decref(history_replay(h));
    json_decref(history_resume(h));
    assert_true(session_history_answers(h, &peek, on_told, told));
    assert_int_equal(json_array_size(told), 1);
    history_assert_at(told, "0.type", "conversation.item.truncated");
    history_assert_at(told, "0.item_id", "item_a1");
    assert_int_equal(strncmp(history_at(told, "0.event_id"), "event_", 6), 0);
    json_t *items = history_items(h);
    history_assert_at(items, "0.content.0.text", "\xe2\x80\xa6");
    json_decref(items);
    json_decref(told);
    /* What a late new model says about replayed items is not the client's. */
    assert_false(history_down(
        h, "{'type':'conversation.item.added','item':{'id':'item_a1'}}"));
    assert_false(history_down(
        h, "{'type':'conversation.item.done','item':{'id':'item_a1'}}"));
    assert_false(history_down(
        h, "{'type':'error','error':{'code':'x','event_id':'item_a1'}}"));
    history_assert_order(h, "");
}

/* --- tools */

static void
test_calls(void **state)
{
    struct session_history *h = *state;

    call_say(h, "1", 4);
    assert_false(session_history_is_quiet(h));
    call_say(h, "2", 4);
    output_say(h, "2", true);
    output_say(h, "1", true);
    assert_true(session_history_is_quiet(h));
    history_assert_order(h, "item_1 item_2 item_o2 item_o1");
    json_t *items = history_items(h);
    history_assert_at(items, "0.type", "function_call");
    history_assert_at(items, "0.name", "f");
    history_assert_at(items, "0.call_id", "call_1");
    history_assert_at(items, "0.arguments", "[1]");
    history_assert_at(items, "2.type", "function_call_output");
    history_assert_at(items, "2.call_id", "call_2");
    history_assert_at(items, "2.output", "42");
    json_decref(items);
    /* No output without its call. */
    history_down(h, "{'type':'conversation.item.deleted','item_id':'item_2'}");
    history_assert_order(h, "item_1 item_o1");
    /* Without its output the call waits again. */
    history_down(h, "{'type':'conversation.item.deleted','item_id':'item_o1'}");
    assert_false(session_history_is_quiet(h));
    history_assert_order(h, "item_1");
}

static void
test_output_before_call(void **state)
{
    struct session_history *h = *state;

    call_say(h, "1", 4);
    history_up(h, "{'type':'conversation.item.create','previous_item_id':"
                  "'root','item':{'id':'o','type':'function_call_output',"
                  "'call_id':'call_1','output':'42'}}");
    history_down(h, "{'type':'conversation.item.added','previous_item_id':null,"
                    "'item':{'id':'o','type':'function_call_output','call_id':"
                    "'call_1','output':'42'}}");
    item_create(h, "first", "root");
    history_assert_order(h, "first item_1 o");
}

/* One half of the arguments: the client hears the end of it, the next model
 * nothing. */
static void
test_call_half_streamed(void **state)
{
    struct session_history *h = *state;

    history_say_user_turn(h, "item_u1", "null");
    call_say(h, "1", 1);
    json_t *events = history_close(h);
    history_assert_types(events,
                         "conversation.item.done response.output_item.done "
                         "response.done conversation.item.deleted");
    history_assert_at(events, "1.item.status", "incomplete");
    history_assert_at(events, "1.item.type", "function_call");
    history_assert_at(events, "2.response.status", "cancelled");
    history_assert_at(events, "2.response.output.0.status", "incomplete");
    history_assert_at(events, "3.item_id", "item_1");
    json_decref(events);
    history_assert_order(h, "item_u1");
    assert_true(session_history_wants_response(h));
    events = history_resume(h);
    history_assert_types(events, "response.create");
    json_decref(events);
}

/* All of the arguments: the call is in the client's hands. */
static void
test_call_whole(void **state)
{
    struct session_history *h = *state;

    call_say(h, "1", 2);
    json_t *events = history_close(h);
    history_assert_types(events,
                         "conversation.item.done response.output_item.done "
                         "response.done");
    history_assert_at(events, "1.item.status", "completed");
    history_assert_at(events, "1.item.arguments", "[1]");
    history_assert_at(events, "2.response.status", "completed");
    json_decref(events);
    history_assert_order(h, "item_1");
    assert_false(session_history_wants_response(h));
    /* The output comes afterwards and finds its call. */
    output_say(h, "1", true);
    history_assert_order(h, "item_1 item_o1");
}

static void
test_output_unanswered(void **state)
{
    struct session_history *h = *state;

    call_say(h, "1", 4);
    output_say(h, "1", false);
    history_up(h, "{'type':'response.create'}");
    json_t *events = history_close(h);
    history_assert_types(events, "");
    json_decref(events);
    history_assert_order(h, "item_1");
    for (int again = 0; again < 2; again++) {
        events = history_resume(h);
        history_assert_types(events,
                             "conversation.item.create response.create");
        history_assert_at(events, "0.item.output", "42");
        json_decref(events);
    }
    assert_true(history_down(
        h, "{'type':'conversation.item.added','previous_item_id':'item_1',"
           "'item':{'id':'item_o1','type':'function_call_output','call_id':"
           "'call_1','output':'42'}}"));
    events = history_resume(h);
    history_assert_types(events, "response.create");
    json_decref(events);
    history_assert_order(h, "item_1 item_o1");
}

/* --- what was open */

static void
test_mid_sentence(void **state)
{
    struct session_history *h = *state;

    history_say_user_turn(h, "item_u1", "null");
    history_say_transcript(h, "item_u1", "Hi.");
    history_say_begin(h, "resp_1", "item_a1", "'item_u1'");
    history_say_words(h, "resp_1", "item_a1", "Hel");
    json_t *events = history_close(h);
    history_assert_types(events,
                         "response.output_audio.done "
                         "response.output_audio_transcript.done "
                         "response.content_part.done conversation.item.done "
                         "response.output_item.done response.done");
    history_assert_at(events, "1.transcript", "Hel");
    history_assert_at(events, "1.response_id", "resp_1");
    history_assert_at(events, "2.part.type", "audio");
    history_assert_at(events, "2.part.transcript", "Hel");
    history_assert_at(events, "3.previous_item_id", "item_u1");
    history_assert_at(events, "4.item.status", "incomplete");
    history_assert_at(events, "4.item.content.0.type", "output_audio");
    history_assert_at(events, "5.response.id", "resp_1");
    history_assert_at(events, "5.response.object", "realtime.response");
    history_assert_at(events, "5.response.status", "cancelled");
    history_assert_at(events, "5.response.output.0.status", "incomplete");
    history_assert_at(events, "5.response.status_details.type", "cancelled");
    history_assert_at(events, "5.response.metadata.k", "v");
    const json_t *usage = json_object_get(
        json_object_get(json_array_get(events, 5), "response"), "usage");
    assert_int_equal(json_integer_value(json_object_get(usage, "total_tokens")),
                     0);
    assert_true(json_is_integer(json_object_get(
        json_object_get(usage, "output_token_details"), "audio_tokens")));
    json_decref(events);
    /* Twice says nothing more. */
    events = history_close(h);
    history_assert_types(events, "");
    json_decref(events);
    json_t *items = history_items(h);
    history_assert_at(items, "1.content.0.text", "Hel");
    json_decref(items);
    events = history_resume(h);
    history_assert_types(events, "response.create");
    json_decref(events);
    assert_true(history_down(h, "{'type':'response.created','response':{'id':"
                                "'resp_2','conversation_id':'c'}}"));
    assert_false(session_history_wants_response(h));
}

/* The client's own request comes again, with its words. */
static void
test_request_again(void **state)
{
    struct session_history *h = *state;

    history_up(h, "{'type':'response.create','event_id':'mine','response':"
                  "{'instructions':'I','metadata':{'a':'b'}}}");
    history_say_begin(h, "resp_1", "item_a1", "null");
    json_t *events = history_close(h);
    history_assert_types(events,
                         "response.output_audio.done "
                         "response.output_audio_transcript.done "
                         "response.content_part.done conversation.item.done "
                         "response.output_item.done response.done "
                         "conversation.item.deleted");
    json_decref(events);
    events = history_resume(h);
    history_assert_types(events, "response.create");
    history_assert_at(events, "0.event_id", "mine");
    history_assert_at(events, "0.response.metadata.a", "b");
    json_decref(events);
}

static void
test_cancelled_is_not_asked_again(void **state)
{
    struct session_history *h = *state;

    history_say_begin(h, "resp_1", "item_a1", "null");
    history_say_words(h, "resp_1", "item_a1", "Hel");
    history_up(h, "{'type':'response.cancel'}");
    json_decref(history_close(h));
    assert_false(session_history_wants_response(h));
}

/* Everything was said but response.done. */
static void
test_only_the_end_missing(void **state)
{
    struct session_history *h = *state;

    call_say(h, "1", 3);
    json_t *events = history_close(h);
    history_assert_types(events, "response.done");
    history_assert_at(events, "0.response.status", "completed");
    history_assert_at(events, "0.response.status_details", "");
    json_decref(events);
    assert_false(session_history_wants_response(h));
}

static void
test_out_of_band(void **state)
{
    struct session_history *h = *state;

    history_up(h, "{'type':'response.create','response':{'conversation':"
                  "'none','metadata':{'topic':'t'},'input':[]}}");
    assert_true(
        history_down(h, "{'type':'response.created','response':{'id':'resp_B',"
                        "'conversation_id':null,'metadata':{'topic':'t'}}}"));
    assert_true(history_down(
        h, "{'type':'response.output_item.added','response_id':'resp_B',"
           "'output_index':0,'item':{'id':'item_B','type':'message','status':"
           "'in_progress','role':'assistant','content':[]}}"));
    assert_true(history_down(
        h, "{'type':'response.content_part.added','response_id':'resp_B',"
           "'item_id':'item_B','output_index':0,'content_index':0,'part':{"
           "'type':'text','text':''}}"));
    assert_true(history_down(
        h, "{'type':'response.output_text.delta','response_id':'resp_B',"
           "'item_id':'item_B','output_index':0,'content_index':0,'delta':"
           "'secret'}"));
    history_assert_order(h, "");
    json_t *events = history_close(h);
    history_assert_types(events, "response.output_text.done "
                                 "response.content_part.done "
                                 "response.output_item.done response.done");
    history_assert_at(events, "0.text", "secret");
    json_decref(events);
    events = history_resume(h);
    history_assert_at(events, "0.response.metadata.topic", "t");
    json_decref(events);
    history_assert_order(h, "");
}

/* --- events without an answer */

static void
test_errors_settle(void **state)
{
    struct session_history *h = *state;

    history_up(h, "{'type':'conversation.item.delete','event_id':'c1',"
                  "'item_id':'nobody'}");
    history_up(h, "{'type':'response.create'}");
    history_up(h, "{'type':'session.update','event_id':'c2','session':{}}");
    assert_true(history_down(
        h, "{'type':'error','error':{'type':'invalid_request_error','code':"
           "'item_unknown','event_id':'c1'}}"));
    assert_true(history_down(
        h, "{'type':'error','error':{'type':'invalid_request_error','code':"
           "'conversation_already_has_active_response','event_id':null}}"));
    assert_true(history_down(
        h, "{'type':'error','error':{'type':'server_error','code':'x'}}"));
    json_t *events = history_resume(h);
    history_assert_types(events, "session.update");
    json_decref(events);
    history_down(h, "{'type':'session.updated','session':{}}");
    assert_true(session_history_is_quiet(h));
}

static void
test_owed_truncate(void **state)
{
    struct session_history *h = *state;

    history_say_begin(h, "resp_1", "item_a1", "null");
    history_say_words(h, "resp_1", "item_a1", "one two");
    history_say_end(h, "resp_1", "item_a1", "one two");
    history_up(h, "{'type':'conversation.item.truncate','item_id':'item_a1',"
                  "'content_index':0,'audio_end_ms':60}");
    json_t *events = history_close(h);
    history_assert_types(events, "conversation.item.truncated");
    json_decref(events);
    json_t *items = history_items(h);
    history_assert_at(items, "0.content.0.text", "one");
    json_decref(items);
    assert_true(session_history_is_quiet(h));
}

/* A model that knows no truncate never answers it. */
static void
test_never_answered(void **state)
{
    struct session_history *h = *state;

    history_up(h, "{'type':'conversation.item.truncate','item_id':'x',"
                  "'content_index':0,'audio_end_ms':60}");
    history_say_begin(h, "resp_1", "item_a1", "null");
    history_say_end(h, "resp_1", "item_a1", "One.");
    assert_false(session_history_is_quiet(h));
    history_say_begin(h, "resp_2", "item_a2", "null");
    history_say_end(h, "resp_2", "item_a2", "Two.");
    assert_true(session_history_is_quiet(h));
}

/* --- caps */

static void
test_cap(void **state)
{
    struct session_history *h = *state;
    struct session_history_figures figures;
    char id[16];

    call_say(h, "open", 4); /* waits for its output: stays */
    for (int i = 0; i < 4000; i++) {
        snprintf(id, sizeof(id), "%d", i);
        call_say(h, id, 4);
        output_say(h, id, true);
    }
    session_history_figures(h, &figures);
    assert_true(figures.bytes <= SESSION_HISTORY_MAX);
    assert_true(figures.items > 100);
    assert_true(figures.dropped > 100);
    json_t *items = history_items(h);
    size_t n = json_array_size(items);
    assert_int_equal(n % 2, 1);
    history_assert_at(items, "0.id", "item_open");
    for (size_t i = 1; i < n; i += 2) {
        const json_t *call = json_array_get(items, i);
        const json_t *output = json_array_get(items, i + 1);
        history_assert_at(output, "type", "function_call_output");
        assert_string_equal(history_at(call, "call_id"),
                            history_at(output, "call_id"));
    }
    json_decref(items);
}

static void
test_one_giant(void **state)
{
    struct session_history *h = *state;
    struct session_history_figures figures;
    char *text = malloc(600000);
    int n = sprintf(text, "{'type':'conversation.item.added','item':{'id':'g',"
                          "'type':'message','role':'user','content':[{'type':"
                          "'input_text','text':'");

    memset(text + n, 'x', 500000);
    strcpy(text + n + 500000, "'}]}}");
    item_create(h, "a", NULL);
    assert_true(history_down(h, text));
    free(text);
    session_history_figures(h, &figures);
    assert_true(figures.bytes <= SESSION_HISTORY_MAX);
    item_create(h, "b", NULL);
    json_decref(history_items(h));
}

static void
test_nonsense(void **state)
{
    static const char *const texts[] = {
        "{'type':'conversation.item.added'}",
        "{'type':'conversation.item.added','item':{}}",
        "{'type':'conversation.item.added','item':{'id':'x','type':'message',"
        "'content':[1,null,{'type':'input_image'}]}}",
        "{'type':'conversation.item.done','item':7}",
        "{'type':'conversation.item.truncated','item_id':'x','content_index':"
        "-1,'audio_end_ms':-5}",
        "{'type':'conversation.item.truncated','item_id':'x','content_index':"
        "0,'audio_end_ms':99999999999999}",
        "{'type':'conversation.item.deleted'}",
        "{'type':'response.created'}",
        "{'type':'response.created','response':{'id':''}}",
        "{'type':'response.done','response':null}",
        "{'type':'response.output_item.added','response_id':'none','item':{"
        "'id':'y','type':'function_call'}}",
        "{'type':'response.output_audio.delta','item_id':'x','delta':''}",
        "{'type':'response.output_audio.delta','delta':'AAAA','item_id':'x'}",
        "{'type':'response.output_audio.delta'}",
        "{'type':'response.output_text.delta','item_id':'x','content_index':"
        "40,'delta':'d'}",
        "{'type':'input_audio_buffer.committed'}",
        "{'type':'session.updated','session':[]}",
        "{'type':'error','error':3}",
        "{'type':'error'}",
    };
    struct session_history *h = *state;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        history_down(h, texts[i]);
    session_history_down(h, REALTIME_OTHER, "{", 1);
    session_history_up(h, REALTIME_ITEM_CREATE, "[]", 2);
    session_history_up(h, REALTIME_ITEM_TRUNCATE, "{}", 2);
    session_history_audio(h, (struct realtime_span){"\"A\"", 3});
    session_history_audio(h, (struct realtime_span){"7", 1});
    json_decref(history_close(h));
    json_decref(history_replay(h));
    json_decref(history_resume(h));
}

int
main(void)
{
#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, history_setup, history_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_settings),
        TEST(test_secret_tools),
        TEST(test_settings_not_shown),
        TEST(test_spoken_turns),
        TEST(test_text_turn),
        TEST(test_order),
        TEST(test_long_id),
        TEST(test_truncate),
        TEST(test_truncate_midway),
        TEST(test_truncate_replayed),
        TEST(test_calls),
        TEST(test_output_before_call),
        TEST(test_call_half_streamed),
        TEST(test_call_whole),
        TEST(test_output_unanswered),
        TEST(test_mid_sentence),
        TEST(test_request_again),
        TEST(test_cancelled_is_not_asked_again),
        TEST(test_only_the_end_missing),
        TEST(test_out_of_band),
        TEST(test_errors_settle),
        TEST(test_owed_truncate),
        TEST(test_never_answered),
        TEST(test_cap),
        TEST(test_one_giant),
        TEST(test_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
