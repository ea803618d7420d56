/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_usage.h"

#include "service/tenant_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

static struct usage *usage;
static struct store_usage seen;
static size_t rows;

static void
on_told(void *arg, int result, const struct store_usage *row, size_t count)
{
    (void) arg;
    assert_int_equal(result, 0);
    rows = count;
    if (count)
        seen = row[0];
}

static void
look(void)
{
    const struct store_days days = {"t", 0, INT32_MAX};
    assert_int_equal(usage_ask(usage, &days, on_told, NULL), 0);
}

static void
start(struct session_usage *u, struct tenant_limits *limits)
{
    static struct session_entry entry = {.tenant = "t", .model = "m"};
    assert_int_equal(
        usage_create(&usage, &(struct usage_config){.store = NULL}), 0);
    session_usage_start(u, usage, limits, &entry);
}

static void
down(struct session_usage *u, const char *text)
{
    struct session_event e;
    assert_int_equal(session_event_open(&e, text, strlen(text)), 0);
    session_usage_down(u, &e);
    session_event_close(&e);
}

static void
up(struct session_usage *u, const char *text)
{
    struct realtime_peek peek;
    assert_int_equal(realtime_peek(text, strlen(text), &peek), REALTIME_SOUND);
    session_usage_up(u, &peek, strlen(text));
}

static void
told_tokens_are_summed(void **state)
{
    struct session_usage u;

    (void) state;
    start(&u, NULL);
    for (int i = 0; i < 3; i++)
        down(&u, "{\"type\":\"response.done\",\"response\":{\"usage\":{"
                 "\"input_tokens\":40,\"output_tokens\":20,"
                 "\"input_token_details\":{\"cached_tokens\":16}}}}");
    down(&u, "{\"type\":\"conversation.item.input_audio_transcription."
             "completed\",\"transcript\":\"hi\",\"usage\":{\"type\":"
             "\"duration\",\"seconds\":2}}");
    session_usage_end(&u, 61000);
    session_usage_end(&u, 61000); /* counts once */
    look();
    assert_int_equal(rows, 1);
    assert_int_equal(seen.counts[STORE_USAGE_RESPONSES], 3);
    assert_int_equal(seen.counts[STORE_USAGE_INPUT], 120);
    assert_int_equal(seen.counts[STORE_USAGE_CACHED], 48);
    assert_int_equal(seen.counts[STORE_USAGE_OUTPUT], 60);
    assert_int_equal(seen.counts[STORE_USAGE_ESTIMATED], 0);
    assert_int_equal(seen.counts[STORE_USAGE_TRANSCRIBED_MS], 2000);
    assert_int_equal(seen.counts[STORE_USAGE_SESSIONS], 1);
    assert_int_equal(seen.counts[STORE_USAGE_SESSION_MS], 61000);
    usage_destroy(&usage);
}

static void
untold_tokens_are_estimated(void **state)
{
    static char append[6500], delta[6500];
    struct session_usage u;

    (void) state;
    start(&u, NULL);
    /* 100 ms each: 4800 bytes are 6400 characters. */
    snprintf(append, sizeof(append),
             "{\"type\":\"input_audio_buffer.append\",\"audio\":\"%06400d\"}",
             0);
    snprintf(delta, sizeof(delta),
             "{\"type\":\"response.output_audio.delta\",\"delta\":\"%06400d\"}",
             0);
    for (int i = 0; i < 10; i++)
        up(&u, append);
    up(&u, "{\"type\":\"conversation.item.create\",\"item\":{}}");
    down(&u, delta);
    down(&u, "{\"type\":\"response.output_audio_transcript.delta\","
             "\"delta\":\"12345678\"}");
    down(&u, "{\"type\":\"response.done\",\"response\":{\"usage\":null}}");
    look();
    assert_int_equal(seen.counts[STORE_USAGE_ESTIMATED], 1);
    assert_int_equal(seen.counts[STORE_USAGE_INPUT_AUDIO], 10);
    assert_true(seen.counts[STORE_USAGE_INPUT_TEXT] > 5);
    assert_int_equal(seen.counts[STORE_USAGE_OUTPUT_AUDIO], 2);
    assert_int_equal(seen.counts[STORE_USAGE_OUTPUT_TEXT], 2);
    /* One that brought nothing and says nothing costs nothing. */
    uint64_t before = seen.counts[STORE_USAGE_INPUT];
    down(&u, "{\"type\":\"response.done\",\"response\":{\"status\":"
             "\"failed\",\"usage\":null}}");
    down(&u, "{\"type\":\"response.done\",\"response\":7}");
    look();
    assert_int_equal(seen.counts[STORE_USAGE_INPUT], before);
    assert_int_equal(seen.counts[STORE_USAGE_RESPONSES], 3);
    usage_destroy(&usage);
}

static void
the_tenants_slot_comes_back(void **state)
{
    const struct tenant_limits_config cfg = {.sessions = 1};
    struct tenant_limits *limits = NULL;
    struct session_usage u;
    unsigned retry_s;

    (void) state;
    assert_int_equal(tenant_limits_create(&limits, &cfg), 0);
    start(&u, limits);
    assert_int_equal(tenant_limits_enter(limits, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_enter(limits, "t", &retry_s),
                     TENANT_SESSIONS);
    session_usage_end(&u, 1);
    assert_int_equal(tenant_limits_enter(limits, "t", &retry_s), TENANT_MAY);
    session_usage_end(&u, 1);
    assert_int_equal(tenant_limits_enter(limits, "t", &retry_s),
                     TENANT_SESSIONS);
    tenant_limits_destroy(&limits);
    usage_destroy(&usage);
}

static void
nobody_counts(void **state)
{
    struct session_usage u = {.usage = NULL};

    (void) state;
    up(&u, "{\"type\":\"response.create\"}");
    down(&u, "{\"type\":\"response.done\",\"response\":{}}");
    session_usage_end(&u, 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_tokens_are_summed),
        cmocka_unit_test(untold_tokens_are_estimated),
        cmocka_unit_test(the_tenants_slot_comes_back),
        cmocka_unit_test(nobody_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
