/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/dialect_session.h"

#include "codec/dialect_item.h"
#include "kit/dialect_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

struct pair {
    const char *beta;
    const char *ga;
};

/* Both ways. */
static const struct pair sessions[] = {
    {"{}", "{'type':'realtime'}"},
    {"{'modalities':['audio','text']}",
     "{'type':'realtime','output_modalities':['audio']}"},
    {"{'modalities':['text']}",
     "{'type':'realtime','output_modalities':['text']}"},
    {"{'voice':'marin','speed':1.25}",
     "{'type':'realtime','audio':{'output':{'voice':'marin','speed':1.25}}}"},
    {"{'input_audio_format':'pcm16','output_audio_format':'g711_ulaw'}",
     "{'type':'realtime','audio':{'input':{'format':{'type':'audio/pcm',"
     "'rate':24000}},'output':{'format':{'type':'audio/pcmu'}}}}"},
    {"{'input_audio_format':'g711_alaw'}",
     "{'type':'realtime','audio':{'input':{'format':{'type':'audio/pcma'}}}}"},
    {"{'input_audio_transcription':{'model':'whisper-1','language':'en'}}",
     "{'type':'realtime','audio':{'input':{'transcription':{'model':"
     "'whisper-1','language':'en'}}}}"},
    {"{'input_audio_transcription':null,'input_audio_noise_reduction':null}",
     "{'type':'realtime','audio':{'input':{'transcription':null,"
     "'noise_reduction':null}}}"},
    {"{'input_audio_noise_reduction':{'type':'near_field'}}",
     "{'type':'realtime','audio':{'input':{'noise_reduction':{'type':"
     "'near_field'}}}}"},
    {"{'turn_detection':{'type':'server_vad','threshold':0.5,"
     "'prefix_padding_ms':300,'silence_duration_ms':500,"
     "'create_response':true,'interrupt_response':true}}",
     "{'type':'realtime','audio':{'input':{'turn_detection':{'type':"
     "'server_vad','threshold':0.5,'prefix_padding_ms':300,"
     "'silence_duration_ms':500,'create_response':true,"
     "'interrupt_response':true}}}}"},
    {"{'turn_detection':null}",
     "{'type':'realtime','audio':{'input':{'turn_detection':null}}}"},
    {"{'max_response_output_tokens':'inf'}",
     "{'type':'realtime','max_output_tokens':'inf'}"},
    {"{'max_response_output_tokens':4096}",
     "{'type':'realtime','max_output_tokens':4096}"},
    {"{'id':'sess_1','model':'m','instructions':'Hi','tools':[{'type':"
     "'function','name':'f'}],'tool_choice':'auto','tracing':null,"
     "'expires_at':1,'include':null}",
     "{'type':'realtime','id':'sess_1','model':'m','instructions':'Hi',"
     "'tools':[{'type':'function','name':'f'}],'tool_choice':'auto',"
     "'tracing':null,'expires_at':1,'include':null}"},
    {"{'input_audio_format':'opus'}",
     "{'type':'realtime','audio':{'input':{'format':{'type':'opus'}}}}"},
    {"{'object':'realtime.transcription_session','input_audio_format':"
     "'pcm16','include':['item.input_audio_transcription.logprobs']}",
     "{'type':'transcription','object':'realtime.transcription_session',"
     "'audio':{'input':{'format':{'type':'audio/pcm','rate':24000}}},"
     "'include':['item.input_audio_transcription.logprobs']}"},
};

/* To GA alone. */
static const struct pair sessions_up[] = {
    {"{'temperature':0.8,'client_secret':{'expires_after':{'anchor':"
     "'created_at','seconds':60}}}",
     "{'type':'realtime'}"},
    {"{'modalities':['text','audio']}",
     "{'type':'realtime','output_modalities':['audio']}"},
    {"{'modalities':'audio'}",
     "{'type':'realtime','output_modalities':'audio'}"},
    {"{'modalities':[]}", "{'type':'realtime','output_modalities':[]}"},
    {"{'tools':[{'name':'f','parameters':{}},7]}",
     "{'type':'realtime','tools':[{'name':'f','parameters':{},"
     "'type':'function'},7]}"},
    {"{'turn_detection':{'type':'none'}}",
     "{'type':'realtime','audio':{'input':{'turn_detection':null}}}"},
    {"{'turn_detection':{'type':null}}",
     "{'type':'realtime','audio':{'input':{'turn_detection':null}}}"},
    {"{'input_audio_format':7}",
     "{'type':'realtime','audio':{'input':{'format':7}}}"},
    /* a client between the generations */
    {"{'voice':'ash','audio':{'input':{'format':{'type':'audio/pcmu'}}}}",
     "{'type':'realtime','audio':{'input':{'format':{'type':'audio/pcmu'}},"
     "'output':{'voice':'ash'}}}"},
    {"{'voice':'ash','audio':5}", "{'type':'realtime','audio':5}"},
    {"{'voice':{'name':'alloy','type':'openai'}}",
     "{'type':'realtime','audio':{'output':{'voice':'alloy'}}}"},
    {"{'voice':{'id':'voice_1'}}",
     "{'type':'realtime','audio':{'output':{'voice':{'id':'voice_1'}}}}"},
    {"{'unheard_of':1}", "{'type':'realtime','unheard_of':1}"},
};

/* To the beta alone. */
static const struct pair sessions_down[] = {
    {"{'object':'realtime.session','modalities':['audio','text'],"
     "'temperature':0.8}",
     "{'type':'realtime','object':'realtime.session',"
     "'output_modalities':['audio']}"},
    {"{'id':'s'}",
     "{'type':'realtime','id':'s','truncation':'auto','prompt':null,"
     "'reasoning':{'effort':'low'},'parallel_tool_calls':true,"
     "'audio':{'input':{'transport':'json'}}}"},
};

static void
pair_check(const struct pair *p, bool up,
           int (*translate)(const json_t *, json_t **))
{
    json_t *from = dialect_rig_tree(up ? p->beta : p->ga);
    json_t *wanted = dialect_rig_tree(up ? p->ga : p->beta);
    json_t *before = json_deep_copy(from), *got = NULL;

    assert_int_equal(translate(from, &got), 0);
    if (!json_equal(got, wanted)) {
        char *text = json_dumps(got, 0);
        print_error("%s\ngave %s\n", up ? p->beta : p->ga, text);
        free(text);
        fail();
    }
    assert_true(json_equal(from, before));
    json_decref(from);
    json_decref(before);
    json_decref(wanted);
    json_decref(got);
}

#define EACH(table, ...)                                                       \
    for (size_t i = 0; i < sizeof(table) / sizeof((table)[0]); i++)            \
    pair_check(&(table)[i], __VA_ARGS__)

static void
test_sessions(void **state)
{
    (void) state;
    EACH(sessions, true, dialect_session_from_beta);
    EACH(sessions, false, dialect_session_to_beta);
    EACH(sessions_up, true, dialect_session_from_beta);
    EACH(sessions_down, false, dialect_session_to_beta);
}

static void
test_transcription(void **state)
{
    static const struct pair p = {
        "{'input_audio_format':'pcm16','modalities':['text'],"
        "'input_audio_transcription':{'model':'gpt-4o-transcribe'}}",
        "{'type':'transcription','audio':{'input':{'format':{'type':"
        "'audio/pcm','rate':24000},'transcription':{'model':"
        "'gpt-4o-transcribe'}}}}"};

    (void) state;
    pair_check(&p, true, dialect_session_from_beta_transcription);
}

#define PCM "{'type':'audio/pcm','rate':24000}"

/* What a server left out, or has as a null, is put in; the rest stays. */
static const struct pair fills[] = {
    {"{'type':'transcription'}", "{'type':'transcription'}"},
    {"{'type':'realtime','audio':7,'tools':[1],'instructions':'i'}",
     "{'type':'realtime','tools':[1],'instructions':'i','object':"
     "'realtime.session','output_modalities':['audio'],'tool_choice':'auto',"
     "'max_output_tokens':'inf','tracing':null,'truncation':'auto','prompt':"
     "null,'audio':{'input':{'format':" PCM ",'transcription':null,"
     "'noise_reduction':null,'turn_detection':null},'output':{'format':" PCM
     ",'speed':1.0}},'include':null}"},
    {"{'type':'realtime','audio':{'input':{'format':null},'output':{'format':"
     "{'type':'audio/pcmu'},'voice':'ash'}}}",
     "{'type':'realtime','object':'realtime.session','output_modalities':["
     "'audio'],'instructions':'','tools':[],'tool_choice':'auto',"
     "'max_output_tokens':'inf','tracing':null,'truncation':'auto','prompt':"
     "null,'audio':{'input':{'format':" PCM ",'transcription':null,"
     "'noise_reduction':null,'turn_detection':null},'output':{'format':{"
     "'type':'audio/pcmu'},'voice':'ash','speed':1.0}},'include':null}"},
};

static void
test_fill(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        json_t *ga = dialect_rig_tree(fills[i].beta);
        json_t *wanted = dialect_rig_tree(fills[i].ga);
        assert_int_equal(dialect_session_fill(ga), 0);
        assert_true(json_equal(ga, wanted));
        json_decref(ga);
        json_decref(wanted);
    }
    assert_int_equal(dialect_session_fill(NULL), 0);
}

static const struct pair responses[] = {
    {"{'modalities':['text'],'voice':'ash','output_audio_format':'pcm16',"
     "'max_response_output_tokens':7,'instructions':'i','conversation':"
     "'none','metadata':{'a':'b'}}",
     "{'output_modalities':['text'],'audio':{'output':{'voice':'ash',"
     "'format':{'type':'audio/pcm','rate':24000}}},'max_output_tokens':7,"
     "'instructions':'i','conversation':'none','metadata':{'a':'b'}}"},
    {"{'input':[{'object':'realtime.item','type':'message','role':"
     "'assistant','content':[{'type':'text','text':'x'}]},{'object':"
     "'realtime.item','type':'item_reference','id':'i'}]}",
     "{'input':[{'type':'message','role':'assistant','content':[{'type':"
     "'output_text','text':'x'}]},{'type':'item_reference','id':'i'}]}"},
};

static const struct pair answers[] = {
    {"{'object':'realtime.response','id':'r','status':'completed',"
     "'modalities':['audio','text'],'voice':'ash','output_audio_format':"
     "'pcm16','temperature':0.8,'max_output_tokens':'inf','output':[{'id':"
     "'i','object':'realtime.item','type':'message','role':'assistant',"
     "'content':[{'type':'audio','transcript':'t'}]}]}",
     "{'object':'realtime.response','id':'r','status':'completed',"
     "'output_modalities':['audio'],'audio':{'output':{'voice':'ash',"
     "'format':{'type':'audio/pcm','rate':24000}}},'max_output_tokens':"
     "'inf','output':[{'id':'i','type':'message','role':'assistant',"
     "'content':[{'type':'output_audio','transcript':'t'}]}]}"},
};

static void
test_responses(void **state)
{
    (void) state;
    EACH(responses, true, dialect_response_from_beta);
    EACH(responses, false, dialect_response_to_beta);
    EACH(answers, true, dialect_answer_from_beta);
    EACH(answers, false, dialect_answer_to_beta);
}

static const char *const no_objects[] = {"[]", "null", "7", "'x'", "true"};

static void
test_no_objects(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(no_objects) / sizeof(no_objects[0]); i++) {
        json_t *from = dialect_rig_tree(no_objects[i]), *to = NULL;
        assert_int_equal(dialect_session_from_beta(from, &to), UV_EINVAL);
        assert_int_equal(dialect_session_to_beta(from, &to), UV_EINVAL);
        assert_int_equal(dialect_response_from_beta(from, &to), UV_EINVAL);
        assert_int_equal(dialect_answer_to_beta(from, &to), UV_EINVAL);
        assert_int_equal(dialect_item_from_beta(from), 0);
        assert_int_equal(dialect_items_to_beta(from), 0);
        assert_null(to);
        json_decref(from);
    }
    json_t *to = NULL;
    assert_int_equal(dialect_session_from_beta(NULL, &to), UV_EINVAL);
    assert_int_equal(dialect_items_from_beta(NULL), 0);
}

static const struct {
    const char *beta, *ga;
    bool both;
} params[] = {
    {"session.voice", "session.audio.output.voice", true},
    {"session.speed", "session.audio.output.speed", true},
    {"session.modalities", "session.output_modalities", true},
    {"session.input_audio_format", "session.audio.input.format", true},
    {"session.input_audio_format", "session.audio.input.format.type", false},
    {"session.turn_detection", "session.audio.input.turn_detection", true},
    {"session.turn_detection.threshold",
     "session.audio.input.turn_detection.threshold", true},
    {"session.input_audio_transcription.model",
     "session.audio.input.transcription.model", true},
    {"session.max_response_output_tokens", "session.max_output_tokens", true},
    {"response.modalities", "response.output_modalities", true},
    {"response.voice", "response.audio.output.voice", true},
};

static void
test_params(void **state)
{
    char out[DIALECT_PARAM_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        assert_true(dialect_param_to_beta(params[i].ga, out));
        assert_string_equal(out, params[i].beta);
        assert_true(dialect_param_from_beta(params[i].beta, out));
        if (params[i].both)
            assert_string_equal(out, params[i].ga);
    }
    assert_false(dialect_param_to_beta("session.instructions", out));
    assert_false(dialect_param_to_beta("session", out));
    assert_false(dialect_param_to_beta("", out));
    assert_false(dialect_param_to_beta("item.audio.output.voice", out));
    assert_false(dialect_param_from_beta("session.voices", out));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sessions),  cmocka_unit_test(test_transcription),
        cmocka_unit_test(test_responses), cmocka_unit_test(test_no_objects),
        cmocka_unit_test(test_params),    cmocka_unit_test(test_fill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
