/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/realtime_event.h"

#include "codec/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct verdict {
    const char *text;
    enum realtime_defect defect;
};

/* The text ends at a page nobody may read. */
static enum realtime_defect
peek_at_edge(const char *text, size_t bytes, struct realtime_peek *peek)
{
    size_t page = (size_t) sysconf(_SC_PAGESIZE);
    size_t room = (bytes + page) / page * page;
    char *map = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(mprotect(map + room, page, PROT_NONE), 0);
    memcpy(map + room - bytes, text, bytes);
    enum realtime_defect defect =
        realtime_peek(map + room - bytes, bytes, peek);
    munmap(map, room + page);
    return defect;
}

static const struct verdict verdicts[] = {
    {"{\"type\":\"response.cancel\"}", REALTIME_SOUND},
    {" \t\r\n{ \"type\" : \"x\" } \n", REALTIME_SOUND},
    {"{\"a\":[1,-0,0.5,1e9,-1.5E+3,{}],\"type\":\"x\",\"b\":[]}",
     REALTIME_SOUND},
    {"{\"type\":\"x\",\"a\":[[[{\"b\":{\"c\":[true,false,null]}}]]]}",
     REALTIME_SOUND},
    {"{\"type\":\"x\",\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\"}",
     REALTIME_SOUND},
    {"{\"type\":\"x\",\"a\":\"\\ud83d\\ude00 \xF0\x9F\x98\x80 \xC3\xA9\"}",
     REALTIME_SOUND},
    {"{\"type\":\"x\",\"session\":{\"type\":1,\"type\":2}}", REALTIME_SOUND},
    {"{\"type\":\"\"}", REALTIME_SOUND},
    /* no JSON */
    {"", REALTIME_NOT_JSON},
    {"   ", REALTIME_NOT_JSON},
    {"{", REALTIME_NOT_JSON},
    {"}", REALTIME_NOT_JSON},
    {"hello", REALTIME_NOT_JSON},
    {"\xEF\xBB\xBF{\"type\":\"x\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\"", REALTIME_NOT_JSON},
    {"{\"type\":\"x\"}x", REALTIME_NOT_JSON},
    {"{\"type\":\"x\"}{}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",}", REALTIME_NOT_JSON},
    {"{,\"type\":\"x\"}", REALTIME_NOT_JSON},
    {"{\"type\" \"x\"}", REALTIME_NOT_JSON},
    {"{type:\"x\"}", REALTIME_NOT_JSON},
    {"{'type':'x'}", REALTIME_NOT_JSON},
    {"{\"type\":\"x", REALTIME_NOT_JSON},
    {"{\"type\":\"x\\", REALTIME_NOT_JSON},
    {"{\"type\":\"x\\u12", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":01}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":-}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":1.}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":.5}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":1e}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":1e+}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":+1}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":NaN}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":tru}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":[1,]}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":[1}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":{\"b\"}}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":{\"b\":1]}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\\x\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\n\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\\ud83d\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\\ude00\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\\ud83d\\u0041\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\xC0\x80\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\xED\xA0\x80\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\xF5\x80\x80\x80\"}", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\xE2\x82", REALTIME_NOT_JSON},
    {"{\"type\":\"x\",\"a\":\"\xE2\x82\"}", REALTIME_NOT_JSON},
    /* JSON, but no event */
    {"[]", REALTIME_NOT_OBJECT},
    {"\"type\"", REALTIME_NOT_OBJECT},
    {"17", REALTIME_NOT_OBJECT},
    {"null", REALTIME_NOT_OBJECT},
    {"{}", REALTIME_TYPE_MISSING},
    {"{\"Type\":\"x\"}", REALTIME_TYPE_MISSING},
    {"{\"a\":{\"type\":\"x\"}}", REALTIME_TYPE_MISSING},
    {"{\"type\":7}", REALTIME_TYPE_INVALID},
    {"{\"type\":null}", REALTIME_TYPE_INVALID},
    {"{\"type\":{}}", REALTIME_TYPE_INVALID},
    {"{\"type\":\"session\\u002eupdate\"}", REALTIME_TYPE_INVALID},
    {"{\"\\u0074ype\":\"x\"}", REALTIME_KEY_ESCAPED},
    {"{\"type\":\"x\",\"sess\\u0069on\":{}}", REALTIME_KEY_ESCAPED},
    {"{\"type\":\"x\",\"type\":\"x\"}", REALTIME_KEY_TWICE},
    {"{\"type\":\"x\",\"session\":{},\"session\":{}}", REALTIME_KEY_TWICE},
    {"{\"type\":\"x\",\"audio\":\"\",\"audio\":\"\"}", REALTIME_KEY_TWICE},
    {"{\"type\":\"x\",\"event_id\":1,\"event_id\":1}", REALTIME_KEY_TWICE},
    {"{\"type\":\"x\",\"item\":1,\"a\":2,\"item\":1}", REALTIME_KEY_TWICE},
    {"{\"type\":\"x\",\"response\":1,\"response\":1}", REALTIME_KEY_TWICE},
    /* the grammar's verdict comes first */
    {"{\"type\":\"x\",\"type\":\"x\"", REALTIME_NOT_JSON},
};

static void
test_verdicts(void **state)
{
    (void) state;
    for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        struct realtime_peek peek;
        const struct verdict *v = &verdicts[i];
        enum realtime_defect got =
            peek_at_edge(v->text, strlen(v->text), &peek);
        if (got != v->defect)
            fail_msg("%s: %d, not %d", v->text, got, v->defect);
    }
}

/* No prefix of an event is an event, and none is read beyond its end. */
static void
test_prefixes(void **state)
{
    static const char text[] =
        "{\"event_id\":\"e\",\"type\":\"session.update\",\"a\":[-1.5e3,{\"b\":"
        "\"\\ud83d\\ude00\xF0\x9F\x98\x80\"}],\"session\":{\"x\":null}}";
    struct realtime_peek peek;

    (void) state;
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        assert_int_equal(peek_at_edge(text, n, &peek), REALTIME_NOT_JSON);
    assert_int_equal(peek_at_edge(text, sizeof(text) - 1, &peek),
                     REALTIME_SOUND);
}

static void
test_nul_is_no_json(void **state)
{
    struct realtime_peek peek;

    (void) state;
    assert_int_equal(realtime_peek("{\"type\":\"x\"}\0", 13, &peek),
                     REALTIME_NOT_JSON);
    assert_int_equal(realtime_peek("{\"type\":\"\0\"}", 12, &peek),
                     REALTIME_NOT_JSON);
    assert_int_equal(realtime_peek("\0", 1, &peek), REALTIME_NOT_JSON);
}

static void
test_spans(void **state)
{
    static const char text[] =
        "{ \"event_id\" : \"e1\", \"type\":\"input_audio_buffer.append\" ,"
        "\"audio\": \"AAAA\" , \"session\": {\"a\": [1, 2]} }";
    struct realtime_peek peek;

    (void) state;
    assert_int_equal(realtime_peek(text, sizeof(text) - 1, &peek),
                     REALTIME_SOUND);
    assert_int_equal(peek.type, REALTIME_AUDIO_APPEND);
    assert_true(peek.known_keys);
    assert_true(realtime_span_equals(peek.value[REALTIME_KEY_EVENT_ID], "e1"));
    assert_false(realtime_span_equals(peek.value[REALTIME_KEY_EVENT_ID], "e"));
    assert_false(realtime_span_equals(peek.value[REALTIME_KEY_ITEM], ""));
    struct realtime_span session = peek.value[REALTIME_KEY_SESSION];
    assert_int_equal(session.bytes, strlen("{\"a\": [1, 2]}"));
    assert_memory_equal(session.text, "{\"a\": [1, 2]}", session.bytes);
    assert_int_equal(peek.name.bytes, strlen("input_audio_buffer.append"));
    assert_null(peek.value[REALTIME_KEY_ITEM].text);

    static const char other[] = "{\"type\":\"nobody.knows\",\"more\":1}";
    assert_int_equal(realtime_peek(other, sizeof(other) - 1, &peek),
                     REALTIME_SOUND);
    assert_int_equal(peek.type, REALTIME_OTHER);
    assert_false(peek.known_keys);
}

static void
test_depth(void **state)
{
    char text[1024];
    struct realtime_peek peek;

    (void) state;
    for (int extra = 0; extra < 2; extra++) {
        unsigned depth = JSON_SCAN_DEPTH + (unsigned) extra;
        size_t n = (size_t) sprintf(text, "{\"type\":\"x\",\"a\":");
        memset(text + n, '[', depth);
        memset(text + n + depth, ']', depth);
        n += 2 * depth;
        text[n++] = '}';
        assert_int_equal(realtime_peek(text, n, &peek),
                         extra ? REALTIME_TOO_DEEP : REALTIME_SOUND);
    }
    memset(text, '[', sizeof(text));
    assert_int_equal(realtime_peek(text, sizeof(text), &peek),
                     REALTIME_TOO_DEEP);
}

/* Every place in a long string where something may stand. */
static void
test_long_strings(void **state)
{
    char text[256];
    struct realtime_peek peek;

    (void) state;
    for (size_t at = 0; at < 100; at++) {
        size_t n = (size_t) sprintf(text, "{\"type\":\"x\",\"audio\":\"");
        memset(text + n, 'A', 100);
        size_t end = n + 100;
        memcpy(text + end, "\"}", 2);
        assert_int_equal(peek_at_edge(text, end + 2, &peek), REALTIME_SOUND);
        text[n + at] = '\x1F';
        assert_int_equal(peek_at_edge(text, end + 2, &peek), REALTIME_NOT_JSON);
        text[n + at] = '\x80';
        assert_int_equal(peek_at_edge(text, end + 2, &peek), REALTIME_NOT_JSON);
        text[n + at] = '\x7F';
        assert_int_equal(peek_at_edge(text, end + 2, &peek), REALTIME_SOUND);
        text[n + at] = '"';
        assert_int_equal(peek_at_edge(text, end + 2, &peek), REALTIME_NOT_JSON);
    }
}

static void
test_type_of(void **state)
{
    static const char created[] = "{\"type\":\"session.created\", garbage";
    static const char late[] =
        "{\"event_id\":\"e\",\"x\":[{}],\"type\":\"response.done\"}";

    (void) state;
    assert_int_equal(realtime_type_of(created, sizeof(created) - 1),
                     REALTIME_SESSION_CREATED);
    assert_int_equal(realtime_type_of(late, sizeof(late) - 1),
                     REALTIME_RESPONSE_DONE);
    assert_int_equal(realtime_type_of("{}", 2), REALTIME_OTHER);
    assert_int_equal(realtime_type_of("[]", 2), REALTIME_OTHER);
    assert_int_equal(realtime_type_of("{\"type\":3}", 10), REALTIME_OTHER);
    for (unsigned t = 1; t < REALTIME_TYPE_COUNT; t++) {
        char text[128];
        int n = sprintf(text, "{\"type\":\"%s\"}",
                        realtime_type_name((enum realtime_type) t));
        assert_int_equal(realtime_type_of(text, (size_t) n), t);
    }
    assert_string_equal(realtime_type_name(REALTIME_OTHER), "");
}

static void
test_error_write(void **state)
{
    char out[REALTIME_ERROR_BYTES];
    static const char id[] = "\"c\\u0031\"";
    struct realtime_error error = {
        .code = "invalid_event",
        .message = "a \"quoted\" \\ line\n\xC3\xA9 \xFF",
        .param = "session.tools",
        .event_id = {id, sizeof(id) - 1},
    };

    (void) state;
    size_t bytes = realtime_error_write(out, "event_1", &error);
    assert_int_equal(bytes, strlen(out));
    json_t *tree = json_loads(out, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(tree);
    json_t *inner = json_object_get(tree, "error");
    assert_string_equal(json_string_value(json_object_get(tree, "type")),
                        "error");
    assert_string_equal(json_string_value(json_object_get(inner, "message")),
                        "a \"quoted\" \\ line\n\xC3\xA9 ?");
    assert_string_equal(json_string_value(json_object_get(inner, "type")),
                        "invalid_request_error");
    assert_string_equal(json_string_value(json_object_get(inner, "event_id")),
                        "c1");
    json_decref(tree);

    /* Everything too long at once is still an event. */
    char *long_text = malloc(10000);
    memset(long_text, '\n', 9999);
    long_text[9999] = 0;
    error = (struct realtime_error){
        long_text, long_text, long_text, long_text, {long_text, 9999}};
    bytes = realtime_error_write(out, long_text, &error);
    assert_true(bytes < REALTIME_ERROR_BYTES);
    tree = json_loads(out, 0, NULL);
    assert_non_null(tree);
    inner = json_object_get(tree, "error");
    assert_true(json_is_null(json_object_get(inner, "event_id")));
    json_decref(tree);
    free(long_text);
}

static void
test_created_build(void **state)
{
    struct realtime_span session = {"{\"id\":\"s\"}", 10};
    size_t bytes;

    (void) state;
    char *text = realtime_created_build("event_2", session, &bytes);
    assert_string_equal(text, "{\"type\":\"session.created\",\"event_id\":"
                              "\"event_2\",\"session\":{\"id\":\"s\"}}");
    assert_int_equal(bytes, strlen(text));
    free(text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_nul_is_no_json),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_long_strings),
        cmocka_unit_test(test_type_of),
        cmocka_unit_test(test_error_write),
        cmocka_unit_test(test_created_build),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
