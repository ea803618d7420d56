/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_result.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct row {
    const char *result;
    int error;
    const char *output; /* or the error's text */
};

static void
row_check(const struct row *row, size_t max_bytes)
{
    struct mcp_result r;
    json_t *tree = json_loads(row->result, JSON_ALLOW_NUL, NULL);
    assert_non_null(tree);
    int error = mcp_result_read(&r, tree, max_bytes);
    char *text =
        r.output ? json_dumps(r.output, JSON_COMPACT) : strdup(r.error);
    if (error != row->error || strcmp(text, row->output) != 0)
        fail_msg("%s\nis %d %s\nnot %d %s", row->result, error, text,
                 row->error, row->output);
    free(text);
    json_decref(r.output);
    json_decref(tree);
}

#define TEXT(t) "{\"type\":\"text\",\"text\":\"" t "\"}"

static void
results_become_outputs(void **state)
{
    static const struct row rows[] = {
        {"{\"content\":[" TEXT("a") "]}", 0,
         "{\"content\":\"a\",\"truncated\":false,\"total_bytes\":1}"},
        {"{\"content\":[" TEXT("a") "," TEXT("b") "],\"resultType\":"
                                                  "\"complete\"}",
         0, "{\"content\":\"a\\nb\",\"truncated\":false,\"total_bytes\":3}"},
        {"{\"content\":[]}", 0,
         "{\"content\":\"\",\"truncated\":false,\"total_bytes\":0}"},
        {"{}", 0, "{\"content\":\"\",\"truncated\":false,\"total_bytes\":0}"},
        {"{\"content\":[" TEXT("a\\u0000b") "]}", 0,
         "{\"content\":\"a?b\",\"truncated\":false,\"total_bytes\":3}"},
        {"{\"content\":[{\"type\":\"image\",\"data\":\"AAAA\",\"mimeType\":"
         "\"image/png\"}]}",
         0,
         "{\"content\":\"\",\"attachments\":[{\"type\":\"image\",\"mime_type\":"
         "\"image/png\",\"bytes\":3}],\"truncated\":false,\"total_bytes\":0}"},
        {"{\"content\":[{\"type\":\"resource_link\",\"uri\":\"file:///a\","
         "\"name\":\"n\"}]}",
         0,
         "{\"content\":\"\",\"attachments\":[{\"type\":\"resource_link\","
         "\"name\":\"n\",\"uri\":\"file:///a\"}],\"truncated\":false,"
         "\"total_bytes\":0}"},
        {"{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\","
         "\"text\":\"in\"}}]}",
         0, "{\"content\":\"in\",\"truncated\":false,\"total_bytes\":2}"},
        {"{\"content\":[{\"type\":\"resource\",\"resource\":{\"uri\":\"u\","
         "\"blob\":\"AA==\"}}]}",
         0,
         "{\"content\":\"\",\"attachments\":[{\"uri\":\"u\",\"bytes\":1}],"
         "\"truncated\":false,\"total_bytes\":0}"},
        /* What is said twice is told once. */
        {"{\"content\":[" TEXT("{ \\\"a\\\": 1 }") "],\"structuredContent\":{"
                                                   "\"a\":1}}",
         0,
         "{\"structured_content\":{\"a\":1},\"truncated\":false,"
         "\"total_bytes\":10}"},
        {"{\"content\":[" TEXT("hello") "],\"structuredContent\":{\"content\":"
                                        "\"hello\"}}",
         0, "{\"content\":\"hello\",\"truncated\":false,\"total_bytes\":5}"},
        {"{\"content\":[" TEXT("one") "],\"structuredContent\":{\"a\":1}}", 0,
         "{\"structured_content\":{\"a\":1},\"content\":\"one\",\"truncated\":"
         "false,\"total_bytes\":3}"},
        {"{\"content\":[],\"structuredContent\":{\"a\":1}}", 0,
         "{\"structured_content\":{\"a\":1},\"content\":\"\",\"truncated\":"
         "false,\"total_bytes\":0}"},
        {"{\"content\":[" TEXT("It broke.") "],\"isError\":true}", UV_ECANCELED,
         "It broke."},
        {"{\"content\":[],\"isError\":true}", UV_ECANCELED,
         "The tool failed and said nothing."},
        {"{\"resultType\":\"input_required\"}", UV_ENOTSUP, ""},
        {"{\"content\":{}}", UV_EPROTO, ""},
        {"{\"content\":[{}]}", UV_EPROTO, ""},
        {"{\"content\":[1]}", UV_EPROTO, ""},
        {"{\"content\":[{\"type\":\"text\"}]}", UV_EPROTO, ""},
        {"[]", UV_EPROTO, ""},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        row_check(&rows[i], 1000);
}

static void
what_is_long_is_cut_between_characters(void **state)
{
    static const struct row rows[] = {
        {"{\"content\":[" TEXT("12345678") "]}", 0,
         "{\"content\":\"12345678\",\"truncated\":false,\"total_bytes\":8}"},
        {"{\"content\":[" TEXT("123456789") "]}", 0,
         "{\"content\":\"12345678\",\"truncated\":true,\"total_bytes\":9}"},
        {"{\"content\":[" TEXT("1234567\xc3\xa9") "," TEXT("b") "]}", 0,
         "{\"content\":\"1234567\",\"truncated\":true,\"total_bytes\":11}"},
        {"{\"content\":[" TEXT("12345678") "," TEXT("b") "," TEXT("c") "]}", 0,
         "{\"content\":\"12345678\",\"truncated\":true,\"total_bytes\":12}"},
        {"{\"content\":[" TEXT("1234567") "," TEXT("b") "]}", 0,
         "{\"content\":\"1234567\\n\",\"truncated\":true,\"total_bytes\":9}"},
        {"{\"structuredContent\":{\"a\":\"123456789\"}}", 0,
         "{\"content\":\"{\\\"a\\\":\\\"12\",\"truncated\":true,"
         "\"total_bytes\":17}"},
        {"{\"content\":[" TEXT("x") "],\"structuredContent\":{\"a\":"
                                    "\"123456789\"}}",
         0, "{\"content\":\"x\",\"truncated\":true,\"total_bytes\":1}"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        row_check(&rows[i], 8);
}

static void
attachments_are_counted(void **state)
{
    struct mcp_result r;
    json_t *list = json_array();

    (void) state;
    for (int i = 0; i < 1000; i++)
        json_array_append_new(
            list, json_pack("{s:s,s:s}", "type", "audio", "data", "!"));
    json_t *tree = json_pack("{s:o}", "content", list);
    assert_int_equal(mcp_result_read(&r, tree, 1000), 0);
    assert_int_equal(json_array_size(json_object_get(r.output, "attachments")),
                     MCP_ATTACHMENTS_MAX);
    json_decref(r.output);
    json_decref(tree);
}

static void
errors_are_cut_and_cleaned(void **state)
{
    char error[MCP_RESULT_ERROR_BYTES], text[2000];

    (void) state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    text[3] = '\xff';
    mcp_result_error(error, text);
    assert_int_equal(strlen(error), MCP_RESULT_ERROR_BYTES - 1);
    assert_int_equal(error[3], '?');
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_become_outputs),
        cmocka_unit_test(what_is_long_is_cut_between_characters),
        cmocka_unit_test(attachments_are_counted),
        cmocka_unit_test(errors_are_cut_and_cleaned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
