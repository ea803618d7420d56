/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/session_merge.h"

#include "codec/session_opening.h"
#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

static const struct {
    const char *session;
    const char *patch;
    const char *wanted;
} merges[] = {
    {"{}", "{}", "{}"},
    {"{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}"},
    {"{\"a\":1}", "{\"a\":null}", "{\"a\":null}"},
    {"{\"a\":{\"x\":1,\"y\":2}}", "{\"a\":{\"y\":3}}",
     "{\"a\":{\"x\":1,\"y\":3}}"},
    {"{\"a\":null}", "{\"a\":{\"y\":3}}", "{\"a\":{\"y\":3}}"},
    {"{\"a\":{\"y\":3}}", "{\"a\":null}", "{\"a\":null}"},
    {"{\"a\":[1,2]}", "{\"a\":[3]}", "{\"a\":[3]}"},
    {"{\"tools\":[{\"name\":\"f\"}]}", "{\"tools\":[]}", "{\"tools\":[]}"},
    {"{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\","
     "\"threshold\":0.5}}}}",
     "{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"semantic_vad\"}}}}",
     "{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"semantic_vad\"}}}"
     "}"},
    {"{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\","
     "\"threshold\":0.5}}}}",
     "{\"audio\":{\"input\":{\"turn_detection\":{\"threshold\":0.75}}}}",
     "{\"audio\":{\"input\":{\"turn_detection\":{\"type\":\"server_vad\","
     "\"threshold\":0.75}}}}"},
    {"{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/"
     "pcm\",\"rate\":24000}"
     ",\"voice\":\"ash\"}}}",
     "{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcmu\"}}}}",
     "{\"audio\":{\"output\":{\"format\":{\"type\":\"audio/pcmu\"},\"voice\":"
     "\"ash\"}}}"},
    {"{\"tool_choice\":\"auto\"}",
     "{\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}",
     "{\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"}}"},
    {"{\"prompt\":{\"id\":\"a\",\"version\":\"1\"}}",
     "{\"prompt\":{\"id\":\"b\"}}", "{\"prompt\":{\"id\":\"b\"}}"},
    {"{\"type\":\"realtime\",\"x\":1}", "{\"type\":\"transcription\"}",
     "{\"type\":\"transcription\",\"x\":1}"},
};

static void
assert_json(const json_t *got, const char *wanted)
{
    char *text = json_dumps(got, JSON_COMPACT);

    assert_string_equal(text, wanted);
    free(text);
}

static void
test_merge(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(merges) / sizeof(merges[0]); i++) {
        json_t *session = json_loads(merges[i].session, 0, NULL);
        json_t *patch = json_loads(merges[i].patch, 0, NULL);
        assert_int_equal(session_merge(session, patch), 0);
        assert_json(session, merges[i].wanted);
        assert_json(patch, merges[i].patch);
        json_decref(session);
        json_decref(patch);
    }
}

/* What was laid in may be changed without changing where it came from. */
static void
test_merge_copies(void **state)
{
    json_t *session = json_object();
    json_t *patch = json_loads("{\"a\":{\"b\":1}}", 0, NULL);
    json_t *more = json_loads("{\"a\":{\"b\":2}}", 0, NULL);

    (void) state;
    assert_int_equal(session_merge(session, patch), 0);
    assert_int_equal(session_merge(session, more), 0);
    assert_json(patch, "{\"a\":{\"b\":1}}");
    json_decref(session);
    json_decref(patch);
    json_decref(more);
}

static const struct {
    const char *policy;
    const char *bound;
    const char *wanted; /* NULL: nothing to tell */
} openings[] = {
    {"", NULL, NULL},
    {"{\"voice\":\"ash\"}", NULL,
     "{\"type\":\"realtime\",\"audio\":{\"output\":{\"voice\":\"ash\"}}}"},
    {"{\"instructions\":\"P\"}", NULL,
     "{\"type\":\"realtime\",\"instructions\":\"P\"}"},
    {"", "{}", "{\"type\":\"realtime\"}"},
    {"",
     "{\"id\":\"sess_1\",\"object\":\"realtime.session\",\"model\":\"m\","
     "\"expires_at\":0,\"output_modalities\":[\"text\"],\"tools\":[],"
     "\"instructions\":\"B\",\"type\":\"realtime\"}",
     "{\"type\":\"realtime\",\"instructions\":\"B\",\"tools\":[],"
     "\"output_modalities\":[\"text\"]}"},
    {"{\"client_update\":\"allow\",\"instructions\":\"P\",\"voice\":\"ash\"}",
     "{\"instructions\":\"B\",\"audio\":{\"output\":{\"speed\":1.5}}}",
     "{\"type\":\"realtime\",\"instructions\":\"B\",\"audio\":{\"output\":"
     "{\"voice\":\"ash\",\"speed\":1.5}}}"},
    {"{\"client_update\":\"merge\",\"instructions\":\"P\"}",
     "{\"instructions\":\"B\"}",
     "{\"type\":\"realtime\",\"instructions\":\"P\\n\\nB\"}"},
    {"{\"client_update\":\"merge\",\"instructions\":\"P\"}",
     "{\"instructions\":\"\"}",
     "{\"type\":\"realtime\",\"instructions\":\"P\"}"},
    {"{\"client_update\":\"deny\",\"instructions\":\"P\",\"voice\":\"ash\"}",
     "{\"instructions\":\"B\",\"tools\":[{\"name\":\"f\"}],\"audio\":{"
     "\"output\""
     ":{\"voice\":\"marin\",\"speed\":1.5}}}",
     "{\"type\":\"realtime\",\"instructions\":\"P\",\"tools\":[{\"name\":\"f\"}"
     "]"
     ",\"audio\":{\"output\":{\"voice\":\"ash\",\"speed\":1.5}}}"},
};

static void
test_opening(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        const struct policy *policy = policy_of(openings[i].policy);
        json_t *settings = NULL;
        assert_int_equal(
            session_opening_settings(&settings, policy, openings[i].bound), 0);
        if (openings[i].wanted)
            assert_json(settings, openings[i].wanted);
        else
            assert_null(settings);
        json_decref(settings);
        policy_put(&policy);
    }
}

static const struct {
    const char *settings, *session, *wanted; /* NULL: nothing is left */
} fits[] = {
    {"{\"type\":\"realtime\",\"instructions\":\"P\"}",
     "{\"type\":\"realtime\"}",
     "{\"type\":\"realtime\",\"instructions\":\"P\"}"},
    {"{\"type\":\"realtime\",\"instructions\":\"P\",\"audio\":{"
     "\"input\":{\"turn_detection\":null},\"output\":{\"voice\":\"a\"}}}",
     "{\"type\":\"transcription\"}",
     "{\"type\":\"transcription\",\"audio\":{\"input\":{"
     "\"turn_detection\":null}}}"},
    {"{\"type\":\"realtime\",\"include\":[]}", "{\"type\":\"transcription\"}",
     "{\"type\":\"transcription\",\"include\":[]}"},
    {"{\"type\":\"realtime\",\"tools\":[]}", "{\"type\":\"transcription\"}",
     NULL},
};

static void
test_opening_fit(void **state)
{
    json_t *none = NULL;

    (void) state;
    assert_int_equal(session_opening_fit(&none, NULL), 0);
    for (size_t i = 0; i < sizeof(fits) / sizeof(fits[0]); i++) {
        json_t *settings = json_loads(fits[i].settings, 0, NULL);
        json_t *session = json_loads(fits[i].session, 0, NULL);
        assert_int_equal(session_opening_fit(&settings, session), 0);
        if (fits[i].wanted)
            assert_json(settings, fits[i].wanted);
        else
            assert_null(settings);
        json_decref(settings);
        json_decref(session);
    }
}

static void
test_opening_bad(void **state)
{
    static const char *const bad[] = {"", "[]", "7", "{",
                                      "{\"tools\":[],\"tools\":[1]}"};
    const struct policy *policy = policy_of("");
    json_t *settings = NULL;

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(session_opening_settings(&settings, policy, bad[i]),
                         UV_EINVAL);
    char *much = calloc(1, SESSION_OPENING_BOUND_MAX + 2);
    memset(much, ' ', SESSION_OPENING_BOUND_MAX + 1);
    assert_int_equal(session_opening_settings(&settings, policy, much),
                     UV_EINVAL);
    free(much);
    policy_put(&policy);
}

/* The session part of the update as bytes. */
static char *
update_session(const char *policy_text, const char *bound, const char *event_id)
{
    const struct policy *policy = policy_of(policy_text);
    json_t *settings = NULL;

    assert_int_equal(session_opening_settings(&settings, policy, bound), 0);
    char *update = session_opening_update(settings, event_id);
    char *session = strdup(strstr(update, "\"session\":"));
    json_decref(settings);
    free(update);
    policy_put(&policy);
    policy_cache_clear();
    return session;
}

/* R6.4: a provider's prompt cache wants the same bytes from session to session,
 * whatever the order in which the bound session was written. */
static void
test_prefix_is_stable(void **state)
{
    static const char policy[] =
        "{\"client_update\":\"merge\",\"instructions\":\"P\",\"voice\":\"ash\","
        "\"vad\":{\"mode\":\"server\",\"threshold\":0.5,\"silence_ms\":500,"
        "\"min_speech_ms\":100}}";
    static const char *const bounds[] = {
        "{\"tools\":[{\"name\":\"f\"}],\"instructions\":\"B\"}",
        "{\"instructions\":\"B\",\"tools\":[{\"name\":\"f\"}]}"};
    char *first = update_session(policy, NULL, "sess_a");

    (void) state;
    for (int i = 0; i < 20; i++) {
        char *again = update_session(policy, NULL, i % 2 ? "sess_b" : "c");
        assert_string_equal(again, first);
        free(again);
    }
    char *one = update_session(policy, bounds[0], "sess_a");
    char *other = update_session(policy, bounds[1], "sess_b");
    assert_string_equal(one, other);
    assert_memory_equal(one,
                        "\"session\":{\"type\":\"realtime\",\"instructions\":"
                        "\"P\\n\\nB\",\"tools\":[",
                        strlen("\"session\":{\"type\":\"realtime\","
                               "\"instructions\":\"P\\n\\nB\",\"tools\":["));
    /* What the policy says is the beginning of what both say. */
    const char *shared = "\"session\":{\"type\":\"realtime\",\"instructions\":"
                         "\"P";
    assert_memory_equal(first, shared, strlen(shared));
    assert_memory_equal(one, shared, strlen(shared));
    free(first);
    free(one);
    free(other);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_copies),
        cmocka_unit_test(test_opening),
        cmocka_unit_test(test_opening_fit),
        cmocka_unit_test(test_opening_bad),
        cmocka_unit_test(test_prefix_is_stable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
