/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The directory that file tools are confined to. Every path is resolved by the
 * kernel beneath it (openat2, RESOLVE_BENEATH): no "..", no symbolic link and
 * no rename under way leads out, whoever changes the tree meanwhile. Links
 * that stay inside are followed. Owns one descriptor; after opening any thread
 * may ask. May block, as file systems do: for the thread pool. Opens nothing
 * but files and directories: a FIFO or a device is refused without touching it.
 */

#ifndef VOICE_TOOL_ROOT_H
#define VOICE_TOOL_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define TOOL_ROOT_PATH_MAX 4096 /* bytes, with the end */
#define TOOL_ROOT_NAME_MAX 256

struct tool_root;

/* What a file was when it was looked at; equal ones have not changed but for
 * what happens within the clock of the file system. */
struct tool_root_stat {
    bool is_directory;
    uint64_t size_bytes;
    uint64_t device, inode;
    int64_t mtime_ns, ctime_ns; /* since 1970 */
};

/* `path` is a directory. 0 or UV_E*; UV_ENOSYS: a kernel without openat2, and
 * nothing is opened by anything weaker. */
int tool_root_open(struct tool_root **rp, const char *path);
void tool_root_close(struct tool_root **rp);

/* Without links, for texts and keys. */
const char *tool_root_path(const struct tool_root *root);

/*
 * Paths in the verbs below: `bytes` of UTF-8, relative to the root or absolute
 * and in it; they come from a model. A descriptor (close-on-exec), or
 *   UV_EXDEV   it leads out of the root
 *   UV_EINVAL  no path: empty, a NUL, not UTF-8
 *   UV_ENAMETOOLONG, UV_ENOENT, UV_EACCES, UV_ENOTDIR, UV_ELOOP, …
 *   UV_EAGAIN  the tree is being moved about
 * *st may be NULL.
 */

/* A file, to be read. UV_EISDIR; UV_EFTYPE: neither file nor directory. */
int tool_root_open_file(const struct tool_root *root, const char *path,
                        size_t bytes, struct tool_root_stat *st);

/* A directory, to be listed or to be the start of openat; UV_ENOTDIR. */
int tool_root_open_directory(const struct tool_root *root, const char *path,
                             size_t bytes);

/* The directory that the path's last part is in, and that part, for a file
 * that is to be made there or replaced (O_NOFOLLOW, renameat). UV_EISDIR: the
 * path ends with no name ("a/", "..", "."). */
int tool_root_open_parent(const struct tool_root *root, const char *path,
                          size_t bytes, char name[TOOL_ROOT_NAME_MAX]);

/* 0; of whatever is there, UV_EFTYPE when it is neither. */
int tool_root_stat(const struct tool_root *root, const char *path, size_t bytes,
                   struct tool_root_stat *st);

bool tool_root_stat_equal(const struct tool_root_stat *a,
                          const struct tool_root_stat *b);

/* A change within the clock of the file system would not be seen: what has
 * just changed is not to be remembered. now_ns: since 1970. */
#define TOOL_ROOT_SETTLED_NS 50000000
bool tool_root_stat_is_settled(const struct tool_root_stat *st, int64_t now_ns);

/* What went wrong, as a sentence for a model. */
const char *tool_root_error_text(int error);

#endif
