/* SPDX-License-Identifier: BSD-2-Clause */

/* The events of voice.opus.v1, and the audio formats of its sessions. */

#include "codec/audio_format.h"
#include "codec/voice_event.h"
#include "codec/voice_rules.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static json_t *
parse(const char *text)
{
    json_t *tree = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    assert_non_null(tree);
    return tree;
}

/* --- voice.stats */

static int
stats(struct voice_stats *to, const char *text, const char **param)
{
    return voice_stats_read(to, text, strlen(text), param);
}

static void
test_stats_read(void **state)
{
    struct voice_stats s;
    const char *param;

    (void) state;
    assert_int_equal(stats(&s,
                           "{\"type\":\"voice.stats\",\"rtt_ms\":41.5,"
                           "\"jitter_ms\":7,\"loss\":0.25,\"underruns\":2,"
                           "\"played_ms\":1234567,\"reply_to\":\"e1\"}",
                           &param),
                     0);
    assert_true(s.rtt_ms == 41.5 && s.jitter_ms == 7 && s.loss == 0.25);
    assert_true(s.underruns == 2 && s.played_ms == 1234567);
    assert_string_equal(s.reply_to, "e1");
    assert_int_equal(
        stats(&s, "{\"type\":\"voice.stats\",\"loss\":null}", &param), 0);
    assert_true(s.rtt_ms < 0 && s.jitter_ms < 0 && s.loss < 0);
    assert_true(s.underruns < 0 && s.played_ms < 0);
    assert_string_equal(s.reply_to, "");
}

static void
test_stats_refused(void **state)
{
    static const struct {
        const char *text, *param;
    } cases[] = {
        {"{\"rtt_ms\":-1}", "rtt_ms"},
        {"{\"rtt_ms\":600001}", "rtt_ms"},
        {"{\"jitter_ms\":\"7\"}", "jitter_ms"},
        {"{\"loss\":1.01}", "loss"},
        {"{\"loss\":true}", "loss"},
        {"{\"underruns\":1e300}", "underruns"},
        {"{\"played_ms\":{}}", "played_ms"},
        {"{\"played_ms\":5000000000}", "played_ms"},
        {"{\"reply_to\":7}", "reply_to"},
        {"{\"reply_to\":\"0123456789012345678901234567890123456789"
         "0123456789\"}",
         "reply_to"},
        {"[1]", NULL},
        {"{\"loss\":0,\"loss\":1}", NULL},
        {"{\"loss\":1e999}", NULL},
        {"{", NULL},
        {"", NULL},
    };
    struct voice_stats s;
    const char *param;

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(stats(&s, cases[i].text, &param), UV_EINVAL);
        if (cases[i].param)
            assert_string_equal(param, cases[i].param);
        else
            assert_null(param);
    }
    char *large = malloc(8192);
    memset(large, ' ', 8192);
    memcpy(large, "{}", 2);
    assert_int_equal(voice_stats_read(&s, large, 8192, &param), UV_EINVAL);
    free(large);
}

/* --- events of ours */

static void
test_session_written(void **state)
{
    struct voice_session_told told = {
        .session_id = "sess_1",
        .resume_grace_ms = 30000,
        .bitrate_bps = 24000,
        .ptime_ms = 20,
        .fec = true,
        .buffer_profile = "balanced",
        .buffer_target_ms = 150,
    };
    char out[VOICE_EVENT_BYTES];

    (void) state;
    size_t bytes = voice_session_write(out, "event_1", &told);
    assert_int_equal(bytes, strlen(out));
    assert_string_equal(
        out, "{\"type\":\"voice.session\",\"event_id\":\"event_1\","
             "\"session_id\":\"sess_1\",\"resume_token\":null,"
             "\"resume_grace_ms\":30000,\"opus\":{\"bitrate\":24000,"
             "\"ptime_ms\":20,\"fec\":true,\"dtx\":false},\"buffer\":{"
             "\"profile\":\"balanced\",\"target_ms\":150}}");
    told.resume_token = "0123456789abcdef";
    voice_session_write(out, "event_1", &told);
    json_t *tree = parse(out);
    assert_string_equal(
        json_string_value(json_object_get(tree, "resume_token")),
        told.resume_token);
    json_decref(tree);
}

static void
test_quality_written(void **state)
{
    static const char id[] = "\"a \\u00e9\"";
    struct voice_quality_told told = {
        .level = "low",
        .bitrate_bps = 12000,
        .loss_percent = 15,
        .buffer_profile = "conservative",
        .buffer_target_ms = 250,
    };
    char out[VOICE_EVENT_BYTES];
    char long_id[REALTIME_ID_MAX + 2];

    (void) state;
    size_t bytes = voice_quality_write(out, "e", &told);
    assert_int_equal(bytes, strlen(out));
    json_t *tree = parse(out);
    assert_null(json_object_get(tree, "reply_to"));
    assert_int_equal(json_integer_value(json_object_get(tree, "expected_loss")),
                     15);
    json_decref(tree);
    told.reply_to = (struct realtime_span){id, sizeof(id) - 1};
    voice_quality_write(out, "e", &told);
    tree = parse(out);
    assert_string_equal(json_string_value(json_object_get(tree, "reply_to")),
                        "a \xc3\xa9");
    json_decref(tree);
    memset(long_id, '"', sizeof(long_id));
    told.reply_to = (struct realtime_span){long_id, sizeof(long_id)};
    voice_quality_write(out, "e", &told);
    json_decref(parse(out));
}

static void
test_others_written(void **state)
{
    char out[VOICE_EVENT_BYTES];

    (void) state;
    voice_clear_write(out, "e");
    assert_string_equal(
        out, "{\"type\":\"voice.playout.clear\",\"event_id\":\"e\"}");
    voice_buffer_write(out, "e", VOICE_BUFFER_CLEARED, "resp_1");
    assert_string_equal(out, "{\"type\":\"output_audio_buffer.cleared\","
                             "\"event_id\":\"e\",\"response_id\":\"resp_1\"}");
    voice_buffer_write(out, "e", VOICE_BUFFER_STARTED, "");
    assert_string_equal(
        out, "{\"type\":\"output_audio_buffer.started\",\"event_id\":\"e\"}");
    voice_truncate_write(out, "item_1", 2, 1480);
    assert_string_equal(out, "{\"type\":\"conversation.item.truncate\","
                             "\"item_id\":\"item_1\",\"content_index\":2,"
                             "\"audio_end_ms\":1480}");
}

/* --- formats */

static void
test_formats(void **state)
{
    static const struct {
        const char *session, *foreign;
    } cases[] = {
        {"{}", NULL},
        {"{\"audio\":null}", NULL},
        {"{\"audio\":{\"input\":{\"format\":null}}}", NULL},
        {"{\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\"}}}}", NULL},
        {"{\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\","
         "\"rate\":24000}},\"output\":{\"voice\":\"marin\"}}}",
         NULL},
        {"{\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\","
         "\"rate\":16000}}}}",
         "input"},
        {"{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}",
         "output"},
        {"{\"audio\":{\"output\":{\"format\":\"pcm16\"}}}", "output"},
        {"{\"audio\":{\"output\":{\"format\":{\"type\":7}}}}", "output"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *session = parse(cases[i].session);
        const char *foreign = audio_format_foreign(session);
        json_t *settings = NULL;

        if (cases[i].foreign)
            assert_string_equal(foreign, cases[i].foreign);
        else
            assert_null(foreign);
        assert_int_equal(audio_format_settle(&settings, session), 0);
        assert_int_equal(settings != NULL, foreign != NULL);
        assert_null(audio_format_foreign(settings));
        json_decref(settings);
        json_decref(session);
    }
}

/* What a minted secret asked for is not what the model is told. */
static void
test_formats_of_settings(void **state)
{
    json_t *session = parse("{\"type\":\"transcription\",\"audio\":{\"input\":{"
                            "\"format\":{\"type\":\"audio/pcm\"}}}}");
    json_t *settings = parse("{\"type\":\"transcription\",\"audio\":{\"input\":"
                             "{\"format\":{\"type\":\"audio/pcma\"},"
                             "\"turn_detection\":null}}}");
    json_t *wanted =
        parse("{\"type\":\"transcription\",\"audio\":{\"input\":{\"format\":{"
              "\"type\":\"audio/pcm\",\"rate\":24000},"
              "\"turn_detection\":null}}}");

    (void) state;
    assert_int_equal(audio_format_settle(&settings, session), 0);
    assert_true(json_equal(settings, wanted));
    json_decref(wanted);
    json_decref(settings);
    json_decref(session);
}

/* --- rules */

static void
test_rules(void **state)
{
    static const struct {
        const char *event;
        enum voice_rule rule;
        const char *code, *param;
    } cases[] = {
        {"{\"type\":\"response.cancel\"}", VOICE_RULE_PASS, NULL, NULL},
        {"{\"type\":\"voiced.other\"}", VOICE_RULE_PASS, NULL, NULL},
        {"{\"type\":\"voice\"}", VOICE_RULE_PASS, NULL, NULL},
        {"{\"type\":\"voice.stats\"}", VOICE_RULE_STATS, NULL, NULL},
        {"{\"type\":\"voice.statsx\"}", VOICE_RULE_REFUSE, "invalid_event",
         NULL},
        {"{\"type\":\"voice.\"}", VOICE_RULE_REFUSE, "invalid_event", NULL},
        {"{\"type\":\"voice.quality\"}", VOICE_RULE_REFUSE, "invalid_event",
         NULL},
        {"{\"type\":\"output_audio_buffer.clear\"}", VOICE_RULE_CLEAR, NULL,
         NULL},
        {"{\"type\":\"conversation.item.truncate\"}", VOICE_RULE_TRUNCATE, NULL,
         NULL},
        {"{\"type\":\"session.update\"}", VOICE_RULE_PASS, NULL, NULL},
        {"{\"type\":\"session.update\",\"session\":7}", VOICE_RULE_PASS, NULL,
         NULL},
        {"{\"type\":\"session.update\",\"session\":{\"audio\":{\"output\":{"
         "\"format\":{\"type\":\"audio/pcm\",\"rate\":24000}}}}}",
         VOICE_RULE_PASS, NULL, NULL},
        {"{\"type\":\"session.update\",\"session\":{\"audio\":{\"input\":{"
         "\"format\":{\"type\":\"audio/pcma\"}}}}}",
         VOICE_RULE_REFUSE, "invalid_value", "session.audio.input.format"},
        {"{\"type\":\"response.create\",\"response\":{\"audio\":{\"output\":{"
         "\"format\":{\"type\":\"audio/pcmu\"}}}}}",
         VOICE_RULE_REFUSE, "invalid_value", "response.audio.output.format"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct realtime_peek peek;
        struct realtime_error error = {0};

        assert_int_equal(
            realtime_peek(cases[i].event, strlen(cases[i].event), &peek), 0);
        assert_int_equal(voice_rules_look(&peek, &error), cases[i].rule);
        if (cases[i].code)
            assert_string_equal(error.code, cases[i].code);
        else
            assert_null(error.code);
        if (cases[i].param)
            assert_string_equal(error.param, cases[i].param);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stats_read),
        cmocka_unit_test(test_stats_refused),
        cmocka_unit_test(test_session_written),
        cmocka_unit_test(test_quality_written),
        cmocka_unit_test(test_others_written),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_formats_of_settings),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
