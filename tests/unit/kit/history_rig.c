/* SPDX-License-Identifier: BSD-2-Clause */

#include "kit/history_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *
quoted(const char *text)
{
    char *copy = strdup(text);

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    return copy;
}

bool
history_down(struct session_history *h, const char *text)
{
    char *json = quoted(text);
    bool passes = session_history_down(h, realtime_type_of(json, strlen(json)),
                                       json, strlen(json));

    free(json);
    return passes;
}

void
history_up(struct session_history *h, const char *text)
{
    char *json = quoted(text);
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(json, strlen(json), &peek), REALTIME_SOUND);
    if (peek.type == REALTIME_AUDIO_APPEND)
        session_history_audio(h, peek.value[REALTIME_KEY_AUDIO]);
    session_history_up(h, peek.type, json, strlen(json));
    free(json);
}

static void
on_event(void *arg, const char *json, size_t bytes)
{
    json_t *event = json_loadb(json, bytes, JSON_ALLOW_NUL, NULL);

    assert_non_null(event);
    assert_int_equal(strlen(json), bytes);
    json_array_append_new(arg, event);
}

static void
on_replay(void *arg, const char *item_id, const char *json, size_t bytes)
{
    on_event(arg, json, bytes);
    const json_t *event = json_array_get(arg, json_array_size(arg) - 1);
    assert_string_equal(history_at(event, "event_id"),
                        item_id ? item_id : SESSION_HISTORY_SETTINGS);
    assert_string_equal(history_at(event, "item.id"), item_id ? item_id : "");
}

json_t *
history_close(struct session_history *h)
{
    json_t *events = json_array();

    assert_int_equal(session_history_close_response(h, on_event, events), 0);
    return events;
}

json_t *
history_replay(struct session_history *h)
{
    json_t *events = json_array();

    assert_int_equal(session_history_replay(h, on_replay, events), 0);
    return events;
}

json_t *
history_resume(struct session_history *h)
{
    json_t *events = json_array();

    assert_int_equal(session_history_resume(h, on_event, events), 0);
    return events;
}

json_t *
history_items(struct session_history *h)
{
    json_t *events = history_replay(h), *items = json_array();
    const json_t *event;
    size_t i;

    json_array_foreach(events, i, event) if (json_object_get(event, "item"))
        json_array_append(items, json_object_get(event, "item"));
    json_decref(events);
    return items;
}

const char *
history_at(const json_t *json, const char *path)
{
    char key[64];

    while (*path && json) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof(key), "%.*s", (int) n, path);
        json = json_is_array(json)
                   ? json_array_get(json, strtoul(key, NULL, 10))
                   : json_object_get(json, key);
        path += n + (path[n] == '.');
    }
    return json_is_string(json) ? json_string_value(json) : "";
}

char *
history_types(const json_t *events)
{
    char *text = calloc(1, 65536);
    const json_t *event;
    size_t i;

    json_array_foreach(events, i, event)
        snprintf(text + strlen(text), 65536 - strlen(text), "%s%s",
                 i ? " " : "", history_at(event, "type"));
    return text;
}

/* --- checks */

int
history_setup(void **state)
{
    struct session_history *h = NULL;

    assert_int_equal(session_history_create(&h), 0);
    history_say_session(h);
    *state = h;
    return 0;
}

int
history_teardown(void **state)
{
    session_history_destroy((struct session_history **) state);
    assert_null(*state);
    return 0;
}

void
history_assert_types(json_t *events, const char *wanted)
{
    char *types = history_types(events);

    assert_string_equal(types, wanted);
    free(types);
}

void
history_assert_at(const json_t *json, const char *path, const char *wanted)
{
    assert_string_equal(history_at(json, path), wanted);
}

void
history_assert_order(struct session_history *h, const char *wanted)
{
    json_t *items = history_items(h);
    const json_t *item;
    char text[1024] = "";
    size_t i;

    json_array_foreach(items, i, item)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
                 i ? " " : "", history_at(item, "id"));
    assert_string_equal(text, wanted);
    json_decref(items);
}

/* --- recorded turns */

static void __attribute__((format(printf, 2, 3)))
say(struct session_history *h, const char *fmt, ...)
{
    char text[8192];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert_true(history_down(h, text));
}

void
history_say_session(struct session_history *h)
{
    say(h,
        "{'type':'session.updated','event_id':'event_A1','session':{"
        "'type':'realtime','object':'realtime.session','id':'sess_A',"
        "'model':'m','output_modalities':['audio'],'instructions':'Be brief.',"
        "'tools':[{'type':'function','name':'f','description':'d',"
        "'parameters':{'type':'object','properties':{'a':{'default':null}}}}],"
        "'tool_choice':'auto','max_output_tokens':'inf','tracing':null,"
        "'truncation':'auto','prompt':null,'expires_at':1785217650,"
        "'audio':{'input':{'format':{'type':'audio/pcm','rate':24000},"
        "'transcription':{'model':'whisper-1','language':null,'prompt':null},"
        "'noise_reduction':null,'turn_detection':{'type':'server_vad',"
        "'threshold':0.5,'prefix_padding_ms':300,'silence_duration_ms':500,"
        "'idle_timeout_ms':null,'create_response':true,"
        "'interrupt_response':true}},'output':{'format':{'type':'audio/pcm',"
        "'rate':24000},'voice':'marin','speed':1.0}},'include':null}}");
}

void
history_say_user_turn(struct session_history *h, const char *item,
                      const char *previous)
{
    say(h,
        "{'type':'input_audio_buffer.speech_started','event_id':'e',"
        "'audio_start_ms':10,'item_id':'%s'}",
        item);
    say(h,
        "{'type':'input_audio_buffer.speech_stopped','event_id':'e',"
        "'audio_end_ms':900,'item_id':'%s'}",
        item);
    say(h,
        "{'type':'input_audio_buffer.committed','event_id':'e',"
        "'previous_item_id':%s,'item_id':'%s'}",
        previous, item);
    for (int done = 0; done < 2; done++)
        say(h,
            "{'type':'conversation.item.%s','event_id':'e',"
            "'previous_item_id':%s,'item':{'id':'%s','type':'message',"
            "'status':'completed','role':'user','content':[{'type':"
            "'input_audio','transcript':null}]}}",
            done ? "done" : "added", previous, item);
}

void
history_say_transcript(struct session_history *h, const char *item,
                       const char *text)
{
    say(h,
        "{'type':'conversation.item.input_audio_transcription.completed',"
        "'event_id':'e','item_id':'%s','content_index':0,'transcript':'%s'}",
        item, text);
}

void
history_say_begin(struct session_history *h, const char *response,
                  const char *item, const char *previous)
{
    say(h,
        "{'type':'response.created','event_id':'e','response':{'object':"
        "'realtime.response','id':'%s','status':'in_progress',"
        "'status_details':null,'output':[],'conversation_id':'conv_V',"
        "'output_modalities':['audio'],'max_output_tokens':'inf','audio':"
        "{'output':{'format':{'type':'audio/pcm','rate':24000},'voice':"
        "'marin'}},'usage':null,'metadata':{'k':'v'}}}",
        response);
    say(h,
        "{'type':'response.output_item.added','event_id':'e','response_id':"
        "'%s','output_index':0,'item':{'id':'%s','type':'message','status':"
        "'in_progress','role':'assistant','content':[]}}",
        response, item);
    say(h,
        "{'type':'conversation.item.added','event_id':'e',"
        "'previous_item_id':%s,'item':{'id':'%s','type':'message','status':"
        "'in_progress','role':'assistant','content':[]}}",
        previous, item);
    say(h,
        "{'type':'response.content_part.added','event_id':'e','response_id':"
        "'%s','item_id':'%s','output_index':0,'content_index':0,'part':"
        "{'type':'audio','transcript':''}}",
        response, item);
}

void
history_say_words(struct session_history *h, const char *response,
                  const char *item, const char *words)
{
    char audio[6401];

    memset(audio, 'A', 6400); /* 100 ms */
    audio[6400] = 0;
    say(h,
        "{'type':'response.output_audio_transcript.delta','event_id':'e',"
        "'response_id':'%s','item_id':'%s','output_index':0,'content_index':0,"
        "'delta':'%s','obfuscation':'x'}",
        response, item, words);
    say(h,
        "{'type':'response.output_audio.delta','event_id':'e','response_id':"
        "'%s','item_id':'%s','output_index':0,'content_index':0,'delta':'%s'}",
        response, item, audio);
}

void
history_say_end(struct session_history *h, const char *response,
                const char *item, const char *words)
{
    say(h,
        "{'type':'response.output_audio.done','event_id':'e','response_id':"
        "'%s','item_id':'%s','output_index':0,'content_index':0}",
        response, item);
    say(h,
        "{'type':'response.output_audio_transcript.done','event_id':'e',"
        "'response_id':'%s','item_id':'%s','output_index':0,'content_index':0,"
        "'transcript':'%s'}",
        response, item, words);
    say(h,
        "{'type':'response.content_part.done','event_id':'e','response_id':"
        "'%s','item_id':'%s','output_index':0,'content_index':0,'part':"
        "{'type':'audio','transcript':'%s'}}",
        response, item, words);
    say(h,
        "{'type':'conversation.item.done','event_id':'e',"
        "'previous_item_id':null,'item':{'id':'%s','type':'message','status':"
        "'completed','role':'assistant','content':[{'type':'output_audio',"
        "'transcript':'%s'}]}}",
        item, words);
    say(h,
        "{'type':'response.output_item.done','event_id':'e','response_id':"
        "'%s','output_index':0,'item':{'id':'%s','type':'message','status':"
        "'completed','role':'assistant','content':[{'type':'output_audio',"
        "'transcript':'%s'}]}}",
        response, item, words);
    say(h,
        "{'type':'response.done','event_id':'e','response':{'object':"
        "'realtime.response','id':'%s','status':'completed','output':[]}}",
        response);
}
