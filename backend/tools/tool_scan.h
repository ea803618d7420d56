/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks for a pattern in one file after the other, line by line or, with
 * multiline, in all of it. Holds a block of a file at a time, lines of context
 * included, whatever its size. A line that is longer than the block counts as
 * far as that goes. A file with a NUL is binary: searched up to it, if it has
 * none in its first block. Pulled, so that a page can end anywhere. Owns its
 * block and the file; blocks: for the thread pool; one thread at a time.
 */

#ifndef VOICE_TOOL_SCAN_H
#define VOICE_TOOL_SCAN_H

#include "tools/tool_pattern.h"

#include <stdint.h>

#define TOOL_SCAN_BLOCK     1048576
#define TOOL_SCAN_MULTILINE 8388608 /* of a file; the rest is left out */
#define TOOL_SCAN_CONTEXT   50      /* lines, before and after */

struct tool_scan;

struct tool_scan_config {
    struct tool_pattern *pattern; /* borrowed; has the is_over that is asked */
    bool is_multiline;
    unsigned before, after; /* lines of context */
    size_t block_bytes;     /* 0: TOOL_SCAN_BLOCK */
    bool (*is_over)(const void *arg);
    const void *over_arg;
};

/* Borrowed until the next call. Texts of lines have no end of line at their
 * end, but between them. */
struct tool_scan_match {
    uint64_t line;              /* the first one's number */
    const char *text;           /* of the lines that match */
    size_t bytes, begin;        /* the match begins there */
    const char *before, *after; /* whole lines */
    size_t before_bytes, after_bytes;
    unsigned before_lines, after_lines;
};

/* What was seen in all files. */
struct tool_scan_counts {
    unsigned binary; /* not searched, or not all of it */
    unsigned cut;    /* larger than multiline goes, lines longer than a block */
    unsigned hard;   /* lines that take more than a search may: no match */
};

/* 0, UV_ENOMEM. */
int tool_scan_create(struct tool_scan **sp, const struct tool_scan_config *cfg);
void tool_scan_destroy(struct tool_scan **sp);

/* Takes the descriptor; the file before it is closed. */
void tool_scan_open(struct tool_scan *s, int fd);
/* The rest of it is not wanted. */
void tool_scan_close(struct tool_scan *s);
bool tool_scan_is_open(const struct tool_scan *s);

/* 1: a match; 0: no more, the file is closed; UV_ECANCELED; UV_E2BIG: the
 * pattern was too much work too often; UV_ENOMEM. A file that can't be read
 * ends. */
int tool_scan_next(struct tool_scan *s, struct tool_scan_match *match);

const struct tool_scan_counts *tool_scan_get_counts(const struct tool_scan *s);

#endif
