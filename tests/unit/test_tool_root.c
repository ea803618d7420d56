/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_root.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

#define RACES 20000

static char base[64]; /* holds "root", and beside it what is none of it */
static struct tool_root *root;

static const char *
at(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, 256, "%s/%s", base, name);
    return path;
}

static void
file_make(const char *name, const char *text)
{
    FILE *file = fopen(at(name), "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void
link_make(const char *target, const char *name)
{
    assert_int_equal(symlink(target, at(name)), 0);
}

static void
directory_make(const char *name)
{
    assert_int_equal(mkdir(at(name), 0700), 0);
}

static int
setup(void **state)
{
    (void) state;
    snprintf(base, sizeof(base), "/tmp/voice-root-XXXXXX");
    assert_non_null(mkdtemp(base));
    directory_make("root");
    directory_make("root/a");
    directory_make("root/a/b");
    directory_make("root-evil");
    directory_make("outside");
    file_make("root/notes", "inside");
    file_make("root/a/b/deep", "inside");
    file_make("root-evil/secret", "outside");
    file_make("outside/secret", "outside");
    file_make("secret", "outside");
    return tool_root_open(&root, at("root"));
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void) st;
    (void) kind;
    (void) ftw;
    return remove(path);
}

static int
teardown(void **state)
{
    (void) state;
    tool_root_close(&root);
    return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static int
file_open(const char *path)
{
    return tool_root_open_file(root, path, strlen(path), NULL);
}

/* What a descriptor reads is the inside of the root. */
static void
assert_inside(int fd)
{
    char text[16] = "";

    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text) - 1), 6);
    assert_string_equal(text, "inside");
    assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    close(fd);
}

static void
test_r3_1_paths_inside(void **state)
{
    char whole[300];

    (void) state;
    assert_inside(file_open("notes"));
    assert_inside(file_open("./notes"));
    assert_inside(file_open("a/../notes"));
    assert_inside(file_open("a/b/../../notes"));
    assert_inside(file_open("a//b/./deep"));
    snprintf(whole, sizeof(whole), "%s/notes", tool_root_path(root));
    assert_inside(file_open(whole));
    snprintf(whole, sizeof(whole), "%s//a/b/deep", tool_root_path(root));
    assert_inside(file_open(whole));
    link_make("a/b/deep", "root/link");
    assert_inside(file_open("link"));
    link_make("../../notes", "root/a/b/up");
    assert_inside(file_open("a/b/up"));
    link_make("a", "root/directory");
    assert_inside(file_open("directory/b/deep"));
}

static void
test_r3_1_no_way_out(void **state)
{
    static const char *const paths[] = {
        "..",
        "../secret",
        "../outside/secret",
        "../root-evil/secret",
        "a/../../secret",
        "a/b/../../../secret",
        "./../secret",
        "../root/notes",
        "/etc/passwd",
        "/",
        "//etc/passwd",
        "/proc/self/root/etc/passwd",
        "out",
        "out_absolute",
        "chain",
        "door/secret",
        "door/../secret",
        "a/out_deep",
        "proc",
        "proc_root/etc/passwd",
    };
    char whole[300];

    (void) state;
    link_make("../secret", "root/out");
    link_make(at("secret"), "root/out_absolute");
    link_make("out", "root/chain");
    link_make("../outside", "root/door");
    link_make("../../secret", "root/a/out_deep");
    link_make("/proc/self/environ", "root/proc");
    link_make("/proc/self/root", "root/proc_root");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct tool_root_stat st;
        int result = file_open(paths[i]);

        if (result != UV_EXDEV)
            fail_msg("%s: %d", paths[i], result);
        assert_int_equal(tool_root_stat(root, paths[i], strlen(paths[i]), &st),
                         UV_EXDEV);
        assert_true(tool_root_open_directory(root, paths[i], strlen(paths[i]))
                    < 0);
    }
    snprintf(whole, sizeof(whole), "%s-evil/secret", tool_root_path(root));
    assert_int_equal(file_open(whole), UV_EXDEV);
    snprintf(whole, sizeof(whole), "%s/../secret", tool_root_path(root));
    assert_int_equal(file_open(whole), UV_EXDEV);
    snprintf(whole, sizeof(whole), "%s", tool_root_path(root));
    whole[strlen(whole) - 1] = 0;
    assert_int_equal(file_open(whole), UV_EXDEV);
}

static void
test_r3_1_what_is_no_path(void **state)
{
    char long_path[TOOL_ROOT_PATH_MAX + 10];

    (void) state;
    memset(long_path, 'x', sizeof(long_path));
    for (size_t i = 100; i < sizeof(long_path); i += 100)
        long_path[i] = '/';
    assert_int_equal(tool_root_open_file(root, "", 0, NULL), UV_EINVAL);
    assert_int_equal(tool_root_open_file(root, "notes\0x", 7, NULL), UV_EINVAL);
    assert_int_equal(tool_root_open_file(root, "\0", 1, NULL), UV_EINVAL);
    assert_int_equal(file_open("no\xfftes"), UV_EINVAL);
    assert_int_equal(file_open("\xc0\xae\xc0\xae/secret"), UV_EINVAL);
    assert_int_equal(file_open("\xe2\x82"), UV_EINVAL);
    assert_int_equal(
        tool_root_open_file(root, long_path, sizeof(long_path), NULL),
        UV_ENAMETOOLONG);
    assert_int_equal(
        tool_root_open_file(root, long_path, TOOL_ROOT_PATH_MAX - 1, NULL),
        UV_ENOENT);
    memset(long_path, 'x', 300);
    assert_int_equal(tool_root_open_file(root, long_path, 300, NULL),
                     UV_ENAMETOOLONG);
    assert_int_equal(file_open("nothing"), UV_ENOENT);
    assert_int_equal(file_open("notes/x"), UV_ENOTDIR);
    assert_int_equal(file_open("notes/"), UV_ENOTDIR);
    assert_int_equal(file_open("a"), UV_EISDIR);
    assert_int_equal(file_open("."), UV_EISDIR);
    assert_int_equal(file_open(tool_root_path(root)), UV_EISDIR);
    link_make("self", "root/self");
    assert_int_equal(file_open("self"), UV_ELOOP);
    /* A path is no longer than it says. */
    assert_inside(tool_root_open_file(root, "notesXX", 5, NULL));
}

/* None of these may hang, or be opened at all. */
static void
test_r3_1_neither_file_nor_directory(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct tool_root_stat st;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    (void) state;
    assert_int_equal(mkfifo(at("root/fifo"), 0600), 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s",
             at("root/socket"));
    assert_int_equal(bind(fd, (struct sockaddr *) &address, sizeof(address)),
                     0);
    assert_int_equal(file_open("fifo"), UV_EFTYPE);
    assert_int_equal(file_open("socket"), UV_EFTYPE);
    assert_int_equal(tool_root_stat(root, "fifo", 4, &st), UV_EFTYPE);
    assert_int_equal(tool_root_open_directory(root, "fifo", 4), UV_ENOTDIR);
    link_make("/dev/zero", "root/zero");
    assert_int_equal(file_open("zero"), UV_EXDEV);
    close(fd);
}

static void
test_r3_2_stat_tells_change(void **state)
{
    struct tool_root_stat before, after, opened;

    (void) state;
    assert_int_equal(tool_root_stat(root, "notes", 5, &before), 0);
    int fd = tool_root_open_file(root, "notes", 5, &opened);
    assert_true(fd >= 0);
    close(fd);
    assert_true(tool_root_stat_equal(&before, &opened));
    assert_int_equal(before.size_bytes, 6);
    assert_false(before.is_directory);
    assert_true(before.mtime_ns > 0);
    /* The same size and the same mtime: another file all the same. */
    file_make("root/new", "INSIDE");
    const struct timespec times[2] = {
        {before.mtime_ns / 1000000000, before.mtime_ns % 1000000000},
        {before.mtime_ns / 1000000000, before.mtime_ns % 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, at("root/new"), times, 0), 0);
    assert_int_equal(rename(at("root/new"), at("root/notes")), 0);
    assert_int_equal(tool_root_stat(root, "notes", 5, &after), 0);
    assert_int_equal(after.mtime_ns, before.mtime_ns);
    assert_false(tool_root_stat_equal(&before, &after));
    assert_int_equal(tool_root_stat(root, "a", 1, &after), 0);
    assert_true(after.is_directory);
}

static void
test_r3_2_what_just_changed_is_not_settled(void **state)
{
    const int64_t at = 1000000000;
    struct tool_root_stat st = {.mtime_ns = at, .ctime_ns = at};

    (void) state;
    assert_false(tool_root_stat_is_settled(&st, at));
    assert_false(tool_root_stat_is_settled(&st, at + 49999999));
    assert_true(tool_root_stat_is_settled(&st, at + 50000000));
    st.mtime_ns = 0; /* set by hand: the change of that is younger */
    assert_false(tool_root_stat_is_settled(&st, at + 1000));
    st.mtime_ns = at * 10; /* of the future */
    assert_false(tool_root_stat_is_settled(&st, at * 2));
}

static void
test_r3_1_parent(void **state)
{
    char name[TOOL_ROOT_NAME_MAX];
    static const char *const nameless[] = {"a/", "a/..", "a/.", ".", "..", "/"};

    (void) state;
    int fd = tool_root_open_parent(root, "a/b/new", 7, name);
    assert_true(fd >= 0);
    assert_string_equal(name, "new");
    int made = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    assert_true(made >= 0);
    assert_int_equal(write(made, "inside", 6), 6);
    close(made);
    close(fd);
    assert_inside(file_open("a/b/new"));

    fd = tool_root_open_parent(root, "top", 3, name);
    assert_true(fd >= 0);
    assert_string_equal(name, "top");
    close(fd);
    for (size_t i = 0; i < sizeof(nameless) / sizeof(nameless[0]); i++) {
        int result =
            tool_root_open_parent(root, nameless[i], strlen(nameless[i]), name);
        assert_true(result == UV_EISDIR || result == UV_EXDEV);
    }
    link_make("../outside", "root/door");
    assert_int_equal(tool_root_open_parent(root, "door/new", 8, name),
                     UV_EXDEV);
    assert_int_equal(tool_root_open_parent(root, "../new", 6, name), UV_EXDEV);
    assert_int_equal(tool_root_open_parent(root, "no/new", 6, name), UV_ENOENT);
    assert_int_equal(tool_root_open_parent(root, "notes/new", 9, name),
                     UV_ENOTDIR);
}

/* --- somebody else moves the tree about */

static atomic_bool racing;

static void *
race_links(void *arg)
{
    (void) arg;
    while (atomic_load(&racing)) {
        symlink("../outside", at("root/now"));
        unlink(at("root/now"));
        mkdir(at("root/now"), 0700);
        rmdir(at("root/now"));
        rename(at("root/a/b"), at("outside/b"));
        rename(at("outside/b"), at("root/a/b"));
    }
    return NULL;
}

static void
race_open(const char *path, unsigned *opened)
{
    char text[16] = "";
    int fd = file_open(path);

    if (fd < 0)
        return;
    ++*opened;
    assert_int_equal(read(fd, text, sizeof(text) - 1), 6);
    assert_string_equal(text, "inside");
    close(fd);
}

/* Directories become links outwards and move out while they are walked. */
static void
test_r3_1_races(void **state)
{
    unsigned opened = 0, never = 0;
    pthread_t thread;

    (void) state;
    atomic_store(&racing, true);
    assert_int_equal(pthread_create(&thread, NULL, race_links, NULL), 0);
    for (unsigned i = 0; i < RACES; i++) {
        race_open("now/secret", &never);
        race_open("a/b/../../notes", &opened);
        race_open("a/b/../../../secret", &never);
    }
    atomic_store(&racing, false);
    pthread_join(thread, NULL);
    assert_int_equal(never, 0);
    assert_true(opened > 0);
}

static void
test_what_is_no_root(void **state)
{
    struct tool_root *other = NULL;

    (void) state;
    assert_int_equal(tool_root_open(&other, at("nothing")), UV_ENOENT);
    assert_int_equal(tool_root_open(&other, at("secret")), UV_ENOTDIR);
    assert_null(other);
    tool_root_close(&other);
    /* Through a link the root is what it leads to. */
    link_make("root", "alias");
    assert_int_equal(tool_root_open(&other, at("alias")), 0);
    assert_string_equal(tool_root_path(other), tool_root_path(root));
    tool_root_close(&other);
    assert_null(other);
}

/* The whole machine as root: magic links lead nowhere all the same. */
static void
test_r3_1_slash(void **state)
{
    struct tool_root *all;

    (void) state;
    assert_int_equal(tool_root_open(&all, "/"), 0);
    int fd = tool_root_open_file(all, "/etc/passwd", 11, NULL);
    assert_true(fd >= 0);
    close(fd);
    fd = tool_root_open_file(all, "etc/passwd", 10, NULL);
    assert_true(fd >= 0);
    close(fd);
    assert_true(tool_root_open_file(all, "/proc/self/root/etc/passwd", 26, NULL)
                < 0);
    assert_int_equal(tool_root_open_file(all, "/dev/zero", 9, NULL), UV_EFTYPE);
    tool_root_close(&all);
}

static void
test_error_texts(void **state)
{
    static const int errors[] = {
        UV_EXDEV,  UV_EINVAL, UV_ENAMETOOLONG, UV_ENOENT, UV_ENOTDIR,
        UV_EISDIR, UV_EFTYPE, UV_ELOOP,        UV_EACCES, UV_EAGAIN};

    (void) state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(tool_root_error_text(errors[i]),
                                    tool_root_error_text(errors[j]));
    assert_non_null(tool_root_error_text(UV_EIO));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_r3_1_paths_inside),
        TEST(test_r3_1_no_way_out),
        TEST(test_r3_1_what_is_no_path),
        TEST(test_r3_1_neither_file_nor_directory),
        TEST(test_r3_2_stat_tells_change),
        TEST(test_r3_1_parent),
        cmocka_unit_test(test_r3_2_what_just_changed_is_not_settled),
        TEST(test_r3_1_races),
        TEST(test_what_is_no_root),
        TEST(test_r3_1_slash),
        cmocka_unit_test(test_error_texts),
    };
#undef TEST

    return cmocka_run_group_tests(tests, NULL, NULL);
}
