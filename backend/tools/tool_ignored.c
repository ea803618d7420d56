/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_ignored.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

/* --- reading */

static size_t
text_read(int fd, char *text, size_t bytes)
{
    size_t filled = 0;

    while (filled < bytes) {
        ssize_t got = read(fd, text + filled, bytes - filled);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        filled += (size_t) got;
    }
    return filled;
}

static int
rules_read(struct ignore_rules **rp, int fd, size_t size)
{
    if (size > IGNORE_RULES_BYTES)
        size = IGNORE_RULES_BYTES;
    char *text = malloc(size + 1);
    if (!text)
        return UV_ENOMEM;
    int result = ignore_rules_create(rp, text, text_read(fd, text, size));
    free(text);
    return result;
}

/* What is not there, is no file or can't be read says nothing. */
static int
file_read(struct ignore_rules **rp, int directory, const char *name)
{
    struct stat st;
    int result = 0;

    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0
        || !S_ISREG(st.st_mode) || st.st_size == 0)
        return 0;
    int fd = openat(directory, name, FLAGS);
    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        result = rules_read(rp, fd, (size_t) st.st_size);
    close(fd);
    return result;
}

static int
exclude_read(struct tool_ignored *ignored, int directory)
{
    int git = openat(directory, ".git", FLAGS | O_DIRECTORY);
    int info = git < 0 ? -1 : openat(git, "info", FLAGS | O_DIRECTORY);
    int result = 0;

    if (info >= 0)
        result =
            file_read(&ignored->rules[TOOL_IGNORED_EXCLUDE], info, "exclude");
    if (info >= 0)
        close(info);
    if (git >= 0)
        close(git);
    return result;
}

int
tool_ignored_read(struct tool_ignored *ignored, int directory,
                  size_t path_bytes)
{
    static const char *const names[] = {".rgignore", ".ignore", ".gitignore"};
    struct stat st;
    int result = 0;

    *ignored = (struct tool_ignored){.path_bytes = path_bytes};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !result; i++)
        result = file_read(&ignored->rules[i], directory, names[i]);
    ignored->is_repository =
        fstatat(directory, ".git", &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (!result && ignored->is_repository)
        result = exclude_read(ignored, directory);
    if (result)
        tool_ignored_deinit(ignored);
    return result;
}

void
tool_ignored_deinit(struct tool_ignored *ignored)
{
    for (size_t i = 0; i < TOOL_IGNORED_FILES; i++)
        if (ignored->rules[i])
            ignore_rules_destroy(&ignored->rules[i]);
}

size_t
tool_ignored_count(const struct tool_ignored *ignored)
{
    size_t count = 0;

    for (size_t i = 0; i < TOOL_IGNORED_FILES; i++)
        count += ignore_rules_count(ignored->rules[i]);
    return count;
}

/* --- judging */

static enum ignore_verdict
file_judge(const struct tool_ignored *levels, unsigned count, unsigned file,
           const struct ignore_question *whole)
{
    enum ignore_verdict verdict = IGNORE_UNSAID;
    bool is_of_git = file >= TOOL_IGNORED_GIT;

    for (unsigned i = count; i > 0 && verdict == IGNORE_UNSAID; i--) {
        const struct tool_ignored *level = &levels[i - 1];
        struct ignore_question q = *whole;

        q.path += level->path_bytes;
        q.bytes -= level->path_bytes;
        verdict = ignore_rules_judge(level->rules[file], &q);
        if (is_of_git && level->is_repository)
            break;
    }
    return verdict;
}

enum ignore_verdict
tool_ignored_judge(const struct tool_ignored *levels, unsigned count,
                   const struct ignore_question *q)
{
    enum ignore_verdict verdict = IGNORE_UNSAID;

    for (unsigned i = 0; i < TOOL_IGNORED_FILES && verdict == IGNORE_UNSAID;
         i++)
        verdict = file_judge(levels, count, i, q);
    return verdict;
}
