/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/tool_change.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#define TEMPORARY_BYTES 32
#define NEW_FILE        (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)

/* What is to be replaced: a name in a directory. */
struct place {
    int directory;
    char name[TOOL_ROOT_NAME_MAX];
    struct stat st;
    bool exists;
};

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;

void
tool_change_lock(void)
{
    pthread_mutex_lock(&changing);
}

void
tool_change_unlock(void)
{
    pthread_mutex_unlock(&changing);
}

static int
last_error(void)
{
    return uv_translate_sys_error(errno);
}

/* --- directories on the way */

/* Of the directory that the path's last part is in; 0: none is named. */
static size_t
above_bytes(const char *path, size_t bytes)
{
    while (bytes > 0 && path[bytes - 1] != '/')
        bytes--;
    while (bytes > 0 && path[bytes - 1] == '/')
        bytes--;
    return bytes;
}

static int
directory_probe(const struct tool_root *root, const char *path, size_t bytes)
{
    int fd = tool_root_open_directory(root, path, bytes);

    if (fd >= 0)
        close(fd);
    return fd < 0 ? fd : 0;
}

/* A server that is root makes what is the owner's of the directory it is made
 * in: commands run as that one. Made so, not given away afterwards, when
 * another directory may bear the name. */
static int
directory_make_in(int parent, const char *name)
{
    struct stat in;

    if (fstat(parent, &in) != 0)
        return -1;
    if (geteuid() != 0 || (in.st_uid == 0 && in.st_gid == 0))
        return mkdirat(parent, name, 0777);
    setfsgid(in.st_gid);
    setfsuid(in.st_uid); /* of this thread alone */
    int result = mkdirat(parent, name, 0777);
    int error = errno;
    setfsuid(0);
    setfsgid(getegid());
    errno = error;
    return result && error == EACCES ? mkdirat(parent, name, 0777) : result;
}

static int
directory_make(const struct tool_root *root, const char *path, size_t bytes)
{
    char name[TOOL_ROOT_NAME_MAX];
    int result = directory_probe(root, path, bytes);

    if (result != UV_ENOENT)
        return result;
    int fd = tool_root_open_parent(root, path, bytes, name);
    if (fd < 0)
        return fd;
    result =
        directory_make_in(fd, name) == 0 || errno == EEXIST ? 0 : last_error();
    close(fd);
    return result;
}

/* Back to what is there, then on from it. */
static int
directories_make(const struct tool_root *root, const char *path, size_t bytes)
{
    size_t all = above_bytes(path, bytes);
    size_t end = all;
    int result = 0;

    while (end > 0 && directory_probe(root, path, end) == UV_ENOENT)
        end = above_bytes(path, end);
    while (end < all && !result) {
        while (end < all && path[end] == '/')
            end++;
        while (end < all && path[end] != '/')
            end++;
        result = directory_make(root, path, end);
    }
    return result;
}

/* --- the place */

static int
parent_open(const struct tool_change *c, const char *path, size_t bytes,
            char name[TOOL_ROOT_NAME_MAX])
{
    int fd = tool_root_open_parent(c->root, path, bytes, name);

    if (fd != UV_ENOENT || !c->make_directories)
        return fd;
    int result = directories_make(c->root, path, bytes);
    return result ? result : tool_root_open_parent(c->root, path, bytes, name);
}

/* Where the link in that place leads, as a path; an absolute one leads out. */
static int
link_read(const struct place *place, char *path, size_t *bytes)
{
    char target[TOOL_ROOT_PATH_MAX];
    size_t above = above_bytes(path, *bytes);
    ssize_t got =
        readlinkat(place->directory, place->name, target, sizeof(target));

    if (got < 0)
        return last_error();
    if (got == 0 || target[0] == '/')
        return UV_EXDEV;
    if (above + 1 + (size_t) got >= TOOL_ROOT_PATH_MAX)
        return UV_ENAMETOOLONG;
    if (above > 0)
        path[above++] = '/';
    else if (path[0] == '/')
        above = 1;
    memcpy(path + above, target, (size_t) got);
    *bytes = above + (size_t) got;
    return 0;
}

static int
place_look(struct place *place)
{
    place->exists =
        fstatat(place->directory, place->name, &place->st, AT_SYMLINK_NOFOLLOW)
        == 0;
    return place->exists || errno == ENOENT ? 0 : last_error();
}

/* Gives a place whose directory the caller closes. */
static int
place_find(const struct tool_change *c, struct place *place)
{
    char path[TOOL_ROOT_PATH_MAX];
    size_t bytes = c->path_bytes;
    int result = 0;

    if (bytes >= sizeof(path))
        return UV_ENAMETOOLONG;
    memcpy(path, c->path, bytes);
    for (int i = 0; i <= TOOL_CHANGE_LINKS && !result; i++) {
        place->directory = parent_open(c, path, bytes, place->name);
        if (place->directory < 0)
            return place->directory;
        result = place_look(place);
        if (!result && (!place->exists || !S_ISLNK(place->st.st_mode)))
            return 0;
        if (!result)
            result = link_read(place, path, &bytes);
        close(place->directory);
    }
    return result ? result : UV_ELOOP;
}

static bool
is_expected(const struct place *place, const struct tool_root_stat *expects)
{
    const struct stat *is = &place->st;
    const int64_t second = 1000000000;

    return place->exists && is->st_dev == expects->device
           && is->st_ino == expects->inode
           && (uint64_t) is->st_size == expects->size_bytes
           && is->st_mtim.tv_sec * second + is->st_mtim.tv_nsec
                  == expects->mtime_ns
           && is->st_ctim.tv_sec * second + is->st_ctim.tv_nsec
                  == expects->ctime_ns;
}

static int
place_check(const struct place *place, const struct tool_root_stat *expects)
{
    if (expects && !is_expected(place, expects))
        return UV_EBUSY;
    if (!place->exists)
        return 0;
    if (!S_ISREG(place->st.st_mode))
        return S_ISDIR(place->st.st_mode) ? UV_EISDIR : UV_EFTYPE;
    return faccessat(place->directory, place->name, W_OK, AT_EACCESS) == 0
               ? 0
               : last_error();
}

/* --- the file */

static int
text_write(int fd, const char *text, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(fd, text, bytes);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return last_error();
        text += put;
        bytes -= (size_t) put;
    }
    return fsync(fd) == 0 ? 0 : last_error();
}

/* The same of a file, which has no name yet that anybody knows. */
static int
owner_inherit(int fd, const struct place *place)
{
    struct stat in;

    if (geteuid() != 0)
        return 0;
    if (fstat(place->directory, &in) != 0)
        return last_error();
    return fchown(fd, in.st_uid, in.st_gid) == 0 || errno == EPERM
               ? 0
               : last_error();
}

/* As the old file was, as far as that may be done; never with the rights of
 * another user. */
static int
mode_keep(int fd, const struct place *place)
{
    struct stat is;

    if (!place->exists)
        return owner_inherit(fd, place);
    if (fstat(fd, &is) != 0)
        return last_error();
    if ((is.st_uid != place->st.st_uid || is.st_gid != place->st.st_gid)
        && fchown(fd, place->st.st_uid, place->st.st_gid) != 0
        && errno != EPERM)
        return last_error();
    return fchmod(fd, place->st.st_mode & 0777) == 0 ? 0 : last_error();
}

static int
temporary_open(const struct place *place, char name[TEMPORARY_BYTES])
{
    uint64_t random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return last_error();
    snprintf(name, TEMPORARY_BYTES, ".voice-%016" PRIx64, random);
    int fd =
        openat(place->directory, name, NEW_FILE, place->exists ? 0600 : 0666);
    return fd < 0 ? last_error() : fd;
}

static int
place_replace(const struct place *place, const struct tool_change *c)
{
    char name[TEMPORARY_BYTES];
    int fd = temporary_open(place, name);

    if (fd < 0)
        return fd;
    int result = text_write(fd, c->text, c->text_bytes);
    if (!result)
        result = mode_keep(fd, place);
    close(fd);
    if (!result
        && renameat(place->directory, name, place->directory, place->name) != 0)
        result = last_error();
    if (result)
        unlinkat(place->directory, name, 0);
    return result;
}

int
tool_change_replace(const struct tool_change *change)
{
    struct place place = {0};
    int result = place_find(change, &place);

    if (result)
        return result;
    result = place_check(&place, change->expects);
    if (!result)
        result = place_replace(&place, change);
    close(place.directory);
    return result;
}
