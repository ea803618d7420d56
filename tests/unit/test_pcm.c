/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/pcm.h"

#include "codec/g711.h"
#include "codec/speech_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void
test_bytes_and_levels(void **state)
{
    static const uint8_t wire[] = {0x01, 0x02, 0xff, 0xff, 0x00, 0x80};
    const int16_t square[] = {-32768, 32767, -32768, 32767};
    int16_t pcm[3];
    uint8_t back[6];

    (void) state;
    pcm_from_le(pcm, wire, 3);
    assert_int_equal(pcm[0], 0x0201);
    assert_int_equal(pcm[1], -1);
    assert_int_equal(pcm[2], INT16_MIN);
    pcm_to_le(back, pcm, 3);
    assert_memory_equal(back, wire, 6);
    pcm_from_le(pcm, NULL, 0);
    assert_int_equal(pcm_peak(pcm, 3), 32768);
    assert_int_equal(pcm_peak(pcm, 0), 0);
    assert_true(fabs(pcm_level_dbfs(square, 4)) < 0.001);
    assert_true(pcm_level_dbfs(square, 0) == PCM_SILENCE_DBFS);
    assert_true(pcm_rms(pcm + 1, 1) == 1.0);
    assert_int_equal(pcm_samples_of_ms(20), 480);
    assert_int_equal(pcm_ms_of_samples(480), 20);
}

static void
test_operations_saturate(void **state)
{
    int16_t a[4] = {20000, -20000, 0, 7}, b[4] = {20000, -20000, 0, -7};

    (void) state;
    pcm_mix(a, b, 4);
    assert_int_equal(a[0], INT16_MAX);
    assert_int_equal(a[1], INT16_MIN);
    assert_int_equal(a[3], 0);
    pcm_scale(b, 4, 0.5);
    assert_int_equal(b[0], 10000);
    pcm_scale(b, 4, 1e30);
    assert_int_equal(b[1], INT16_MIN);
    pcm_scale(b, 4, (double) INFINITY);
    assert_int_equal(b[2], 0);
    pcm_scale(b, 4, (double) NAN);
    assert_int_equal(b[0], 0);
    b[0] = b[1] = b[2] = b[3] = 1000;
    pcm_fade(b, 4, 1, 0);
    assert_int_equal(b[0], 1000);
    assert_int_equal(b[2], 500);
}

static void
test_g711_codes(void **state)
{
    static const struct {
        enum g711_law law;
        int16_t pcm;
        uint8_t code;
    } known[] = {{G711_ULAW, 0, 0xff},      {G711_ULAW, 32767, 0x80},
                 {G711_ULAW, -32768, 0x00}, {G711_ALAW, 0, 0xd5},
                 {G711_ALAW, -1, 0x55},     {G711_ALAW, 32767, 0xaa},
                 {G711_ALAW, -32768, 0x2a}};

    (void) state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint8_t code;

        g711_encode(known[i].law, &code, &known[i].pcm, 1);
        assert_int_equal(code, known[i].code);
    }
    for (int law = G711_ULAW; law <= G711_ALAW; law++) {
        for (int v = INT16_MIN; v <= INT16_MAX; v++) {
            int16_t pcm = (int16_t) v, back, again;
            uint8_t code, code2;

            g711_encode(law, &code, &pcm, 1);
            g711_decode(law, &back, &code, 1);
            /* half a step: 1/32 of the value or the finest one */
            assert_true(abs(back - v) <= abs(v) / 31 + 16 || v > 32635
                        || v < -32635);
            g711_encode(law, &code2, &back, 1);
            g711_decode(law, &again, &code2, 1);
            assert_int_equal(again, back);
        }
    }
}

/* A tone through both directions, less the edges, in dB of what went in. */
static double
tone_gain(double hz, bool alias)
{
    static int16_t in[24000], low[8001], out[24003];
    struct g711_resampler down = {0}, up = {0};
    size_t n = 0;

    for (size_t i = 0; i < 24000; i++)
        in[i] = (int16_t) (10000 * sin(2 * M_PI * hz * (double) i / 24000));
    for (size_t at = 0; at < 24000; at += 500) /* no multiple of three */
        n += g711_resample_down(&down, low + n, in + at, 500);
    assert_int_equal(n, 8000);
    if (alias)
        return 20 * log10(pcm_rms(low + 100, 7800) / pcm_rms(in, 24000));
    g711_resample_up(&up, out, low, n);
    return 20 * log10(pcm_rms(out + 300, 23400) / pcm_rms(in, 24000));
}

static void
test_g711_resampling(void **state)
{
    (void) state;
    assert_true(fabs(tone_gain(300, false)) < 0.2);
    assert_true(fabs(tone_gain(1000, false)) < 0.2);
    assert_true(fabs(tone_gain(3000, false)) < 0.5);
    assert_true(tone_gain(5000, true) < -50);
    assert_true(tone_gain(9000, true) < -50);
}

static void
test_pieces(void **state)
{
    static const struct {
        const char *text;
        const char *pieces[5];
    } rows[] = {
        {"One. Two three!  Four?", {"One.", "Two three!", "Four?"}},
        {"Hello", {"Hello"}},
        {"It is 3.5, e.g. now. Yes", {"It is 3.5, e.g. now.", "Yes"}},
        {"a\nb", {"a\n", "b"}},
        {"  \n ", {NULL}},
        {"", {NULL}},
    };
    char text[2000];
    size_t at = 0, start, count = 0;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t bytes = strlen(rows[i].text);

        at = 0;
        for (size_t k = 0; rows[i].pieces[k] != NULL; k++) {
            size_t end =
                speech_text_next(rows[i].text + at, bytes - at, &start);

            assert_int_equal(end - start, strlen(rows[i].pieces[k]));
            assert_memory_equal(rows[i].text + at + start, rows[i].pieces[k],
                                end - start);
            at += end;
        }
        at = speech_text_next(rows[i].text + at, bytes - at, &start);
        assert_int_equal(at, start);
    }
    /* no mark anywhere, of 2-byte characters: cut at characters */
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    for (at = 0; at < sizeof text; count++) {
        size_t end = speech_text_next(text + at, sizeof text - at, &start);

        assert_true(end > start && end - start <= SPEECH_TEXT_PIECE);
        assert_int_equal(end % 2, 0);
        at += end;
    }
    assert_true(count >= sizeof text / SPEECH_TEXT_PIECE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_and_levels),
        cmocka_unit_test(test_operations_saturate),
        cmocka_unit_test(test_g711_codes),
        cmocka_unit_test(test_g711_resampling),
        cmocka_unit_test(test_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
