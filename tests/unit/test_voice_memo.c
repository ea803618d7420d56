/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_memo.h"

#include "codec/pcm.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SAMPLES 24000u

static struct voice_memo memo;

static int
setup(void **state)
{
    (void) state;
    voice_memo_init(&memo, true);
    return 0;
}

static int
teardown(void **state)
{
    (void) state;
    voice_memo_clear(&memo);
    return 0;
}

/* A second of something that swells and rises as a voice does. */
static int16_t *
voice(void)
{
    int16_t *pcm = malloc(SAMPLES * 2);

    for (size_t i = 0; i < SAMPLES; i++) {
        double t = (double) i / PCM_RATE;
        double swell = 0.5 - 0.5 * cos(2 * M_PI * 3 * t);

        pcm[i] = (int16_t) (9000 * swell
                            * (sin(2 * M_PI * 140 * t)
                               + 0.5 * sin(2 * M_PI * 700 * t)
                               + 0.2 * sin(2 * M_PI * 2400 * t)));
    }
    return pcm;
}

static double
snr_db(const int16_t *wanted, const uint8_t *got, size_t samples)
{
    double signal = 0, noise = 0;

    for (size_t i = 0; i < samples; i++) {
        int16_t g = (int16_t) (got[2 * i] | got[2 * i + 1] << 8);
        double d = wanted[i] - g;

        signal += (double) wanted[i] * wanted[i];
        noise += d * d;
    }
    return 10 * log10(signal / (noise + 1));
}

static void
test_sounds_alike(void **state)
{
    static const size_t pieces[] = {480, 1, 239, 2400, 7, 480, 2880};
    int16_t *pcm = voice();
    size_t at = 0;

    (void) state;
    for (size_t i = 0; at < SAMPLES; i++) {
        size_t n = pieces[i % 7] < SAMPLES - at ? pieces[i % 7] : SAMPLES - at;

        voice_memo_push_pcm(&memo, pcm + at, n);
        at += n;
    }
    assert_int_equal(voice_memo_bytes(&memo), SAMPLES * 2);
    assert_int_equal(memo.kept.bytes, SAMPLES);
    uint8_t *read = voice_memo_read(&memo);
    assert_true(snr_db(pcm, read, SAMPLES) > 33);
    free(read);
    free(pcm);
}

/* What is left sounds as if nothing had been before it. */
static void
test_beginning_goes(void **state)
{
    int16_t *pcm = voice();

    (void) state;
    voice_memo_push_pcm(&memo, pcm, SAMPLES);
    voice_memo_trim(&memo, SAMPLES);
    assert_int_equal(voice_memo_bytes(&memo), SAMPLES);
    uint8_t *read = voice_memo_read(&memo);
    assert_true(snr_db(pcm + SAMPLES / 2, read, SAMPLES / 2) > 33);
    free(read);
    voice_memo_trim(&memo, SAMPLES - 1); /* whole samples alone */
    assert_int_equal(voice_memo_bytes(&memo), SAMPLES - 2);
    voice_memo_trim(&memo, 0);
    assert_int_equal(voice_memo_bytes(&memo), 0);
    assert_null(voice_memo_read(&memo));
    free(pcm);
}

/* Every sample: within half a step of where it was, zero is zero. */
static void
test_every_sample(void **state)
{
    int16_t *pcm = malloc(65536 * 2);

    (void) state;
    for (int i = 0; i < 65536; i++)
        pcm[i] = (int16_t) (i - 32768);
    voice_memo_push_pcm(&memo, pcm, 65536);
    uint8_t *read = voice_memo_read(&memo);
    for (int i = 0; i < 65536; i++) {
        int got = (int16_t) (read[2 * i] | read[2 * i + 1] << 8);
        int size = abs(pcm[i]);
        int step = size > 32000 ? 2048 : (size + 132) / 16;

        assert_in_range(abs(got - pcm[i]), 0, step / 2 + 4);
        assert_true(got == 0 || (got < 0) == (pcm[i] < 0));
    }
    assert_int_equal(read[65536] | read[65537], 0);
    free(read);
    free(pcm);
}

static void
test_bytes(void **state)
{
    (void) state;
    voice_memo_init(&memo, false);
    voice_memo_push_bytes(&memo, "abc", 3);
    voice_memo_push_bytes(&memo, "defg", 4);
    voice_memo_trim(&memo, 5);
    assert_int_equal(voice_memo_bytes(&memo), 5);
    uint8_t *read = voice_memo_read(&memo);
    assert_memory_equal(read, "cdefg", 5);
    free(read);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sounds_alike),
        TEST(test_beginning_goes),
        TEST(test_every_sample),
        TEST(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
