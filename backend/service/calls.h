/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The calls that were made here (WebRTC, or SIP calls taken): whose they are,
 * where they run and what their session was told; in memory, and with a store
 * for every instance. One instance owns a call: it keeps a sideband on it and
 * renews its lease. A call whose owner is gone is claimed by exactly one of
 * those that look. Any thread; the handler runs on the loop given. Owns its
 * table and its timer. Refuses more than CALLS_MAX calls.
 *
 *   calls_put ─► table ─► store          store ─► claim ─► table ─► handler
 *   every CALLS_LOOK_MS: renew what is ours, claim what is nobody's
 */

#ifndef VOICE_CALLS_H
#define VOICE_CALLS_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALLS_MAX      8192 /* of this instance */
#define CALLS_ID_BYTES 128
#define CALLS_LOOK_MS  3000
#define CALLS_LEASE_MS 10000 /* not renewed for so long: the owner is gone */

struct calls;
struct store;

/* All borrowed; never NULL, "" when there is none. */
struct call_info {
    const char *id; /* "rtc_…", the provider's */
    const char *tenant;
    const char *upstream; /* its name in voiced.conf */
    const char *model;
    const char *policy;  /* VOICE_POLICY as it was when the call was made */
    const char *session; /* JSON object: what its maker asked for */
    int64_t created_ms;  /* Unix time */
};

enum call_standing {
    CALL_OURS,
    CALL_WANTED, /* we drain, another process would keep it: release it */
    CALL_LOST    /* somebody else has it: forget it */
};

/*
 * A call that needs a sideband: claimed, or released and nobody else's. On the
 * loop; borrowed. 0: it is kept until calls_end, _release or _forget;
 * UV_EINVAL: it can't be kept here, it stays without; anything else: not now,
 * the handler is asked again.
 */
typedef int calls_keep_h(void *arg, const struct call_info *call);

struct calls_config {
    struct loop *loop;
    struct store *store; /* NULL: in memory alone */
    calls_keep_h *keep;
    void *arg;
};

int calls_create(struct calls **cp, const struct calls_config *cfg);
/* Once: begins to look, with orphans. */
void calls_start(struct calls *c);
/* Started, while its loop runs: stops looking. The store's answers may still
 * come. */
void calls_close(struct calls *c);
/* When its loop and the store are gone. NULL is fine. */
void calls_destroy(struct calls **cp);

/* Any thread: claims nothing any more. */
void calls_drain(struct calls *c);

/* A call just made here: ours, and kept by the caller as by calls_keep_h. 0;
 * UV_EINVAL (id), UV_ENOBUFS, UV_EEXIST, UV_ENOMEM, UV_ECANCELED (closed). */
int calls_put(struct calls *c, const struct call_info *call);
/* It is over; `why`: one word, for the store. */
void calls_end(struct calls *c, const char *id, const char *why);
/* Whoever wants it may have it: another process, or we by the handler. */
void calls_release(struct calls *c, const char *id);
/* Somebody else has it. */
void calls_forget(struct calls *c, const char *id);
enum call_standing calls_standing(struct calls *c, const char *id);

/*
 * A copy of a call of this instance, given (free it). 0; UV_ENOENT: not here;
 * UV_EACCES: another tenant's; UV_ENOMEM. call_find asks the store too.
 */
struct call;
int calls_copy(struct calls *c, const char *tenant, const char *id,
               struct call **copy);
struct store *calls_store(const struct calls *c); /* NULL: none */

/* Calls of this instance. Any thread. */
size_t calls_count(struct calls *c);

#endif
