/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One run of a language server: a child (gate/child) whose pipes carry
 * JSON-RPC in LSP's frames. Tells answers and notices; what the server asks of
 * its client it answers by itself, and no to most. Runs on the services' loop.
 * Owns the child. Logs nothing of a message but its size.
 *
 *   request, notify ─► frame ─► stdin │ server │ stdout ─► frames ─► on_*
 */

#ifndef VOICE_LSP_LINK_H
#define VOICE_LSP_LINK_H

#include "base/loop.h"

#include <jansson.h>
#include <stdint.h>

#define LSP_LINK_MESSAGE_MAX  8388608      /* bytes of one message */
#define LSP_LINK_MEMORY_BYTES (4ull << 30) /* that it may write to */
#define LSP_LINK_QUEUE_MAX    33554432     /* bytes that wait for its stdin */

struct lsp_link;

struct lsp_link_config {
    struct loop *loop;
    const char *const *argv; /* ends with NULL */
    const char *directory;   /* the root: it runs there, and is told it */
};

/* None is called inside a verb but lsp_link_open's failure; each may call
 * lsp_link_close. Trees are borrowed. */
struct lsp_link_handlers {
    /* `error` NULL: it went well. */
    void (*on_answer)(void *arg, uint64_t id, const json_t *result,
                      const json_t *error);
    void (*on_notice)(void *arg, const char *method, const json_t *params);
    /* Once: it ended, or said what can't be read. Then only close. */
    void (*on_end)(void *arg, const char *why);
};

/* On the loop, as all verbs. 0 or what child_open says. */
int lsp_link_open(struct lsp_link **lp, const struct lsp_link_config *cfg,
                  const struct lsp_link_handlers *handlers, void *arg);

/* Takes it; nothing is told any more. The server is asked to end, killed when
 * it has not within LSP_LINK_GRACE_MS. Harmless with NULL. */
#define LSP_LINK_GRACE_MS 1000
void lsp_link_close(struct lsp_link **lp);

/* Takes params. *id (never 0) comes back with the answer. 0, UV_ENOMEM,
 * UV_ENOBUFS, UV_EPIPE. */
int lsp_link_request(struct lsp_link *link, const char *method, json_t *params,
                     uint64_t *id);
int lsp_link_notify(struct lsp_link *link, const char *method, json_t *params);

/* Nobody waits for that answer; it may still come. */
void lsp_link_cancel(struct lsp_link *link, uint64_t id);

/* Links that were closed and whose child has not ended; any thread. */
unsigned lsp_link_closing(void);

#endif
