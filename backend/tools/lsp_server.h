/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One language server: a child that speaks LSP on its pipes, started when it
 * is first asked, kept as long as this is, started again with backoff when it
 * ends. Documents are opened, changed and closed in it as their files are; a
 * file is read by the thread pool, through tool_root, so that no path leads
 * out. Runs on the services' loop. Owns the child, the documents and each
 * request until its handler is told. Refuses messages over
 * LSP_SERVER_MESSAGE_MAX and whatever the server asks of its client but what
 * it can't do without. Logs no text of a file.
 *
 *   ask ─► waits for its file ─► didOpen/didChange ─► request ─► answer
 *             (pool: stat, read)        (only if it has changed)
 */

#ifndef VOICE_LSP_SERVER_H
#define VOICE_LSP_SERVER_H

#include "base/loop.h"
#include "tools/tool_root.h"

#include <jansson.h>

#define LSP_SERVER_MESSAGE_MAX  16777216 /* bytes of one message */
#define LSP_SERVER_DOCUMENT_MAX 2097152  /* bytes of a file opened in it */
#define LSP_SERVER_DOCUMENTS    32       /* open; the longest unused one goes */
#define LSP_SERVER_REQUESTS     64       /* unanswered; one more is refused */

struct lsp_server;
struct lsp_request;

struct lsp_server_config {
    struct loop *loop;
    const struct tool_root *root; /* outlives the server */
    const char *const *argv;      /* ends with NULL; copied */
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
    const char *path; /* beneath the root; NULL: none. Borrowed, as `query` */
    size_t path_bytes;
    unsigned line, character; /* from 0 */
    const char *query;
};

struct lsp_reply {
    int error;            /* 0; else `why` is a sentence for a model */
    const char *type;     /* of the error, as in tools/tool_run.h */
    const char *why;      /* never NULL */
    const char *uri;      /* of the file; "" none */
    const json_t *result; /* LSP's; of LSP_DIAGNOSTICS the list; borrowed */
};

/* Once a request; never within lsp_server_ask or lsp_request_cancel. */
typedef void lsp_reply_h(void *arg, const struct lsp_reply *reply);
typedef void lsp_closed_h(void *arg);

/* Any thread; starts nothing yet. 0 or UV_ENOMEM. */
int lsp_server_create(struct lsp_server **sp,
                      const struct lsp_server_config *cfg);

/* On the loop, once; takes it. Requests are told UV_ECANCELED; the child is
 * asked to end, then made to; `closed` (may be NULL) when nothing of it is
 * left. */
void lsp_server_close(struct lsp_server **sp, lsp_closed_h *closed, void *arg);

/* On the loop. 0: `reply` follows, and *rp may be cancelled until then.
 * UV_EBUSY: too many wait. UV_ENOMEM. */
int lsp_server_ask(struct lsp_server *s, const struct lsp_ask *ask,
                   lsp_reply_h *reply, void *arg, struct lsp_request **rp);

/* On the loop: UV_ECANCELED follows; the server is told to stop. */
void lsp_request_cancel(struct lsp_request *rq);

#endif
