/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_edit.h"
#include "tools/tool_write.h"

#include "kit/file_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EDITORS 8
#define EDITS   25
#define SWAPS   300

static struct file_rig rig;
static struct tool *write_tool, *edit_tool;
static struct file_rig_result result;

static int
setup(void **state)
{
    struct tool_file_config cfg = {0};

    (void) state;
    file_rig_init(&rig);
    cfg.root = rig.root;
    return tool_write_create(&write_tool, &cfg)
           || tool_edit_create(&edit_tool, &cfg);
}

static int
teardown(void **state)
{
    (void) state;
    tool_unref(&write_tool);
    tool_unref(&edit_tool);
    file_rig_deinit(&rig);
    return 0;
}

static void
call(struct tool *tool, const char *arguments)
{
    const struct file_rig_call c = {.tool = tool, .arguments = arguments};

    file_rig_result_deinit(&result);
    file_rig_run(&c, &result);
}

static void
assert_failed(struct tool *tool, const char *arguments, const char *type)
{
    call(tool, arguments);
    if (result.output || strcmp(result.type, type) != 0)
        fail_msg("%s: %s %s", arguments, result.type, result.error);
}

static long long
number_of(const char *name)
{
    if (!result.output)
        fail_msg("%s: %s", result.type, result.error);
    return json_integer_value(json_object_get(result.output, name));
}

static void
assert_text(const char *name, const char *text)
{
    char *is = file_rig_read(&rig, name);

    assert_string_equal(is, text);
    free(is);
}

static void
remove_name(const char *name)
{
    assert_int_equal(unlink(file_rig_at(&rig, name)), 0);
}

/* Nothing but what was asked for is there. */
static unsigned
names_count(const char *name)
{
    DIR *directory = opendir(file_rig_at(&rig, name));
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory))
        count++;
    closedir(directory);
    return count - 2;
}

static void
test_r3_1_write(void **state)
{
    struct stat st;

    (void) state;
    call(write_tool, "{'file_path':'w/new','content':'hello'}");
    assert_int_equal(number_of("bytes"), 5);
    assert_text("w/new", "hello");
    assert_int_equal(chmod(file_rig_at(&rig, "root/w/new"), 0751), 0);
    call(write_tool, "{'file_path':'w/new','content':''}");
    assert_int_equal(number_of("bytes"), 0);
    assert_text("w/new", "");
    assert_int_equal(stat(file_rig_at(&rig, "root/w/new"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0751);
    call(write_tool, "{'file_path':'w/a/b/c/deep','content':'x'}");
    assert_text("w/a/b/c/deep", "x");
    call(write_tool, "{'file_path':'w//a/./b/../b/deep','content':'y'}");
    assert_text("w/a/b/deep", "y");
    assert_int_equal(names_count("root/w"), 2);
}

static void
test_write_keeps_no_right_to_be_another(void **state)
{
    struct stat st;

    (void) state;
    file_rig_write(&rig, "suid", "x");
    assert_int_equal(chmod(file_rig_at(&rig, "root/suid"), 06755), 0);
    call(write_tool, "{'file_path':'suid','content':'y'}");
    assert_int_equal(number_of("bytes"), 1);
    assert_int_equal(stat(file_rig_at(&rig, "root/suid"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    remove_name("root/suid");
}

static void
assert_owner(const char *name, uid_t owner)
{
    struct stat st;

    assert_int_equal(lstat(file_rig_at(&rig, name), &st), 0);
    assert_int_equal(st.st_uid, owner);
    assert_int_equal(st.st_gid, geteuid() == 0 ? owner : getegid());
}

/* Whose directory it is may go on with what a server that is root has made. */
static void
test_made_by_root_is_the_owners(void **state)
{
    const uid_t owner = geteuid() == 0 ? 4711 : geteuid();

    (void) state;
    file_rig_write(&rig, "theirs/x", "x");
    assert_int_equal(chown(file_rig_at(&rig, "root/theirs"), owner,
                           geteuid() == 0 ? owner : getegid()),
                     0);
    call(write_tool, "{'file_path':'theirs/a/b/c','content':'y'}");
    assert_int_equal(number_of("bytes"), 1);
    assert_owner("root/theirs/a", owner);
    assert_owner("root/theirs/a/b", owner);
    assert_owner("root/theirs/a/b/c", owner);
    assert_int_equal(chmod(file_rig_at(&rig, "root/theirs/a"), 0555), 0);
    call(write_tool, "{'file_path':'theirs/a/d/e','content':'y'}");
    assert_int_equal(number_of("bytes"), 1);
    call(write_tool, "{'file_path':'ours/f','content':'y'}");
    assert_int_equal(number_of("bytes"), 1);
    assert_owner("root/ours/f", geteuid());
}

static void
test_write_through_links(void **state)
{
    struct stat st;

    (void) state;
    file_rig_write(&rig, "l/real", "old");
    assert_int_equal(symlink("real", file_rig_at(&rig, "root/l/link")), 0);
    assert_int_equal(symlink("l/link", file_rig_at(&rig, "root/far")), 0);
    call(write_tool, "{'file_path':'far','content':'new'}");
    assert_int_equal(number_of("bytes"), 3);
    assert_text("l/real", "new");
    assert_int_equal(lstat(file_rig_at(&rig, "root/far"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(symlink("../made", file_rig_at(&rig, "root/l/on")), 0);
    call(write_tool, "{'file_path':'l/on','content':'made'}");
    assert_text("made", "made");
    assert_int_equal(symlink("../x", file_rig_at(&rig, "root/out")), 0);
    assert_int_equal(symlink("/tmp/x", file_rig_at(&rig, "root/absolute")), 0);
    assert_int_equal(symlink("..", file_rig_at(&rig, "root/up")), 0);
    assert_int_equal(symlink("ring", file_rig_at(&rig, "root/ring")), 0);
    assert_failed(write_tool, "{'file_path':'out','content':'x'}", "denied");
    assert_failed(write_tool, "{'file_path':'absolute','content':'x'}",
                  "denied");
    assert_failed(write_tool, "{'file_path':'up/x','content':'x'}", "denied");
    assert_failed(write_tool, "{'file_path':'up/y/x','content':'x'}", "denied");
    assert_failed(write_tool, "{'file_path':'ring','content':'x'}",
                  "invalid_arguments");
    assert_int_equal(names_count(""), 1);
}

static void
test_write_refused(void **state)
{
    (void) state;
    file_rig_write(&rig, "r/file", "x");
    assert_int_equal(mkfifo(file_rig_at(&rig, "root/r/fifo"), 0600), 0);
    assert_failed(write_tool, "{'file_path':'../x','content':''}", "denied");
    assert_failed(write_tool, "{'file_path':'/etc/x','content':''}", "denied");
    assert_failed(write_tool, "{'file_path':'r/../../x','content':''}",
                  "denied");
    assert_failed(write_tool, "{'file_path':'new/../../x/y','content':''}",
                  "denied");
    assert_failed(write_tool, "{'file_path':'r','content':''}",
                  "invalid_arguments");
    assert_failed(write_tool, "{'file_path':'r/','content':''}",
                  "invalid_arguments");
    assert_failed(write_tool, "{'file_path':'.','content':''}",
                  "invalid_arguments");
    assert_failed(write_tool, "{'file_path':'r/fifo','content':''}",
                  "invalid_arguments");
    assert_failed(write_tool, "{'file_path':'r/file/x','content':''}",
                  "invalid_arguments");
    assert_int_equal(names_count(""), 1);
    assert_int_equal(names_count("root/r"), 2);
    const struct file_rig_call gone = {
        .tool = write_tool,
        .arguments = "{'file_path':'r/file','content':'y'}",
        .is_cancelled = true};
    file_rig_result_deinit(&result);
    file_rig_run(&gone, &result);
    assert_string_equal(result.type, "cancelled");
    assert_text("r/file", "x");
}

static void
test_r3_1_edit(void **state)
{
    (void) state;
    file_rig_write(&rig, "e", "one two\ntwo three\n");
    call(edit_tool, "{'file_path':'e','old_string':'one','new_string':'1'}");
    assert_int_equal(number_of("replacements_made"), 1);
    assert_int_equal(number_of("bytes_written"), 16);
    assert_text("e", "1 two\ntwo three\n");
    assert_failed(edit_tool,
                  "{'file_path':'e','old_string':'two','new_string':'2'}",
                  "invalid_arguments");
    assert_non_null(strstr(result.error, "2 times"));
    call(edit_tool, "{'file_path':'e','old_string':'two','new_string':'deux',"
                    "'replace_all':true}");
    assert_int_equal(number_of("replacements_made"), 2);
    assert_text("e", "1 deux\ndeux three\n");
    call(edit_tool,
         "{'file_path':'e','old_string':' deux\\ndeux','new_string':''}");
    assert_text("e", "1 three\n");
    assert_failed(edit_tool,
                  "{'file_path':'e','old_string':'four','new_string':'4'}",
                  "not_found");
    assert_failed(edit_tool,
                  "{'file_path':'e','old_string':'1','new_string':'1'}",
                  "invalid_arguments");
    assert_failed(edit_tool,
                  "{'file_path':'no','old_string':'1','new_string':'2'}",
                  "not_found");
    assert_failed(edit_tool,
                  "{'file_path':'.','old_string':'1','new_string':'2'}",
                  "invalid_arguments");
    assert_text("e", "1 three\n");
}

static void
test_edit_keeps_bytes_and_line_ends(void **state)
{
    (void) state;
    file_rig_write(&rig, "crlf", "a\r\nb\r\nc\xff\r\n");
    call(edit_tool,
         "{'file_path':'crlf','old_string':'a\\nb','new_string':'x\\ny\\nz'}");
    assert_int_equal(number_of("replacements_made"), 1);
    assert_text("crlf", "x\r\ny\r\nz\r\nc\xff\r\n");
}

static void
test_edit_too_large(void **state)
{
    char *text = malloc(9000000);

    (void) state;
    int fd = open(file_rig_at(&rig, "root/large"), O_CREAT | O_RDWR, 0600);
    assert_int_equal(ftruncate(fd, 16777217), 0);
    close(fd);
    assert_failed(edit_tool,
                  "{'file_path':'large','old_string':'1','new_string':'2'}",
                  "too_large");
    memset(text, 'a', 9000000);
    file_rig_write_bytes(&rig, "large", text, 9000000);
    assert_failed(edit_tool,
                  "{'file_path':'large','old_string':'a','new_string':'aaaaa',"
                  "'replace_all':true}",
                  "too_large");
    free(text);
}

/* --- at once */

static void *
on_editor(void *arg)
{
    struct file_rig_result mine;
    char arguments[128];

    for (int i = 0; i < EDITS; i++) {
        snprintf(arguments, sizeof(arguments),
                 "{'file_path':'shared','old_string':'end',"
                 "'new_string':'%c end'}",
                 'a' + (int) (intptr_t) arg);
        const struct file_rig_call c = {.tool = edit_tool,
                                        .arguments = arguments};
        file_rig_run(&c, &mine);
        if (!mine.output)
            abort();
        file_rig_result_deinit(&mine);
    }
    return NULL;
}

static void
test_no_edit_is_lost(void **state)
{
    pthread_t threads[EDITORS];

    (void) state;
    file_rig_write(&rig, "shared", "end");
    for (intptr_t i = 0; i < EDITORS; i++)
        pthread_create(&threads[i], NULL, on_editor, (void *) i);
    for (int i = 0; i < EDITORS; i++)
        pthread_join(threads[i], NULL);
    char *text = file_rig_read(&rig, "shared");
    assert_int_equal(strlen(text), 2 * EDITORS * EDITS + 3);
    free(text);
}

static atomic_bool is_over;

/* A directory that is the root's and one that is a link out of it, in turn. */
static void *
on_swapper(void *arg)
{
    const char *place = strdup(file_rig_at(&rig, "root/swap"));
    const char *inside = strdup(file_rig_at(&rig, "root/swap.inside"));
    const char *outside = strdup(file_rig_at(&rig, "root/swap.outside"));

    while (!atomic_load(&is_over)) {
        rename(place, inside);
        rename(outside, place);
        rename(place, outside);
        rename(inside, place);
    }
    free((char *) place);
    free((char *) inside);
    free((char *) outside);
    return arg;
}

static void
test_swapped_directories_lead_nowhere(void **state)
{
    pthread_t thread;

    (void) state;
    assert_int_equal(mkdir(file_rig_at(&rig, "outside"), 0700), 0);
    file_rig_write(&rig, "swap/x", "");
    assert_int_equal(
        symlink("../outside", file_rig_at(&rig, "root/swap.outside")), 0);
    pthread_create(&thread, NULL, on_swapper, NULL);
    for (int i = 0; i < SWAPS; i++) {
        call(write_tool, "{'file_path':'swap/x','content':'secret'}");
        call(write_tool, "{'file_path':'swap/a/b','content':'secret'}");
    }
    atomic_store(&is_over, true);
    pthread_join(thread, NULL);
    assert_int_equal(names_count("outside"), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_write),
        cmocka_unit_test(test_write_keeps_no_right_to_be_another),
        cmocka_unit_test(test_made_by_root_is_the_owners),
        cmocka_unit_test(test_write_through_links),
        cmocka_unit_test(test_write_refused),
        cmocka_unit_test(test_r3_1_edit),
        cmocka_unit_test(test_edit_keeps_bytes_and_line_ends),
        cmocka_unit_test(test_edit_too_large),
        cmocka_unit_test(test_no_edit_is_lost),
        cmocka_unit_test(test_swapped_directories_lead_nowhere),
    };
    int failed = cmocka_run_group_tests(tests, setup, teardown);

    file_rig_result_deinit(&result);
    return failed;
}
