/* SPDX-License-Identifier: BSD-2-Clause */

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

enum way { TO_PEER, FROM_PEER };

/* One text in, one out (NULL none); a dialect of its own for each. */
struct vector {
    enum dialect_kind kind;
    enum dialect_side side;
    enum way way;
    const char *in, *out;
};

#define CLIENT_UP   DIALECT_BETA, DIALECT_SIDE_CLIENT, FROM_PEER
#define CLIENT_DOWN DIALECT_BETA, DIALECT_SIDE_CLIENT, TO_PEER
#define SERVER_UP   DIALECT_BETA, DIALECT_SIDE_SERVER, TO_PEER
#define SERVER_DOWN DIALECT_BETA, DIALECT_SIDE_SERVER, FROM_PEER
#define AZURE_DOWN  DIALECT_AZURE, DIALECT_SIDE_SERVER, FROM_PEER
#define AZURE_UP    DIALECT_AZURE, DIALECT_SIDE_SERVER, TO_PEER
#define SAME(...)   __VA_ARGS__, __VA_ARGS__

/* Names that differ in deltas and ends: bytes around them stay. */
static const struct {
    const char *beta, *ga;
} renames[] = {
    {"response.audio.delta", "response.output_audio.delta"},
    {"response.audio.done", "response.output_audio.done"},
    {"response.audio_transcript.delta",
     "response.output_audio_transcript.delta"},
    {"response.audio_transcript.done", "response.output_audio_transcript.done"},
    {"response.text.delta", "response.output_text.delta"},
    {"response.text.done", "response.output_text.done"},
};

static const struct vector vectors[] = {
    /* --- a client that speaks the beta: up */
    {CLIENT_UP,
     "{'type':'session.update','event_id':'c1','session':{'modalities':"
     "['text'],'voice':'ash','temperature':0.7}}",
     "{'type':'session.update','event_id':'c1','session':{'type':'realtime',"
     "'output_modalities':['text'],'audio':{'output':{'voice':'ash'}}}}"},
    {CLIENT_UP,
     "{'type':'transcription_session.update','session':{"
     "'input_audio_format':'pcm16'}}",
     "{'type':'session.update','session':{'type':'transcription','audio':{"
     "'input':{'format':{'type':'audio/pcm','rate':24000}}}}}"},
    {CLIENT_UP,
     "{'type':'transcription_session.update','event_id':'e',"
     "'input_audio_format':'pcm16'}",
     "{'type':'session.update','event_id':'e','session':{'type':"
     "'transcription','audio':{'input':{'format':{'type':'audio/pcm','rate':"
     "24000}}}}}"},
    {CLIENT_UP,
     "{'type':'conversation.item.create','previous_item_id':'root','item':{"
     "'id':'i','object':'realtime.item','type':'message','status':"
     "'completed','role':'assistant','content':[{'type':'text','text':'x'},"
     "{'type':'audio','transcript':'y'}]}}",
     "{'type':'conversation.item.create','previous_item_id':'root','item':{"
     "'id':'i','type':'message','status':'completed','role':'assistant',"
     "'content':[{'type':'output_text','text':'x'},{'type':'output_audio',"
     "'transcript':'y'}]}}"},
    {CLIENT_UP,
     "{'type':'response.create','event_id':'r','response':{'modalities':"
     "['audio','text'],'max_response_output_tokens':9,'temperature':0.9}}",
     "{'type':'response.create','event_id':'r','response':{"
     "'output_modalities':['audio'],'max_output_tokens':9}}"},
    {CLIENT_UP, SAME("{'type':'response.create'}")},
    {CLIENT_UP, SAME("{'type':'input_audio_buffer.append','audio':'AAAA'}")},
    {CLIENT_UP, SAME("{'type':'input_audio_buffer.commit','event_id':'c'}")},
    {CLIENT_UP, SAME("{'type':'input_audio_buffer.clear'}")},
    {CLIENT_UP, SAME("{'type':'output_audio_buffer.clear'}")},
    {CLIENT_UP, SAME("{'type':'response.cancel','response_id':'r'}")},
    {CLIENT_UP, SAME("{'type':'conversation.item.delete','item_id':'i'}")},
    {CLIENT_UP, SAME("{'type':'conversation.item.retrieve','item_id':'i'}")},
    {CLIENT_UP, SAME("{'type':'conversation.item.truncate','item_id':'i',"
                     "'content_index':0,'audio_end_ms':5}")},
    /* what it can't mean is left to whoever checks */
    {CLIENT_UP, SAME("{'type':'session.update','session':7}")},
    {CLIENT_UP, SAME("{'type':'session.update'}")},
    {CLIENT_UP, SAME("{'type':'response.create','response':[]}")},
    {CLIENT_UP, SAME("{'type':'conversation.item.create','item':'x'}")},
    {CLIENT_UP, SAME("{'type':'unheard.of','session':{'voice':'ash'}}")},
    {CLIENT_UP, SAME("{'session':{'voice':'ash'}}")},
    {CLIENT_UP, SAME("{'type':7}")},
    {CLIENT_UP, SAME("{'type':'session\\u002eupdate','session':{}}")},
    {CLIENT_UP, SAME("[]")},
    {CLIENT_UP, SAME("7")},
    /* --- a client that speaks the beta: down */
    {CLIENT_DOWN,
     "{'type':'session.created','event_id':'e','session':{'type':'realtime',"
     "'object':'realtime.session','id':'s','output_modalities':['audio'],"
     "'audio':{'input':{'format':{'type':'audio/pcm','rate':24000},"
     "'transcription':null,'turn_detection':null,'noise_reduction':null},"
     "'output':{'format':{'type':'audio/pcmu'},'voice':'ash','speed':1.0}},"
     "'max_output_tokens':'inf'}}",
     "{'type':'session.created','event_id':'e','session':{'object':"
     "'realtime.session','id':'s','modalities':['audio','text'],'voice':"
     "'ash','speed':1.0,'input_audio_format':'pcm16','output_audio_format':"
     "'g711_ulaw','input_audio_transcription':null,'turn_detection':null,"
     "'input_audio_noise_reduction':null,'max_response_output_tokens':'inf',"
     "'temperature':0.8}}"},
    {CLIENT_DOWN,
     "{'type':'session.updated','event_id':'e','session':{'type':"
     "'transcription','id':'s'}}",
     "{'type':'transcription_session.updated','event_id':'e','session':{"
     "'id':'s'}}"},
    {CLIENT_DOWN,
     "{'type':'session.created','event_id':'e','session':{'type':"
     "'transcription','id':'s'}}",
     "{'type':'transcription_session.created','event_id':'e','session':{"
     "'id':'s'}}"},
    {CLIENT_DOWN,
     "{'type':'conversation.item.added','event_id':'e','previous_item_id':"
     "null,'item':{'id':'i','type':'message','role':'assistant','content':["
     "{'type':'output_text','text':'x'}]}}",
     "{'type':'conversation.item.created','event_id':'e','previous_item_id':"
     "null,'item':{'id':'i','object':'realtime.item','type':'message','role':"
     "'assistant','content':[{'type':'text','text':'x'}]}}"},
    {CLIENT_DOWN,
     "{'type':'conversation.item.done','event_id':'e','item':{'id':'i'}}",
     NULL},
    {CLIENT_DOWN,
     "{'type':'response.output_item.done','event_id':'e','response_id':'r',"
     "'output_index':0,'item':{'id':'i','type':'message','role':'assistant',"
     "'content':[{'type':'output_audio','transcript':'x'}]}}",
     "{'type':'response.output_item.done','event_id':'e','response_id':'r',"
     "'output_index':0,'item':{'id':'i','object':'realtime.item','type':"
     "'message','role':'assistant','content':[{'type':'audio','transcript':"
     "'x'}]}}"},
    {CLIENT_DOWN,
     "{'type':'response.done','event_id':'e','response':{'id':'r','object':"
     "'realtime.response','output_modalities':['text'],'audio':{'output':{"
     "'voice':'ash','format':{'type':'audio/pcm','rate':24000}}},'output':[],"
     "'usage':{'total_tokens':1},'max_output_tokens':'inf'}}",
     "{'type':'response.done','event_id':'e','response':{'id':'r','object':"
     "'realtime.response','modalities':['text'],'voice':'ash',"
     "'output_audio_format':'pcm16','output':[],'usage':{'total_tokens':1},"
     "'max_output_tokens':'inf','temperature':0.8}}"},
    {CLIENT_DOWN,
     "{'type':'response.content_part.added','event_id':'e','part':{'type':"
     "'audio'}}",
     "{'type':'response.content_part.added','event_id':'e','part':{'type':"
     "'audio','transcript':''}}"},
    {CLIENT_DOWN,
     SAME("{'type':'response.content_part.added','event_id':'e','part':{"
          "'type':'text','text':''}}")},
    {CLIENT_DOWN,
     "{'type':'error','event_id':'e','error':{'type':'t','code':'c',"
     "'message':'m','param':'session.audio.input.turn_detection.type',"
     "'event_id':null}}",
     "{'type':'error','event_id':'e','error':{'type':'t','code':'c',"
     "'message':'m','param':'session.turn_detection.type','event_id':null}}"},
    {CLIENT_DOWN,
     SAME("{'type':'error','event_id':'e','error':{'message':'m','param':"
          "null}}")},
    {CLIENT_DOWN,
     SAME("{'type':'input_audio_buffer.speech_started','event_id':'e'}")},
    {CLIENT_DOWN,
     SAME("{'type':'rate_limits.updated','event_id':'e','rate_limits':[]}")},
    {CLIENT_DOWN, "{'type':'input_audio_buffer.timeout_triggered'}", NULL},
    {CLIENT_DOWN, "{'type':'mcp_list_tools.in_progress'}", NULL},
    {CLIENT_DOWN, "{'type':'response.mcp_call.completed'}", NULL},
    /* --- an upstream that speaks the beta: up */
    {SERVER_UP,
     "{'type':'session.update','session':{'type':'realtime',"
     "'output_modalities':['audio'],'truncation':'auto','audio':{'input':{"
     "'turn_detection':null},'output':{'voice':'ash'}}}}",
     "{'type':'session.update','session':{'modalities':['audio','text'],"
     "'voice':'ash','turn_detection':null}}"},
    {SERVER_UP,
     "{'type':'session.update','session':{'type':'transcription','audio':{"
     "'input':{'transcription':{'model':'w'}}}}}",
     "{'type':'transcription_session.update','session':{"
     "'input_audio_transcription':{'model':'w'}}}"},
    {SERVER_UP,
     "{'type':'conversation.item.create','item':{'type':'message','role':"
     "'assistant','content':[{'type':'output_text','text':'x'}]}}",
     "{'type':'conversation.item.create','item':{'type':'message','role':"
     "'assistant','content':[{'type':'text','text':'x'}],'object':"
     "'realtime.item'}}"},
    {SERVER_UP,
     "{'type':'response.create','response':{'output_modalities':['text'],"
     "'max_output_tokens':5}}",
     "{'type':'response.create','response':{'modalities':['text'],"
     "'max_response_output_tokens':5}}"},
    {SERVER_UP, SAME("{'type':'response.cancel'}")},
    /* --- an upstream that speaks the beta: down */
    {SERVER_DOWN,
     "{'type':'session.created','event_id':'e','session':{'id':'s','object':"
     "'realtime.session','modalities':['audio','text'],'voice':'ash',"
     "'temperature':0.8}}",
     "{'type':'session.created','event_id':'e','session':{'id':'s','object':"
     "'realtime.session','output_modalities':['audio'],'audio':{'output':{"
     "'voice':'ash','format':{'type':'audio/pcm','rate':24000},'speed':1.0},"
     "'input':{'format':{'type':'audio/pcm','rate':24000},'transcription':"
     "null,'noise_reduction':null,'turn_detection':null}},'type':'realtime',"
     "'instructions':'','tools':[],'tool_choice':'auto','max_output_tokens':"
     "'inf','tracing':null,'truncation':'auto','prompt':null,'include':"
     "null}}"},
    {SERVER_DOWN,
     "{'type':'conversation.item.input_audio_transcription.completed',"
     "'event_id':'e','item_id':'i','content_index':0,'transcript':'t'}",
     "{'type':'conversation.item.input_audio_transcription.completed',"
     "'event_id':'e','item_id':'i','content_index':0,'transcript':'t',"
     "'usage':{'type':'duration','seconds':0}}"},
    {SERVER_DOWN,
     SAME("{'type':'conversation.item.input_audio_transcription.completed',"
          "'event_id':'e','usage':{'type':'tokens','total_tokens':1}}")},
    {SERVER_DOWN,
     "{'type':'transcription_session.updated','event_id':'e','session':{"
     "'id':'s','input_audio_format':'pcm16'}}",
     "{'type':'session.updated','event_id':'e','session':{'id':'s','type':"
     "'transcription','audio':{'input':{'format':{'type':'audio/pcm','rate':"
     "24000}}}}}"},
    {SERVER_DOWN, "{'type':'conversation.created','event_id':'e'}", NULL},
    {SERVER_DOWN,
     "{'type':'response.created','event_id':'e','response':{'object':"
     "'realtime.response','id':'r','status':'in_progress','status_details':"
     "null,'output':[],'usage':null,'modalities':['text'],'temperature':1}}",
     "{'type':'response.created','event_id':'e','response':{'object':"
     "'realtime.response','id':'r','status':'in_progress','status_details':"
     "null,'output':[],'usage':null,'output_modalities':['text'],'metadata':"
     "null}}"},
    {SERVER_DOWN,
     "{'type':'error','event_id':'e','error':{'param':'session.voice'}}",
     "{'type':'error','event_id':'e','error':{'param':"
     "'session.audio.output.voice'}}"},
    {SERVER_DOWN, SAME("{'type':'rate_limits.updated','rate_limits':[]}")},
    /* --- Azure */
    {AZURE_DOWN,
     "{'type':'response.content_part.added','event_id':'e','part':{'type':"
     "'audio','transcript':''},'content':{'type':'audio','transcript':''}}",
     "{'type':'response.content_part.added','event_id':'e','part':{'type':"
     "'audio','transcript':''}}"},
    {AZURE_DOWN,
     "{'type':'response.content_part.done','part':{'type':'text','text':"
     "'x'},'content':{}}",
     "{'type':'response.content_part.done','part':{'type':'text','text':"
     "'x'}}"},
    {AZURE_DOWN, SAME("{'type':'session.created','session':{}}")},
    {AZURE_UP, SAME("{'type':'session.update','session':{}}")},
};

static void
vector_check(const struct vector *v)
{
    struct dialect_rig rig;

    dialect_rig_open(&rig, v->kind, v->side);
    int result = v->way == TO_PEER ? dialect_rig_to(&rig, v->in)
                                   : dialect_rig_from(&rig, v->in);
    assert_int_equal(result, 0);
    dialect_rig_expect(&rig, v->out, NULL);
    dialect_rig_close(&rig);
}

static void
test_vectors(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        vector_check(&vectors[i]);
}

static void
test_renames(void **state)
{
    static const char form[] = "{'event_id' : 'e', 'delta':'A\\u0041/+', "
                               "'type':  '%s' , 'x':[{'type':1}]}";
    char beta[256], ga[256];
    struct vector v = {.kind = DIALECT_BETA};

    (void) state;
    for (size_t i = 0; i < sizeof(renames) / sizeof(renames[0]); i++) {
        snprintf(beta, sizeof(beta), form, renames[i].beta);
        snprintf(ga, sizeof(ga), form, renames[i].ga);
        v = (struct vector){CLIENT_DOWN, ga, beta};
        vector_check(&v);
        v = (struct vector){SERVER_DOWN, beta, ga};
        vector_check(&v);
    }
}

/* An emitter that compares bytes. */
static void
on_same(void *arg, const char *json, size_t bytes)
{
    assert_int_equal(bytes, strlen(arg));
    assert_memory_equal(json, arg, bytes);
}

/* Nothing but the name is touched: not a space, not an escape. */
static void
test_bytes(void **state)
{
    struct dialect *d;
    char in[] = "{ \"type\":\"response.output_audio.delta\",\"delta\":\"AA\\/"
                "\" , \"a\":1.50 }";
    char out[] = "{ \"type\":\"response.audio.delta\",\"delta\":\"AA\\/"
                 "\" , \"a\":1.50 }";
    char same[] = "{ \"type\" : \"input_audio_buffer.append\",\"audio\":\"\"}";

    (void) state;
    assert_int_equal(dialect_create(&d, DIALECT_BETA, DIALECT_SIDE_CLIENT), 0);
    assert_int_equal(dialect_to_peer(d, in, strlen(in), on_same, out), 0);
    assert_int_equal(dialect_from_peer(d, same, strlen(same), on_same, same),
                     0);
    dialect_destroy(&d);
}

static void
test_nothing_to_do(void **state)
{
    struct dialect *d = (struct dialect *) 1;

    (void) state;
    for (int side = 0; side < DIALECT_SIDE_COUNT; side++) {
        assert_int_equal(dialect_create(&d, DIALECT_OPENAI, side), 0);
        assert_null(d);
    }
    assert_int_equal(dialect_create(&d, DIALECT_XAI, DIALECT_SIDE_CLIENT), 0);
    assert_null(d);
    assert_int_equal(dialect_answer(NULL, on_same, NULL), 0);
    dialect_destroy(&d);
    assert_string_equal(dialect_name(DIALECT_XAI), "xai");
    assert_string_equal(dialect_name(DIALECT_COUNT), "");
}

/* What can't be read as one tree is for the caller. */
static const char *const unreadable[] = {
    "{'type':'session.update','session':{}",
    "{'type':'session.update','session':{'a':1,'a':2}}",
    "{'type':'session.update','session':{},'session':{}}",
    "{'type':'session.update','session':1e999999}",
    "{'type':'session.update'} x",
};

static void
test_unreadable(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_BETA, DIALECT_SIDE_CLIENT);
    for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++) {
        assert_int_equal(dialect_rig_from(&rig, unreadable[i]), UV_EINVAL);
        dialect_rig_expect(&rig, NULL);
    }
    assert_int_equal(dialect_rig_from(&rig, "no JSON"), 0);
    dialect_rig_expect(&rig, "'no JSON'", NULL);
    dialect_rig_close(&rig);
}

static void
on_bytes(void *arg, const char *json, size_t bytes)
{
    (void) json;
    *(size_t *) arg += bytes;
}

/* Too large for a tree: passed on, for those who refuse it. */
static void
test_large(void **state)
{
    static const char head[] = "{\"type\":\"session.update\",\"x\":\"";
    size_t bytes = DIALECT_TREE_MAX + 64, got = 0;
    char *text = malloc(bytes + 1);
    struct dialect *d;

    (void) state;
    memset(text, 'x', bytes);
    memcpy(text, head, strlen(head));
    memcpy(text + bytes - 2, "\"}", 3);
    assert_int_equal(dialect_create(&d, DIALECT_BETA, DIALECT_SIDE_CLIENT), 0);
    assert_int_equal(dialect_from_peer(d, text, bytes, on_bytes, &got), 0);
    assert_int_equal(got, bytes);
    dialect_destroy(&d);
    free(text);
}

/* --- an upstream of the beta, in turns */

static void
test_beta_item_whole(void **state)
{
    struct dialect_rig rig;

    (void) state;
    dialect_rig_open(&rig, DIALECT_BETA, DIALECT_SIDE_SERVER);
    assert_int_equal(
        dialect_rig_from(
            &rig, "{'type':'conversation.item.created','event_id':'e',"
                  "'previous_item_id':'p','item':{'id':'i','object':"
                  "'realtime.item','type':'message','status':'completed',"
                  "'role':'user','content':[{'type':'input_text','text':"
                  "'x'}]}}"),
        0);
    dialect_rig_expect(
        &rig,
        "{'type':'conversation.item.added','event_id':'e','previous_item_id':"
        "'p','item':{'id':'i','type':'message','status':'completed','role':"
        "'user','content':[{'type':'input_text','text':'x'}]}}",
        "{'type':'conversation.item.done','event_id':'e_1',"
        "'previous_item_id':'p','item':{'id':'i','type':'message','status':"
        "'completed','role':'user','content':[{'type':'input_text','text':"
        "'x'}]}}",
        NULL);
    /* a server that tells of it in both ways */
    assert_int_equal(
        dialect_rig_from(&rig, "{'type':'conversation.item.done','event_id':"
                               "'f','item':{'id':'i','type':'message'}}"),
        0);
    dialect_rig_expect(&rig, NULL);
    assert_int_equal(
        dialect_rig_from(&rig, "{'type':'conversation.item.added','event_id':"
                               "'f','item':{'id':'i','type':'message'}}"),
        0);
    dialect_rig_expect(&rig, NULL);
    dialect_rig_close(&rig);
}

static const char *const beta_turn[] = {
    "{'type':'session.created','event_id':'e1','session':{'id':'s','object':"
    "'realtime.session','model':'m','modalities':['audio','text'],'voice':"
    "'ash','instructions':'','tools':[],'tool_choice':'auto',"
    "'input_audio_format':'pcm16','output_audio_format':'pcm16',"
    "'input_audio_transcription':null,'turn_detection':null,'temperature':"
    "0.8,'max_response_output_tokens':'inf'}}",
    "{'type':'conversation.created','event_id':'e2','conversation':{}}",
    "{'type':'conversation.item.created','event_id':'e3','previous_item_id':"
    "null,'item':{'id':'u','object':'realtime.item','type':'message',"
    "'status':'completed','role':'user','content':[{'type':'input_audio',"
    "'transcript':null}]}}",
    "{'type':'response.created','event_id':'e4','response':{'object':"
    "'realtime.response','id':'r','status':'in_progress','status_details':"
    "null,'output':[],'usage':null,'modalities':['audio','text']}}",
    "{'type':'response.output_item.added','event_id':'e5','response_id':'r',"
    "'output_index':0,'item':{'id':'a','object':'realtime.item','type':"
    "'message','status':'in_progress','role':'assistant','content':[]}}",
    "{'type':'conversation.item.created','event_id':'e6','previous_item_id':"
    "'u','item':{'id':'a','object':'realtime.item','type':'message',"
    "'status':'in_progress','role':'assistant','content':[]}}",
    "{'type':'response.content_part.added','event_id':'e7','response_id':"
    "'r','item_id':'a','output_index':0,'content_index':0,'part':{'type':"
    "'audio','transcript':''}}",
    "{'type':'response.audio_transcript.delta','event_id':'e8',"
    "'response_id':'r','item_id':'a','output_index':0,'content_index':0,"
    "'delta':'Hi'}",
    "{'type':'response.audio.delta','event_id':'e9','response_id':'r',"
    "'item_id':'a','output_index':0,'content_index':0,'delta':'AAAA'}",
    "{'type':'response.audio.done','event_id':'e10','response_id':'r',"
    "'item_id':'a','output_index':0,'content_index':0}",
    "{'type':'response.audio_transcript.done','event_id':'e11',"
    "'response_id':'r','item_id':'a','output_index':0,'content_index':0,"
    "'transcript':'Hi'}",
    "{'type':'response.content_part.done','event_id':'e12','response_id':"
    "'r','item_id':'a','output_index':0,'content_index':0,'part':{'type':"
    "'audio','transcript':'Hi'}}",
    "{'type':'response.output_item.done','event_id':'e13','response_id':'r',"
    "'output_index':0,'item':{'id':'a','object':'realtime.item','type':"
    "'message','status':'completed','role':'assistant','content':[{'type':"
    "'audio','transcript':'Hi'}]}}",
    "{'type':'response.output_item.added','event_id':'e14','response_id':"
    "'r','output_index':1,'item':{'id':'f','object':'realtime.item','type':"
    "'function_call','status':'in_progress','name':'look','call_id':'c',"
    "'arguments':''}}",
    "{'type':'conversation.item.created','event_id':'e15',"
    "'previous_item_id':'a','item':{'id':'f','object':'realtime.item',"
    "'type':'function_call','status':'in_progress','name':'look','call_id':"
    "'c','arguments':''}}",
    "{'type':'response.function_call_arguments.done','event_id':'e16',"
    "'response_id':'r','item_id':'f','output_index':1,'call_id':'c',"
    "'arguments':'{}'}",
    "{'type':'response.output_item.done','event_id':'e17','response_id':'r',"
    "'output_index':1,'item':{'id':'f','object':'realtime.item','type':"
    "'function_call','status':'completed','name':'look','call_id':'c',"
    "'arguments':'{}'}}",
    "{'type':'response.done','event_id':'e18','response':{'object':"
    "'realtime.response','id':'r','status':'completed','status_details':"
    "null,'output':[],'usage':{'total_tokens':3,'input_tokens':1,"
    "'output_tokens':2,'input_token_details':{'text_tokens':1}},"
    "'modalities':['audio','text']}}",
};

static const char *const ga_types[] = {
    "session.created",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "response.output_audio_transcript.delta",
    "response.output_audio.delta",
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.output_item.added",
    "conversation.item.added",
    "response.function_call_arguments.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
};

/* Everything a strict client wants, in GA's order. */
static void
test_beta_turn(void **state)
{
    struct dialect_rig rig;
    size_t i;
    json_t *event;

    (void) state;
    dialect_rig_open(&rig, DIALECT_BETA, DIALECT_SIDE_SERVER);
    for (i = 0; i < sizeof(beta_turn) / sizeof(beta_turn[0]); i++)
        assert_int_equal(dialect_rig_from(&rig, beta_turn[i]), 0);
    assert_int_equal(json_array_size(rig.all),
                     sizeof(ga_types) / sizeof(ga_types[0]));
    json_array_foreach(rig.all, i, event)
    {
        const char *fault = strict_event_fault(event);
        if (fault)
            print_error("%s: %s\n", ga_types[i], fault);
        assert_null(fault);
        assert_string_equal(json_string_value(json_object_get(event, "type")),
                            ga_types[i]);
    }
    dialect_rig_close(&rig);
}

/* Upstream beta, client beta: what one takes off the other puts on. */
static void
test_there_and_back(void **state)
{
    struct dialect_rig in, out;
    size_t i, back = 0;
    json_t *event;

    (void) state;
    dialect_rig_open(&in, DIALECT_BETA, DIALECT_SIDE_SERVER);
    dialect_rig_open(&out, DIALECT_BETA, DIALECT_SIDE_CLIENT);
    for (i = 0; i < sizeof(beta_turn) / sizeof(beta_turn[0]); i++)
        assert_int_equal(dialect_rig_from(&in, beta_turn[i]), 0);
    json_array_foreach(in.all, i, event)
    {
        char *text = json_dumps(event, 0);
        assert_int_equal(dialect_rig_to(&out, text), 0);
        free(text);
    }
    for (i = 0; i < sizeof(beta_turn) / sizeof(beta_turn[0]); i++) {
        json_t *beta = dialect_rig_tree(beta_turn[i]);
        const char *type = json_string_value(json_object_get(beta, "type"));
        if (strcmp(type, "conversation.created") != 0) {
            json_t *got = json_array_get(out.all, back++);
            assert_string_equal(json_string_value(json_object_get(got, "type")),
                                type);
            if (json_object_get(beta, "item") || strstr(type, "delta"))
                assert_true(json_equal(beta, got));
        }
        json_decref(beta);
    }
    assert_int_equal(back, json_array_size(out.all));
    dialect_rig_close(&in);
    dialect_rig_close(&out);
}

static void
test_no_memory(void **state)
{
    (void) state;
    dialect_rig_starve(DIALECT_BETA, DIALECT_SIDE_SERVER, beta_turn,
                       sizeof(beta_turn) / sizeof(beta_turn[0]));
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        dialect_rig_starve(vectors[i].kind, vectors[i].side, &vectors[i].in, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_renames),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_beta_item_whole),
        cmocka_unit_test(test_beta_turn),
        cmocka_unit_test(test_there_and_back),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
