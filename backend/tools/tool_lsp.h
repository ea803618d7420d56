/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tool LSP: goToDefinition, findReferences, hover, documentSymbol,
 * workspaceSymbol and diagnostics of files beneath the root, asked of the
 * language server that is configured for the file's extension
 * (tools/lsp_server). Owns the servers; they start when first asked and end
 * with the tool. Runs on the services' loop.
 */

#ifndef VOICE_TOOL_LSP_H
#define VOICE_TOOL_LSP_H

#include "base/loop.h"
#include "tools/tool.h"
#include "tools/tool_root.h"

#define TOOL_LSP_SERVERS_MAX 8

struct tool_lsp_config {
    struct loop *loop;
    const struct tool_root *root; /* outlives the tool and its `closed` */
    /* "EXT[,EXT...]: COMMAND [ARGUMENT...]" each, as tools.lsp_command has it:
     * "c,h,cc,cpp,hpp: clangd --log=error". Words are parted by spaces. */
    const char *const *commands;
    size_t command_count;
    const char *const *wrapper; /* argv put before the command (a sandbox's),
                                   ends with NULL; NULL: none. Copied */
    uint64_t timeout_ms;        /* 0: 30 s */
};

/* 0; UV_EINVAL: none, too many, or one is malformed (lsp_command_fault);
 * UV_ENOMEM. Any thread. */
int tool_lsp_create(struct tool **tp, const struct tool_lsp_config *cfg);

/* Tools that were destroyed and whose servers have not ended yet; the loop
 * must run until it is 0. Any thread. */
unsigned tool_lsp_closing(void);

#endif
