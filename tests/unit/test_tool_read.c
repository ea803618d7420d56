/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_read.h"

#include "kit/file_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static struct file_rig rig;
static struct tool *tool;
static struct file_rig_result result;

static int
setup(void **state)
{
    (void) state;
    file_rig_init(&rig);
    return tool_read_create(&tool, &(struct tool_file_config){rig.root});
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
call(const char *arguments)
{
    const struct file_rig_call c = {.tool = tool, .arguments = arguments};

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
}

static void
call_pages(const char *arguments, unsigned cancel_after)
{
    const struct file_rig_call c = {.tool = tool,
                                    .arguments = arguments,
                                    .wants_pages = true,
                                    .cancel_after = cancel_after};

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
}

static const char *
text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static long long
number_of(const json_t *object, const char *name)
{
    assert_true(json_is_integer(json_object_get(object, name)));
    return json_integer_value(json_object_get(object, name));
}

static void
assert_failed(const char *arguments, const char *type)
{
    call(arguments);
    if (result.output || strcmp(result.type, type) != 0)
        fail_msg("%s: %s %s", arguments, result.type, result.error);
}

static void
lines_write(const char *name, unsigned lines)
{
    char *text = malloc(lines * 16 + 1);
    size_t bytes = 0;

    for (unsigned i = 1; i <= lines; i++)
        bytes += (size_t) sprintf(text + bytes, "line %u\n", i);
    file_rig_write_bytes(&rig, name, text, bytes);
    free(text);
}

static void
test_r3_1_whole(void **state)
{
    (void) state;
    file_rig_write(&rig, "notes", "hello\nworld");
    call("{'file_path':'notes'}");
    assert_string_equal(text_of(result.output, "content"),
                        "     1\thello\n     2\tworld\n");
    assert_string_equal(text_of(result.output, "file_path"), "notes");
    assert_int_equal(number_of(result.output, "total_lines"), 2);
    assert_int_equal(number_of(result.output, "lines_read"), 2);
    assert_int_equal(number_of(result.output, "offset"), 1);
    assert_int_equal(number_of(result.output, "total_bytes"), 11);
    assert_true(json_is_false(json_object_get(result.output, "truncated")));
    assert_null(text_of(result.output, "warning"));
    assert_false(result.truncated);
    file_rig_write(&rig, "empty", "");
    call("{'file_path':'empty'}");
    assert_string_equal(text_of(result.output, "content"), "");
    assert_string_equal(text_of(result.output, "warning"),
                        "The file is empty.");
    assert_int_equal(number_of(result.output, "total_lines"), 0);
}

static void
test_r4_2_limits(void **state)
{
    char *long_line = calloc(1, 5000);

    (void) state;
    lines_write("many", 1234);
    call("{'file_path':'many'}");
    assert_int_equal(number_of(result.output, "lines_read"), 500);
    assert_int_equal(number_of(result.output, "total_lines"), 1234);
    assert_true(result.truncated);
    assert_non_null(
        strstr(text_of(result.output, "content"), "   500\tline 500\n"));
    assert_null(strstr(text_of(result.output, "content"), "line 501"));
    call("{'file_path':'many','offset':1233,'limit':9}");
    assert_string_equal(text_of(result.output, "content"),
                        "  1233\tline 1233\n  1234\tline 1234\n");
    assert_false(result.truncated);
    call("{'file_path':'many','offset':7,'limit':2}");
    assert_string_equal(text_of(result.output, "content"),
                        "     7\tline 7\n     8\tline 8\n");
    assert_true(result.truncated);
    assert_int_equal(number_of(result.output, "total_lines"), 1234);
    call("{'file_path':'many','offset':5000}");
    assert_string_equal(text_of(result.output, "content"), "");
    assert_string_equal(text_of(result.output, "warning"),
                        "The file ends before line 5000.");
    call("{'file_path':'many','limit':100000}");
    assert_int_equal(number_of(result.output, "lines_read"), 500);
    for (int i = 0; i < 1200; i++)
        memcpy(long_line + 2 * i, "\xc3\xa9", 2);
    file_rig_write(&rig, "long", long_line);
    call("{'file_path':'long'}");
    assert_true(result.truncated);
    assert_non_null(
        strstr(text_of(result.output, "content"), "[200 more characters]"));
    free(long_line);
}

static void
test_bytes_that_are_no_text(void **state)
{
    (void) state;
    file_rig_write_bytes(&rig, "binary", "a\0b\xff\nc\xc3\n", 8);
    call("{'file_path':'binary'}");
    assert_string_equal(text_of(result.output, "content"),
                        "     1\ta?b?\n     2\tc?\n");
    assert_non_null(strstr(text_of(result.output, "warning"), "not text"));
}

static void
test_r3_4_pages(void **state)
{
    const json_t *page;
    size_t at;
    unsigned lines = 0;

    (void) state;
    lines_write("paged", 2500);
    call_pages("{'file_path':'paged'}", 0);
    assert_int_equal(json_array_size(result.pages), 3);
    json_array_foreach(result.pages, at, page)
    {
        assert_int_equal(number_of(page, "offset"), lines + 1);
        assert_int_equal(number_of(page, "page"), at + 1);
        lines += (unsigned) number_of(page, "lines_read");
    }
    assert_int_equal(lines, 2500);
    assert_int_equal(number_of(result.output, "lines_read"), 2500);
    assert_int_equal(number_of(result.output, "total_lines"), 2500);
    assert_int_equal(number_of(result.output, "pages"), 3);
    assert_null(json_object_get(result.output, "content"));
    assert_false(result.truncated);
    call_pages("{'file_path':'paged','offset':900,'limit':1100}", 0);
    assert_int_equal(json_array_size(result.pages), 2);
    assert_int_equal(number_of(result.output, "lines_read"), 1100);
    assert_int_equal(number_of(result.output, "total_lines"), 2500);
    assert_true(result.truncated);
    lines_write("exact", 1000);
    call_pages("{'file_path':'exact'}", 0);
    assert_int_equal(json_array_size(result.pages), 1);
    call_pages("{'file_path':'paged'}", 1);
    assert_int_equal(json_array_size(result.pages), 1);
    assert_string_equal(result.type, "cancelled");
}

/* One page comes before a gigabyte is read, and no more than that is held. */
static void
test_r3_4_huge(void **state)
{
    int fd = open(file_rig_at(&rig, "root/huge"), O_CREAT | O_RDWR, 0600);
    char text[4096];

    (void) state;
    memset(text, 'x', sizeof(text));
    text[1023] = text[2047] = text[3071] = text[4095] = '\n';
    for (int i = 0; i < 256; i++)
        assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
    /* Then a terabyte that is a hole: one line without an end. */
    assert_int_equal(ftruncate(fd, (off_t) 1 << 40), 0);
    call_pages("{'file_path':'huge'}", 1);
    assert_int_equal(json_array_size(result.pages), 1);
    assert_int_equal(number_of(json_array_get(result.pages, 0), "lines_read"),
                     1000);
    call("{'file_path':'huge','limit':2}");
    assert_int_equal(number_of(result.output, "lines_read"), 2);
    assert_true(json_is_null(json_object_get(result.output, "total_lines")));
    assert_true(result.truncated);
    const struct file_rig_call endless = {
        .tool = tool,
        .arguments = "{'file_path':'huge','offset':1025}",
        .timeout_ms = 900};
    file_rig_result_deinit(&result);
    file_rig_run(&endless, &result);
    assert_non_null(result.output);
    assert_non_null(strstr(text_of(result.output, "warning"), "no time"));
    assert_true(result.unsettled);
    close(fd);
}

static void
test_r3_2_stamp(void **state)
{
    struct tool_stamp before, after;
    json_t *arguments = json_pack("{s:s}", "file_path", "stamped");

    (void) state;
    file_rig_write(&rig, "stamped", "one");
    call("{'file_path':'stamped'}");
    assert_true(result.unsettled);
    usleep(60000);
    call("{'file_path':'stamped'}");
    assert_false(result.unsettled);
    assert_int_equal(tool->ops->stamp(tool, arguments, &before), 0);
    assert_memory_equal(&before, &result.stamp, sizeof(before));
    file_rig_write(&rig, "stamped", "two");
    assert_int_equal(tool->ops->stamp(tool, arguments, &after), 0);
    assert_memory_not_equal(&before, &after, sizeof(before));
    assert_int_equal(unlink(file_rig_at(&rig, "root/stamped")), 0);
    assert_true(tool->ops->stamp(tool, arguments, &after) < 0);
    json_decref(arguments);
}

static void
test_refused(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void) state;
    file_rig_write(&rig, "file", "x");
    assert_int_equal(mkfifo(file_rig_at(&rig, "root/fifo"), 0600), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s",
             file_rig_at(&rig, "root/socket"));
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)),
                     0);
    assert_int_equal(symlink("/etc/passwd", file_rig_at(&rig, "root/out")), 0);
    assert_int_equal(symlink("loop", file_rig_at(&rig, "root/loop")), 0);
    assert_failed("{'file_path':'none'}", "not_found");
    assert_failed("{'file_path':'../root/file'}", "denied");
    assert_failed("{'file_path':'/etc/passwd'}", "denied");
    assert_failed("{'file_path':'out'}", "denied");
    assert_failed("{'file_path':'/proc/self/environ'}", "denied");
    assert_failed("{'file_path':'/dev/zero'}", "denied");
    assert_failed("{'file_path':'file/x'}", "invalid_arguments");
    assert_failed("{'file_path':'fifo'}", "invalid_arguments");
    assert_failed("{'file_path':'socket'}", "invalid_arguments");
    assert_failed("{'file_path':'loop'}", "invalid_arguments");
    assert_non_null(strstr(result.error, "loop: "));
    close(fd);
    const struct file_rig_call gone = {.tool = tool,
                                       .arguments = "{'file_path':'file'}",
                                       .is_cancelled = true};
    file_rig_result_deinit(&result);
    file_rig_run(&gone, &result);
    assert_string_equal(result.type, "cancelled");
}

static void
test_directory(void **state)
{
    (void) state;
    file_rig_write(&rig, "dir/b", "");
    file_rig_write(&rig, "dir/a", "");
    file_rig_write(&rig, "dir/.hidden", "");
    file_rig_write(&rig, "dir/sub/x", "");
    file_rig_write(&rig, "dir/.gitignore", "a");
    assert_int_equal(symlink("sub", file_rig_at(&rig, "root/dir/link")), 0);
    call("{'file_path':'dir'}");
    assert_string_equal(text_of(result.output, "content"),
                        "  DIR  link\n  DIR  sub\n  FILE .gitignore\n"
                        "  FILE .hidden\n  FILE a\n  FILE b\n");
    assert_int_equal(number_of(result.output, "entry_count"), 6);
    assert_true(json_is_true(json_object_get(result.output, "is_directory")));
    assert_false(result.truncated);
    for (int i = 0; i < 600; i++) {
        char name[32];

        snprintf(name, sizeof(name), "wide/%04d", i);
        file_rig_write(&rig, name, "");
    }
    call("{'file_path':'wide'}");
    assert_int_equal(number_of(result.output, "entry_count"), 600);
    assert_non_null(strstr(text_of(result.output, "content"), "0499\n"));
    assert_null(strstr(text_of(result.output, "content"), "0500\n"));
    assert_true(result.truncated);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_whole),
        cmocka_unit_test(test_r4_2_limits),
        cmocka_unit_test(test_bytes_that_are_no_text),
        cmocka_unit_test(test_r3_4_pages),
        cmocka_unit_test(test_r3_4_huge),
        cmocka_unit_test(test_r3_2_stamp),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_directory),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);

    file_rig_result_deinit(&result);
    return failed;
}
