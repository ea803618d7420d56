/* SPDX-License-Identifier: BSD-2-Clause */

/* Which files a walk leaves out, against git and ripgrep on random trees with
 * random ignore files. VOICE_FULL=1: many more of them. */

#include "codec/ignore_rules.h"
#include "tools/tool_walk.h"

#include "kit/file_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TREES      40
#define TREES_FULL 1000
#define FILES      60
#define PATHS_MAX  4096

static uint32_t seed;

static unsigned
pick(unsigned below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 16) % below;
}

/* --- rules by themselves */

static void
test_r3_1_rules(void **state)
{
    static const struct {
        const char *rules, *path;
        bool is_directory;
        enum ignore_verdict verdict;
    } cases[] = {
        {"", "a", false, IGNORE_UNSAID},
        {"a", "a", false, IGNORE_OUT},
        {"a", "x/a", false, IGNORE_OUT},
        {"/a", "x/a", false, IGNORE_UNSAID},
        {"/a", "a", true, IGNORE_OUT},
        {"a/", "a", false, IGNORE_UNSAID},
        {"a/", "x/a", true, IGNORE_OUT},
        {"x/a", "y/x/a", false, IGNORE_UNSAID},
        {"**/x/a", "y/x/a", false, IGNORE_OUT},
        {"*.o\n!keep.o", "keep.o", false, IGNORE_IN},
        {"!keep.o\n*.o", "keep.o", false, IGNORE_OUT},
        {"# a\n\n  \n", "# a", false, IGNORE_UNSAID},
        {"\\#a", "#a", false, IGNORE_OUT},
        {"\\!a", "!a", false, IGNORE_OUT},
        {"a  ", "a", false, IGNORE_OUT},
        {"a\\ ", "a ", false, IGNORE_OUT},
        {"a\r\nb\r\n", "a", false, IGNORE_OUT},
        {"\xef\xbb\xbf"
         "a",
         "a", false, IGNORE_OUT},
        {"[a", "[a", false, IGNORE_UNSAID},
        {"{a,b}", "a", false, IGNORE_UNSAID},
        {"{a,b}", "{a,b}", false, IGNORE_OUT},
        {"a/**", "a/b", false, IGNORE_OUT},
        {"a/**", "a", true, IGNORE_UNSAID},
        {"!", "a", false, IGNORE_UNSAID},
        {"/", "a", true, IGNORE_UNSAID},
    };

    (void) state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct ignore_rules *rules = NULL;

        assert_int_equal(
            ignore_rules_create(&rules, cases[i].rules, strlen(cases[i].rules)),
            0);
        const struct ignore_question q = {
            .path = cases[i].path,
            .bytes = strlen(cases[i].path),
            .is_directory = cases[i].is_directory,
        };
        if (ignore_rules_judge(rules, &q) != cases[i].verdict)
            fail_msg("%s against %s", cases[i].rules, cases[i].path);
        if (rules)
            ignore_rules_destroy(&rules);
    }
}

/* A file of rules and a name that make as much work as there can be: the asker
 * may stop it. */
static bool
on_over(const void *arg)
{
    return ++*(unsigned *) (uintptr_t) arg == 3;
}

static void
test_hostile_rules(void **state)
{
    static char text[IGNORE_RULES_BYTES + 1], name[256];
    struct ignore_rules *rules = NULL;
    unsigned asked = 0;
    size_t bytes = 0;

    (void) state;
    memset(name, 'a', 255);
    while (bytes + 62 < IGNORE_RULES_BYTES) {
        for (int i = 0; i < 30; i++, bytes += 2)
            memcpy(text + bytes, "*a", 2);
        memcpy(text + bytes, "b\n", 2);
        bytes += 2;
    }
    assert_int_equal(ignore_rules_create(&rules, text, bytes), 0);
    assert_int_equal(ignore_rules_count(rules), IGNORE_RULES_MAX);
    const struct ignore_question q = {
        .path = name, .bytes = 255, .is_over = on_over, .over_arg = &asked};
    assert_int_equal(ignore_rules_judge(rules, &q), IGNORE_OUT);
    assert_int_equal(asked, 3);
    asked = 4;
    assert_int_equal(ignore_rules_judge(rules, &q), IGNORE_UNSAID);
    ignore_rules_destroy(&rules);
}

/* --- lists of paths */

struct list {
    size_t count;
    char *paths[PATHS_MAX];
};

static void
list_add(struct list *list, const char *path, size_t bytes)
{
    assert_true(list->count < PATHS_MAX);
    list->paths[list->count++] = strndup(path, bytes);
}

static void
list_free(struct list *list)
{
    while (list->count > 0)
        free(list->paths[--list->count]);
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static void
list_sort(struct list *list)
{
    qsort(list->paths, list->count, sizeof(*list->paths), compare);
}

static void
lists_compare(const struct file_rig *rig, const char *who, struct list *ours,
              struct list *theirs)
{
    list_sort(ours);
    list_sort(theirs);
    for (size_t i = 0; i < ours->count || i < theirs->count; i++) {
        const char *a = i < ours->count ? ours->paths[i] : "";
        const char *b = i < theirs->count ? theirs->paths[i] : "";

        if (strcmp(a, b) != 0)
            fail_msg("%s, we: \"%s\", %s: \"%s\"", rig->base, a, who, b);
    }
    list_free(ours);
    list_free(theirs);
}

static void
walk_list(const struct file_rig *rig, const char *path, bool with_hidden,
          struct list *list)
{
    const struct tool_walk_config cfg = {
        .root = rig->root,
        .path = path,
        .path_bytes = strlen(path),
        .with_hidden = with_hidden,
    };
    struct tool_walk_entry entry;
    struct tool_walk *walk;
    int result;

    assert_int_equal(tool_walk_create(&walk, &cfg), 0);
    while ((result = tool_walk_next(walk, &entry)) > 0)
        if (entry.kind == TOOL_WALK_FILE)
            list_add(list, entry.path, entry.path_bytes);
    assert_int_equal(result, 0);
    assert_false(tool_walk_is_incomplete(walk));
    tool_walk_destroy(&walk);
}

/* Paths with a NUL behind each. */
static void
command_list(const struct file_rig *rig, const char *command, struct list *list)
{
    char text[1024], *path = NULL;
    size_t room = 0;
    ssize_t bytes;

    snprintf(text, sizeof(text),
             "cd %s/root && HOME=%s XDG_CONFIG_HOME=%s GIT_CONFIG_GLOBAL="
             "/dev/null GIT_CONFIG_SYSTEM=/dev/null %s",
             rig->base, rig->base, rig->base, command);
    FILE *pipe = popen(text, "r");
    assert_non_null(pipe);
    while ((bytes = getdelim(&path, &room, 0, pipe)) > 0)
        list_add(list, path, strlen(path));
    free(path);
    int status = pclose(pipe);
    if (status != 0 && WEXITSTATUS(status) != 1)
        fail_msg("%s: %d", text, status);
}

/* --- random trees */

static const char *const names[] = {"a",  "b",  "ab",  "ba", "aab", ".a",
                                    ".b", "cc", "a b", "a#", "b!"};

static void
path_make(char *path, size_t bytes, unsigned parts)
{
    size_t at = 0;

    path[0] = 0;
    for (unsigned i = 0; i < parts; i++)
        at += (size_t) snprintf(path + at, bytes - at, "%s%s.d", i ? "/" : "",
                                names[pick(sizeof(names) / sizeof(*names))]);
}

/* The last ones mean something else to ripgrep: a line of "!" alone lets all
 * in, and its classes know no names and may have a slash. */
static const char *const pieces[] = {
    "a",  "b",   "*", "?",     "[ab]", ".",    "ab",          ".d",
    "a*", "\\a", "#", "[a-c]", "!",    "[!a]", "[[:alpha:]]",
};
#define PIECES     (sizeof(pieces) / sizeof(*pieces))
#define PIECES_ALL (PIECES - 3)
static unsigned pieces_count;

/* Two stars beside other characters are one to us; git and ripgrep have each
 * their own mind about some of them. */
static size_t
part_make(char *part, size_t bytes)
{
    size_t at = 0;

    if (pick(6) == 0)
        return (size_t) snprintf(part, bytes, "**");
    for (unsigned count = 1 + pick(3); count > 0; count--) {
        const char *piece = pieces[pick(pieces_count)];

        if (piece[0] != '*' || at == 0 || part[at - 1] != '*')
            at += (size_t) snprintf(part + at, bytes - at, "%s", piece);
    }
    return at;
}

static void
pattern_make(char *line, size_t bytes)
{
    unsigned parts = 1 + pick(3);
    size_t at = 0;

    line[0] = 0;
    if (pick(4) == 0)
        at += (size_t) snprintf(line + at, bytes - at, "!");
    if (pick(4) == 0)
        at += (size_t) snprintf(line + at, bytes - at, "/");
    for (unsigned i = 0; i < parts; i++) {
        at += (size_t) snprintf(line + at, bytes - at, "%s", i ? "/" : "");
        at += part_make(line + at, bytes - at);
    }
    snprintf(line + at, bytes - at, "%s\n", pick(4) == 0 ? "/" : "");
}

static void
ignore_make(const struct file_rig *rig, const char *directory, const char *name)
{
    char path[512], text[1024];
    size_t at = 0;

    for (unsigned lines = 1 + pick(4); lines > 0; lines--) {
        pattern_make(text + at, sizeof(text) - at);
        at += strlen(text + at);
    }
    snprintf(path, sizeof(path), "%s%s%s", directory, *directory ? "/" : "",
             name);
    file_rig_write(rig, path, text);
}

/* Directories end in ".d", files don't. */
static void
tree_make(const struct file_rig *rig, const char *const *ignore_names,
          unsigned ignore_count)
{
    char directory[256], path[512];

    for (int i = 0; i < FILES; i++) {
        path_make(directory, sizeof(directory), pick(4));
        snprintf(path, sizeof(path), "%s%s%s", directory, *directory ? "/" : "",
                 names[pick(sizeof(names) / sizeof(*names))]);
        file_rig_write(rig, path, "");
        if (pick(6) == 0)
            ignore_make(rig, directory, ignore_names[pick(ignore_count)]);
    }
    ignore_make(rig, "", ignore_names[0]);
}

static unsigned
trees_count(void)
{
    return getenv("VOICE_FULL") ? TREES_FULL : TREES;
}

static void
test_r3_1_as_git(void **state)
{
    static const char *const ignore_names[] = {".gitignore"};
    static struct list ours, theirs;

    (void) state;
    for (unsigned i = 0; i < trees_count(); i++) {
        struct file_rig rig;

        seed = i;
        pieces_count = PIECES;
        file_rig_init(&rig);
        tree_make(&rig, ignore_names, 1);
        command_list(&rig, "git init -q .", &theirs);
        walk_list(&rig, ".", true, &ours);
        command_list(&rig, "git ls-files -z --others --exclude-standard",
                     &theirs);
        lists_compare(&rig, "git", &ours, &theirs);
        file_rig_deinit(&rig);
    }
}

static void
test_r3_1_as_ripgrep(void **state)
{
    static const char *const ignore_names[] = {".gitignore", ".ignore",
                                               ".rgignore"};
    static struct list ours, theirs;

    (void) state;
    for (unsigned i = 0; i < trees_count(); i++) {
        struct file_rig rig;

        seed = 1000000 + i;
        pieces_count = PIECES_ALL;
        file_rig_init(&rig);
        tree_make(&rig, ignore_names, 3);
        walk_list(&rig, ".", true, &ours);
        command_list(&rig, "rg --files -0 --hidden --no-require-git", &theirs);
        lists_compare(&rig, "rg", &ours, &theirs);
        walk_list(&rig, ".", false, &ours);
        command_list(&rig, "rg --files -0 --no-require-git", &theirs);
        lists_compare(&rig, "rg", &ours, &theirs);
        file_rig_deinit(&rig);
    }
}

/* Rules from above count where a walk begins below; git's end at the top of a
 * repository; info/exclude comes last. */
static void
test_r3_1_levels(void **state)
{
    static struct list ours, theirs;
    struct file_rig rig;

    (void) state;
    file_rig_init(&rig);
    file_rig_write(&rig, ".gitignore", "*.log\n/sub/only\n");
    file_rig_write(&rig, ".ignore", "*.tmp\n");
    file_rig_write(&rig, "sub/a.log", "");
    file_rig_write(&rig, "sub/only", "");
    file_rig_write(&rig, "sub/b", "");
    file_rig_write(&rig, "sub/c.tmp", "");
    file_rig_write(&rig, "sub/repo/.git/info/exclude", "out\nkeep\n");
    file_rig_write(&rig, "sub/repo/.gitignore", "!keep\n");
    file_rig_write(&rig, "sub/repo/d.log", "");
    file_rig_write(&rig, "sub/repo/e.tmp", "");
    file_rig_write(&rig, "sub/repo/out", "");
    file_rig_write(&rig, "sub/repo/keep", "");
    walk_list(&rig, "sub", true, &ours);
    list_add(&theirs, "sub/b", 5);
    list_add(&theirs, "sub/repo/.gitignore", 19);
    list_add(&theirs, "sub/repo/d.log", 14);
    list_add(&theirs, "sub/repo/keep", 13);
    lists_compare(&rig, "meant", &ours, &theirs);
    /* Not of "sub" alone: ripgrep 13 takes /sub/only for sub/sub/only then. */
    walk_list(&rig, ".", true, &ours);
    command_list(&rig, "rg --files -0 --hidden --no-require-git -g '!.git'",
                 &theirs);
    lists_compare(&rig, "rg", &ours, &theirs);
    file_rig_deinit(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_r3_1_rules),
        cmocka_unit_test(test_hostile_rules),
        cmocka_unit_test(test_r3_1_levels),
        cmocka_unit_test(test_r3_1_as_git),
        cmocka_unit_test(test_r3_1_as_ripgrep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
