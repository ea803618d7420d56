/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a language server answers (LSP 3.17), as a tool tells it a model:
 * {results, total_count, truncated, message}, a hover {contents, range,
 * truncated, original_length, message}. Every place has the server's own `uri`
 * and `range` (from 0) and beside them file_path (relative to the root; its
 * absolute path and "outside_root" when it is a system's header), line and
 * character (from 1, as the tool's arguments count). Trees of symbols become
 * lists. Pure; bounded in results, bytes and depth whatever the server says;
 * texts that are too long are cut between characters.
 */

#ifndef VOICE_LSP_ANSWER_H
#define VOICE_LSP_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define LSP_ANSWER_RESULTS     50
#define LSP_ANSWER_DEFINITIONS 20
#define LSP_ANSWER_HOVER_BYTES 6000
#define LSP_ANSWER_BYTES       90000 /* of JSON text of all results */
#define LSP_ANSWER_TEXT_BYTES  1000  /* one name or message */

struct lsp_answer {
    json_t *output; /* owned by the caller */
    bool truncated;
};

/*
 * `operation` is named in the message; `root` has no slash at its end. 0 or
 * UV_ENOMEM. Anything that is no list of places is an empty list.
 */

/* Location, Location[], LocationLink[] or null. */
int lsp_answer_places(struct lsp_answer *answer, const char *operation,
                      const char *root, const json_t *result,
                      unsigned max_results);

/* SymbolInformation[], WorkspaceSymbol[] or DocumentSymbol[], which is told
 * with the `uri` it was asked about (NULL: none). */
int lsp_answer_symbols(struct lsp_answer *answer, const char *operation,
                       const char *root, const char *uri, const json_t *result);

/* Diagnostic[] of `uri`, worst first. */
int lsp_answer_diagnostics(struct lsp_answer *answer, const char *root,
                           const char *uri, const json_t *items);

/* Hover or null. */
int lsp_answer_hover(struct lsp_answer *answer, const json_t *result);

#endif
