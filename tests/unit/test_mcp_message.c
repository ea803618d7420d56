/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/mcp_message.h"

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
    json_t *tree = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!tree)
        fail_msg("no JSON: %s", text);
    return tree;
}

static int
initialized(struct mcp_greeting *g, const char *text)
{
    json_t *tree = load(text);
    int result = mcp_initialized_read(g, tree);
    json_decref(tree);
    return result;
}

static int
discovered(struct mcp_greeting *g, const char *text)
{
    json_t *tree = load(text);
    int result = mcp_discovered_read(g, tree);
    json_decref(tree);
    return result;
}

static void
legacy_greetings_are_read(void **state)
{
    struct mcp_greeting g;

    (void) state;
    assert_int_equal(
        initialized(&g, "{\"protocolVersion\":\"2025-06-18\",\"capabilities\":"
                        "{\"tools\":{\"listChanged\":true}},\"serverInfo\":{"
                        "\"name\":\"a b\\\"\\n\\u00e9c\"}}"),
        0);
    assert_int_equal(g.era, MCP_ERA_LEGACY);
    assert_string_equal(g.version, "2025-06-18");
    assert_true(g.has_tools);
    assert_true(g.tells_changes);
    assert_string_equal(g.server, "a_b____c");
    assert_int_equal(initialized(&g, "{\"protocolVersion\":\"2024-11-05\"}"),
                     0);
    assert_false(g.has_tools);
    assert_string_equal(g.server, "");
    assert_int_equal(initialized(&g, "{\"protocolVersion\":\"2026-07-28\"}"),
                     UV_ENOTSUP);
    assert_int_equal(initialized(&g, "{\"protocolVersion\":3}"), UV_EPROTO);
    assert_int_equal(initialized(&g, "[]"), UV_EPROTO);
}

static void
modern_greetings_are_read(void **state)
{
    struct mcp_greeting g;

    (void) state;
    assert_int_equal(
        discovered(&g, "{\"supportedVersions\":[\"2027-01-01\",\"2026-07-28\"]"
                       ",\"capabilities\":{\"tools\":{}},\"_meta\":{\"io."
                       "modelcontextprotocol/serverInfo\":{\"name\":\"s\"}}}"),
        0);
    assert_int_equal(g.era, MCP_ERA_MODERN);
    assert_string_equal(g.version, "2026-07-28");
    assert_true(g.has_tools);
    assert_false(g.tells_changes);
    assert_string_equal(g.server, "s");
    assert_int_equal(discovered(&g, "{\"supportedVersions\":[\"2027-01-01\"]}"),
                     UV_ENOTSUP);
    assert_int_equal(discovered(&g, "{\"supportedVersions\":[1,null]}"),
                     UV_ENOTSUP);
    assert_int_equal(discovered(&g, "{}"), UV_EPROTO);
    assert_int_equal(discovered(&g, "7"), UV_EPROTO);
    json_t *data = load("{\"supported\":[\"2026-07-28\"]}");
    assert_true(mcp_error_offers_modern(data));
    assert_false(mcp_error_offers_modern(NULL));
    json_decref(data);
}

static void
check(json_t *made, const char *expected)
{
    json_t *other = load(expected);
    char *text = json_dumps(made, JSON_COMPACT);
    if (!json_equal(made, other))
        fail_msg("%s\nnot %s", text, expected);
    free(text);
    json_decref(made);
    json_decref(other);
}

static void
parameters_are_made(void **state)
{
    json_t *arguments = load("{\"a\":1}");

    (void) state;
    check(mcp_list_params(NULL), "{}");
    check(mcp_list_params("c"), "{\"cursor\":\"c\"}");
    check(mcp_cancelled_params(4),
          "{\"requestId\":4,\"reason\":\"nobody waits for it any more\"}");
    check(mcp_call_params("t", arguments, 9, ""),
          "{\"name\":\"t\",\"arguments\":{\"a\":1},\"_meta\":{"
          "\"progressToken\":9}}");
    check(mcp_call_params("t", arguments, 9, "00-x"),
          "{\"name\":\"t\",\"arguments\":{\"a\":1},\"_meta\":{"
          "\"progressToken\":9,\"traceparent\":\"00-x\"}}");
    json_decref(arguments);

    json_t *stamped = mcp_params_stamp(mcp_list_params(NULL));
    json_t *meta = json_object_get(stamped, "_meta");
    assert_string_equal(json_string_value(json_object_get(
                            meta, "io.modelcontextprotocol/protocolVersion")),
                        "2026-07-28");
    assert_true(json_is_object(
        json_object_get(meta, "io.modelcontextprotocol/clientCapabilities")));
    assert_string_equal(
        json_string_value(json_object_get(
            json_object_get(meta, "io.modelcontextprotocol/clientInfo"),
            "name")),
        "ngx-voice");
    json_decref(stamped);
    /* What is there already stays. */
    arguments = json_object();
    stamped = mcp_params_stamp(mcp_call_params("t", arguments, 9, NULL));
    assert_int_equal(json_integer_value(json_object_get(
                         json_object_get(stamped, "_meta"), "progressToken")),
                     9);
    json_decref(arguments);
    json_decref(stamped);
    stamped = mcp_params_stamp(NULL);
    assert_int_equal(json_object_size(stamped), 1);
    json_decref(stamped);
}

static void
pages_and_progress_are_read(void **state)
{
    struct mcp_page page;
    struct mcp_progress p;
    json_t *tree = load("{\"tools\":[{}],\"nextCursor\":\"n\",\"ttlMs\":5}");

    (void) state;
    assert_int_equal(mcp_page_read(&page, tree), 0);
    assert_int_equal(json_array_size(page.tools), 1);
    assert_string_equal(page.cursor, "n");
    assert_int_equal(page.ttl_ms, 5);
    json_decref(tree);
    tree = load("{\"tools\":[],\"nextCursor\":null,\"ttlMs\":-5}");
    assert_int_equal(mcp_page_read(&page, tree), 0);
    assert_null(page.cursor);
    assert_int_equal(page.ttl_ms, 0);
    json_decref(tree);
    tree = load("{\"tools\":{}}");
    assert_int_equal(mcp_page_read(&page, tree), UV_EPROTO);
    json_decref(tree);

    tree = load("{\"progressToken\":3,\"progress\":1,\"total\":2.5,"
                "\"message\":\"m\"}");
    assert_int_equal(mcp_progress_read(&p, tree), 0);
    assert_int_equal(p.token, 3);
    assert_true(p.progress == 1 && p.total == 2.5);
    assert_string_equal(p.message, "m");
    json_decref(tree);
    static const char *const bad[] = {
        "{\"progressToken\":\"3\",\"progress\":1}", "{\"progressToken\":3}",
        "{\"progressToken\":-3,\"progress\":1}", "[]"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        tree = load(bad[i]);
        assert_int_equal(mcp_progress_read(&p, tree), UV_EINVAL);
        json_decref(tree);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(legacy_greetings_are_read),
        cmocka_unit_test(modern_greetings_are_read),
        cmocka_unit_test(parameters_are_made),
        cmocka_unit_test(pages_and_progress_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
