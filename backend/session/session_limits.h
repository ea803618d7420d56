/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How long a session may last, and how long it may do nothing. Exists only for
 * a session that has such a limit; owned by it, on its loop. Ends nothing
 * itself.
 */

#ifndef VOICE_SESSION_LIMITS_H
#define VOICE_SESSION_LIMITS_H

#include "base/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct session_limits;

struct session_limits_handlers {
    /* When something last happened, clock_now_ms; 0: nothing yet. */
    uint64_t (*stirred_ms)(void *arg);
    /* A limit is reached; told once. May stop it. */
    void (*on_over)(void *arg, bool idle);
};

struct session_limits_config {
    struct loop *loop;
    uint64_t max_session_ms; /* 0 no limit */
    uint64_t max_idle_ms;    /* 0 no limit */
};

/* 0 (with no limit *lp stays NULL), UV_ENOMEM. */
int session_limits_start(struct session_limits **lp,
                         const struct session_limits_config *cfg,
                         const struct session_limits_handlers *handlers,
                         void *arg);

/* Takes it; NULL is fine. */
void session_limits_stop(struct session_limits **lp);

#endif
