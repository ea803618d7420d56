/* SPDX-License-Identifier: BSD-2-Clause */

#include "model/offline_wit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Monday, 2 March 2026, 13:05:00 UTC. */
#define MOMENT_MS INT64_C(1772456700000)

static const struct wit_moment moment = {
    .wall_ms = MOMENT_MS, .utc_offset_s = 0, .last_said = "It is late."};

static const char tools_text[] =
    "[{'type':'function','name':'get_weather','description':'Get the "
    "current weather for a location','parameters':{'type':'object',"
    "'properties':{'unit':{'type':'string','enum':['celsius','fahrenheit']},"
    "'location':{'type':'string'}},'required':['location']}},"
    "{'type':'function','name':'list_files','parameters':{'type':'object',"
    "'properties':{'path':{'type':'string'}}}},"
    "{'type':'function','name':'read_file','parameters':{'type':'object',"
    "'properties':{'path':{'type':'string'}},'required':['path']}},"
    "{'type':'function','name':'grep','parameters':{'type':'object',"
    "'properties':{'pattern':{'type':'string'},'path':{'type':'string'}},"
    "'required':['pattern']}},"
    "{'type':'function','name':'setLight','description':'Switch a light',"
    "'parameters':{'type':'object','properties':{'on':{'type':'boolean'},"
    "'level':{'type':'integer'},'room':{'type':'string','enum':"
    "['kitchen','living_room']}},'required':['on']}},"
    "{'type':'mcp','server_label':'x'},{'type':'function'}]";

static struct wit *
wit_make(const char *text)
{
    char json[4096];
    json_t *tools = NULL;
    struct wit *wit = NULL;

    if (text != NULL) {
        snprintf(json, sizeof json, "%s", text);
        for (char *c = json; *c != '\0'; c++)
            *c = *c == '\'' ? '"' : *c;
        tools = json_loads(json, 0, NULL);
        assert_non_null(tools);
    }
    assert_int_equal(wit_create(&wit, tools), 0);
    json_decref(tools);
    return wit;
}

static void
test_talk(void **state)
{
    static const struct {
        const char *typed, *intent, *said;
    } rows[] = {
        {"What time is it?", "time", "It is 1:05 PM."},
        {"what's the time", "time", "It is 1:05 PM."},
        {"could you please tell me what time it is", "time", "It is 1:05 PM."},
        {"what is the date today", "date", "Today is Monday, March 2, 2026."},
        {"What\xe2\x80\x99s today's date?", "date",
         "Today is Monday, March 2, 2026."},
        {"WHAT DAY IS IT", "day", "Today is Monday."},
        {"what is seven plus five", "sum", "7 plus 5 is 12."},
        {"7+5=", "sum", "7 plus 5 is 12."},
        {"how much is 12 * 12?", "sum", "12 times 12 is 144."},
        {"what is one hundred and five minus two hundred", "sum",
         "105 minus 200 is minus 95."},
        {"what is nine hundred ninety nine times nine hundred ninety nine",
         "sum", "999 times 999 is 998001."},
        {"what is ten divided by four", "sum", "10 divided by 4 is about 2.5."},
        {"what is one divided by zero", "sum",
         "Nothing can be divided by zero."},
        {"1,000 - 1", "sum", "1000 minus 1 is 999."},
        {"count to five", "count", "1, 2, 3, 4, 5."},
        {"count from three to eight", "count", "3, 4, 5, 6, 7, 8."},
        {"count from 3 to 1", "count", "3, 2, 1."},
        {"count down from three", "count", "3, 2, 1."},
        {"count to nine hundred", "count",
         "That is too far for me. I count up to 100 numbers."},
        {"hello", "hello", "Good afternoon! How can I help you?"},
        {"repeat that", "repeat", "It is late."},
        {"thanks!", "thanks", "You are welcome."},
        {"goodbye.", "goodbye", "Goodbye!"},
        {"stop", "stop", "Okay."},
        {"say Blue Moon 7!", "say", "Blue Moon 7!"},
        {"repeat after me: one Two", "say", "one Two"},
        {"what tools do you have", "tools",
         "This session has given me no tools."},
        {"what is the weather in london", "weather",
         "I can't know the weather: this session has no tool for it."},
        {"the cat sat", "unknown",
         "I heard: the cat sat. I don't know how to answer that. Ask me what "
         "I can do."},
        {"", "unheard", "Sorry, I did not understand that."},
        {" ?! ", "unheard", "Sorry, I did not understand that."},
        {NULL, "hello", "Good afternoon! How can I help you?"},
    };
    struct wit *wit = wit_make(NULL);
    struct wit_answer answer;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wit_answer(wit, &moment, rows[i].typed, true, &answer),
                         0);
        assert_string_equal(answer.intent, rows[i].intent);
        assert_string_equal(answer.text, rows[i].said);
        assert_int_equal(answer.action, strcmp(rows[i].intent, "stop") == 0
                                            ? WIT_HUSH
                                            : WIT_SAY);
        wit_answer_deinit(&answer);
    }
    wit_destroy(&wit);
    assert_null(wit);
}

static void
test_story_is_long(void **state)
{
    struct wit *wit = wit_make(NULL);
    struct wit_answer answer;

    (void) state;
    assert_int_equal(
        wit_answer(wit, &moment, "tell me a long story", true, &answer), 0);
    assert_true(strlen(answer.text) > 600);
    wit_answer_deinit(&answer);
    wit_destroy(&wit);
}

static void
test_calls(void **state)
{
    static const struct {
        const char *typed, *tool, *arguments;
    } rows[] = {
        {"what is the weather in london", "get_weather",
         "{\"location\":\"London\"}"},
        {"What's the weather like in New York today?", "get_weather",
         "{\"location\":\"New York\"}"},
        {"how is the weather in paris in celsius", "get_weather",
         "{\"location\":\"Paris\",\"unit\":\"celsius\"}"},
        {"use get weather for london", "get_weather",
         "{\"location\":\"London\"}"},
        {"Use the get_weather tool for Timbuktu.", "get_weather",
         "{\"location\":\"Timbuktu\"}"},
        {"get the current weather for san francisco", "get_weather",
         "{\"location\":\"San Francisco\"}"},
        {"Could you check whether the weather is fine in Tokyo?", "get_weather",
         "{\"location\":\"Tokyo\"}"},
        {"call get weather", "get_weather", "{\"location\":\"\"}"},
        {"call get_weather {\"location\":\"Rome\",\"x\":1}", "get_weather",
         "{\"location\":\"Rome\",\"x\":1}"},
        {"list the files", "list_files", "{}"},
        {"list files in src/model", "list_files", "{\"path\":\"src/model\"}"},
        {"what files are there", "list_files", "{}"},
        {"read the file readme", "read_file", "{\"path\":\"README.md\"}"},
        {"Read ./backend/base/Loop.h", "read_file",
         "{\"path\":\"./backend/base/Loop.h\"}"},
        {"open readme.txt.", "read_file", "{\"path\":\"readme.txt\"}"},
        {"search for errors", "grep", "{\"pattern\":\"errors\"}"},
        {"Search for FooBar in tests/unit", "grep",
         "{\"pattern\":\"FooBar\",\"path\":\"tests/unit\"}"},
        {"search for session in the project", "grep",
         "{\"path\":\".\",\"pattern\":\"session\"}"},
        {"set light on", "setLight", "{\"on\":true}"},
        {"set light off in the living room level 30", "setLight",
         "{\"on\":false,\"level\":30,\"room\":\"living_room\"}"},
        {"switch a light on kitchen", "setLight",
         "{\"on\":true,\"room\":\"kitchen\"}"},
    };
    struct wit *wit = wit_make(tools_text);
    struct wit_answer answer;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        json_t *want, *got;

        assert_int_equal(wit_answer(wit, &moment, rows[i].typed, true, &answer),
                         0);
        if (answer.action != WIT_CALL)
            fail_msg("%s: said %s", rows[i].typed, answer.text);
        assert_string_equal(answer.tool, rows[i].tool);
        want = json_loads(rows[i].arguments, 0, NULL);
        got = json_loads(answer.arguments, 0, NULL);
        if (!json_equal(want, got))
            fail_msg("%s: %s", rows[i].typed, answer.arguments);
        json_decref(want);
        json_decref(got);
        wit_answer_deinit(&answer);
        /* tool_choice none */
        assert_int_equal(
            wit_answer(wit, &moment, rows[i].typed, false, &answer), 0);
        assert_int_not_equal(answer.action, WIT_CALL);
        wit_answer_deinit(&answer);
    }
    wit_destroy(&wit);
}

static void
test_asks_back_and_stays_itself(void **state)
{
    static const char *const rows[][2] = {
        {"what is the weather", "missing"}, {"read the file", "missing"},
        {"read me a story", "story"},       {"stop", "stop"},
        {"what is seven plus five", "sum"}, {"list your tools", "tools"},
    };
    struct wit *wit = wit_make(tools_text);
    struct wit_answer answer;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wit_answer(wit, &moment, rows[i][0], true, &answer),
                         0);
        assert_int_not_equal(answer.action, WIT_CALL);
        assert_string_equal(answer.intent, rows[i][1]);
        wit_answer_deinit(&answer);
    }
    wit_destroy(&wit);
}

static void
test_force(void **state)
{
    static const char *const rows[][4] = {
        {"get_weather", NULL, "get_weather", "{\"location\":\"\"}"},
        {"get_weather", "tell me about Paris", "get_weather",
         "{\"location\":\"Paris\"}"},
        {NULL, "search for errors", "grep", "{\"pattern\":\"errors\"}"},
        {NULL, NULL, "get_weather", "{\"location\":\"\"}"},
        {"setLight", "", "setLight", "{\"on\":false}"},
    };
    struct wit *wit = wit_make(tools_text), *none = wit_make(NULL);
    struct wit_answer answer;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wit_force_call(wit, rows[i][0], rows[i][1], &answer),
                         0);
        assert_int_equal(answer.action, WIT_CALL);
        assert_string_equal(answer.tool, rows[i][2]);
        assert_string_equal(answer.arguments, rows[i][3]);
        wit_answer_deinit(&answer);
    }
    assert_int_equal(wit_force_call(wit, "nope", "hi", &answer), UV_ENOENT);
    assert_int_equal(wit_force_call(none, NULL, "hi", &answer), UV_ENOENT);
    wit_destroy(&wit);
    wit_destroy(&none);
}

static void
test_results(void **state)
{
    static const char *const rows[][2] = {
        {"{\"city\":\"Paris\",\"temperature\":18,\"rain\":false}",
         "Get weather says: city Paris, temperature 18, rain no."},
        {"sunny, 20 degrees", "sunny, 20 degrees."},
        {"\"All is well.\"", "All is well."},
        {"{\"result\":\"It rains\"}", "It rains."},
        {"{\"content\":[{\"type\":\"text\",\"text\":\"MCP says hi\"}]}",
         "MCP says hi."},
        {"{\"error\":{\"message\":\"no such city\"}}",
         "That did not work: no such city."},
        {"[\"a.c\",\"b.c\"]", "I found 2: a.c and b.c."},
        {"[1,2,3,4,5,6,7,8]", "I found 8: 1, 2, 3, 4, 5, 6 and 2 more."},
        {"[]", "I found nothing."},
        {"42", "Get weather says 42."},
        {"", "Done. The tool gave back nothing."},
        {"{}", "Get weather says: nothing."},
    };
    struct wit *wit = wit_make(tools_text);
    struct wit_answer answer;
    char deep[4000];

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(
            wit_tell_result(wit, "get_weather", rows[i][0], &answer), 0);
        assert_string_equal(answer.text, rows[i][1]);
        wit_answer_deinit(&answer);
    }
    memset(deep, '[', 1000);
    memset(deep + 1000, ']', 1000);
    deep[2000] = '\0';
    assert_int_equal(wit_tell_result(wit, NULL, deep, &answer), 0);
    wit_answer_deinit(&answer);
    memset(deep, 'x', sizeof deep - 1);
    deep[sizeof deep - 1] = '\0';
    assert_int_equal(wit_tell_result(wit, NULL, deep, &answer), 0);
    assert_true(strlen(answer.text) < 500);
    wit_answer_deinit(&answer);
    assert_int_equal(wit_tell_result(wit, NULL, NULL, &answer), 0);
    wit_answer_deinit(&answer);
    wit_destroy(&wit);
}

static void
test_follow(void **state)
{
    static const char *const rows[][2] = {
        {"Say exactly: hello there", "hello there"},
        {"Please say \"One, two.\" to the user", "One, two."},
        {"Reply with: ok\nand nothing else", "ok"},
        {"You are helpful. Be brief.", NULL},
        {"Greet the user and say hello", NULL},
        {"essay: nothing", NULL},
        {"", NULL},
    };
    struct wit_answer answer;

    (void) state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int result = wit_follow(rows[i][0], &answer);

        assert_int_equal(result, rows[i][1] != NULL);
        if (result == 1)
            assert_string_equal(answer.text, rows[i][1]);
        wit_answer_deinit(&answer);
    }
    assert_int_equal(wit_follow(NULL, &answer), 0);
}

static void
test_grammar(void **state)
{
    struct wit *one = wit_make(tools_text), *two = wit_make(tools_text);
    struct wit *none = wit_make(NULL);

    (void) state;
    assert_true(wit_grammar(one)->id == wit_grammar(two)->id);
    assert_true(wit_grammar(one)->id != wit_grammar(none)->id);
    assert_non_null(strstr(wit_grammar(one)->jsgf, "get weather"));
    assert_non_null(strstr(wit_grammar(one)->words, "\nweather\n"));
    assert_null(strstr(wit_grammar(none)->jsgf, "fahrenheit"));
    wit_destroy(&one);
    wit_destroy(&two);
    wit_destroy(&none);
}

/* Declarations and texts nobody should send. */
static void
test_hostile(void **state)
{
    json_t *tools = json_array();
    struct wit *wit;
    struct wit_answer answer;
    char text[6000];

    (void) state;
    for (int i = 0; i < 300; i++) {
        char name[64];

        snprintf(name, sizeof name, "tool_%d_\xc3\xa9<(|%d", i, i * 7);
        json_array_append_new(
            tools,
            json_pack("{s:s,s:s,s:s,s:{s:{s:{s:[s,i,n]},s:i,s:{s:s}}}}", "type",
                      "function", "name", name, "description",
                      "Do (a|<b> [c now; and", "parameters", "properties",
                      "p<x>", "enum", "a|b", 3, "q", 5, "r", "type", "string"));
    }
    json_array_append_new(tools, json_string("no object"));
    json_array_append_new(
        tools, json_pack("{s:s}", "name", "\xe4\xb8\xad\xe6\x96\x87"));
    assert_int_equal(wit_create(&wit, tools), 0);
    json_decref(tools);
    assert_true(strlen(wit_grammar(wit)->jsgf) < 200000);
    for (size_t n = 0; n < sizeof text; n += 97) {
        for (size_t i = 0; i < n; i++)
            text[i] = "a 1+-\xc3'{[\"<.one hundred "[(i * 7 + n) % 24];
        text[n] = '\0';
        assert_int_equal(wit_answer(wit, &moment, text, true, &answer), 0);
        wit_answer_deinit(&answer);
    }
    wit_destroy(&wit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_talk),
        cmocka_unit_test(test_story_is_long),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_asks_back_and_stays_itself),
        cmocka_unit_test(test_force),
        cmocka_unit_test(test_results),
        cmocka_unit_test(test_follow),
        cmocka_unit_test(test_grammar),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
