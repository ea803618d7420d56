/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/speech.h"

#include "base/loop.h"
#include "codec/pcm.h"
#include "kit/wave.h"
#include "model/offline_wit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One loop, one gate; each scene runs as a task on the loop and the test waits
 * until it has posted `over`. */
struct rig {
    struct loop *loop;
    struct speech *speech;
    struct wit *wit;
    uv_sem_t over;
    struct loop_task task;
    const char *name; /* of a fixture */
    char text[512];
    int error;
    size_t samples;
    unsigned loud; /* chunks with sound */
    uint64_t hash;
    unsigned left; /* jobs under way */
    unsigned dones;
    struct speech_say *say[64];
    struct speech_hear *hear[64];
};

static const char *
plugin_path(void)
{
    static char path[PATH_MAX + 64];
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    assert_true(n > 0);
    self[n] = '\0';
    snprintf(path, sizeof path, "%s/../voiced-speech.so", dirname(self));
    return path;
}

static int
rig_open(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);
    struct speech_config cfg = {.plugin_path = plugin_path(), .max_jobs = 64};

    assert_int_equal(uv_sem_init(&rig->over, 0), 0);
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    assert_int_equal(loop_start(rig->loop), 0);
    assert_int_equal(speech_create(&rig->speech, &cfg), 0);
    assert_int_equal(wit_create(&rig->wit, NULL), 0);
    assert_true(strlen(speech_version(rig->speech)) > 0);
    *state = rig;
    return 0;
}

static int
rig_close(void **state)
{
    struct rig *rig = *state;
    struct speech_counts counts;

    speech_count(rig->speech, &counts);
    assert_int_equal(counts.jobs, 0);
    assert_int_equal(counts.waiting, 0);
    speech_destroy(&rig->speech);
    loop_stop(rig->loop);
    loop_destroy(&rig->loop);
    wit_destroy(&rig->wit);
    uv_sem_destroy(&rig->over);
    free(rig);
    return 0;
}

static void
on_heard(void *arg, int error, const struct speech_heard *heard)
{
    struct rig *rig = arg;

    rig->error = error;
    if (error == 0)
        snprintf(rig->text, sizeof rig->text, "%s", heard->text);
    rig->dones++;
    if (--rig->left == 0)
        uv_sem_post(&rig->over);
}

static int
hear_start(struct rig *rig, unsigned slot)
{
    size_t samples;
    int16_t *pcm = wave_load(rig->name, &samples);
    struct speech_hear_config cfg = {.loop = rig->loop,
                                     .grammar = wit_grammar(rig->wit),
                                     .pcm = pcm,
                                     .samples = samples};
    int error = speech_hear(rig->speech, &cfg, on_heard, rig, &rig->hear[slot]);

    if (error != 0)
        free(pcm);
    else
        rig->left++;
    return error;
}

static void
scene_hear(struct loop_task *task, void *arg)
{
    (void) task;
    assert_int_equal(hear_start(arg, 0), 0);
}

static void
scene_play(struct rig *rig, loop_task_h *scene)
{
    rig->samples = rig->loud = rig->dones = rig->left = 0;
    rig->hash = 1;
    rig->error = 0;
    rig->task.run = scene;
    rig->task.arg = rig;
    loop_post(rig->loop, &rig->task);
    uv_sem_wait(&rig->over);
}

/* Twice, in another order: what was heard before changes nothing. */
static void
test_hears_fixtures(void **state)
{
    static const char *const rows[][2] = {
        {"question.wav", "what time is it"},
        {"weather.wav", "what is the weather in london"},
        {"story.wav", "tell me a long story"},
        {"stop.wav", "stop"},
        {"sum.wav", "what is seven plus six"},
        {"count.wav", "count from three to eight"},
        {"hello.wav", "hello"},
        {"nonsense.wav", ""},
    };
    const size_t count = sizeof rows / sizeof *rows;
    struct rig *rig = *state;

    for (size_t i = 0; i < 2 * count; i++) {
        size_t row = i < count ? i : 2 * count - 1 - i;

        rig->name = rows[row][0];
        scene_play(rig, scene_hear);
        assert_int_equal(rig->error, 0);
        if (strcmp(rig->text, rows[row][1]) != 0)
            fail_msg("%s: heard [%s]", rig->name, rig->text);
    }
}

static void
on_audio(void *arg, const int16_t *pcm, size_t samples)
{
    struct rig *rig = arg;

    assert_true(samples > 0 && samples <= 2400);
    rig->samples += samples;
    rig->loud += pcm_peak(pcm, samples) > 1000;
    for (size_t i = 0; i < samples; i++)
        rig->hash = rig->hash * 31 + (uint16_t) pcm[i];
}

static void
on_done(void *arg, int error)
{
    struct rig *rig = arg;

    rig->error = error;
    rig->dones++;
    if (--rig->left == 0)
        uv_sem_post(&rig->over);
}

static int
say_start(struct rig *rig, unsigned slot, const char *voice)
{
    static const struct speech_say_handlers handlers = {on_audio, on_done};
    struct speech_say_config cfg = {
        .loop = rig->loop, .text = rig->text, .voice = voice, .speed = 1.0};
    int error = speech_say(rig->speech, &cfg, &handlers, rig, &rig->say[slot]);

    rig->left += error == 0;
    return error;
}

static void
scene_say_kal(struct loop_task *task, void *arg)
{
    (void) task;
    assert_int_equal(say_start(arg, 0, "kal16"), 0);
}

static void
scene_say_marin(struct loop_task *task, void *arg)
{
    (void) task;
    assert_int_equal(say_start(arg, 0, "marin"), 0);
}

static void
test_says(void **state)
{
    struct rig *rig = *state;
    uint64_t hash;
    size_t samples;

    snprintf(rig->text, sizeof rig->text, "It is noon. All is well!");
    scene_play(rig, scene_say_kal);
    hash = rig->hash;
    samples = rig->samples;
    assert_int_equal(rig->error, 0);
    assert_true(samples > 24000 && samples < 5 * 24000);
    assert_true(rig->loud > 5);
    scene_play(rig, scene_say_kal);
    assert_true(rig->hash == hash);
    assert_int_equal(rig->samples, samples);
    scene_play(rig, scene_say_marin);
    assert_true(rig->loud > 5);
    /* nothing to say is said well */
    snprintf(rig->text, sizeof rig->text, " ... ");
    scene_play(rig, scene_say_marin);
    assert_int_equal(rig->error, 0);
    assert_int_equal(rig->samples, 0);
}

/* Cancelled at once, while queued and while running, under the loop's nose. */
static void
scene_cancel(struct loop_task *task, void *arg)
{
    struct rig *rig = arg;

    (void) task;
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(say_start(rig, i, i % 2 == 0 ? "kal16" : "slt"), 0);
        assert_int_equal(hear_start(rig, i), 0);
    }
    usleep(1000 * (rig->dones % 7)); /* another moment each time */
    for (unsigned i = 0; i < 12; i++) {
        speech_say_cancel(rig->say[i]);
        speech_hear_cancel(rig->hear[i]);
    }
    rig->left = 0;
    uv_sem_post(&rig->over);
}

static void
test_cancel_races(void **state)
{
    struct rig *rig = *state;

    rig->name = "stop.wav";
    snprintf(rig->text, sizeof rig->text,
             "One sentence. And another one. And a third.");
    for (unsigned i = 0; i < 10; i++) {
        scene_play(rig, scene_cancel);
        assert_int_equal(rig->samples, 0);
        usleep(i * 1500);
    }
}

/* The handler itself gives up after the first chunk. */
static void
on_audio_cancel(void *arg, const int16_t *pcm, size_t samples)
{
    struct rig *rig = arg;

    on_audio(arg, pcm, samples);
    speech_say_cancel(rig->say[0]);
    uv_sem_post(&rig->over);
}

static void
scene_cancel_inside(struct loop_task *task, void *arg)
{
    static const struct speech_say_handlers handlers = {on_audio_cancel,
                                                        on_done};
    struct rig *rig = arg;
    struct speech_say_config cfg = {
        .loop = rig->loop, .text = rig->text, .speed = 1.0};

    (void) task;
    assert_int_equal(
        speech_say(rig->speech, &cfg, &handlers, rig, &rig->say[0]), 0);
}

static void
test_cancel_inside_handler(void **state)
{
    struct rig *rig = *state;

    snprintf(rig->text, sizeof rig->text, "A long sentence to be cut off.");
    scene_play(rig, scene_cancel_inside);
    assert_true(rig->samples <= 2400);
    assert_int_equal(rig->dones, 0);
}

static void
scene_busy(struct loop_task *task, void *arg)
{
    struct rig *rig = arg;
    unsigned started = 0, refused = 0;

    (void) task;
    for (unsigned i = 0; i < 70; i++) {
        int error = say_start(rig, i % 64, "kal16");

        assert_true(error == 0 || error == UV_EBUSY);
        started += error == 0;
        refused += error != 0;
    }
    rig->hash = started;
    rig->loud = refused;
}

static void
test_queue_is_capped(void **state)
{
    struct rig *rig = *state;
    struct speech_counts counts;

    snprintf(rig->text, sizeof rig->text, "Hi.");
    scene_play(rig, scene_busy);
    speech_count(rig->speech, &counts);
    assert_int_equal(rig->dones, 64);
    assert_int_equal(counts.refused, 6);
}

static void
on_timer_gone(uv_handle_t *timer)
{
    free(timer);
}

/* What had come by then is counted, then the rest may come. */
static void
on_pause_over(uv_timer_t *timer)
{
    struct rig *rig = timer->data;

    assert_int_equal(rig->samples, 0);
    assert_int_equal(rig->dones, 0);
    uv_close((uv_handle_t *) timer, on_timer_gone);
    speech_say_pause(rig->say[0], false);
}

static void
scene_pause(struct loop_task *task, void *arg)
{
    struct rig *rig = arg;
    uv_timer_t *timer = malloc(sizeof *timer);

    (void) task;
    assert_int_equal(say_start(rig, 0, "kal16"), 0);
    speech_say_pause(rig->say[0], true);
    speech_say_pause(rig->say[0], true);
    uv_timer_init(loop_uv(rig->loop), timer);
    timer->data = rig;
    uv_timer_start(timer, on_pause_over, 100, 0);
}

static void
test_pause(void **state)
{
    struct rig *rig = *state;

    snprintf(rig->text, sizeof rig->text,
             "One sentence, quite long. And another one, as long as that. "
             "And a third one, which is the last of them.");
    scene_play(rig, scene_pause);
    assert_int_equal(rig->dones, 1);
    assert_true(rig->samples > 4 * 24000);
}

static void
scene_refused(struct loop_task *task, void *arg)
{
    struct rig *rig = arg;
    struct speech_hear_config hear = {.loop = rig->loop};
    struct speech_say_config say = {.loop = rig->loop, .speed = 1.0};
    struct speech_say_handlers handlers = {on_audio, on_done};
    char *text = malloc(SPEECH_TEXT_BYTES + 2);

    (void) task;
    assert_int_equal(
        speech_hear(rig->speech, &hear, on_heard, rig, &rig->hear[0]),
        UV_EINVAL);
    assert_int_equal(
        speech_say(rig->speech, &say, &handlers, rig, &rig->say[0]), UV_EINVAL);
    memset(text, 'a', SPEECH_TEXT_BYTES + 1);
    text[SPEECH_TEXT_BYTES + 1] = '\0';
    say.text = text;
    assert_int_equal(
        speech_say(rig->speech, &say, &handlers, rig, &rig->say[0]), UV_E2BIG);
    free(text);
    uv_sem_post(&rig->over);
}

static void
test_bad_input(void **state)
{
    struct speech_config none = {.plugin_path = "/nowhere/speech.so"};
    struct speech_config other = {.plugin_path = "tests/fixtures/stop.wav"};
    struct speech *speech = NULL;

    scene_play(*state, scene_refused);
    assert_int_equal(speech_create(&speech, &none), UV_ENOENT);
    assert_int_equal(speech_create(&speech, &other), UV_EINVAL);
    assert_null(speech);
    speech_destroy(&speech);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hears_fixtures),
        cmocka_unit_test(test_says),
        cmocka_unit_test(test_cancel_races),
        cmocka_unit_test(test_cancel_inside_handler),
        cmocka_unit_test(test_queue_is_capped),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_bad_input),
    };

    return cmocka_run_group_tests(tests, rig_open, rig_close);
}
