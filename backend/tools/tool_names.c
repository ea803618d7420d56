/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define ASK_EVERY 256 /* names */
#define FIRST     4096

/* False: neither file, directory nor link. */
static bool
kind_read(int directory, const struct dirent *entry, enum tool_walk_kind *kind)
{
    unsigned char type = entry->d_type;
    struct stat st;

    if (type == DT_UNKNOWN
        && fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = IFTODT(st.st_mode);
    *kind = type == DT_REG   ? TOOL_WALK_FILE
            : type == DT_DIR ? TOOL_WALK_DIRECTORY
                             : TOOL_WALK_LINK;
    return type == DT_REG || type == DT_DIR || type == DT_LNK;
}

/* 0; UV_ENOBUFS: the cap; UV_ENOMEM. The order takes a share of it too. */
static int
names_reserve(struct tool_names *names, size_t bytes, size_t max_bytes)
{
    size_t capacity = names->capacity ? names->capacity : FIRST;

    while (capacity - names->bytes < bytes)
        capacity *= 2;
    if (capacity > max_bytes)
        return UV_ENOBUFS;
    if (capacity > names->capacity) {
        char *text = realloc(names->text, capacity);

        if (!text)
            return UV_ENOMEM;
        names->text = text;
        names->capacity = capacity;
    }
    return 0;
}

static int
name_add(struct tool_names *names, const char *name, enum tool_walk_kind kind,
         size_t max_bytes)
{
    size_t bytes = strlen(name) + 2;
    int result = names_reserve(names, bytes, max_bytes);

    if (result)
        return result;
    names->text[names->bytes] = (char) kind;
    memcpy(names->text + names->bytes + 1, name, bytes - 1);
    names->bytes += bytes;
    names->count++;
    return 0;
}

static bool
is_wanted(const char *name, bool with_git)
{
    if (name[0] != '.')
        return true;
    if (name[1] == 0 || strcmp(name, "..") == 0)
        return false;
    return with_git || strcmp(name, ".git") != 0;
}

static int
entries_read(struct tool_names *names, DIR *directory,
             const struct tool_names_config *cfg)
{
    const struct dirent *entry;
    enum tool_walk_kind kind;
    unsigned seen = 0;
    int result = 0;

    while (!result && (errno = 0, entry = readdir(directory)) != NULL) {
        if (++seen % ASK_EVERY == 0 && cfg->is_over
            && cfg->is_over(cfg->over_arg))
            return UV_ECANCELED;
        if (is_wanted(entry->d_name, cfg->with_git)
            && kind_read(dirfd(directory), entry, &kind))
            result = name_add(names, entry->d_name, kind, cfg->max_bytes);
    }
    if (result != UV_ENOBUFS)
        return result ? result : uv_translate_sys_error(errno);
    names->is_incomplete = true;
    return 0;
}

/* --- order */

static int
compare(const void *a, const void *b, void *text)
{
    return strcmp((const char *) text + *(const uint32_t *) a + 1,
                  (const char *) text + *(const uint32_t *) b + 1);
}

static int
names_sort(struct tool_names *names)
{
    uint32_t at = 0;

    if (names->count == 0)
        return 0;
    names->order = calloc(names->count, sizeof(*names->order));
    if (!names->order) {
        names->count = 0;
        return UV_ENOMEM;
    }
    for (uint32_t i = 0; i < names->count; i++) {
        names->order[i] = at;
        at += (uint32_t) strlen(names->text + at + 1) + 2;
    }
    qsort_r(names->order, names->count, sizeof(*names->order), compare,
            names->text);
    return 0;
}

int
tool_names_read(struct tool_names *names, int directory,
                const struct tool_names_config *cfg)
{
    int fd = fcntl(directory, F_DUPFD_CLOEXEC, 0);
    DIR *opened = fd < 0 ? NULL : fdopendir(fd);

    *names = (struct tool_names){0};
    if (!opened) {
        int result = uv_translate_sys_error(errno);

        if (fd >= 0)
            close(fd);
        return result;
    }
    int result = entries_read(names, opened, cfg);
    closedir(opened);
    int sorted = names_sort(names);
    return result ? result : sorted;
}

void
tool_names_deinit(struct tool_names *names)
{
    free(names->text);
    free(names->order);
    *names = (struct tool_names){0};
}

bool
tool_names_is_end(const struct tool_names *names)
{
    return names->next == names->count;
}

const char *
tool_names_next(struct tool_names *names, enum tool_walk_kind *kind)
{
    const char *entry = names->text + names->order[names->next++];

    *kind = (enum tool_walk_kind) entry[0];
    return entry + 1;
}
