/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The calls that were made here (WebRTC, or SIP calls taken): whose they are,
 * where they run and what their session was told, in memory and, with a store,
 * for every instance. One instance owns a call: it keeps a sideband on it and
 * renews its lease. A call whose owner is gone is claimed by exactly one of
 * those that look. Any thread; handlers run on the loop given. Owns its table
 * and its timer. Refuses more than CALLS_MAX calls.
 */

#ifndef VOICE_CALLS_H
#define VOICE_CALLS_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLS_MAX       8192 /* of this instance, in memory */
#define CALLS_ID_BYTES  128
#define CALLS_RENEW_MS  5000     /* leases are renewed, orphans looked for */
#define CALLS_LEASE_MS  15000    /* without a renewal the owner is gone */
#define CALLS_OLDEST_MS 10800000 /* no call lasts longer: it is forgotten */
#define CALLS_LOOKUP_MS 5000

struct calls;
struct store;

/* All borrowed; never NULL, "" when there is none. */
struct call_info {
    const char *id; /* "rtc_…", the provider's */
    const char *tenant;
    const char *upstream; /* its name in voiced.conf */
    const char *model;
    const char *policy;  /* VOICE_POLICY as it was when the call was made */
    const char *session; /* JSON object: what the session was told */
};

/* A call that has become ours by a claim: keep a sideband on it, then end by
 * calls_end or calls_release. 0; anything else: it is released at once and
 * looked for again. On the loop. */
typedef int calls_claimed_h(const struct call_info *call, void *arg);

struct calls_config {
    struct loop *loop;
    struct store *store; /* NULL: in memory alone */
    calls_claimed_h *claimed;
    void *arg;
};

int calls_create(struct calls **cp, const struct calls_config *cfg);
/* Loops still run. No handler runs after it; what is ours is left to its
 * lease. */
void calls_close(struct calls *c);
/* When nobody calls any more. */
void calls_destroy(struct calls **cp);

/* Claims nothing any more; who keeps a sideband looks and gives it away. */
void calls_drain(struct calls *c);
bool calls_is_draining(const struct calls *c);
/* Whether another process would take a call that is released. */
bool calls_is_shared(const struct calls *c);

/* A call just made; it is ours. 0, UV_ENOBUFS, UV_EEXIST, UV_ENOMEM. */
int calls_put(struct calls *c, const struct call_info *call);
/* It is over (`why`: one word, for the store); or: somebody else may have it.
 * Unknown ids are nobody's business. */
void calls_end(struct calls *c, const char *id, const char *why);
void calls_release(struct calls *c, const char *id);

/* Asks the store's one call; `call` is NULL when it is not this tenant's, is
 * over, or was never made. Once, on the store's thread or inside the call. */
typedef void calls_found_h(void *arg, const struct call_info *call);

/*
 * 0: `found` has run or will run. UV_EBUSY: the store takes no more.
 * Memory is looked at first, then the store.
 */
int calls_find(struct calls *c, const char *tenant, const char *id,
               calls_found_h *found, void *arg);

/* Of this instance. */
size_t calls_count(struct calls *c);

#endif
