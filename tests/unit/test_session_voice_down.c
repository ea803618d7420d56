/* SPDX-License-Identifier: BSD-2-Clause */

/* The down direction: what leaves when, and as what. */

#include "base/clock.h"
#include "base/loop.h"
#include "codec/voice_packet.h"
#include "kit/voice_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
test_fast(void **state)
{
    size_t at_once;

    (void) state;
    assert_int_equal(voice_world_push("\"r1\"", "\"i1\"", 200), 0);
    at_once =
        voice_world->count; /* what the target lets out, in the same call */
    assert_int_equal(at_once, 7);
    assert_string_equal(voice_world->events[0], "started r1");
    for (int i = 1; i < 50; i++) {
        voice_world_run(40);
        assert_int_equal(voice_world_push("\"r1\"", "\"i1\"", 200), 0);
    }
    voice_world_done("\"r1\"");
    assert_true(
        session_voice_down_is_playing(voice_world->down, voice_world->now));
    voice_world_run(12000);
    assert_int_equal(voice_world->count, 500);
    voice_world_packets_check(0, 20);
    voice_world_pace_check(0, 150);
    /* two at a time, more or less; and nothing is late for the player */
    assert_true(voice_world->runs < 300);
    for (size_t i = 0; i < voice_world->count; i++)
        assert_true(voice_world->packets[i].now_ms <= 1000000 + 20 * i);
    assert_int_equal(voice_world->event_count, 2);
    assert_string_equal(voice_world->events[1], "stopped r1");
    assert_true(voice_world->event_ms[1] >= 1000000 + 10000);
    assert_true(voice_world->event_ms[1] <= 1000000 + 10000 + 170);
    assert_false(
        session_voice_down_is_playing(voice_world->down, voice_world->now));
    voice_world_run(20000);
    assert_true(session_voice_down_due(voice_world->down) == VOICE_WORLD_NEVER);
}

static void
test_real_time(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(voice_world_push("\"r\"", "\"i\"", 20), 0);
        assert_int_equal(voice_world->count, i + 1); /* in the same call */
        assert_true(session_voice_down_due(voice_world->down)
                    == VOICE_WORLD_NEVER);
        voice_world_run(20);
    }
    voice_world_packets_check(0, 20);
    assert_int_equal(voice_world->runs, 0);
}

/* The model is late and early by turns. */
static void
test_jitter(void **state)
{
    (void) state;
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(voice_world_push("\"r\"", "\"i\"", 50), 0);
        voice_world_run(i % 2 ? 90 : 10);
    }
    voice_world_done("\"r\"");
    voice_world_run(1000);
    assert_int_equal(voice_world->count, 750);
    voice_world_packets_check(0, 20);
    voice_world_pace_check(0, 150);
}

static void
test_targets(void **state)
{
    static const unsigned targets[] = {20, 40, 80, 150, 300, 500, 1000};

    (void) state;
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        size_t from = voice_world->count;
        char id[16];

        snprintf(id, sizeof id, "\"r%zu\"", i);
        session_voice_down_set_target(voice_world->down, targets[i],
                                      voice_world->now);
        assert_int_equal(voice_world_push(id, "\"i\"", 3000), 0);
        voice_world_done(id);
        voice_world_run(5000);
        assert_int_equal(voice_world->count - from, 150);
        voice_world_packets_check(from, 20);
        voice_world_pace_check(from, targets[i]);
        for (size_t k = from; k < voice_world->count && targets[i] >= 40; k++)
            assert_true(voice_world->packets[k].now_ms
                        <= voice_world->packets[from].now_ms + 20 * (k - from));
    }
}

static void
test_ten_ms(void **state)
{
    struct session_voice_down_config cfg = voice_world_config();

    cfg.opus.frame_ms = 10;
    voice_world_teardown(state);
    voice_world_make(&cfg);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 500), 0);
    voice_world_run(200);
    voice_world_packets_check(0, 10);
    cfg.opus.frame_ms = 20;
    cfg.opus.bitrate_bps = 16000;
    cfg.opus.fec = false;
    assert_int_equal(session_voice_down_configure(voice_world->down, &cfg.opus),
                     0);
    cfg.opus.frame_ms = 30;
    assert_int_equal(session_voice_down_configure(voice_world->down, &cfg.opus),
                     UV_EINVAL);
    voice_world_done("\"r\"");
    voice_world_run(2000);
    assert_int_equal(voice_world->packets[voice_world->count - 1].ms, 20);
    assert_true(voice_world->packets[voice_world->count - 1].timestamp / 48 + 20
                >= 500);
    for (size_t i = 1; i < voice_world->count; i++)
        assert_int_equal(voice_world->packets[i].timestamp,
                         voice_world->packets[i - 1].timestamp
                             + voice_world->packets[i - 1].ms * 48);
}

/* What does not fill a frame waits, for its end or until nothing is left. */
static void
test_partial(void **state)
{
    struct session_voice_part part = voice_part_of("\"r\"", "\"i\"");
    size_t count;

    (void) state;
    assert_int_equal(voice_world_push_samples(&part, 500), 0);
    assert_int_equal(voice_world->count, 1);
    voice_world_run(10);
    session_voice_down_part_done(voice_world->down, &part, voice_world->now);
    assert_int_equal(voice_world->count, 2);
    part.content_index = 1;
    assert_int_equal(voice_world_push_samples(&part, 100), 0);
    assert_int_equal(voice_world->count, 2);
    voice_world_run(200); /* the model stalls */
    assert_int_equal(voice_world->count, 3);
    voice_world_packets_check(0, 20);
    for (int i = 0; i < 100; i++) { /* 10 ms at a time */
        assert_int_equal(voice_world_push_samples(&part, 240), 0);
        voice_world_run(10);
    }
    count = voice_world->count;
    assert_in_range(count, 3 + 49, 3 + 51);
    voice_world_done("\"r\"");
    voice_world_run(1000);
    voice_world_packets_check(0, 20);
    assert_int_equal(voice_world->event_count, 2);
    /* nothing at all */
    voice_world_done("\"none\"");
    part = voice_part_of("\"r2\"", "\"i2\"");
    assert_int_equal(voice_world_push_samples(&part, 0), 0);
    voice_world_done("\"r2\"");
    voice_world_run(1000);
    assert_int_equal(voice_world->event_count, 2);
}

static int
push_text(const char *text)
{
    struct session_voice_part part = voice_part_of("\"t\"", "\"i\"");

    return session_voice_down_push(voice_world->down, &part, voice_span(text),
                                   voice_world->now);
}

static void
test_texts(void **state)
{
    static const char *const bad[] = {
        "",           "\"",         "AAAA",           "\"AAA\"",   "\"AA=A\"",
        "\"A*AA\"",   "\"\\nAAA\"", "\"\\u00e4AAA\"", "\"\\u00\"", "\"AAA\\",
        "\"AAAA\\\"", "\"AAA \"",   "null",           "12"};
    char text[4 + 2 * 1280];
    size_t at = 0;

    (void) state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(push_text(bad[i]), UV_EINVAL);
    assert_int_equal(voice_world_counts().refused, sizeof bad / sizeof *bad);
    assert_int_equal(voice_world->count, 0);
    assert_int_equal(push_text("\"\""), 0);
    /* 959 bytes and one more: an odd byte waits for its other half */
    text[at++] = '"';
    memset(text + at, '/', 1276);
    at += 1276;
    memcpy(text + at, "//8=\"", 6);
    assert_int_equal(push_text(text), 0);
    assert_int_equal(voice_world->count, 0);
    assert_int_equal(push_text("\"/w==\""), 0);
    assert_int_equal(voice_world->count, 1);
    /* the same with escapes */
    at = 1;
    for (int i = 0; i < 640; i++, at += 3)
        memcpy(text + at, i % 2 ? "\\/B" : "C\\/", 3);
    memcpy(text + at, "\"", 2);
    voice_world_run(20);
    assert_int_equal(push_text(text), 0);
    assert_int_equal(voice_world->count, 2);
    assert_int_equal(push_text("\"\\u002b\\u002Bab\""), 0);
    /* garbage behind a lot that is good leaves nothing */
    {
        size_t chars = 400000;
        char *big = malloc(chars + 3);

        memset(big, 'A', chars + 2);
        big[0] = big[chars + 1] = '"';
        big[chars + 2] = 0;
        big[chars - 6] = '!';
        assert_int_equal(push_text(big), UV_EINVAL);
        big[chars - 6] = 'A';
        big[12800] = '=';
        assert_int_equal(push_text(big), UV_EINVAL);
        free(big);
    }
    voice_world_done("\"t\"");
    voice_world_run(1000);
    assert_int_equal(voice_world->count, 3);
}

/* Silence is not sent, and takes its time. */
static void
test_dtx(void **state)
{
    struct session_voice_down_config cfg = voice_world_config();
    struct voice_track track = {0};
    struct voice_track_news news;
    size_t rests = 0, silent = 0;

    cfg.opus.dtx = true;
    voice_world_teardown(state);
    voice_world_make(&cfg);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 1000), 0);
    voice_world->quiet = true;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 2000), 0);
    voice_world->quiet = false;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 1000), 0);
    voice_world_done("\"r\"");
    voice_world_run(6000);
    assert_true(voice_world->count < 190);
    for (size_t i = 0; i < voice_world->count; i++) {
        struct voice_packet p = {.flags = voice_world->packets[i].flags,
                                 .sequence = voice_world->packets[i].sequence,
                                 .timestamp =
                                     voice_world->packets[i].timestamp};

        voice_track_take(&track, &p, voice_world->packets[i].ms * 48, &news);
        rests += (p.flags & VOICE_PACKET_REST) != 0;
        silent += news.rest_48k;
        assert_int_equal(news.lost_packets, 0);
    }
    assert_int_equal(track.restarts, 0);
    assert_true(rests >= 1);
    assert_int_equal(silent / 960 + voice_world->count, 200);
    voice_world_pace_check(0, 150);
    assert_int_equal(voice_world->event_count, 2);
}

/* Held for a while: what is late waits, and what is very late is gone. */
static void
test_stall(void **state)
{
    struct voice_track track = {0};
    struct voice_track_news news;
    uint64_t lost = 0;
    size_t before;

    (void) state;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 20000), 0);
    voice_world_done("\"r\"");
    voice_world_run(1000);
    before = voice_world->count;
    voice_world->refuse = UV_EAGAIN;
    voice_world_run(1000);
    assert_int_equal(voice_world->count, before);
    voice_world->refuse = 0;
    session_voice_down_resume(voice_world->down, voice_world->now);
    voice_world_run(1000);
    voice_world_packets_check(0, 20);
    assert_int_equal(voice_world_counts().dropped_packets, 0);
    voice_world->refuse = UV_EAGAIN;
    voice_world_run(5000);
    before = voice_world->count;
    voice_world->refuse = 0;
    session_voice_down_resume(voice_world->down, voice_world->now);
    assert_true(voice_world->count > before);
    voice_world_run(20000);
    /* it had been a second late already */
    assert_in_range(voice_world_counts().dropped_packets, 185, 200);
    assert_int_equal(voice_world->count + voice_world_counts().dropped_packets,
                     1000);
    for (size_t i = 0; i < voice_world->count; i++) {
        struct voice_packet p = {.flags = voice_world->packets[i].flags,
                                 .sequence = voice_world->packets[i].sequence,
                                 .timestamp =
                                     voice_world->packets[i].timestamp};

        voice_track_take(&track, &p, 960, &news);
        lost += track.restarts ? 0 : news.lost_packets;
        if (i > 0)
            assert_int_equal(
                (uint16_t) (p.sequence - voice_world->packets[i - 1].sequence)
                    * 960,
                p.timestamp - voice_world->packets[i - 1].timestamp);
    }
    assert_int_equal(voice_world->packets[voice_world->count - 1].timestamp,
                     999 * 960);
    assert_string_equal(voice_world->events[1], "stopped r");
}

/* A model in real time goes on meanwhile: two seconds are kept, no more. */
static void
test_stall_real_time(void **state)
{
    (void) state;
    for (int i = 0; i < 400; i++) {
        if (i == 50)
            voice_world->refuse = UV_EAGAIN;
        if (i == 300) {
            voice_world->refuse = 0;
            session_voice_down_resume(voice_world->down, voice_world->now);
        }
        assert_int_equal(voice_world_push("\"r\"", "\"i\"", 20), 0);
        voice_world_run(20);
    }
    voice_world_done("\"r\"");
    voice_world_run(5000);
    assert_in_range(voice_world_counts().dropped_packets, 140, 152);
    assert_int_equal(voice_world->count + voice_world_counts().dropped_packets,
                     400);
    /* a stall in which nothing is said takes nothing away */
    voice_world->refuse = UV_EAGAIN;
    assert_int_equal(voice_world_push("\"q\"", "\"i\"", 1000), 0);
    voice_world_run(60000);
    assert_int_equal(voice_world_push("\"q\"", "\"i\"", 1000), 0);
    voice_world->refuse = 0;
    session_voice_down_resume(voice_world->down, voice_world->now);
    voice_world_done("\"q\"");
    voice_world_run(5000);
    assert_int_equal(voice_world->count + voice_world_counts().dropped_packets,
                     500);
    assert_in_range(voice_world_counts().dropped_packets, 140, 152);
}

static void
test_pause(void **state)
{
    size_t before;

    (void) state;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 5000), 0);
    voice_world_done("\"r\"");
    voice_world_run(1000);
    before = voice_world->count;
    session_voice_down_pause(voice_world->down, true, voice_world->now);
    voice_world_run(30000);
    assert_int_equal(voice_world->count, before);
    assert_int_equal(voice_world->event_count, 1);
    assert_true(
        session_voice_down_is_playing(voice_world->down, voice_world->now));
    session_voice_down_pause(voice_world->down, true, voice_world->now);
    session_voice_down_pause(voice_world->down, false, voice_world->now);
    assert_int_equal(voice_world->count, before + 7);
    voice_world_run(10000);
    assert_int_equal(voice_world->count, 250);
    voice_world_packets_check(before, 20);
    assert_int_equal(voice_world->packets[before].timestamp, before * 960);
    assert_int_equal(voice_world_counts().dropped_packets, 0);
    assert_int_equal(voice_world->event_count, 2);
}

/* Response after response: a new voice where there was a pause. */
static void
test_responses(void **state)
{
    size_t starts = 0;

    (void) state;
    for (int i = 0; i < 40; i++) {
        char id[16];

        snprintf(id, sizeof id, "\"r%d\"", i);
        assert_int_equal(voice_world_push(id, "\"i\"", 110), 0);
        voice_world_done(id);
        voice_world_run(i < 12 ? 400 : 0);
        if (i == 19)
            break;
    }
    voice_world_run(5000);
    assert_int_equal(voice_world->event_count, 40);
    assert_string_equal(voice_world->events[39], "stopped r19");
    for (size_t i = 0; i < voice_world->count; i++)
        starts += (voice_world->packets[i].flags & VOICE_PACKET_START) != 0;
    assert_in_range(starts, 12, 14);
    assert_int_equal(voice_world->count, 20 * 6);
}

/* Ten minutes at once: as much as may wait, and not a frame more; a turn of
 * the loop is never held by it. */
static void
test_long(void **state)
{
    int err = 0;
    unsigned ms = 0;

    (void) state;
    for (; err == 0 && ms < 700000; ms += 1000) {
        err = voice_world_push("\"r\"", "\"i\"", 1000);
        voice_world_run(30);
    }
    assert_int_equal(err, UV_ENOBUFS);
    assert_true(ms > 480000);
    assert_true(voice_world_counts().dropped_packets > 0);
    voice_world_done("\"r\"");
    voice_world_run(5000);
    session_voice_down_clear(voice_world->down, voice_world->now);
    voice_world_run(20000);
    assert_true(session_voice_down_due(voice_world->down) == VOICE_WORLD_NEVER);
    assert_int_equal(voice_world_push("\"s\"", "\"i\"", 1000), 0);
    voice_world_done("\"s\"");
    voice_world_run(3000);
    /* one delta of half a minute */
    assert_int_equal(voice_world_push("\"t\"", "\"i\"", 30000), 0);
    voice_world_done("\"t\"");
    voice_world->runs = 0;
    voice_world_run(40000);
    assert_string_equal(voice_world->events[voice_world->event_count - 1],
                        "stopped t");
}

/* What comes out of a decoder is what went in, later by the codec's delay. */
static void
test_sound(void **state)
{
    double best = 0;

    (void) state;
    voice_world->decoder_on = true;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 1000), 0);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 990), 0);
    voice_world_done("\"r\"");
    voice_world_run(3000);
    assert_int_equal(voice_world->heard_samples, 48000);
    for (size_t delay = 0; delay < 400; delay++) {
        double match = voice_world_match(delay);

        if (match > best)
            best = match;
    }
    assert_true(best > 0.6); /* the high-pass turns the phases */
}

struct loop_case {
    struct loop_task task, stop;
    struct loop *loop;
    struct session_voice_down *down;
    _Atomic unsigned packets, stopped;
};

static int
on_loop_send(void *arg, const uint8_t *message, size_t bytes)
{
    struct loop_case *c = arg;

    assert_true(loop_is_current(c->loop));
    assert_true(message != NULL && bytes > VOICE_PACKET_HEAD_BYTES);
    c->packets++;
    return 0;
}

static void
on_loop_stopped(void *arg, const char *id)
{
    struct loop_case *c = arg;

    assert_string_equal(id, "r");
    c->stopped++;
}

static void
on_loop_begin(struct loop_task *task, void *arg)
{
    static const struct session_voice_down_handlers on = {
        .send = on_loop_send, .on_stopped = on_loop_stopped};
    struct session_voice_down_config cfg = voice_world_config();
    struct loop_case *c = arg;
    struct voice_world *world = voice_world;

    (void) task;
    cfg.loop = c->loop;
    assert_int_equal(session_voice_down_create(&c->down, &cfg, &on, c), 0);
    session_voice_down_destroy(&world->down);
    world->down = c->down;
    world->now = clock_now_ms();
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 400), 0);
    voice_world_done("\"r\"");
}

static void
on_loop_end(struct loop_task *task, void *arg)
{
    (void) task;
    (void) arg;
    session_voice_down_destroy(&voice_world->down);
}

/* On a real loop the timer does the rest. */
static void
test_loop(void **state)
{
    struct loop_case c = {.task = {.run = on_loop_begin},
                          .stop = {.run = on_loop_end}};

    (void) state;
    c.task.arg = c.stop.arg = &c;
    assert_int_equal(loop_create(&c.loop, 0), 0);
    assert_int_equal(loop_start(c.loop), 0);
    loop_post(c.loop, &c.task);
    for (int i = 0; i < 1000 && c.stopped == 0; i++)
        uv_sleep(10);
    assert_int_equal(c.stopped, 1);
    assert_int_equal(c.packets, 20);
    loop_post(c.loop, &c.stop);
    loop_stop(c.loop);
    loop_destroy(&c.loop);
}

#define T(name, function)                                                      \
    {                                                                          \
        name, function, voice_world_setup, voice_world_teardown, NULL          \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T("R2.4 an answer faster than it is played", test_fast),
        T("R2.4 an answer in real time: no timer", test_real_time),
        T("R2.4 an answer in fits and starts", test_jitter),
        T("R2.4 never more than the target ahead", test_targets),
        T("R2.3 10 ms, and settings in the middle", test_ten_ms),
        T("R2.3 what fills no frame", test_partial),
        T("R2.3 texts", test_texts),
        T("R2.3 DTX", test_dtx),
        T("R2.4 a stall", test_stall),
        T("R2.4 a stall in real time", test_stall_real_time),
        T("R2.4 no connection", test_pause),
        T("R2.4 responses", test_responses),
        T("R2.3 what is heard of it", test_sound),
        T("R2.4 on a loop", test_loop),
        T("R2.4 long answers", test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
