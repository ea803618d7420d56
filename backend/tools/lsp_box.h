/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is put in front of a language server's command so that it sees the
 * system's programs and the root, both read-only, and has no network
 * (bubblewrap). A source file may include whatever it likes, and what is wrong
 * with that is told: so it must not be there. Pure but for looking at which
 * directories of the system are links. Owns its words.
 */

#ifndef VOICE_LSP_BOX_H
#define VOICE_LSP_BOX_H

#define LSP_BOX_WORDS 64

struct lsp_box {
    char *words[LSP_BOX_WORDS + 1]; /* ends with NULL */
};

/* `root` is absolute and without links. 0, UV_ENOENT: there is no bwrap in
 * PATH; UV_ENOMEM. */
int lsp_box_init(struct lsp_box *box, const char *root);
void lsp_box_deinit(struct lsp_box *box);

#endif
