/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_glob.h"

#include "kit/file_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct file_rig rig;
static struct tool *tool;
static struct file_rig_result result;

static void
call(const char *arguments)
{
    const struct file_rig_call c = {.tool = tool, .arguments = arguments};

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The paths that were found, sorted, with spaces between. */
static const char *
found(const char *arguments)
{
    static char text[16384];
    const char *paths[600];
    size_t at, bytes = 0, count = 0;
    json_t *match;

    call(arguments);
    if (!result.output)
        fail_msg("%s: %s", result.type, result.error);
    json_array_foreach(json_object_get(result.output, "matches"), at, match)
        paths[count++] = json_string_value(json_object_get(match, "path"));
    qsort(paths, count, sizeof(*paths), compare);
    text[0] = 0;
    for (at = 0; at < count; at++)
        bytes += (size_t) snprintf(text + bytes, sizeof(text) - bytes, "%s%s",
                                   at ? " " : "", paths[at]);
    assert_int_equal(
        json_integer_value(json_object_get(result.output, "count")), count);
    return text;
}

static int
setup(void **state)
{
    static const char *const files[] = {
        "a.c",          "b.h",         "src/a.c",     "src/deep/b.c",
        "src/deep/x.o", ".hidden/h.c", "src/.env",    "node_modules/m.c",
        "docs/a.md",    "docs/b.md",   ".git/config", "out/skip.c",
    };

    (void) state;
    file_rig_init(&rig);
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        file_rig_write(&rig, files[i], "x");
    file_rig_write(&rig, ".gitignore", "node_modules/\n*.o\n/out\n");
    return tool_glob_create(&tool, &(struct tool_file_config){rig.root});
}

static int
teardown(void **state)
{
    (void) state;
    tool_unref(&tool);
    file_rig_deinit(&rig);
    return 0;
}

static void
test_r3_1_patterns(void **state)
{
    char whole[256];

    (void) state;
    assert_string_equal(found("{'pattern':'*.c'}"), "a.c");
    assert_string_equal(found("{'pattern':'**/*.c'}"),
                        "a.c src/a.c src/deep/b.c");
    assert_string_equal(found("{'pattern':'*.{c,h}'}"), "a.c b.h");
    assert_string_equal(found("{'pattern':'src/**/*.c'}"),
                        "src/a.c src/deep/b.c");
    assert_string_equal(found("{'pattern':'**/*.c','path':'src'}"),
                        "src/a.c src/deep/b.c");
    assert_string_equal(
        json_string_value(json_object_get(result.output, "base_path")), "src");
    assert_string_equal(found("{'pattern':'*.c','path':'docs/../src/.'}"),
                        "src/a.c");
    assert_string_equal(found("{'pattern':'**','type':'dir'}"),
                        "docs src src/deep");
    assert_string_equal(found("{'pattern':'s*','type':'any'}"), "src");
    assert_string_equal(
        found("{'pattern':'**/*.c','exclude':['src/deep','a.c']}"), "");
    assert_string_equal(found("{'pattern':'**/*.c','exclude':['deep']}"),
                        "a.c src/a.c");
    snprintf(whole, sizeof(whole), "{'pattern':'%s/src/*.c'}",
             tool_root_path(rig.root));
    assert_string_equal(found(whole), "src/a.c");
}

static void
test_r3_1_hidden_and_ignored(void **state)
{
    (void) state;
    assert_string_equal(found("{'pattern':'**/*.o'}"), "");
    assert_string_equal(found("{'pattern':'**/*.o','include_ignored':true}"),
                        "src/deep/x.o");
    assert_string_equal(found("{'pattern':'**/.env'}"), "src/.env");
    assert_string_equal(found("{'pattern':'.hidden/*'}"), ".hidden/h.c");
    assert_string_equal(found("{'pattern':'**/c*','include_ignored':true}"),
                        "");
    assert_string_equal(found("{'pattern':'.git/*'}"), ".git/config");
    assert_string_equal(found("{'pattern':'**/*.c','include_ignored':true}"),
                        ".hidden/h.c a.c node_modules/m.c out/skip.c src/a.c "
                        "src/deep/b.c");
}

static void
test_newest_first_and_no_more_than_500(void **state)
{
    char name[64];

    (void) state;
    for (int i = 0; i < 1234; i++) {
        snprintf(name, sizeof(name), "many/%04d.txt", i);
        file_rig_write(&rig, name, "");
        file_rig_age(&rig, name, 1000 + i * 7919 % 1234);
    }
    call("{'pattern':'many/*.txt'}");
    json_t *matches = json_object_get(result.output, "matches");
    assert_int_equal(json_array_size(matches), 500);
    assert_int_equal(
        json_integer_value(json_object_get(result.output, "total_files")),
        1234);
    assert_true(json_is_true(json_object_get(result.output, "truncated")));
    assert_true(json_is_true(json_object_get(result.output, "results_capped")));
    assert_true(result.truncated);
    for (int i = 0; i < 500; i++) {
        const json_t *match = json_array_get(matches, (size_t) i);
        int number =
            atoi(json_string_value(json_object_get(match, "path")) + 5);

        assert_int_equal(number * 7919 % 1234, i);
    }
}

static void
test_links(void **state)
{
    (void) state;
    file_rig_write(&rig, "links/real/f", "x");
    assert_int_equal(symlink("real", file_rig_at(&rig, "root/links/d")), 0);
    assert_int_equal(symlink("real/f", file_rig_at(&rig, "root/links/f")), 0);
    assert_int_equal(symlink("/etc", file_rig_at(&rig, "root/links/e")), 0);
    assert_int_equal(symlink("none", file_rig_at(&rig, "root/links/n")), 0);
    assert_int_equal(symlink(".", file_rig_at(&rig, "root/links/self")), 0);
    assert_int_equal(mkfifo(file_rig_at(&rig, "root/links/fifo"), 0600), 0);
    assert_string_equal(found("{'pattern':'**','path':'links','type':'any'}"),
                        "links/d links/f links/real links/real/f links/self");
    assert_string_equal(found("{'pattern':'*','path':'links/self/d'}"),
                        "links/real/f");
}

static void
test_names_of_any_bytes(void **state)
{
    (void) state;
    file_rig_write(&rig, "odd/\xff\xfe", "x");
    file_rig_write(&rig, "odd/new\nline", "x");
    file_rig_write(&rig, "odd/\xc3\xa9", "x");
    assert_string_equal(found("{'pattern':'?','path':'odd'}"), "odd/\xc3\xa9");
    assert_string_equal(found("{'pattern':'\?\?','path':'odd'}"), "odd/??");
    assert_string_equal(found("{'pattern':'n*','path':'odd'}"),
                        "odd/new\nline");
}

static void
assert_failed(const char *arguments, const char *type)
{
    call(arguments);
    if (result.output || strcmp(result.type, type) != 0)
        fail_msg("%s: %s %s", arguments, result.type, result.error);
}

static void
test_refused(void **state)
{
    (void) state;
    assert_failed("{'pattern':'../*'}", "invalid_arguments");
    assert_failed("{'pattern':'[a'}", "invalid_arguments");
    assert_failed("{'pattern':'/etc/*'}", "denied");
    assert_failed("{'pattern':'/'}", "denied");
    assert_failed("{'pattern':'*','path':'..'}", "denied");
    assert_failed("{'pattern':'*','path':'/etc'}", "denied");
    assert_failed("{'pattern':'*','path':'none'}", "not_found");
    assert_failed("{'pattern':'*','path':'a.c'}", "invalid_arguments");
    assert_failed("{'pattern':'*','exclude':['{a']}", "invalid_arguments");
}

/* Deeper than a walk goes: what is reached is told, and that there is more. */
static void
test_depth_is_bounded(void **state)
{
    int fd = open(file_rig_at(&rig, "root"), O_PATH | O_DIRECTORY);
    int top = fd;

    (void) state;
    assert_int_equal(mkdirat(fd, "deep", 0700), 0);
    fd = openat(fd, "deep", O_PATH | O_DIRECTORY);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(mkdirat(fd, "d", 0700), 0);
        int next = openat(fd, "d", O_PATH | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    close(top);
    call("{'pattern':'deep/**','type':'dir'}");
    assert_true(json_integer_value(json_object_get(result.output, "count"))
                > 50);
    assert_true(result.truncated);
    assert_non_null(json_object_get(result.output, "warning"));
}

static void
test_ends_in_time(void **state)
{
    const struct file_rig_call over = {
        .tool = tool, .arguments = "{'pattern':'**'}", .timeout_ms = 100};
    const struct file_rig_call gone = {
        .tool = tool, .arguments = "{'pattern':'**'}", .is_cancelled = true};

    (void) state;
    file_rig_result_deinit(&result);
    file_rig_run(&over, &result);
    assert_true(result.truncated && result.unsettled);
    file_rig_result_deinit(&result);
    file_rig_run(&gone, &result);
    assert_string_equal(result.type, "cancelled");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_patterns),
        cmocka_unit_test(test_r3_1_hidden_and_ignored),
        cmocka_unit_test(test_newest_first_and_no_more_than_500),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_names_of_any_bytes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_ends_in_time),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);

    file_rig_result_deinit(&result);
    return failed;
}
