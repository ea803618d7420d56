/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One language server for as long as a tool has it: started when it is first
 * asked (tools/lsp_link), started again with backoff when it ends, its
 * documents kept as their files are (tools/lsp_documents). Runs on the
 * services' loop. Owns the link, the documents and each request until its
 * handler is told. Logs no text of a file.
 *
 *   ask ─► queue ─► started? ─► its file as it is now ─► request ─► reply
 *          (64)     (backoff)   (one after the other)
 */

#ifndef VOICE_LSP_SERVER_H
#define VOICE_LSP_SERVER_H

#include "base/loop.h"
#include "tools/tool_root.h"

#include <jansson.h>

#define LSP_SERVER_REQUESTS       64    /* unanswered; one more is refused */
#define LSP_SERVER_START_MS       20000 /* until it has answered initialize */
#define LSP_SERVER_BACKOFF_MS     500   /* doubled each time, up to: */
#define LSP_SERVER_BACKOFF_MAX_MS 60000
#define LSP_SERVER_PATIENCE_MS    3000 /* a request waits so long for a start */
#define LSP_SERVER_SETTLE_MS      300  /* after the last diagnostics */
#define LSP_SERVER_DIAGNOSTICS_MS 15000 /* for the first */

struct lsp_server;
struct lsp_request;

struct lsp_server_config {
    struct loop *loop;
    const struct tool_root *root; /* outlives lsp_server_closing */
    const char *const *argv;      /* ends with NULL; outlives it */
};

enum lsp_question {
    LSP_DEFINITION,
    LSP_REFERENCES,
    LSP_HOVER,
    LSP_DOCUMENT_SYMBOL,
    LSP_WORKSPACE_SYMBOL, /* `query`; a file is not needed */
    LSP_DIAGNOSTICS
};

struct lsp_ask {
    enum lsp_question question;
    const char *path; /* as tool_root takes it; NULL: none. Copied, as query */
    size_t path_bytes;
    unsigned line, character; /* from 0 */
    const char *query;        /* NULL: "" */
};

struct lsp_reply {
    const char *type;     /* NULL: answered; else as in tools/tool_run.h */
    const char *why;      /* of an error a sentence for a model */
    const char *uri;      /* of the file; "" none */
    const json_t *result; /* LSP's; of LSP_DIAGNOSTICS the list; NULL: none */
};

/* Once a request, never within lsp_server_ask or lsp_request_cancel. May ask
 * and cancel, and may not close. The reply is borrowed. */
typedef void lsp_reply_h(void *arg, const struct lsp_reply *reply);

/* Any thread; starts nothing yet. 0 or UV_ENOMEM. */
int lsp_server_create(struct lsp_server **sp,
                      const struct lsp_server_config *cfg);

/* On the loop; takes it. Requests that are left are told "cancelled" inside.
 * The child ends by itself or is killed soon. */
void lsp_server_close(struct lsp_server **sp);

/* On the loop. 0: `reply` follows; *rp may be cancelled until then. UV_EBUSY:
 * too many wait. UV_ENOMEM. */
int lsp_server_ask(struct lsp_server *s, const struct lsp_ask *ask,
                   lsp_reply_h *reply, void *arg, struct lsp_request **rp);

/* On the loop: "cancelled" follows; the server is told to stop. */
void lsp_request_cancel(struct lsp_request *rq);

/* Children and looks of closed servers that have not ended; any thread. The
 * loop must run, and the root live, until it is 0. */
unsigned lsp_server_closing(void);

#endif
