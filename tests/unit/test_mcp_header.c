/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static void
texts_become_values_of_headers(void **state)
{
    static const char *const rows[][2] = {
        {"read_file", "read_file"},
        {"with space", "with space"},
        {"", "=?base64?"
             "?="},
        {" lead", "=?base64?IGxlYWQ=?="},
        {"trail\t", "=?base64?dHJhaWwJ?="},
        {"a\nb", "=?base64?YQpi?="},
        {"caf\xc3\xa9", "=?base64?Y2Fmw6k=?="},
        {"=?base64?x?=", "=?base64?PT9iYXNlNjQ/eD89?="},
        {"=?base64?x", "=?base64?x"},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer out;
        buffer_init(&out, 1024);
        assert_int_equal(mcp_header_value(&out, rows[i][0], strlen(rows[i][0])),
                         0);
        assert_string_equal(buffer_text(&out), rows[i][1]);
        buffer_deinit(&out);
    }
    struct buffer small;
    buffer_init(&small, 4);
    assert_int_equal(mcp_header_value(&small, "\n\n\n", 3), UV_ENOBUFS);
    buffer_deinit(&small);
}

#define MARK(name) "\"x-mcp-header\":\"" name "\""
#define PROP(key, type, mark)                                                  \
    "\"" key "\":{\"type\":\"" type "\"," MARK(mark) "}"

static void
marks_are_checked(void **state)
{
    static const struct {
        const char *schema;
        int result;
    } rows[] = {
        {"{\"type\":\"object\"}", 0},
        {"{\"properties\":{" PROP("a", "string", "A") "}}", 0},
        {"{\"properties\":{" PROP("a", "integer", "A") "," PROP("b", "boolean",
                                                                "B") "}}",
         0},
        {"{\"properties\":{\"o\":{\"type\":\"object\",\"properties\":{" PROP(
             "a", "string", "A") "}}}}",
         0},
        {"{\"properties\":{" PROP("a", "number", "A") "}}", UV_EINVAL},
        {"{\"properties\":{" PROP("a", "object", "A") "}}", UV_EINVAL},
        {"{\"properties\":{" PROP("a", "string", "A B") "}}", UV_EINVAL},
        {"{\"properties\":{" PROP("a", "string", "") "}}", UV_EINVAL},
        {"{\"properties\":{" PROP("a", "string", "A:") "}}", UV_EINVAL},
        {"{\"properties\":{" PROP("a", "string", "X") "," PROP("b", "string",
                                                               "x") "}}",
         UV_EINVAL},
        {"{\"properties\":{\"a\":{\"type\":\"string\",\"x-mcp-header\":1}}}",
         UV_EINVAL},
        {"{\"properties\":{\"a\":{" MARK("A") "}}}", UV_EINVAL},
        {"{" MARK("A") ",\"type\":\"string\"}", UV_EINVAL},
        {"{\"items\":{\"type\":\"string\"," MARK("A") "}}", UV_EINVAL},
        {"{\"anyOf\":[{\"properties\":{" PROP("a", "string", "A") "}}]}",
         UV_EINVAL},
        {"{\"$defs\":{" PROP("a", "string", "A") "}}", UV_EINVAL},
        {"{\"properties\":{\"l\":{\"type\":\"array\",\"items\":{\"properties\":"
         "{" PROP("a", "string", "A") "}}}}}",
         UV_EINVAL},
        /* Not a schema: only a value that looks like one. */
        {"{\"properties\":{\"a\":{\"default\":{" MARK("A") "}}}}", 0},
        {"{\"properties\":{\"x-mcp-header\":{\"type\":\"string\"}}}", 0},
    };
    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *schema = json_loads(rows[i].schema, 0, NULL);
        assert_non_null(schema);
        if (mcp_header_check(schema) != rows[i].result)
            fail_msg("%s", rows[i].schema);
        json_decref(schema);
    }
}

static void
schemas_that_are_too_deep_are_refused(void **state)
{
    json_t *schema = json_object();

    (void) state;
    for (int i = 0; i < 200; i++)
        schema = json_pack("{s:o}", "not", schema);
    assert_int_equal(mcp_header_check(schema), UV_EINVAL);
    json_decref(schema);
}

static int
on_mark(void *arg, const char *name, const json_t *value)
{
    struct buffer *out = arg;
    int result = buffer_printf(out, "%s=", name);
    if (!result)
        result = mcp_header_argument(out, value);
    return result ? result : buffer_append(out, ";", 1);
}

static void
marked_arguments_are_told(void **state)
{
    json_t *schema = json_loads(
        "{\"properties\":{" PROP("a", "string", "A") "," PROP(
            "n", "integer",
            "N") "," PROP("b", "boolean",
                          "B") "," PROP("no", "string",
                                        "No") ",\"u\":{\"type\":\"string\"},"
                                              "\"o\":{"
                                              "\"type\":\"object\","
                                              "\"properties\":{" PROP(
                                                  "x", "string", "X") "}}}}",
        0, NULL);
    json_t *arguments = json_loads("{\"a\":\"v\",\"n\":-12,\"b\":true,\"no\":"
                                   "null,\"u\":\"z\",\"o\":{\"x\":\"y\"}}",
                                   0, NULL);
    struct buffer out;

    (void) state;
    buffer_init(&out, 1024);
    assert_int_equal(mcp_header_each(schema, arguments, on_mark, &out), 0);
    assert_string_equal(buffer_text(&out), "A=v;N=-12;B=true;X=y;");
    buffer_clear(&out);
    json_object_set_new(arguments, "n", json_integer(9007199254740992));
    assert_int_equal(mcp_header_each(schema, arguments, on_mark, &out),
                     UV_EINVAL);
    json_object_set_new(arguments, "n", json_array());
    assert_int_equal(mcp_header_each(schema, arguments, on_mark, &out),
                     UV_EINVAL);
    buffer_deinit(&out);
    json_decref(schema);
    json_decref(arguments);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_become_values_of_headers),
        cmocka_unit_test(marks_are_checked),
        cmocka_unit_test(schemas_that_are_too_deep_are_refused),
        cmocka_unit_test(marked_arguments_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
