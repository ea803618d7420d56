/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a grep finds, one after the other: lines, files or counts, of one file
 * or of a tree; which files are looked at, and in what order. Owns the walk,
 * the scan and the pattern of one run. Blocks: for the thread pool.
 *
 *   tool_walk ─► name fits? ─► tool_scan ─► hit
 */

#ifndef VOICE_TOOL_HITS_H
#define VOICE_TOOL_HITS_H

#include "tools/tool_file.h"
#include "tools/tool_scan.h"

enum tool_hits_mode { TOOL_HITS_LINES, TOOL_HITS_FILES, TOOL_HITS_COUNTS };

struct tool_hits;

/* Borrowed until the next call. */
struct tool_hit {
    const char *file;             /* any bytes but NUL */
    struct tool_scan_match match; /* TOOL_HITS_LINES */
    uint64_t count;               /* TOOL_HITS_COUNTS: matches in the file */
};

/*
 * By the run's arguments: pattern, path, output_mode, glob, type, multiline,
 * -i -A -B -C, include_ignored. 0; UV_EINVAL: `error` says what is wrong with
 * them; as tool_root_stat for the path, `error` empty; UV_ENOMEM.
 */
int tool_hits_create(struct tool_hits **hp, const struct tool_root *root,
                     const struct tool_run *run,
                     char error[TOOL_PATTERN_ERROR_BYTES]);
void tool_hits_destroy(struct tool_hits **hp);

enum tool_hits_mode tool_hits_get_mode(const struct tool_hits *h);

/* 1: a hit; 0: there are no more; as tool_scan_next. */
int tool_hits_next(struct tool_hits *h, struct tool_hit *hit);

/* A sentence about what was not searched, or NULL. */
const char *tool_hits_warning(const struct tool_hits *h);

#endif
