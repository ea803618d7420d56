/* SPDX-License-Identifier: BSD-2-Clause */

#include "service/usage.h"

#include "gate/store_driver.h"
#include "gate/store_sqlite.h"
#include "service/tenant_limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include <cmocka.h>

#define DAY 86400000ll

static char dir[] = "/tmp/voice-usage-XXXXXX";
static char path[64];
static _Atomic int64_t wall_ms = 20000 * DAY + 1000;
static _Atomic uint64_t mono_ms = 1000;

static int64_t
fake_wall(void)
{
    return wall_ms;
}

static uint64_t
fake_now(void)
{
    return mono_ms;
}

/* --- tokens */

static void
tokens_as_a_model_says(void **state)
{
    json_t *usage = json_loads(
        "{\"total_tokens\":60,\"input_tokens\":40,\"output_tokens\":20,"
        "\"input_token_details\":{\"text_tokens\":10,\"audio_tokens\":28,"
        "\"image_tokens\":2,\"cached_tokens\":16,\"cached_tokens_details\":"
        "{\"text_tokens\":4,\"audio_tokens\":11,\"image_tokens\":1}},"
        "\"output_token_details\":{\"text_tokens\":5,\"audio_tokens\":15}}",
        0, NULL);
    struct usage_tokens t;

    (void) state;
    assert_int_equal(usage_tokens_read(&t, usage), 0);
    assert_int_equal(t.input, 40);
    assert_int_equal(t.input_text, 10);
    assert_int_equal(t.input_audio, 28);
    assert_int_equal(t.input_image, 2);
    assert_int_equal(t.cached, 16);
    assert_int_equal(t.cached_text, 4);
    assert_int_equal(t.cached_audio, 11);
    assert_int_equal(t.cached_image, 1);
    assert_int_equal(t.output, 20);
    assert_int_equal(t.output_text, 5);
    assert_int_equal(t.output_audio, 15);
    assert_false(t.estimated);
    json_decref(usage);
}

static void
tokens_that_can_not_be(void **state)
{
    static const char *const texts[] = {
        "{\"input_tokens\":5,\"input_token_details\":{\"cached_tokens\":9}}",
        "{\"input_tokens\":-1,\"output_tokens\":\"x\"}",
        "{\"input_tokens\":9223372036854775807,\"output_tokens\":1e300}",
        "{}",
        "{\"input_token_details\":[],\"output_token_details\":7}",
    };
    struct usage_tokens t;

    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *usage = json_loads(texts[i], 0, NULL);
        assert_non_null(usage);
        assert_int_equal(usage_tokens_read(&t, usage), 0);
        assert_true(t.cached <= t.input);
        assert_true(t.input <= 1000000000000ull);
        json_decref(usage);
    }
    assert_int_equal(usage_tokens_read(&t, NULL), UV_ENOENT);
    json_t *null = json_null();
    assert_int_equal(usage_tokens_read(&t, null), UV_ENOENT);
}

static void
transcriptions_and_estimates(void **state)
{
    json_t *tokens =
        json_loads("{\"type\":\"tokens\",\"total_tokens\":22}", 0, NULL);
    json_t *seconds =
        json_loads("{\"type\":\"duration\",\"seconds\":1.5}", 0, NULL);
    const struct usage_seen seen = {.input_chars = 9,
                                    .input_audio_ms = 1000,
                                    .output_chars = 8,
                                    .output_audio_ms = 1001};
    struct usage_tokens t;

    (void) state;
    assert_int_equal(usage_tokens_read_transcription(&t, tokens), 0);
    assert_int_equal(t.transcribed, 22);
    assert_int_equal(usage_tokens_read_transcription(&t, seconds), 0);
    assert_int_equal(t.transcribed_ms, 1500);
    assert_int_equal(t.input, 0);
    usage_tokens_estimate(&t, &seen);
    assert_true(t.estimated);
    assert_int_equal(t.input_text, 3);
    assert_int_equal(t.input_audio, 10);
    assert_int_equal(t.input, 13);
    assert_int_equal(t.output_text, 2);
    assert_int_equal(t.output_audio, 21);
    assert_int_equal(t.output, 23);
    json_decref(tokens);
    json_decref(seconds);
}

/* --- counting */

struct told {
    uv_sem_t sem;
    int result;
    size_t count;
    struct store_usage rows[8];
    char models[8][32];
};

static void
on_told(void *arg, int result, const struct store_usage *rows, size_t count)
{
    struct told *t = arg;
    t->result = result;
    t->count = count;
    for (size_t i = 0; i < count && i < 8; i++) {
        t->rows[i] = rows[i];
        snprintf(t->models[i], sizeof(t->models[i]), "%s", rows[i].model);
    }
    uv_sem_post(&t->sem);
}

static void
ask(struct usage *u, const char *tenant, int64_t from, int64_t to,
    struct told *told)
{
    const struct store_days days = {tenant, from, to};
    uv_sem_init(&told->sem, 0);
    assert_true(usage_ask(u, &days, on_told, told) >= 0);
    uv_sem_wait(&told->sem);
    uv_sem_destroy(&told->sem);
    assert_int_equal(told->result, 0);
}

static struct usage *
usage_open(struct store *store)
{
    const struct usage_config cfg = {.store = store, .wall_ms = fake_wall};
    struct usage *u = NULL;
    assert_int_equal(usage_create(&u, &cfg), 0);
    return u;
}

static struct store *
store_open(void)
{
    struct store_driver *driver = NULL;
    struct store *store = NULL;
    assert_int_equal(store_sqlite_open(&driver, path, 60000), 0);
    assert_int_equal(store_create(&store, &driver), 0);
    return store;
}

static const struct usage_tokens some = {
    .input = 10, .cached = 4, .output = 5, .output_text = 5};

static void
days_and_models_are_apart(struct usage *u)
{
    struct told told;
    int64_t day = usage_day_of(wall_ms);

    usage_add(u, "t", "m", &some);
    usage_add(u, "t", "m", &some);
    usage_add(u, "t", "n", &some);
    usage_add(u, "x", "m", &some);
    usage_add_session(u, "t", "m", 1500);
    assert_int_equal(usage_today(u, "t"), 45);
    assert_int_equal(usage_today(u, "x"), 15);
    assert_int_equal(usage_today(u, "nobody"), 0);
    wall_ms += DAY;
    assert_int_equal(usage_today(u, "t"), 0);
    usage_add(u, "t", "m", &some);
    ask(u, "t", day, day + 1, &told);
    assert_int_equal(told.count, 3);
    assert_string_equal(told.models[0], "m");
    assert_int_equal(told.rows[0].day, day);
    assert_int_equal(told.rows[0].counts[STORE_USAGE_INPUT], 20);
    assert_int_equal(told.rows[0].counts[STORE_USAGE_CACHED], 8);
    assert_int_equal(told.rows[0].counts[STORE_USAGE_RESPONSES], 2);
    assert_int_equal(told.rows[0].counts[STORE_USAGE_SESSIONS], 1);
    assert_int_equal(told.rows[0].counts[STORE_USAGE_SESSION_MS], 1500);
    assert_string_equal(told.models[1], "n");
    assert_int_equal(told.rows[2].day, day + 1);
    ask(u, "t", day + 1, day + 1, &told);
    assert_int_equal(told.count, 1);
}

static void
in_memory(void **state)
{
    struct usage *u = usage_open(NULL);

    (void) state;
    days_and_models_are_apart(u);
    usage_stop(u);
    usage_destroy(&u);
}

static void
in_a_store_nothing_is_lost_at_the_end(void **state)
{
    struct store *store = store_open();
    struct usage *u = usage_open(store);
    struct told told;
    int64_t day = usage_day_of(wall_ms);

    (void) state;
    days_and_models_are_apart(u);
    usage_add(u, "t", "last", &some);
    usage_stop(u);
    store_destroy(&store);
    usage_destroy(&u);

    store = store_open();
    u = usage_open(store);
    ask(u, "t", day, day + 1, &told);
    assert_int_equal(told.count, 4);
    assert_string_equal(told.models[2], "last");
    /* What was used before the start counts for today. */
    uint64_t today = 0;
    for (int i = 0; i < 500 && today != 30; i++) {
        usleep(10000);
        today = usage_today(u, "t");
    }
    assert_int_equal(today, 30);
    usage_stop(u);
    store_destroy(&store);
    usage_destroy(&u);
    unlink(path);
}

/* A store that fails at first: what it did not take comes again. */
static struct flaky {
    struct store_driver base;
    atomic_int failures, tokens;
} flaky;

static int
flaky_begin(struct store_driver *driver)
{
    (void) driver;
    return 0;
}

static int
flaky_run(struct store_driver *driver, struct store_op *op)
{
    (void) driver;
    if (op->kind == STORE_USAGE_ADD) {
        if (atomic_fetch_sub(&flaky.failures, 1) > 0)
            return UV_EBUSY;
        flaky.tokens += (int) op->in.usage.counts[STORE_USAGE_INPUT];
    }
    return 0;
}

static int
flaky_purge(struct store_driver *driver, int64_t before_ms)
{
    (void) driver;
    (void) before_ms;
    return 0;
}

static void
flaky_nothing(struct store_driver *driver)
{
    (void) driver;
}

static const struct store_driver_ops flaky_ops = {flaky_begin,   flaky_begin,
                                                  flaky_nothing, flaky_run,
                                                  flaky_purge,   flaky_nothing};

static void
what_was_not_written_is_written_later(void **state)
{
    struct store_driver *driver = &flaky.base;
    struct store *store = NULL;

    (void) state;
    flaky.base.ops = &flaky_ops;
    flaky.failures = 2;
    assert_int_equal(store_create(&store, &driver), 0);
    struct usage *u = usage_open(store);
    for (int i = 0; i < 100; i++)
        usage_add(u, "t", "m", &some);
    for (int i = 0; i < 1000 && flaky.tokens < 1000; i++)
        usleep(10000);
    assert_int_equal(flaky.tokens, 1000);
    usage_add(u, "t", "m", &some);
    usage_stop(u);
    store_destroy(&store);
    assert_int_equal(flaky.tokens, 1010);
    usage_destroy(&u);
}

/* --- limits */

static struct tenant_limits *
limits_open(uint64_t sessions, uint64_t requests, uint64_t tokens,
            struct usage *usage)
{
    const struct tenant_limits_config cfg = {
        .sessions = sessions,
        .requests = requests,
        .tokens = tokens,
        .usage = usage,
        .now_ms = fake_now,
        .wall_ms = fake_wall,
    };
    struct tenant_limits *l = NULL;
    assert_int_equal(tenant_limits_create(&l, &cfg), 0);
    return l;
}

static void
sessions_are_counted(void **state)
{
    struct tenant_limits *l = limits_open(2, 0, 0, NULL);
    unsigned retry_s = 0;

    (void) state;
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_SESSIONS);
    assert_true(retry_s > 0);
    assert_int_equal(tenant_limits_enter(l, "u", &retry_s), TENANT_MAY);
    tenant_limits_leave(l, "t");
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_MAY);
    tenant_limits_leave(l, "nobody");
    assert_string_equal(tenant_refusal_code(TENANT_SESSIONS),
                        "realtime_session_limit");
    tenant_limits_destroy(&l);
}

static void
requests_flow_off_evenly(void **state)
{
    struct tenant_limits *l = limits_open(0, 60, 0, NULL);
    unsigned retry_s = 0;

    (void) state;
    for (int i = 0; i < 60; i++)
        assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_REQUESTS);
    assert_in_range(retry_s, 1, 2);
    assert_int_equal(tenant_limits_request(l, "u", &retry_s), TENANT_MAY);
    mono_ms += 1000;
    assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_REQUESTS);
    mono_ms += 3600000;
    for (int i = 0; i < 60; i++)
        assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_request(l, "t", &retry_s), TENANT_REQUESTS);
    tenant_limits_destroy(&l);
}

static void
tokens_of_a_day(void **state)
{
    struct usage *u = usage_open(NULL);
    struct tenant_limits *l = limits_open(0, 0, 30, u);
    unsigned retry_s = 0;

    (void) state;
    usage_add(u, "t", "m", &some);
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_MAY);
    usage_add(u, "t", "m", &some);
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_TOKENS);
    assert_in_range(retry_s, 1, 86400);
    assert_int_equal(tenant_limits_enter(l, "u", &retry_s), TENANT_MAY);
    wall_ms += DAY;
    assert_int_equal(tenant_limits_enter(l, "t", &retry_s), TENANT_MAY);
    tenant_limits_destroy(&l);
    usage_destroy(&u);
}

static void
a_full_table_is_swept(void **state)
{
    struct tenant_limits *l = limits_open(5, 60, 0, NULL);
    unsigned retry_s = 0;
    char name[16];

    (void) state;
    assert_int_equal(tenant_limits_enter(l, "stays", &retry_s), TENANT_MAY);
    for (int i = 0; i < TENANT_LIMITS_MAX - 1; i++) {
        snprintf(name, sizeof(name), "t%d", i);
        assert_int_equal(tenant_limits_request(l, name, &retry_s), TENANT_MAY);
    }
    assert_int_equal(tenant_limits_request(l, "more", &retry_s),
                     TENANT_NO_ROOM);
    mono_ms += 61000;
    assert_int_equal(tenant_limits_request(l, "more", &retry_s), TENANT_MAY);
    for (int i = 0; i < 4; i++)
        assert_int_equal(tenant_limits_enter(l, "stays", &retry_s), TENANT_MAY);
    assert_int_equal(tenant_limits_enter(l, "stays", &retry_s),
                     TENANT_SESSIONS);
    tenant_limits_destroy(&l);
}

static int
dir_make(void **state)
{
    (void) state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/voice.db", dir);
    return 0;
}

static int
dir_remove(void **state)
{
    (void) state;
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_as_a_model_says),
        cmocka_unit_test(tokens_that_can_not_be),
        cmocka_unit_test(transcriptions_and_estimates),
        cmocka_unit_test(in_memory),
        cmocka_unit_test(in_a_store_nothing_is_lost_at_the_end),
        cmocka_unit_test(what_was_not_written_is_written_later),
        cmocka_unit_test(sessions_are_counted),
        cmocka_unit_test(requests_flow_off_evenly),
        cmocka_unit_test(tokens_of_a_day),
        cmocka_unit_test(a_full_table_is_swept),
    };
    return cmocka_run_group_tests(tests, dir_make, dir_remove);
}
