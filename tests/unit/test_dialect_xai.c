/* SPDX-License-Identifier: BSD-2-Clause */

/* The shapes are those xAI's server sends; the values are made up. */

#include "codec/dialect.h"

#include "kit/dialect_rig.h"
#include "kit/strict_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#define PREV     ",'previous_item_id':null"
#define ID(n)    "'00000000-0000-4000-8000-00000000000" n "'"
#define EVENT(n) "'event_id':'aaaaaaaa-0000-4000-8000-0000000000" n "'"
#define HEARD    "conversation.item.input_audio_transcription."
#define OF_RESPONSE                                                            \
    "'response_id':" ID("r") ",'content_index':0,'output_index':0"

static const char session_created[] = "{'type':'session.created'," EVENT(
    "01") ",'session':{'id':"
          "'aea33af4','object':'realtime.session','instructions':'','voice':'"
          "ara',"
          "'modalities':['audio'],'turn_detection':{'type':null},'tools':[],"
          "'model':'grok-voice'}}";
static const char conversation_created[] =
    "{'type':'conversation.created'," EVENT(
        "02") ",'conversation':{'id':"
              "'conv','object':'realtime.conversation'}" PREV "}";
static const char ping[] =
    "{'type':'ping'," EVENT("03") ",'timestamp':1785214081855" PREV "}";
static const char session_updated[] =
    "{'session':{'instructions':'Be brief.','enable_noise_suppression':true,"
    "'turn_detection':{'type':'server_vad','create_response':true,"
    "'interrupt_response':true},'model':'grok-voice','tools':[{'type':"
    "'function','function':{'name':'look','description':'d','parameters':{"
    "'type':'object'}}}],'keep_context':false,'enable_phonetic_spelling':"
    "false,'input_audio_transcription':{'model':'grok-transcribe'},"
    "'modalities':['audio'],'input_audio_format':'not specified',"
    "'output_audio_format':'not specified','tool_choice':'auto',"
    "'temperature':-1.0,'max_response_output_tokens':'inf','audio':{'input':{"
    "'format':{'type':'audio/pcm','rate':24000},'transport':'json',"
    "'transcription':{'model':'grok-transcribe'}},'output':{'format':{'type':"
    "'audio/pcm','rate':24000},'transport':'json'}}},'type':"
    "'session.updated'," EVENT("04") PREV "}";

/* A spoken turn, and the call of a function in the same response. */
static const char
    *const spoken[] =
        {
            session_created,
            conversation_created,
            ping,
            session_updated,
            "{'type':'input_audio_buffer.speech_started'," EVENT(
                "05") ",'item_id':" ID("u") ",'audio_start_ms':227" PREV "}",
            "{'type':'conversation.item.added'," EVENT(
                "06") ",'item':{'id':" ID("u") ",'object':'realtime.item','"
                                               "type':'message','status':'in_"
                                               "progress',"
                                               "'role':'user','content':[{'"
                                               "type':'input_audio','"
                                               "transcript':''}]}" PREV "}",
            "{'type':'" HEARD "updated'," EVENT("07") ",'item_id':" ID(
                "u") ",'transcript':'Hello?','content_index':0" PREV "}",
            "{'type':'" HEARD "completed'," EVENT("08") ",'item_id':" ID(
                "u") ",'transcript':'Hello?','content_index':0,'status':'in_"
                     "progress'" PREV "}",
            "{'type':'input_audio_buffer.speech_stopped'," EVENT(
                "09") ",'item_id':" ID("u") ",'audio_end_ms':1727" PREV "}",
            "{'type':'" HEARD "updated'," EVENT("10") ",'item_id':" ID(
                "u") ",'transcript':'Hello, my name is','content_index':0" PREV
                     "}",
            "{'type':'input_audio_buffer.committed'," EVENT(
                "11") ",'item_id':" ID("u") PREV "}",
            "{'type':'" HEARD "completed'," EVENT("12") ",'item_id':" ID(
                "u") ",'transcript':'Hello, my name "
                     "is','content_index':0,'status':"
                     "'in_progress'" PREV "}",
            "{'type':'" HEARD "completed'," EVENT("13") ",'item_id':" ID(
                "u") ",'transcript':'Hello, my name is "
                     "Ann.','content_index':0,'status':"
                     "'completed'" PREV "}",
            "{'type':'" HEARD "completed'," EVENT("14") ",'item_id':" ID(
                "u") ",'transcript':'Hello, my name is "
                     "Ann.','content_index':0,'status':"
                     "'completed'" PREV "}",
            "{'type':'response.created'," EVENT("15") ",'response':{'id':" ID(
                "r") ",'object':'realtime.response','output':[],'status':'in_"
                     "progress',"
                     "'status_details':'unimplemented','usage':{}}" PREV "}",
            "{'type':'response.output_item.added'," EVENT(
                "16") ",'item':{'id':" ID("a") ",'object':'realtime.item','"
                                               "type':'message','status':"
                                               "'in_progress','role':'"
                                               "assistant'},'response_id':" ID(
                                                   "r") ",'output_index':0" PREV
                                                        "}",
            "{'type':'conversation.item.added'," EVENT(
                "17") ",'item':{'id':" ID("a") ",'object':'realtime.item','"
                                               "type':'message','status':'in_"
                                               "progress',"
                                               "'role':'assistant','content':[]"
                                               "},'previous_item_id':" ID(
                                                   "u") "}",
            "{'type':'response.content_part.added'," EVENT(
                "18") ",'item_id':" ID("a") ",'previous_item_id':'0','part':{'"
                                            "type':'audio','transcript':''}"
                                            "," OF_RESPONSE "}",
            "{'type':'response.output_audio.delta'," EVENT(
                "19") ",'item_id':" ID("a") ",'delta':'AAAA'," OF_RESPONSE
                                            ",'rid':'x','latency':'0.68',"
                                            "'audio_duration_ms':489,'ts':"
                                            "1785214083561" PREV "}",
            "{'type':'response.output_audio_transcript.delta'," EVENT(
                "20") ",'item_id':" ID("a") ",'delta':'Hello Ann.'," OF_RESPONSE
                                            ",'rid':'x','start_time':0.0" PREV
                                            "}",
            "{'type':'response.output_audio_transcript.done'," EVENT(
                "21") ",'item_id':" ID("a") ",'transcript':'Hello "
                                            "Ann.'," OF_RESPONSE PREV "}",
            "{'type':'response.content_part.done'," EVENT(
                "22") ",'item_id':" ID("a") "," OF_RESPONSE PREV "}",
            "{'type':'response.output_audio.done'," EVENT(
                "23") ",'item_id':" ID("a") "," OF_RESPONSE PREV "}",
            "{'type':'response.output_item.done'," EVENT(
                "24") ",'item':{'id':" ID("a") ",'object':'realtime.item','"
                                               "type':'message','status':'"
                                               "completed',"
                                               "'role':'assistant'},'response_"
                                               "id':" ID(
                                                   "r") ",'output_index':0" PREV
                                                        "}",
            "{'type':'response.output_item.added'," EVENT(
                "25") ",'item':{'id':" ID("f") ",'object':'realtime.item','"
                                               "type':'function_call','status':"
                                               "'in_progress','role':'user','"
                                               "call_id':'call-1','name':'look'"
                                               ","
                                               "'arguments':''},'response_id'"
                                               ":" ID(
                                                   "r") ",'output_index':0" PREV
                                                        "}",
            "{'type':'conversation.item.added'," EVENT(
                "26") ",'item':{'id':" ID("f") ",'object':'realtime.item','"
                                               "type':'function_call','status':"
                                               "'in_progress','role':'tool','"
                                               "call_id':'call-1','name':'look'"
                                               ","
                                               "'arguments':''}" PREV "}",
            "{'type':'response.function_call_arguments.delta'," EVENT(
                "27") ",'item_id':" ID("f") ",'response_id':" ID("r") ",'delta'"
                                                                      ":'{}',"
                                                                      "'call_"
                                                                      "id':'"
                                                                      "call-"
                                                                      "1'" PREV
                                                                      "}",
            "{'type':'response.function_call_arguments.done'," EVENT(
                "28") ",'item_id':" ID("f") ",'response_id':" ID("r") ",'"
                                                                      "output_"
                                                                      "index':"
                                                                      "0,"
                                                                      "'call_"
                                                                      "id':'"
                                                                      "call-1',"
                                                                      "'name':'"
                                                                      "look','"
                                                                      "argument"
                                                                      "s':'{}"
                                                                      "'" PREV
                                                                      "}",
            "{'type':'response.output_item.done'," EVENT(
                "29") ",'item':{'id':" ID("f") ",'object':'realtime.item','"
                                               "type':'function_call','status':"
                                               "'completed','role':'user','"
                                               "call_id':'call-1','name':'look'"
                                               ",'arguments':"
                                               "'{}'},'response_id':" ID(
                                                   "r") ",'output_index':0" PREV
                                                        "}",
            "{'type':'response.done'," EVENT("30") ",'response':{'id':" ID("r") ",'object':'realtime.response','output':[{'id':" ID(
                "a") ",'object':"
                     "'realtime.item','type':'message','status':'completed','"
                     "role':"
                     "'assistant','content':[{'type':'audio','transcript':'"
                     "Hello Ann.'}]},{"
                     "'id':" ID(
                         "f") ",'object':'realtime.item','type':'function_call'"
                              ","
                              "'status':'completed','role':'user','call_id':'"
                              "call-1','name':'look',"
                              "'arguments':'{}'}],'status':'completed','status_"
                              "details':"
                              "'unimplemented','usage':{}},'response_id':" ID(
                                  "r") ",'usage':{"
                                       "'input_tokens':156,'input_token_"
                                       "details':{'text_tokens':10,"
                                       "'audio_tokens':146,'grok_tokens':0},'"
                                       "output_tokens':185,"
                                       "'output_token_details':{'text_tokens':"
                                       "15,'audio_tokens':170,"
                                       "'grok_tokens':0},'total_tokens':341,'"
                                       "output_audio_seconds':3.38,"
                                       "'billable_audio_seconds':5}" PREV "}",
            "{'type':'conversation.item.added'," EVENT(
                "31") ",'item':{'id':" ID("o") ",'object':'realtime.item','"
                                               "type':'function_call_output','"
                                               "status':"
                                               "'completed','role':'tool','"
                                               "call_id':'call-1','output':'"
                                               "fog'}" PREV "}",
};

static const char *const spoken_types[] = {
    "session.created",
    "session.updated",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    HEARD "delta",
    HEARD "delta",
    HEARD "completed",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio.delta",
    "response.output_audio_transcript.delta",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_audio.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
    "conversation.item.added",
    "conversation.item.done",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void
play(struct dialect_rig *rig, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(dialect_rig_from(rig, texts[i]), 0);
}

static const json_t *
find(const struct dialect_rig *rig, const char *type, size_t nth)
{
    size_t i;
    json_t *event;

    json_array_foreach(rig->all, i, event)
    {
        const char *has = json_string_value(json_object_get(event, "type"));
        if (strcmp(has, type) == 0 && nth-- == 0)
            return event;
    }
    return NULL;
}

static void
member_is(const json_t *event, const char *key, const char *quoted)
{
    json_t *wanted = dialect_rig_tree(quoted);
    const json_t *got = json_object_get(event, key);

    if (!json_equal(wanted, got)) {
        char *text = json_dumps(got, JSON_ENCODE_ANY);
        print_error("%s: wanted %s, got %s\n", key, quoted,
                    text ? text : "nothing");
        free(text);
        fail();
    }
    json_decref(wanted);
}

/* A strict client lives through all of it, in GA's order. */
static void
test_strict(void **state)
{
    struct dialect_rig rig;
    size_t i;
    json_t *event;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    play(&rig, spoken, COUNT(spoken));
    json_array_foreach(rig.all, i, event)
    {
        const char *type = json_string_value(json_object_get(event, "type"));
        const char *fault = strict_event_fault(event);
        if (fault)
            print_error("%s: %s\n", type, fault);
        assert_null(fault);
        assert_true(i < COUNT(spoken_types));
        assert_string_equal(type, spoken_types[i]);
    }
    assert_int_equal(i, COUNT(spoken_types));
    dialect_rig_close(&rig);
}

static void
test_session(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    assert_int_equal(dialect_rig_from(&rig, session_created), 0);
    const json_t *event = find(&rig, "session.created", 0);
    member_is(event, "session",
              "{'id':'aea33af4','object':'realtime.session','instructions':"
              "'','tools':[],'model':'grok-voice','output_modalities':["
              "'audio'],'audio':{'output':{'voice':'ara','format':{'type':"
              "'audio/pcm','rate':24000},'speed':1.0},'input':{"
              "'turn_detection':null,'format':{'type':'audio/pcm','rate':"
              "24000},'transcription':null,'noise_reduction':null}},'type':"
              "'realtime','tool_choice':'auto','max_output_tokens':'inf',"
              "'tracing':null,'truncation':'auto','prompt':null,'include':"
              "null}");
    assert_int_equal(dialect_rig_from(&rig, session_updated), 0);
    event = find(&rig, "session.updated", 0);
    const json_t *session = json_object_get(event, "session");
    member_is(session, "id", "'aea33af4'");
    member_is(session, "max_output_tokens", "'inf'");
    member_is(session, "tools",
              "[{'type':'function','name':'look','description':'d',"
              "'parameters':{'type':'object'}}]");
    member_is(session, "audio",
              "{'input':{'format':{'type':'audio/pcm','rate':24000},"
              "'transcription':{'model':'grok-transcribe'},"
              "'noise_reduction':null,'turn_detection':{'type':'server_vad',"
              "'create_response':true,'interrupt_response':true}},'output':{"
              "'format':{'type':'audio/pcm','rate':24000},'voice':'ara',"
              "'speed':1.0}}");
    assert_null(json_object_get(session, "temperature"));
    assert_null(json_object_get(session, "keep_context"));
    assert_null(json_object_get(event, "previous_item_id"));
    dialect_rig_close(&rig);
}

static void
test_speech(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    play(&rig, spoken, COUNT(spoken));
    const json_t *event = find(&rig, "conversation.item.added", 0);
    member_is(
        event, "item",
        "{'id':" ID(
            "u") ",'type':'message','status':'completed',"
                 "'role':'user','content':[{'type':'input_audio','transcript':"
                 "null}]}");
    member_is(find(&rig, HEARD "delta", 0), "delta", "'Hello, my name is'");
    member_is(find(&rig, HEARD "delta", 1), "delta", "' Ann.'");
    event = find(&rig, HEARD "completed", 0);
    member_is(event, "transcript", "'Hello, my name is Ann.'");
    member_is(event, "usage", "{'type':'duration','seconds':1.5}");
    assert_null(find(&rig, HEARD "completed", 1));
    member_is(find(&rig, "conversation.item.added", 1), "previous_item_id",
              ID("u"));
    dialect_rig_close(&rig);
}

static void
test_response(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    assert_int_equal(dialect_rig_to(&rig,
                                    "{'type':'response.create','response':{"
                                    "'metadata':{'client_event_id':'x'}}}"),
                     0);
    play(&rig, spoken, COUNT(spoken));
    const json_t *response =
        json_object_get(find(&rig, "response.created", 0), "response");
    member_is(response, "metadata", "{'client_event_id':'x'}");
    member_is(response, "usage", "null");
    member_is(response, "conversation_id", "'conv'");
    member_is(response, "audio",
              "{'output':{'format':{'type':'audio/pcm','rate':24000},"
              "'voice':'ara'}}");
    const json_t *done = find(&rig, "response.done", 0);
    response = json_object_get(done, "response");
    assert_null(json_object_get(done, "usage"));
    assert_null(json_object_get(done, "response_id"));
    member_is(response, "status_details", "null");
    member_is(response, "metadata", "{'client_event_id':'x'}");
    member_is(json_object_get(response, "usage"), "total_tokens", "341");
    member_is(json_object_get(response, "usage"), "billable_audio_seconds",
              "5");
    member_is(response, "output",
              "[{'id':" ID(
                  "a") ",'type':'message','status':'completed',"
                       "'role':'assistant','content':[{'type':'output_audio',"
                       "'transcript':'Hello Ann.'}]},{'id':" ID(
                           "f") ",'type':"
                                "'function_call','status':'completed','call_id'"
                                ":'call-1',"
                                "'name':'look','arguments':'{}'}]");
    /* the second item of the response is the second */
    static const char *const of_call[] = {
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done"};
    for (size_t i = 0; i < COUNT(of_call); i++)
        member_is(find(&rig, of_call[i], 0), "output_index", "1");
    member_is(find(&rig, "response.output_item.done", 0), "output_index", "0");
    member_is(find(&rig, "response.output_item.done", 1), "output_index", "1");
    member_is(
        json_object_get(find(&rig, "response.output_item.done", 0), "item"),
        "content", "[{'type':'output_audio','transcript':'Hello Ann.'}]");
    member_is(find(&rig, "response.content_part.done", 0), "part",
              "{'type':'audio','transcript':'Hello Ann.'}");
    dialect_rig_close(&rig);
}

static const struct {
    const char *in, *out;
} ups[] = {
    {"{'type':'session.update','event_id':'c','session':{'type':'realtime',"
     "'model':'m','output_modalities':['audio'],'instructions':'i','tracing':"
     "'auto','audio':{'input':{'format':{'type':'audio/pcm','rate':24000},"
     "'transcription':{'model':'gpt-4o-mini-transcribe'},'turn_detection':{"
     "'type':'semantic_vad','eagerness':'low','create_response':true,"
     "'interrupt_response':false}},'output':{'format':{'type':'audio/pcm',"
     "'rate':24000},'voice':'eve','speed':1}}}}",
     "{'type':'session.update','event_id':'c','session':{'model':'m',"
     "'instructions':'i','audio':{'input':{'format':{'type':'audio/pcm',"
     "'rate':24000},'transcription':{'model':'grok-transcribe'}},'output':{"
     "'format':{'type':'audio/pcm','rate':24000},'speed':1}},"
     "'turn_detection':{'type':'server_vad','threshold':0.5,"
     "'prefix_padding_ms':300,'silence_duration_ms':500,'idle_timeout_ms':null,"
     "'create_response':true,'interrupt_response':false},'voice':'eve'}}"},
    {"{'type':'session.update','session':{'audio':{'input':{"
     "'turn_detection':null,'transcription':null}}}}",
     "{'type':'session.update','session':{'audio':{'input':{"
     "'transcription':null}},'turn_detection':{'type':null}}}"},
    {"{'type':'session.update','session':{'audio':{'input':{"
     "'turn_detection':{'type':'server_vad','threshold':0.5}}}}}",
     "{'type':'session.update','session':{'audio':{'input':{}},"
     "'turn_detection':{'type':'server_vad','threshold':0.5}}}"},
    {"{'type':'session.update','session':7}",
     "{'type':'session.update','session':7}"},
    {"{'type':'response.create'}", "{'type':'response.create'}"},
    {"{'type':'response.cancel'}", "{'type':'response.cancel'}"},
};

static void
test_ups(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    for (size_t i = 0; i < COUNT(ups); i++) {
        assert_int_equal(dialect_rig_to(&rig, ups[i].in), 0);
        dialect_rig_expect(&rig, ups[i].out, NULL);
    }
    dialect_rig_close(&rig);
}

#define TRUNCATE                                                               \
    "{'type':'conversation.item.truncate','event_id':'t','item_id':'i',"       \
    "'content_index':0,'audio_end_ms':1480}"
#define TRUNCATED                                                              \
    "{'type':'conversation.item.truncated','event_id':'t_1','item_id':'i',"    \
    "'content_index':0,'audio_end_ms':1480}"

static void
test_truncate(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    assert_int_equal(dialect_rig_to(&rig, TRUNCATE), 0);
    dialect_rig_expect(&rig, NULL);
    assert_int_equal(dialect_rig_answer(&rig), 1);
    dialect_rig_expect(&rig, TRUNCATED, NULL);
    assert_int_equal(dialect_rig_answer(&rig), 0);
    /* nobody asks: it comes before what comes next */
    assert_int_equal(dialect_rig_to(&rig, TRUNCATE), 0);
    assert_int_equal(dialect_rig_from(&rig, ping), 0);
    dialect_rig_expect(&rig, TRUNCATED, NULL);
    for (int i = 0; i < 100; i++)
        assert_int_equal(dialect_rig_to(&rig, TRUNCATE), 0);
    assert_int_equal(dialect_rig_answer(&rig), 16);
    dialect_rig_close(&rig);
}

/* Who gets an event answers it at once, in the other direction. */
struct echo {
    struct dialect *dialect;
    unsigned events, answers;
};

static void
on_nothing(void *arg, const char *json, size_t bytes)
{
    (void) json, (void) bytes;
    ++*(unsigned *) arg;
}

static void
on_event(void *arg, const char *json, size_t bytes)
{
    struct echo *echo = arg;
    char *text = dialect_rig_quote(TRUNCATE);

    (void) json, (void) bytes;
    if (echo->events++ < 40)
        assert_int_equal(dialect_to_peer(echo->dialect, text, strlen(text),
                                         on_nothing, &echo->answers),
                         0);
    free(text);
}

static void
test_answered_inside(void **state)
{
    struct echo echo = {.events = 0};

    (void) state;
    assert_int_equal(
        dialect_create(&echo.dialect, DIALECT_XAI, DIALECT_SIDE_SERVER), 0);
    for (size_t i = 0; i < COUNT(spoken); i++) {
        char *text = dialect_rig_quote(spoken[i]);
        assert_int_equal(dialect_from_peer(echo.dialect, text, strlen(text),
                                           on_event, &echo),
                         0);
        free(text);
    }
    assert_true(echo.events > 40);
    assert_int_equal(echo.answers, 0);
    dialect_destroy(&echo.dialect);
}

static const struct {
    const char *status, *details;
} states[] = {
    {"completed", "null"},
    {"cancelled", "{'type':'cancelled','reason':'client_cancelled'}"},
    {"failed", "{'type':'failed'}"},
    {"incomplete", "{'type':'incomplete'}"},
};

static void
test_states(void **state)
{
    char text[256];

    (void) state;
    for (size_t i = 0; i < COUNT(states); i++) {
        struct dialect_rig rig;
        dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
        snprintf(text, sizeof(text),
                 "{'type':'response.done','event_id':'e','response':{'id':"
                 "'r','status':'%s','status_details':'unimplemented'}}",
                 states[i].status);
        assert_int_equal(dialect_rig_from(&rig, text), 0);
        const json_t *event = json_array_get(rig.out, 0);
        assert_null(strict_event_fault(event));
        member_is(json_object_get(event, "response"), "status_details",
                  states[i].details);
        dialect_rig_close(&rig);
    }
    struct dialect_rig rig;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    assert_int_equal(
        dialect_rig_from(&rig, "{'type':'input_audio_buffer.speech_started',"
                               "'event_id':'e','item_id':'u',"
                               "'audio_start_ms':1}"),
        0);
    assert_int_equal(
        dialect_rig_from(&rig, "{'type':'response.done','event_id':'e',"
                               "'response':{'id':'r','status':'cancelled'}}"),
        0);
    member_is(json_object_get(json_array_get(rig.out, 0), "response"),
              "status_details",
              "{'type':'cancelled','reason':'turn_detected'}");
    dialect_rig_close(&rig);
}

static const char *const errors[][2] = {
    {"{'type':'error','event_id':'e','error':'no'}", "'no'"},
    {"{'type':'error','event_id':'e','message':'no'}", "'no'"},
    {"{'type':'error','error':{'message':'no','code':'c'}}", "'no'"},
    {"{'type':'error'}", "'The model reports an error.'"},
};

static void
test_errors(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    for (size_t i = 0; i < COUNT(errors); i++) {
        assert_int_equal(dialect_rig_from(&rig, errors[i][0]), 0);
        const json_t *event = json_array_get(rig.out, 0);
        assert_null(strict_event_fault(event));
        member_is(json_object_get(event, "error"), "message", errors[i][1]);
    }
    dialect_rig_close(&rig);
}

/* What was taken back is told once, whole; no delta can take anything back. */
static void
test_taken_back(void **state)
{
    static const char *const texts[] = {
        "{'type':'input_audio_buffer.committed','event_id':'a','item_id':"
        "'u'}",
        "{'type':'" HEARD "updated','event_id':'b','item_id':'u',"
        "'transcript':'Hello?'}",
        "{'type':'" HEARD "updated','event_id':'c','item_id':'u',"
        "'transcript':'Hell, no'}",
        "{'type':'" HEARD "completed','event_id':'d','item_id':'u',"
        "'transcript':'Hell, no way.','status':'completed'}",
        "{'type':'" HEARD "updated','event_id':'e','item_id':'u',"
        "'transcript':'more'}",
    };
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    play(&rig, texts, COUNT(texts));
    assert_int_equal(json_array_size(rig.all), 3);
    member_is(json_array_get(rig.all, 1), "delta", "'Hello?'");
    member_is(json_array_get(rig.all, 2), "transcript", "'Hell, no way.'");
    dialect_rig_close(&rig);
}

/* Final before the commit: told after it, once. */
static void
test_early(void **state)
{
    static const char *const texts[] = {
        "{'type':'conversation.item.added','event_id':'a','item':{'id':'u',"
        "'type':'message','status':'in_progress','role':'user','content':["
        "]}}",
        "{'type':'" HEARD "completed','event_id':'b','item_id':'u',"
        "'transcript':'Hi.','status':'completed'}",
        "{'type':'input_audio_buffer.committed','event_id':'c','item_id':"
        "'u'}",
        "{'type':'input_audio_buffer.committed','event_id':'d','item_id':"
        "'u'}",
    };
    static const char *const types[] = {"input_audio_buffer.committed",
                                        "conversation.item.added",
                                        "conversation.item.done",
                                        HEARD "delta",
                                        HEARD "completed",
                                        "input_audio_buffer.committed"};
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    play(&rig, texts, COUNT(texts));
    assert_int_equal(json_array_size(rig.all), COUNT(types));
    for (size_t i = 0; i < COUNT(types); i++)
        assert_string_equal(json_string_value(json_object_get(
                                json_array_get(rig.all, i), "type")),
                            types[i]);
    dialect_rig_close(&rig);
}

/* More than is remembered: nothing fails, nothing grows. */
static void
test_flood(void **state)
{
    struct dialect_rig rig;
    char text[16384];
    char *words = malloc(9000);

    (void) state;
    memset(words, 'w', 8999);
    words[8999] = 0;
    dialect_rig_open(&rig, DIALECT_XAI, DIALECT_SIDE_SERVER);
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text),
                 "{'type':'response.output_item.added','event_id':'e',"
                 "'response_id':'r','output_index':0,'item':{'id':'i%d',"
                 "'type':'message','role':'assistant'}}",
                 i);
        assert_int_equal(dialect_rig_from(&rig, text), 0);
        snprintf(text, sizeof(text),
                 "{'type':'response.output_audio_transcript.done',"
                 "'event_id':'e','response_id':'r','item_id':'i%d',"
                 "'content_index':0,'output_index':0,'transcript':'%s'}",
                 i, words);
        assert_int_equal(dialect_rig_from(&rig, text), 0);
        assert_int_equal(dialect_rig_to(&rig,
                                        "{'type':'response.create','response':{"
                                        "'metadata':{'a':'b'}}}"),
                         0);
        json_array_clear(rig.all);
    }
    dialect_rig_close(&rig);
    free(words);
}

static void
test_no_memory(void **state)
{
    (void) state;
    dialect_rig_starve(DIALECT_XAI, DIALECT_SIDE_SERVER, spoken, COUNT(spoken));
    for (size_t i = 0; i < COUNT(ups); i++)
        dialect_rig_starve(DIALECT_XAI, DIALECT_SIDE_SERVER, &ups[i].in, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_speech),
        cmocka_unit_test(test_response),
        cmocka_unit_test(test_ups),
        cmocka_unit_test(test_truncate),
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_taken_back),
        cmocka_unit_test(test_early),
        cmocka_unit_test(test_flood),
        cmocka_unit_test(test_answered_inside),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
