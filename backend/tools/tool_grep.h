/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * grep: the lines in a tree, or in a file, that fit a regular expression
 * (PCRE2), as lines, files or counts; in groups of ten when the run wants
 * pages. Ignore files as tools/tool_walk reads them; bounded in memory whatever
 * the files, in time by the run's.
 */

#ifndef VOICE_TOOL_GREP_H
#define VOICE_TOOL_GREP_H

#include "tools/tool_file.h"

/* As tool_init. */
int tool_grep_create(struct tool **tp, const struct tool_file_config *cfg);

#endif
