/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_turns.h"

#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000ull
#define V2V(from, to, cut)                                                     \
    "voice_to_voice_latency_seconds",                                          \
        "{from=\"" from "\",to=\"" to "\",interrupted=\"" cut "\"}"
#define FIRST(from, output)                                                    \
    "voice_llm_first_output_seconds",                                          \
        "{from=\"" from "\",output=\"" output "\"}"

static struct session_turns turns;
static uint64_t now;
static unsigned clock_calls;

static uint64_t
clock_fake(void)
{
    clock_calls++;
    return now;
}

static int
setup(void **state)
{
    (void) state;
    memset(&turns, 0, sizeof(turns));
    now = 1000000 * MS;
    clock_calls = 0;
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    session_turns_deinit(&turns);
    return 0;
}

/* A sample of the exposition, 0 when there is none. */
static double
sample(const char *name, const char *labels, const char *suffix)
{
    struct buffer text;
    char key[256];
    double value = 0;

    snprintf(key, sizeof(key), "\n%s%s%s ", name, suffix, labels);
    buffer_init(&text, 1u << 20);
    assert_int_equal(metrics_dump_prometheus(&text), 0);
    assert_int_equal(buffer_append(&text, "", 1), 0);
    const char *at = strstr((const char *) text.data, key);
    if (at)
        value = strtod(at + strlen(key), NULL);
    buffer_deinit(&text);
    return value;
}

struct mark {
    const char *name, *labels;
    double count, sum;
};

static struct mark
mark_of(const char *name, const char *labels)
{
    return (struct mark){name, labels, sample(name, labels, "_count"),
                         sample(name, labels, "_sum")};
}

/* Since the mark: that many, of that many milliseconds in all. */
static void
assert_told(struct mark m, unsigned count, unsigned ms)
{
    struct mark is = mark_of(m.name, m.labels);

    assert_int_equal((int) (is.count - m.count + 0.5), count);
    assert_int_equal((int) ((is.sum - m.sum) * 1000 + 0.5), ms);
}

static void
up(const char *json)
{
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(json, strlen(json), &peek), REALTIME_SOUND);
    session_turns_up(&turns, &peek, now);
}

static bool
down(const char *json)
{
    struct session_event e;

    assert_int_equal(session_event_open(&e, json, strlen(json)), 0);
    bool first = session_turns_down(&turns, &e, clock_fake);
    session_event_close(&e);
    return first;
}

/* So much audio, in real time, 20 ms at a time: 640 characters of µ-law would
 * be 480 bytes, 1280 of PCM are 960. */
static void
speak(unsigned ms, unsigned chars)
{
    char json[2048];
    char audio[1300];

    memset(audio, 'A', sizeof(audio));
    snprintf(json, sizeof(json),
             "{\"type\":\"input_audio_buffer.append\",\"audio\":\"%.*s\"}",
             (int) chars, audio);
    for (unsigned i = 0; i < ms / 20; i++) {
        now += 20 * MS;
        up(json);
    }
}

static void
stopped(unsigned end_ms)
{
    char json[128];

    snprintf(json, sizeof(json),
             "{\"type\":\"input_audio_buffer.speech_stopped\","
             "\"audio_end_ms\":%u,\"item_id\":\"item_1\"}",
             end_ms);
    down(json);
}

static void
response(const char *what, const char *id, const char *more)
{
    char json[256];

    snprintf(json, sizeof(json),
             "{\"type\":\"response.%s\",\"response\":{\"id\":\"%s\"%s}}", what,
             id, more);
    down(json);
}

static bool
delta(const char *type, const char *id)
{
    char json[256];

    snprintf(json, sizeof(json),
             "{\"type\":\"response.%s.delta\",\"response_id\":\"%s\","
             "\"item_id\":\"item_2\",\"delta\":\"AAAA\"}",
             type, id);
    return down(json);
}

/* The whole of a turn: 3 s of speech and silence, the VAD's word 30 ms after
 * the last of it, 100 ms to response.created, 200 ms to audio, 2 ms here. */
static void
test_r8_a_turn(void **state)
{
    struct mark speech = mark_of(V2V("speech_end", "sent", "false"));
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));
    struct mark cut = mark_of(V2V("turn_end", "sent", "true"));
    struct mark heard = mark_of(V2V("speech_end", "heard", "false"));
    struct mark asked = mark_of(FIRST("turn_end", "audio"));
    struct mark created = mark_of(FIRST("response_created", "audio"));
    struct mark vad = mark_of("voice_vad_seconds", "");
    struct mark trip = mark_of("voice_audio_round_trip_seconds", "");
    struct mark gateway_up =
        mark_of("voice_gateway_seconds", "{direction=\"up\"}");
    struct mark gateway_down =
        mark_of("voice_gateway_seconds", "{direction=\"down\"}");

    (void) state;
    down("{\"type\":\"session.created\",\"session\":{\"audio\":{\"input\":{"
         "\"format\":{\"type\":\"audio/pcm\",\"rate\":24000},"
         "\"turn_detection\":{\"type\":\"server_vad\","
         "\"silence_duration_ms\":400}}}}}");
    speak(3000, 1280);
    session_turns_took(&turns, 1 * MS);
    session_turns_path(&turns, 60 * MS, 80 * MS);
    now += 30 * MS;
    stopped(3000);
    now += 100 * MS;
    response("created", "r1", "");
    now += 150 * MS;
    assert_false(delta("output_audio_transcript", "r1"));
    now += 50 * MS;
    assert_true(delta("output_audio", "r1"));
    now += 2 * MS;
    session_turns_sent(&turns, now);
    clock_calls = 0;
    for (unsigned i = 0; i < 100; i++)
        assert_false(delta("output_audio", "r1"));
    assert_int_equal(clock_calls, 0);
    assert_told(turn, 0, 0);
    now += 3000 * MS;
    response("done", "r1", ",\"status\":\"completed\"");
    assert_told(vad, 1, 30);
    assert_told(turn, 1, 100 + 200 + 2);
    assert_told(speech, 1, 400 + 30 + 100 + 200 + 2);
    assert_told(cut, 0, 0);
    assert_told(asked, 1, 300);
    assert_told(created, 1, 200);
    assert_told(gateway_up, 1, 1);
    assert_told(gateway_down, 1, 2);
    assert_told(trip, 1, 60 + 80 + 1 + 2);
    assert_told(heard, 0, 0);
    session_turns_heard(&turns, now - 3000 * MS + 100 * MS);
    session_turns_heard(&turns, now);
    assert_told(heard, 1, 400 + 30 + 100 + 200 + 2 + 100);

    struct session_turns_figures f = session_turns_figures(&turns);
    assert_int_equal(f.turns, 1);
    assert_int_equal(f.voice_us, 732 * MS);
    assert_int_equal(f.first_us, 300 * MS);
    assert_int_equal(f.gateway_us, 3 * MS);
    assert_int_equal(f.rtt_us, 60 * MS);
}

/* What a client's word and half its round trip make of it is no better than
 * they are. */
static void
test_r8_nothing_is_heard_before_it_is_sent(void **state)
{
    struct mark heard = mark_of(V2V("turn_end", "heard", "false"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    session_turns_heard(&turns, now);
    now += 200 * MS;
    delta("output_audio", "r1");
    session_turns_sent(&turns, now);
    session_turns_heard(&turns, now - 3 * MS);
    response("done", "r1", "");
    assert_told(heard, 1, 200);
}

/* Until its end a turn is not told; one that was cut is told apart. */
static void
test_r7_1_an_interrupted_turn_is_labelled(void **state)
{
    struct mark whole = mark_of(V2V("turn_end", "sent", "false"));
    struct mark cut = mark_of(V2V("turn_end", "sent", "true"));
    struct mark heard = mark_of(V2V("turn_end", "heard", "true"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    now += 500 * MS;
    assert_true(delta("output_audio", "r1"));
    session_turns_sent(&turns, now);
    session_turns_heard(&turns, now + 50 * MS);
    down("{\"type\":\"input_audio_buffer.speech_started\","
         "\"audio_start_ms\":1000,\"item_id\":\"item_3\"}");
    response("done", "r1", ",\"status\":\"cancelled\"");
    assert_told(whole, 0, 0);
    assert_told(cut, 1, 500);
    assert_told(heard, 1, 550);
}

/* What the user cut off before a sound came is no answer. */
static void
test_r7_1_no_sound_is_no_answer(void **state)
{
    struct mark whole = mark_of(V2V("turn_end", "sent", "false"));
    struct mark cut = mark_of(V2V("turn_end", "sent", "true"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    down("{\"type\":\"input_audio_buffer.speech_started\","
         "\"audio_start_ms\":1000,\"item_id\":\"item_3\"}");
    response("done", "r1", ",\"status\":\"cancelled\"");
    speak(2000, 1280);
    stopped(3000);
    response("created", "r2", "");
    now += 300 * MS;
    assert_true(delta("output_audio", "r2"));
    session_turns_sent(&turns, now);
    response("done", "r2", ",\"status\":\"completed\"");
    assert_told(cut, 0, 0);
    assert_told(whole, 1, 300);
}

/* The user waits for the words after the tool's answer; the model is not to
 * blame for the tool. */
static void
test_r8_a_tool_call_is_part_of_the_wait(void **state)
{
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));
    struct mark call = mark_of(FIRST("turn_end", "call"));
    struct mark audio = mark_of(FIRST("turn_end", "audio"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    now += 200 * MS;
    assert_true(delta("function_call_arguments", "r1"));
    session_turns_sent(&turns, now);
    response("done", "r1", ",\"status\":\"completed\"");
    now += 1000 * MS;
    up("{\"type\":\"response.create\"}");
    now += 10 * MS;
    response("created", "r2", "");
    now += 290 * MS;
    assert_true(delta("output_audio", "r2"));
    session_turns_sent(&turns, now);
    response("done", "r2", ",\"status\":\"completed\"");
    assert_told(call, 1, 200);
    assert_told(audio, 1, 300);
    assert_told(turn, 1, 1500);
    assert_int_equal(session_turns_figures(&turns).turns, 2);
}

/* Push to talk: the commit is the end of both. */
static void
test_r8_a_commit_ends_a_turn(void **state)
{
    struct mark speech = mark_of(V2V("speech_end", "sent", "false"));
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));
    struct mark audio = mark_of(FIRST("turn_end", "audio"));
    struct mark vad = mark_of("voice_vad_seconds", "");

    (void) state;
    speak(1000, 1280);
    up("{\"type\":\"input_audio_buffer.commit\"}");
    now += 5 * MS;
    up("{\"type\":\"response.create\"}");
    now += 395 * MS;
    response("created", "r1", "");
    assert_true(delta("output_audio", "r1"));
    session_turns_sent(&turns, now);
    response("done", "r1", ",\"status\":\"completed\"");
    assert_told(speech, 1, 400);
    assert_told(turn, 1, 400);
    assert_told(audio, 1, 395);
    assert_told(vad, 0, 0);
}

/* Text is answered, not spoken to; a response beside the conversation is
 * nobody's answer. */
static void
test_r8_text_and_asides(void **state)
{
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));
    struct mark text = mark_of(FIRST("turn_end", "text"));
    struct mark audio = mark_of(FIRST("response_created", "audio"));

    (void) state;
    up("{\"type\":\"response.create\"}");
    now += 100 * MS;
    response("created", "r1", ",\"conversation_id\":\"conv_1\"");
    now += 100 * MS;
    assert_true(delta("output_text", "r1"));
    session_turns_sent(&turns, now);
    assert_false(delta("output_text", "r1"));
    response("done", "r1", ",\"status\":\"completed\"");
    assert_told(text, 1, 200);

    speak(1000, 1280);
    stopped(1000);
    response("created", "aside", ",\"conversation_id\":null");
    now += 100 * MS;
    assert_false(delta("output_audio", "aside"));
    response("created", "r2", ",\"conversation_id\":\"conv_1\"");
    assert_false(delta("output_audio", "aside"));
    now += 400 * MS;
    assert_true(delta("output_audio", "r2"));
    session_turns_sent(&turns, now);
    response("done", "aside", ",\"status\":\"completed\"");
    assert_told(turn, 0, 0);
    response("done", "r2", ",\"status\":\"completed\"");
    assert_told(turn, 1, 500);
    assert_told(audio, 1, 400);
    assert_int_equal(session_turns_figures(&turns).turns, 3);
}

/* An answer to what was said a minute ago is another matter. */
static void
test_r8_a_late_answer_is_not_of_the_turn(void **state)
{
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    now += SESSION_TURNS_LATE_US + 1;
    up("{\"type\":\"response.create\"}");
    response("created", "r1", "");
    assert_true(delta("output_audio", "r1"));
    session_turns_sent(&turns, now);
    response("done", "r1", ",\"status\":\"completed\"");
    assert_told(turn, 0, 0);
}

/* Semantic detection has no silence of known length; positions that make no
 * sense (a server that counts otherwise) measure nothing. */
static void
test_r2_5_what_is_not_known_is_not_told(void **state)
{
    struct mark speech = mark_of(V2V("speech_end", "sent", "false"));
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));
    struct mark vad = mark_of("voice_vad_seconds", "");
    static const char *const odd[] = {"9999999999999", "-5", "1.5", "null",
                                      "70000"};
    char json[160];

    (void) state;
    down("{\"type\":\"session.updated\",\"session\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"semantic_vad\"}}}}}");
    speak(1000, 1280);
    now += 40 * MS;
    stopped(1000);
    assert_told(vad, 1, 40);
    for (unsigned i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        snprintf(json, sizeof(json),
                 "{\"type\":\"input_audio_buffer.speech_stopped\","
                 "\"audio_end_ms\":%s}",
                 odd[i]);
        down(json);
    }
    assert_told(vad, 1, 40);
    response("created", "r1", "");
    now += 300 * MS;
    assert_true(delta("output_audio", "r1"));
    session_turns_sent(&turns, now);
    response("done", "r1", "");
    assert_told(speech, 0, 0);
    assert_told(turn, 1, 300);
}

/* Other formats, changed on the way: positions are milliseconds. */
static void
test_r2_5_g711(void **state)
{
    struct mark vad = mark_of("voice_vad_seconds", "");

    (void) state;
    speak(1000, 1280);
    down("{\"type\":\"session.updated\",\"session\":{\"audio\":{\"input\":{"
         "\"format\":{\"type\":\"audio/pcmu\"}}}}}");
    speak(1000, 216); /* 162 bytes, near 20 ms */
    now += 60 * MS;
    stopped(2000);
    struct mark is = mark_of("voice_vad_seconds", "");
    assert_int_equal((int) (is.count - vad.count + 0.5), 1);
    assert_true(is.sum - vad.sum > 0.055 && is.sum - vad.sum < 0.095);
}

/* A filter swallowed the first delta: the next one is the first. */
static void
test_r8_what_is_not_sent_does_not_count(void **state)
{
    struct mark turn = mark_of(V2V("turn_end", "sent", "false"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    now += 100 * MS;
    assert_true(delta("output_audio", "r1"));
    now += 100 * MS;
    assert_true(delta("output_audio", "r1"));
    session_turns_sent(&turns, now);
    response("done", "r1", "");
    assert_told(turn, 1, 200);
}

/* A session that ends amid an answer has cut it short. */
static void
test_r7_1_the_end_interrupts(void **state)
{
    struct mark cut = mark_of(V2V("turn_end", "sent", "true"));

    (void) state;
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    now += 100 * MS;
    delta("output_audio", "r1");
    session_turns_sent(&turns, now);
    session_turns_deinit(&turns);
    assert_told(cut, 1, 100);
}

/* A client that only looks on costs nothing. */
static void
test_nothing_is_kept_for_nothing(void **state)
{
    (void) state;
    down("{\"type\":\"session.created\",\"session\":{}}");
    up("{\"type\":\"session.update\",\"session\":{}}");
    down("{\"type\":\"rate_limits.updated\"}");
    delta("output_audio", "r1");
    session_turns_took(&turns, 5);
    session_turns_sent(&turns, now);
    session_turns_heard(&turns, now);
    assert_null(turns.book);
    assert_int_equal(session_turns_figures(&turns).turns, 0);
    assert_int_equal(clock_calls, 0);
}

/* Answers that are told wrongly: no end, no id, an id without bound. */
static void
test_answers_told_wrongly(void **state)
{
    struct mark cut = mark_of(V2V("turn_end", "sent", "true"));
    char long_id[200];

    (void) state;
    memset(long_id, 'x', sizeof(long_id) - 1);
    long_id[sizeof(long_id) - 1] = 0;
    down("{\"type\":\"response.created\"}");
    response("created", long_id, "");
    response("done", long_id, "");
    down("{\"type\":\"response.done\",\"response\":7}");
    speak(1000, 1280);
    stopped(1000);
    response("created", "r1", "");
    now += 100 * MS;
    delta("output_audio", "r1");
    session_turns_sent(&turns, now);
    response("created", "r2", "");
    assert_told(cut, 1, 100);
    response("done", "r1", "");
    response("done", "r2", "");
    assert_told(cut, 1, 100);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_r8_a_turn),
        TEST(test_r8_nothing_is_heard_before_it_is_sent),
        TEST(test_r7_1_an_interrupted_turn_is_labelled),
        TEST(test_r7_1_no_sound_is_no_answer),
        TEST(test_r8_a_tool_call_is_part_of_the_wait),
        TEST(test_r8_a_commit_ends_a_turn),
        TEST(test_r8_text_and_asides),
        TEST(test_r8_a_late_answer_is_not_of_the_turn),
        TEST(test_r2_5_what_is_not_known_is_not_told),
        TEST(test_r2_5_g711),
        TEST(test_r8_what_is_not_sent_does_not_count),
        TEST(test_r7_1_the_end_interrupts),
        TEST(test_nothing_is_kept_for_nothing),
        TEST(test_answers_told_wrongly),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
