/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/json_rpc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static json_t *
load(const char *text)
{
    json_t *tree = json_rpc_load(text, strlen(text));
    if (!tree)
        fail_msg("no JSON: %s", text);
    return tree;
}

static void
messages_are_told_apart(void **state)
{
    static const struct {
        const char *text;
        int kind; /* -1: none */
        uint64_t number;
    } rows[] = {
        {"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\"}", JSON_RPC_REQUEST,
         0},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"m\",\"params\":{}}",
         JSON_RPC_REQUEST, 0},
        {"{\"jsonrpc\":\"2.0\",\"method\":\"m\"}", JSON_RPC_NOTIFICATION, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}",
         JSON_RPC_NOTIFICATION, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}", JSON_RPC_RESULT, 7},
        {"{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":{}}", JSON_RPC_RESULT,
         0},
        {"{\"jsonrpc\":\"2.0\",\"id\":-7,\"result\":{}}", JSON_RPC_RESULT, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7.5,\"result\":{}}", JSON_RPC_RESULT, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-1}}",
         JSON_RPC_ERROR, 7},
        {"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-1}}",
         JSON_RPC_ERROR, 0},
        {"{\"id\":7,\"result\":{}}", -1, 0},
        {"{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":{}}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"result\":{}}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{}}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":\"x\"}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":1}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\\u0000b\"}", -1, 0},
        {"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"m\",\"params\":3}", -1, 0},
        {"[]", -1, 0},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct json_rpc m;
        json_t *tree = load(rows[i].text);
        int result = json_rpc_read(&m, tree);
        if (result != (rows[i].kind < 0 ? UV_EINVAL : 0)
            || (!result
                && ((int) m.kind != rows[i].kind
                    || m.number != rows[i].number)))
            fail_msg("%s: %d, kind %d", rows[i].text, result, (int) m.kind);
        json_decref(tree);
    }
}

static void
what_is_no_json_is_refused(void **state)
{
    static const char *const texts[] = {"", "{", "{\"a\":1,\"a\":2}",
                                        "\"\xff\"", "1 2"};
    (void) state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_null(json_rpc_load(texts[i], strlen(texts[i])));
    json_t *tree = load("{\"a\":\"x\\u0000y\"}");
    assert_int_equal(json_string_length(json_object_get(tree, "a")), 3);
    json_decref(tree);
}

static void
check_text(char *text, const char *expected)
{
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void
messages_are_made_on_one_line(void **state)
{
    json_t *id = json_string("a\nb");

    (void) state;
    check_text(json_rpc_request(3, "tools/list", NULL),
               "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/list\"}");
    check_text(json_rpc_request(3, "m", json_pack("{s:s}", "a", "x\ny")),
               "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"m\",\"params\":{"
               "\"a\":\"x\\ny\"}}");
    check_text(json_rpc_notification("m", NULL),
               "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}");
    check_text(json_rpc_result(id, NULL),
               "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"result\":{}}");
    check_text(json_rpc_error(id, -32601, "no"),
               "{\"jsonrpc\":\"2.0\",\"id\":\"a\\nb\",\"error\":{\"code\":-"
               "32601,\"message\":\"no\"}}");
    json_decref(id);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_told_apart),
        cmocka_unit_test(what_is_no_json_is_refused),
        cmocka_unit_test(messages_are_made_on_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
