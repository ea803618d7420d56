/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A directory as read_file shows it: the names in it, directories first, as
 * many as a file's lines may be, and how many there are.
 */

#ifndef VOICE_TOOL_LISTING_H
#define VOICE_TOOL_LISTING_H

#include "tools/tool_file.h"

/* Ends the run: of its argument file_path. TOOL_STEP_DONE. */
enum tool_step tool_listing_run(struct tool_run *run,
                                const struct tool_root *root);

#endif
