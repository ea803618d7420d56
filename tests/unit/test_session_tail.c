/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tail.h"

#include "gate/stream_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static struct session_tail tail;
static char heard[65536];
static uint64_t now_ms;

static void
on_message(void *arg, const struct session_tail_message *message)
{
    (void) arg;
    size_t used = strlen(heard);
    const char *at = strstr(message->data, "\"event_id\":\"");

    snprintf(heard + used, sizeof(heard) - used, "%.*s ",
             (int) strcspn(at + 12, "\""), at + 12);
}

static void
push(const char *type, const char *id, size_t filling)
{
    char *text = calloc(1, filling + 256);
    int n = snprintf(text, 256,
                     "{\"type\":\"%s\",\"event_id\":\"%s\","
                     "\"delta\":\"",
                     type, id);

    memset(text + n, 'A', filling);
    memcpy(text + n + filling, "\"}", 3);
    const struct session_tail_message message = {
        .opcode = STREAM_TEXT,
        .passing = strncmp(type, "voice.", 6) == 0,
        .data = text,
        .bytes = (size_t) n + filling + 2,
        .at_ms = now_ms,
    };
    assert_int_equal(session_tail_push(&tail, &message), 0);
    free(text);
}

static const char *
replay(const char *after)
{
    uint64_t from;

    heard[0] = 0;
    if (session_tail_find(&tail, after, &from))
        return "gap";
    session_tail_replay(&tail, from, on_message, NULL);
    return heard;
}

static int
setup(void **state)
{
    (void) state;
    session_tail_init(&tail, 1000);
    now_ms = 5000;
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    session_tail_deinit(&tail);
    return 0;
}

static void
test_order(void **state)
{
    (void) state;
    push("response.created", "a", 1);
    push("response.output_audio.delta", "b", 1);
    push("response.output_item.added", "c", 1);
    push("response.output_audio.delta", "d", 1);
    push("response.done", "e", 1);
    assert_string_equal(replay("a"), "b c d e ");
    assert_string_equal(replay("b"), "c d e ");
    assert_string_equal(replay("d"), "e ");
    assert_string_equal(replay("e"), "");
    assert_string_equal(replay("f"), "gap");
}

static void
test_mark(void **state)
{
    (void) state;
    assert_string_equal(replay(""), "");
    push("response.created", "a", 1);
    session_tail_set_mark(&tail);
    assert_string_equal(replay(""), "");
    push("response.output_audio.delta", "b", 1);
    push("response.done", "c", 1);
    assert_string_equal(replay(""), "b c ");
}

/* Only what is too old goes, and it is a gap for events alone. */
static void
test_audio_cap(void **state)
{
    char id[16];

    (void) state;
    push("response.created", "first", 1);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "d%d", i);
        push("response.output_audio.delta", id, 60000);
    }
    assert_string_equal(replay("first"), "d5 d6 d7 d8 d9 ");
    assert_string_equal(replay("d0"), "gap"); /* whoever says so is not here */
    assert_true(tail.audio.bytes <= SESSION_TAIL_AUDIO_BYTES);
}

static void
test_event_cap(void **state)
{
    char id[16];

    (void) state;
    push("response.created", "first", 1);
    session_tail_set_mark(&tail);
    for (int i = 0; i < 10; i++) {
        snprintf(id, sizeof(id), "e%d", i);
        push("response.done", id, 60000);
    }
    assert_string_equal(replay("first"), "gap");
    assert_string_equal(replay(""), "gap");
    assert_string_equal(replay("e5"), "gap");
    assert_string_equal(replay("e6"), "e7 e8 e9 ");
    assert_true(tail.events.bytes <= SESSION_TAIL_EVENT_BYTES);
}

static void
test_old_ones_go(void **state)
{
    (void) state;
    push("response.created", "a", 100);
    push("response.output_audio.delta", "b", 100);
    push("response.done", "c", 100);
    now_ms += 500;
    push("response.created", "d", 100);
    now_ms += 800;
    push("response.output_audio.delta", "e", 100);
    push("response.done", "f", 100);
    assert_string_equal(replay("a"), "gap");
    assert_string_equal(replay("c"), "d e f "); /* may have been seen last */
    now_ms += 100000;
    assert_string_equal(replay("f"), "");
    push("session.updated", "g", 100);
    assert_string_equal(replay("d"), "gap");
    assert_string_equal(replay("f"), "g ");
    push("response.output_audio.delta", "h", SESSION_TAIL_AUDIO_BYTES);
    push("response.done", "i", SESSION_TAIL_EVENT_BYTES);
    assert_string_equal(replay("g"), "gap"); /* larger than all there is */
}

/* It is not told again, but a client may have seen it last. */
static void
test_passing(void **state)
{
    char id[16];

    (void) state;
    push("response.created", "a", 1);
    push("voice.quality", "b", 1);
    push("response.done", "c", 1);
    assert_string_equal(replay("a"), "c ");
    assert_string_equal(replay("b"), "c ");
    for (int i = 0; i < 400; i++) {
        snprintf(id, sizeof(id), "q%d", i);
        push("voice.quality", id, 1000);
    }
    assert_string_equal(replay("a"), "c "); /* its loss is no gap */
    assert_string_equal(replay("q0"), "gap");
    assert_string_equal(replay("q399"), "");
}

static void
test_binary_is_audio(void **state)
{
    static const char packet[] = "\x01\x02 \"event_id\":\"opus\"";
    const struct session_tail_message message = {
        .opcode = STREAM_BINARY, .data = packet, .bytes = sizeof(packet)};

    (void) state;
    push("response.created", "a", 1);
    assert_int_equal(session_tail_push(&tail, &message), 0);
    assert_int_equal(tail.audio.bytes, sizeof(packet));
    assert_string_equal(replay("a"), "opus ");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_order),           TEST(test_mark),    TEST(test_audio_cap),
        TEST(test_event_cap),       TEST(test_passing), TEST(test_old_ones_go),
        TEST(test_binary_is_audio),
    };

    return cmocka_run_group_tests_name("session_tail", tests, NULL, NULL);
}
