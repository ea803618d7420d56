/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   path ─► text checked, made relative ─► openat2 O_PATH, beneath ─► what is
 *   it? ─► file or directory ─► opened again beneath: still the same one?
 */

#include "tools/tool_root.h"

#include "codec/ws_frame.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

/* A rename anywhere while ".." is walked makes the kernel give up. */
#define TRIES 32

struct tool_root {
    int fd;
    size_t path_bytes;
    char *path;
};

/* --- paths */

static bool
text_is_sound(const char *path, size_t bytes)
{
    struct ws_utf8 utf8;

    ws_utf8_init(&utf8);
    return bytes > 0 && !memchr(path, 0, bytes)
           && ws_utf8_push(&utf8, (const uint8_t *) path, bytes)
           && ws_utf8_is_complete(&utf8);
}

/* An absolute path has to begin with the root's; what follows is relative to
 * it, and the kernel sees to it that it stays there. */
static int
root_strip(const struct tool_root *root, const char **path, size_t *bytes)
{
    size_t skip = root->path_bytes;

    if (*bytes == 0 || **path != '/')
        return 0;
    if (*bytes < skip || memcmp(*path, root->path, skip) != 0)
        return UV_EXDEV;
    if (skip > 1 && *bytes > skip && (*path)[skip] != '/')
        return UV_EXDEV;
    while (skip < *bytes && (*path)[skip] == '/')
        skip++;
    *path += skip;
    *bytes -= skip;
    return 0;
}

static int
path_make(const struct tool_root *root, const char *path, size_t bytes,
          char out[TOOL_ROOT_PATH_MAX])
{
    if (!text_is_sound(path, bytes))
        return UV_EINVAL;
    int result = root_strip(root, &path, &bytes);
    if (result)
        return result;
    if (bytes >= TOOL_ROOT_PATH_MAX)
        return UV_ENAMETOOLONG;
    if (bytes == 0)
        memcpy(out, ".", 2);
    memcpy(out + (bytes == 0), path, bytes);
    out[bytes + (bytes == 0)] = 0;
    return 0;
}

/* --- the kernel */

static int
beneath_open(int fd, const char *path, int flags)
{
    struct open_how how = {
        .flags = (uint64_t) (flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };

    for (int i = 0; i < TRIES; i++) {
        long opened = syscall(SYS_openat2, fd, path, &how, sizeof(how));

        if (opened >= 0)
            return (int) opened;
        if (errno != EAGAIN && errno != EINTR)
            return uv_translate_sys_error(errno);
    }
    return UV_EAGAIN;
}

static int64_t
ns_of(struct timespec at)
{
    return (int64_t) at.tv_sec * 1000000000 + at.tv_nsec;
}

/* UV_EFTYPE: something whose opening may do things, or hang. */
static int
stat_read(int fd, struct tool_root_stat *st)
{
    struct stat is;

    if (fstat(fd, &is) != 0)
        return uv_translate_sys_error(errno);
    *st = (struct tool_root_stat){
        .is_directory = S_ISDIR(is.st_mode),
        .size_bytes = (uint64_t) is.st_size,
        .device = is.st_dev,
        .inode = is.st_ino,
        .mtime_ns = ns_of(is.st_mtim),
        .ctime_ns = ns_of(is.st_ctim),
    };
    return S_ISREG(is.st_mode) || S_ISDIR(is.st_mode) ? 0 : UV_EFTYPE;
}

static int
path_look(const struct tool_root *root, const char *path,
          struct tool_root_stat *st)
{
    int fd = beneath_open(root->fd, path, O_PATH);

    if (fd < 0)
        return fd;
    int result = stat_read(fd, st);
    close(fd);
    return result;
}

/* --- verbs */

int
tool_root_stat(const struct tool_root *root, const char *path, size_t bytes,
               struct tool_root_stat *st)
{
    char made[TOOL_ROOT_PATH_MAX];
    int result = path_make(root, path, bytes, made);

    return result ? result : path_look(root, made, st);
}

/* It is looked at before it is opened, and again: in between another may have
 * taken its place. */
int
tool_root_open_file(const struct tool_root *root, const char *path,
                    size_t bytes, struct tool_root_stat *st)
{
    char made[TOOL_ROOT_PATH_MAX];
    struct tool_root_stat is;
    int result = path_make(root, path, bytes, made);

    if (!result)
        result = path_look(root, made, &is);
    if (result)
        return result;
    if (is.is_directory)
        return UV_EISDIR;
    int fd = beneath_open(root->fd, made, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd;
    result = stat_read(fd, &is);
    if (!result && is.is_directory)
        result = UV_EISDIR;
    if (result) {
        close(fd);
        return result;
    }
    if (st)
        *st = is;
    return fd;
}

int
tool_root_open_directory(const struct tool_root *root, const char *path,
                         size_t bytes)
{
    char made[TOOL_ROOT_PATH_MAX];
    int result = path_make(root, path, bytes, made);

    return result ? result
                  : beneath_open(root->fd, made, O_RDONLY | O_DIRECTORY);
}

/* Cuts the last part off; false: there is none that a file could have. */
static bool
name_take(char *path, char name[TOOL_ROOT_NAME_MAX])
{
    char *slash = strrchr(path, '/');
    char *last = slash ? slash + 1 : path;
    size_t bytes = strlen(last);

    if (bytes == 0 || strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return false;
    memcpy(name, last, bytes + 1);
    if (slash)
        *slash = 0;
    else
        memcpy(path, ".", 2);
    return true;
}

int
tool_root_open_parent(const struct tool_root *root, const char *path,
                      size_t bytes, char name[TOOL_ROOT_NAME_MAX])
{
    char made[TOOL_ROOT_PATH_MAX];
    int result = path_make(root, path, bytes, made);

    if (result)
        return result;
    const char *slash = strrchr(made, '/');
    if (strlen(slash ? slash + 1 : made) >= TOOL_ROOT_NAME_MAX)
        return UV_ENAMETOOLONG;
    if (!name_take(made, name))
        return UV_EISDIR;
    return beneath_open(root->fd, made, O_RDONLY | O_DIRECTORY);
}

bool
tool_root_stat_equal(const struct tool_root_stat *a,
                     const struct tool_root_stat *b)
{
    return a->is_directory == b->is_directory && a->size_bytes == b->size_bytes
           && a->device == b->device && a->inode == b->inode
           && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

bool
tool_root_stat_is_settled(const struct tool_root_stat *st, int64_t now_ns)
{
    return now_ns - st->mtime_ns >= TOOL_ROOT_SETTLED_NS
           && now_ns - st->ctime_ns >= TOOL_ROOT_SETTLED_NS;
}

const char *
tool_root_error_text(int error)
{
    switch (error) {
    case UV_EXDEV:
        return "The path leads out of the directory that tools may use.";
    case UV_EINVAL:
        return "The path is empty, or not UTF-8.";
    case UV_ENAMETOOLONG:
        return "The path is too long.";
    case UV_ENOENT:
        return "There is no such file or directory.";
    case UV_ENOTDIR:
        return "A part of the path is not a directory.";
    case UV_EISDIR:
        return "The path is a directory.";
    case UV_EFTYPE:
        return "The path is neither a file nor a directory.";
    case UV_ELOOP:
        return "The path has too many symbolic links.";
    case UV_EACCES:
    case UV_EPERM:
        return "The path may not be used.";
    case UV_EAGAIN:
        return "The path is being moved; try again.";
    default:
        return "The path can't be used.";
    }
}

/* --- life */

const char *
tool_root_path(const struct tool_root *root)
{
    return root->path;
}

int
tool_root_open(struct tool_root **rp, const char *path)
{
    struct tool_root *root = calloc(1, sizeof(*root));
    int result = 0;

    if (!root)
        return UV_ENOMEM;
    root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    root->path = root->fd < 0 ? NULL : realpath(path, NULL);
    if (!root->path) {
        result = uv_translate_sys_error(errno);
    } else {
        root->path_bytes = strlen(root->path);
        int probe = beneath_open(root->fd, ".", O_PATH);
        result = probe < 0 ? probe : 0;
        if (probe >= 0)
            close(probe);
    }
    if (result) {
        tool_root_close(&root);
        return result;
    }
    *rp = root;
    return 0;
}

void
tool_root_close(struct tool_root **rp)
{
    struct tool_root *root = *rp;

    *rp = NULL;
    if (!root)
        return;
    if (root->fd >= 0)
        close(root->fd);
    free(root->path);
    free(root);
}
