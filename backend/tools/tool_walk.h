/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Goes through a tree beneath the root, names in order, and leaves out what
 * ignore files say: .rgignore before .ignore before .gitignore before
 * .git/info/exclude, a deeper file before a higher one, from the root down, as
 * ripgrep reads them (--no-require-git); rules of git end at a repository's
 * top. Never follows a link and never leaves the file systems that hold files.
 * Pulled, so that a page can end anywhere. Owns a descriptor a level; blocks:
 * for the thread pool; one thread at a time. Memory, depth and work are capped:
 * what is over is left out, and said.
 *
 *   directory ─► names, sorted ─► hidden? ignored? ─► entry ─► descend
 */

#ifndef VOICE_TOOL_WALK_H
#define VOICE_TOOL_WALK_H

#include "tools/tool_root.h"

#define TOOL_WALK_DEPTH 64       /* levels below the root */
#define TOOL_WALK_BYTES 33554432 /* of names that wait, all levels */

enum tool_walk_kind { TOOL_WALK_FILE, TOOL_WALK_DIRECTORY, TOOL_WALK_LINK };

struct tool_walk;

/* Asked now and then; true: stop. */
typedef bool tool_walk_over_h(const void *arg);

struct tool_walk_config {
    const struct tool_root *root; /* borrowed */
    const char *path;             /* a directory; borrowed for the creation */
    size_t path_bytes;
    bool with_hidden; /* names that begin with a dot */
    bool with_ignored;
    bool with_git; /* .git itself, when hidden names are in */
    tool_walk_over_h *is_over;
    const void *over_arg;
};

/* Borrowed until the next call. */
struct tool_walk_entry {
    enum tool_walk_kind kind;
    const char *path; /* from the root; any bytes but NUL */
    size_t path_bytes;
    size_t base_bytes; /* of it, up to where the walk began, slash included */
    const char *name;  /* its last part */
    int directory;     /* it is in */
};

/* 0 or as tool_root_open_directory; UV_ENOMEM. */
int tool_walk_create(struct tool_walk **wp, const struct tool_walk_config *cfg);
void tool_walk_destroy(struct tool_walk **wp);

/* 1: an entry; 0: the end; UV_ECANCELED: is_over said so; UV_ENOMEM. A
 * directory comes before what is in it. */
int tool_walk_next(struct tool_walk *w, struct tool_walk_entry *entry);
/* Not into the directory that came last. */
void tool_walk_skip(struct tool_walk *w);

/* An entry that is a file, to be read. A descriptor; UV_EFTYPE: it is none any
 * more; UV_E*. */
int tool_walk_open_file(const struct tool_walk_entry *entry,
                        struct tool_root_stat *st);

/* Where it began, from the root; "" is the root. */
const char *tool_walk_base(const struct tool_walk *w);

/* Something was left out: too deep, too many names, or not to be opened. */
bool tool_walk_is_incomplete(const struct tool_walk *w);

#endif
