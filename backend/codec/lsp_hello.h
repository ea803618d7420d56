/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client and a language server say of themselves before anything else
 * (LSP 3.17, initialize), and how a server says no. Pure.
 */

#ifndef VOICE_LSP_HELLO_H
#define VOICE_LSP_HELLO_H

#include <jansson.h>
#include <stdbool.h>

#define LSP_HELLO_REFUSAL_BYTES 400

struct lsp_features {
    bool saves; /* wants to be told of a saved document */
    bool pulls; /* is asked for diagnostics, else it publishes them */
};

/* Params of initialize for a server that works on that directory; NULL: no
 * memory, or no path that a URI can say. */
json_t *lsp_hello_make(const char *root);

/* Out of its result. */
void lsp_hello_read(struct lsp_features *features, const json_t *result);

/* An error of the server as a sentence for a model, and its type (of
 * tools/tool_run.h), a literal. */
const char *lsp_hello_refusal(const json_t *error,
                              char why[LSP_HELLO_REFUSAL_BYTES]);

#endif
