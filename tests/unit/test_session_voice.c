/* SPDX-License-Identifier: BSD-2-Clause */

/* The audio of one client over connections that come and go: a connection
 * here takes packets, or says that it does not. */

#include "session/session_voice.h"

#include "base/clock.h"
#include "codec/base64.h"
#include "codec/voice_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit/policy_text.h"

static struct {
    struct loop *loop;
    const struct policy *policy;
    struct session_voice *voice;
    bool stalled;
    unsigned packets;
    unsigned starts;   /* packets with START */
    unsigned sessions; /* voice.session */
    unsigned appends;
} rig;

static void
on_event(void *arg, const char *json, size_t bytes)
{
    (void) arg;
    (void) json;
    (void) bytes;
    rig.appends++;
}

static void
send_event(void *arg, const char *json, size_t bytes, bool passing)
{
    struct realtime_peek peek;

    (void) arg;
    (void) passing;
    assert_int_equal(realtime_peek(json, bytes, &peek), REALTIME_SOUND);
    if (peek.name.bytes == 13
        && memcmp(peek.name.text, "voice.session", 13) == 0)
        rig.sessions++;
}

static int
send_packet(void *arg, const void *message, size_t bytes)
{
    struct voice_packet packet;

    (void) arg;
    assert_int_equal(voice_packet_read(&packet, message, bytes), 0);
    if (rig.stalled)
        return UV_EAGAIN;
    rig.packets++;
    rig.starts += (packet.flags & VOICE_PACKET_START) != 0;
    return 0;
}

static const struct session_voice_handlers handlers = {on_event, send_event,
                                                       send_packet};

static int
setup(void **state)
{
    struct session_voice_config cfg = {.id = "sess_1",
                                       .resume_grace_ms = 30000};

    (void) state;
    memset(&rig, 0, sizeof(rig));
    rig.policy = policy_of("{\"opus\":{\"bitrate\":24000,\"ptime\":20,"
                           "\"fec\":true,\"dtx\":false,\"complexity\":0}}");
    cfg.policy = rig.policy;
    assert_int_equal(loop_create(&rig.loop, 0), 0);
    cfg.loop = rig.loop;
    assert_int_equal(session_voice_create(&rig.voice, &cfg, &handlers, NULL),
                     0);
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    session_voice_destroy(&rig.voice);
    for (int i = 0; i < 3; i++)
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
    loop_destroy(&rig.loop);
    policy_put(&rig.policy);
    return 0;
}

static void
turn(unsigned ms)
{
    uint64_t end = clock_now_ms() + ms;

    do {
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
        usleep(1000);
    } while (clock_now_ms() < end);
}

#define HEAD                                                                   \
    "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_1\","      \
    "\"response_id\":\"resp_1\",\"item_id\":\"item_1\",\"output_index\":0,"    \
    "\"content_index\":0,\"delta\":\""
#define HEAD_UNNAMED                                                           \
    "{\"type\":\"response.output_audio.delta\",\"event_id\":\"event_1\","      \
    "\"item_id\":\"item_1\",\"output_index\":0,"                               \
    "\"content_index\":0,\"delta\":\""

static void
answer_as(const char *begin, unsigned ms)
{
    size_t bytes = ms * 48u, head = strlen(begin);
    size_t chars = base64_encoded_bytes(bytes);
    uint8_t *pcm = malloc(bytes);
    char *text = malloc(head + chars + 2);

    for (size_t i = 0; i < bytes; i++)
        pcm[i] = (uint8_t) (i * 31);
    memcpy(text, begin, head);
    base64_encode(text + head, pcm, bytes);
    memcpy(text + head + chars, "\"}", 2);
    assert_true(
        session_voice_down_event(rig.voice, text, head + chars + 2, NULL));
    free(text);
    free(pcm);
}

/* So many ms of an answer come at once. */
static void
answer(unsigned ms)
{
    answer_as(HEAD, ms);
}

static void
say(const char *json)
{
    assert_false(session_voice_down_event(rig.voice, json, strlen(json), NULL));
}

static void
attach(const char *token)
{
    session_voice_attached(rig.voice, token);
    session_voice_begin(rig.voice);
}

/* One after the other. */
static void
test_comes_back(void **state)
{
    unsigned packets;

    (void) state;
    attach("token");
    answer(5000);
    turn(100);
    assert_int_equal(rig.sessions, 1);
    assert_int_equal(rig.starts, 1);
    assert_true(rig.packets > 2);
    session_voice_detached(rig.voice);
    packets = rig.packets;
    turn(100);
    assert_int_equal(rig.packets, packets);
    attach("other");
    turn(100);
    assert_int_equal(rig.sessions, 2);
    assert_int_equal(rig.starts, 2);
    assert_true(rig.packets > packets + 2);
}

/* Before the one before is known to be lost, which took nothing more: its last
 * packets may be lost, and it will never say that it takes more. */
static void
test_comes_back_over_a_stall(void **state)
{
    unsigned packets;

    (void) state;
    attach("token");
    answer(5000);
    turn(100);
    rig.stalled = true;
    turn(200);
    packets = rig.packets;
    rig.stalled = false;
    attach("other");
    turn(100);
    assert_true(rig.packets > packets + 2);
    assert_int_equal(rig.starts, 2);
}

/* The same, of one that did not look stalled. */
static void
test_comes_back_early(void **state)
{
    unsigned packets;

    (void) state;
    attach("token");
    answer(5000);
    turn(100);
    packets = rig.packets;
    attach("other");
    turn(50);
    assert_true(rig.packets > packets + 2);
    assert_int_equal(rig.starts, 2);
}

static void
test_closed(void **state)
{
    unsigned packets;

    (void) state;
    attach(NULL);
    answer(5000);
    turn(50);
    session_voice_close(rig.voice);
    session_voice_close(rig.voice);
    packets = rig.packets;
    session_voice_writable(rig.voice);
    session_voice_packet(rig.voice, "\x11\1\0\0\0\0\0\0\x0b\x06", 10);
    attach(NULL);
    turn(100);
    assert_int_equal(rig.packets, packets);
    assert_int_equal(rig.appends, 0);
    assert_int_equal(rig.sessions, 1);
}

/* Interrupted, whatever the model names: the rest of that answer is thrown
 * away, and the next one is heard. */
static void
test_next_answer(void **state)
{
    static const char *const heads[] = {HEAD, HEAD_UNNAMED};
    unsigned packets;

    (void) state;
    attach(NULL);
    for (unsigned i = 0; i < 2; i++) {
        answer_as(heads[i], 5000);
        turn(50);
        say("{\"type\":\"input_audio_buffer.speech_started\"}");
        packets = rig.packets;
        answer_as(heads[i], 500);
        turn(50);
        assert_int_equal(rig.packets, packets);
        say("{\"type\":\"response.done\",\"response\":{\"id\":\"resp_1\"}}");
        answer_as(heads[i], 500);
        turn(50);
        assert_true(rig.packets > packets);
        say("{\"type\":\"response.done\",\"response\":{\"id\":\"resp_1\"}}");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_back_over_a_stall, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_comes_back_early, setup, teardown),
        cmocka_unit_test_setup_teardown(test_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_next_answer, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
