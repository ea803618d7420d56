/* SPDX-License-Identifier: BSD-2-Clause */

/* What a client is told of an upstream that could not be opened. */

#include "model/realtime_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define KEY "sk-very-secret"
#define BODY(code)                                                             \
    "{\"error\":{\"message\":\"M.\",\"type\":\"invalid_request_error\","       \
    "\"param\":null,\"code\":\"" code "\"}}"

struct told {
    enum realtime_fault_kind kind;
    unsigned close_code;
    const char *type, *code;
};

static void
expect(const struct realtime_fault *fault, const struct told *told)
{
    char text[REALTIME_ERROR_BYTES];
    json_error_t why;

    assert_int_equal(fault->kind, told->kind);
    assert_int_equal(fault->close_code, told->close_code);
    assert_string_equal(fault->type, told->type);
    assert_string_equal(fault->code, told->code);
    size_t bytes = realtime_fault_write(fault, text);
    assert_int_equal(bytes, strlen(text));
    json_t *tree = json_loadb(text, bytes, 0, &why);
    assert_non_null(tree);
    assert_string_equal(json_string_value(json_object_get(tree, "type")),
                        "error");
    json_t *error = json_object_get(tree, "error");
    assert_string_equal(json_string_value(json_object_get(error, "code")),
                        told->code);
    json_decref(tree);
}

static void
test_ends(void **state)
{
    static const struct {
        struct realtime_end end;
        struct told told;
    } rows[] = {
        {{.fault = WS_FAULT_STATUS, .status = 401, .refusal = BODY(KEY)},
         {REALTIME_FAULT_UNAUTHORIZED, 1011, "server_error",
          "upstream_unauthorized"}},
        {{.fault = WS_FAULT_STATUS, .status = 403},
         {REALTIME_FAULT_UNAUTHORIZED, 1011, "server_error",
          "upstream_unauthorized"}},
        {{.fault = WS_FAULT_STATUS, .status = 404, .refusal = "no JSON"},
         {REALTIME_FAULT_NOT_FOUND, 4000, "invalid_request_error",
          "model_not_found"}},
        {{.fault = WS_FAULT_STATUS, .status = 404, .call = true},
         {REALTIME_FAULT_NOT_FOUND, 4000, "invalid_request_error",
          "call_id_not_found"}},
        {{.fault = WS_FAULT_STATUS, .status = 429},
         {REALTIME_FAULT_BUSY, 1013, "server_error", "rate_limit_exceeded"}},
        {{.fault = WS_FAULT_STATUS,
          .status = 429,
          .refusal = BODY("insufficient_quota")},
         {REALTIME_FAULT_BUSY, 1013, "invalid_request_error",
          "insufficient_quota"}},
        {{.fault = WS_FAULT_STATUS,
          .status = 400,
          .refusal = BODY("unsupported_parameter")},
         {REALTIME_FAULT_REFUSED, 4000, "invalid_request_error",
          "unsupported_parameter"}},
        {{.fault = WS_FAULT_STATUS,
          .status = 400,
          .refusal = BODY("invalid_api_key")},
         {REALTIME_FAULT_UNAUTHORIZED, 1011, "server_error",
          "upstream_unauthorized"}},
        {{.fault = WS_FAULT_STATUS, .status = 503, .refusal = BODY("x")},
         {REALTIME_FAULT_UNAVAILABLE, 1011, "server_error",
          "upstream_unavailable"}},
        {{.fault = WS_FAULT_STATUS, .status = 302},
         {REALTIME_FAULT_UNAVAILABLE, 1011, "server_error",
          "upstream_unavailable"}},
        {{.fault = WS_FAULT_STATUS, .status = 504},
         {REALTIME_FAULT_TIMEOUT, 1011, "server_error", "upstream_timeout"}},
        {{.fault = WS_FAULT_TIMEOUT, .code = 1006},
         {REALTIME_FAULT_TIMEOUT, 1011, "server_error", "upstream_timeout"}},
        {{.fault = WS_FAULT_TLS, .code = 1006},
         {REALTIME_FAULT_UNAVAILABLE, 1011, "server_error",
          "upstream_unavailable"}},
        {{.code = 3000, .reason = "invalid_request_error.invalid_api_key"},
         {REALTIME_FAULT_UNAUTHORIZED, 1011, "server_error",
          "upstream_unauthorized"}},
        {{.code = 4001, .reason = "why"},
         {REALTIME_FAULT_REFUSED, 4001, "invalid_request_error",
          "upstream_refused"}},
        {{.code = 1013, .reason = ""},
         {REALTIME_FAULT_BUSY, 1013, "server_error", "rate_limit_exceeded"}},
        {{.code = 1000, .reason = ""},
         {REALTIME_FAULT_UNAVAILABLE, 1011, "server_error",
          "upstream_unavailable"}},
    };
    struct realtime_fault fault;

    (void) state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        realtime_fault_of_end(&fault, &rows[i].end);
        expect(&fault, &rows[i].told);
        assert_null(strstr(fault.message, KEY));
        assert_true(strlen(realtime_end_text(&rows[i].end)) > 0);
    }
}

static void
test_reasons(void **state)
{
    struct realtime_fault fault;

    (void) state;
    realtime_fault_of_end(&fault, &(struct realtime_end){
                                      .fault = WS_FAULT_STATUS, .status = 404});
    assert_string_equal(fault.close_reason,
                        "invalid_request_error.model_not_found");
    realtime_fault_of_end(
        &fault, &(struct realtime_end){.code = 4001, .reason = "their own"});
    assert_string_equal(fault.close_reason, "their own");
}

static void
event(struct realtime_fault *fault, const char *fields)
{
    char text[512];

    snprintf(text, sizeof(text), "{\"type\":\"error\",\"error\":{%s}}", fields);
    realtime_fault_of_event(fault, text, strlen(text));
}

static void
test_events(void **state)
{
    struct realtime_fault fault;

    (void) state;
    event(&fault, "\"type\":\"invalid_request_error\","
                  "\"code\":\"beta_api_shape_disabled\",\"message\":\"No.\"");
    assert_int_equal(fault.kind, REALTIME_FAULT_REFUSED);
    assert_int_equal(fault.close_code, 1011);
    realtime_fault_closed(&fault, 4000,
                          "invalid_request_error.beta_api_shape_disabled");
    assert_int_equal(fault.close_code, 4000);
    assert_string_equal(fault.close_reason,
                        "invalid_request_error.beta_api_shape_disabled");
    assert_string_equal(fault.message, "No.");

    event(&fault, "\"code\":\"invalid_api_key\",\"message\":\"" KEY "\"");
    assert_int_equal(fault.kind, REALTIME_FAULT_UNAUTHORIZED);
    assert_null(strstr(fault.message, KEY));
    realtime_fault_closed(&fault, 4000, "invalid_api_key");
    assert_int_equal(fault.close_code, 1011);

    event(&fault, "\"type\":\"server_error\",\"message\":\"Oops\"");
    assert_int_equal(fault.kind, REALTIME_FAULT_UNAVAILABLE);
    event(&fault, "\"code\":\"model_not_found\"");
    assert_int_equal(fault.kind, REALTIME_FAULT_NOT_FOUND);
    event(&fault, "\"code\":\"rate_limit_exceeded\"");
    assert_int_equal(fault.kind, REALTIME_FAULT_BUSY);
    event(&fault, "\"code\":7,\"message\":{}");
    assert_int_equal(fault.kind, REALTIME_FAULT_REFUSED);
    realtime_fault_of_event(&fault, "no JSON", 7);
    assert_int_equal(fault.kind, REALTIME_FAULT_REFUSED);
    realtime_fault_closed(&fault, 1006, "lost");
    assert_int_equal(fault.close_code, 1011);
    realtime_fault_closed(&fault, 3000, "");
    assert_int_equal(fault.kind, REALTIME_FAULT_UNAUTHORIZED);
}

/* A text is cut between characters. */
static void
test_long_texts(void **state)
{
    struct realtime_fault fault;
    char text[2048] = "{\"type\":\"error\",\"error\":{\"message\":\"";
    char out[REALTIME_ERROR_BYTES];

    (void) state;
    for (unsigned i = 0; i < 300; i++)
        strncat(text, "\xc3\xa9", 3);
    strncat(text, "\"}}", 4);
    realtime_fault_of_event(&fault, text, strlen(text));
    assert_true(strlen(fault.message) > 200);
    assert_int_equal(strlen(fault.message) % 2, 0);
    size_t bytes = realtime_fault_write(&fault, out);
    json_t *tree = json_loadb(out, bytes, 0, NULL);
    assert_non_null(tree);
    json_decref(tree);
}

static void
test_blank(void **state)
{
    struct realtime_fault fault;

    (void) state;
    realtime_fault_of_end(
        &fault, &(struct realtime_end){.fault = WS_FAULT_STATUS,
                                       .status = 429,
                                       .refusal = BODY("insufficient_quota")});
    assert_string_equal(fault.message, "M.");
    realtime_fault_blank(&fault);
    assert_int_equal(fault.kind, REALTIME_FAULT_BUSY);
    assert_string_not_equal(fault.message, "M.");
}

static void
test_hope(void **state)
{
    struct realtime_fault best = {.kind = REALTIME_FAULT_NONE}, fault;

    (void) state;
    realtime_fault_of_end(&fault, &(struct realtime_end){
                                      .fault = WS_FAULT_STATUS, .status = 404});
    realtime_fault_keep(&best, &fault);
    assert_int_equal(best.kind, REALTIME_FAULT_NOT_FOUND);
    assert_false(realtime_fault_is_upstreams(&best));
    realtime_fault_of_silence(&fault);
    realtime_fault_keep(&best, &fault);
    assert_int_equal(best.kind, REALTIME_FAULT_TIMEOUT);
    assert_true(realtime_fault_is_upstreams(&best));
    realtime_fault_of_end(&fault, &(struct realtime_end){
                                      .fault = WS_FAULT_STATUS, .status = 401});
    realtime_fault_keep(&best, &fault);
    assert_int_equal(best.kind, REALTIME_FAULT_TIMEOUT);
    realtime_fault_of_limit(&fault);
    realtime_fault_keep(&best, &fault);
    assert_int_equal(best.kind, REALTIME_FAULT_BUSY);
    assert_string_equal(best.code, "upstream_busy");
    assert_false(realtime_fault_is_upstreams(&best));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),   cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_events), cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_blank),  cmocka_unit_test(test_hope),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
