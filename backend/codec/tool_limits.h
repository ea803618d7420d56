/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What of a tool's output a model is given (R4.2): bounded whatever the tool
 * writes, never cut inside a character, the totals those of all there was.
 * Two collectors take output piece by piece in bounded memory: lines, for files
 * and matches; ends, for commands, which tell at their beginning what they do
 * and at their end how it went. Pure, embedded; own what they have collected.
 * Bytes that are no UTF-8, and NUL, become '?': text never grows.
 */

#ifndef VOICE_TOOL_LIMITS_H
#define VOICE_TOOL_LIMITS_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_LIMIT_FILE_LINES   500
#define TOOL_LIMIT_LINE_CHARS   1000
#define TOOL_LIMIT_GREP_MATCHES 100
#define TOOL_LIMIT_GREP_LINES   200
#define TOOL_LIMIT_BASH_BYTES   50000
#define TOOL_LIMIT_WEB_BYTES    100000
#define TOOL_LIMIT_BYTES        100000 /* of any other */

/* The most of text, max_bytes or less, that ends with a whole character. Of
 * what is no UTF-8 max_bytes. */
size_t tool_limits_cut(const char *text, size_t bytes, size_t max_bytes);

/* UTF-8 without NUL. */
bool tool_limits_is_clean(const char *text, size_t bytes);
/* In place. */
void tool_limits_clean(char *text, size_t bytes);

/* --- lines: a page of them, each cut; "   12\ttext" when numbered. A long one
 * ends with how much of it is missing. */

struct tool_lines_config {
    uint64_t first; /* of the page, from 1 */
    unsigned max_lines, max_chars;
    bool numbered;
};

struct tool_lines {
    struct tool_lines_config cfg;
    struct buffer text;
    uint64_t line;                     /* under way, from 1 */
    uint64_t chars;                    /* of it so far */
    size_t line_begin;                 /* of it in text */
    uint8_t rest;                      /* bytes behind the last lead */
    bool has_byte;                     /* of it */
    uint64_t total_lines, total_bytes; /* of all there was */
    unsigned lines;                    /* on the page */
    unsigned cut_lines;                /* of them too long */
};

void tool_lines_init(struct tool_lines *l, const struct tool_lines_config *cfg);
void tool_lines_deinit(struct tool_lines *l);

/* 0 or UV_ENOMEM. */
int tool_lines_push(struct tool_lines *l, const char *data, size_t bytes);
/* A last line may have no end. Then text, lines and totals stand. */
int tool_lines_finish(struct tool_lines *l);

/* The page is full: what still comes is only counted. */
bool tool_lines_is_full(const struct tool_lines *l);
/* Not all there was is on the page. After _finish. */
bool tool_lines_is_truncated(const struct tool_lines *l);

/* --- ends: all of it up to max_bytes; of more the first and the last two
 * fifths, and between them how much is missing. */

#define TOOL_ENDS_MIN 256 /* of max_bytes */

struct tool_ends {
    char *kept; /* the first `head_max` bytes, then a ring of the last */
    size_t max_bytes, head_max;
    uint64_t total_bytes;
};

/* 0, UV_EINVAL, UV_ENOMEM. */
int tool_ends_init(struct tool_ends *e, size_t max_bytes);
void tool_ends_deinit(struct tool_ends *e);

void tool_ends_push(struct tool_ends *e, const char *data, size_t bytes);
/* As if it had been made with so few; more is no change. 0, UV_EINVAL,
 * UV_ENOMEM. */
int tool_ends_shrink(struct tool_ends *e, size_t max_bytes);
bool tool_ends_is_truncated(const struct tool_ends *e);
/* Appends it, max_bytes at most. 0 or as buffer_append. */
int tool_ends_write(const struct tool_ends *e, struct buffer *out);

#endif
