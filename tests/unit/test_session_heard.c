/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_heard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 100 ms of 24 kHz PCM have 6400 characters of base64. */
#define AUDIO_100_MS 6400

typedef void take_h(struct session_heard *h, const struct realtime_peek *peek);

static void
give(struct session_heard *h, take_h *take, const char *text)
{
    struct realtime_peek peek;

    assert_int_equal(realtime_peek(text, strlen(text), &peek), REALTIME_SOUND);
    take(h, &peek);
}

static void
words(struct session_heard *h, const char *id, const char *delta)
{
    char text[512];

    snprintf(text, sizeof text,
             "{\"type\":\"response.output_audio_transcript.delta\","
             "\"item_id\":\"%s\",\"content_index\":0,\"delta\":\"%s\"}",
             id, delta);
    give(h, session_heard_words, text);
}

static void
audio(struct session_heard *h, const char *id, unsigned hundreds)
{
    char text[AUDIO_100_MS + 256], base64[AUDIO_100_MS + 1];

    memset(base64, 'A', AUDIO_100_MS);
    base64[AUDIO_100_MS] = 0;
    snprintf(text, sizeof text,
             "{\"type\":\"response.output_audio.delta\",\"item_id\":\"%s\","
             "\"content_index\":0,\"delta\":\"%s\"}",
             id, base64);
    while (hundreds-- > 0)
        give(h, session_heard_audio, text);
}

static void
ended(struct session_heard *h, const char *id, const char *status)
{
    char text[256];

    snprintf(text, sizeof text,
             "{\"type\":\"response.output_item.done\",\"item\":{\"id\":\"%s\","
             "\"status\":\"%s\",\"content\":[{\"type\":\"output_audio\"}]}}",
             id, status);
    give(h, session_heard_item, text);
}

/* "(none)": the event stays as it is. */
static const char *
truncated(struct session_heard *h, const char *id, unsigned ms)
{
    static char heard[512];
    struct realtime_peek peek;
    char text[256];
    char *made;
    json_t *event;

    snprintf(text, sizeof text,
             "{\"type\":\"conversation.item.truncated\",\"event_id\":\"e\","
             "\"item_id\":\"%s\",\"content_index\":0,\"audio_end_ms\":%u}",
             id, ms);
    assert_int_equal(realtime_peek(text, strlen(text), &peek), REALTIME_SOUND);
    made = session_heard_truncated(h, &peek, text, strlen(text));
    if (made == NULL)
        return "(none)";
    event = json_loads(made, 0, NULL);
    free(made);
    assert_int_equal(json_object_size(event), 6);
    assert_int_equal(json_integer_value(json_object_get(event, "audio_end_ms")),
                     ms);
    snprintf(heard, sizeof heard, "%s",
             json_string_value(json_object_get(event, "transcript")));
    json_decref(event);
    return heard;
}

/* Said to its end, ahead of what is played. */
static void
test_whole(void **state)
{
    struct session_heard h;

    (void) state;
    session_heard_init(&h);
    words(&h, "a", "one two");
    audio(&h, "a", 6);
    words(&h, "a", " thr\\u0065e four");
    audio(&h, "a", 6);
    ended(&h, "a", "completed");
    assert_string_equal(truncated(&h, "a", 600), "one two");
    assert_string_equal(truncated(&h, "b", 600), "(none)");
    session_heard_deinit(&h);
}

/* Cancelled: the words that came had no time to be said, audio.done or not. */
static void
test_cancelled(void **state)
{
    struct session_heard h;

    (void) state;
    session_heard_init(&h);
    words(&h, "a", "one two three four five six seven eight nine ten");
    audio(&h, "a", 10);
    ended(&h, "a", "incomplete");
    assert_string_equal(truncated(&h, "a", 900), "one two three");
    /* what comes late changes nothing */
    words(&h, "a", " eleven");
    audio(&h, "a", 30);
    assert_string_equal(truncated(&h, "a", 2000), "one two three");
    session_heard_deinit(&h);
}

static void
test_strange_events(void **state)
{
    static const char *const texts[] = {
        "{\"type\":\"x\"}",
        "{\"type\":\"x\",\"item_id\":7,\"delta\":7,\"item\":7}",
        "{\"type\":\"x\",\"item_id\":\"\",\"delta\":\"\",\"item\":{}}",
        "{\"type\":\"x\",\"item_id\":\"a\",\"content_index\":-1,\"delta\":null,"
        "\"item\":{\"id\":\"a\",\"status\":\"completed\",\"content\":7}}",
        "{\"type\":\"x\",\"item_id\":\"a\",\"content_index\":1e9,"
        "\"delta\":\"\\u00e4\",\"audio_end_ms\":\"x\"}"};
    struct session_heard h;

    (void) state;
    session_heard_init(&h);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct realtime_peek peek;

        give(&h, session_heard_words, texts[i]);
        give(&h, session_heard_audio, texts[i]);
        give(&h, session_heard_item, texts[i]);
        realtime_peek(texts[i], strlen(texts[i]), &peek);
        free(session_heard_truncated(&h, &peek, texts[i], strlen(texts[i])));
    }
    session_heard_deinit(&h);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_cancelled),
        cmocka_unit_test(test_strange_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
