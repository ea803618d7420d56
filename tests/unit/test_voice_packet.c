/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FRAME 960u /* 20 ms at 48 kHz */

/* A copy that is exactly as large: the sanitizer sees a read beyond. */
static int
read_exactly(struct voice_packet *packet, const uint8_t *bytes, size_t n)
{
    uint8_t *copy = malloc(n > 0 ? n : 1);
    int result;

    assert_non_null(copy);
    if (n > 0)
        memcpy(copy, bytes, n);
    result = voice_packet_read(packet, copy, n);
    free(copy);
    return result;
}

static void
test_head(void **state)
{
    static const uint8_t wire[] = {0x11, 0x03, 0xfe, 0xdc, 0x12,
                                   0x34, 0x56, 0x78, 0xaa, 0xbb};
    struct voice_packet packet;
    uint8_t head[VOICE_PACKET_HEAD_BYTES];

    (void) state;
    assert_int_equal(voice_packet_read(&packet, wire, sizeof wire), 0);
    assert_int_equal(packet.kind, VOICE_PACKET_AUDIO);
    assert_int_equal(packet.flags, VOICE_PACKET_START | VOICE_PACKET_REST);
    assert_int_equal(packet.sequence, 0xfedc);
    assert_int_equal(packet.timestamp, 0x12345678);
    assert_ptr_equal(packet.body, wire + 8);
    assert_int_equal(packet.body_bytes, 2);
    voice_packet_write_head(head, &packet);
    assert_memory_equal(head, wire, sizeof head);
}

static void
test_refused(void **state)
{
    static uint8_t wire[VOICE_PACKET_MAX + 1] = {0x11};
    struct voice_packet packet = {.sequence = 77};

    (void) state;
    for (size_t n = 0; n <= VOICE_PACKET_HEAD_BYTES; n++)
        assert_int_equal(read_exactly(&packet, wire, n), UV_EINVAL);
    assert_int_equal(read_exactly(&packet, wire, sizeof wire), UV_EINVAL);
    for (unsigned first = 0; first < 256; first++) {
        wire[0] = (uint8_t) first;
        if (first != 0x11)
            assert_int_equal(read_exactly(&packet, wire, 20), UV_ENOTSUP);
    }
    wire[0] = 0x11;
    for (unsigned flags = 4; flags < 256; flags++) {
        wire[1] = (uint8_t) flags;
        assert_int_equal(read_exactly(&packet, wire, 20), UV_EINVAL);
    }
    assert_int_equal(packet.sequence, 77); /* untouched so far */
    wire[1] = 0;
    assert_int_equal(read_exactly(&packet, wire, VOICE_PACKET_MAX), 0);
    assert_int_equal(packet.body_bytes, VOICE_PACKET_BODY_MAX);
    assert_int_equal(read_exactly(&packet, wire, 9), 0);
}

/* One step of a stream and what has to be said of it. */
struct step {
    unsigned flags;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t samples;
    struct voice_track_news news;
};

static void
steps_check(const struct step *steps, size_t count, struct voice_track *track)
{
    for (size_t i = 0; i < count; i++) {
        const struct step *s = &steps[i];
        struct voice_track_news news;
        struct voice_packet packet = {.kind = VOICE_PACKET_AUDIO,
                                      .flags = (uint8_t) s->flags,
                                      .sequence = s->sequence,
                                      .timestamp = s->timestamp};

        memset(&news, 0xee, sizeof news);
        voice_track_take(track, &packet, s->samples, &news);
        if (memcmp(&news, &s->news, sizeof news) != 0)
            fail_msg("step %zu: kind %d lost %u/%u rest %u", i, news.kind,
                     news.lost_packets, news.lost_48k, news.rest_48k);
    }
}

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))
#define NEXT                                                                   \
    {                                                                          \
        VOICE_TRACK_NEXT, 0, 0, 0                                              \
    }
#define RESTART                                                                \
    {                                                                          \
        VOICE_TRACK_RESTART, 0, 0, 0                                           \
    }
#define OLD                                                                    \
    {                                                                          \
        VOICE_TRACK_OLD, 0, 0, 0                                               \
    }

static void
test_order_and_gaps(void **state)
{
    static const struct step steps[] = {
        {0, 100, 5000, FRAME, RESTART},
        {0, 101, 5960, FRAME, NEXT},
        {0, 103, 7880, FRAME, {VOICE_TRACK_LOST, 1, 960, 0}},
        {0, 103, 7880, FRAME, OLD},
        {0, 90, 0, FRAME, OLD},
        {0, 104, 8840, FRAME, NEXT},
        /* four lost, the last of them half as long as the count says */
        {0, 109, 8840 + 960 * 4 + 480, 480, {VOICE_TRACK_LOST, 4, 3360, 0}},
        {0, 110, 8840 + 960 * 5, FRAME, NEXT},
        /* silence: time and no numbers */
        {VOICE_PACKET_REST, 111, 14600, FRAME, NEXT},
        {0, 112, 15560 + 19200, FRAME, {VOICE_TRACK_NEXT, 0, 0, 19200}},
        /* silence and loss */
        {0, 115, 35720 + 1920 + 4800, FRAME, {VOICE_TRACK_LOST, 2, 1920, 4800}},
    };
    struct voice_track track = {0};

    (void) state;
    steps_check(steps, COUNT(steps), &track);
    assert_int_equal(track.packets, 9);
    assert_int_equal(track.lost, 7);
    assert_int_equal(track.old, 2);
    assert_int_equal(track.restarts, 0);
}

static void
test_restarts(void **state)
{
    static const uint32_t most = VOICE_TRACK_GAP_MAX_48K;
    const struct step steps[] = {
        {VOICE_PACKET_START, 7, 0, FRAME, RESTART},
        {VOICE_PACKET_START, 7, 0, FRAME, OLD}, /* the same one twice */
        {0, 8, FRAME, FRAME, NEXT},
        {VOICE_PACKET_START, 9, 9000, FRAME, RESTART},
        {VOICE_PACKET_START, 3, 0, FRAME, RESTART}, /* also backwards */
        {0, 4, 960 + most, FRAME, {VOICE_TRACK_NEXT, 0, 0, most}},
        {0, 5, 1920 + most + most + 1, FRAME, RESTART}, /* a pause */
        {0, 6, 10, FRAME, RESTART},                     /* another clock */
        /* the window of old ones ends */
        {0, 100, 970 + 93 * 960, FRAME, {VOICE_TRACK_LOST, 93, 89280, 0}},
        {0, 100 - 63, 0, FRAME, OLD},
        {0, 100 - 64, 0, FRAME, RESTART},
        {0, 36 + 20000, 960, FRAME, RESTART},
        {0, 36, 960, FRAME, RESTART},
        {0, 36 + 100, 1920, FRAME, {VOICE_TRACK_LOST, 99, 95040, 0}},
        {0, 36 + 202, 1920, FRAME, RESTART},
    };
    struct voice_track track = {0};

    (void) state;
    steps_check(steps, COUNT(steps), &track);
    assert_int_equal(track.restarts, 8);
}

static void
test_times_that_can_not_be(void **state)
{
    static const struct step steps[] = {
        {0, 1, 1000, FRAME, RESTART},
        {0, 2, 1000, FRAME, NEXT}, /* overlaps */
        {0, 3, 0, FRAME, NEXT},    /* goes back a little */
        {0, 6, 0, FRAME, {VOICE_TRACK_LOST, 2, 1920, 0}},
        {0, 9, 960, 0, {VOICE_TRACK_LOST, 2, 1920, 0}},
        {0, 12, 960, FRAME, {VOICE_TRACK_LOST, 2, 0, 0}},
    };
    struct voice_track track = {0};

    (void) state;
    steps_check(steps, COUNT(steps), &track);
}

/* 70,000 packets: the sequence wraps, and the timestamp does too. */
static void
test_wrap(void **state)
{
    struct voice_packet_stamp stamp = {65000, 0xfffff000u - 960u * 300};
    struct voice_track track = {0};
    uint64_t lost = 0;

    (void) state;
    for (unsigned i = 0; i < 70000; i++) {
        struct voice_packet packet = {.kind = VOICE_PACKET_AUDIO};
        struct voice_track_news news;

        voice_packet_stamp(&stamp, &packet, FRAME);
        if (i % 10 == 7) {
            lost++;
            continue;
        }
        if (i % 10 == 5)
            voice_packet_pass(&stamp, 2 * FRAME);
        voice_track_take(&track, &packet, FRAME, &news);
        if (i == 0)
            assert_int_equal(news.kind, VOICE_TRACK_RESTART);
        else if (i % 10 == 8)
            assert_true(news.kind == VOICE_TRACK_LOST && news.lost_48k == FRAME
                        && news.rest_48k == 0);
        else
            assert_true(news.kind == VOICE_TRACK_NEXT
                        && news.rest_48k == (i % 10 == 6 ? 2 * FRAME : 0));
    }
    assert_int_equal(track.lost, lost);
    assert_int_equal(track.packets, 70000 - lost);
    assert_int_equal(track.restarts, 0);
    assert_int_equal(track.old, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_order_and_gaps),
        cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_times_that_can_not_be),
        cmocka_unit_test(test_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
