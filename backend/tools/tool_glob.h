/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * glob: the names in a tree that fit a pattern, those changed last first.
 * Hidden names only when the pattern has some, ignored ones only when asked.
 */

#ifndef VOICE_TOOL_GLOB_H
#define VOICE_TOOL_GLOB_H

#include "tools/tool_file.h"

/* As tool_init. */
int tool_glob_create(struct tool **tp, const struct tool_file_config *cfg);

#endif
