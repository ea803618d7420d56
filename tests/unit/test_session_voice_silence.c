/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_voice_silence.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kit/voice_up_rig.h"
#include "kit/wave.h"

#define FRAME 480u
#define MS(n) ((n) * (size_t) 24)

/* A client's time, packet by packet of 20 ms, and what a model hears of it. */
struct course {
    struct session_voice_silence silence;
    uint64_t now_us;
    uint64_t begun_us;
    uint32_t jitter_us;
    size_t sent, filled, fed, cut;
};

static void
course_begin(struct course *c)
{
    *c = (struct course){.now_us = 77000123, .begun_us = 77000123};
}

/* Time passes, in steps of 1 ms; what is due is fed. Gives that. */
static size_t
course_wait(struct course *c, unsigned ms)
{
    size_t before = c->fed;

    for (unsigned i = 0; i < ms; i++) {
        uint64_t due_us = session_voice_silence_due_us(&c->silence);
        size_t n;

        c->now_us += 1000;
        n = session_voice_silence_take(&c->silence, c->now_us);
        if (due_us == 0 || due_us > c->now_us)
            assert_int_equal(n, 0);
        c->fed += n;
    }
    return c->fed - before;
}

static void
course_packet(struct course *c, size_t rest, size_t lost, bool rests)
{
    struct session_voice_arrival arrival = {.samples = FRAME,
                                            .follows = c->sent > 0,
                                            .rests = rests,
                                            .jitter_us = c->jitter_us};
    struct session_voice_gap gap = {.rest = rest, .lost = lost};

    session_voice_silence_packet(&c->silence, &arrival, &gap, c->now_us);
    c->sent += FRAME;
    c->filled += gap.rest + gap.lost;
    c->cut += gap.cut;
}

/* So many in real time, the last of them at the end of the time. */
static void
course_talk(struct course *c, unsigned packets, bool rests)
{
    for (unsigned i = 0; i < packets; i++) {
        assert_int_equal(course_wait(c, 20), 0);
        course_packet(c, 0, 0, rests && i + 1 == packets);
    }
}

static size_t
course_heard(const struct course *c)
{
    return c->sent + c->filled + c->fed;
}

static void
must_be_near(size_t a, size_t b, size_t by)
{
    assert_in_range(a > b ? a - b : b - a, 0, by);
}

/* Nothing is owed to a model that was sent nothing. */
static void
test_nothing_before(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    assert_int_equal(course_wait(&c, 5000), 0);
    course_talk(&c, 2, true); /* 40 ms: no turn */
    assert_int_equal(course_wait(&c, 5000), 0);
}

/* REST: at once and in real time, two seconds. */
static void
test_rest_is_fed(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, true);
    assert_int_equal(course_wait(&c, 20 + SESSION_SILENCE_STEP_MS - 1), 0);
    must_be_near(course_wait(&c, 1), MS(40), 60);
    for (unsigned i = 0; i < 19; i++) {
        course_wait(&c, 100);
        must_be_near(course_heard(&c), MS(1000 + 40 + 100 * (i + 1)), MS(41));
    }
    course_wait(&c, 20000);
    must_be_near(c.fed, MS(SESSION_SILENCE_LEAST_MS), MS(40));
    assert_int_equal(session_voice_silence_due_us(&c.silence), 0);
}

/* Without it: a while of waiting, which counts. */
static void
test_mute_is_fed(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, false);
    assert_int_equal(course_wait(&c, 20 + SESSION_SILENCE_WAIT_MS - 1), 0);
    must_be_near(course_wait(&c, 1), MS(SESSION_SILENCE_WAIT_MS), 60);
    course_wait(&c, 980 - SESSION_SILENCE_WAIT_MS);
    must_be_near(course_heard(&c), MS(2000), MS(60));
}

/* A network that is uneven is waited for longer, but not for ever. */
static void
test_waits_as_jitter_says(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    c.jitter_us = 50000;
    course_talk(&c, 50, false);
    assert_int_equal(course_wait(&c, 219), 0);
    assert_true(course_wait(&c, 1) > 0);
    course_begin(&c);
    c.jitter_us = 1900000;
    course_talk(&c, 50, false);
    assert_int_equal(course_wait(&c, 20 + SESSION_SILENCE_LATE_MS - 1), 0);
    assert_true(course_wait(&c, 1) > 0);
}

/* As long as the model hears a turn, at most half a minute. */
static void
test_until_the_turn_ends(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, true);
    session_voice_silence_speech(&c.silence, true, c.now_us);
    course_wait(&c, 5000);
    must_be_near(c.fed, MS(5000), MS(41));
    session_voice_silence_speech(&c.silence, false, c.now_us);
    assert_int_equal(course_wait(&c, 5000), 0);

    course_begin(&c);
    session_voice_silence_speech(&c.silence, true, c.now_us);
    course_talk(&c, 50, true);
    course_wait(&c, 1000);
    session_voice_silence_speech(&c.silence, false, c.now_us);
    course_wait(&c, 5000); /* the least all the same */
    must_be_near(c.fed, MS(SESSION_SILENCE_LEAST_MS), MS(41));

    course_begin(&c);
    course_talk(&c, 50, true);
    session_voice_silence_speech(&c.silence, true, c.now_us);
    course_wait(&c, 60000);
    must_be_near(c.fed, MS(SESSION_SILENCE_MOST_MS), MS(41));
    assert_int_equal(course_wait(&c, 60000), 0);
    course_talk(&c, 10, true); /* a new turn, new time */
    assert_true(course_wait(&c, 1000) > 0);
}

/* A model that says late that it hears speech is fed from then on. */
static void
test_late_speech(void **state)
{
    struct course c;
    size_t fed;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, true);
    course_wait(&c, 10000);
    fed = c.fed;
    session_voice_silence_speech(&c.silence, true, c.now_us);
    must_be_near(course_wait(&c, 1000), MS(1000), MS(41));
    session_voice_silence_speech(&c.silence, false, c.now_us);
    assert_int_equal(course_wait(&c, 1000), 0);
    must_be_near(c.fed, fed + MS(1000), MS(41));
}

/* What was fed is not filled in again: the model's time is the client's. */
static void
test_no_time_twice(void **state)
{
    static const unsigned rests[] = {20, 60, 100, 340, 380, 980, 1980};
    struct course c;
    size_t time;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, true);
    for (size_t i = 0; i < 70; i++) {
        unsigned ms = rests[i % 7];

        course_wait(&c, ms + 20);
        course_packet(&c, MS(ms), 0, false);
        time = (c.now_us - c.begun_us) / 1000 * 24;
        must_be_near(course_heard(&c), time, MS(40));
        course_talk(&c, 10, true);
    }
    assert_int_equal(c.cut, 0);
    must_be_near(course_heard(&c), (c.now_us - c.begun_us) / 1000 * 24, MS(40));
}

/* A stall: what was fed meanwhile was too much. The silences that come are
 * shorter for it, once they are long enough to end a turn; what is lost of the
 * voice is made up for all the same. */
static void
test_a_stall_is_made_up(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, false);
    course_wait(&c, 300);
    must_be_near(c.fed, MS(260), MS(21));
    for (unsigned i = 0; i < 15; i++) /* all of it comes at once */
        course_packet(&c, 0, 0, false);
    course_talk(&c, 50, false);
    course_wait(&c, 40);
    course_packet(&c, 0, MS(20), false);
    assert_int_equal(c.filled, MS(20));
    must_be_near(course_heard(&c), c.fed + (c.now_us - c.begun_us) / 1000 * 24,
                 60);
    course_wait(&c, 60);
    course_packet(&c, MS(40), 0, true);
    assert_int_equal(c.filled, MS(20)); /* that much shorter */
    course_wait(&c, 1700);
    must_be_near(course_heard(&c), (c.now_us - c.begun_us) / 1000 * 24, MS(60));
    course_wait(&c, 20);
    course_packet(&c, MS(1700), 0, false);
    must_be_near(course_heard(&c), (c.now_us - c.begun_us) / 1000 * 24, MS(40));
    assert_int_equal(c.cut, 0);
}

/* Those that drop packets in a stall send what is left in one burst: what is
 * missing is filled in, as time has passed. */
static void
test_burst_with_losses(void **state)
{
    struct course c;

    (void) state;
    course_begin(&c);
    session_voice_silence_set_manual(&c.silence, true); /* nothing is fed */
    course_talk(&c, 50, false);
    course_wait(&c, 1000);
    for (unsigned i = 0; i < 10; i++)
        course_packet(&c, 0, 0, false);
    course_packet(&c, 0, MS(600), false);
    for (unsigned i = 0; i < 9; i++)
        course_packet(&c, 0, 0, false);
    assert_int_equal(c.filled, MS(600));
    assert_int_equal(course_heard(&c), MS(2000));
}

/* By hand, and while the model takes nothing. */
static void
test_manual_and_paused(void **state)
{
    struct course c;
    size_t fed;

    (void) state;
    course_begin(&c);
    session_voice_silence_set_manual(&c.silence, true);
    course_talk(&c, 50, true);
    assert_int_equal(course_wait(&c, 1000), 0);
    course_packet(&c, MS(980), 0, true);
    assert_int_equal(c.filled, MS(980));
    session_voice_silence_set_manual(&c.silence, false);
    assert_int_equal(course_wait(&c, 1000), 0); /* of that time: no turn */

    course_begin(&c);
    course_talk(&c, 50, true);
    course_wait(&c, 500);
    fed = c.fed;
    session_voice_silence_pause(&c.silence, true, c.now_us);
    assert_int_equal(course_wait(&c, 700), 0);
    session_voice_silence_pause(&c.silence, false, c.now_us);
    must_be_near(course_wait(&c, 100), MS(100), MS(41));
    course_wait(&c, 20);
    course_packet(&c, MS(1300), 0,
                  false); /* the time of the pause is missing */
    must_be_near(c.filled, MS(700), MS(60));
    assert_true(c.fed > fed);
}

/* A loop that stood still: what is due comes in lumps, all of it in the end,
 * but never more than may be made up at once. */
static void
test_lumps(void **state)
{
    struct course c;
    size_t n, all = 0;

    (void) state;
    course_begin(&c);
    course_talk(&c, 50, true);
    session_voice_silence_speech(&c.silence, true, c.now_us);
    c.now_us += 1800000;
    while ((n = session_voice_silence_take(&c.silence, c.now_us)) > 0) {
        assert_in_range(n, 60, MS(500));
        all += n;
    }
    must_be_near(all, MS(1800), MS(41));
    c.now_us += 20000000;
    for (all = 0; (n = session_voice_silence_take(&c.silence, c.now_us)) > 0;)
        all += n;
    assert_in_range(all, MS(2000), MS(SESSION_SILENCE_FILL_MS));
    c.now_us -= 5000000; /* no clock does this */
    assert_int_equal(session_voice_silence_take(&c.silence, c.now_us), 0);
}

/* Fed and filled in together: never more than the time and the slack. */
static void
test_bound_of_both(void **state)
{
    struct course c;
    uint32_t seed = 3;

    (void) state;
    course_begin(&c);
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 1664525u + 1013904223u;
        course_wait(&c, (seed >> 8) % 8 == 0 ? (seed >> 12) % 200 : 0);
        course_packet(&c, (seed >> 10) % 3 == 0 ? (seed >> 12) % 48000 : 0,
                      (seed >> 9) % 5 == 0 ? (seed >> 14) % 48000 : 0,
                      seed & 0x100);
        if ((seed >> 16) % 50 == 0)
            session_voice_silence_speech(&c.silence, seed & 0x200, c.now_us);
        assert_true(c.filled + c.fed <= (c.now_us - c.begun_us) * 24 / 1000
                                            + MS(SESSION_SILENCE_SLACK_MS));
    }
    assert_true(c.cut > 0 && c.fed > 0 && c.filled > 0);
}

/* --- on a loop */

static uint64_t
fed_of(const struct voice_up_rig *rig)
{
    struct session_voice_up_stats stats;

    session_voice_up_get_stats(rig->up, &stats);
    return stats.fed_samples;
}

static void
talk(struct voice_up_rig *rig, const int16_t *pcm, uint8_t last_flags)
{
    for (unsigned i = 0; i < 10; i++) {
        uint8_t body[OPUS_VOICE_ENCODED_MAX];
        ssize_t n =
            opus_voice_encode(rig->encoder, body, sizeof body, pcm + i * FRAME);

        rig->now_us = clock_now_us();
        voice_up_send(rig, i == 9 ? last_flags : 0, body, (size_t) n, FRAME);
    }
}

enum { RESTING, MUTED, SPEAKING, MANUAL, PAUSED, RIGS };

static void
rigs_turn(struct voice_up_rig *rigs, uint64_t ms)
{
    uint64_t end_ms = clock_now_ms() + ms;

    while (clock_now_ms() < end_ms)
        for (int i = 0; i < RIGS; i++)
            voice_up_turn(&rigs[i], 0);
}

/* Five sessions at once, in real time. */
static void
test_on_a_loop(void **state)
{
    struct voice_up_rig *rigs = calloc(RIGS, sizeof *rigs);
    size_t samples, heard;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    for (int i = 0; i < RIGS; i++) {
        voice_up_begin(&rigs[i], NULL);
        session_voice_up_set_manual(rigs[i].up, i == MANUAL);
        session_voice_up_speech(rigs[i].up, i == SPEAKING);
        talk(&rigs[i], story, i == MUTED ? 0 : VOICE_PACKET_REST);
        session_voice_up_pause(rigs[i].up, i == PAUSED);
    }
    rigs_turn(rigs, 2600);
    for (int i = RESTING; i <= MUTED; i++) {
        must_be_near(fed_of(&rigs[i]), MS(SESSION_SILENCE_LEAST_MS), MS(500));
        assert_int_equal(rigs[i].samples, 10 * FRAME + fed_of(&rigs[i]));
    }
    assert_true(fed_of(&rigs[SPEAKING]) > MS(2100));
    assert_int_equal(fed_of(&rigs[MANUAL]) + fed_of(&rigs[PAUSED]), 0);
    /* what is fed while nothing is known is nothing at all */
    assert_int_equal(rigs[MUTED].heard[rigs[MUTED].samples - 1], 0);
    session_voice_up_speech(rigs[SPEAKING].up, false);
    session_voice_up_pause(rigs[PAUSED].up, false);
    heard = rigs[SPEAKING].samples;
    rigs_turn(rigs, 300);
    assert_int_equal(rigs[SPEAKING].samples, heard);
    assert_in_range(fed_of(&rigs[PAUSED]), MS(100), MS(400));
    for (int i = 0; i < RIGS; i++)
        voice_up_end(&rigs[i]);
    free(story);
    free(rigs);
}

/* Its handler may end it while it is fed. */
static void
test_destroy_while_fed(void **state)
{
    struct voice_up_rig rig;
    size_t samples;
    int16_t *story = wave_load("story.wav", &samples);

    (void) state;
    voice_up_begin(&rig, NULL);
    rig.destroy_at = 12;
    talk(&rig, story, VOICE_PACKET_REST);
    for (unsigned i = 0; i < 100 && rig.up != NULL; i++)
        voice_up_turn(&rig, 20);
    assert_null(rig.up);
    assert_int_equal(rig.appends, 12);
    voice_up_turn(&rig, 100);
    voice_up_end(&rig);
    free(story);
}

#define TEST(name, function)                                                   \
    {                                                                          \
        name, function, NULL, NULL, NULL                                       \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("nothing is fed before a turn", test_nothing_before),
        TEST("R2.3 a rest is fed", test_rest_is_fed),
        TEST("a muted microphone is fed", test_mute_is_fed),
        TEST("jitter is waited for", test_waits_as_jitter_says),
        TEST("until the turn ends", test_until_the_turn_ends),
        TEST("late speech", test_late_speech),
        TEST("R2.3 no time is heard twice", test_no_time_twice),
        TEST("a stall is made up", test_a_stall_is_made_up),
        TEST("a burst with losses", test_burst_with_losses),
        TEST("by hand, and paused", test_manual_and_paused),
        TEST("lumps after a loop that stood still", test_lumps),
        TEST("no more than time passes", test_bound_of_both),
        TEST("on a loop", test_on_a_loop),
        TEST("destroyed while it is fed", test_destroy_while_fed),
    };

    return cmocka_run_group_tests_name("session_voice_silence", tests, NULL,
                                       NULL);
}
