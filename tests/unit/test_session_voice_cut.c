/* SPDX-License-Identifier: BSD-2-Clause */

/* The down direction: what was heard, interruptions, lies, many parts. */

#include "codec/voice_packet.h"
#include "kit/voice_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Interrupted at any moment, over any way, with and without reports: the item
 * is cut where the player was, within 40 ms; and exactly there by its word.
 */
static void
clear_case(unsigned way, bool reports, unsigned random)
{
    struct session_voice_cut cut;
    uint64_t truth, last = voice_world->now, first;
    size_t from = voice_world->count;
    char id[16];
    const unsigned length = 300 + random % 3000;

    voice_world->way_ms = way;
    voice_world->event_count = 0;
    snprintf(id, sizeof id, "\"r%u\"", random % 100000);
    session_voice_down_rtt(voice_world->down, reports ? 2 * way : 0);
    assert_int_equal(voice_world_push(id, "\"i\"", length / 2), 0);
    first = voice_world->packets[from].timestamp / 48;
    assert_true(voice_world->packets[from].flags & VOICE_PACKET_START);
    voice_world_run(37);
    assert_int_equal(voice_world_push(id, "\"i\"", length - length / 2), 0);
    for (unsigned left = random / 7 % (length + 200); left > 0; left--) {
        voice_world_run(1);
        if (reports && voice_world->now - last >= 1000) {
            uint64_t place = voice_world_report(way);

            last = voice_world->now;
            session_voice_down_played(voice_world->down, place,
                                      voice_world->now);
        }
    }
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 1);
    voice_world->cleared_ms = voice_world->now + way + 1;
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_string_equal(cut.item_id, "i");
    assert_int_equal(cut.total_ms, length);
    assert_false(cut.whole);
    assert_true(cut.heard_ms <= cut.sent_ms && cut.sent_ms <= cut.total_ms);
    from = voice_world->count;
    assert_int_equal(voice_world_push(id, "\"i\"", 100), UV_ECANCELED);
    voice_world_run(way + 2);
    assert_int_equal(voice_world->count, from); /* nothing of it any more */
    truth = voice_world->place > first ? voice_world->place - first : 0;
    if (truth > length)
        truth = length;
    assert_true(cut.heard_ms <= truth + 40);
    assert_true(truth <= cut.heard_ms + 40);
    assert_int_equal(
        session_voice_down_heard(voice_world->down, voice_world->place), 0);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_true(cut.heard_ms <= truth && truth <= cut.heard_ms + 8);
    assert_false(session_voice_down_cut(voice_world->down, 1, &cut));
    voice_world_done(id);
    voice_world_run(random % 700);
}

static void
test_clear(void **state)
{
    static const unsigned ways[] = {0, 5, 20, 60, 150};
    unsigned random = 12345;

    (void) state;
    for (int i = 0; i < 200; i++) {
        random = random * 1103515245 + 12345;
        clear_case(ways[i % 5], i % 3 != 0, random >> 8);
    }
}

/* What a player says can not be more than it was sent, nor faster. */
static void
test_lies(void **state)
{
    struct session_voice_cut cut;

    (void) state;
    session_voice_down_rtt(voice_world->down, 50);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 10000), 0);
    for (int i = 0; i < 50; i++) {
        voice_world_run(100);
        session_voice_down_played(
            voice_world->down,
            voice_world->packets[voice_world->count - 1].timestamp / 48 + 20,
            voice_world->now);
        session_voice_down_played(voice_world->down, UINT64_MAX,
                                  voice_world->now);
        session_voice_down_played(voice_world->down, 1u << 31,
                                  voice_world->now);
    }
    assert_true(voice_world->packets[voice_world->count - 1].timestamp / 48
                <= 5000 + 170);
    session_voice_down_clear(voice_world->down, voice_world->now);
    assert_int_equal(session_voice_down_heard(voice_world->down, UINT64_MAX),
                     UV_EINVAL);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_true(cut.heard_ms <= cut.sent_ms && cut.heard_ms <= 5020);
    /* one that has heard nothing, ever: it is not sent more either */
    assert_int_equal(voice_world_push("\"r2\"", "\"i2\"", 10000), 0);
    for (int i = 0; i < 80; i++) {
        voice_world_run(100);
        session_voice_down_played(voice_world->down, cut.sent_ms,
                                  voice_world->now);
        session_voice_down_played(voice_world->down, 0, voice_world->now);
    }
    assert_true(voice_world->packets[voice_world->count - 1].timestamp / 48
                <= cut.sent_ms + 2500);
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 1);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_true(cut.heard_ms <= 60);
}

/* A player that stood still is not sent on and on; one late report is not
 * taken for that. */
static void
test_behind(void **state)
{
    uint64_t most = 0;

    (void) state;
    voice_world->way_ms = 20;
    session_voice_down_rtt(voice_world->down, 40);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 30000), 0);
    for (int i = 0; i < 25; i++) {
        if (i == 5) { /* a second old */
            uint64_t place = voice_world_report(1000);

            session_voice_down_played(voice_world->down, place,
                                      voice_world->now);
            voice_world_run(1000);
            assert_true(voice_world->end > voice_world->place + 60);
        }
        voice_world->frozen = i == 10 || i == 11;
        voice_world_run(960);
        {
            uint64_t place = voice_world_report(20);

            session_voice_down_played(voice_world->down, place,
                                      voice_world->now);
        }
        if (i > 16 && voice_world->end - voice_world->place > most)
            most = voice_world->end - voice_world->place;
    }
    assert_true(most <= 220);
}

/* What is sent piles up somewhere on the way, for a long time: the player's
 * word tells, and what is late by then is not sent at all. */
static void
test_way_stalls(void **state)
{
    struct session_voice_cut cut;
    size_t before;

    (void) state;
    session_voice_down_rtt(voice_world->down, 40);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 20000), 0);
    for (int i = 0; i < 15; i++) {
        voice_world->frozen = i >= 3 && i < 11;
        voice_world_run(1000);
        if (i == 10)
            before = voice_world->count;
        session_voice_down_played(voice_world->down, voice_world->place,
                                  voice_world->now);
        if (i == 10) /* no more than two reports' worth on its way */
            assert_true(voice_world->end < voice_world->place + 2400);
    }
    assert_true(voice_world->count > before);
    assert_in_range(voice_world_counts().dropped_packets, 250, 350);
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 1);
    assert_int_equal(
        session_voice_down_heard(voice_world->down, voice_world->place), 0);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_in_range(cut.heard_ms, voice_world->place - 8, voice_world->place);
}

/* A player that plays silence where packets were dropped is as late after it
 * as before: nothing is dropped again for that. */
static void
test_fills(void **state)
{
    uint64_t dropped = 0;

    (void) state;
    voice_world->fills = true;
    session_voice_down_rtt(voice_world->down, 40);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 40000), 0);
    for (int i = 0; i < 30; i++) {
        voice_world->frozen = i >= 3 && i < 8;
        voice_world_run(1000);
        session_voice_down_played(voice_world->down, voice_world->place,
                                  voice_world->now);
        if (i == 9)
            dropped = voice_world_counts().dropped_packets;
    }
    assert_in_range(dropped, 100, 200);
    assert_int_equal(voice_world_counts().dropped_packets, dropped);
    assert_true(voice_world->end > voice_world->place);
}

/* In a silence that is not sent a player's place runs on beyond all that it
 * was sent, and so do its reports. */
static void
test_rest(void **state)
{
    struct session_voice_down_config cfg = voice_world_config();
    struct session_voice_cut cut;

    cfg.opus.dtx = true;
    voice_world_teardown(state);
    voice_world_make(&cfg);
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 500), 0);
    voice_world->quiet = true;
    assert_int_equal(voice_world_push("\"r\"", "\"i\"", 500), 0);
    voice_world_run(2000);
    session_voice_down_played(voice_world->down, 1900, voice_world->now);
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 1);
    assert_int_equal(session_voice_down_heard(voice_world->down, 2000), 0);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_in_range(cut.heard_ms, 990, 1000);
    assert_false(cut.whole); /* more might have come */
}

static void
test_items(void **state)
{
    struct session_voice_part b = voice_part_of("\"r\"", "\"b\"");
    struct session_voice_cut cut;

    (void) state;
    assert_int_equal(voice_world_push("\"r\"", "\"a\"", 400), 0);
    assert_int_equal(voice_world_push("\"r\"", "\"b\"", 600), 0);
    session_voice_down_part_done(voice_world->down, &b, voice_world->now);
    b.content_index = 1;
    assert_int_equal(voice_world_push_samples(&b, 24 * 500), 0);
    assert_int_equal(voice_world_push("\"q\"", "\"c\"", 500), 0);
    voice_world_run(700);
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 4);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_string_equal(cut.item_id, "a");
    assert_int_equal(cut.total_ms, 400);
    assert_int_equal(cut.heard_ms, 400);
    assert_true(session_voice_down_cut(voice_world->down, 1, &cut));
    assert_string_equal(cut.item_id, "b");
    assert_int_equal(cut.total_ms, 600);
    assert_in_range(cut.heard_ms, 285, 300);
    assert_in_range(cut.sent_ms, 400, 460);
    assert_true(session_voice_down_cut(voice_world->down, 2, &cut));
    assert_int_equal(cut.content_index, 1);
    assert_int_equal(cut.sent_ms, 0);
    assert_int_equal(cut.heard_ms, 0);
    assert_true(session_voice_down_cut(voice_world->down, 3, &cut));
    assert_string_equal(cut.response_id, "q");
    /* both responses are thrown away, until done */
    assert_int_equal(voice_world_push("\"r\"", "\"b\"", 20), UV_ECANCELED);
    assert_int_equal(voice_world_push("\"q\"", "\"c\"", 20), UV_ECANCELED);
    assert_false(
        session_voice_down_is_playing(voice_world->down, voice_world->now));
    voice_world_done("\"r\"");
    session_voice_down_discard(voice_world->down, voice_span("\"q\""), false);
    assert_int_equal(voice_world_push("\"q\"", "\"c\"", 20), 0);
    session_voice_down_discard(voice_world->down, voice_span("\"x\""), true);
    assert_int_equal(voice_world_push("\"x\"", "\"c\"", 20), UV_ECANCELED);
    /* one that has stopped is not cut any more, the next one is */
    voice_world_done("\"q\"");
    voice_world_run(300);
    assert_string_equal(voice_world->events[voice_world->event_count - 1],
                        "stopped q");
    assert_int_equal(voice_world_push("\"s\"", "\"d\"", 500), 0);
    voice_world_run(100);
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 1);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_string_equal(cut.response_id, "s");
    /* nothing at all */
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 0);
    assert_false(session_voice_down_cut(voice_world->down, 0, &cut));
}

static void
test_ids(void **state)
{
    struct session_voice_cut cut;
    char a[300], b[300];

    (void) state;
    memset(a, 'a', sizeof a);
    a[0] = a[298] = '"';
    a[299] = 0;
    memcpy(b, a, sizeof b);
    b[200] = 'b';
    assert_int_equal(voice_world_push(a, b, 100), 0);
    voice_world_done(a);
    assert_int_equal(voice_world_push(b, a, 100), 0);
    assert_int_equal(voice_world_push(b, b, 100), 0);
    voice_world_run(200);
    assert_string_equal(voice_world->events[0], "started ");
    assert_int_equal(
        session_voice_down_clear(voice_world->down, voice_world->now), 3);
    assert_true(session_voice_down_cut(voice_world->down, 0, &cut));
    assert_string_equal(cut.item_id, "");
    assert_int_equal(voice_world_push(b, a, 100), UV_ECANCELED);
    assert_int_equal(voice_world_push(a, b, 100), 0);
    assert_int_equal(voice_world_push("null", "null", 100), 0);
    {
        struct session_voice_part none = {0};

        assert_int_equal(voice_world_push_samples(&none, 480), 0);
    }
}

/* More parts, and more stretches, than are kept. */
static void
test_many(void **state)
{
    struct session_voice_part part;
    char ids[2][16];
    size_t taken = 0;

    (void) state;
    for (int i = 0; i < 200; i++) {
        snprintf(ids[0], sizeof ids[0], "\"i%d\"", i);
        taken += voice_world_push("\"r\"", ids[0], 20) == 0;
    }
    assert_in_range(taken, 64, 80);
    voice_world_run(3000);
    session_voice_down_clear(voice_world->down, voice_world->now);
    taken = 0;
    for (int i = 0; i < 2000; i++) {
        part = voice_part_of("\"s\"", i % 2 ? "\"a\"" : "\"b\"");
        taken += voice_world_push_samples(&part, 24) == 0;
    }
    assert_in_range(taken, 512, 530);
    taken = 0;
    for (int i = 0; i < 20; i++) {
        snprintf(ids[1], sizeof ids[1], "\"r%d\"", i);
        taken += voice_world_push(ids[1], "\"z\"", 20) == 0;
    }
    assert_true(taken < 8);
    voice_world_run(30000);
    voice_world_done("\"s\"");
    voice_world_run(30000);
    assert_int_equal(voice_world_push("\"s\"", "\"a\"", 20), 0);
}

/* A session's day: random calls, and all invariants of the packets. */
static void
test_random(void **state)
{
    unsigned random = 99;
    uint32_t next = 0;

    (void) state;
    for (int i = 0; i < 20000; i++) {
        struct session_voice_cut cut;
        char id[16];

        random = random * 1103515245 + 12345;
        snprintf(id, sizeof id, "\"r%d\"", i / 40);
        switch (random >> 16 & 15) {
        case 0:
            session_voice_down_pause(voice_world->down, random >> 20 & 1,
                                     voice_world->now);
            break;
        case 1:
            voice_world->refuse = random >> 20 & 1 ? UV_EAGAIN : 0;
            if (!voice_world->refuse)
                session_voice_down_resume(voice_world->down, voice_world->now);
            break;
        case 2:
            voice_world_done(id);
            break;
        case 3:
            session_voice_down_played(voice_world->down, random >> 12,
                                      voice_world->now);
            break;
        case 4:
            session_voice_down_set_target(
                voice_world->down, random >> 20 & 1023, voice_world->now);
            break;
        case 5:
            if (random >> 24 & 1)
                session_voice_down_clear(voice_world->down, voice_world->now);
            for (size_t k = 0;
                 session_voice_down_cut(voice_world->down, k, &cut); k++)
                assert_true(cut.heard_ms <= cut.sent_ms
                            && cut.sent_ms <= cut.total_ms);
            break;
        case 6:
            session_voice_down_heard(voice_world->down, random >> 14);
            break;
        default:
            voice_world_push(id, random >> 20 & 1 ? "\"a\"" : "\"b\"",
                             random >> 22 & 255);
        }
        voice_world_run(random >> 18 & 127);
        voice_world->event_count = 0;
    }
    assert_true(voice_world->count > 1000);
    for (size_t i = 0; i < voice_world->count; i++) {
        assert_true(voice_world->packets[i].timestamp >= next);
        next =
            voice_world->packets[i].timestamp + voice_world->packets[i].ms * 48;
    }
}

#define T(name, function)                                                      \
    {                                                                          \
        name, function, voice_world_setup, voice_world_teardown, NULL          \
    }

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T("R2.4 interrupted", test_clear),
        T("R2.4 lies", test_lies),
        T("R2.4 a player behind", test_behind),
        T("R2.4 a stall that only the player sees", test_way_stalls),
        T("R2.4 a stall, and a player that fills the gap", test_fills),
        T("R2.4 interrupted in a silence", test_rest),
        T("R2.4 items", test_items),
        T("R2.4 ids", test_ids),
        T("R2.4 many parts", test_many),
        T("R2.4 random", test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
