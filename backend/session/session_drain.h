/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The time that a session has left since NGINX said that it will end it:
 * towards its end the first calm moment is taken, and when nobody came before,
 * the end of it. Exists only while a session drains; owned by the session, on
 * its loop. Ends nothing itself.
 */

#ifndef VOICE_SESSION_DRAIN_H
#define VOICE_SESSION_DRAIN_H

#include "base/loop.h"

#include <stdbool.h>
#include <stdint.h>

/* Calm moments count in the last ten seconds, or in the second half of a time
 * that is shorter than twice that. */
#define SESSION_DRAIN_LAST_MS 10000
/* How often one looks. */
#define SESSION_DRAIN_LOOK_MS 100
/* NGINX, which knows what it has read of the client, goes first. */
#define SESSION_DRAIN_GRACE_MS 5000

struct session_drain;

struct session_drain_handlers {
    bool (*is_calm)(void *arg);
    /* Once, calm or not: the session must end. May stop the drain. */
    void (*on_over)(void *arg);
};

/* Time from the notice on until a calm moment is taken. */
uint32_t session_drain_patience_ms(uint32_t ms);

/* NGINX has given ms; looks for a calm moment after patience_ms, waits for the
 * grace beyond ms. 0 or UV_ENOMEM. */
struct session_drain_config {
    struct loop *loop;
    uint32_t ms;
    uint32_t patience_ms;
};
int session_drain_start(struct session_drain **dp,
                        const struct session_drain_config *cfg,
                        const struct session_drain_handlers *handlers,
                        void *arg);

/* Takes it; no handler after this. NULL is fine. */
void session_drain_stop(struct session_drain **dp);

#endif
