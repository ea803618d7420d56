/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/lsp_hello.h"

#include "codec/lsp_place.h"
#include "codec/tool_limits.h"

#include <stdio.h>
#include <string.h>

/* JSON-RPC 2.0, 5.1; LSP 3.17, ErrorCodes. */
#define METHOD_NOT_FOUND (-32601)
#define CONTENT_MODIFIED (-32801)
#define SERVER_CANCELLED (-32802)
#define SAID_BYTES       300

/* No processId: a server in a sandbox would not find it, and end. */
static json_t *
capabilities_make(void)
{
    return json_pack(
        "{s:{s:[s]},"
        " s:{s:{s:b}, s:{s:[s,s]}, s:{s:b}, s:{s:b}, s:{s:b}, s:{}, s:{}},"
        " s:{s:b, s:b, s:{}}}",
        "general", "positionEncodings", "utf-16", "textDocument",
        "synchronization", "didSave", 1, "hover", "contentFormat", "markdown",
        "plaintext", "definition", "linkSupport", 1, "documentSymbol",
        "hierarchicalDocumentSymbolSupport", 1, "publishDiagnostics",
        "versionSupport", 1, "references", "diagnostic", "workspace",
        "configuration", 1, "workspaceFolders", 1, "symbol");
}

json_t *
lsp_hello_make(const char *root)
{
    char uri[LSP_PLACE_URI_MAX];

    if (lsp_place_uri(uri, sizeof(uri), root) != 0)
        return NULL;
    return json_pack("{s:n, s:{s:s}, s:s, s:[{s:s, s:s}], s:o}", "processId",
                     "clientInfo", "name", "ngx-voice", "rootUri", uri,
                     "workspaceFolders", "uri", uri, "name", "root",
                     "capabilities", capabilities_make());
}

void
lsp_hello_read(struct lsp_features *features, const json_t *result)
{
    const json_t *can = json_object_get(result, "capabilities");
    const json_t *sync = json_object_get(can, "textDocumentSync");
    const json_t *save = json_object_get(sync, "save");

    /* A bare number is of before LSP 3: such servers want every save. */
    features->saves =
        json_is_integer(sync) || json_is_object(save) || json_is_true(save);
    features->pulls =
        json_is_object(json_object_get(can, "diagnosticProvider"));
}

const char *
lsp_hello_refusal(const json_t *error, char why[LSP_HELLO_REFUSAL_BYTES])
{
    const json_t *text = json_object_get(error, "message");
    json_int_t code = json_integer_value(json_object_get(error, "code"));
    const char *said = json_is_string(text) ? json_string_value(text) : "";

    if (code == METHOD_NOT_FOUND) {
        snprintf(why, LSP_HELLO_REFUSAL_BYTES,
                 "This language server has no such operation.");
        return "unavailable";
    }
    if (code == CONTENT_MODIFIED || code == SERVER_CANCELLED) {
        snprintf(why, LSP_HELLO_REFUSAL_BYTES,
                 "The file changed meanwhile. Ask again.");
        return "unavailable";
    }
    snprintf(why, LSP_HELLO_REFUSAL_BYTES, "The language server refused: %.*s",
             (int) tool_limits_cut(said, strlen(said), SAID_BYTES), said);
    return "failed";
}
