/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes a new upstream ready for a conversation that is under way: opens it,
 * awaits session.created, sends the history's replay, awaits session.updated
 * and an answer to each item, and gives the link away. An item that is refused
 * is logged and forgotten; a session.update that is refused fails the attempt
 * (never a session without its settings). On the session's loop. Owns the new
 * link until then; borrows the history. Frees itself after its link's last
 * call. Refuses to touch the old link: that is the session's.
 *
 *   opening ─► session.created ─► session.update, items ─► answered ─► ready
 *      ▲            │ closed, late, refused                    │
 *      └── backoff ─┴──────────────────────────────────────────┘
 */

#ifndef VOICE_SESSION_SWAP_H
#define VOICE_SESSION_SWAP_H

#include "model/model_link.h"
#include "session/session.h"
#include "session/session_history.h"

#include <stdint.h>

#define SESSION_SWAP_ATTEMPTS 4 /* the first at once */
#define SESSION_SWAP_LIMIT_MS 10000
#define SESSION_SWAP_QUIET_MS 2000

/* What is 0 is as above. */
struct session_swap_config {
    const struct model_link_config *link; /* borrowed, with its texts, until
                                             ready, failed or cancelled */
    session_open_model_h *open_model;
    void *open_model_arg;
    struct session_history *history;
    const char *log_id; /* borrowed likewise; the session's */
    unsigned attempts;
    uint32_t limit_ms; /* of one attempt */
    uint32_t quiet_ms; /* the settings are taken, and no answer to
                          the remaining items has come for that long:
                          go on */
    uint32_t backoff_ms[SESSION_SWAP_ATTEMPTS - 1]; /* 200, 1000, 3000;
                                   further attempts wait as the last one */
};

struct session_swap;

struct session_swap_handlers {
    /* The link is ready, and the receiver's: it must model_link_adopt it
     * before it returns (it may then send and close). The swap is gone. */
    void (*on_ready)(void *arg, struct model_link *link);
    /* No attempt worked; code and reason of the last one (1006, or 1011 when
     * it was we who gave up). The swap is gone. */
    void (*on_failed)(void *arg, uint16_t code, const char *reason);
};

/* 0 or UV_ENOMEM. No handler runs inside. Exactly one of them is called, once,
 * unless the swap is cancelled. */
int session_swap_start(struct session_swap **sp,
                       const struct session_swap_config *cfg,
                       const struct session_swap_handlers *handlers, void *arg);

/* Any time before a handler was called, NULL is fine. No handler runs any
 * more; the link is closed. *sp becomes NULL. */
void session_swap_cancel(struct session_swap **sp);

#endif
