/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_microphone.h"

#include "codec/base64.h"

#include "kit/history_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
audio_say(struct session_history *h, unsigned ms, char c)
{
    char *text = malloc(64 + ms * 64);
    int n = sprintf(text, "{'type':'input_audio_buffer.append','audio':'");

    memset(text + n, c, ms * 64); /* 48 bytes of pcm a ms */
    strcpy(text + n + ms * 64, "'}");
    history_up(h, text);
    free(text);
}

#define BLOCK_CHARS 1280 /* 20 ms */

/* 'A' is silence, everything else is loud. What was kept is not quite what
 * came: the mean of 20 ms tells them apart. */
static char
block_kind(const char *chars)
{
    int16_t pcm[480];
    double sum = 0;

    assert_int_equal(base64_decode(pcm, chars, BLOCK_CHARS), sizeof(pcm));
    for (size_t i = 0; i < 480; i++)
        sum += abs(pcm[i]);
    return sum / 480 > 2000 ? 'B' : 'A';
}

/* Characters of that audio in the appends among the events. */
static size_t
audio_of(const json_t *events, char c)
{
    const json_t *event;
    size_t i, n = 0;

    json_array_foreach(events, i, event)
    {
        const char *audio = history_at(event, "audio");

        assert_int_equal(strlen(audio) % BLOCK_CHARS, 0);
        for (; *audio; audio += BLOCK_CHARS)
            n += block_kind(audio) == c ? BLOCK_CHARS : 0;
    }
    return n;
}

static void
test_killed_while_speaking(void **state)
{
    struct session_history *h = *state;
    struct session_history_figures figures;

    for (int i = 0; i < 50; i++)
        audio_say(h, 100, 'A');
    session_history_figures(h, &figures);
    assert_int_equal(figures.audio_bytes, 800 * 48);
    history_down(h, "{'type':'input_audio_buffer.speech_started','item_id':"
                    "'item_u1','audio_start_ms':1}");
    for (int i = 0; i < 10; i++)
        audio_say(h, 100, 'B');
    json_t *events = history_close(h);
    history_assert_types(events, "");
    json_decref(events);
    assert_false(session_history_wants_response(h));
    events = history_resume(h);
    assert_int_equal(audio_of(events, 'A'), 800 * 64);
    assert_int_equal(audio_of(events, 'B'), 1000 * 64);
    json_decref(events);
    /* No more than the cap. */
    for (int i = 0; i < 200; i++)
        audio_say(h, 100, 'C');
    session_history_figures(h, &figures);
    assert_int_equal(figures.audio_bytes, 480000);
}

/* The turn was taken and not answered: its audio is the item. */
static void
test_killed_after_commit(void **state)
{
    struct session_history *h = *state;
    struct session_history_figures figures;

    audio_say(h, 100, 'A');
    history_say_user_turn(h, "item_u1", "null");
    audio_say(h, 100, 'B');
    json_t *events = history_close(h);
    history_assert_types(events, "");
    json_decref(events);
    json_t *items = history_items(h);
    history_assert_at(items, "0.id", "item_u1");
    history_assert_at(items, "0.content.0.type", "input_audio");
    assert_int_equal(strlen(history_at(items, "0.content.0.audio")), 6400);
    json_decref(items);
    assert_true(session_history_wants_response(h));
    events = history_resume(h);
    history_assert_types(events, "response.create input_audio_buffer.append");
    assert_int_equal(audio_of(events, 'B'), 6400);
    json_decref(events);
    /* Known by its transcript, the audio goes. */
    history_say_transcript(h, "item_u1", "Good day.");
    session_history_figures(h, &figures);
    assert_int_equal(figures.audio_bytes, 4800);
    items = history_items(h);
    history_assert_at(items, "0.content.0.text", "Good day.");
    json_decref(items);
}

/* The item was announced by input_audio_buffer.committed alone. */
static void
test_killed_before_the_item(void **state)
{
    struct session_history *h = *state;

    audio_say(h, 100, 'A');
    history_down(h, "{'type':'input_audio_buffer.committed','item_id':"
                    "'item_u1','previous_item_id':null}");
    json_t *events = history_close(h);
    history_assert_types(events,
                         "conversation.item.added conversation.item.done");
    history_assert_at(events, "0.item.id", "item_u1");
    history_assert_at(events, "0.item.content.0.type", "input_audio");
    json_decref(events);
    history_assert_order(h, "item_u1");
}

static void
test_by_hand(void **state)
{
    struct session_history *h = *state;
    struct session_history_figures figures;

    history_down(h, "{'type':'session.updated','session':{'type':'realtime',"
                    "'audio':{'input':{'turn_detection':null}}}}");
    for (int i = 0; i < 20; i++)
        audio_say(h, 100, 'A');
    history_up(h, "{'type':'input_audio_buffer.commit'}");
    audio_say(h, 100, 'B');
    history_up(h, "{'type':'response.create'}");
    json_t *events = history_resume(h);
    assert_int_equal(audio_of(events, 'A'), 2000 * 64);
    assert_int_equal(audio_of(events, 'B'), 100 * 64);
    char *types = history_types(events);
    assert_non_null(strstr(types, "append input_audio_buffer.commit "
                                  "response.create input_audio_buffer.append"));
    free(types);
    json_decref(events);
    history_down(h, "{'type':'input_audio_buffer.committed','item_id':"
                    "'item_u1','previous_item_id':null}");
    assert_false(history_down(h, "{'type':'error','error':{'type':'x','code':"
                                 "'y','event_id':'voice_settings'}}"));
    history_up(h, "{'type':'input_audio_buffer.clear'}");
    session_history_figures(h, &figures);
    assert_int_equal(figures.audio_bytes, 2000 * 48);
    history_up(h, "{'type':'input_audio_buffer.commit'}");
    history_down(h, "{'type':'error','error':{'type':'invalid_request_error',"
                    "'code':'input_audio_buffer_commit_empty'}}");
    session_history_figures(h, &figures);
    assert_int_equal(figures.audio_bytes, 0);
}

/* Writers of JSON may escape what base64 is made of. */
static void
test_base64(void **state)
{
    static const char audio[] = "\"\\u002B\\/8=\"";
    static const uint8_t bytes[] = {0xfb, 0xff};
    struct session_microphone m;

    (void) state;
    session_microphone_init(&m);
    session_microphone_set(&m, 8, false); /* bytes come back as they were */
    session_microphone_append(&m,
                              (struct realtime_span){audio, sizeof(audio) - 1});
    assert_int_equal(voice_memo_bytes(&m.open), 2);
    uint8_t *read = voice_memo_read(&m.open);
    assert_memory_equal(read, bytes, 2);
    free(read);
    session_microphone_append(&m, (struct realtime_span){"\"AAA\"", 5});
    session_microphone_append(&m, (struct realtime_span){"\"\"", 2});
    session_microphone_append(&m, (struct realtime_span){"null", 4});
    assert_int_equal(voice_memo_bytes(&m.open), 2);
    char *text = session_microphone_text(&m.open);
    assert_string_equal(text, "+/8=");
    free(text);
    session_microphone_deinit(&m);
}

/* Nothing is kept of a session in which nobody speaks, or has spoken. */
static void
test_no_memory(void **state)
{
    struct session_microphone m;

    (void) state;
    session_microphone_init(&m);
    assert_null(m.open.kept.data);
    session_microphone_append(&m, (struct realtime_span){"\"AAAA\"", 6});
    session_microphone_speech_started(&m);
    session_microphone_committed(&m, "item_1");
    assert_null(m.open.kept.data);
    assert_non_null(session_microphone_of(&m, "item_1"));
    assert_null(session_microphone_of(&m, "item_2"));
    session_microphone_settle(&m, "item_2");
    assert_non_null(session_microphone_of(&m, "item_1"));
    session_microphone_settle(&m, "item_1");
    assert_null(m.held.kept.data);
    session_microphone_deinit(&m);
}

int
main(void)
{
#define TEST(f)                                                                \
    cmocka_unit_test_setup_teardown(f, history_setup, history_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_killed_while_speaking),  TEST(test_killed_after_commit),
        TEST(test_killed_before_the_item), TEST(test_by_hand),
        cmocka_unit_test(test_base64),     cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
