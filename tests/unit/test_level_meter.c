/* SPDX-License-Identifier: BSD-2-Clause */

/* R5.1: levels of turns whose begin and end are told late. */

#include "codec/g711.h"
#include "codec/level_meter.h"
#include "codec/pcm.h"
#include "codec/pcm_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define FRAME_MS 20
#define KEPT     50 /* slots: 2 s */

/* A square wave of this height, as one event of a frame. */
static void
frame_push(struct level_meter *m, enum level_format format, int16_t height)
{
    int16_t pcm[PCM_RATE * FRAME_MS / 1000];
    uint8_t bytes[sizeof(pcm)];
    char text[2 * sizeof(pcm)];
    size_t samples = (format == LEVEL_PCM ? PCM_RATE : 8000) * FRAME_MS / 1000;
    size_t chars;

    for (size_t i = 0; i < samples; i++)
        pcm[i] = (int16_t) (i % 2 ? height : -height);
    if (format == LEVEL_PCM) {
        pcm_to_le(bytes, pcm, samples);
        chars = base64_encode(text, bytes, samples * 2);
    } else {
        g711_encode(format == LEVEL_ULAW ? G711_ULAW : G711_ALAW, bytes, pcm,
                    samples);
        chars = base64_encode(text, bytes, samples);
    }
    assert_int_equal(level_meter_push(m, format, text, chars), chars);
}

static void
sound_push(struct level_meter *m, int16_t height, unsigned ms)
{
    for (unsigned i = 0; i < ms / FRAME_MS; i++)
        frame_push(m, LEVEL_PCM, height);
}

static void
assert_turn(const struct level_turn *turn, uint64_t ms, uint64_t measured_ms,
            double rms)
{
    assert_int_equal(turn->ms, ms);
    assert_int_equal(audio_level_duration_ms(&turn->level), measured_ms);
    assert_true(fabs(audio_level_rms(&turn->level) - rms) < 1.0);
}

static void
test_turn_told_late(void **state)
{
    struct level_meter *m;
    struct level_turn turn;

    (void) state;
    assert_int_equal(level_meter_create(&m, KEPT), 0);
    assert_int_equal(level_meter_now_ms(m), 0);
    sound_push(m, 10, 1000);
    sound_push(m, 8000, 400);
    level_meter_begin(m, 1000);
    sound_push(m, 8000, 600);
    sound_push(m, 10, 300);
    assert_int_equal(level_meter_now_ms(m), 2300);
    level_meter_end(m, 2000, &turn);
    assert_turn(&turn, 1000, 1000, 8000);
    assert_int_equal(turn.level.peak, 8000);
    assert_int_equal(turn.level.clipped, 0);
    /* The next one is what is left, unless it is told to begin later. */
    level_meter_end(m, 2300, &turn);
    assert_turn(&turn, 300, 300, 10);
    level_meter_end(m, 2300, &turn);
    assert_turn(&turn, 0, 0, 0);
    level_meter_destroy(&m);
    assert_null(m);
}

/* Of a turn longer than what is kept nothing is lost. */
static void
test_long_turn(void **state)
{
    struct level_meter *m;
    struct level_turn turn;

    (void) state;
    assert_int_equal(level_meter_create(&m, KEPT), 0);
    sound_push(m, 100, 1000);
    level_meter_begin(m, 1000);
    sound_push(m, 32767, 400);
    sound_push(m, 2000, 59600);
    level_meter_end(m, 61000, &turn);
    assert_int_equal(turn.ms, 60000);
    assert_int_equal(audio_level_duration_ms(&turn.level), 60000);
    assert_int_equal(turn.level.peak, 32767);
    assert_int_equal(turn.level.clipped, PCM_RATE * 400 / 1000 / 2);
    double power = (32767.0 * 32767 * 0.4 + 2000.0 * 2000 * 59.6) / 60;
    assert_true(fabs(audio_level_rms(&turn.level) - sqrt(power)) < 2);
    level_meter_destroy(&m);
}

/* A model that counts from somewhere else, or says nothing. */
static void
test_strange_places(void **state)
{
    struct level_meter *m;
    struct level_turn turn;

    (void) state;
    assert_int_equal(level_meter_create(&m, KEPT), 0);
    sound_push(m, 10, 5000);
    level_meter_begin(m, UINT64_MAX);
    sound_push(m, 1000, 500);
    level_meter_end(m, UINT64_MAX, &turn);
    assert_int_equal(turn.ms, 500 + LEVEL_METER_LATE_MS);
    /* Before the turn that was: of another count. */
    sound_push(m, 3000, 2000);
    level_meter_begin(m, 300);
    level_meter_end(m, 800, &turn);
    assert_int_equal(turn.ms, LEVEL_METER_LATE_MS);
    /* What is not kept any more is not told apart from the turn. */
    sound_push(m, 3000, 10000);
    level_meter_begin(m, 8000);
    level_meter_end(m, 17500, &turn);
    assert_turn(&turn, 9500, 10020, 3000);
    /* Just after a turn there is nothing to go back to. */
    level_meter_begin(m, 0);
    level_meter_end(m, 17500, &turn);
    assert_turn(&turn, 0, 0, 0);
    level_meter_destroy(&m);
}

static void
test_marks(void **state)
{
    struct level_meter *m;
    struct level_turn turn;

    (void) state;
    assert_int_equal(level_meter_create(&m, KEPT), 0);
    sound_push(m, 500, 400);
    level_meter_mark(m);
    sound_push(m, 7000, 400);
    level_meter_mark(m);
    sound_push(m, 9000, 400);
    level_meter_end_mark(m, &turn);
    assert_turn(&turn, 400, 400, 500);
    level_meter_mark_drop(m); /* refused: what follows is one turn with it */
    level_meter_mark(m);
    level_meter_end_mark(m, &turn);
    assert_int_equal(turn.ms, 800);
    level_meter_end_mark(m, &turn);
    assert_int_equal(turn.ms, 0);
    for (unsigned i = 0; i < LEVEL_METER_MARKS + 2; i++) {
        sound_push(m, 100, 40);
        level_meter_mark(m);
    }
    level_meter_end_mark(m, &turn); /* the first two are forgotten */
    assert_int_equal(turn.ms, 120);
    level_meter_restart(m);
    assert_int_equal(level_meter_now_ms(m), 0);
    level_meter_mark_drop(m);
    level_meter_end_mark(m, &turn);
    assert_turn(&turn, 0, 0, 0);
    level_meter_destroy(&m);
}

static void
test_telephone(void **state)
{
    static const enum level_format laws[] = {LEVEL_ULAW, LEVEL_ALAW};
    struct level_turn turn;

    (void) state;
    for (unsigned i = 0; i < 2; i++) {
        struct level_meter *m;
        assert_int_equal(level_meter_create(&m, KEPT), 0);
        frame_push(m, LEVEL_PCM, 8000);
        frame_push(m, LEVEL_PCM, 8000);
        for (unsigned n = 0; n < 50; n++)
            frame_push(m, laws[i], 8000);
        assert_int_equal(level_meter_now_ms(m), 1040);
        level_meter_end(m, 1040, &turn);
        assert_true(fabs(audio_level_rms(&turn.level) - 8000) < 250);
        assert_int_equal(turn.level.clipped, 0);
        for (unsigned n = 0; n < 50; n++)
            frame_push(m, laws[i], 32767);
        level_meter_end(m, 2040, &turn);
        assert_int_equal(turn.level.samples, 8000);
        assert_int_equal(turn.level.clipped, 8000);
        frame_push(m, LEVEL_PCM, 8000);
        assert_int_equal(level_meter_now_ms(m), 2060);
        level_meter_destroy(&m);
    }
}

/* Audio that nobody could look at takes its time; a text that is no base64
 * does no harm. */
static void
test_missing(void **state)
{
    struct level_meter *m;
    struct level_turn turn;

    (void) state;
    assert_int_equal(level_meter_create(&m, KEPT), 0);
    sound_push(m, 4000, 200);
    level_meter_skip(m, LEVEL_PCM, 64000); /* a second */
    level_meter_skip(m, LEVEL_ULAW, 0);
    sound_push(m, 4000, 200);
    assert_int_equal(level_meter_now_ms(m), 1400);
    level_meter_end(m, 1400, &turn);
    assert_turn(&turn, 1400, 400, 4000);
    level_meter_skip(m, LEVEL_ALAW, 10668); /* a second, a sample */
    assert_int_equal(level_meter_now_ms(m), 2400);
    assert_int_equal(level_meter_push(m, LEVEL_PCM, "AAA*", 4), 0);
    assert_int_equal(level_meter_push(m, LEVEL_ALAW, "AAA", 3), 0);
    assert_int_equal(level_meter_push(m, LEVEL_PCM, "", 0), 0);
    level_meter_destroy(&m);
}

/* Texts of any length, odd ones too, count as the samples that they are. */
static void
test_any_pieces(void **state)
{
    static int16_t pcm[PCM_RATE];
    static char text[2 * sizeof(pcm)];
    struct pcm_text_writer writer = {0};
    struct audio_level whole = {0};
    struct level_meter *m;
    struct level_turn turn;
    size_t chars;

    (void) state;
    srand(1);
    for (size_t i = 0; i < PCM_RATE; i++)
        pcm[i] = (int16_t) (rand() % 65536 - 32768);
    audio_level_push(&whole, pcm, PCM_RATE);
    chars = pcm_text_push(&writer, text, pcm, PCM_RATE);
    chars += pcm_text_end(&writer, text + chars);
    assert_int_equal(level_meter_create(&m, 1), 0);
    for (size_t at = 0; at < chars;) {
        size_t n = (size_t) (rand() % 3000) * 4;
        n = n < chars - at ? n : chars - at;
        assert_int_equal(level_meter_push(m, LEVEL_PCM, text + at, n), n);
        at += n;
    }
    level_meter_end(m, level_meter_now_ms(m), &turn);
    assert_int_equal(turn.level.samples, PCM_RATE);
    assert_int_equal(turn.level.peak, whole.peak);
    assert_int_equal(turn.level.clipped, whole.clipped);
    assert_true(fabs(audio_level_rms(&turn.level) - audio_level_rms(&whole))
                < 1);
    level_meter_destroy(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_turn_told_late), cmocka_unit_test(test_long_turn),
        cmocka_unit_test(test_strange_places), cmocka_unit_test(test_marks),
        cmocka_unit_test(test_telephone),      cmocka_unit_test(test_missing),
        cmocka_unit_test(test_any_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
