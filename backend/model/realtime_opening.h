/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The opening of a session at a Realtime server: one upstream after the other
 * until one has said session.created (or, for a call, has let us in). Owns
 * the connection until it is given away, and itself: it is gone with its one
 * handler, or by cancel. On one loop.
 *
 *   upstream 1 ─ failed ─► upstream 2 ─ failed ─► … ─► on_failed
 *                             └─ session.created ─► on_opened
 */

#ifndef VOICE_REALTIME_OPENING_H
#define VOICE_REALTIME_OPENING_H

#include "model/model_link.h"
#include "model/realtime_fault.h"
#include "model/realtime_wire.h"
#include "model/upstream.h"

struct realtime_opening;

/* One of them runs, once, never inside a call of this module; the opening is
 * gone. */
struct realtime_opening_handlers {
    /* The wire is given, with realtime_wire_adopt due at once. The event is
     * session.created or MODEL_LINK_ATTACHED, borrowed, NUL-terminated. */
    void (*on_opened)(void *arg, struct realtime_wire **wire, const char *json,
                      size_t bytes);
    /* Nobody is left to try; this is what to say, borrowed. */
    void (*on_failed)(void *arg, const struct realtime_fault *fault);
};

/* On the loop; everything but the set is copied. 0; UV_ENOENT: an upstream's
 * name is not known, or there is none; UV_ENOMEM. */
int realtime_opening_start(struct realtime_opening **op,
                           struct upstream_set *upstreams,
                           const struct model_link_config *cfg,
                           const struct realtime_opening_handlers *handlers,
                           void *arg);

/* No handler runs any more. */
void realtime_opening_cancel(struct realtime_opening **op);

/* The one that is being tried. */
struct upstream *realtime_opening_upstream(const struct realtime_opening *o);

#endif
