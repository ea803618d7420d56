/* SPDX-License-Identifier: BSD-2-Clause */

/* The offline model's session object, and what it refuses with which error. */

#include "kit/offline_engine.h"
#include "kit/offline_rig.h"

#define UPDATE(fields)                                                         \
    "{\"type\":\"session.update\",\"event_id\":\"e\",\"session\":{\"type\":"   \
    "\"realtime\"," fields "}}"
#define RESPONSE(fields)                                                       \
    "{\"type\":\"response.create\",\"event_id\":\"e\",\"response\":{" fields   \
    "}}"
#define NEW_ITEM(fields)                                                       \
    "{\"type\":\"conversation.item.create\",\"event_id\":\"e\",\"item\":"      \
    "{" fields "}}"
#define TOOLS                                                                  \
    "\"tools\":[{\"type\":\"function\",\"name\":\"list_files\","               \
    "\"description\":\"List the files\",\"parameters\":{\"type\":\"object\","  \
    "\"properties\":{\"path\":{\"type\":\"string\"}}}},"                       \
    "{\"type\":\"function\",\"name\":\"get_weather\",\"description\":"         \
    "\"The weather\",\"parameters\":{\"type\":\"object\",\"properties\":"      \
    "{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}}]"

static json_t *
expect_error(struct rig *rig, const char *code, const char *param)
{
    json_t *event = rig_until(rig, "error");

    assert_string_equal(path_text(event, "error.code"), code);
    if (param != NULL)
        assert_string_equal(path_text(event, "error.param"), param);
    return event;
}

/* --- the session object */

static void
test_created(void **state)
{
    static const char expected[] =
        "{\"type\":\"realtime\",\"object\":\"realtime.session\",\"id\":"
        "\"sess_ABCDEFGHIJKLMNOPQRSTU\",\"model\":\"gpt-realtime\","
        "\"output_modalities\":[\"audio\"],\"tools\":[],\"tool_choice\":"
        "\"auto\",\"max_output_tokens\":\"inf\",\"tracing\":null,"
        "\"truncation\":\"auto\",\"prompt\":null,\"audio\":{\"input\":"
        "{\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},"
        "\"transcription\":null,\"noise_reduction\":null,"
        "\"turn_detection\":{\"type\":\"server_vad\",\"threshold\":0.5,"
        "\"prefix_padding_ms\":300,\"silence_duration_ms\":500,"
        "\"idle_timeout_ms\":null,\"create_response\":true,"
        "\"interrupt_response\":true}},\"output\":{\"format\":{\"type\":"
        "\"audio/pcm\",\"rate\":24000},\"voice\":\"marin\",\"speed\":1.0}},"
        "\"include\":null}";
    json_t *want = json_loads(expected, 0, NULL), *session;
    struct rig rig;
    long left;

    (void) state;
    rig_open(&rig, NULL);
    session = json_object_get(rig_next(&rig, 1000), "session");
    left = path_number(session, "expires_at") - (long) (clock_wall_ms() / 1000);
    assert_in_range(left, 3595, 3600);
    assert_true(strlen(path_text(session, "instructions")) > 10);
    json_object_del(session, "expires_at");
    json_object_del(session, "instructions");
    assert_true(json_equal(session, want));
    json_decref(want);
    rig_close(&rig);
}

static void
test_update_merges(void **state)
{
    struct rig rig;
    json_t *s;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig,
             "{\"type\":\"session.update\",\"event_id\":\"c1\",\"session\":"
             "{\"type\":\"realtime\",\"model\":\"gpt-realtime\","
             "\"instructions\":\"Be brief.\"," TOOLS ",\"audio\":{\"input\":"
             "{\"transcription\":{\"model\":\"whisper-1\"},"
             "\"noise_reduction\":{\"type\":\"near_field\"},"
             "\"turn_detection\":{\"silence_duration_ms\":300},"
             "\"format\":{\"type\":\"audio/pcmu\"}},\"output\":{\"voice\":"
             "\"ash\",\"speed\":1.2}}}}");
    s = json_object_get(rig_until(&rig, "session.updated"), "session");
    assert_null(path_get(s, "event_id"));
    assert_string_equal(path_text(s, "instructions"), "Be brief.");
    assert_int_equal(json_array_size(path_get(s, "tools")), 2);
    assert_string_equal(path_text(s, "audio.input.transcription.model"),
                        "whisper-1");
    assert_true(json_is_null(path_get(s, "audio.input.transcription.prompt")));
    assert_int_equal(
        path_number(s, "audio.input.turn_detection.silence_duration_ms"), 300);
    assert_int_equal(
        path_number(s, "audio.input.turn_detection.prefix_padding_ms"), 300);
    assert_null(path_get(s, "audio.input.format.rate"));
    assert_string_equal(path_text(s, "audio.output.voice"), "ash");
    rig_send(&rig, "{\"type\":\"session.update\",\"session\":{\"type\":"
                   "\"realtime\",\"tools\":[],\"instructions\":null,"
                   "\"audio\":{\"input\":{\"transcription\":null,"
                   "\"turn_detection\":{\"type\":\"semantic_vad\"}}}}}");
    s = json_object_get(rig_until(&rig, "session.updated"), "session");
    assert_int_equal(json_array_size(path_get(s, "tools")), 0);
    assert_true(json_is_null(path_get(s, "audio.input.transcription")));
    assert_string_equal(path_text(s, "audio.input.turn_detection.eagerness"),
                        "auto");
    assert_true(json_is_true(
        path_get(s, "audio.input.turn_detection.interrupt_response")));
    assert_null(path_get(s, "audio.input.turn_detection.threshold"));
    assert_string_equal(path_text(s, "audio.output.voice"), "ash");
    rig_send(&rig, "{\"type\":\"session.update\",\"session\":{\"type\":"
                   "\"realtime\",\"audio\":{\"input\":{\"turn_detection\":"
                   "null}}}}");
    s = json_object_get(rig_until(&rig, "session.updated"), "session");
    assert_true(json_is_null(path_get(s, "audio.input.turn_detection")));
    rig_close(&rig);
}

/* --- what is refused */

#define LONG32 "12345678901234567890123456789012"

static const struct {
    const char *json, *code, *param;
} refused[] = {
    {"nonsense", "invalid_event", NULL},
    {"[]", "invalid_event", NULL},
    {"{\"type\":\"a\",\"type\":\"b\"}", "invalid_event", NULL},
    {"{\"event_id\":\"e\"}", "missing_required_parameter", "type"},
    {"{\"type\":7}", "invalid_type", "type"},
    {"{\"type\":\"session.destroy\"}", "invalid_value", "type"},
    {"{\"type\":\"response.create\",\"event_id\":7}", "invalid_type",
     "event_id"},
    {"{\"type\":\"response.create\",\"foo\":7}", "unknown_parameter", "foo"},
    {"{\"type\":\"session.update\"}", "missing_required_parameter", "session"},
    {"{\"type\":\"session.update\",\"session\":{}}",
     "missing_required_parameter", "session.type"},
    {"{\"type\":\"session.update\",\"session\":{\"type\":\"x\"}}",
     "invalid_value", "session.type"},
    {"{\"type\":\"session.update\",\"session\":{\"type\":\"transcription\"}}",
     "invalid_value", "session.type"},
    {UPDATE("\"model\":\"other\""), "invalid_value", "session.model"},
    {UPDATE("\"temperature\":0.8"), "unknown_parameter", "session.temperature"},
    {UPDATE("\"voice\":\"ash\""), "unknown_parameter", "session.voice"},
    {UPDATE("\"instructions\":5"), "invalid_type", "session.instructions"},
    {UPDATE("\"output_modalities\":[\"audio\",\"text\"]"), "invalid_value",
     "session.output_modalities"},
    {UPDATE("\"output_modalities\":[\"smell\"]"), "invalid_value",
     "session.output_modalities[0]"},
    {UPDATE("\"max_output_tokens\":0"), "invalid_value",
     "session.max_output_tokens"},
    {UPDATE("\"max_output_tokens\":5000"), "invalid_value",
     "session.max_output_tokens"},
    {UPDATE("\"max_output_tokens\":\"lots\""), "invalid_value",
     "session.max_output_tokens"},
    {UPDATE("\"tools\":[{\"type\":\"function\"}]"),
     "missing_required_parameter", "session.tools[0].name"},
    {UPDATE("\"tools\":[{\"type\":\"mcp\",\"name\":\"m\"}]"), "invalid_value",
     "session.tools[0].type"},
    {UPDATE("\"tools\":[{\"type\":\"function\",\"name\":\"a b\"}]"),
     "invalid_value", "session.tools"},
    {UPDATE("\"tools\":[{\"type\":\"function\",\"name\":\"a\"},{\"type\":"
            "\"function\",\"name\":\"a\"}]"),
     "invalid_value", "session.tools"},
    {UPDATE("\"tool_choice\":\"maybe\""), "invalid_value",
     "session.tool_choice"},
    {UPDATE("\"tool_choice\":{\"type\":\"function\",\"name\":\"nope\"}"),
     "invalid_value", "session.tool_choice"},
    {UPDATE("\"audio\":{\"input\":{\"format\":{\"type\":\"audio/mp3\"}}}"),
     "invalid_value", "session.audio.input.format.type"},
    {UPDATE("\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcm\","
            "\"rate\":16000}}}"),
     "invalid_value", "session.audio.input.format.rate"},
    {UPDATE("\"audio\":{\"output\":{\"voice\":\"darth\"}}"), "invalid_value",
     "session.audio.output.voice"},
    {UPDATE("\"audio\":{\"output\":{\"speed\":2}}"), "invalid_value",
     "session.audio.output.speed"},
    {UPDATE("\"audio\":{\"input\":{\"turn_detection\":{\"threshold\":2}}}"),
     "invalid_value", "session.audio.input.turn_detection.threshold"},
    {UPDATE("\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"psychic\"}}"
            "}"),
     "invalid_value", "session.audio.input.turn_detection.type"},
    {UPDATE("\"audio\":{\"input\":{\"turn_detection\":{\"type\":"
            "\"semantic_vad\",\"threshold\":0.5}}}"),
     "unknown_parameter", "session.audio.input.turn_detection.threshold"},
    {UPDATE("\"audio\":{\"input\":{\"turn_detection\":{\"idle_timeout_ms\":"
            "100}}}"),
     "invalid_value", "session.audio.input.turn_detection.idle_timeout_ms"},
    {UPDATE("\"audio\":{\"input\":{\"transcription\":{\"delay\":\"x\"}}}"),
     "invalid_value", "session.audio.input.transcription.delay"},
    {"{\"type\":\"input_audio_buffer.append\"}", "missing_required_parameter",
     "audio"},
    {"{\"type\":\"input_audio_buffer.append\",\"audio\":\"!!!!\"}",
     "invalid_value", "audio"},
    {"{\"type\":\"input_audio_buffer.append\",\"audio\":1}", "invalid_type",
     "audio"},
    {"{\"type\":\"input_audio_buffer.commit\"}",
     "input_audio_buffer_commit_empty", NULL},
    {"{\"type\":\"output_audio_buffer.clear\"}", "invalid_value", "type"},
    {"{\"type\":\"response.cancel\"}", "response_cancel_not_active", NULL},
    {"{\"type\":\"response.cancel\",\"response_id\":\"resp_x\"}",
     "response_cancel_not_active", NULL},
    {"{\"type\":\"conversation.item.retrieve\",\"item_id\":\"x\"}",
     "item_retrieve_invalid_item_id", "item_id"},
    {"{\"type\":\"conversation.item.delete\",\"item_id\":\"x\"}",
     "item_delete_invalid_item_id", "item_id"},
    {"{\"type\":\"conversation.item.truncate\",\"item_id\":\"x\","
     "\"content_index\":0,\"audio_end_ms\":1}",
     "item_truncate_invalid_item_id", "item_id"},
    {"{\"type\":\"conversation.item.truncate\",\"item_id\":\"x\","
     "\"content_index\":0,\"audio_end_ms\":1.5}",
     "invalid_type", "audio_end_ms"},
    {NEW_ITEM("\"type\":\"thought\""), "invalid_value", "item.type"},
    {NEW_ITEM("\"type\":\"message\",\"content\":[]"),
     "missing_required_parameter", "item.role"},
    {NEW_ITEM("\"type\":\"message\",\"role\":\"robot\",\"content\":[]"),
     "invalid_value", "item.role"},
    {NEW_ITEM("\"type\":\"message\",\"role\":\"user\",\"content\":[{"
              "\"type\":\"output_text\",\"text\":\"x\"}]"),
     "invalid_value", "item.content[0].type"},
    {NEW_ITEM("\"type\":\"message\",\"role\":\"user\",\"content\":[{"
              "\"type\":\"input_text\"}]"),
     "missing_required_parameter", "item.content[0].text"},
    {NEW_ITEM("\"type\":\"message\",\"role\":\"user\",\"content\":[{"
              "\"type\":\"input_audio\",\"audio\":\"*\"}]"),
     "invalid_value", "item.content[0].audio"},
    {NEW_ITEM("\"type\":\"message\",\"id\":\"" LONG32 "3\",\"role\":"
              "\"user\",\"content\":[]"),
     "string_above_max_length", "item.id"},
    {NEW_ITEM("\"type\":\"function_call_output\",\"call_id\":\"c\","
              "\"output\":\"1\""),
     "invalid_tool_call_id", "item.call_id"},
    {NEW_ITEM("\"type\":\"function_call\",\"name\":\"f\",\"arguments\":{}"),
     "invalid_type", "item.arguments"},
    {"{\"type\":\"conversation.item.create\",\"previous_item_id\":\"zz\","
     "\"item\":{\"type\":\"message\",\"role\":\"user\",\"content\":[]}}",
     "item_create_invalid_item_id", "previous_item_id"},
    {RESPONSE("\"modalities\":[\"text\"]"), "unknown_parameter",
     "response.modalities"},
    {RESPONSE("\"conversation\":\"other\""), "invalid_value",
     "response.conversation"},
    {RESPONSE("\"metadata\":{\"k\":1}"), "invalid_value", "response.metadata"},
    {RESPONSE("\"input\":[{\"type\":\"item_reference\",\"id\":\"x\"}]"),
     "invalid_value", "response.input[0]"},
    {RESPONSE("\"input\":[{\"type\":\"message\"}]"),
     "missing_required_parameter", "response.input[0].role"},
    {RESPONSE("\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}"),
     "invalid_value", "response.tool_choice"},
};

static void
test_refused(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, NULL);
    rig_until(&rig, "session.created");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        rig_send(&rig, refused[i].json);
        event = rig_next(&rig, 1000);
        if (event == NULL || strcmp(event_type(event), "error") != 0
            || strcmp(path_text(event, "error.code"), refused[i].code) != 0)
            fail_msg("%s: %s", refused[i].json, path_text(event, "error.code"));
        if (refused[i].param != NULL)
            assert_string_equal(path_text(event, "error.param"),
                                refused[i].param);
        assert_string_equal(path_text(event, "error.type"),
                            "invalid_request_error");
        if (strstr(refused[i].json, "\"event_id\":\"e\"") != NULL)
            assert_string_equal(path_text(event, "error.event_id"), "e");
    }
    /* Nothing of it has changed the session or closed the connection. */
    rig_send(&rig, UPDATE("\"instructions\":\"x\""));
    event = rig_next(&rig, 1000);
    assert_string_equal(event_type(event), "session.updated");
    assert_string_equal(path_text(event, "session.audio.output.voice"),
                        "marin");
    assert_int_equal(json_array_size(path_get(event, "session.tools")), 0);
    rig_close(&rig);
}

static void
test_cut_characters(void **state)
{
    char long_type[700] = "{\"type\":\"";
    struct rig rig;

    (void) state;
    rig_open(&rig, NULL);
    for (unsigned i = 0; i < 150; i++)
        strncat(long_type, "x\xE2\x82\xAC", 8);
    strncat(long_type, "\"}", 4);
    rig_send(&rig, long_type);
    expect_error(&rig, "invalid_value", "type");
    rig_send(&rig, "{\"type\":\"session.update\",\"session\":{\"type\":"
                   "\"realtime\",\"\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2"
                   "\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
                   "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82"
                   "\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2"
                   "\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
                   "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82"
                   "\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2"
                   "\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC"
                   "\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC\xE2\x82"
                   "\xAC\xE2\x82\xAC\xE2\x82\xAC\":1}}");
    expect_error(&rig, "unknown_parameter", NULL);
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_created),
        cmocka_unit_test(test_update_merges),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_cut_characters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
