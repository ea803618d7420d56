/* SPDX-License-Identifier: BSD-2-Clause */

/* The offline model with its real ears and mouth: one session is asked to
 * speak a question, another hears and answers it. */

#include "gate/speech.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

static struct speech *engine;

static struct speech *
engine_open(void)
{
    return engine;
}

static void
engine_close(struct speech **sp)
{
    *sp = NULL;
}

#include "kit/offline_rig.h"

#define SILENCE_MS 300

struct tape {
    int16_t *pcm;
    size_t samples;
};

/* The plugin lies beside the directory of the tests. */
static int
start_engine(void **state)
{
    struct speech_config cfg = {0};
    char self[PATH_MAX] = "", path[PATH_MAX + 32];

    (void) state;
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return -1;
    snprintf(path, sizeof(path), "%s/../voiced-speech.so", dirname(self));
    if (getenv("VOICE_SPEECH_PLUGIN") != NULL)
        snprintf(path, sizeof(path), "%s", getenv("VOICE_SPEECH_PLUGIN"));
    cfg.plugin_path = path;
    return speech_create(&engine, &cfg);
}

static int
stop_engine(void **state)
{
    struct speech_counts counts;

    (void) state;
    do {
        usleep(1000);
        speech_count(engine, &counts);
    } while (counts.running + counts.waiting > 0);
    speech_destroy(&engine);
    return 0;
}

static void
tape_add(struct tape *tape, const char *base64)
{
    size_t chars = strlen(base64);

    tape->pcm = realloc(tape->pcm, tape->samples * 2 + chars);
    tape->samples +=
        (size_t) base64_decode(tape->pcm + tape->samples, base64, chars) / 2;
}

/* What the model says to `create`, as sound. */
static void
record(struct rig *rig, const char *create, struct tape *tape)
{
    json_t *event;

    memset(tape, 0, sizeof(*tape));
    rig_send(rig, create);
    do {
        event = rig_next(rig, 10000);
        assert_non_null(event);
        if (strcmp(event_type(event), "response.output_audio.delta") == 0)
            tape_add(tape, path_text(event, "delta"));
    } while (strcmp(event_type(event), "response.done") != 0);
    assert_string_equal(path_text(event, "response.status"), "completed");
    assert_in_range(tape->samples, 24000, 240000);
}

static void
play(struct rig *rig, const struct tape *tape)
{
    char *text = malloc(tape->samples * 4 + 128), *to = text;

    to += sprintf(to, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");
    to += base64_encode(to, tape->pcm, tape->samples * 2);
    strcpy(to, "\"}");
    rig_append(rig, SILENCE_MS, 0);
    rig_send(rig, text);
    rig_append(rig, 700, 0);
    free(text);
}

static void
ask(struct tape *question)
{
    struct rig rig;

    rig_open(&rig, NULL);
    record(&rig,
           "{\"type\":\"response.create\",\"response\":{\"instructions\":"
           "\"Say exactly: what is two plus three\"}}",
           question);
    rig_close(&rig);
}

static void
test_question_and_answer(void **state)
{
    struct tape question;
    struct rig rig;
    json_t *event;

    (void) state;
    ask(&question);
    rig_open(&rig, NULL);
    rig_send(&rig, "{\"type\":\"session.update\",\"session\":{\"type\":"
                   "\"realtime\",\"audio\":{\"input\":{\"transcription\":{"
                   "\"model\":\"offline\"}}}}}");
    play(&rig, &question);
    free(question.pcm);
    event = rig_until(&rig,
                      "conversation.item.input_audio_transcription.completed");
    assert_string_equal(path_text(event, "transcript"),
                        "what is two plus three");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "completed");
    assert_non_null(strstr(
        path_text(event, "response.output.0.content.0.transcript"), "5"));
    assert_true(path_number(event, "response.usage.output_token_details."
                                   "audio_tokens")
                > 10);
    rig_close(&rig);
}

/* Ears and mouth at work when the link goes. */
static void
test_close_at_work(void **state)
{
    struct tape question;
    struct rig rig;

    (void) state;
    ask(&question);
    for (unsigned i = 0; i < 8; i++) {
        rig_open(&rig, NULL);
        play(&rig, &question);
        if (i % 2 == 1)
            rig_until(&rig, "response.output_audio.delta");
        else
            rig_run_ms(&rig, i);
        rig_close(&rig);
    }
    free(question.pcm);
}

static void
test_cancel_while_speaking(void **state)
{
    struct rig rig;
    json_t *event;

    (void) state;
    rig_open(&rig, NULL);
    rig_send(&rig, "{\"type\":\"conversation.item.create\",\"item\":{"
                   "\"type\":\"message\",\"role\":\"user\",\"content\":[{"
                   "\"type\":\"input_text\",\"text\":\"tell me a story\"}]}}");
    rig_send(&rig, "{\"type\":\"response.create\"}");
    rig_until(&rig, "response.output_audio.delta");
    rig_send(&rig, "{\"type\":\"response.cancel\"}");
    event = rig_until(&rig, "response.done");
    assert_string_equal(path_text(event, "response.status"), "cancelled");
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_question_and_answer),
        cmocka_unit_test(test_close_at_work),
        cmocka_unit_test(test_cancel_while_speaking),
    };

    return cmocka_run_group_tests(tests, start_engine, stop_engine);
}
