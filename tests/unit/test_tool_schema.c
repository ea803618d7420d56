/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/tool_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct row {
    const char *schema, *value;
    const char *error; /* a part of it; NULL: it fits */
};

static json_t *
load(const char *text)
{
    json_error_t error;
    json_t *tree = json_loads(text, JSON_DECODE_ANY, &error);

    if (!tree)
        fail_msg("%s: %s", text, error.text);
    return tree;
}

static void
row_check(const struct row *row)
{
    char error[TOOL_SCHEMA_ERROR_BYTES];
    json_t *schema = load(row->schema), *value = load(row->value);
    int result = tool_schema_check(schema, value, error);

    if (result != (row->error ? UV_EINVAL : 0)
        || (row->error ? !strstr(error, row->error) : error[0] != 0))
        fail_msg("%s of %s: %d %s", row->value, row->schema, result, error);
    json_decref(schema);
    json_decref(value);
}

#define ROWS(rows)                                                             \
    do {                                                                       \
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)            \
            row_check(&rows[i]);                                               \
    } while (0)

static void
test_types(void **state)
{
    static const struct row rows[] = {
        {"{\"type\":\"object\"}", "{}", NULL},
        {"{\"type\":\"object\"}", "[]",
         "arguments must be an object, not an array."},
        {"{\"type\":\"array\"}", "[]", NULL},
        {"{\"type\":\"string\"}", "\"x\"", NULL},
        {"{\"type\":\"string\"}", "1", "must be a string, not a number."},
        {"{\"type\":\"integer\"}", "1", NULL},
        {"{\"type\":\"integer\"}", "1.0", NULL},
        {"{\"type\":\"integer\"}", "1.5", "must be an integer, not a number."},
        {"{\"type\":\"integer\"}", "\"1\"",
         "must be an integer, not a string."},
        {"{\"type\":\"number\"}", "1", NULL},
        {"{\"type\":\"number\"}", "null", "must be a number, not null."},
        {"{\"type\":\"boolean\"}", "false", NULL},
        {"{\"type\":\"boolean\"}", "0", "must be true or false, not a number."},
        {"{\"type\":\"null\"}", "null", NULL},
        {"{\"type\":[\"string\",\"null\"]}", "null", NULL},
        {"{\"type\":[\"string\",\"null\"]}", "{}",
         "must be a string or null, not an object."},
        {"{\"type\":\"quaternion\"}", "1", NULL},
        {"{\"type\":7}", "1", NULL},
        {"{\"type\":[]}", "1", NULL},
        {"{\"type\":[7]}", "1", NULL},
        {"true", "1", NULL},
        {"false", "1", "arguments may not be there."},
        {"null", "1", NULL},
        {"[]", "1", NULL},
    };

    (void) state;
    ROWS(rows);
}

#define READ_FILE                                                              \
    "{\"type\":\"object\",\"properties\":{"                                    \
    "\"file_path\":{\"type\":\"string\",\"minLength\":1},"                     \
    "\"offset\":{\"type\":\"integer\",\"minimum\":1},"                         \
    "\"limit\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":2000}},"        \
    "\"required\":[\"file_path\"],\"additionalProperties\":false}"

static void
test_r3_1_objects(void **state)
{
    static const struct row rows[] = {
        {READ_FILE, "{\"file_path\":\"notes\"}", NULL},
        {READ_FILE, "{\"file_path\":\"notes\",\"offset\":1,\"limit\":2000}",
         NULL},
        {READ_FILE, "{}", "arguments lacks \"file_path\"."},
        {READ_FILE, "{\"file_path\":7}",
         "arguments.file_path must be a string, not a number."},
        {READ_FILE, "{\"file_path\":\"\"}",
         "arguments.file_path must have at least 1 characters."},
        {READ_FILE, "{\"file_path\":\"a\",\"offset\":0}",
         "arguments.offset must be at least 1."},
        {READ_FILE, "{\"file_path\":\"a\",\"limit\":2001}",
         "arguments.limit must be at most 2000."},
        {READ_FILE, "{\"file_path\":\"a\",\"path\":1}",
         "arguments may not have \"path\"."},
        {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":\"b\"}",
         NULL},
        {"{\"additionalProperties\":{\"type\":\"string\"}}", "{\"a\":1}",
         "arguments.a must be a string"},
        {"{\"additionalProperties\":false,\"patternProperties\":{\"^x\":{}}}",
         "{\"x1\":1}", NULL},
        {"{\"properties\":{\"a\":false}}", "{\"a\":1}",
         "arguments.a may not be there."},
        {"{\"properties\":7,\"required\":{},\"additionalProperties\":true}",
         "{\"a\":1}", NULL},
        {"{\"required\":[1,null]}", "{}", NULL},
        /* Only objects have properties. */
        {"{\"required\":[\"a\"]}", "[]", NULL},
    };

    (void) state;
    ROWS(rows);
}

static void
test_arrays_strings_numbers(void **state)
{
    static const struct row rows[] = {
        {"{\"items\":{\"type\":\"integer\"}}", "[1,2,3]", NULL},
        {"{\"items\":{\"type\":\"integer\"}}", "[1,2,\"3\"]",
         "arguments[2] must be an integer, not a string."},
        {"{\"properties\":{\"edits\":{\"items\":{\"properties\":{\"line\":"
         "{\"type\":\"integer\"}}}}}}",
         "{\"edits\":[{\"line\":1},{\"line\":\"x\"}]}",
         "arguments.edits[1].line must be an integer"},
        {"{\"minItems\":1}", "[]", "at least 1 items"},
        {"{\"maxItems\":1}", "[1,2]", "at most 1 items"},
        {"{\"uniqueItems\":true}", "[1,2,1.0]", "same item twice"},
        {"{\"uniqueItems\":true}", "[{\"a\":1},{\"a\":2}]", NULL},
        {"{\"prefixItems\":[{}],\"items\":false}", "[1]", NULL},
        {"{\"maxLength\":2}", "\"\xc3\xa4\xc3\xb6\"", NULL},
        {"{\"maxLength\":1}", "\"\xc3\xa4\xc3\xb6\"", "at most 1 characters"},
        {"{\"minLength\":3}", "\"\xc3\xa4\xc3\xb6\"", "at least 3 characters"},
        {"{\"minLength\":-1,\"maxLength\":\"x\"}", "\"\"", NULL},
        {"{\"exclusiveMinimum\":0}", "0", "more than 0"},
        {"{\"exclusiveMaximum\":1}", "1", "less than 1"},
        {"{\"exclusiveMinimum\":true}", "0", NULL}, /* of draft 4 */
        {"{\"multipleOf\":0.1}", "0.3", NULL},
        {"{\"multipleOf\":2}", "3", "a multiple of 2"},
        {"{\"multipleOf\":0}", "3", NULL},
        {"{\"minimum\":5}", "\"4\"", NULL},
    };

    (void) state;
    ROWS(rows);
}

static void
test_choices(void **state)
{
    static const struct row rows[] = {
        {"{\"enum\":[\"content\",\"count\"]}", "\"count\"", NULL},
        {"{\"enum\":[\"content\",\"count\"]}", "\"other\"",
         "must be one of \"content\", \"count\"."},
        {"{\"enum\":[1]}", "1.0", NULL},
        {"{\"enum\":[null]}", "null", NULL},
        {"{\"enum\":[]}", "1", "must be one of"},
        {"{\"enum\":[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "\",\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"]}",
         "1", ", …."},
        {"{\"const\":{\"a\":1}}", "{\"a\":1}", NULL},
        {"{\"const\":1}", "2", "the one value"},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "null",
         NULL},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "1",
         "none of the forms"},
        {"{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]}", "1.5",
         NULL},
        {"{\"oneOf\":[{\"type\":\"number\"},{\"type\":\"integer\"}]}", "1",
         "must fit one of its forms, not 2."},
        {"{\"allOf\":[{\"minimum\":1},{\"maximum\":3}]}", "4", "at most 3"},
        {"{\"not\":{\"type\":\"null\"}}", "1", NULL},
        {"{\"not\":{\"type\":\"null\"}}", "null", "what it may not be"},
        {"{\"anyOf\":[],\"oneOf\":{},\"allOf\":7,\"not\":7}", "1",
         "what it may not be"},
    };

    (void) state;
    ROWS(rows);
}

static void
test_references(void **state)
{
    static const struct row rows[] = {
        {"{\"$ref\":\"#/$defs/s\",\"$defs\":{\"s\":{\"type\":\"string\"}}}",
         "1", "must be a string"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#/definitions/a~1b~0c\"}},"
         "\"definitions\":{\"a/b~c\":{\"type\":\"string\"}}}",
         "{\"a\":1}", "arguments.a must be a string"},
        {"{\"items\":{\"$ref\":\"#/anyOf/0\"},\"anyOf\":[{\"type\":\"array\"}]"
         "}",
         "[1]", "arguments[0] must be an array"},
        {"{\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"v\"]}",
         "{\"v\":1,\"next\":{\"v\":2,\"next\":{}}}",
         "arguments.next.next lacks \"v\"."},
        {"{\"$ref\":\"#/nowhere\"}", "1", NULL},
        {"{\"$ref\":\"https://example.org/schema\"}", "1", NULL},
        {"{\"$ref\":\"#x\"}", "1", NULL},
        {"{\"$ref\":\"\"}", "1", NULL},
        {"{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},"
         "\"b\":{\"$ref\":\"#/$defs/a\"}}}",
         "1", NULL},
        {"{\"$ref\":\"#\"}", "1", NULL},
    };

    (void) state;
    ROWS(rows);
}

/* Names of any length, in any script, leave a sentence of sound UTF-8. */
static void
test_r4_2_errors_are_bounded(void **state)
{
    char name[4000], error[TOOL_SCHEMA_ERROR_BYTES];

    (void) state;
    for (size_t i = 0; i < sizeof(name) - 1; i++)
        name[i] = "\xe2\x82\xac"[i % 3];
    name[sizeof(name) - 1] = 0;
    json_t *schema = load("{\"additionalProperties\":{\"additionalProperties\":"
                          "{\"additionalProperties\":false}}}");
    json_t *value = json_pack("{s:{s:{s:i}}}", name, name, name, 1);
    assert_int_equal(tool_schema_check(schema, value, error), UV_EINVAL);
    json_t *said = json_string(error);
    assert_non_null(said);
    assert_true(strlen(error) < 300);
    assert_non_null(strstr(error, "may not have \"\xe2\x82\xac"));
    json_decref(said);
    json_decref(value);
    json_decref(schema);
}

static json_t *
nested(unsigned depth)
{
    json_t *value = json_object();

    while (depth-- > 0)
        value = json_pack("{s:o}", "a", value);
    return value;
}

/* A bomb ends, and says so. */
static void
test_r3_5_work_is_bounded(void **state)
{
    char error[TOOL_SCHEMA_ERROR_BYTES];
    json_t *deep = load("{\"properties\":{\"a\":{\"$ref\":\"#\"}}}");
    json_t *value = nested(TOOL_SCHEMA_DEPTH_MAX - 2);

    (void) state;
    assert_int_equal(tool_schema_check(deep, value, error), 0);
    json_decref(value);
    value = nested(1000);
    assert_int_equal(tool_schema_check(deep, value, error), UV_E2BIG);
    assert_non_null(strstr(error, "too deep or too large"));
    json_decref(value);
    json_decref(deep);

    json_t *bomb = load(
        "{\"anyOf\":[{\"$ref\":\"#\"},{\"$ref\":\"#\"},{\"$ref\":\"#\"}]}");
    assert_int_equal(tool_schema_check(bomb, json_true(), error), UV_E2BIG);
    json_decref(bomb);
    bomb = load("{\"not\":{\"allOf\":[{\"oneOf\":[{\"$ref\":\"#\"},"
                "{\"$ref\":\"#\"}]}]}}");
    assert_int_equal(tool_schema_check(bomb, json_true(), error), UV_E2BIG);
    json_decref(bomb);

    json_t *unique = load("{\"uniqueItems\":true}");
    value = json_array();
    for (int i = 0; i < 5000; i++)
        json_array_append_new(value, json_integer(i));
    assert_int_equal(tool_schema_check(unique, value, error), UV_E2BIG);
    json_decref(value);
    json_decref(unique);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_r3_1_objects),
        cmocka_unit_test(test_arrays_strings_numbers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_r4_2_errors_are_bounded),
        cmocka_unit_test(test_r3_5_work_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
