/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_activity.h"

#include "kit/wave.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SECOND 24000u

static const struct voice_activity_config normal = {
    .threshold = 0.5, .silence_ms = 500, .pause_ms = 200};

struct heard {
    unsigned count[5];
    uint64_t at[5]; /* of the first of each kind */
    uint64_t decided[5];
};

/* Feeds in pieces of `step` samples. */
static void
feed(struct voice_activity *va, const int16_t *pcm, size_t samples, size_t step,
     struct heard *heard)
{
    while (samples > 0) {
        size_t part = samples < step ? samples : step;
        struct voice_activity_news news;
        size_t used = voice_activity_push(va, pcm, part, &news);

        assert_true(used > 0 && used <= part);
        pcm += used;
        samples -= used;
        if (news.kind == VOICE_ACTIVITY_NONE) {
            assert_int_equal(used, part);
            continue;
        }
        assert_true(news.at_samples <= news.decided_samples);
        if (heard->count[news.kind]++ == 0) {
            heard->at[news.kind] = news.at_samples;
            heard->decided[news.kind] = news.decided_samples;
        }
    }
}

/* A fixture with 1.2 s of quiet around it and noise over all. */
static int16_t *
scene(const char *name, double noise, size_t *samples)
{
    size_t n, pad = SECOND * 6 / 5;
    int16_t *speech = wave_load(name, &n);
    int16_t *pcm = calloc(n + 2 * pad, sizeof *pcm);

    memcpy(pcm + pad, speech, n * sizeof *pcm);
    free(speech);
    *samples = n + 2 * pad;
    wave_add_noise(pcm, *samples, noise, 7);
    return pcm;
}

static void
test_size(void **state)
{
    (void) state;
    assert_true(sizeof(struct voice_activity) < 300);
}

static void
test_speech(void **state)
{
    static const char *const names[] = {"question.wav", "weather.wav",
                                        "stop.wav", "hello.wav", "story.wav"};
    static const double noises[] = {0, 10, 100};

    (void) state;
    for (size_t i = 0; i < 15; i++) {
        struct voice_activity va;
        struct heard heard = {0};
        size_t samples;
        int16_t *pcm = scene(names[i / 3], noises[i % 3], &samples);
        uint64_t start = SECOND * 6 / 5 + SECOND * 4 / 10; /* pads of both */
        uint64_t end = samples - SECOND * 6 / 5 - SECOND * 3 / 10;

        voice_activity_init(&va, &normal);
        feed(&va, pcm, samples, 480, &heard);
        assert_int_equal(heard.count[VOICE_ACTIVITY_STARTED], 1);
        assert_int_equal(heard.count[VOICE_ACTIVITY_STOPPED], 1);
        assert_true(heard.count[VOICE_ACTIVITY_PAUSED] >= 1);
        /* no earlier than 30 ms before, decided within 250 ms */
        assert_true(heard.at[VOICE_ACTIVITY_STARTED] + 720 >= start);
        assert_true(heard.decided[VOICE_ACTIVITY_STARTED] < start + 6000);
        /* the end within 350 ms before and 100 ms after (weak last sounds) */
        if (heard.at[VOICE_ACTIVITY_STOPPED] + 8400 <= end)
            fail_msg(
                "%s noise %.0f: stop %ld ms off", names[i / 3], noises[i % 3],
                ((long) heard.at[VOICE_ACTIVITY_STOPPED] - (long) end) / 24);
        assert_true(heard.at[VOICE_ACTIVITY_STOPPED] < end + 2400);
        assert_int_equal(heard.decided[VOICE_ACTIVITY_STOPPED]
                             - heard.at[VOICE_ACTIVITY_STOPPED],
                         SECOND / 2);
        assert_false(voice_activity_is_speaking(&va));
        free(pcm);
    }
}

static void
test_any_split_is_the_same(void **state)
{
    static const size_t steps[] = {1, 7, 239, 240, 241, 4800, 1000000};
    struct heard first = {0};
    size_t samples;
    int16_t *pcm = scene("weather.wav", 30, &samples);

    (void) state;
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct voice_activity va;
        struct heard heard = {0};

        voice_activity_init(&va, &normal);
        feed(&va, pcm, samples, steps[i], &heard);
        if (i == 0)
            first = heard;
        assert_memory_equal(&heard, &first, sizeof first);
    }
    free(pcm);
}

static void
test_noise_alone(void **state)
{
    static const double levels[] = {0, 5, 50, 500, 3000};
    int16_t *pcm = malloc(30 * SECOND * sizeof *pcm);

    (void) state;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct voice_activity va;
        struct heard heard = {0};

        memset(pcm, 0, 30 * SECOND * sizeof *pcm);
        wave_add_noise(pcm, 30 * SECOND, levels[i], 3);
        voice_activity_init(&va, &normal);
        feed(&va, pcm, 30 * SECOND, 480, &heard);
        assert_int_equal(heard.count[VOICE_ACTIVITY_STARTED], 0);
    }
    free(pcm);
}

/* Keys: bursts of 5 to 25 ms, three a second, over a quiet room. */
static void
test_clicks(void **state)
{
    int16_t *pcm = calloc(30 * SECOND, sizeof *pcm);
    struct voice_activity va;
    struct heard heard = {0};

    (void) state;
    for (unsigned i = 0; i < 88; i++)
        wave_add_noise(pcm + i * 8000, 120 + i % 5 * 120, 6000, i);
    wave_add_noise(pcm, 30 * SECOND, 20, 1);
    voice_activity_init(&va, &normal);
    feed(&va, pcm, 30 * SECOND, 480, &heard);
    assert_int_equal(heard.count[VOICE_ACTIVITY_STARTED], 0);
    free(pcm);
}

/* Two questions with a gap: one turn or two, as silence_ms says. */
static void
test_silence_is_honoured(void **state)
{
    static const struct {
        unsigned silence_ms, gap_ms, turns;
    } rows[] = {{400, 0, 2}, {500, 0, 2}, {1500, 0, 1}, {800, 600, 2}};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct voice_activity_config cfg = normal;
        struct voice_activity va;
        struct heard heard = {0};
        int16_t *quiet = calloc(2 * SECOND, sizeof *quiet);
        size_t n;
        int16_t *speech = wave_load("question.wav", &n); /* 0.7 s of pads */

        cfg.silence_ms = rows[i].silence_ms;
        voice_activity_init(&va, &cfg);
        feed(&va, speech, n, 480, &heard);
        feed(&va, quiet, rows[i].gap_ms * 24u, 480, &heard);
        feed(&va, speech, n, 480, &heard);
        feed(&va, quiet, 2 * SECOND, 480, &heard);
        assert_int_equal(heard.count[VOICE_ACTIVITY_STOPPED], rows[i].turns);
        free(speech);
        free(quiet);
    }
}

static void
test_min_speech_and_reset(void **state)
{
    struct voice_activity_config cfg = normal;
    struct voice_activity va;
    struct heard heard = {0};
    size_t samples;
    int16_t *pcm = scene("stop.wav", 5, &samples);

    (void) state;
    cfg.min_speech_ms = 3000;
    voice_activity_init(&va, &cfg);
    feed(&va, pcm, samples, 480, &heard);
    assert_int_equal(heard.count[VOICE_ACTIVITY_STARTED], 0);
    /* a reset in the middle of speech: no stop follows */
    voice_activity_configure(&va, &normal);
    memset(&heard, 0, sizeof heard);
    feed(&va, pcm, samples / 2, 480, &heard);
    voice_activity_reset(&va);
    feed(&va, pcm, SECOND, 480, &heard); /* quiet */
    assert_int_equal(heard.count[VOICE_ACTIVITY_STOPPED], 0);
    free(pcm);
}

static void
test_strange_values(void **state)
{
    struct voice_activity_config cfg = {.threshold = (double) NAN,
                                        .silence_ms = 0xffffffff};
    struct voice_activity va;
    struct voice_activity_news news;
    int16_t loud[480];

    (void) state;
    for (size_t i = 0; i < 480; i++)
        loud[i] = i % 2 == 0 ? INT16_MIN : INT16_MAX;
    voice_activity_init(&va, &cfg);
    assert_int_equal(voice_activity_push(&va, loud, 480, &news), 480);
    assert_int_equal(voice_activity_push(&va, loud, 0, &news), 0);
    assert_true(isfinite(voice_activity_floor_dbfs(&va)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_speech),
        cmocka_unit_test(test_any_split_is_the_same),
        cmocka_unit_test(test_noise_alone),
        cmocka_unit_test(test_clicks),
        cmocka_unit_test(test_silence_is_honoured),
        cmocka_unit_test(test_min_speech_and_reset),
        cmocka_unit_test(test_strange_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
