/* SPDX-License-Identifier: BSD-2-Clause */

/* The offline model by ear: turns found by the voice, barge-in, transcription,
 * manual turns, formats, and a server without a speech engine. */

#include "kit/offline_engine.h"
#include "kit/offline_rig.h"

#define LOUD   9000
#define CREATE "{\"type\":\"response.create\"}"
#define COMMIT "{\"type\":\"input_audio_buffer.commit\"}"
#define UPDATE(fields)                                                         \
    "{\"type\":\"session.update\",\"session\":{\"type\":\"realtime\"," fields  \
    "}}"
#define TURNS(fields)                                                          \
    UPDATE("\"audio\":{\"input\":{\"turn_detection\":" fields "}}")
#define TRANSCRIBED                                                            \
    UPDATE("\"audio\":{\"input\":{\"transcription\":{\"model\":"               \
           "\"gpt-4o-mini-transcribe\"}}}")

#define ORDER_ANSWER                                                           \
    "response.created response.output_item.added conversation.item.added "     \
    "response.content_part.added"

static void
open_heard(struct rig *rig, const char *update)
{
    rig_open(rig, NULL);
    rig_until(rig, "session.created");
    if (update == NULL)
        return;
    rig_send(rig, update);
    rig_until(rig, "session.updated");
}

static void
say(struct rig *rig)
{
    rig_append(rig, 500, 0);
    rig_append(rig, 1000, LOUD);
    rig_append(rig, 700, 0);
}

static bool
has(const struct rig *rig, const char *type)
{
    const json_t *event;
    size_t i;

    json_array_foreach(rig->events, i,
                       event) if (strcmp(event_type(event), type)
                                  == 0) return true;
    return false;
}

static void
test_spoken_turn(void **state)
{
    struct rig rig;
    char order[2048], item[64];
    json_t *event;

    (void) state;
    open_heard(&rig, NULL);
    say(&rig);
    event = rig_next(&rig, 1000);
    assert_string_equal(event_type(event), "input_audio_buffer.speech_started");
    assert_in_range(path_number(event, "audio_start_ms"), 150, 250);
    snprintf(item, sizeof(item), "%s", path_text(event, "item_id"));
    event = rig_next(&rig, 1000);
    assert_string_equal(event_type(event), "input_audio_buffer.speech_stopped");
    assert_in_range(path_number(event, "audio_end_ms"), 1950, 2080);
    assert_string_equal(path_text(event, "item_id"), item);
    event = rig_next(&rig, 1000);
    assert_string_equal(event_type(event), "input_audio_buffer.committed");
    assert_string_equal(path_text(event, "item_id"), item);
    assert_true(json_is_null(path_get(event, "previous_item_id")));
    event = rig_next(&rig, 1000);
    assert_string_equal(event_type(event), "conversation.item.added");
    assert_string_equal(path_text(event, "item.id"), item);
    assert_string_equal(path_text(event, "item.content.0.type"), "input_audio");
    rig_order(&rig, "response.content_part.added", order, sizeof(order));
    assert_string_equal(order, "conversation.item.done " ORDER_ANSWER);
    event = rig_until(&rig, "response.done");
    assert_non_null(
        strstr(path_text(event, "response.output.0.content.0.transcript"),
               "2 plus 3 is 5"));
    /* About 1.8 s were committed: 18 tokens and the instructions'. */
    assert_in_range(
        path_number(event, "response.usage.input_token_details.audio_tokens"),
        17, 20);
    assert_int_equal(rig.speech->hears, 1);
    rig_close(&rig);
}

/* The listening begun at a pause is thrown away when speech goes on. */
static void
test_speculation(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, NULL);
    rig.speech->hold = true;
    rig_append(&rig, 500, 0);
    rig_append(&rig, 600, LOUD);
    rig_append(&rig, 300, 0);
    assert_int_equal(rig.speech->hears, 1);
    rig_append(&rig, 600, LOUD);
    assert_int_equal(rig.speech->cancels, 1);
    rig_append(&rig, 600, 0);
    assert_int_equal(rig.speech->hears, 2);
    rig_until(&rig, "response.created");
    rig_run_ms(&rig, 30);
    assert_false(has(&rig, "response.output_item.added"));
    speech_release(rig.speech);
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

static void
test_transcription(void **state)
{
    struct rig rig;
    json_t *event;
    char words[256] = "";

    (void) state;
    open_heard(&rig, TRANSCRIBED);
    say(&rig);
    do {
        event = rig_next(&rig, 2000);
        assert_non_null(event);
        if (strstr(event_type(event), "transcription.delta") != NULL)
            strncat(words, path_text(event, "delta"), 100);
    } while (strstr(event_type(event), "transcription.completed") == NULL);
    assert_string_equal(words, "what is two plus three");
    assert_string_equal(path_text(event, "transcript"), words);
    assert_string_equal(path_text(event, "usage.type"), "tokens");
    assert_int_equal(
        path_number(event, "usage.input_token_details.text_tokens"), 0);
    assert_in_range(path_number(event, "usage.input_tokens"), 17, 20);
    assert_true(has(&rig, "response.created"));
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

static void
test_not_understood(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_heard(&rig, TRANSCRIBED);
    rig.speech->misunderstood = true;
    say(&rig);
    event = rig_until(&rig,
                      "conversation.item.input_audio_transcription.completed");
    assert_string_equal(path_text(event, "transcript"), "");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    rig_close(&rig);
}

static void
test_barge_in(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;

    (void) state;
    open_heard(&rig, NULL);
    snprintf(rig.speech->heard, sizeof(rig.speech->heard), "tell me a story");
    say(&rig);
    rig_until(&rig, "response.output_audio.delta");
    rig_append(&rig, 200, LOUD);
    rig_until(&rig, "input_audio_buffer.speech_started");
    rig_order(&rig, "rate_limits.updated", order, sizeof(order));
    assert_string_equal(order,
                        "response.output_audio.done "
                        "response.output_audio_transcript.done "
                        "response.content_part.done conversation.item.done "
                        "response.output_item.done response.done "
                        "rate_limits.updated");
    event = json_array_get(rig.events, rig.seen - 2);
    assert_string_equal(path_text(event, "response.status"), "cancelled");
    assert_string_equal(path_text(event, "response.status_details.type"),
                        "cancelled");
    assert_string_equal(path_text(event, "response.status_details.reason"),
                        "turn_detected");
    assert_string_equal(path_text(event, "response.output.0.status"),
                        "incomplete");
    assert_int_equal(rig.speech->running, 0);
    /* The interruption is a turn like any other. */
    rig_append(&rig, 400, LOUD);
    rig_append(&rig, 700, 0);
    rig_until(&rig, "response.created");
    rig_close(&rig);
}

/* Without interruption the answer to the second turn waits for the first. */
static void
test_no_interruption(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_heard(&rig, TURNS("{\"type\":\"server_vad\",\"interrupt_response\":"
                           "false}"));
    snprintf(rig.speech->heard, sizeof(rig.speech->heard), "tell me a story");
    say(&rig);
    rig_until(&rig, "response.output_audio.delta");
    say(&rig);
    rig_until(&rig, "input_audio_buffer.committed");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    rig_until(&rig, "response.created");
    rig_close(&rig);
}

static void
test_no_response(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, TURNS("{\"type\":\"server_vad\",\"create_response\":"
                           "false}"));
    say(&rig);
    rig_until(&rig, "conversation.item.done");
    rig_run_ms(&rig, 50);
    assert_false(has(&rig, "response.created"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

static void
test_manual_turn(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;

    (void) state;
    open_heard(&rig, TURNS("null"));
    rig_append(&rig, 80, LOUD);
    rig_send(&rig, COMMIT);
    event = rig_until(&rig, "error");
    assert_string_equal(path_text(event, "error.code"),
                        "input_audio_buffer_commit_empty");
    assert_non_null(strstr(path_text(event, "error.message"), "80.00ms"));
    rig_append(&rig, 1000, LOUD);
    rig_run_ms(&rig, 20);
    rig_send(&rig, COMMIT);
    rig_order(&rig, "conversation.item.done", order, sizeof(order));
    assert_string_equal(order, "input_audio_buffer.committed "
                               "conversation.item.added "
                               "conversation.item.done");
    rig_run_ms(&rig, 30);
    assert_false(has(&rig, "response.created"));
    rig_send(&rig, CREATE);
    rig_order(&rig, "response.content_part.added", order, sizeof(order));
    assert_string_equal(order, ORDER_ANSWER);
    rig_until(&rig, "response.done");
    rig_append(&rig, 500, LOUD);
    rig_send(&rig, "{\"type\":\"input_audio_buffer.clear\"}");
    rig_until(&rig, "input_audio_buffer.cleared");
    rig_send(&rig, COMMIT);
    rig_until(&rig, "error");
    rig_close(&rig);
}

static void
test_clear_while_speaking(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, NULL);
    rig_append(&rig, 500, 0);
    rig_append(&rig, 500, LOUD);
    rig_append(&rig, 300, 0);
    rig_send(&rig, "{\"type\":\"input_audio_buffer.clear\"}");
    rig_append(&rig, 800, 0);
    rig_run_ms(&rig, 20);
    assert_true(has(&rig, "input_audio_buffer.speech_started"));
    assert_false(has(&rig, "input_audio_buffer.committed"));
    rig_close(&rig);
}

static void
test_silence_is_no_turn(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, NULL);
    rig_append(&rig, 20000, 0);
    rig_run_ms(&rig, 10);
    assert_int_equal(rig.seen, json_array_size(rig.events));
    rig_close(&rig);
}

static void
test_settings_are_used(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_heard(&rig, TURNS("{\"type\":\"server_vad\",\"prefix_padding_ms\":0,"
                           "\"silence_duration_ms\":1000}"));
    rig_append(&rig, 1000, 0);
    rig_append(&rig, 500, LOUD);
    rig_append(&rig, 800, 0);
    event = rig_until(&rig, "input_audio_buffer.speech_started");
    assert_in_range(path_number(event, "audio_start_ms"), 960, 1040);
    assert_null(rig_next(&rig, 20));
    rig_append(&rig, 300, 0);
    event = rig_until(&rig, "input_audio_buffer.speech_stopped");
    assert_in_range(path_number(event, "audio_end_ms"), 2450, 2580);
    rig_close(&rig);
}

/* Semantic turns end soon after a sentence that was understood, late after
 * one that was not. */
static void
test_semantic(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, TURNS("{\"type\":\"semantic_vad\",\"eagerness\":"
                           "\"high\"}"));
    rig_append(&rig, 500, 0);
    rig_append(&rig, 600, LOUD);
    rig_append(&rig, 260, 0);
    rig_run_ms(&rig, 10);
    rig_append(&rig, 200, 0);
    rig_until(&rig, "input_audio_buffer.speech_stopped");
    rig_until(&rig, "response.done");
    rig.speech->misunderstood = true;
    rig_append(&rig, 600, LOUD);
    rig_append(&rig, 260, 0);
    rig_run_ms(&rig, 10);
    rig_append(&rig, 1200, 0);
    rig_until(&rig, "input_audio_buffer.speech_started");
    assert_null(rig_next(&rig, 20));
    rig_append(&rig, 800, 0);
    rig_until(&rig, "input_audio_buffer.speech_stopped");
    rig_close(&rig);
}

static void
test_idle_timeout(void **state)
{
    struct rig rig;
    char order[2048];
    json_t *event;
    uint64_t start;

    (void) state;
    open_heard(&rig, TURNS("{\"type\":\"server_vad\",\"idle_timeout_ms\":"
                           "5000}"));
    say(&rig);
    rig_until(&rig, "rate_limits.updated");
    start = clock_now_ms();
    rig_append(&rig, 500, 0);
    while (!has(&rig, "input_audio_buffer.timeout_triggered")
           && clock_now_ms() < start + 9000)
        rig_run_ms(&rig, 20);
    assert_true(clock_now_ms() - start >= 4900);
    event = rig_until(&rig, "input_audio_buffer.timeout_triggered");
    assert_true(path_number(event, "audio_end_ms")
                >= path_number(event, "audio_start_ms"));
    rig_order(&rig, "response.content_part.added", order, sizeof(order));
    assert_string_equal(order, "input_audio_buffer.committed "
                               "conversation.item.added "
                               "conversation.item.done " ORDER_ANSWER);
    event = rig_until(&rig, "response.done");
    assert_non_null(
        strstr(path_text(event, "response.output.0.content.0.transcript"),
               "still there"));
    rig_close(&rig);
}

/* --- formats */

static void
test_g711(void **state)
{
    static const char *const formats[] = {"audio/pcmu", "audio/pcma"};
    char update[512], text[2048], *to;
    uint8_t bytes[160];
    struct rig rig;
    json_t *event;
    size_t audio;

    (void) state;
    for (size_t f = 0; f < 2; f++) {
        snprintf(update, sizeof(update),
                 UPDATE("\"audio\":{\"input\":{\"format\":{\"type\":\"%s\"}},"
                        "\"output\":{\"format\":{\"type\":\"%s\"}}}"),
                 formats[f], formats[f]);
        open_heard(&rig, update);
        for (unsigned at = 0; at < 110; at++) {
            bool loud = at >= 25 && at < 75;

            for (unsigned i = 0; i < 160; i++)
                bytes[i] = f == 0 ? 0xFF : 0xD5;
            for (unsigned i = 0; loud && i < 160; i++)
                bytes[i] =
                    (uint8_t) ((i / 8 % 2 ? 0x80 : 0) | (f == 0 ? 0x10 : 0x25));
            to = text
                 + sprintf(text, "{\"type\":\"input_audio_buffer."
                                 "append\",\"audio\":\"");
            to += base64_encode(to, bytes, sizeof(bytes));
            strcpy(to, "\"}");
            rig_send(&rig, text);
        }
        event = rig_until(&rig, "input_audio_buffer.speech_started");
        assert_in_range(path_number(event, "audio_start_ms"), 150, 260);
        rig_until(&rig, "input_audio_buffer.committed");
        audio = 0;
        for (event = rig_next(&rig, 2000);
             event != NULL && strcmp(event_type(event), "response.done") != 0;
             event = rig_next(&rig, 2000)) {
            const char *delta = path_text(event, "delta");

            if (strcmp(event_type(event), "response.output_audio.delta") == 0)
                audio += (size_t) base64_decoded_bytes(delta, strlen(delta));
        }
        assert_non_null(event);
        assert_string_equal(
            path_text(event, "response.audio.output.format.type"), formats[f]);
        /* 60 ms a character, 8 bytes a millisecond. */
        assert_in_range(
            audio,
            strlen(path_text(event, "response.output.0.content.0.transcript"))
                    * 480
                - 40,
            strlen(path_text(event, "response.output.0.content.0.transcript"))
                    * 480
                + 40);
        rig_close(&rig);
    }
}

static void
test_split_samples(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_heard(&rig, TURNS("null"));
    /* Three bytes and five: four samples in all, half a one carried over. */
    rig_send(&rig, "{\"type\":\"input_audio_buffer.append\",\"audio\":"
                   "\"AAAA\"}");
    rig_send(&rig, "{\"type\":\"input_audio_buffer.append\",\"audio\":"
                   "\"AAAAAAA=\"}");
    rig_append(&rig, 200, LOUD);
    rig_send(&rig, COMMIT);
    event = rig_until(&rig, "conversation.item.done");
    assert_non_null(event);
    rig_run_ms(&rig, 10);
    assert_int_equal(rig.speech->last_samples, 4804);
    rig_close(&rig);
}

/* --- items with audio */

static void
test_audio_item(void **state)
{
    struct rig rig;
    static int16_t pcm[12000];
    char *text = malloc(40000), *to = text, id[64], retrieve[256];
    json_t *event;

    (void) state;
    open_heard(&rig, NULL);
    to += sprintf(to, "{\"type\":\"conversation.item.create\",\"item\":{"
                      "\"type\":\"message\",\"role\":\"user\",\"content\":[{"
                      "\"type\":\"input_audio\",\"audio\":\"");
    for (unsigned i = 0; i < 12000; i++)
        pcm[i] = (int16_t) (i * 7);
    to += base64_encode(to, pcm, sizeof(pcm));
    strcpy(to, "\"}]}}");
    rig_send(&rig, text);
    free(text);
    event = rig_until(&rig, "conversation.item.done");
    assert_null(path_get(event, "item.content.0.audio"));
    snprintf(id, sizeof(id), "%s", path_text(event, "item.id"));
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.done");
    assert_non_null(
        strstr(path_text(event, "response.output.0.content.0.transcript"),
               "2 plus 3 is 5"));
    assert_int_equal(
        path_number(event, "response.usage.input_token_details.audio_tokens"),
        5);
    snprintf(retrieve, sizeof(retrieve),
             "{\"type\":\"conversation.item.retrieve\",\"item_id\":\"%s\"}",
             id);
    rig_send(&rig, retrieve);
    event = rig_until(&rig, "conversation.item.retrieved");
    assert_string_equal(path_text(event, "item.content.0.type"), "input_audio");
    assert_int_equal(strlen(path_text(event, "item.content.0.audio")), 32000);
    rig_close(&rig);
}

static void
test_long_item_without_audio(void **state)
{
    struct rig rig;
    char retrieve[256];
    json_t *event;

    (void) state;
    open_heard(&rig, TURNS("null"));
    rig_append(&rig, 20000, LOUD);
    rig_send(&rig, COMMIT);
    event = rig_until(&rig, "conversation.item.done");
    snprintf(retrieve, sizeof(retrieve),
             "{\"type\":\"conversation.item.retrieve\",\"item_id\":\"%s\"}",
             path_text(event, "item.id"));
    rig_send(&rig, retrieve);
    event = rig_until(&rig, "conversation.item.retrieved");
    assert_null(path_get(event, "item.content.0.audio"));
    rig_close(&rig);
}

/* --- limits */

static void
test_input_caps(void **state)
{
    struct offline_link_config cfg = {
        .limits = {.max_append_bytes = 4800, .max_input_bytes = 48000}};
    char *text = malloc(20000), *to = text;
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, &cfg);
    rig_send(&rig, TURNS("null"));
    to += sprintf(to, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");
    memset(to, 'A', 8000);
    strcpy(to + 8000, "\"}");
    rig_send(&rig, text);
    free(text);
    event = rig_until(&rig, "error");
    assert_string_equal(path_text(event, "error.code"), "invalid_value");
    rig_append(&rig, 1200, 0);
    event = rig_until(&rig, "error");
    assert_string_equal(path_text(event, "error.code"),
                        "input_audio_buffer_full");
    rig_send(&rig, COMMIT);
    rig_until(&rig, "input_audio_buffer.committed");
    /* A voice that never pauses: the turn is ended at the cap. */
    rig_send(&rig, TURNS("{\"type\":\"server_vad\"}"));
    rig_until(&rig, "session.updated");
    rig_append(&rig, 300, 0);
    rig_append(&rig, 1500, LOUD);
    rig_until(&rig, "input_audio_buffer.speech_stopped");
    rig_until(&rig, "input_audio_buffer.committed");
    rig_close(&rig);
}

/* --- no engine, or one that fails */

static void
test_no_engine(void **state)
{
    struct rig rig;
    struct offline_link_config cfg = {0};
    json_t *event;

    (void) state;
    memset(&rig, 0, sizeof(rig));
    rig.events = json_array();
    loop_create(&rig.loop, 0);
    cfg.link.loop = rig.loop;
    cfg.link.session_id = "sess_x";
    cfg.link.model = "m";
    assert_int_equal(offline_link_open(&rig.link, &cfg, &rig_handlers, &rig),
                     0);
    rig_send(&rig, TRANSCRIBED);
    say(&rig);
    event =
        rig_until(&rig, "conversation.item.input_audio_transcription.failed");
    assert_string_equal(path_text(event, "error.code"), "speech_unavailable");
    event = rig_until(&rig, "error");
    assert_string_equal(path_text(event, "error.type"), "server_error");
    assert_string_equal(path_text(event, "error.code"), "speech_unavailable");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "failed");
    assert_string_equal(path_text(event, "response.status_details.error.code"),
                        "speech_unavailable");
    rig_send(&rig, UPDATE("\"output_modalities\":[\"text\"]"));
    rig_send(&rig, "{\"type\":\"conversation.item.create\",\"item\":{"
                   "\"type\":\"message\",\"role\":\"user\",\"content\":[{"
                   "\"type\":\"input_text\",\"text\":\"what is two plus "
                   "three\"}]}}");
    rig_send(&rig, CREATE);
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    rig_close(&rig);
}

static void
test_failing_engine(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    open_heard(&rig, TRANSCRIBED);
    rig.speech->hear_error = UV_EIO;
    say(&rig);
    rig_until(&rig, "conversation.item.input_audio_transcription.failed");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "failed");
    rig.speech->hear_error = 0;
    rig.speech->say_error = UV_EIO;
    say(&rig);
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "failed");
    rig.speech->say_error = 0;
    say(&rig);
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    rig_close(&rig);
}

/* --- transcription sessions */

static void
test_transcription_session(void **state)
{
    struct offline_link_config cfg = {.transcription = true};
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, &cfg);
    event = rig_until(&rig, "session.created");
    assert_string_equal(path_text(event, "session.object"),
                        "realtime.transcription_session");
    assert_null(path_get(event, "session.tools"));
    rig_send(&rig, "{\"type\":\"session.update\",\"session\":{\"type\":"
                   "\"transcription\",\"audio\":{\"input\":{"
                   "\"transcription\":{\"model\":\"whisper-1\"}}}}}");
    rig_until(&rig, "session.updated");
    say(&rig);
    event = rig_until(&rig,
                      "conversation.item.input_audio_transcription.completed");
    assert_string_equal(path_text(event, "usage.type"), "duration");
    rig_run_ms(&rig, 30);
    assert_false(has(&rig, "response.created"));
    rig_send(&rig, CREATE);
    rig_until(&rig, "error");
    rig_close(&rig);
}

/* --- ends in the middle */

static void
test_close_while_listening(void **state)
{
    struct rig rig;

    (void) state;
    open_heard(&rig, NULL);
    rig.speech->hold = true;
    say(&rig);
    rig_until(&rig, "response.created");
    assert_int_equal(rig.speech->running, 1);
    rig_close(&rig);
    open_heard(&rig, NULL);
    rig.speech->hold = true;
    rig_append(&rig, 500, 0);
    rig_append(&rig, 600, LOUD);
    rig_append(&rig, 300, 0);
    assert_int_equal(rig.speech->running, 1);
    rig_close(&rig);
}

static void
test_close_at_every_stage(void **state)
{
    struct rig rig;

    (void) state;
    for (size_t stage = 1; stage < 30; stage++) {
        rig_open(&rig, NULL);
        rig_send(&rig, TRANSCRIBED);
        say(&rig);
        while (rig.seen < stage)
            if (rig_next(&rig, 100) == NULL)
                break;
        rig_close(&rig);
    }
}

static void
test_delete_while_listening(void **state)
{
    struct rig rig;
    char text[256];
    json_t *event;

    (void) state;
    open_heard(&rig, TRANSCRIBED);
    rig.speech->hold = true;
    say(&rig);
    event = rig_until(&rig, "conversation.item.done");
    snprintf(text, sizeof(text),
             "{\"type\":\"conversation.item.delete\",\"item_id\":\"%s\"}",
             path_text(event, "item.id"));
    rig_send(&rig, text);
    rig_until(&rig, "conversation.item.deleted");
    speech_release(rig.speech);
    rig_until(&rig, "response.done");
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spoken_turn),
        cmocka_unit_test(test_speculation),
        cmocka_unit_test(test_transcription),
        cmocka_unit_test(test_not_understood),
        cmocka_unit_test(test_barge_in),
        cmocka_unit_test(test_no_interruption),
        cmocka_unit_test(test_no_response),
        cmocka_unit_test(test_manual_turn),
        cmocka_unit_test(test_clear_while_speaking),
        cmocka_unit_test(test_silence_is_no_turn),
        cmocka_unit_test(test_settings_are_used),
        cmocka_unit_test(test_semantic),
        cmocka_unit_test(test_idle_timeout),
        cmocka_unit_test(test_g711),
        cmocka_unit_test(test_split_samples),
        cmocka_unit_test(test_audio_item),
        cmocka_unit_test(test_long_item_without_audio),
        cmocka_unit_test(test_input_caps),
        cmocka_unit_test(test_no_engine),
        cmocka_unit_test(test_failing_engine),
        cmocka_unit_test(test_transcription_session),
        cmocka_unit_test(test_close_while_listening),
        cmocka_unit_test(test_close_at_every_stage),
        cmocka_unit_test(test_delete_while_listening),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
