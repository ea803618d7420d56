/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * edit_file: replaces text in a file by other text. The file is replaced
 * whole or not at all, and only if it still is what was read.
 */

#ifndef VOICE_TOOL_EDIT_H
#define VOICE_TOOL_EDIT_H

#include "tools/tool_file.h"

/* As tool_init. */
int tool_edit_create(struct tool **tp, const struct tool_file_config *cfg);

#endif
