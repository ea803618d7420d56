/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A link to a Realtime server: model_link over a WebSocket, with several
 * upstreams in order. Opening goes from one to the next until one of them has
 * said session.created; from then on a loss is a loss. Owns its connection
 * and what waits to be sent before it is open. On one loop.
 *
 *   model_link_send ─► waiting, until open ─► realtime_wire ─► upstream
 *   on_event ◄─ realtime_wire ◄─ upstream
 *
 * When none could be opened the handler gets one `error` event that says why
 * (realtime_fault), then on_closed.
 */

#ifndef VOICE_REALTIME_LINK_H
#define VOICE_REALTIME_LINK_H

#include "model/model_link.h"
#include "model/upstream.h"

#define REALTIME_LINK_HIGH 262144   /* bytes waiting: sends say UV_EAGAIN */
#define REALTIME_LINK_MAX  33554432 /* bytes waiting: the link closes, 1013 */

struct realtime_link_config {
    struct model_link_config link; /* upstreams NULL: all, as configured */
    struct upstream_set *upstreams;
    /* session.created is kept too, for whom the link is given to (adopt). */
    bool keep_created;
};

/*
 * On the loop; no handler runs inside. *lp is written on success, everything
 * but upstreams is copied. 0; UV_ENOENT: an upstream's name is not known,
 * UV_EINVAL (safety_id), UV_ENOMEM. An upstream that can't be reached is no
 * error here. session.created, or MODEL_LINK_ATTACHED, follows by itself.
 */
int realtime_link_open(struct model_link **lp,
                       const struct realtime_link_config *cfg,
                       const struct model_link_handlers *handlers, void *arg);

#endif
