/* SPDX-License-Identifier: BSD-2-Clause */

/* A match of grep as JSON: its line, cut around the match when it is long, and
 * the lines around it. Pure but for memory. */

#ifndef VOICE_TOOL_EXCERPT_H
#define VOICE_TOOL_EXCERPT_H

#include "tools/tool_scan.h"

#include <jansson.h>

/* Characters of a match over many lines. */
#define TOOL_EXCERPT_MULTILINE 4000

struct tool_excerpt {
    const char *file; /* any bytes but NUL */
    const struct tool_scan_match *match;
    bool is_numbered, is_multiline, with_context;
};

/* {file, line_number, content, context: [{line_number, content, is_match}]}.
 * *cut becomes true when text was left out. NULL: no memory. */
json_t *tool_excerpt_make(const struct tool_excerpt *excerpt, bool *cut);

#endif
