/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_walk.h"

#include "tools/tool_ignored.h"
#include "tools/tool_names.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <uv.h>

#define RULES_MAX 32768 /* of all levels together */
#define DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct level {
    int fd; /* -1: above where the walk began */
    dev_t device;
    struct tool_names names;
};

struct tool_walk {
    struct tool_walk_config cfg;
    unsigned base; /* the level that the walk began at */
    unsigned count;
    struct level levels[TOOL_WALK_DEPTH];
    struct tool_ignored ignored[TOOL_WALK_DEPTH];
    size_t names_bytes, rules; /* of all levels */
    size_t path_bytes;
    char path[TOOL_ROOT_PATH_MAX];  /* of the entry that came last */
    char where[TOOL_ROOT_PATH_MAX]; /* it began; no slash at its end */
    bool may_descend;
    bool is_incomplete;
};

/* --- levels */

static void
level_pop(struct tool_walk *w)
{
    struct level *level = &w->levels[--w->count];

    w->names_bytes -= level->names.capacity;
    tool_names_deinit(&level->names);
    if (level->fd >= 0)
        close(level->fd);
    w->rules -= tool_ignored_count(&w->ignored[w->count]);
    tool_ignored_deinit(&w->ignored[w->count]);
}

/* What kernels show as files is none of a walk's business. */
static bool
is_of_kernel(int fd)
{
    static const unsigned long kinds[] = {
        PROC_SUPER_MAGIC,    SYSFS_MAGIC,        CGROUP_SUPER_MAGIC,
        CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,      TRACEFS_MAGIC,
        SECURITYFS_MAGIC,    DEVPTS_SUPER_MAGIC, BPF_FS_MAGIC,
    };
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return true;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if ((unsigned long) fs.f_type == kinds[i])
            return true;
    return false;
}

static int
level_read(struct tool_walk *w, struct level *level)
{
    const struct tool_names_config cfg = {
        .with_git = w->cfg.with_git && w->cfg.with_hidden,
        .max_bytes = TOOL_WALK_BYTES - w->names_bytes,
        .is_over = w->cfg.is_over,
        .over_arg = w->cfg.over_arg,
    };
    int result = tool_names_read(&level->names, level->fd, &cfg);

    w->names_bytes += level->names.capacity;
    w->is_incomplete |= level->names.is_incomplete;
    return result;
}

/* Takes the descriptor. Its path is that of the walk. UV_EACCES: not to be
 * gone into. */
static int
level_push(struct tool_walk *w, int fd, bool is_listed)
{
    struct tool_ignored *ignored = &w->ignored[w->count];
    struct level *level = &w->levels[w->count];
    struct stat st;
    int result = fstat(fd, &st) == 0 ? 0 : uv_translate_sys_error(errno);

    if (!result
        && (w->count == 0 || w->levels[w->count - 1].device != st.st_dev)
        && is_of_kernel(fd))
        result = UV_EACCES;
    if (!result && !w->cfg.with_ignored && w->rules < RULES_MAX)
        result = tool_ignored_read(ignored, fd, w->path_bytes);
    else
        *ignored = (struct tool_ignored){.path_bytes = w->path_bytes};
    if (result) {
        close(fd);
        return result;
    }
    *level = (struct level){.fd = fd, .device = st.st_dev};
    w->rules += tool_ignored_count(ignored);
    w->count++;
    if (is_listed)
        return level_read(w, level);
    close(fd);
    level->fd = -1;
    return 0;
}

/* --- where it begins */

static bool
path_append(struct tool_walk *w, const char *name, size_t bytes)
{
    if (bytes >= sizeof(w->path) - w->path_bytes)
        return false;
    memcpy(w->path + w->path_bytes, name, bytes);
    w->path_bytes += bytes;
    w->path[w->path_bytes] = 0;
    return true;
}

/* The kernel's word for what was opened: without links and dots. UV_EAGAIN: it
 * has left the root meanwhile. */
static int
where_read(struct tool_walk *w, int fd)
{
    char name[32], is[TOOL_ROOT_PATH_MAX];
    const char *root = tool_root_path(w->cfg.root);
    size_t skip = strlen(root);

    snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(name, is, sizeof(is) - 1);
    if (bytes < 0 || (size_t) bytes == sizeof(is) - 1)
        return bytes < 0 ? uv_translate_sys_error(errno) : UV_ENAMETOOLONG;
    is[bytes] = 0;
    if (strncmp(is, root, skip) != 0
        || (skip > 1 && is[skip] != 0 && is[skip] != '/'))
        return UV_EAGAIN;
    skip += is[skip] == '/';
    snprintf(w->where, sizeof(w->where), "%s", is + skip);
    return 0;
}

/* The levels above: for their ignore files. */
static int
levels_above(struct tool_walk *w)
{
    const char *at = w->where;
    int result = 0;

    while (*at && !result) {
        size_t part = strcspn(at, "/");
        int fd =
            tool_root_open_directory(w->cfg.root, w->path_bytes ? w->path : ".",
                                     w->path_bytes ? w->path_bytes : 1);

        if (fd < 0)
            return fd;
        if (w->count + 2 > TOOL_WALK_DEPTH) {
            close(fd);
            return UV_ENAMETOOLONG;
        }
        result = level_push(w, fd, false);
        if (!result && (!path_append(w, at, part) || !path_append(w, "/", 1)))
            result = UV_ENAMETOOLONG;
        at += part + (at[part] == '/');
    }
    return result;
}

static int
walk_begin(struct tool_walk *w)
{
    int fd =
        tool_root_open_directory(w->cfg.root, w->cfg.path, w->cfg.path_bytes);
    int result = fd < 0 ? fd : where_read(w, fd);

    if (!result)
        result = levels_above(w);
    if (result) {
        if (fd >= 0)
            close(fd);
        return result;
    }
    w->base = w->count;
    return level_push(w, fd, true);
}

int
tool_walk_create(struct tool_walk **wp, const struct tool_walk_config *cfg)
{
    struct tool_walk *w = calloc(1, sizeof(*w));

    if (!w)
        return UV_ENOMEM;
    w->cfg = *cfg;
    int result = walk_begin(w);
    if (result == UV_ECANCELED) /* the first _next says so */
        result = 0;
    if (result) {
        tool_walk_destroy(&w);
        return result;
    }
    w->cfg.path = NULL;
    *wp = w;
    return 0;
}

void
tool_walk_destroy(struct tool_walk **wp)
{
    struct tool_walk *w = *wp;

    *wp = NULL;
    if (!w)
        return;
    while (w->count > 0)
        level_pop(w);
    free(w);
}

/* --- on */

/* Into the directory that came last. What is gone by now was never there. */
static int
walk_descend(struct tool_walk *w)
{
    const struct level *level = &w->levels[w->count - 1];
    const char *name = w->path + w->ignored[w->count - 1].path_bytes;

    if (w->count == TOOL_WALK_DEPTH) {
        w->is_incomplete = true;
        return 0;
    }
    int fd = openat(level->fd, name, DIRECTORY);
    if (fd < 0) {
        w->is_incomplete |=
            errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
        return 0;
    }
    if (!path_append(w, "/", 1)) {
        close(fd);
        w->is_incomplete = true;
        return 0;
    }
    int result = level_push(w, fd, true);
    if (result == UV_ECANCELED || result == UV_ENOMEM)
        return result;
    w->is_incomplete |= result && result != UV_EACCES;
    return 0;
}

static bool
is_left_out(const struct tool_walk *w, const struct tool_walk_entry *entry)
{
    const struct ignore_question q = {
        .path = entry->path,
        .bytes = entry->path_bytes,
        .is_directory = entry->kind == TOOL_WALK_DIRECTORY,
        .is_over = w->cfg.is_over,
        .over_arg = w->cfg.over_arg,
    };
    enum ignore_verdict verdict = tool_ignored_judge(w->ignored, w->count, &q);

    if (verdict != IGNORE_UNSAID)
        return verdict == IGNORE_OUT;
    return entry->name[0] == '.' && !w->cfg.with_hidden;
}

/* The next name of the level, all of its path. False: too long a path. */
static bool
entry_make(struct tool_walk *w, struct tool_walk_entry *entry)
{
    struct level *level = &w->levels[w->count - 1];
    size_t above = w->ignored[w->count - 1].path_bytes;
    const char *name = tool_names_next(&level->names, &entry->kind);

    w->path_bytes = above;
    if (!path_append(w, name, strlen(name))) {
        w->is_incomplete = true;
        return false;
    }
    entry->path = w->path;
    entry->path_bytes = w->path_bytes;
    entry->base_bytes = w->ignored[w->base].path_bytes;
    entry->name = w->path + above;
    entry->directory = level->fd;
    return true;
}

int
tool_walk_next(struct tool_walk *w, struct tool_walk_entry *entry)
{
    while (w->count > w->base) {
        bool descends = w->may_descend;

        w->may_descend = false;
        if (w->cfg.is_over && w->cfg.is_over(w->cfg.over_arg))
            return UV_ECANCELED;
        int result = descends ? walk_descend(w) : 0;
        if (result)
            return result;
        if (tool_names_is_end(&w->levels[w->count - 1].names)) {
            level_pop(w);
            continue;
        }
        if (!entry_make(w, entry) || is_left_out(w, entry))
            continue;
        w->may_descend = entry->kind == TOOL_WALK_DIRECTORY;
        return 1;
    }
    return 0;
}

void
tool_walk_skip(struct tool_walk *w)
{
    w->may_descend = false;
}

int
tool_walk_open_file(const struct tool_walk_entry *entry,
                    struct tool_root_stat *st)
{
    struct stat is;

    if (fstatat(entry->directory, entry->name, &is, AT_SYMLINK_NOFOLLOW) != 0)
        return uv_translate_sys_error(errno);
    if (!S_ISREG(is.st_mode))
        return UV_EFTYPE;
    int fd = openat(entry->directory, entry->name,
                    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return uv_translate_sys_error(errno);
    if (fstat(fd, &is) != 0 || !S_ISREG(is.st_mode)) {
        close(fd);
        return UV_EFTYPE;
    }
    *st = (struct tool_root_stat){
        .size_bytes = (uint64_t) is.st_size,
        .device = is.st_dev,
        .inode = is.st_ino,
        .mtime_ns =
            is.st_mtim.tv_sec * INT64_C(1000000000) + is.st_mtim.tv_nsec,
        .ctime_ns =
            is.st_ctim.tv_sec * INT64_C(1000000000) + is.st_ctim.tv_nsec,
    };
    return fd;
}

const char *
tool_walk_base(const struct tool_walk *w)
{
    return w->where;
}

bool
tool_walk_is_incomplete(const struct tool_walk *w)
{
    return w->is_incomplete;
}
