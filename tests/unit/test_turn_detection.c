/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/turn_detection.h"

#include "codec/client_filter.h"
#include "codec/session_opening.h"
#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define SERVER(threshold, padding, silence, idle, create, interrupt)           \
    "{'create_response':" create ",'idle_timeout_ms':" idle                    \
    ",'interrupt_response':" interrupt ",'prefix_padding_ms':" padding         \
    ",'silence_duration_ms':" silence ",'threshold':" threshold                \
    ",'type':'server_vad'}"
#define SEMANTIC(eagerness, create, interrupt)                                 \
    "{'create_response':" create ",'eagerness':'" eagerness                    \
    "','interrupt_response':" interrupt ",'type':'semantic_vad'}"

#define QUIET  SERVER("0.3", "300", "400", "null", "true", "true")
#define NORMAL SERVER("0.5", "300", "500", "null", "true", "true")
#define NOISY  SERVER("0.7", "300", "800", "null", "true", "true")
#define AUTO   SEMANTIC("auto", "true", "true")

#define POLICY(mode, threshold, silence)                                       \
    "{\"vad\":{\"mode\":\"" mode "\",\"threshold\":" threshold                 \
    ",\"silence_ms\":" silence ",\"min_speech_ms\":100}}"

static const char quiet[] = POLICY("server", "0.3", "400");
static const char noisy[] = POLICY("server", "0.7", "800");
static const char semantic[] = POLICY("semantic", "0.5", "500");
static const char off[] = POLICY("off", "0.5", "500");

/* Of text with ' for ". */
static json_t *
json_of(const char *text)
{
    char *copy = strdup(text);
    json_t *json;

    for (char *p = copy; *p; p++)
        if (*p == '\'')
            *p = '"';
    json = json_loads(copy, JSON_DECODE_ANY, NULL);
    if (json == NULL)
        fail_msg("%s", text);
    free(copy);
    return json;
}

static json_t *
session_of(const char *type, const char *turn)
{
    json_t *session = json_pack("{s:{s:{s:o}}}", "audio", "input",
                                "turn_detection", json_of(turn));

    if (type)
        json_object_set_new(session, "type", json_string(type));
    return session;
}

static json_t *
turn_of(const json_t *session)
{
    return json_object_get(
        json_object_get(json_object_get(session, "audio"), "input"),
        "turn_detection");
}

/* Sorted keys, ' for ". */
static void
assert_turn(const json_t *session, const char *wanted)
{
    const json_t *turn = turn_of(session);
    char *text =
        json_dumps(turn, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY
                             | JSON_REAL_PRECISION(15));

    for (char *p = text; p && *p; p++)
        if (*p == '"')
            *p = '\'';
    assert_string_equal(text ? text : "(none)", wanted);
    free(text);
}

static void
test_names(void **state)
{
    static const char *const rows[][2] = {{"quiet", QUIET},
                                          {"normal", NORMAL},
                                          {"noisy", NOISY},
                                          {"semantic", AUTO},
                                          {"off", "null"}};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *session =
            json_pack("{s:{s:{s:o}}}", "audio", "input", "turn_detection",
                      turn_detection_named(rows[i][0]));

        assert_string_equal(turn_detection_name(rows[i][0]), rows[i][0]);
        assert_turn(session, rows[i][1]);
        json_decref(session);
    }
    assert_null(turn_detection_named(""));
    assert_null(turn_detection_named("Quiet"));
    assert_null(turn_detection_name("server"));
}

static void
test_complete(void **state)
{
    static const struct {
        const char *policy, *type, *said, *wanted;
    } rows[] = {
        /* no preset: R2.1's normal one */
        {"", "realtime", "{'type':'server_vad'}", NORMAL},
        {"", NULL, "{'type':'server_vad','threshold':0.6}",
         SERVER("0.6", "300", "500", "null", "true", "true")},
        {"", "realtime", "{'type':'semantic_vad'}", AUTO},
        {"", "realtime", "{'type':'semantic_vad','eagerness':'low'}",
         SEMANTIC("low", "true", "true")},
        /* the preset of the place */
        {quiet, "realtime", "{'type':'server_vad','threshold':0.6}",
         SERVER("0.6", "300", "400", "null", "true", "true")},
        {noisy, "realtime", "{'interrupt_response':false,'type':'server_vad'}",
         SERVER("0.7", "300", "800", "null", "true", "false")},
        {noisy, "realtime", "{'type':'semantic_vad','create_response':false}",
         SEMANTIC("auto", "false", "true")},
        /* a preset of another kind, or none */
        {semantic, "realtime", "{'type':'server_vad'}", NORMAL},
        {off, "realtime", "{'type':'server_vad'}", NORMAL},
        /* the client's word counts, right or wrong */
        {noisy, "realtime",
         "{'type':'server_vad','threshold':7,'silence_duration_ms':'x',"
         "'idle_timeout_ms':6000,'create_response':null,'new':1}",
         "{'create_response':null,'idle_timeout_ms':6000,"
         "'interrupt_response':true,'new':1,'prefix_padding_ms':300,"
         "'silence_duration_ms':'x','threshold':7,'type':'server_vad'}"},
        /* off, and what only the model can judge */
        {noisy, "realtime", "null", "null"},
        {noisy, "realtime", "'server_vad'", "'server_vad'"},
        {noisy, "realtime", "[]", "[]"},
        {noisy, "realtime", "{}", "{}"},
        {noisy, "realtime", "{'threshold':0.6}", "{'threshold':0.6}"},
        {noisy, "realtime", "{'type':'azure_vad','x':1}",
         "{'type':'azure_vad','x':1}"},
        {noisy, "realtime", "{'type':7}", "{'type':7}"},
        /* one that makes no answers */
        {noisy, "transcription", "{'type':'server_vad','threshold':0.6}",
         "{'prefix_padding_ms':300,'silence_duration_ms':800,"
         "'threshold':0.6,'type':'server_vad'}"},
        {"", "transcription", "{'type':'semantic_vad'}",
         "{'eagerness':'auto','type':'semantic_vad'}"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct policy *policy = policy_of(rows[i].policy);
        struct turn_detection t = {0};
        json_t *session = session_of(rows[i].type, rows[i].said);

        assert_int_equal(turn_detection_complete(NULL, policy, session), 0);
        assert_turn(session, rows[i].wanted);
        json_decref(session);
        session = session_of(rows[i].type, rows[i].said);
        assert_int_equal(turn_detection_complete(&t, policy, session), 0);
        assert_turn(session, rows[i].wanted);
        json_decref(session);
        turn_detection_deinit(&t);
        policy_put(&policy);
    }
    policy_cache_clear();
}

/* No turn detection in it: nothing is touched. */
static void
test_none(void **state)
{
    static const char *const rows[] = {
        "{}", "{\"audio\":7}", "{\"audio\":{\"input\":null}}",
        "{\"audio\":{\"input\":{\"format\":{\"type\":\"audio/pcmu\"}}}}", "[]"};
    const struct policy *policy = policy_of(noisy);
    struct turn_detection t = {0};

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *session = json_loads(rows[i], 0, NULL);
        char *text;

        assert_int_equal(turn_detection_complete(&t, policy, session), 0);
        text = json_dumps(session, JSON_COMPACT);
        assert_string_equal(text, rows[i]);
        free(text);
        json_decref(session);
    }
    assert_int_equal(turn_detection_complete(&t, policy, NULL), 0);
    turn_detection_shown(&t, NULL);
    assert_int_equal(turn_detection_told(&t, NULL), 0);
    turn_detection_deinit(&t);
    policy_put(&policy);
    policy_cache_clear();
}

/* --- what a session was told before */

struct talk {
    struct turn_detection t;
    const struct policy *policy;
};

static void
say(struct talk *talk, const char *turn, const char *wanted)
{
    json_t *session = session_of("realtime", turn);

    assert_int_equal(turn_detection_complete(&talk->t, talk->policy, session),
                     0);
    assert_turn(session, wanted);
    json_decref(session);
}

static void
shown(struct talk *talk, const char *turn)
{
    json_t *session = session_of("realtime", turn);

    turn_detection_shown(&talk->t, session);
    json_decref(session);
}

static void
test_later_updates(void **state)
{
    static const char both[] =
        SERVER("0.6", "300", "900", "null", "true", "true");
    struct talk talk = {.policy = policy_of("")};

    (void) state;
    /* a model's own values are nothing to build upon */
    shown(&talk, SERVER("0.5", "300", "200", "null", "true", "true"));
    say(&talk, "{'type':'server_vad','silence_duration_ms':900}",
        SERVER("0.5", "300", "900", "null", "true", "true"));
    /* before the model has answered, and after */
    say(&talk, "{'type':'server_vad','threshold':0.6}", both);
    shown(&talk, SERVER("0.5", "300", "900", "null", "true", "true"));
    say(&talk, "{'type':'server_vad'}", both);
    shown(&talk, both);
    shown(&talk, both);
    say(&talk, "{'threshold':0.4}",
        "{'create_response':true,'idle_timeout_ms':null,"
        "'interrupt_response':true,'prefix_padding_ms':300,"
        "'silence_duration_ms':900,'threshold':0.4,'type':'server_vad'}");
    /* the model refused it */
    turn_detection_failed(&talk.t);
    say(&talk, "{'type':'server_vad'}", both);
    shown(&talk, both);
    /* another kind, off, and back: nothing of before */
    say(&talk, "{'type':'semantic_vad'}", AUTO);
    shown(&talk, AUTO);
    say(&talk, "{'eagerness':'high'}", SEMANTIC("high", "true", "true"));
    shown(&talk, SEMANTIC("high", "true", "true"));
    say(&talk, "null", "null");
    say(&talk, "{'type':'server_vad'}", NORMAL);
    shown(&talk, "null");
    shown(&talk, NORMAL);
    turn_detection_deinit(&talk.t);
    policy_put(&talk.policy);
    policy_cache_clear();
}

static void
test_after_the_opening(void **state)
{
    struct talk talk = {.policy = policy_of(quiet)};
    json_t *session = session_of(
        "realtime", SERVER("0.2", "300", "450", "null", "true", "true"));

    (void) state;
    assert_int_equal(turn_detection_told(&talk.t, session), 0);
    json_decref(session);
    say(&talk, "{'type':'server_vad','threshold':0.9}",
        SERVER("0.9", "300", "450", "null", "true", "true"));
    turn_detection_deinit(&talk.t);
    policy_put(&talk.policy);
    policy_cache_clear();
}

/* --- where it is used */

static json_t *
opening(const char *policy_changes, const char *bound, const char *vad)
{
    const struct policy *policy = policy_of(policy_changes);
    json_t *said = bound ? json_of(bound) : NULL;
    char *text = said ? json_dumps(said, JSON_COMPACT) : NULL;
    json_t *settings = NULL;

    assert_int_equal(session_opening_settings(&settings, policy, text), 0);
    assert_int_equal(session_opening_vad(&settings, vad), 0);
    free(text);
    json_decref(said);
    policy_put(&policy);
    policy_cache_clear();
    return settings;
}

static void
test_openings(void **state)
{
    static const char bound[] = "{'type':'realtime','audio':{'input':{"
                                "'turn_detection':{'type':'server_vad',"
                                "'threshold':0.6}}}}";
    static const char bound_semantic[] =
        "{'type':'realtime','audio':{'input':{'turn_detection':{'type':"
        "'semantic_vad'}}}}";
    static const struct {
        const char *policy, *bound, *vad, *wanted;
    } rows[] = {
        {quiet, NULL, NULL, QUIET},
        {noisy, NULL, NULL, NOISY},
        {semantic, NULL, NULL, AUTO},
        {off, NULL, NULL, "null"},
        {"", bound, NULL, SERVER("0.6", "300", "500", "null", "true", "true")},
        {noisy, bound, NULL,
         SERVER("0.6", "300", "800", "null", "true", "true")},
        {noisy, bound_semantic, NULL, AUTO},
        {"", NULL, "noisy", NOISY},
        {"", NULL, "off", "null"},
        {noisy, NULL, "semantic", AUTO},
        {semantic, bound, "quiet", QUIET},
        {noisy, bound_semantic, "off", "null"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *settings = opening(rows[i].policy, rows[i].bound, rows[i].vad);

        assert_turn(settings, rows[i].wanted);
        assert_string_equal(
            json_string_value(json_object_get(settings, "type")), "realtime");
        json_decref(settings);
    }
    json_t *none = NULL;
    assert_int_equal(session_opening_vad(&none, "loud"), UV_EINVAL);
    assert_null(none);
}

/* What a transcription is told has nothing of answers. */
static void
test_fit(void **state)
{
    json_t *settings = opening(noisy, NULL, NULL);
    json_t *session = json_pack("{s:s}", "type", "transcription");

    (void) state;
    assert_int_equal(session_opening_fit(&settings, session), 0);
    assert_turn(settings, "{'prefix_padding_ms':300,'silence_duration_ms':800,"
                          "'threshold':0.7,'type':'server_vad'}");
    json_decref(settings);
    json_decref(session);
}

static void
test_filter(void **state)
{
    static const struct {
        const char *policy, *in, *out;
    } rows[] = {
        {"",
         "{\"type\":\"session.update\",\"session\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"semantic_vad\"},\"x\":1}}}}",
         "{\"type\":\"session.update\",\"session\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"semantic_vad\",\"eagerness\":\"auto\","
         "\"create_response\":true,\"interrupt_response\":true},\"x\":1}}}}"},
        {"{\"client_update\":\"deny\"}",
         "{\"type\":\"session.update\",\"session\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"server_vad\",\"threshold\":0.7}}}}}",
         "{\"type\":\"session.update\",\"session\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"server_vad\",\"threshold\":0.7,"
         "\"prefix_padding_ms\":300,\"silence_duration_ms\":500,"
         "\"idle_timeout_ms\":null,\"create_response\":true,"
         "\"interrupt_response\":true}}}}}"},
        /* without one the text is what it was */
        {"",
         "{\"type\":\"session.update\",\"event_id\":\"e\",\"session\":{\"type\""
         ":\"realtime\",\"audio\":{\"output\":{\"speed\":0.7}}}}",
         NULL},
        {"", "{\"type\":\"session.update\",\"session\":7}", NULL},
        {"",
         "{\"type\":\"response.create\",\"response\":{\"audio\":{\"input\":{"
         "\"turn_detection\":{\"type\":\"server_vad\"}}}}}",
         NULL},
    };

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct policy *policy = policy_of(rows[i].policy);
        struct turn_detection t = {0};
        struct client_filter f = {.policy = policy, .model = "m", .turns = &t};
        struct realtime_peek peek;
        size_t bytes = strlen(rows[i].in);

        assert_int_equal(realtime_peek(rows[i].in, bytes, &peek),
                         REALTIME_SOUND);
        assert_int_equal(client_filter_apply(&f, &peek, rows[i].in, bytes), 0);
        assert_string_equal(f.text, rows[i].out ? rows[i].out : rows[i].in);
        free(f.text);
        turn_detection_deinit(&t);
        policy_put(&policy);
    }
    policy_cache_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_later_updates),
        cmocka_unit_test(test_after_the_opening),
        cmocka_unit_test(test_openings),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_filter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
