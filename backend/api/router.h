/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * From a request to its handler: one table of routes. Before a handler runs
 * the router has settled 404, 405 (with Allow), preflights, the Origin and
 * Host of requests that change something, who is asking (401; a minted secret
 * may have to wait, parked, for the store), the tenant's requests a minute
 * (429), and that the policy is there where it is needed (403). Runs on
 * request threads; owns nothing. Answers every request it gets.
 */

#ifndef VOICE_ROUTER_H
#define VOICE_ROUTER_H

#include "api/api_answer.h"

#include <stddef.h>

enum route_flags {
    ROUTE_OPEN = 1,   /* no credentials asked for */
    ROUTE_POLICY = 2, /* 403 without VOICE_POLICY */
    ROUTE_STREAM = 4, /* for WebSocket sessions (VOICE_STREAM=1) alone */
    ROUTE_SECRET = 8  /* a minted secret (ek_…) will do; 403 elsewhere */
};

struct route {
    const char *method;  /* GET also serves HEAD */
    const char *pattern; /* one segment may be {id} */
    api_handler_h *handler;
    unsigned flags;
};

/* The gate's handler (gate_request_h); arg is the struct api_context. */
void router_handle(struct gate_request *rq, void *arg);

/* The same over another table. */
void router_dispatch(struct gate_request *rq, struct api_context *api,
                     const struct route *routes, size_t count);

#endif
