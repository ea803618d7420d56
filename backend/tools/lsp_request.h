/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A question to a language server while it waits: what was asked, how far it
 * has come, and who is told. A list of them, oldest first. No thread of its
 * own: the owner's. Owns copies of its texts.
 */

#ifndef VOICE_LSP_REQUEST_H
#define VOICE_LSP_REQUEST_H

#include "tools/lsp_server.h"

#include <stdbool.h>
#include <stdint.h>

enum lsp_request_state {
    LSP_REQUEST_QUEUED,   /* for the server, or its file's turn */
    LSP_REQUEST_SYNCING,  /* its file is being looked at */
    LSP_REQUEST_SENT,     /* `id` is the server's */
    LSP_REQUEST_SETTLING, /* diagnostics: until no more come */
    LSP_REQUEST_CANCELLED /* to be told so */
};

struct lsp_request {
    struct lsp_request *next;
    struct lsp_server *server;
    enum lsp_request_state state;
    bool asked_again; /* its server had ended before it answered */
    enum lsp_question question;
    char *path; /* NULL: none */
    size_t path_bytes;
    unsigned line, character;
    char *query;
    char *uri;         /* once its file is open */
    char *open_path;   /* of the document */
    uint64_t id;       /* of the server's answer */
    uint64_t asked_ms; /* clock_now_ms() when it was sent */
    lsp_reply_h *reply;
    void *arg;
};

/* NULL: no memory. */
struct lsp_request *lsp_request_create(const struct lsp_ask *ask,
                                       lsp_reply_h *reply, void *arg);
void lsp_request_destroy(struct lsp_request *rq);

/* The method it is, and its params; NULL: no memory. */
const char *lsp_request_method(const struct lsp_request *rq, bool pulls);
json_t *lsp_request_params(const struct lsp_request *rq);

#endif
