/* SPDX-License-Identifier: BSD-2-Clause */

/* The offline model by its events: typed turns, calls, items, limits. */

#include "kit/offline_engine.h"
#include "kit/offline_rig.h"

#define ITEM(text)                                                             \
    "{\"type\":\"conversation.item.create\",\"item\":{\"type\":\"message\","   \
    "\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"" text \
    "\"}]}}"
#define WRITTEN                                                                \
    "{\"type\":\"session.update\",\"session\":{\"type\":\"realtime\","         \
    "\"output_modalities\":[\"text\"]}}"
#define CREATE "{\"type\":\"response.create\"}"

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

#define ORDER_TEXT                                                             \
    "response.created response.output_item.added conversation.item.added "     \
    "response.content_part.added response.output_text.delta* "                 \
    "response.output_text.done response.content_part.done "                    \
    "conversation.item.done response.output_item.done response.done "          \
    "rate_limits.updated"
#define ORDER_CALL                                                             \
    "response.created response.output_item.added conversation.item.added "     \
    "response.function_call_arguments.delta "                                  \
    "response.function_call_arguments.done conversation.item.done "            \
    "response.output_item.done response.done rate_limits.updated"

static void
open_written(struct rig *rig)
{
    rig_open(rig, NULL);
    rig_send(rig, WRITTEN);
    rig_until(rig, "session.updated");
}

static json_t *
expect_error(struct rig *rig, const char *code, const char *param)
{
    json_t *event = rig_until(rig, "error");

    assert_string_equal(path_text(event, "error.code"), code);
    if (param != NULL)
        assert_string_equal(path_text(event, "error.param"), param);
    return event;
}

/* --- turns */

static void
test_text_turn(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;
    const char *text;

    (void) state;
    open_written(&rig);
    rig_send(&rig, ITEM("what is two plus three"));
    rig_order(&rig, "conversation.item.done", order, sizeof(order));
    assert_string_equal(order,
                        "conversation.item.added conversation.item.done");
    rig_send(&rig, CREATE);
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order, ORDER_TEXT);
    event = json_array_get(rig.events, rig.seen - 2);
    assert_string_equal(path_text(event, "response.status"), "completed");
    assert_true(json_is_null(path_get(event, "response.status_details")));
    text = path_text(event, "response.output.0.content.0.text");
    assert_non_null(strstr(text, "2 plus 3 is 5"));
    assert_string_equal(path_text(event, "response.output.0.content.0.type"),
                        "output_text");
    assert_int_equal(path_number(event, "response.usage.output_tokens"),
                     (strlen(text) + 3) / 4);
    rig_close(&rig);
}

static void
test_deltas_make_the_text(void **state)
{
    struct rig rig;
    char text[4096] = "";
    json_t *event;

    (void) state;
    open_written(&rig);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    for (;;) {
        event = rig_next(&rig, 5000);
        assert_non_null(event);
        if (strcmp(event_type(event), "response.output_text.done") == 0)
            break;
        if (strcmp(event_type(event), "response.output_text.delta") == 0)
            strncat(text, path_text(event, "delta"), 200);
    }
    assert_string_equal(text, path_text(event, "text"));
    rig_close(&rig);
}

static void
test_spoken_answer(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;
    size_t audio = 0;
    char words[2048] = "";

    (void) state;
    rig_open(&rig, NULL);
    rig_until(&rig, "session.created");
    rig_send(&rig, ITEM("what is two plus three"));
    rig_until(&rig, "conversation.item.done");
    rig_send(&rig, CREATE);
    rig_order(&rig, "response.content_part.added", order, sizeof(order));
    assert_string_equal(order,
                        "response.created response.output_item.added "
                        "conversation.item.added response.content_part.added");
    /* Words come before the sound they belong to. */
    event = rig_next(&rig, 5000);
    assert_string_equal(event_type(event),
                        "response.output_audio_transcript.delta");
    for (;; event = rig_next(&rig, 5000)) {
        assert_non_null(event);
        if (strcmp(event_type(event), "response.output_audio_transcript.delta")
            == 0)
            strncat(words, path_text(event, "delta"), 200);
        else if (strcmp(event_type(event), "response.output_audio.delta") == 0)
            audio += strlen(path_text(event, "delta")) / 4 * 3;
        else
            break;
    }
    assert_string_equal(event_type(event), "response.output_audio.done");
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order,
                        "response.output_audio_transcript.done "
                        "response.content_part.done conversation.item.done "
                        "response.output_item.done response.done "
                        "rate_limits.updated");
    event = json_array_get(rig.events, rig.seen - 2);
    assert_string_equal(
        path_text(event, "response.output.0.content.0.transcript"), words);
    assert_int_equal(
        path_number(event, "response.usage.output_token_details.audio_tokens"),
        strlen(words) * 1440 / 1200 + (strlen(words) * 1440 % 1200 != 0));
    assert_true(audio >= strlen(words) * 1440 * 2);
    rig_close(&rig);
}

static void
test_voice_is_locked(void **state)
{
    struct rig rig;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, UPDATE("\"audio\":{\"output\":{\"voice\":\"ash\"}}"));
    rig_until(&rig, "session.updated");
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.done");
    rig_send(&rig, UPDATE("\"audio\":{\"output\":{\"voice\":\"echo\"}}"));
    expect_error(&rig, "cannot_update_voice", "session.audio.output.voice");
    rig_send(&rig, UPDATE("\"audio\":{\"output\":{\"voice\":\"ash\"}}"));
    rig_until(&rig, "session.updated");
    rig_close(&rig);
}

static void
test_function_call(void **state)
{
    struct rig rig;
    char order[2048], output[512];
    json_t *event;

    (void) state;
    open_written(&rig);
    rig_send(&rig, UPDATE(TOOLS));
    rig_until(&rig, "session.updated");
    rig_send(&rig, ITEM("list the files"));
    rig_until(&rig, "conversation.item.done");
    rig_send(&rig, CREATE);
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order, ORDER_CALL);
    event = json_array_get(rig.events, rig.seen - 3);
    assert_string_equal(event_type(event), "response.output_item.done");
    assert_string_equal(path_text(event, "item.status"), "completed");
    assert_string_equal(path_text(event, "item.name"), "list_files");
    assert_int_equal(strlen(path_text(event, "item.call_id")), 21);
    snprintf(output, sizeof(output),
             "{\"type\":\"conversation.item.create\",\"item\":{\"type\":"
             "\"function_call_output\",\"call_id\":\"%s\",\"output\":"
             "\"[\\\"apple.txt\\\"]\"}}",
             path_text(event, "item.call_id"));
    rig_send(&rig, output);
    event = rig_until(&rig, "conversation.item.done");
    assert_null(path_get(event, "item.status"));
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.output_text.done");
    assert_non_null(strstr(path_text(event, "text"), "apple"));
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

static const char *
choice_result(struct rig *rig, const char *choice)
{
    char create[512];
    json_t *event;

    snprintf(create, sizeof(create),
             "{\"type\":\"response.create\",\"response\":{\"tool_choice\":%s}"
             "}",
             choice);
    rig_send(rig, create);
    event = rig_until(rig, "response.done");
    if (strcmp(path_text(event, "response.output.0.type"), "message") == 0)
        return "message";
    return path_text(event, "response.output.0.name");
}

static void
test_tool_choice(void **state)
{
    struct rig rig;

    (void) state;
    open_written(&rig);
    rig_send(&rig, UPDATE(TOOLS));
    rig_send(&rig, ITEM("list the files"));
    assert_string_equal(choice_result(&rig, "\"auto\""), "list_files");
    assert_string_equal(choice_result(&rig, "\"none\""), "message");
    assert_string_equal(choice_result(&rig, "\"required\""), "list_files");
    assert_string_equal(choice_result(&rig, "{\"type\":\"function\","
                                            "\"name\":\"get_weather\"}"),
                        "get_weather");
    rig_send(&rig, ITEM("what is two plus three"));
    assert_string_equal(choice_result(&rig, "\"auto\""), "message");
    rig_close(&rig);
}

/* --- cancelling, several at a time */

static void
test_cancel(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;

    (void) state;
    rig_open(&rig, NULL);
    rig_until(&rig, "session.created");
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.output_audio.delta");
    rig_send(&rig, CREATE);
    event =
        expect_error(&rig, "conversation_already_has_active_response", NULL);
    rig_send(&rig, "{\"type\":\"response.cancel\",\"event_id\":\"x\"}");
    rig_until(&rig, "response.output_audio.done");
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order,
                        "response.output_audio_transcript.done "
                        "response.content_part.done conversation.item.done "
                        "response.output_item.done response.done "
                        "rate_limits.updated");
    event = json_array_get(rig.events, rig.seen - 2);
    assert_string_equal(path_text(event, "response.status"), "cancelled");
    assert_string_equal(path_text(event, "response.status_details.reason"),
                        "client_cancelled");
    assert_string_equal(path_text(event, "response.output.0.status"),
                        "incomplete");
    rig_run_ms(&rig, 60);
    assert_int_equal(rig.seen, json_array_size(rig.events));
    rig_send(&rig, "{\"type\":\"response.cancel\",\"event_id\":\"y\"}");
    event = expect_error(&rig, "response_cancel_not_active", NULL);
    assert_string_equal(path_text(event, "error.message"),
                        "Cancellation failed: no active response found");
    assert_string_equal(path_text(event, "error.event_id"), "y");
    rig_close(&rig);
}

static void
test_cancel_before_output(void **state)
{
    struct rig rig;
    char order[2048], cancel[128];
    json_t *event;

    (void) state;
    rig_open(&rig, NULL);
    rig_until(&rig, "session.created");
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.created");
    snprintf(cancel, sizeof(cancel),
             "{\"type\":\"response.cancel\",\"response_id\":\"%s\"}",
             path_text(event, "response.id"));
    rig_send(&rig, cancel);
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_non_null(strstr(order, "response.done rate_limits.updated"));
    rig_close(&rig);
}

static void
test_out_of_band(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;

    (void) state;
    open_written(&rig);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.output_text.delta");
    rig_send(&rig,
             RESPONSE("\"conversation\":\"none\",\"input\":[],\"metadata\":"
                      "{\"client_event_id\":\"rc1\"},\"instructions\":"
                      "\"Say exactly: hello\""));
    event = rig_until(&rig, "response.created");
    assert_string_equal(path_text(event, "response.metadata.client_event_id"),
                        "rc1");
    assert_true(json_is_null(path_get(event, "response.conversation_id")));
    do
        event = rig_until(&rig, "response.done");
    while (json_is_null(path_get(event, "response.metadata")));
    assert_non_null(
        strstr(path_text(event, "response.output.0.content.0.text"), "ello"));
    rig_send(&rig, "{\"type\":\"response.cancel\"}");
    rig_run_ms(&rig, 20);
    rig_until(&rig, "rate_limits.updated");
    rig_send(&rig,
             RESPONSE("\"conversation\":\"none\",\"input\":[{\"type\":"
                      "\"message\",\"role\":\"user\",\"content\":[{\"type\":"
                      "\"input_text\",\"text\":\"what is two plus three\"}]}"
                      "]"));
    rig_until(&rig, "response.created");
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order, "response.output_item.added "
                               "response.content_part.added "
                               "response.output_text.delta* "
                               "response.output_text.done "
                               "response.content_part.done "
                               "response.output_item.done response.done "
                               "rate_limits.updated");
    event = json_array_get(rig.events, rig.seen - 2);
    assert_non_null(strstr(path_text(event, "response.output.0.content.0.text"),
                           "2 plus 3 is 5"));
    rig_close(&rig);
}

static void
test_many_out_of_band(void **state)
{
    struct rig rig;

    (void) state;
    open_written(&rig);
    for (unsigned i = 0; i < 9; i++)
        rig_send(&rig, RESPONSE("\"conversation\":\"none\",\"input\":[]"));
    expect_error(&rig, "too_many_responses", NULL);
    rig_send(&rig, CREATE);
    for (unsigned i = 0; i < 9; i++)
        rig_until(&rig, "response.done");
    rig_close(&rig);
}

static void
test_item_reference(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_written(&rig);
    rig_send(&rig, NEW_ITEM("\"type\":\"message\",\"id\":\"mine\",\"role\":"
                            "\"user\",\"content\":[{\"type\":\"input_text\","
                            "\"text\":\"what is two plus three\"}]"));
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, RESPONSE("\"input\":[{\"type\":\"item_reference\","
                            "\"id\":\"mine\"}]"));
    event = rig_until(&rig, "response.done");
    assert_non_null(strstr(path_text(event, "response.output.0.content.0.text"),
                           "2 plus 3 is 5"));
    rig_close(&rig);
}

static void
test_max_output_tokens(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, RESPONSE("\"max_output_tokens\":20"));
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "incomplete");
    assert_string_equal(path_text(event, "response.status_details.reason"),
                        "max_output_tokens");
    assert_string_equal(path_text(event, "response.output.0.status"),
                        "incomplete");
    assert_in_range(path_number(event, "response.usage.output_tokens"), 20, 30);
    assert_int_equal(path_number(event, "response.max_output_tokens"), 20);
    rig_close(&rig);
}

/* --- items */

static void
test_items(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_written(&rig);
    rig_send(&rig, NEW_ITEM("\"type\":\"message\",\"id\":\"a\",\"role\":"
                            "\"system\",\"content\":[{\"type\":"
                            "\"input_text\",\"text\":\"x\"}]"));
    event = rig_until(&rig, "conversation.item.added");
    assert_string_equal(path_text(event, "item.id"), "a");
    assert_true(json_is_null(path_get(event, "previous_item_id")));
    rig_send(&rig, NEW_ITEM("\"type\":\"message\",\"id\":\"b\",\"role\":"
                            "\"user\",\"content\":[]"));
    event = rig_until(&rig, "conversation.item.added");
    assert_string_equal(path_text(event, "previous_item_id"), "a");
    rig_send(&rig, "{\"type\":\"conversation.item.create\","
                   "\"previous_item_id\":\"a\",\"item\":{\"type\":"
                   "\"message\",\"id\":\"c\",\"role\":\"assistant\","
                   "\"content\":[{\"type\":\"output_text\",\"text\":\"hm\"}]}"
                   "}");
    event = rig_until(&rig, "conversation.item.done");
    event = rig_until(&rig, "conversation.item.done");
    assert_string_equal(path_text(event, "previous_item_id"), "a");
    rig_send(&rig, "{\"type\":\"conversation.item.create\","
                   "\"previous_item_id\":\"root\",\"item\":{\"type\":"
                   "\"message\",\"id\":\"d\",\"role\":\"user\",\"content\":"
                   "[]}}");
    event = rig_until(&rig, "conversation.item.added");
    assert_true(json_is_null(path_get(event, "previous_item_id")));
    rig_send(&rig, NEW_ITEM("\"type\":\"message\",\"id\":\"b\",\"role\":"
                            "\"user\",\"content\":[]"));
    expect_error(&rig, "item_create_invalid_item_id", "item.id");
    rig_send(&rig, "{\"type\":\"conversation.item.truncate\",\"item_id\":"
                   "\"c\",\"content_index\":0,\"audio_end_ms\":0}");
    expect_error(&rig, "unsupported_content_type", NULL);
    rig_send(&rig, "{\"type\":\"conversation.item.delete\",\"item_id\":"
                   "\"c\"}");
    event = rig_until(&rig, "conversation.item.deleted");
    assert_string_equal(path_text(event, "item_id"), "c");
    rig_send(&rig, "{\"type\":\"conversation.item.retrieve\",\"item_id\":"
                   "\"b\"}");
    event = rig_until(&rig, "conversation.item.retrieved");
    assert_string_equal(path_text(event, "item.id"), "b");
    rig_close(&rig);
}

static void
truncate_at(struct rig *rig, const char *id, long ms)
{
    char text[256];

    snprintf(text, sizeof(text),
             "{\"type\":\"conversation.item.truncate\",\"item_id\":\"%s\","
             "\"content_index\":0,\"audio_end_ms\":%ld}",
             id, ms);
    rig_send(rig, text);
}

static void
test_truncate_and_retrieve(void **state)
{
    struct rig rig;
    json_t *event;
    char id[64], text[256], wanted[128];
    long ms;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.done");
    snprintf(id, sizeof(id), "%s", path_text(event, "response.output.0.id"));
    ms = (long) strlen(
             path_text(event, "response.output.0.content.0.transcript"))
         * 60;
    truncate_at(&rig, id, ms + 1);
    event = expect_error(&rig, "invalid_value", "audio_end_ms");
    snprintf(wanted, sizeof(wanted),
             "Audio content of %ldms is already shorter than %ldms", ms,
             ms + 1);
    assert_string_equal(path_text(event, "error.message"), wanted);
    truncate_at(&rig, id, -1);
    expect_error(&rig, "invalid_value", "audio_end_ms");
    truncate_at(&rig, id, 400);
    event = rig_until(&rig, "conversation.item.truncated");
    assert_int_equal(path_number(event, "audio_end_ms"), 400);
    snprintf(text, sizeof(text),
             "{\"type\":\"conversation.item.retrieve\",\"item_id\":\"%s\"}",
             id);
    rig_send(&rig, text);
    event = rig_until(&rig, "conversation.item.retrieved");
    assert_string_equal(path_text(event, "item.content.0.type"),
                        "output_audio");
    assert_null(path_get(event, "item.content.0.transcript"));
    assert_int_equal(strlen(path_text(event, "item.content.0.audio")),
                     400 * 48 / 3 * 4);
    rig_close(&rig);
}

/* --- usage */

static void
test_usage(void **state)
{
    struct rig rig;
    json_t *first, *second, *third;

    (void) state;
    open_written(&rig);
    rig_send(&rig, UPDATE("\"instructions\":\"12345678\""));
    rig_send(&rig, ITEM("what is two plus three"));
    rig_send(&rig, CREATE);
    first = rig_until(&rig, "response.done");
    assert_int_equal(path_number(first, "response.usage.input_tokens"), 2 + 6);
    assert_int_equal(
        path_number(first, "response.usage.input_token_details.cached_tokens"),
        0);
    rig_send(&rig, ITEM("abcd"));
    rig_send(&rig, CREATE);
    second = rig_until(&rig, "response.done");
    assert_int_equal(path_number(second, "response.usage.input_tokens"),
                     8 + path_number(first, "response.usage.output_tokens")
                         + 1);
    assert_int_equal(
        path_number(second, "response.usage.input_token_details.cached_tokens"),
        8);
    assert_int_equal(path_number(second, "response.usage.total_tokens"),
                     path_number(second, "response.usage.input_tokens")
                         + path_number(second, "response.usage.output_tokens"));
    rig_send(&rig, UPDATE("\"instructions\":\"other\""));
    rig_send(&rig, CREATE);
    third = rig_until(&rig, "response.done");
    assert_int_equal(
        path_number(third, "response.usage.input_token_details.cached_tokens"),
        0);
    rig_close(&rig);
}

static void
fill_context(struct rig *rig)
{
    size_t bytes = 90000;
    char *text = malloc(bytes + 256), *at = text;

    at += sprintf(at, "{\"type\":\"conversation.item.create\",\"item\":{"
                      "\"type\":\"message\",\"role\":\"user\",\"content\":[{"
                      "\"type\":\"input_text\",\"text\":\"");
    memset(at, 'a', bytes);
    strcpy(at + bytes, "\"}]}}");
    rig_send(rig, text);
    rig_send(rig, text);
    free(text);
}

static void
test_truncation(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_written(&rig);
    fill_context(&rig);
    rig_send(&rig, ITEM("what is two plus three"));
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.done");
    assert_in_range(path_number(event, "response.usage.input_tokens"), 22500,
                    28224);
    rig_send(&rig, UPDATE("\"truncation\":\"disabled\""));
    rig_send(&rig, CREATE);
    expect_error(&rig, "context_length_exceeded", NULL);
    rig_close(&rig);
}

/* --- limits and ends */

static void
test_conversation_limits(void **state)
{
    struct offline_link_config cfg = {
        .limits = {.max_items = 3, .max_conversation_bytes = 4096}};
    char big[6000] = "";
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, &cfg);
    rig_send(&rig, WRITTEN);
    for (unsigned i = 0; i < 5; i++)
        rig_send(&rig, ITEM("what is two plus three"));
    expect_error(&rig, "conversation_too_large", "item");
    /* The model's own item pushes out the oldest, and says so. */
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "conversation.item.deleted");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    rig_close(&rig);
    rig_open(&rig, &cfg);
    strncat(big,
            "{\"type\":\"conversation.item.create\",\"item\":{\"type\":"
            "\"message\",\"role\":\"user\",\"content\":[{\"type\":"
            "\"input_text\",\"text\":\"",
            400);
    memset(big + strlen(big), 'x', 5000);
    strcpy(big + strlen(big), "\"}]}}");
    rig_send(&rig, big);
    expect_error(&rig, "conversation_too_large", "item");
    rig_close(&rig);
}

static void
test_old_audio_goes(void **state)
{
    struct offline_link_config cfg = {
        .limits = {.max_conversation_bytes = 50000}};
    char id[64], text[256];
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, &cfg);
    rig_send(&rig, ITEM("what is two plus three"));
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.done");
    snprintf(id, sizeof(id), "%s", path_text(event, "response.output.0.id"));
    for (unsigned i = 0; i < 3; i++) {
        rig_send(&rig, ITEM("what is two plus three"));
        rig_send(&rig, CREATE);
        rig_until(&rig, "response.done");
    }
    snprintf(text, sizeof(text),
             "{\"type\":\"conversation.item.retrieve\",\"item_id\":\"%s\"}",
             id);
    rig_send(&rig, text);
    event = rig_until(&rig, "conversation.item.retrieved");
    assert_null(path_get(event, "item.content.0.audio"));
    assert_non_null(path_get(event, "item.content.0.transcript"));
    /* Its length is still known. */
    truncate_at(&rig, id, 100);
    rig_until(&rig, "conversation.item.truncated");
    rig_close(&rig);
}

static void
test_pause(void **state)
{
    struct rig rig;
    size_t before;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.output_audio.delta");
    model_link_pause(rig.link, true);
    rig_run_ms(&rig, 30);
    before = json_array_size(rig.events);
    rig_run_ms(&rig, 150);
    assert_int_equal(json_array_size(rig.events), before);
    model_link_pause(rig.link, false);
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

static void
test_pace(void **state)
{
    struct rig rig;
    json_t *event;
    uint64_t start;
    long audio_ms;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.output_audio.delta");
    start = clock_now_ms();
    event = rig_until(&rig, "response.done");
    audio_ms = path_number(event, "response.usage.output_token_details."
                                  "audio_tokens")
               * 50;
    /* Faster than real time, not all at once. */
    assert_true((long) (clock_now_ms() - start) < audio_ms / 3);
    assert_true((long) (clock_now_ms() - start) > audio_ms / 12);
    assert_true(rig.biggest < 20000);
    rig_close(&rig);
}

static void
test_queue_cap(void **state)
{
    struct offline_link_config cfg = {.limits = {.max_queue_bytes = 20000}};
    struct rig rig;
    int rc = 0;

    (void) state;
    rig_open(&rig, &cfg);
    for (unsigned i = 0; i < 20 && rc == 0; i++)
        rc = rig_send(&rig, UPDATE("\"instructions\":\"x\""));
    assert_int_equal(rc, UV_EAGAIN);
    assert_false(rig.writable);
    rig_run_ms(&rig, 20);
    assert_true(rig.writable);
    model_link_pause(rig.link, true);
    for (unsigned i = 0; i < 60 && rc != UV_EPIPE; i++)
        rc = rig_send(&rig, UPDATE("\"instructions\":\"x\""));
    assert_int_equal(rc, UV_EPIPE);
    rig_run_ms(&rig, 20);
    assert_true(rig.closed);
    assert_int_equal(rig.code, 1013);
    rig_close(&rig);
}

static void
test_expiry(void **state)
{
    struct offline_link_config cfg = {.limits = {.max_session_ms = 150}};
    struct rig rig;

    (void) state;
    rig_open(&rig, &cfg);
    rig_send(&rig, ITEM("tell me a story"));
    rig_send(&rig, CREATE);
    expect_error(&rig, "session_expired", NULL);
    rig_run_ms(&rig, 30);
    assert_true(rig.closed);
    assert_int_equal(rig.code, 1001);
    assert_non_null(strstr(rig.reason, "maximum duration"));
    rig_close(&rig);
}

static void
test_closed_link(void **state)
{
    struct rig rig;

    (void) state;
    rig_open(&rig, NULL);
    model_link_close(rig.link);
    assert_int_equal(rig_send(&rig, CREATE), UV_EPIPE);
    model_link_close(rig.link);
    assert_string_equal(model_link_name(rig.link), "offline");
    rig_run_ms(&rig, 10);
    assert_true(rig.closed);
    assert_int_equal(json_array_size(rig.events), 0);
    rig_close(&rig);
}

/* Closed after each event of a spoken answer in its turn. */
static void
test_close_at_every_stage(void **state)
{
    struct rig rig;

    (void) state;
    for (size_t stage = 1; stage < 24; stage++) {
        rig_open(&rig, NULL);
        rig_send(&rig, ITEM("what is two plus three"));
        rig_send(&rig, CREATE);
        while (rig.seen < stage)
            if (rig_next(&rig, 300) == NULL)
                break;
        rig_close(&rig);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_turn),
        cmocka_unit_test(test_deltas_make_the_text),
        cmocka_unit_test(test_spoken_answer),
        cmocka_unit_test(test_voice_is_locked),
        cmocka_unit_test(test_function_call),
        cmocka_unit_test(test_tool_choice),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_before_output),
        cmocka_unit_test(test_out_of_band),
        cmocka_unit_test(test_many_out_of_band),
        cmocka_unit_test(test_item_reference),
        cmocka_unit_test(test_max_output_tokens),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_truncate_and_retrieve),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_truncation),
        cmocka_unit_test(test_conversation_limits),
        cmocka_unit_test(test_old_audio_goes),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_pace),
        cmocka_unit_test(test_queue_cap),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_closed_link),
        cmocka_unit_test(test_close_at_every_stage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
