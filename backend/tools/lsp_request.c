/* SPDX-License-Identifier: BSD-2-Clause */

#include "tools/lsp_request.h"

#include <stdlib.h>
#include <string.h>

void
lsp_request_destroy(struct lsp_request *rq)
{
    if (rq == NULL)
        return;
    free(rq->path);
    free(rq->query);
    free(rq->uri);
    free(rq->open_path);
    free(rq);
}

struct lsp_request *
lsp_request_create(const struct lsp_ask *ask, lsp_reply_h *reply, void *arg)
{
    struct lsp_request *rq = calloc(1, sizeof(*rq));

    if (rq == NULL)
        return NULL;
    rq->question = ask->question;
    rq->line = ask->line;
    rq->character = ask->character;
    rq->reply = reply;
    rq->arg = arg;
    rq->query = strdup(ask->query != NULL ? ask->query : "");
    if (ask->path != NULL) {
        rq->path = malloc(ask->path_bytes + 1);
        rq->path_bytes = ask->path_bytes;
    }
    if (rq->query == NULL || (ask->path != NULL && rq->path == NULL)) {
        lsp_request_destroy(rq);
        return NULL;
    }
    if (rq->path != NULL) {
        memcpy(rq->path, ask->path, ask->path_bytes);
        rq->path[ask->path_bytes] = '\0';
    }
    return rq;
}

const char *
lsp_request_method(const struct lsp_request *rq, bool pulls)
{
    switch (rq->question) {
    case LSP_DEFINITION:
        return "textDocument/definition";
    case LSP_REFERENCES:
        return "textDocument/references";
    case LSP_HOVER:
        return "textDocument/hover";
    case LSP_DOCUMENT_SYMBOL:
        return "textDocument/documentSymbol";
    case LSP_WORKSPACE_SYMBOL:
        return "workspace/symbol";
    case LSP_DIAGNOSTICS:
        return pulls ? "textDocument/diagnostic" : NULL;
    }
    return NULL;
}

json_t *
lsp_request_params(const struct lsp_request *rq)
{
    json_t *params;

    if (rq->question == LSP_WORKSPACE_SYMBOL)
        return json_pack("{s:s}", "query", rq->query);
    params = json_pack("{s:{s:s}}", "textDocument", "uri", rq->uri);
    if (params == NULL || rq->question == LSP_DOCUMENT_SYMBOL
        || rq->question == LSP_DIAGNOSTICS)
        return params;
    json_object_set_new(params, "position",
                        json_pack("{s:I, s:I}", "line", (json_int_t) rq->line,
                                  "character", (json_int_t) rq->character));
    if (rq->question == LSP_REFERENCES)
        json_object_set_new(params, "context",
                            json_pack("{s:b}", "includeDeclaration", 1));
    return params;
}
