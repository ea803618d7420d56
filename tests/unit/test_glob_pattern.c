/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/glob_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

static struct glob_pattern *
make(const char *text)
{
    struct glob_pattern *g = NULL;

    if (glob_pattern_create(&g, text, strlen(text), GLOB_PATH))
        fail_msg("%s", text);
    return g;
}

static void
test_r3_1_matches(void **state)
{
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "a/b", false},
        {"*", "anything", true},
        {"*", "a/b", false},
        {"*.c", "main.c", true},
        {"*.c", ".c", true},
        {"*.c", "main.cc", false},
        {"a*b*c", "axxbxxbc", true},
        {"a*b*c", "axxbxxb", false},
        {"?", "x", true},
        {"?", "\xc3\xa9", true},
        {"??", "\xc3\xa9", false},
        {"*??", "\xe2\x82\xac", false},
        {"?", "\xff", true},
        {"?", "", false},
        {"[abc]", "b", true},
        {"[!abc]", "b", false},
        {"[^abc]", "d", true},
        {"[a-f]x", "cx", true},
        {"[a-f]x", "gx", false},
        {"[]x]", "]", true},
        {"[!]x]", "]", false},
        {"[a-]", "-", true},
        {"[[:digit:]]*", "7up", true},
        {"[[:digit:]]*", "up", false},
        {"[[:alpha:]_]", "_", true},
        {"[\\]]", "]", true},
        {"[\xc3\xa0-\xc3\xbf]", "\xc3\xa9", true},
        {"\\*", "*", true},
        {"\\*", "a", false},
        {"**", "a", true},
        {"**", "a/b/c", true},
        {"**/a", "a", true},
        {"**/a", "x/y/a", true},
        {"**/a", "x/ya", false},
        {"a/**", "a", false},
        {"a/**", "a/b", true},
        {"a/**", "a/b/c", true},
        {"a/**/b", "a/b", true},
        {"a/**/b", "a/x/y/b", true},
        {"a/**/b", "a/x/y/c", false},
        {"**/*.c", "main.c", true},
        {"**/a/**/b/**", "x/a/y/b/z", true},
        {"**/a/**/b/**", "x/a/y/b", false},
        {"***/a", "x/y/a", true},
        {"a**b", "axyb", true},
        {"a**b", "ax/yb", false},
        {"*.{c,h}", "x.h", true},
        {"*.{c,h}", "x.o", false},
        {"{a,b}/{c,d}", "b/c", true},
        {"{a,b/{x,y}}", "b/y", true},
        {"{a,b/{x,y}}", "b", false},
        {"x{,.bak}", "x", true},
        {"x{,.bak}", "x.bak", true},
        {"\\{a,b}", "{a,b}", true},
        {"{a[,]b,c}", "a,b", true},
        {"./a/b/", "a/b", true},
        {"a//b", "a/b", true},
        {"[a/b]", "a", true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct glob_pattern *g = make(cases[i].pattern);

        if (glob_pattern_matches(g, cases[i].path, strlen(cases[i].path))
            != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].path);
        glob_pattern_destroy(&g);
    }
}

static void
test_r3_1_leads_below(void **state)
{
    static const struct {
        const char *pattern, *directory;
        bool leads;
    } cases[] = {
        {"*.c", "", true},           {"*.c", "src", false},
        {"src/*.c", "src", true},    {"src/*.c", "lib", false},
        {"src/*.c", "src/x", false}, {"**/*.c", "a/b/c", true},
        {"a/**", "a", true},         {"a/**", "b", false},
        {"a/*/c", "a/b", true},      {"a/*/c", "a/b/c", false},
        {"{a,b}/*/c", "b/x", true},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct glob_pattern *g = make(cases[i].pattern);

        if (glob_pattern_leads_below(g, cases[i].directory,
                                     strlen(cases[i].directory))
            != cases[i].leads)
            fail_msg("%s below %s", cases[i].pattern, cases[i].directory);
        glob_pattern_destroy(&g);
    }
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {
        "",    "/",  ".",      "[a",     "[",  "[!]",
        "a\\", "{a", "{a,{b}", "a/../b", "..", "[[:alpha:]",
    };
    struct glob_pattern *g = NULL;
    char longest[GLOB_PATTERN_MAX + 2];
    char parts[256] = "";

    (void) state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        if (glob_pattern_create(&g, bad[i], strlen(bad[i]), GLOB_PATH)
            != UV_EINVAL)
            fail_msg("%s", bad[i]);
    assert_int_equal(glob_pattern_create(&g, "a\0b", 3, 0), UV_EINVAL);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(glob_pattern_create(&g, longest, sizeof(longest), 0),
                     UV_E2BIG);
    for (int i = 0; i < GLOB_PATTERN_PARTS + 1; i++)
        memcpy(parts + 2 * i, "a/", 3);
    assert_int_equal(glob_pattern_create(&g, parts, strlen(parts), 0),
                     UV_E2BIG);
    assert_int_equal(glob_pattern_create(&g,
                                         "{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}"
                                         "{a,b}{a,b}",
                                         40, GLOB_PATH),
                     UV_E2BIG);
    assert_null(g);
}

static void
test_hidden(void **state)
{
    struct glob_pattern *g = make("a/.b/*");

    (void) state;
    assert_true(glob_pattern_is_of_hidden(g));
    glob_pattern_destroy(&g);
    g = make("a.b/*");
    assert_false(glob_pattern_is_of_hidden(g));
    glob_pattern_destroy(&g);
    g = make("x/{a,.b}");
    assert_true(glob_pattern_is_of_hidden(g));
    glob_pattern_destroy(&g);
}

/* Stars over stars against what never matches: no more work than lengths. */
static void
test_work_is_bounded(void **state)
{
    char pattern[GLOB_PATTERN_MAX + 1] = "", path[4001];
    struct glob_pattern *g;

    (void) state;
    for (int i = 0; i < 300; i++)
        memcpy(pattern + 2 * i, "*a", 3);
    memcpy(pattern + 600, "b", 2);
    memset(path, 'a', sizeof(path) - 1);
    path[4000] = 0;
    g = make(pattern);
    for (int i = 0; i < 100; i++)
        assert_false(glob_pattern_matches(g, path, 4000));
    glob_pattern_destroy(&g);
    pattern[0] = 0;
    for (int i = 0; i < 25; i++)
        memcpy(pattern + 6 * i, "**/*a/", 7);
    memcpy(pattern + 150, "b", 2);
    for (int i = 1; i < 4000; i += 2)
        path[i] = '/';
    g = make(pattern);
    for (int i = 0; i < 100; i++)
        assert_false(glob_pattern_matches(g, path, 3999));
    glob_pattern_destroy(&g);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_matches),
        cmocka_unit_test(test_r3_1_leads_below),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_work_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
