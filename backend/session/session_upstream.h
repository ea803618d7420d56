/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A model_link that outlives its links: when the upstream is lost, or its own
 * cap on a session draws near, a new one is opened, given the conversation so
 * far (session_history, session_swap) and put in the old one's place. Who uses
 * it notices a pause at most. Lives on the session's loop. Owns the links, the
 * history and what it is sent meanwhile.
 *
 *   send ─► history ─► link, or waiting while there is none
 *   on_event ◄─ history ◄─ link
 *   link lost, or old ─► close_response ─► session_swap ─► resume ─► waiting
 *
 * Refuses to bring back what the upstream has ended on purpose: a close code
 * that says so (1000, 1002, 1008, 4000…) is passed on, and so is the loss of
 * one that never said session.created, or one that dies over and over before
 * it has said anything.
 */

#ifndef VOICE_SESSION_UPSTREAM_H
#define VOICE_SESSION_UPSTREAM_H

#include "model/model_link.h"
#include "session/session.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_UPSTREAM_WAIT_MAX 1048576 /* bytes sent while there is none */
#define SESSION_UPSTREAM_TRIES    3 /* losses in a row before a word is said */

struct session_upstream_handlers {
    struct model_link_handlers link;
    /* There is no upstream for now; there is one again. */
    void (*on_swapping)(void *arg, bool swapping);
};

struct session_upstream_config {
    struct model_link_config link; /* its texts are copied */
    session_open_model_h *open_model;
    void *open_model_arg;
    bool can_be_lost;        /* false: a plain link of open_model's */
    uint64_t max_session_ms; /* the upstream's own cap, 0 none */
};

/*
 * As a model_link's opening: 0, or what open_model returned. No handler runs
 * inside. It can't be given to another owner. A link to a call can't be
 * replaced.
 */
int session_upstream_open(struct model_link **lp,
                          const struct session_upstream_config *cfg,
                          const struct session_upstream_handlers *handlers,
                          void *arg);

#endif
