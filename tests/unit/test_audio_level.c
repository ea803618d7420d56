/* SPDX-License-Identifier: BSD-2-Clause */

/* Levels of audio that passes, and samples as text, in any pieces. */

#include "codec/audio_level.h"
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

#include "kit/wave.h"

#define MOST 2000

static void
test_known_levels(void **state)
{
    const int16_t square[] = {INT16_MIN, INT16_MAX, INT16_MIN, INT16_MAX};
    struct audio_level level = {0};
    int16_t sine[PCM_RATE];

    (void) state;
    assert_true(audio_level_rms(&level) == 0.0);
    assert_true(audio_level_rms_dbfs(&level) == PCM_SILENCE_DBFS);
    assert_true(audio_level_peak_dbfs(&level) == PCM_SILENCE_DBFS);
    assert_int_equal(audio_level_duration_ms(&level), 0);
    audio_level_push(&level, NULL, 0);
    audio_level_push(&level, square, 4);
    assert_int_equal(level.peak, 32768);
    assert_int_equal(level.clipped, 4);
    assert_true(fabs(audio_level_rms_dbfs(&level)) < 0.001);
    assert_true(audio_level_peak_dbfs(&level) == 0.0);
    for (size_t i = 0; i < PCM_RATE; i++)
        sine[i] = (int16_t) lrint(
            16384 * sin(2 * M_PI * 440 * (double) i / PCM_RATE));
    level = (struct audio_level){0};
    audio_level_push(&level, sine, PCM_RATE);
    assert_true(fabs(audio_level_rms_dbfs(&level) + 9.03) < 0.01);
    assert_true(fabs(audio_level_peak_dbfs(&level) + 6.02) < 0.01);
    assert_int_equal(audio_level_duration_ms(&level), 1000);
    assert_int_equal(level.clipped, 0);
    level = (struct audio_level){0};
    audio_level_push(&level, &(int16_t){-1}, 1);
    assert_int_equal(level.peak, 1);
}

/* Every length, any place in memory, all heights: as counted one by one. */
static void
test_every_length(void **state)
{
    static const int16_t heights[] = {
        INT16_MIN, INT16_MIN + 1, INT16_MAX, INT16_MAX - 1, 0, -1, 1};
    int16_t pcm[160];

    (void) state;
    srand(3);
    for (size_t i = 0; i < 160; i++)
        pcm[i] = i < 80 ? (int16_t) (rand() % 65536 - 32768)
                        : heights[(size_t) rand() % 7];
    for (size_t from = 0; from < 160; from++) {
        for (size_t samples = 0; samples <= 160 - from; samples++) {
            struct audio_level level = {0}, want = {0};
            audio_level_push(&level, pcm + from, samples);
            for (size_t i = from; i < from + samples; i++)
                audio_level_push(&want, pcm + i, 1);
            assert_memory_equal(&level, &want, sizeof(want));
        }
    }
    struct audio_level loud = {0};
    for (size_t i = 0; i < 160; i++)
        pcm[i] = INT16_MIN;
    audio_level_push(&loud, pcm, 160);
    assert_true(loud.power == UINT64_C(160) << 30);
    assert_int_equal(loud.peak, 32768);
    assert_int_equal(loud.clipped, 160);
}

/* Pieces of any size, and two halves put together, say what the whole says. */
static void
test_pieces_of_a_level(void **state)
{
    size_t samples, at = 0, cut;
    int16_t *pcm = wave_load("hello.wav", &samples);
    struct audio_level whole = {0}, pieces = {0}, first = {0}, second = {0};

    (void) state;
    audio_level_push(&whole, pcm, samples);
    for (size_t n = 1; at < samples; at += cut, n = (n * 7 + 3) % 1000) {
        cut = n < samples - at ? n : samples - at;
        audio_level_push(&pieces, pcm + at, cut);
    }
    audio_level_push(&first, pcm, samples / 3);
    audio_level_push(&second, pcm + samples / 3, samples - samples / 3);
    audio_level_merge(&second, &first);
    assert_memory_equal(&pieces, &whole, sizeof whole);
    assert_memory_equal(&second, &whole, sizeof whole);
    assert_int_equal(whole.peak, pcm_peak(pcm, samples));
    assert_true(audio_level_rms(&whole) == pcm_rms(pcm, samples));
    free(pcm);
}

static int16_t *
noise_make(size_t samples)
{
    int16_t *pcm = calloc(samples, sizeof *pcm);

    assert_non_null(pcm);
    wave_add_noise(pcm, samples, 5000, 7);
    return pcm;
}

static void
test_text_in_pieces(void **state)
{
    int16_t *pcm = noise_make(MOST);

    (void) state;
    for (size_t step = 1; step < 40; step++) {
        size_t samples = 900 + step * 17, chars, at = 0, n = 0;
        uint8_t *bytes = malloc(samples * 2);
        char *want = malloc(base64_encoded_bytes(samples * 2));
        char *text = malloc(pcm_text_chars_max(samples));
        struct pcm_text_writer writer = {0};

        pcm_to_le(bytes, pcm, samples);
        chars = base64_encode(want, bytes, samples * 2);
        for (size_t cut; at < samples; at += cut) {
            cut = step < samples - at ? step : samples - at;
            n += pcm_text_push(&writer, text + n, pcm + at, cut);
            n += pcm_text_push(&writer, text + n, NULL, 0);
        }
        n += pcm_text_end(&writer, text + n);
        assert_int_equal(n, chars);
        assert_memory_equal(text, want, chars);
        assert_int_equal(pcm_text_end(&writer, text), 0);
        free(bytes);
        free(want);
        free(text);
    }
    free(pcm);
}

/* A piece's room is exactly what the header says. */
static size_t
piece_read(struct pcm_text_reader *reader, int16_t *to, const uint8_t *bytes,
           size_t n)
{
    size_t chars = base64_encoded_bytes(n);
    char *text = malloc(chars + 1);
    int16_t *room = malloc(pcm_text_samples_max(chars) * sizeof *room);
    ssize_t samples;

    assert_int_equal(base64_encode(text, bytes, n), chars);
    samples = pcm_text_read(reader, room, text, chars);
    assert_true(samples >= 0);
    memcpy(to, room, (size_t) samples * sizeof *to);
    free(room);
    free(text);
    return (size_t) samples;
}

static void
test_odd_deltas(void **state)
{
    int16_t *pcm = noise_make(MOST), back[MOST + 1];
    uint8_t bytes[2 * MOST];

    (void) state;
    pcm_to_le(bytes, pcm, MOST);
    for (size_t step = 1; step < 200; step += 1 + step / 5) {
        struct pcm_text_reader reader = {0};
        size_t samples = 0, cut;

        for (size_t at = 0; at < sizeof bytes; at += cut) {
            cut = step < sizeof bytes - at ? step : sizeof bytes - at;
            samples += piece_read(&reader, back + samples, bytes + at, cut);
            samples += piece_read(&reader, back + samples, bytes, 0);
        }
        assert_int_equal(samples, MOST);
        assert_int_equal(reader.has_odd, 0);
        assert_memory_equal(back, pcm, sizeof bytes);
    }
    free(pcm);
}

static void
test_bad_delta(void **state)
{
    struct pcm_text_reader reader = {0};
    int16_t pcm[8];

    (void) state;
    assert_int_equal(pcm_text_read(&reader, pcm, "AQ==", 4), 0);
    assert_int_equal(reader.has_odd, 1);
    assert_int_equal(pcm_text_read(&reader, pcm, "AQ=", 3), UV_EINVAL);
    assert_int_equal(pcm_text_read(&reader, pcm, "A*==", 4), UV_EINVAL);
    assert_int_equal(pcm_text_read(&reader, pcm, "AgME", 4), 2);
    assert_int_equal(pcm[0], 0x0201);
    assert_int_equal(pcm[1], 0x0403);
    assert_int_equal(reader.has_odd, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_levels),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_pieces_of_a_level),
        cmocka_unit_test(test_text_in_pieces),
        cmocka_unit_test(test_odd_deltas),
        cmocka_unit_test(test_bad_delta),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
