/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Secrets of upstreams that are minted before anybody asks, for WebRTC offers
 * that go out under one. A secret is bound to a session's settings at its
 * minting, so it is kept by upstream and settings; which, is learned from what
 * is asked for (warm_models). A secret is given once and never beyond its
 * time. Any thread; owns the secrets and wipes them, and a timer on one loop.
 * None of them reaches a log.
 *
 *   take ─► a secret, or UV_ENOENT: the caller mints its own
 *     └► missing: mint (HTTP) ─► warm_secrets_minted ─► ready, until its time
 */

#ifndef VOICE_WARM_SECRETS_H
#define VOICE_WARM_SECRETS_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WARM_SECRET_BYTES  512  /* of one, with its NUL */
#define WARM_SETTINGS_MAX  4096 /* larger ones are minted cold */
#define WARM_SECRET_SAFETY 5000 /* ms before the upstream's own end of it */

struct warm_secrets;
struct warm_secret;

/*
 * Mints one for `secret`: asynchronous, and never warm_secrets_minted inside
 * the call. Texts are borrowed. 0 or UV_E*: then it is not told.
 */
typedef int warm_mint_h(struct warm_secret *secret, const char *upstream,
                        const char *settings, void *arg);

struct warm_secrets_config {
    struct loop *loop; /* for the timer; borrowed for life */
    unsigned secrets;  /* an upstream and settings */
    unsigned max;      /* in all */
    uint64_t ttl_ms;
    uint64_t refill_ms;
    warm_mint_h *mint;
    void *mint_arg;
};

/* 0 or UV_ENOMEM. */
int warm_secrets_create(struct warm_secrets **wp,
                        const struct warm_secrets_config *cfg);

/* None is minted any more. Idempotent. */
void warm_secrets_stop(struct warm_secrets *w);
/* No answer is awaited and nothing is left on the loop. */
bool warm_secrets_is_stopped(struct warm_secrets *w);
/* Stopped, or the loop is gone. NULL in *wp is fine. */
void warm_secrets_destroy(struct warm_secrets **wp);

/* 0 and *out is a secret, the caller's to wipe; UV_ENOENT: there is none. */
int warm_secrets_take(struct warm_secrets *w, const char *upstream,
                      const char *settings, char out[WARM_SECRET_BYTES]);

/* The answer to a mint: once, any thread. value NULL: it failed. expires_at_s:
 * Unix time, 0 not said. */
void warm_secrets_minted(struct warm_secret *secret, const char *value,
                         int64_t expires_at_s);

/* Those that wait, ready. */
unsigned warm_secrets_count(struct warm_secrets *w);

#endif
