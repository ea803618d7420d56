/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/json_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    char text[70000];
    size_t bytes;
    int left; /* calls until it fails; < 0: never */
};

static int
on_text(const char *text, size_t bytes, void *arg)
{
    struct sink *sink = arg;

    assert_int_not_equal(sink->left, -2);
    if (sink->left == 0) {
        sink->left = -2; /* no further call may come */
        return -1;
    }
    sink->left -= sink->left > 0;
    assert_true(bytes < sizeof(sink->text) - sink->bytes);
    memcpy(sink->text + sink->bytes, text, bytes);
    sink->bytes += bytes;
    sink->text[sink->bytes] = '\0';
    return 0;
}

static const char *const texts[] = {
    "{}",
    "[]",
    "\"\"",
    "null",
    "true",
    "false",
    "-7",
    "0.8",
    "1e300",
    "{\"b\":1,\"a\":[1,[2,[]],{\"c\":null}],\"\":\"x\"}",
    "\"plain text that is longer than a few words\"",
    "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001F/\\u007f\"",
    "\"é … 😀 end\"",
    "[\"a\\nb\",\"\\nc\",\"d\\n\"]",
    "{\"k\\\"ey\\n\":\"v\"}",
};

/* What Jansson writes of the same tree, and the same again when read. */
static void
test_as_jansson(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *tree = json_loads(texts[i], JSON_DECODE_ANY, NULL);
        char *want = json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY
                                          | JSON_REAL_PRECISION(15));
        struct sink sink = {.left = -1};

        assert_non_null(want);
        assert_int_equal(json_text_write(tree, on_text, &sink), 0);
        assert_string_equal(sink.text, want);
        free(want);
        json_decref(tree);
    }
}

static void
test_nul(void **state)
{
    json_t *tree = json_stringn("a\0b", 3);
    struct sink sink = {.left = -1};

    (void) state;
    assert_int_equal(json_text_write(tree, on_text, &sink), 0);
    assert_string_equal(sink.text, "\"a\\u0000b\"");
    json_decref(tree);
}

/* Whichever call fails, it is the last. */
static void
test_failing_sink(void **state)
{
    json_t *tree =
        json_loads("{\"a\":[1,\"x\\ny\",{\"b\":[]}],\"c\":\"text\"}", 0, NULL);
    struct sink sink;
    int calls = 0;
    int err;

    (void) state;
    do {
        memset(&sink, 0, sizeof(sink));
        sink.left = calls++;
        err = json_text_write(tree, on_text, &sink);
        assert_true(err == 0 || err == -1);
    } while (err != 0);
    assert_true(calls > 20);
    json_decref(tree);
}

static void
test_depth(void **state)
{
    json_t *tree = json_array();
    struct sink sink = {.left = -1};

    (void) state;
    for (int i = 1; i < JSON_TEXT_DEPTH_MAX; i++) {
        json_t *outer = json_array();

        json_array_append_new(outer, tree);
        tree = outer;
    }
    assert_int_equal(json_text_write(tree, on_text, &sink), 0);
    assert_int_equal(sink.bytes, 2 * JSON_TEXT_DEPTH_MAX);
    json_t *outer = json_array();
    json_array_append_new(outer, tree);
    assert_int_equal(json_text_write(outer, on_text, &sink), -1);
    json_decref(outer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_jansson),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_failing_sink),
        cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
