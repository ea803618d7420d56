/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * read_file: text of a file in numbered lines, or the names in a
 * directory. In pages of 1000 lines as they are read when the run wants pages;
 * else what R4.2 allows of it, with the totals of all there is. Never more than
 * a page of it is in memory.
 */

#ifndef VOICE_TOOL_READ_H
#define VOICE_TOOL_READ_H

#include "tools/tool_file.h"

/* As tool_init. */
int tool_read_create(struct tool **tp, const struct tool_file_config *cfg);

#endif
