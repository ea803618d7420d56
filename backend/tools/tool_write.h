/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * write_file: makes or replaces a file, whole or not at all (tools/
 * tool_change); directories on the way to it are made.
 */

#ifndef VOICE_TOOL_WRITE_H
#define VOICE_TOOL_WRITE_H

#include "tools/tool_file.h"

/* As tool_init. */
int tool_write_create(struct tool **tp, const struct tool_file_config *cfg);

#endif
