/* SPDX-License-Identifier: BSD-2-Clause */

/* An answer that is interrupted, with the real audio down; the clock is an
 * argument, but for the timer that gives up on a client's report. */

#include "codec/base64.h"
#include "session/session_bargein.h"
#include "session/session_health.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MS_SAMPLES 24u

static struct {
    struct loop *loop;
    struct session_voice_down *down;
    struct session_health health;
    struct session_bargein bargein;
    uint64_t now_ms;
    unsigned packets;
    unsigned cleared;
    unsigned more; /* responses of the same clear */
    char clear_id[64];
    char response[64];
    unsigned truncates;
    uint64_t heard_ms;
    char item[64];
    bool ends; /* the model can't be told: the session is over */
} rig;

static int
on_send(void *arg, const uint8_t *message, size_t bytes)
{
    (void) arg;
    (void) message;
    (void) bytes;
    rig.packets++;
    return 0;
}

static void
on_cleared(void *arg, const char *clear_id, const char *response_id)
{
    (void) arg;
    rig.cleared += clear_id != NULL;
    rig.more += clear_id == NULL;
    if (clear_id)
        snprintf(rig.clear_id, sizeof(rig.clear_id), "%s", clear_id);
    snprintf(rig.response, sizeof(rig.response), "%s", response_id);
}

static void
on_truncate(void *arg, const struct session_voice_cut *cut, uint64_t heard_ms)
{
    (void) arg;
    rig.truncates++;
    rig.heard_ms = heard_ms;
    snprintf(rig.item, sizeof(rig.item), "%s", cut->item_id);
    if (rig.ends)
        session_bargein_deinit(&rig.bargein);
}

static const struct session_voice_down_handlers down_handlers = {.send =
                                                                     on_send};
static const struct session_bargein_handlers handlers = {on_cleared,
                                                         on_truncate};

static int
setup(void **state)
{
    const struct session_voice_down_config cfg = {
        .opus = {.frame_ms = 20, .bitrate_bps = 24000, .complexity = 0},
        .target_ms = 100,
    };

    (void) state;
    memset(&rig, 0, sizeof(rig));
    rig.now_ms = 1000000;
    assert_int_equal(loop_create(&rig.loop, 0), 0);
    assert_int_equal(
        session_voice_down_create(&rig.down, &cfg, &down_handlers, NULL), 0);
    rig.bargein.down = rig.down;
    rig.bargein.health = &rig.health;
    rig.bargein.handlers = &handlers;
    assert_int_equal(session_bargein_init(&rig.bargein, rig.loop), 0);
    return 0;
}

static void
turn(unsigned times)
{
    while (times-- > 0)
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
}

static int
teardown(void **state)
{
    (void) state;
    session_bargein_deinit(&rig.bargein);
    session_voice_down_destroy(&rig.down);
    turn(3);
    loop_destroy(&rig.loop);
    return 0;
}

/* --- what happens */

static struct realtime_span
span(const char *text)
{
    return (struct realtime_span){text, strlen(text)};
}

/* So many ms of an answer come at once. */
static void
answer(const char *response, const char *item, unsigned ms)
{
    const struct session_voice_part part = {.response_id = span(response),
                                            .item_id = span(item)};
    size_t samples = ms * MS_SAMPLES;
    size_t chars = base64_encoded_bytes(samples * 2);
    int16_t *pcm = malloc(samples * 2);
    char *text = malloc(chars + 2);

    for (size_t i = 0; i < samples; i++)
        pcm[i] = (int16_t) ((i * 7919) % 16384 - 8192);
    text[0] = text[chars + 1] = '"';
    base64_encode(text + 1, pcm, samples * 2);
    assert_int_equal(session_voice_down_push(
                         rig.down, &part,
                         (struct realtime_span){text, chars + 2}, rig.now_ms),
                     0);
    free(text);
    free(pcm);
}

/* Time passes for the audio. */
static void
pass(unsigned ms)
{
    while (ms-- > 0) {
        rig.now_ms++;
        if (session_voice_down_due(rig.down) <= rig.now_ms)
            session_voice_down_run(rig.down, rig.now_ms);
    }
}

static void
reply(uint64_t place_ms, const char *to)
{
    session_voice_down_played(rig.down, place_ms, rig.now_ms);
    session_bargein_report(&rig.bargein, place_ms, to, rig.now_ms);
}

static void
report(uint64_t place_ms)
{
    reply(place_ms, "");
}

static void
speech(bool sure)
{
    session_bargein_speech(&rig.bargein, sure, rig.now_ms);
}

/* The timer has its time. */
static void
wait_real_ms(unsigned ms)
{
    turn(1);
    usleep(ms * 1000);
    turn(2);
}

/* --- tests */

static void
test_nothing_to_interrupt(void **state)
{
    (void) state;
    speech(true);
    wait_real_ms(1);
    assert_int_equal(rig.cleared, 0);
    assert_int_equal(rig.truncates, 0);
    session_bargein_clear(&rig.bargein, rig.now_ms);
    assert_int_equal(rig.cleared, 1); /* who asked is told */
    assert_string_equal(rig.response, "");
    wait_real_ms(1);
    assert_int_equal(rig.truncates, 0);
}

static void
test_by_the_clock(void **state)
{
    (void) state;
    rig.bargein.reports = false;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(500);
    unsigned packets = rig.packets;
    speech(true);
    assert_int_equal(rig.cleared, 1);
    assert_string_equal(rig.response, "resp_1");
    assert_int_equal(rig.truncates, 0); /* never inside the model's event */
    pass(200);
    assert_int_equal(rig.packets, packets);
    wait_real_ms(2);
    assert_int_equal(rig.truncates, 1);
    assert_string_equal(rig.item, "item_1");
    assert_in_range(rig.heard_ms, 460, 540);
    assert_int_equal(rig.bargein.count, 1);
}

static void
test_by_report(void **state)
{
    (void) state;
    rig.health.rtt_ms = 80;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(400);
    report(310);
    speech(true);
    wait_real_ms(2);
    assert_int_equal(rig.truncates, 0);
    pass(30);
    report(337); /* it was on its way already */
    assert_int_equal(rig.truncates, 0);
    pass(55);
    report(377);
    assert_int_equal(rig.truncates, 1);
    assert_in_range(rig.heard_ms, 368, 377); /* less the codec's delay */
    report(377);
    assert_int_equal(rig.truncates, 1);
}

/* It says which clear it answers: no clock is needed. */
static void
test_by_reply(void **state)
{
    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(400);
    speech(true);
    assert_string_equal(rig.clear_id, rig.bargein.clear_id);
    reply(330, "event_another");
    pass(20);
    report(330);
    assert_int_equal(rig.truncates, 0);
    reply(360, rig.clear_id);
    assert_int_equal(rig.truncates, 1);
    assert_in_range(rig.heard_ms, 350, 360);
}

/* It is asked, and does not say; then it is not asked again. */
static void
test_report_that_never_comes(void **state)
{
    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(400);
    speech(true);
    wait_real_ms(SESSION_BARGEIN_MIN_MS / 2);
    assert_int_equal(rig.truncates, 0);
    wait_real_ms(SESSION_BARGEIN_MIN_MS);
    assert_int_equal(rig.truncates, 1);
    assert_in_range(rig.heard_ms, 350, 440);
    answer("\"resp_2\"", "\"item_2\"", 3000);
    pass(200);
    speech(true);
    wait_real_ms(2);
    assert_int_equal(rig.truncates, 2);
}

static void
test_short_speech_is_none(void **state)
{
    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(200);
    speech(false);
    assert_int_equal(rig.cleared, 0);
    session_bargein_stopped(&rig.bargein);
    session_bargein_sure(&rig.bargein, rig.now_ms);
    assert_int_equal(rig.cleared, 0);
    speech(false);
    pass(60);
    session_bargein_sure(&rig.bargein, rig.now_ms);
    assert_int_equal(rig.cleared, 1);
    session_bargein_sure(&rig.bargein, rig.now_ms);
    assert_int_equal(rig.cleared, 1);
}

static void
test_not_to_be_interrupted(void **state)
{
    (void) state;
    rig.bargein.interrupts = false;
    answer("\"resp_1\"", "\"item_1\"", 3000);
    pass(200);
    speech(true);
    assert_int_equal(rig.cleared, 0);
    session_bargein_clear(&rig.bargein, rig.now_ms); /* but by the client */
    assert_int_equal(rig.cleared, 1);
}

static void
test_nothing_was_heard(void **state)
{
    (void) state;
    rig.health.rtt_ms = 100;
    answer("\"resp_1\"", "\"item_1\"", 1000);
    rig.bargein.reports = true;
    speech(true);
    pass(100);
    report(0);
    assert_int_equal(rig.truncates, 1);
    assert_int_equal(rig.heard_ms, 1); /* models refuse 0 */
}

static void
test_all_was_heard(void **state)
{
    const struct session_voice_part part = {.response_id = span("\"resp_1\""),
                                            .item_id = span("\"item_1\"")};

    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 500);
    session_voice_down_part_done(rig.down, &part, rig.now_ms);
    session_voice_down_response_done(rig.down, part.response_id, rig.now_ms);
    pass(495);
    report(490);
    speech(true);
    pass(1);
    report(500);
    wait_real_ms(2);
    assert_int_equal(rig.truncates, 0);
}

static void
test_the_client_does_it(void **state)
{
    (void) state;
    rig.bargein.reports = true;
    answer("\"resp_1\"", "\"item_1\"", 1000);
    answer("\"resp_1\"", "\"item_2\"", 1000);
    pass(300);
    session_bargein_clear(&rig.bargein, rig.now_ms);
    session_bargein_truncated(&rig.bargein, span("\"item_1\""));
    report(290);
    assert_int_equal(rig.truncates, 1);
    assert_string_equal(rig.item, "item_2");
    assert_int_equal(rig.heard_ms, 1);
}

/* The client has begun to hear the second of three. */
static void
test_two_responses(void **state)
{
    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 200);
    answer("\"resp_1\"", "\"item_2\"", 100);
    answer("\"resp_2\"", "\"item_3\"", 1000);
    answer("\"resp_3\"", "\"item_4\"", 1000);
    pass(240); /* to the end of the first, as it is ahead by 100 ms */
    speech(true);
    assert_int_equal(rig.cleared, 1);
    assert_int_equal(rig.more, 1);
    assert_string_equal(rig.response, "resp_2");
}

static void
test_twice(void **state)
{
    (void) state;
    rig.bargein.reports = true;
    answer("\"resp_1\"", "\"item_1\"", 1000);
    pass(300);
    speech(true);
    answer("\"resp_2\"", "\"item_2\"", 1000);
    pass(40);
    assert_int_equal(rig.truncates, 0);
    speech(true); /* before the first one's report */
    assert_int_equal(rig.cleared, 2);
    assert_string_equal(rig.response, "resp_2");
    assert_int_equal(rig.truncates, 1);
    assert_string_equal(rig.item, "item_1");
    wait_real_ms(SESSION_BARGEIN_MIN_MS + 20);
    assert_int_equal(rig.truncates, 2);
    assert_string_equal(rig.item, "item_2");
}

static void
test_the_end(void **state)
{
    (void) state;
    answer("\"resp_1\"", "\"item_1\"", 1000);
    pass(300);
    speech(true);
    session_bargein_deinit(&rig.bargein);
    wait_real_ms(2);
    speech(true);
    session_bargein_clear(&rig.bargein, rig.now_ms);
    report(100);
    assert_int_equal(rig.truncates, 0);
    assert_int_equal(rig.cleared, 1);
}

/* The session ends with what the model is told of the interruption before. */
static void
test_the_end_inside(void **state)
{
    (void) state;
    rig.ends = true;
    for (unsigned i = 1; i <= 2; i++) {
        char response[16], item[16];

        snprintf(response, sizeof(response), "\"resp_%u\"", i);
        snprintf(item, sizeof(item), "\"item_%u\"", i);
        answer(response, item, 1000);
        pass(300);
        speech(true);
    }
    assert_int_equal(rig.truncates, 1);
    assert_int_equal(rig.cleared, 1);
    wait_real_ms(2);
    assert_int_equal(rig.truncates, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_to_interrupt),
        TEST(test_by_the_clock),
        TEST(test_by_report),
        TEST(test_by_reply),
        TEST(test_report_that_never_comes),
        TEST(test_short_speech_is_none),
        TEST(test_not_to_be_interrupted),
        TEST(test_nothing_was_heard),
        TEST(test_all_was_heard),
        TEST(test_the_client_does_it),
        TEST(test_two_responses),
        TEST(test_twice),
        TEST(test_the_end),
        TEST(test_the_end_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
