/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One look at files, on a thread of the pool: which of those known have
 * changed or gone, and the text of what is new. Blocks; knows no server. Every
 * path goes through tool_root.
 */

#ifndef VOICE_LSP_LOOK_H
#define VOICE_LSP_LOOK_H

#include "tools/tool_root.h"

#include <stdbool.h>
#include <stdint.h>

struct lsp_look {
    char *asked; /* owned; as tool_root takes it */
    size_t asked_bytes;
    char *path;               /* what it is, absolute and without links */
    struct tool_root_stat st; /* in: when it was known; out: now */
    uint64_t hash;            /* the same */
    char *text;               /* NULL: as it was known, or an error */
    size_t text_bytes;
    int error;
    bool known; /* st and hash are those of what was told of it */
};

/* Writes path, st, hash and, when it is not as known, text; or error. A file
 * over max_bytes: UV_EFBIG. */
void lsp_look_at(struct lsp_look *look, const struct tool_root *root,
                 size_t max_bytes);
void lsp_look_deinit(struct lsp_look *look);

#endif
