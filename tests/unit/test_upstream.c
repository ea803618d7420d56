/* SPDX-License-Identifier: BSD-2-Clause */

/* Upstreams: addresses, headers, order, health, places. */

#include "codec/dialect.h"
#include "model/upstream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define KEY "sk-test-0123456789"

static struct config_upstream
config_of(const char *name, const char *url)
{
    return (struct config_upstream){
        .name = (char *) name,
        .url = (char *) url,
        .calls_url = (char *) "",
        .key = (char *) KEY,
    };
}

/* --- addresses */

#define GA    "wss://api.test/v1/realtime"
#define AZURE "wss://r.test/openai/realtime?api-version=1&deployment={model}"

static void
test_urls(void **state)
{
    static const struct {
        const char *url;
        struct upstream_target target;
        const char *expect;
    } rows[] = {
        {GA, {"gpt-realtime", NULL, NULL}, GA "?model=gpt-realtime"},
        {GA "?x=1", {"m", NULL, NULL}, GA "?x=1&model=m"},
        {GA "?", {"m", NULL, NULL}, GA "?model=m"},
        {GA "?x=1&", {"m", NULL, NULL}, GA "?x=1&model=m"},
        {GA,
         {"a/b c&d=\"%\"", NULL, NULL},
         GA "?model=a%2Fb%20c%26d%3D%22%25%22"},
        {GA "?model=fixed", {"m", NULL, NULL}, GA "?model=fixed"},
        {GA "?model={model}&x=1", {"m", NULL, NULL}, GA "?model=m&x=1"},
        {AZURE,
         {"dep 1", NULL, NULL},
         "wss://r.test/openai/realtime?api-version=1&deployment=dep%201"},
        {"wss://r.test/{model}/rt",
         {"m/x", NULL, NULL},
         "wss://r.test/m%2Fx/rt"},
        {GA, {"m", "rtc_u0_X", NULL}, GA "?call_id=rtc_u0_X"},
        {GA, {"m", "rtc&model=other", NULL}, GA "?call_id=rtc%26model%3Dother"},
        {GA "?model={model}&x=1",
         {"m", "rtc_1", NULL},
         GA "?x=1&call_id=rtc_1"},
        {AZURE,
         {"m", "rtc_1", NULL},
         "wss://r.test/openai/realtime?api-version=1&call_id=rtc_1"},
        {GA, {"m", NULL, "transcription"}, GA "?intent=transcription"},
        {GA, {NULL, NULL, "transcription"}, GA "?intent=transcription"},
        {GA, {"m", "rtc_1", "transcription"}, GA "?call_id=rtc_1"},
        {GA, {NULL, NULL, NULL}, GA "?model="},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *url = upstream_url_open(rows[i].url, &rows[i].target);
        assert_non_null(url);
        assert_string_equal(url, rows[i].expect);
        free(url);
    }
}

static void
test_http_urls(void **state)
{
    static const struct {
        const char *url, *tail, *expect;
    } rows[] = {
        {GA, "/calls", "https://api.test/v1/realtime/calls"},
        {GA "/", "/calls", "https://api.test/v1/realtime/calls"},
        {"ws://127.0.0.1:81/v1/realtime", "/calls",
         "http://127.0.0.1:81/v1/realtime/calls"},
        {GA "?model={model}&x=1", "/client_secrets",
         "https://api.test/v1/realtime/client_secrets?x=1"},
        {AZURE, "/calls", "https://r.test/openai/realtime/calls?api-version=1"},
        {"wss://[::1]:9/rt", "/calls", "https://[::1]:9/rt/calls"},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *url = upstream_url_http(rows[i].url, rows[i].tail);
        assert_non_null(url);
        assert_string_equal(url, rows[i].expect);
        free(url);
    }
}

static void
test_sound_urls(void **state)
{
    static const char *const good[] = {GA, "ws://h", "WSS://h:1/p?q={model}",
                                       "wss://[::1]:443/v1/realtime"};
    static const char *const bad[] = {
        "",           "https://h/",      "wss://",        "wss:///path",
        "wss://h/ a", "wss://u:p@h/",    "wss://h/#f",    "wss://h/\r\nX: y",
        "h/path",     "wss://h/\"quote", "wss://?model=m"};

    (void) state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(upstream_url_is_sound(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(upstream_url_is_sound(bad[i]));
}

static void
test_long_model(void **state)
{
    static char model[9000];
    struct upstream_target target = {.model = model};

    (void) state;
    memset(model, 'm', sizeof(model) - 1);
    assert_null(upstream_url_open(GA, &target));
}

static void
test_calls_url(void **state)
{
    struct config_upstream list[2] = {config_of("a", GA), config_of("b", GA)};
    struct upstream_set *set;
    char *url;

    (void) state;
    list[1].calls_url = (char *) "https://calls.test/c?v=1";
    assert_int_equal(upstream_set_create(&set, list, 2), 0);
    url = upstream_calls_url(upstream_at(set, 0), "/rtc_1/hangup");
    assert_string_equal(url, "https://api.test/v1/realtime/calls/rtc_1/hangup");
    free(url);
    url = upstream_calls_url(upstream_at(set, 1), "/rtc_1/hangup");
    assert_string_equal(url, "https://calls.test/c/rtc_1/hangup?v=1");
    free(url);
    url = upstream_secrets_url(upstream_at(set, 0));
    assert_string_equal(url, "https://api.test/v1/realtime/client_secrets");
    free(url);
    assert_string_equal(upstream_host(upstream_at(set, 0)), "api.test");
    upstream_set_destroy(&set);
}

/* --- headers */

static bool
has(char **headers, const char *line)
{
    for (; *headers; headers++)
        if (strcmp(*headers, line) == 0)
            return true;
    return false;
}

static size_t
count_of(char **headers)
{
    size_t n = 0;

    while (headers[n])
        n++;
    return n;
}

static void
test_headers(void **state)
{
    char *more[] = {(char *) "X-Team: voice",
                    (char *) "openai-beta: realtime=v1"};
    struct config_upstream list[3] = {
        config_of("ga", GA), config_of("azure", AZURE), config_of("beta", GA)};
    struct upstream_set *set;
    char **headers;

    (void) state;
    list[0].headers.items = more;
    list[0].headers.count = 2;
    list[1].auth = UPSTREAM_API_KEY;
    list[2].dialect = DIALECT_BETA;
    list[2].key = NULL;
    assert_int_equal(upstream_set_create(&set, list, 3), 0);

    assert_int_equal(upstream_headers(upstream_at(set, 0), "u-1", &headers), 0);
    assert_true(has(headers, "Authorization: Bearer " KEY));
    assert_true(has(headers, "X-Team: voice"));
    assert_true(has(headers, "OpenAI-Safety-Identifier: u-1"));
    assert_int_equal(count_of(headers), 3);
    upstream_headers_free(&headers);
    assert_null(headers);

    assert_int_equal(upstream_headers(upstream_at(set, 1), NULL, &headers), 0);
    assert_true(has(headers, "api-key: " KEY));
    assert_int_equal(count_of(headers), 1);
    upstream_headers_free(&headers);

    assert_int_equal(upstream_headers(upstream_at(set, 2), NULL, &headers), 0);
    assert_true(has(headers, "OpenAI-Beta: realtime=v1"));
    assert_int_equal(count_of(headers), 1);
    upstream_headers_free(&headers);

    assert_int_equal(
        upstream_headers(upstream_at(set, 0), "a\r\nX: y", &headers),
        UV_EINVAL);
    assert_int_equal(upstream_headers(upstream_at(set, 0), "", &headers),
                     UV_EINVAL);
    upstream_set_destroy(&set);
}

static void
test_key_is_found(void **state)
{
    struct config_upstream list[2] = {config_of("a", GA), config_of("b", GA)};
    struct upstream_set *set;

    (void) state;
    list[1].key = (char *) "k"; /* would be found in any text */
    assert_int_equal(upstream_set_create(&set, list, 2), 0);
    assert_true(upstream_key_is_in(upstream_at(set, 0), "bad key " KEY "."));
    assert_false(upstream_key_is_in(upstream_at(set, 0), "bad key sk-test"));
    assert_false(upstream_key_is_in(upstream_at(set, 1), "bad key"));
    upstream_set_destroy(&set);

    char quote[] = "{\"message\":\"bad ab\\/cd+ef\\/gh, ab/cd+ef/gh\"}";
    list[0].key = (char *) "ab/cd+ef/gh";
    assert_int_equal(upstream_set_create(&set, list, 1), 0);
    assert_true(upstream_key_is_in(upstream_at(set, 0), quote));
    upstream_key_hide(upstream_at(set, 0), quote);
    assert_string_equal(quote,
                        "{\"message\":\"bad *************, ***********\"}");
    upstream_set_destroy(&set);
}

/* --- the set */

static void
test_refused_sets(void **state)
{
    struct config_upstream list[UPSTREAM_MAX + 1];
    struct upstream_set *set = NULL;

    (void) state;
    for (size_t i = 0; i <= UPSTREAM_MAX; i++)
        list[i] = config_of("a", GA);
    assert_int_equal(upstream_set_create(&set, list, UPSTREAM_MAX + 1),
                     UV_E2BIG);
    list[0].name = (char *) "a\"b";
    assert_int_equal(upstream_set_create(&set, list, 1), UV_EINVAL);
    list[0] = config_of("a", "https://not.a.websocket/");
    assert_int_equal(upstream_set_create(&set, list, 1), UV_EINVAL);
    assert_null(set);
}

static void
expect_order(struct upstream_set *set, const char *const *names, size_t count,
             uint64_t now_ms, const char *expect)
{
    struct upstream_order order;
    char text[256] = "";

    assert_int_equal(upstream_order(set, names, count, now_ms, &order), 0);
    for (size_t i = 0; i < order.count; i++)
        strncat(text, upstream_name(order.items[i]), 8);
    assert_string_equal(text, expect);
}

static void
test_order(void **state)
{
    struct config_upstream list[3] = {config_of("a", GA), config_of("b", GA),
                                      config_of("c", GA)};
    const char *const names[] = {"c", "a", "c"};
    const char *const unknown[] = {"a", "x"};
    struct upstream_order order;
    struct upstream_set *set;

    (void) state;
    assert_int_equal(upstream_set_create(&set, list, 3), 0);
    expect_order(set, NULL, 0, 1000, "abc");
    expect_order(set, names, 3, 1000, "ca");
    assert_int_equal(upstream_order(set, unknown, 2, 1000, &order), UV_ENOENT);
    assert_true(upstream_knows(set, names, 3));
    assert_false(upstream_knows(set, unknown, 2));
    upstream_failed(upstream_find(set, "a"), 1000);
    expect_order(set, NULL, 0, 1001, "bca");
    expect_order(set, names, 2, 1001, "ca");
    upstream_failed(upstream_find(set, "c"), 1000);
    expect_order(set, NULL, 0, 1001, "bac");
    upstream_succeeded(upstream_find(set, "a"));
    expect_order(set, NULL, 0, 1001, "abc");
    assert_null(upstream_find(set, "x"));
    assert_null(upstream_at(set, 3));
    upstream_set_destroy(&set);
}

static void
test_backoff(void **state)
{
    struct config_upstream list = config_of("a", GA);
    struct upstream_set *set;
    uint64_t now = 5000, last = 0;

    (void) state;
    assert_int_equal(upstream_set_create(&set, &list, 1), 0);
    struct upstream *u = upstream_at(set, 0);
    assert_false(upstream_is_down(u, now));
    for (unsigned i = 0; i < 12; i++) {
        uint64_t most = i < 5 ? 1000u << i : 30000, took = 0;
        upstream_failed(u, now);
        upstream_failed(u, now); /* at the same moment: one failure */
        while (upstream_is_down(u, now + took))
            took += 50;
        assert_true(took <= most + 50);
        assert_true(took >= most - most / 4 - 50);
        assert_true(took + 50 >= last / 2);
        now += took;
        last = took;
    }
    upstream_succeeded(u);
    assert_false(upstream_is_down(u, now));
    upstream_failed(u, now);
    assert_false(upstream_is_down(u, now + 1001));
    upstream_set_destroy(&set);
}

static void
test_places(void **state)
{
    struct config_upstream list[2] = {config_of("a", GA), config_of("b", GA)};
    struct upstream_set *set;

    (void) state;
    list[0].max_connections = 2;
    assert_int_equal(upstream_set_create(&set, list, 2), 0);
    struct upstream *a = upstream_at(set, 0), *b = upstream_at(set, 1);
    assert_int_equal(upstream_enter(a), 0);
    assert_int_equal(upstream_enter(a), 0);
    assert_int_equal(upstream_enter(a), UV_EBUSY);
    for (int i = 0; i < 10; i++)
        assert_int_equal(upstream_enter(b), 0);
    assert_int_equal(upstream_connections(set), 12);
    upstream_leave(a);
    assert_int_equal(upstream_enter(a), 0);
    upstream_leave(a);
    upstream_leave(a);
    for (int i = 0; i < 10; i++)
        upstream_leave(b);
    assert_int_equal(upstream_connections(set), 0);
    upstream_set_destroy(&set);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_http_urls),
        cmocka_unit_test(test_sound_urls),
        cmocka_unit_test(test_long_model),
        cmocka_unit_test(test_calls_url),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_key_is_found),
        cmocka_unit_test(test_refused_sets),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
