/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Replaces files: the new text is written beside the old file and takes its
 * name, so that whoever reads sees the one or the other, whole. Mode and owner
 * stay. A link is followed as long as it leads within the root. One change at
 * a time in the process: what reads, changes and writes loses nothing that
 * another run wrote. Blocks: for the thread pool.
 *
 *   text ─► new file in the same directory ─► fsync ─► rename
 */

#ifndef VOICE_TOOL_CHANGE_H
#define VOICE_TOOL_CHANGE_H

#include "tools/tool_root.h"

#define TOOL_CHANGE_LINKS 8 /* followed, one after the other */

/* Held over reading and tool_change_replace. */
void tool_change_lock(void);
void tool_change_unlock(void);

struct tool_change {
    const struct tool_root *root;
    const char *path;
    size_t path_bytes;
    const char *text;
    size_t text_bytes;
    bool make_directories;                /* on the way to it */
    const struct tool_root_stat *expects; /* the file as it was read; NULL:
                                             whatever is there, or nothing */
};

/* With the lock held. 0; UV_EBUSY: it is not as expected; UV_EISDIR,
 * UV_EFTYPE, UV_EXDEV, UV_EACCES, UV_ENOSPC, …: nothing has changed but that
 * directories may have been made. */
int tool_change_replace(const struct tool_change *change);

#endif
