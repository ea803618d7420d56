/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/policy.h"

#include "kit/policy_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static void
test_defaults(void **state)
{
    const struct policy *p = policy_of("");

    (void) state;
    assert_string_equal(p->model, "gpt-realtime");
    assert_int_equal(p->models.count, 1);
    assert_null(p->voice);
    assert_null(p->instructions);
    assert_int_equal(p->vad.mode, POLICY_VAD_UNSET);
    assert_false(p->opus.on);
    assert_false(p->context.on);
    assert_int_equal(p->buffer, POLICY_BUFFER_BALANCED);
    assert_int_equal(p->client_update, POLICY_UPDATE_ALLOW);
    assert_true(p->transcript);
    assert_false(policy_sets_session(p));
    policy_put(&p);
    assert_null(p);
    policy_put(&p);
}

static void
test_every_field(void **state)
{
    const struct policy *p = policy_of(
        "{\"upstream\":[\"a\",\"b\"],\"voice\":\"marin\",\"instructions\":"
        "\"Be brief.\",\"vad\":{\"mode\":\"server\",\"threshold\":0.3,"
        "\"silence_ms\":400,\"min_speech_ms\":100},\"opus\":{\"bitrate\":32000,"
        "\"ptime\":20,\"fec\":true,\"dtx\":true,\"complexity\":5},\"buffer\":"
        "\"conservative\",\"context\":{\"turns\":20,\"tokens\":8000,"
        "\"summarize_to\":10,\"tool_results\":5},\"tools\":\"all\","
        "\"http_tools\":[\"grep\"],\"transcription\":\"whisper-1\","
        "\"client_update\":\"merge\",\"web_app\":true,\"auth_seen\":true}");

    (void) state;
    assert_string_equal(p->upstream.items[1], "b");
    assert_string_equal(p->voice, "marin");
    assert_string_equal(p->instructions, "Be brief.");
    assert_int_equal(p->vad.mode, POLICY_VAD_SERVER);
    assert_true(p->vad.threshold > 0.29 && p->vad.threshold < 0.31);
    assert_int_equal(p->vad.silence_ms, 400);
    assert_int_equal(p->vad.min_speech_ms, 100);
    assert_true(p->opus.on && p->opus.fec && p->opus.dtx);
    assert_int_equal(p->opus.bitrate, 32000);
    assert_int_equal(p->opus.ptime_ms, 20);
    assert_int_equal(p->opus.complexity, 5);
    assert_int_equal(p->buffer, POLICY_BUFFER_CONSERVATIVE);
    assert_true(p->context.on);
    assert_int_equal(p->context.turns, 20);
    assert_int_equal(p->context.tokens, 8000);
    assert_int_equal(p->context.summarize_to, 10);
    assert_int_equal(p->context.tool_results, 5);
    assert_true(policy_names_have(&p->tools, "anything"));
    assert_true(policy_names_have(&p->http_tools, "grep"));
    assert_false(policy_names_have(&p->http_tools, "bash"));
    assert_string_equal(p->transcription, "whisper-1");
    assert_int_equal(p->client_update, POLICY_UPDATE_MERGE);
    assert_true(p->web_app && p->auth_seen);
    assert_true(policy_sets_session(p));
    policy_put(&p);
}

/* What the error must begin with. */
static const struct {
    const char *changes;
    const char *error;
} bad[] = {
    {"{\"v\":2}", "v:"},
    {"{\"v\":\"-\"}", "v: missing"},
    {"{\"model\":7}", "model:"},
    {"{\"model\":\"\"}", "model:"},
    {"{\"models\":{}}", "models:"},
    {"{\"models\":[7]}", "models:"},
    {"{\"models\":[\"\"]}", "models:"},
    {"{\"upstream\":null}", "upstream:"},
    {"{\"voice\":[]}", "voice:"},
    {"{\"voice\":\"-\"}", "voice: missing"},
    {"{\"vad\":{}}", "vad:"},
    {"{\"vad\":\"server\"}", "vad:"},
    {"{\"vad\":{\"mode\":\"loud\",\"threshold\":0.5,\"silence_ms\":1,"
     "\"min_speech_ms\":1}}",
     "mode:"},
    {"{\"vad\":{\"mode\":\"off\",\"threshold\":2,\"silence_ms\":1,"
     "\"min_speech_ms\":1}}",
     "threshold:"},
    {"{\"vad\":{\"mode\":\"off\",\"threshold\":1,\"silence_ms\":-1,"
     "\"min_speech_ms\":1}}",
     "silence_ms:"},
    {"{\"vad\":{\"mode\":\"off\",\"threshold\":1,\"silence_ms\":1,"
     "\"more\":1}}",
     "min_speech_ms:"},
    {"{\"opus\":{\"bitrate\":1,\"ptime\":1,\"fec\":1,\"dtx\":true,"
     "\"complexity\":1}}",
     "fec:"},
    {"{\"buffer\":\"huge\"}", "buffer:"},
    {"{\"context\":{\"turns\":1.5,\"tokens\":1,\"summarize_to\":1,"
     "\"tool_results\":1}}",
     "turns:"},
    {"{\"tools\":\"some\"}", "tools:"},
    {"{\"tools\":\"-\"}", "tools: missing"},
    {"{\"transcript\":null}", "transcript:"},
    {"{\"client_update\":\"maybe\"}", "client_update:"},
    {"{\"web_app\":0}", "web_app:"},
    {"{\"novelty\":1}", "policy:"},
};

static void
test_bad(void **state)
{
    char error[POLICY_ERROR_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct policy *p = NULL;
        char *text = policy_text(bad[i].changes);
        int result = policy_get(&p, text, error);
        free(text);
        if (result != UV_EINVAL || p
            || strncmp(error, bad[i].error, strlen(bad[i].error)) != 0)
            fail_msg("%s: %d %s", bad[i].changes, result, error);
    }
    static const char *const texts[] = {"", "[]", "{", "{\"v\":1,\"v\":1}"};
    for (size_t i = 0; i < 4; i++) {
        const struct policy *p = NULL;
        assert_int_equal(policy_get(&p, texts[i], error), UV_EINVAL);
    }
    char *huge = malloc(POLICY_TEXT_MAX + 2);
    memset(huge, ' ', POLICY_TEXT_MAX + 1);
    huge[POLICY_TEXT_MAX + 1] = 0;
    const struct policy *p = NULL;
    assert_int_equal(policy_get(&p, huge, error), UV_EINVAL);
    assert_string_equal(error, "policy: too long");
    free(huge);
}

static void
test_cache(void **state)
{
    const struct policy *a = policy_of("{\"voice\":\"a\"}");
    const struct policy *b = policy_of("{\"voice\":\"b\"}");
    const struct policy *again = policy_of("{\"voice\":\"a\"}");

    (void) state;
    assert_ptr_equal(a, again);
    assert_ptr_not_equal(a, b);
    /* Pushed out of the cache it lives on with its holders. */
    for (int i = 0; i < POLICY_CACHE_MAX + 5; i++) {
        char changes[64];
        snprintf(changes, sizeof(changes), "{\"voice\":\"v%d\"}", i);
        const struct policy *p = policy_of(changes);
        policy_put(&p);
    }
    assert_string_equal(a->voice, "a");
    policy_put(&a);
    assert_string_equal(again->voice, "a");
    const struct policy *fresh = policy_of("{\"voice\":\"a\"}");
    assert_ptr_not_equal(fresh, again);
    const struct policy *more = policy_ref(fresh);
    policy_put(&fresh);
    policy_cache_clear();
    assert_string_equal(more->voice, "a");
    policy_put(&more);
    policy_put(&again);
    policy_put(&b);
}

static void *
cache_user(void *arg)
{
    for (int i = 0; i < 2000; i++) {
        char error[POLICY_ERROR_BYTES];
        const struct policy *p = NULL;
        char **texts = arg;
        if (policy_get(&p, texts[i % 3], error))
            abort();
        policy_put(&p);
    }
    return NULL;
}

static void
test_cache_threads(void **state)
{
    char *texts[3] = {policy_text(""), policy_text("{\"voice\":\"x\"}"),
                      policy_text("{\"voice\":\"y\"}")};
    pthread_t threads[4];

    (void) state;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, cache_user, texts);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        free(texts[i]);
    policy_cache_clear();
}

static void
test_model(void **state)
{
    const struct policy *p =
        policy_of("{\"model\":\"m1\",\"models\":[\"m1\",\"m2\"]}");
    const struct policy *free_p = policy_of("{\"model\":null,\"models\":[]}");
    const char *name = NULL;

    (void) state;
    assert_int_equal(policy_model(p, NULL, &name), 0);
    assert_string_equal(name, "m1");
    assert_int_equal(policy_model(p, "m2", &name), 0);
    assert_string_equal(name, "m2");
    assert_int_equal(policy_model(p, "m3", &name), UV_ENOENT);
    assert_int_equal(policy_model(free_p, "m3", &name), 0);
    assert_string_equal(name, "m3");
    assert_int_equal(policy_model(free_p, "", &name), UV_EINVAL);
    policy_put(&p);
    policy_put(&free_p);
}

static const struct {
    const char *changes;
    const char *session;
} updates[] = {
    {"{\"voice\":\"marin\"}",
     "{\"type\":\"realtime\",\"audio\":{\"output\":{\"voice\":\"marin\"}}}"},
    {"{\"instructions\":\"Hi\"}",
     "{\"type\":\"realtime\",\"instructions\":\"Hi\"}"},
    {"{\"vad\":{\"mode\":\"off\",\"threshold\":0.5,\"silence_ms\":500,"
     "\"min_speech_ms\":100},\"transcription\":\"w\"}",
     "{\"type\":\"realtime\",\"audio\":{\"input\":{\"transcription\":"
     "{\"model\":\"w\"},\"turn_detection\":null}}}"},
    {"{\"vad\":{\"mode\":\"semantic\",\"threshold\":0.5,\"silence_ms\":500,"
     "\"min_speech_ms\":100}}",
     "{\"type\":\"realtime\",\"audio\":{\"input\":{\"turn_detection\":{"
     "\"type\":\"semantic_vad\",\"eagerness\":\"auto\",\"create_response\":"
     "true,\"interrupt_response\":true}}}}"},
    {"{\"vad\":{\"mode\":\"server\",\"threshold\":0.5,\"silence_ms\":700,"
     "\"min_speech_ms\":100}}",
     "{\"type\":\"realtime\",\"audio\":{\"input\":{\"turn_detection\":{"
     "\"type\":\"server_vad\",\"threshold\":0.5,\"prefix_padding_ms\":300,"
     "\"silence_duration_ms\":700,\"idle_timeout_ms\":null,"
     "\"create_response\":true,\"interrupt_response\":true}}}}"},
};

static void
test_session_update(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(updates) / sizeof(updates[0]); i++) {
        const struct policy *p = policy_of(updates[i].changes);
        char wanted[1024];
        snprintf(wanted, sizeof(wanted),
                 "{\"type\":\"session.update\",\"event_id\":\"e\","
                 "\"session\":%s}",
                 updates[i].session);
        char *text = policy_session_update(p, "e");
        assert_string_equal(text, wanted);
        free(text);
        policy_put(&p);
    }
    policy_cache_clear();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cache_threads),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_session_update),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
