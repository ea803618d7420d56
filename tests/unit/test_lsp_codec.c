/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/lsp_answer.h"
#include "codec/lsp_frame.h"
#include "codec/lsp_hello.h"
#include "codec/lsp_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define ROOT "/srv/tree"

/* --- frames */

static void
test_frames(void **state)
{
    static const struct {
        const char *text;
        long result;
        const char *body;
    } rows[] = {
        {"", 0, NULL},
        {"Content-Length: 2\r\n\r\n{}", 23, "{}"},
        {"content-length:2 \r\n\r\n{}rest", 23, "{}"},
        {"Content-Length: 0\r\n\r\n", 21, ""},
        {"X-Other: y\r\nContent-Length: 2\r\n\r\n{}", 35, "{}"},
        {"Content-Length: 2\r\nContent-Type: application/vscode-jsonrpc; "
         "charset=utf-8\r\n\r\n[]",
         80, "[]"},
        {"Content-Length: 2\r\nContent-Type: a; charset=\"utf8\"\r\n\r\n[]", 56,
         "[]"},
        {"Content-Length: 2\r\n\r\n{", 0, NULL},
        {"Content-Length: 2\r\n\r", 0, NULL},
        {"Content-Length: 2", 0, NULL},
        {"Content-Length: 2\r\nContent-Type: a; charset=latin1\r\n\r\n[]",
         UV_EPROTO, NULL},
        {"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", UV_EPROTO, NULL},
        {"Content-Length: 2\n\n{}", UV_EPROTO, NULL},
        {"Content-Length: -2\r\n\r\n{}", UV_EPROTO, NULL},
        {"Content-Length: 2x\r\n\r\n{}", UV_EPROTO, NULL},
        {"Content-Length: \r\n\r\n{}", UV_EPROTO, NULL},
        {"Content-Length: 99999999999999999999\r\n\r\n", UV_EPROTO, NULL},
        {"Content-Length: 101\r\n\r\n", UV_EMSGSIZE, NULL},
        {"\r\n{}", UV_EPROTO, NULL},
        {": 2\r\n\r\n", UV_EPROTO, NULL},
        {"{\"jsonrpc\":\"2.0\"}\r\n", UV_EPROTO, NULL},
        {"no header\r\n", UV_EPROTO, NULL},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct lsp_frame frame = {NULL, 0};
        size_t bytes = strlen(rows[i].text);
        char *text = malloc(bytes + (bytes == 0));

        memcpy(text, rows[i].text, bytes);
        assert_int_equal(lsp_frame_read(&frame, text, bytes, 100),
                         rows[i].result);
        if (rows[i].body != NULL) {
            assert_int_equal(frame.body_bytes, strlen(rows[i].body));
            assert_memory_equal(frame.body, rows[i].body, frame.body_bytes);
        }
        free(text);
    }
}

static void
test_frames_headers_without_end(void **state)
{
    struct lsp_frame frame;
    char text[LSP_FRAME_HEAD_MAX];

    (void) state;
    memset(text, 'a', sizeof(text));
    assert_int_equal(lsp_frame_read(&frame, text, sizeof(text) - 1, 100), 0);
    assert_int_equal(lsp_frame_read(&frame, text, sizeof(text), 100),
                     UV_EPROTO);
}

static void
test_frames_written_are_read(void **state)
{
    char text[LSP_FRAME_HEAD_ROOM + 8];
    struct lsp_frame frame;
    size_t head = lsp_frame_write_head(text, 4);

    (void) state;
    memcpy(text + head, "null", 4);
    for (size_t bytes = 0; bytes < head + 4; bytes++)
        assert_int_equal(lsp_frame_read(&frame, text, bytes, 4), 0);
    assert_int_equal(lsp_frame_read(&frame, text, head + 4, 4),
                     (long) head + 4);
    assert_memory_equal(frame.body, "null", 4);
}

/* --- places */

static void
test_places_uris(void **state)
{
    static const struct {
        const char *path, *uri;
    } rows[] = {
        {"/a/b.c", "file:///a/b.c"},
        {"/a b/c#d?.c", "file:///a%20b/c%23d%3F.c"},
        {"/\xc3\xa4.c", "file:///%C3%A4.c"},
        {"/50%", "file:///50%25"},
        {"/", "file:///"},
    };
    char text[64];

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(lsp_place_uri(text, sizeof(text), rows[i].path), 0);
        assert_string_equal(text, rows[i].uri);
        assert_int_equal(lsp_place_path(text, sizeof(text), rows[i].uri), 0);
        assert_string_equal(text, rows[i].path);
    }
    assert_int_equal(lsp_place_uri(text, sizeof(text), "a.c"), UV_EINVAL);
    assert_int_equal(lsp_place_uri(text, 10, "/long.c"), UV_EMSGSIZE);
    assert_int_equal(lsp_place_path(text, 5, "file:///long.c"), UV_EMSGSIZE);
    assert_int_equal(lsp_place_path(text, 64, "FILE:///a%3a"), 0);
    assert_string_equal(text, "/a:");
    assert_int_equal(lsp_place_path(text, 64, "http://a/b"), UV_EINVAL);
    assert_int_equal(lsp_place_path(text, 64, "file://host/b"), UV_EINVAL);
    assert_int_equal(lsp_place_path(text, 64, "file:///a%00b"), UV_EINVAL);
    assert_int_equal(lsp_place_path(text, 64, "file:///a%2"), UV_EINVAL);
    assert_int_equal(lsp_place_path(text, 64, "file:///a%zz"), UV_EINVAL);
}

/* Both written canonically. */
static void
assert_json(json_t *got, const char *wanted)
{
    json_t *want = json_loads(wanted, 0, NULL);

    assert_non_null(want);
    if (!json_equal(got, want)) {
        char *text = json_dumps(got, JSON_SORT_KEYS);

        print_message("got %s\n", text);
        free(text);
    }
    assert_true(json_equal(got, want));
    json_decref(want);
}

static void
test_places_made(void **state)
{
    json_t *range =
        json_loads("{\"start\":{\"line\":2,\"character\":4},\"end\":"
                   "{\"line\":2,\"character\":7},\"x\":1}",
                   0, NULL);
    json_t *bad = json_loads("{\"start\":{\"line\":-2,\"character\":4},\"end\":"
                             "{\"line\":2,\"character\":7}}",
                             0, NULL);
    json_t *place;

    (void) state;
    place = lsp_place_make(ROOT, "file:///srv/tree/src/a%20b.c", range);
    assert_json(place, "{\"uri\":\"file:///srv/tree/src/a%20b.c\","
                       "\"file_path\":\"src/a b.c\",\"line\":3,\"character\":5,"
                       "\"range\":{\"start\":{\"line\":2,\"character\":4},"
                       "\"end\":{\"line\":2,\"character\":7}}}");
    json_decref(place);
    place = lsp_place_make(ROOT, "file:///srv/treetop/a.c", bad);
    assert_json(place, "{\"uri\":\"file:///srv/treetop/a.c\",\"file_path\":"
                       "\"/srv/treetop/a.c\",\"outside_root\":true}");
    json_decref(place);
    place = lsp_place_make("", "file:///a.c", NULL);
    assert_json(place, "{\"uri\":\"file:///a.c\",\"file_path\":\"a.c\"}");
    json_decref(place);
    place = lsp_place_make(ROOT, "jdt://x", NULL);
    assert_json(place, "{\"uri\":\"jdt://x\"}");
    json_decref(place);
    json_decref(range);
    json_decref(bad);
}

/* --- answers */

static json_t *
places_many(size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            list,
            json_pack("{s:s, s:{s:{s:i,s:i},s:{s:i,s:i}}}", "uri",
                      "file:///srv/tree/a.c", "range", "start", "line", (int) i,
                      "character", 0, "end", "line", (int) i, "character", 1));
    return list;
}

static void
test_r4_2_places_are_limited(void **state)
{
    json_t *list = places_many(120);
    struct lsp_answer answer;

    (void) state;
    assert_int_equal(
        lsp_answer_places(&answer, "findReferences", ROOT, list, 50), 0);
    assert_true(answer.truncated);
    assert_int_equal(json_array_size(json_object_get(answer.output, "results")),
                     50);
    assert_int_equal(
        json_integer_value(json_object_get(answer.output, "total_count")), 120);
    assert_true(json_is_true(json_object_get(answer.output, "truncated")));
    assert_string_equal(
        json_string_value(json_object_get(answer.output, "message")),
        "findReferences: Showing 50 of 120 results.");
    json_decref(answer.output);
    json_decref(list);
}

static void
test_r4_2_answers_are_limited_in_bytes(void **state)
{
    json_t *list = json_array();
    char name[4000];
    struct lsp_answer answer;
    size_t shown;

    (void) state;
    memset(name, '"', sizeof(name)); /* two bytes each as JSON */
    name[sizeof(name) - 1] = '\0';
    for (int i = 0; i < 50; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:i, s:s, s:s}", "name", name,
                                        "kind", 12, "detail", name, "x", "y"));
    assert_int_equal(lsp_answer_symbols(&answer, "documentSymbol", ROOT,
                                        "file:///srv/tree/a.c", list),
                     0);
    shown = json_array_size(json_object_get(answer.output, "results"));
    assert_true(answer.truncated && shown > 10 && shown < 50);
    assert_true(json_dumpb(answer.output, NULL, 0, JSON_COMPACT)
                <= LSP_ANSWER_BYTES + 500);
    json_decref(answer.output);
    json_decref(list);
}

static void
test_places_of_all_kinds(void **state)
{
    static const char *const texts[] = {
        "{\"uri\":\"file:///srv/tree/a.c\",\"range\":{\"start\":{\"line\":0,"
        "\"character\":0},\"end\":{\"line\":0,\"character\":1}}}",
        "[{\"targetUri\":\"file:///srv/tree/a.c\",\"targetRange\":{},"
        "\"targetSelectionRange\":{\"start\":{\"line\":0,\"character\":0},"
        "\"end\":{\"line\":0,\"character\":1}}}, 7, null, {\"uri\":3}]",
    };
    static const char *const none[] = {"null", "[]", "7", "\"x\"", "{}"};
    struct lsp_answer answer;
    json_t *result;

    (void) state;
    for (size_t i = 0; i < 2; i++) {
        result = json_loads(texts[i], 0, NULL);
        assert_int_equal(
            lsp_answer_places(&answer, "goToDefinition", ROOT, result, 20), 0);
        assert_json(answer.output,
                    "{\"results\":[{\"uri\":\"file:///srv/tree/a.c\","
                    "\"file_path\":\"a.c\",\"line\":1,\"character\":1,"
                    "\"range\":{\"start\":{\"line\":0,\"character\":0},"
                    "\"end\":{\"line\":0,\"character\":1}}}],\"total_count\":1,"
                    "\"truncated\":false,\"message\":\"goToDefinition: 1 "
                    "result.\"}");
        json_decref(answer.output);
        json_decref(result);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        result = json_loads(none[i], JSON_DECODE_ANY, NULL);
        assert_int_equal(
            lsp_answer_places(&answer, "goToDefinition", ROOT, result, 20), 0);
        assert_json(answer.output,
                    "{\"results\":[],\"total_count\":0,\"truncated\":false,"
                    "\"message\":\"goToDefinition: No results found.\"}");
        json_decref(answer.output);
        json_decref(result);
    }
    assert_int_equal(lsp_answer_places(&answer, "x", ROOT, NULL, 20), 0);
    json_decref(answer.output);
}

static void
test_symbols_of_a_tree(void **state)
{
    json_t *result = json_loads(
        "[{\"name\":\"outer\",\"kind\":23,\"detail\":\"struct\",\"range\":{},"
        "\"selectionRange\":{\"start\":{\"line\":1,\"character\":7},\"end\":"
        "{\"line\":1,\"character\":12}},\"children\":[{\"name\":\"inner\","
        "\"kind\":8,\"range\":{\"start\":{\"line\":2,\"character\":0},\"end\":"
        "{\"line\":2,\"character\":5}}}]}]",
        0, NULL);
    json_t *results, *inner;
    struct lsp_answer answer;

    (void) state;
    assert_int_equal(lsp_answer_symbols(&answer, "documentSymbol", ROOT,
                                        "file:///srv/tree/a.c", result),
                     0);
    results = json_object_get(answer.output, "results");
    assert_int_equal(json_array_size(results), 2);
    inner = json_array_get(results, 1);
    assert_json(inner,
                "{\"name\":\"inner\",\"kind\":8,\"kind_name\":\"field\","
                "\"containerName\":\"outer\",\"file_path\":\"a.c\","
                "\"uri\":\"file:///srv/tree/a.c\",\"line\":3,\"character\":1,"
                "\"range\":{\"start\":{\"line\":2,\"character\":0},"
                "\"end\":{\"line\":2,\"character\":5}}}");
    json_decref(answer.output);
    json_decref(result);
}

/* A tree as deep as JSON may be. */
static void
test_symbols_of_a_deep_tree(void **state)
{
    json_t *symbol = json_pack("{s:s}", "name", "leaf");
    json_t *list;
    struct lsp_answer answer;

    (void) state;
    for (int i = 0; i < 900; i++)
        symbol = json_pack("{s:s, s:[o]}", "name", "n", "children", symbol);
    list = json_pack("[o]", symbol);
    assert_int_equal(lsp_answer_symbols(&answer, "documentSymbol", ROOT,
                                        "file:///srv/tree/a.c", list),
                     0);
    assert_true(
        json_integer_value(json_object_get(answer.output, "total_count")) < 50);
    json_decref(answer.output);
    json_decref(list);
}

static void
test_diagnostics_worst_first(void **state)
{
    json_t *items = json_loads(
        "[{\"severity\":3,\"message\":\"c\"},{\"severity\":1,\"message\":\"a\","
        "\"code\":7,\"source\":\"cc\"},{\"severity\":2,\"message\":\"b\","
        "\"code\":\"-Wx\"},{\"severity\":99,\"message\":\"z\"},5]",
        0, NULL);
    const char *order = "azbc";
    json_t *results, *one;
    struct lsp_answer answer;
    size_t i;

    (void) state;
    assert_int_equal(
        lsp_answer_diagnostics(&answer, ROOT, "file:///srv/tree/a.c", items),
        0);
    results = json_object_get(answer.output, "results");
    assert_int_equal(json_array_size(results), 4);
    json_array_foreach(results, i, one) assert_int_equal(
        json_string_value(json_object_get(one, "message"))[0], order[i]);
    assert_json(json_array_get(results, 0),
                "{\"file_path\":\"a.c\",\"uri\":\"file:///srv/tree/a.c\","
                "\"severity\":1,\"severity_name\":\"error\",\"message\":\"a\","
                "\"code\":7,\"source\":\"cc\"}");
    json_decref(answer.output);
    json_decref(items);
}

static void
hover_check(const char *text, const char *wanted)
{
    json_t *result = json_loads(text, JSON_DECODE_ANY, NULL);
    struct lsp_answer answer;

    assert_int_equal(lsp_answer_hover(&answer, result), 0);
    assert_json(answer.output, wanted);
    json_decref(answer.output);
    json_decref(result);
}

static void
test_hovers_of_all_kinds(void **state)
{
    (void) state;
    hover_check("{\"contents\":{\"kind\":\"plaintext\",\"value\":\"int x\"}}",
                "{\"contents\":{\"kind\":\"plaintext\",\"value\":\"int x\"},"
                "\"truncated\":false,\"original_length\":5,\"message\":"
                "\"hover: 5 bytes.\"}");
    hover_check("{\"contents\":[\"a\",{\"language\":\"c\",\"value\":\"b\"}]}",
                "{\"contents\":{\"kind\":\"markdown\",\"value\":\"a\\n\\nb\"},"
                "\"truncated\":false,\"original_length\":4,\"message\":"
                "\"hover: 4 bytes.\"}");
    hover_check("null", "{\"contents\":null,\"truncated\":false,\"message\":"
                        "\"hover: No information available.\"}");
    hover_check("{\"contents\":[[[\"deep\"]]]}",
                "{\"contents\":null,\"truncated\":false,\"message\":"
                "\"hover: No information available.\"}");
}

static void
test_r4_2_hover_is_cut_between_characters(void **state)
{
    char text[3 * 2500 + 1];
    json_t *result, *contents;
    struct lsp_answer answer;

    (void) state;
    for (size_t i = 0; i < 2500; i++)
        memcpy(text + 3 * i, "\xe2\x82\xac", 3);
    text[sizeof(text) - 1] = '\0';
    text[0] = text[1] = text[2] = 'x';
    text[1] = 'y';
    memmove(text + 1, text + 2, sizeof(text) - 2);
    result = json_pack("{s:{s:s, s:s}}", "contents", "kind", "markdown",
                       "value", text);
    assert_int_equal(lsp_answer_hover(&answer, result), 0);
    assert_true(answer.truncated);
    contents = json_object_get(answer.output, "contents");
    assert_int_equal(json_string_length(json_object_get(contents, "value")),
                     5999);
    assert_int_equal(
        json_integer_value(json_object_get(answer.output, "original_length")),
        7499);
    json_decref(answer.output);
    json_decref(result);
}

/* --- hello */

static void
test_hello(void **state)
{
    static const struct {
        const char *text;
        bool saves, pulls;
    } rows[] = {
        {"{\"capabilities\":{}}", false, false},
        {"{\"capabilities\":{\"textDocumentSync\":2}}", true, false},
        {"{\"capabilities\":{\"textDocumentSync\":{\"save\":true}}}", true,
         false},
        {"{\"capabilities\":{\"textDocumentSync\":{\"save\":{}},"
         "\"diagnosticProvider\":{}}}",
         true, true},
        {"{\"capabilities\":{\"textDocumentSync\":{\"save\":false}}}", false,
         false},
        {"7", false, false},
    };
    json_t *hello = lsp_hello_make("/srv/a tree");

    (void) state;
    assert_non_null(hello);
    assert_string_equal(json_string_value(json_object_get(hello, "rootUri")),
                        "file:///srv/a%20tree");
    json_decref(hello);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *result = json_loads(rows[i].text, JSON_DECODE_ANY, NULL);
        struct lsp_features features;

        lsp_hello_read(&features, result);
        assert_int_equal(features.saves, rows[i].saves);
        assert_int_equal(features.pulls, rows[i].pulls);
        json_decref(result);
    }
}

static void
test_refusals(void **state)
{
    static const char *const rows[][3] = {
        {"{\"code\":-32601,\"message\":\"x\"}", "unavailable",
         "This language server has no such operation."},
        {"{\"code\":-32801}", "unavailable",
         "The file changed meanwhile. Ask again."},
        {"{\"code\":-32602,\"message\":\"bad line\"}", "failed",
         "The language server refused: bad line"},
        {"{}", "failed", "The language server refused: "},
    };
    char why[LSP_HELLO_REFUSAL_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *error = json_loads(rows[i][0], 0, NULL);

        assert_string_equal(lsp_hello_refusal(error, why), rows[i][1]);
        assert_string_equal(why, rows[i][2]);
        json_decref(error);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_frames_headers_without_end),
        cmocka_unit_test(test_frames_written_are_read),
        cmocka_unit_test(test_places_uris),
        cmocka_unit_test(test_places_made),
        cmocka_unit_test(test_r4_2_places_are_limited),
        cmocka_unit_test(test_r4_2_answers_are_limited_in_bytes),
        cmocka_unit_test(test_places_of_all_kinds),
        cmocka_unit_test(test_symbols_of_a_tree),
        cmocka_unit_test(test_symbols_of_a_deep_tree),
        cmocka_unit_test(test_diagnostics_worst_first),
        cmocka_unit_test(test_hovers_of_all_kinds),
        cmocka_unit_test(test_r4_2_hover_is_cut_between_characters),
        cmocka_unit_test(test_hello),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
