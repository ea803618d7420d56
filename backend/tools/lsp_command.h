/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One entry of tools.lsp_command: which files, and what is run for them.
 * "c,h,cpp: clangd --log=error". Pure; owns its copies.
 */

#ifndef VOICE_LSP_COMMAND_H
#define VOICE_LSP_COMMAND_H

#include <stdbool.h>

#define LSP_COMMAND_WORDS 64
#define LSP_COMMAND_BYTES 4096

struct lsp_command {
    char *extensions; /* ",c,h,cpp," */
    char *words;      /* the command, its words ended by NUL */
    char **argv;      /* the wrapper's, then those; ends with NULL */
    unsigned wrapped; /* of them are copies of the wrapper's */
};

/* `wrapper` (NULL: none) is put in front. 0, UV_EINVAL, UV_ENOMEM. */
int lsp_command_read(struct lsp_command *command, const char *text,
                     const char *const *wrapper);
void lsp_command_deinit(struct lsp_command *command);

/* What is wrong with it, for the configuration's reader; NULL: nothing. */
const char *lsp_command_fault(const char *text);

/* By the path's extension, in any case. */
bool lsp_command_takes(const struct lsp_command *command, const char *path);

#endif
