/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_drain.h"

#include "kit/session_rig.h"
#include "session/session_calm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CREATED "{\"type\":\"session.created\",\"session\":{}}"
#define MANUAL                                                                 \
    "{\"type\":\"session.updated\",\"session\":{\"audio\":{\"input\":"         \
    "{\"turn_detection\":null}}}}"
#define BY_VAD                                                                 \
    "{\"type\":\"session.updated\",\"session\":{\"audio\":{\"input\":"         \
    "{\"turn_detection\":{\"type\":\"server_vad\"}}}}}"
#define APPEND "{\"type\":\"input_audio_buffer.append\",\"audio\":\"AAAA\"}"
#define LATER  (SESSION_CALM_MS + 1000)

/* One event each; when it is long past, is it calm? */
struct step {
    enum realtime_type type;
    bool is_calm;
    const char *json; /* NULL: the client's */
};

static const struct step steps[] = {
    {REALTIME_SESSION_CREATED, true, CREATED},
    {REALTIME_AUDIO_APPEND, true, NULL},
    {REALTIME_SPEECH_STARTED, false, ""},
    {REALTIME_AUDIO_APPEND, false, NULL},
    {REALTIME_OTHER, false, ""},
    {REALTIME_SPEECH_STOPPED, true, ""},
    {REALTIME_RESPONSE_CREATED, false, ""},
    {REALTIME_RESPONSE_CREATED, false, ""},
    {REALTIME_OUTPUT_AUDIO_DELTA, false, ""},
    {REALTIME_RESPONSE_DONE, false, ""},
    {REALTIME_RESPONSE_DONE, true, ""},
    {REALTIME_RESPONSE_DONE, true, ""}, /* one too many */
    {REALTIME_RESPONSE_CREATED, false, ""},
    {REALTIME_RESPONSE_DONE, true, ""},
    /* Without turn detection only the client knows when it has said all. */
    {REALTIME_SESSION_UPDATED, false, MANUAL},
    {REALTIME_AUDIO_COMMIT, true, NULL},
    {REALTIME_AUDIO_APPEND, false, NULL},
    {REALTIME_AUDIO_CLEAR, true, NULL},
    {REALTIME_AUDIO_APPEND, false, NULL},
    {REALTIME_SESSION_UPDATED, false, "{\"type\":\"session.updated\"}"},
    {REALTIME_SESSION_UPDATED, false, "no JSON"},
    {REALTIME_SESSION_UPDATED, true, BY_VAD},
};

static void
test_calm(void **state)
{
    struct session_calm calm = {0};
    uint64_t now = 1000000;

    (void) state;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        const struct step *s = &steps[i];
        if (s->json)
            session_calm_down(&calm, s->type, s->json, strlen(s->json), now);
        else
            session_calm_up(&calm, s->type, now);
        now += LATER;
        if (session_calm_holds(&calm, now) != s->is_calm)
            fail_msg("step %zu", i);
    }
}

/* What was just done calls for an answer; audio does not. */
static void
test_calm_comes_late(void **state)
{
    struct session_calm calm = {0};

    (void) state;
    session_calm_up(&calm, REALTIME_ITEM_CREATE, 5000);
    assert_false(session_calm_holds(&calm, 5000 + SESSION_CALM_MS - 1));
    session_calm_up(&calm, REALTIME_AUDIO_APPEND, 5000 + SESSION_CALM_MS);
    assert_true(session_calm_holds(&calm, 5000 + SESSION_CALM_MS));
    session_calm_down(&calm, REALTIME_SPEECH_STOPPED, "", 0, 9000);
    assert_false(session_calm_holds(&calm, 9001));
}

static void
test_patience(void **state)
{
    (void) state;
    assert_int_equal(session_drain_patience_ms(600000), 590000);
    assert_int_equal(session_drain_patience_ms(20001), 10001);
    assert_int_equal(session_drain_patience_ms(20000), 10000);
    assert_int_equal(session_drain_patience_ms(3000), 1500);
    assert_int_equal(session_drain_patience_ms(0), 0);
}

static void
assert_state(struct rig *rig, const char *wanted)
{
    char *state = rig_state(rig);

    assert_string_equal(state, wanted);
    free(state);
}

static void
assert_logged(struct rig *rig, const char *text)
{
    char *log = rig_log(rig);

    if (!strstr(log, text))
        fail_msg("no %s in %s", text, log);
    free(log);
}

static void
drain_tell(struct rig *rig, const char *text)
{
    rig_send_frame(rig, WS_PING, text, strlen(text));
    rig_turn(rig);
}

static void
test_goes_on_until_a_calm_moment(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    drain_tell(&rig, "drain 60000");
    assert_state(&rig, "draining");
    rig_say(&rig, CREATED);
    assert_state(&rig, "draining");
    drain_tell(&rig, "drain 100"); /* the first one counts */
    rig_send(&rig, APPEND);
    assert_string_equal(rig_model_got(&rig, 0), APPEND);
    rig_say(&rig, "{\"type\":\"response.created\"}");
    rig_hurry(&rig, 50000);
    assert_int_equal(rig.close_code, 0);
    rig_say(&rig, "{\"type\":\"response.done\"}");
    rig_hurry(&rig, SESSION_DRAIN_LOOK_MS);
    assert_int_equal(rig.close_code, 0);
    usleep(SESSION_CALM_MS * 1000);
    rig_hurry(&rig, SESSION_DRAIN_LOOK_MS);
    assert_int_equal(rig.close_code, 1001);
    assert_string_equal(rig.close_reason, "the gateway is shutting down");
    assert_true(rig.ended);
    assert_true(rig.model.closing);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=drained code=1001");
    rig_stop(&rig);
}

/* A client that has no session.created yet waits for one. */
static void
test_starting_is_not_calm(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    drain_tell(&rig, "drain 2000");
    usleep(1100 * 1000);
    rig_turn(&rig);
    assert_state(&rig, "draining");
    rig_say(&rig, CREATED);
    usleep(150 * 1000);
    rig_turn(&rig);
    assert_int_equal(rig.close_code, 1001);
    rig_stop(&rig);
}

/* What the model has not taken waits: that is not calm. */
static void
test_queued_is_not_calm(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig.model.send_result = UV_EAGAIN;
    rig_send(&rig, APPEND);
    drain_tell(&rig, "drain 0");
    usleep(150 * 1000);
    rig_turn(&rig);
    assert_int_equal(rig.close_code, 0);
    rig.model.send_result = 0;
    rig.model.handlers->on_writable(rig.model.arg);
    usleep(150 * 1000);
    rig_turn(&rig);
    assert_int_equal(rig.close_code, 1001);
    rig_stop(&rig);
}

/* NGINX goes first; should it not, the session ends all the same. */
static void
test_over_without_calm(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig_say(&rig, "{\"type\":\"response.created\"}");
    drain_tell(&rig, "drain 0");
    usleep((SESSION_DRAIN_GRACE_MS - 200) * 1000);
    rig_turn(&rig);
    assert_int_equal(rig.close_code, 0);
    for (int i = 0; i < 4; i++) {
        usleep(100 * 1000);
        rig_turn(&rig);
    }
    assert_int_equal(rig.close_code, 1001);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=drained code=1001");
    rig_stop(&rig);
}

static void
test_closed_by_nginx(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig_say(&rig, "{\"type\":\"response.created\"}");
    drain_tell(&rig, "drain 60000");
    rig_client_close(&rig, 1001);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=drained code=1001");
    rig_stop(&rig);
}

/* The same code from a client whose gateway goes nowhere. */
static void
test_closed_by_client(void **state)
{
    struct rig rig;

    (void) state;
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    rig_client_close(&rig, 1001);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=client_closed code=1001");
    rig_stop(&rig);
    rig_start(&rig, "");
    rig_say(&rig, CREATED);
    drain_tell(&rig, "drain 60000");
    rig_client_close(&rig, 1000);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=client_closed code=1000");
    rig_stop(&rig);
}

static void
test_echo_is_calm_when_quiet(void **state)
{
    struct rig rig;

    (void) state;
    rig_start_echo(&rig);
    drain_tell(&rig, "drain 2000");
    drain_tell(&rig, "drain 2000");
    for (int i = 0; i < 25; i++) { /* to 1250 ms: looked at since 1000 */
        rig_send(&rig, "talk");
        usleep(50 * 1000);
    }
    assert_int_equal(rig.close_code, 0);
    for (int i = 0; i < 12; i++) {
        usleep(100 * 1000);
        rig_turn(&rig);
        assert_true(i > 7 || rig.close_code == 0);
    }
    assert_int_equal(rig.close_code, 1001);
    assert_int_equal(rig.got.count, 25);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=drained code=1001");
    rig_stop(&rig);
}

static void
test_echo_closed_by_nginx(void **state)
{
    struct rig rig;

    (void) state;
    rig_start_echo(&rig);
    drain_tell(&rig, "drain 60000");
    rig_client_close(&rig, 1001);
    rig_wait_end(&rig);
    assert_logged(&rig, "ended=drained code=1001");
    rig_stop(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calm),
        cmocka_unit_test(test_calm_comes_late),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_goes_on_until_a_calm_moment),
        cmocka_unit_test(test_starting_is_not_calm),
        cmocka_unit_test(test_queued_is_not_calm),
        cmocka_unit_test(test_over_without_calm),
        cmocka_unit_test(test_closed_by_nginx),
        cmocka_unit_test(test_closed_by_client),
        cmocka_unit_test(test_echo_is_calm_when_quiet),
        cmocka_unit_test(test_echo_closed_by_nginx),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
