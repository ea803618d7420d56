/* SPDX-License-Identifier: BSD-2-Clause */

/* R5.1: which audio is whose turn, from the events that pass; measured on
 * libuv's pool and told on the loop. */

#include "base/log.h"
#include "base/metrics.h"
#include "codec/base64.h"
#include "codec/pcm.h"
#include "session/level_desk.h"
#include "session/session_levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FRAME_MS 20

struct rig {
    struct loop *loop;
    struct session_levels levels;
    bool gone;
    char log_path[64];
};

static void
on_gone(void *arg)
{
    struct rig *rig = arg;

    assert_false(rig->gone);
    rig->gone = true;
}

static void
rig_start(struct rig *rig)
{
    struct log_config log = {.level = LOG_LEVEL_INFO,
                             .target = LOG_TARGET_FILE};

    memset(rig, 0, sizeof(*rig));
    snprintf(rig->log_path, sizeof(rig->log_path), "/tmp/levels-XXXXXX");
    int fd = mkstemp(rig->log_path);
    assert_true(fd >= 0);
    close(fd);
    log.path = rig->log_path;
    assert_int_equal(log_open(&log), 0);
    assert_int_equal(loop_create(&rig->loop, 0), 0);
    session_levels_init(&rig->levels, rig->loop, "sess_1");
}

/* Until nothing is under way. */
static void
rig_turn(struct rig *rig)
{
    level_desk_flush(rig->loop);
    for (int i = 0; i < 2000 && rig->levels.under_way > 0; i++) {
        uv_run(loop_uv(rig->loop), UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_int_equal(rig->levels.under_way, 0);
}

static void
rig_close(struct rig *rig)
{
    session_levels_close(&rig->levels, on_gone, rig);
    rig_turn(rig);
    assert_true(rig->gone);
    assert_int_equal(level_desk_bytes(), 0);
}

static void
rig_stop(struct rig *rig)
{
    if (!rig->gone)
        rig_close(rig);
    loop_stop(rig->loop);
    loop_destroy(&rig->loop);
    log_close();
    unlink(rig->log_path);
}

static void
peek(const char *json, struct realtime_peek *out)
{
    assert_int_equal(realtime_peek(json, strlen(json), out), REALTIME_SOUND);
}

static void
up(struct rig *rig, const char *json)
{
    struct realtime_peek p;

    peek(json, &p);
    session_levels_up(&rig->levels, &p);
}

static void
down(struct rig *rig, const char *json)
{
    struct session_event e;

    assert_int_equal(session_event_open(&e, json, strlen(json)), 0);
    session_levels_down(&rig->levels, &e);
    assert_false(e.changed);
    session_event_close(&e);
}

/* A square wave; the text of one event, malloc'ed. */
static char *
wave_text(int16_t height, unsigned ms)
{
    size_t samples = pcm_samples_of_ms(ms);
    uint8_t *bytes = malloc(samples * 2);
    char *text = malloc(base64_encoded_bytes(samples * 2) + 1);

    for (size_t i = 0; i < samples; i++) {
        int16_t value = (int16_t) (i % 2 ? height : -height);
        pcm_to_le(bytes + 2 * i, &value, 1);
    }
    text[base64_encode(text, bytes, samples * 2)] = 0;
    free(bytes);
    return text;
}

static void
speak_as(struct rig *rig, int16_t height, unsigned ms, unsigned frame_ms)
{
    char *audio = wave_text(height, frame_ms);
    char *json = malloc(strlen(audio) + 128);

    sprintf(json, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"%s\"}",
            audio);
    for (unsigned i = 0; i < ms / frame_ms; i++)
        up(rig, json);
    free(json);
    free(audio);
}

static void
speak(struct rig *rig, int16_t height, unsigned ms)
{
    speak_as(rig, height, ms, FRAME_MS);
}

static void
answer(struct rig *rig, const char *response, int16_t height, unsigned ms)
{
    char *audio = wave_text(height, 100);
    char *json = malloc(strlen(audio) + 256);
    struct realtime_peek p;

    sprintf(json,
            "{\"type\":\"response.output_audio.delta\",\"event_id\":\"e\","
            "\"response_id\":\"%s\",\"item_id\":\"i\",\"output_index\":0,"
            "\"content_index\":0,\"delta\":\"%s\"}",
            response, audio);
    peek(json, &p);
    for (unsigned i = 0; i < ms / 100; i++)
        session_levels_sent(&rig->levels, &p);
    free(json);
    free(audio);
}

static void
created(struct rig *rig, const char *id)
{
    char json[256];

    snprintf(json, sizeof(json),
             "{\"type\":\"response.created\",\"event_id\":\"e\",\"response\":"
             "{\"id\":\"%s\"}}",
             id);
    down(rig, json);
}

static void
done(struct rig *rig, const char *id)
{
    char json[256];

    snprintf(json, sizeof(json),
             "{\"type\":\"response.done\",\"event_id\":\"e\",\"response\":"
             "{\"id\":\"%s\"}}",
             id);
    down(rig, json);
}

/* The turns in the log are these and no others, in this order. */
static void
assert_log(struct rig *rig, const char *const *lines, size_t count)
{
    static char text[65536];
    FILE *file = fopen(rig->log_path, "r");
    char *at = text;

    rig_turn(rig);
    assert_non_null(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    for (size_t i = 0; i < count; i++) {
        at = strstr(at, "event=turn ");
        if (!at)
            fail_msg("line %zu is missing in\n%s", i, text);
        char *end = strchr(at, '\n');
        *end = 0;
        if (strcmp(at + strlen("event=turn "), lines[i]) != 0)
            fail_msg("line %zu is %s", i, at);
        at = end + 1;
    }
    if (strstr(at, "event=turn "))
        fail_msg("one line too many: %s", at);
}

#define ASSERT_LOG(rig, ...)                                                   \
    do {                                                                       \
        const char *const lines[] = {__VA_ARGS__};                             \
        assert_log(rig, lines, sizeof(lines) / sizeof(lines[0]));              \
    } while (0)

#define STARTED(ms)                                                            \
    "{\"type\":\"input_audio_buffer.speech_started\",\"event_id\":\"e\","      \
    "\"audio_start_ms\":" #ms ",\"item_id\":\"i\"}"
#define STOPPED(ms)                                                            \
    "{\"type\":\"input_audio_buffer.speech_stopped\",\"event_id\":\"e\","      \
    "\"audio_end_ms\":" #ms ",\"item_id\":\"i\"}"
#define COMMITTED                                                              \
    "{\"type\":\"input_audio_buffer.committed\",\"event_id\":\"e\","           \
    "\"item_id\":\"i\"}"
#define COMMIT "{\"type\":\"input_audio_buffer.commit\"}"
#define CLEAR  "{\"type\":\"input_audio_buffer.clear\"}"
#define REFUSED                                                                \
    "{\"type\":\"error\",\"event_id\":\"e\",\"error\":{\"code\":"              \
    "\"input_audio_buffer_commit_empty\"}}"

static void
test_spoken_turns(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig);
    speak(&rig, 30, 1000);
    speak(&rig, 8000, 400);
    down(&rig, STARTED(1000));
    speak(&rig, 8000, 1600);
    speak(&rig, 30, 400);
    down(&rig, STOPPED(3000));
    down(&rig, COMMITTED);
    ASSERT_LOG(&rig, "who=user ms=2000 rms_dbfs=-12.2 peak_dbfs=-12.2"
                     " clipped=0");
    created(&rig, "r1");
    answer(&rig, "r1", 4000, 3000);
    speak(&rig, 100, 600);
    done(&rig, "r1");
    down(&rig, STARTED(3400));
    down(&rig, STOPPED(4000));
    down(&rig, COMMITTED);
    assert_int_equal(rig.levels.sum[LEVELS_USER].ms, 2000);
    ASSERT_LOG(&rig,
               "who=user ms=2000 rms_dbfs=-12.2 peak_dbfs=-12.2 clipped=0",
               "who=assistant ms=3000 rms_dbfs=-18.3 peak_dbfs=-18.3 clipped=0",
               "who=user ms=600 rms_dbfs=-50.3 peak_dbfs=-50.3 clipped=0");
    assert_int_equal(rig.levels.sum[LEVELS_USER].ms, 2600);
    assert_int_equal(rig.levels.sum[LEVELS_USER].turns, 2);
    assert_int_equal(rig.levels.sum[LEVELS_ASSISTANT].turns, 1);
    rig_stop(&rig);
}

static void
test_turns_by_hand(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig);
    speak(&rig, 100, 400);
    up(&rig, CLEAR);
    speak(&rig, 1000, 800);
    up(&rig, COMMIT);
    speak(&rig, 16000, 200); /* of the next one already */
    down(&rig, COMMITTED);
    ASSERT_LOG(&rig, "who=user ms=800 rms_dbfs=-30.3 peak_dbfs=-30.3"
                     " clipped=0");
    up(&rig, COMMIT);
    down(&rig, REFUSED);
    speak(&rig, 16000, 200);
    up(&rig, COMMIT);
    down(&rig, COMMITTED);
    up(&rig, COMMIT); /* of nothing */
    down(&rig, COMMITTED);
    ASSERT_LOG(&rig, "who=user ms=800 rms_dbfs=-30.3 peak_dbfs=-30.3 clipped=0",
               "who=user ms=400 rms_dbfs=-6.2 peak_dbfs=-6.2 clipped=0");
    rig_stop(&rig);
}

/* What an idle timeout commits is no turn of the user's. */
static void
test_timeout(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig);
    speak(&rig, 10, 6000);
    down(&rig, "{\"type\":\"input_audio_buffer.timeout_triggered\","
               "\"event_id\":\"e\",\"audio_start_ms\":0,"
               "\"audio_end_ms\":6000,\"item_id\":\"i\"}");
    down(&rig, COMMITTED);
    down(&rig, STARTED(6000));
    speak(&rig, 2000, 400);
    down(&rig, COMMITTED); /* by a client that can't wait */
    ASSERT_LOG(&rig, "who=user ms=400 rms_dbfs=-24.3 peak_dbfs=-24.3"
                     " clipped=0");
    rig_stop(&rig);
}

/* Responses beside each other, and one that never ends. */
static void
test_responses(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig);
    created(&rig, "r1");
    answer(&rig, "r1", 1000, 500);
    answer(&rig, "r2", 8000, 500); /* its response.created was before */
    answer(&rig, "r1", 1000, 500);
    done(&rig, "r2");
    created(&rig, "r3");
    answer(&rig, "r1", 1000, 500);
    answer(&rig, "r3", 2000, 500);
    done(&rig, "r1");
    done(&rig, "r3");
    done(&rig, "r4");
    ASSERT_LOG(&rig,
               "who=assistant ms=1500 rms_dbfs=-30.3 peak_dbfs=-30.3 clipped=0",
               "who=assistant ms=500 rms_dbfs=-24.3 peak_dbfs=-24.3 clipped=0");
    rig_stop(&rig);
}

/* A session that ends in the middle leaves the lines of what was said. */
static void
test_end_in_a_turn(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig);
    speak(&rig, 8000, 10000);
    down(&rig, STARTED(9000));
    answer(&rig, "r1", 1000, 10000);
    rig_close(&rig);
    up(&rig, COMMIT);
    down(&rig, STARTED(9000));
    answer(&rig, "r1", 1000, 100);
    speak(&rig, 8000, 100);
    ASSERT_LOG(
        &rig, "who=assistant ms=10000 rms_dbfs=-30.3 peak_dbfs=-30.3 clipped=0",
        "who=user ms=1000 rms_dbfs=-12.2 peak_dbfs=-12.2 clipped=0");
    rig_stop(&rig);
    rig_start(&rig);
    session_levels_close(&rig.levels, on_gone, &rig);
    assert_true(rig.gone); /* nothing to wait for */
    rig_stop(&rig);
}

/* G.711 from the settings, full scale, escaped text, one event of many. */
static void
test_formats(void **state)
{
    struct rig rig;
    static char json[16384];

    (void) state;
    rig_start(&rig);
    speak(&rig, 32767, 1000);
    down(&rig, STARTED(0));
    down(&rig, STOPPED(1000));
    down(&rig, COMMITTED);
    down(&rig, "{\"type\":\"session.updated\",\"event_id\":\"e\",\"session\":"
               "{\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcmu\"}},"
               "\"output\":{\"format\":{\"type\":\"audio/pcma\"}}}}}");
    /* Bytes 0xff, which are zero in the mu-law, as PHP writes them. */
    strcpy(json, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");
    for (unsigned i = 0; i < 1000; i++)
        strcat(json, "\\/\\/\\/\\/");
    strcat(json, "\"}");
    up(&rig, json);
    up(&rig, json);
    down(&rig, STARTED(1000));
    down(&rig, STOPPED(1750));
    down(&rig, COMMITTED);
    answer(&rig, "r1", 1000, 100); /* bytes of pcm taken for A-law */
    done(&rig, "r1");
    speak_as(&rig, 0, 1000, 1000);
    rig_turn(&rig);
    assert_int_equal(rig.levels.sum[LEVELS_USER].level.samples,
                     PCM_RATE + 6000);
    assert_int_equal(rig.levels.sum[LEVELS_USER].level.clipped, PCM_RATE / 2);
    assert_int_equal(rig.levels.sum[LEVELS_ASSISTANT].ms, 600);
    /* What is longer than a piece may be is not looked at. */
    speak_as(&rig, 8000, 60000, 60000);
    up(&rig, COMMIT);
    down(&rig, COMMITTED);
    rig_turn(&rig);
    assert_int_equal(rig.levels.sum[LEVELS_USER].ms,
                     1000 + 750 + 6000 + 360000);
    struct metric *skipped =
        metric_register(METRIC_COUNTER, "voiced_levels_skipped_total", "");
    assert_int_equal(metric_get(skipped), 1);
    up(&rig, "{\"type\":\"input_audio_buffer.append\",\"audio\":7}");
    up(&rig, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"\"}");
    up(&rig, "{\"type\":\"input_audio_buffer.append\"}");
    up(&rig, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"****\"}");
    rig_stop(&rig);
}

/* Two sessions on a desk; what waits is done in its order, and all of it. */
static void
test_desk(void **state)
{
    struct rig rig;
    struct session_levels other = {0};
    struct realtime_peek p;

    (void) state;
    rig_start(&rig);
    session_levels_init(&other, rig.loop, "sess_2");
    char *audio = wave_text(500, 1000);
    char *json = malloc(strlen(audio) + 64);
    sprintf(json, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"%s\"}",
            audio);
    peek(json, &p);
    for (unsigned i = 0; i < 25; i++) {
        session_levels_up(&other, &p);
        speak(&rig, 4000, 1000);
    }
    up(&rig, COMMIT);
    down(&rig, COMMITTED);
    rig_turn(&rig);
    assert_int_equal(rig.levels.sum[LEVELS_USER].ms, 25000);
    rig.gone = false;
    session_levels_close(&other, on_gone, &rig);
    for (int i = 0; i < 2000 && !rig.gone; i++) {
        uv_run(loop_uv(rig.loop), UV_RUN_NOWAIT);
        usleep(1000);
    }
    assert_true(rig.gone);
    rig.gone = false;
    free(json);
    free(audio);
    rig_stop(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spoken_turns),
        cmocka_unit_test(test_turns_by_hand),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_end_in_a_turn),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_desk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
