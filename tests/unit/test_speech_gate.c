/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/speech_gate.h"

#include "codec/pcm.h"
#include "kit/wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 24000u
#define FRAME  240u

static const struct speech_gate_config normal = {.threshold = 0.5,
                                                 .need_ms = 100};

/* Two seconds of room, then the fixture, over noise `snr_db` under its level
 * of speech; *onset is where its sound is 10 dB over the noise. */
static int16_t *
scene(const char *name, double snr_db, size_t *samples, size_t *onset)
{
    size_t n, pad = 2 * SECOND;
    int16_t *speech = wave_load(name, &n);
    int16_t *pcm = calloc(n + pad, sizeof *pcm);
    double loudest = 0, noise;

    for (size_t at = 0; at + SECOND / 2 <= n; at += FRAME)
        loudest = fmax(loudest, pcm_rms(speech + at, SECOND / 2));
    noise = loudest * pow(10.0, -snr_db / 20.0);
    memcpy(pcm + pad, speech, n * sizeof *pcm);
    *onset = 0;
    for (size_t at = 0; at + FRAME <= n && *onset == 0; at += FRAME / 10)
        if (pcm_rms(speech + at, FRAME) > noise * 3.16)
            *onset = pad + at;
    free(speech);
    *samples = n + pad;
    wave_add_noise(pcm, *samples, noise, 5);
    return pcm;
}

/* Where the gate first was open, in samples; 0 never. */
static size_t
opened(struct speech_gate *g, const int16_t *pcm, size_t samples, size_t step)
{
    size_t first = 0;

    for (size_t at = 0; at < samples; at += step) {
        size_t part = samples - at < step ? samples - at : step;

        speech_gate_push(g, pcm + at, part);
        if (first == 0 && speech_gate_is_open(g))
            first = at + part;
    }
    return first;
}

static void
test_onset(void **state)
{
    static const char *const names[] = {
        "question.wav", "weather.wav", "stop.wav", "hello.wav",
        "story.wav",    "count.wav",   "sum.wav",  "read.wav"};
    double sum = 0, worst = 0;

    (void) state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct speech_gate g;
        size_t samples, onset, at;
        int16_t *pcm = scene(names[i], 20, &samples, &onset);
        double late_ms;

        speech_gate_init(&g, &normal);
        at = opened(&g, pcm, samples, FRAME);
        assert_true(onset > 2 * SECOND && at > onset);
        late_ms = (double) (at - onset) / 24;
        print_message("%-14s open %3.0f ms after the onset\n", names[i],
                      late_ms);
        sum += late_ms;
        worst = fmax(worst, late_ms);
        free(pcm);
    }
    assert_true(sum / (sizeof names / sizeof *names) <= 130);
    assert_true(worst <= 200); /* a word that begins with a stop */
}

static void
test_size_and_splits(void **state)
{
    static const size_t steps[] = {1, 7, 239, 240, 241, 480, 2880, 1000000};
    size_t samples, onset;
    int16_t *pcm = scene("weather.wav", 20, &samples, &onset);
    struct speech_gate first;

    (void) state;
    assert_true(sizeof(struct speech_gate) < 350);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct speech_gate g;

        speech_gate_init(&g, &normal);
        opened(&g, pcm, samples, steps[i]);
        if (i == 0)
            first = g;
        assert_memory_equal(g.heard, first.heard, sizeof g.heard);
        assert_int_equal(speech_gate_heard_ms(&g),
                         speech_gate_heard_ms(&first));
    }
    free(pcm);
}

static void
test_noise_is_none(void **state)
{
    static const double levels[] = {0, 5, 50, 500, 3000};
    int16_t *pcm = malloc(30 * SECOND * sizeof *pcm);

    (void) state;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct speech_gate g;

        memset(pcm, 0, 30 * SECOND * sizeof *pcm);
        wave_add_noise(pcm, 30 * SECOND, levels[i], 3);
        speech_gate_init(&g, &normal);
        assert_int_equal(opened(&g, pcm, 30 * SECOND, 480), 0);
    }
    free(pcm);
}

/* Bursts of noise in a quiet room: keys, a click, a cough, at every phase of
 * the frames. */
static void
test_short_bursts(void **state)
{
    static const unsigned lengths_ms[] = {2, 5, 10, 25, 40, 60, 80, 88};
    int16_t *pcm = malloc(4 * SECOND * sizeof *pcm);

    (void) state;
    for (size_t i = 0; i < sizeof lengths_ms / sizeof *lengths_ms; i++)
        for (unsigned phase = 0; phase < FRAME; phase += 30) {
            struct speech_gate g;

            memset(pcm, 0, 4 * SECOND * sizeof *pcm);
            wave_add_noise(pcm, 4 * SECOND, 20, 1);
            wave_add_noise(pcm + 3 * SECOND + phase, lengths_ms[i] * 24, 6000,
                           phase + 1);
            speech_gate_init(&g, &normal);
            if (opened(&g, pcm, 4 * SECOND, 480) != 0)
                fail_msg("%u ms at %u", lengths_ms[i], phase);
        }
    free(pcm);
}

/* Typing: four strokes a second, 5 to 25 ms each, add up to nothing. */
static void
test_typing(void **state)
{
    int16_t *pcm = calloc(30 * SECOND, sizeof *pcm);
    struct speech_gate g;

    (void) state;
    for (unsigned i = 0; i < 110; i++)
        wave_add_noise(pcm + i * 6007, 120 + i % 5 * 120, 6000, i);
    wave_add_noise(pcm, 30 * SECOND, 20, 1);
    speech_gate_init(&g, &normal);
    assert_int_equal(opened(&g, pcm, 30 * SECOND, 480), 0);
    free(pcm);
}

/* A tone burst: as long as it was, less its edges; gone a second later. */
static void
test_window(void **state)
{
    int16_t *pcm = calloc(3 * SECOND, sizeof *pcm);
    struct speech_gate g;
    unsigned ms;

    (void) state;
    for (unsigned i = 0; i < 300 * 24; i++)
        pcm[SECOND + i] = (int16_t) (8000 * sin(i * 0.2));
    wave_add_noise(pcm, 3 * SECOND, 10, 1);
    speech_gate_init(&g, &normal);
    speech_gate_push(&g, pcm, SECOND + 300 * 24);
    ms = speech_gate_heard_ms(&g);
    assert_true(ms >= 270 && ms <= 300);
    speech_gate_push(&g, pcm + SECOND + 300 * 24, SECOND / 2);
    assert_in_range(speech_gate_heard_ms(&g), ms, ms + 20);
    speech_gate_push(&g, pcm + 2 * SECOND, 22000);
    assert_int_equal(speech_gate_heard_ms(&g), 0);
    speech_gate_push(&g, pcm + SECOND, 300 * 24);
    assert_true(speech_gate_is_open(&g));
    speech_gate_forget(&g);
    assert_int_equal(speech_gate_heard_ms(&g), 0);
    assert_false(speech_gate_is_open(&g));
    free(pcm);
}

/* A long need looks back further; none is always met. */
static void
test_needs(void **state)
{
    struct speech_gate_config cfg = {.threshold = 0.5, .need_ms = 800};
    struct speech_gate g;
    size_t samples, onset, at;
    int16_t *pcm = scene("story.wav", 30, &samples, &onset);

    (void) state;
    speech_gate_init(&g, &cfg);
    at = opened(&g, pcm, samples, 480);
    assert_true(at > onset + SECOND * 8 / 10 && at < onset + 2 * SECOND);
    cfg.need_ms = 0;
    speech_gate_configure(&g, &cfg);
    assert_true(speech_gate_is_open(&g));
    cfg.need_ms = 0xffffffff;
    cfg.threshold = (double) NAN;
    speech_gate_init(&g, &cfg);
    assert_true(speech_gate_is_open(&g) == false);
    opened(&g, pcm, samples, 480);
    assert_true(speech_gate_heard_ms(&g) <= 2 * SPEECH_GATE_NEED_MAX);
    free(pcm);
}

/* The threshold of a preset: what quiet takes for speech, noisy does not. */
static void
test_thresholds(void **state)
{
    static const double thresholds[] = {0.3, 0.5, 0.7};
    unsigned before = 0xffffffff;

    (void) state;
    for (size_t i = 0; i < 3; i++) {
        struct speech_gate_config cfg = {.threshold = thresholds[i],
                                         .need_ms = 5000};
        struct speech_gate g;
        size_t samples, onset;
        int16_t *pcm = scene("weather.wav", 9, &samples, &onset);

        speech_gate_init(&g, &cfg);
        speech_gate_push(&g, pcm, samples);
        assert_true(speech_gate_heard_ms(&g) < before);
        before = speech_gate_heard_ms(&g);
        free(pcm);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_onset),
        cmocka_unit_test(test_size_and_splits),
        cmocka_unit_test(test_noise_is_none),
        cmocka_unit_test(test_short_bursts),
        cmocka_unit_test(test_typing),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_thresholds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
