/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The documents that are open in a language server, kept as their files are:
 * before each question the thread pool looks at them all, reads what has
 * changed, and the server is told. Files are reached through tool_root alone.
 * On the services' loop but for that look. Owns the documents and what the
 * server has published of them; of a text it keeps no more than a hash. The
 * one that was not asked about longest is closed for a new one.
 *
 *   sync ─► pool: open beneath root, stat, read ─► didOpen, didChange, didClose
 */

#ifndef VOICE_LSP_DOCUMENTS_H
#define VOICE_LSP_DOCUMENTS_H

#include "base/loop.h"
#include "tools/tool_root.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define LSP_DOCUMENTS_MAX      32
#define LSP_DOCUMENT_BYTES_MAX 2097152 /* of a file */

struct lsp_documents;

struct lsp_document {
    char *path; /* absolute, without links */
    char *uri;
    uint64_t version;      /* as the server was told; from 1 */
    json_t *diagnostics;   /* the last that were published; NULL: none yet */
    uint64_t published_ms; /* when; 0: not since the last change */
    uint64_t saved_ms;     /* the user's; 0 at first */
    /* lsp_documents' */
    struct tool_root_stat st;
    uint64_t hash, used;
};

struct lsp_documents_config {
    struct loop *loop;
    const struct tool_root *root; /* outlives it, and a sync under way */
    /* Takes params. */
    void (*notify)(void *arg, const char *method, json_t *params);
    void *arg;
};

/* `changed`: the server was told something. `document` NULL: `error`, UV_E* of
 * tool_root, or UV_EFBIG, UV_EIO, UV_ENOMEM, UV_ECANCELED (all was forgotten
 * meanwhile: nothing was told). */
typedef void lsp_synced_h(void *arg, int error, struct lsp_document *document,
                          bool changed);

int lsp_documents_create(struct lsp_documents **dp,
                         const struct lsp_documents_config *cfg);
/* A sync under way is told nothing any more. */
void lsp_documents_destroy(struct lsp_documents **dp);

/*
 * One at a time. 0: `synced` follows, never inside. A path of a model, as
 * tool_root takes it; NULL: none, then document is NULL without an error.
 */
int lsp_documents_sync(struct lsp_documents *d, const char *path,
                       size_t path_bytes, lsp_synced_h *synced, void *arg);

/* The server is another: nothing is open. */
void lsp_documents_forget(struct lsp_documents *d);

/* Of textDocument/publishDiagnostics. */
void lsp_documents_publish(struct lsp_documents *d, const json_t *params,
                           uint64_t now_ms);

/* NULL: it isn't open. Valid until the loop's next turn. */
struct lsp_document *lsp_documents_find(struct lsp_documents *d,
                                        const char *path);

/* Looks of destroyed ones that the pool has not ended; any thread. */
unsigned lsp_documents_closing(void);

#endif
