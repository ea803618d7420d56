/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Minted client secrets: `ek_` and 43 alphanumerics (256 random bits), shown
 * once, good for 10 to 7200 s, bound to a tenant, a model and a session. Kept
 * in memory by their SHA-256, and in the store when there is one: then they
 * are good on every instance that shares it, and memory's word counts for
 * SECRETS_FRESH_MS after the store gave it, so that a secret revoked elsewhere
 * is dead everywhere within a second. Without a store they end with the
 * process. Any thread. Owns its table; shares grants. Refuses to keep a key.
 */

#ifndef VOICE_SECRETS_H
#define VOICE_SECRETS_H

#include "gate/crypto.h"
#include "gate/store.h"

#include <stdint.h>

#define SECRETS_PREFIX       "ek_"
#define SECRETS_KEY_BYTES    47 /* the prefix, 43 characters, NUL */
#define SECRETS_SECONDS_MIN  10
#define SECRETS_SECONDS_MAX  7200
#define SECRETS_SECONDS      600 /* when nobody says */
#define SECRETS_FRESH_MS     1000
#define SECRETS_MAX          65536               /* in memory */
#define SECRETS_TENANT_MAX   8192                /* of them of one tenant */
#define SECRETS_MEMORY_BYTES (64u * 1024 * 1024) /* of their sessions */
#define SECRETS_TENANT_BYTES (16u * 1024 * 1024) /* of those of one tenant */

struct secrets;

struct secrets_config {
    struct store *store;      /* borrowed; NULL: memory alone */
    int64_t (*wall_ms)(void); /* NULL: clock_wall_ms */
};

/* What a secret is good for. Shared, never changed. */
struct secret_grant {
    const char *tenant;
    const char *id; /* what revokes it; no secret */
    const char *model;
    const char *session; /* JSON, the effective session */
    int64_t created_ms;
    int64_t expires_ms;
};
const struct secret_grant *secret_grant_ref(const struct secret_grant *grant);
/* *grant becomes NULL; NULL is fine. */
void secret_grant_put(const struct secret_grant **grant);

struct secret_request {
    const char *tenant;
    const char *model;
    const char *session;
    unsigned seconds;
};

struct secret_minted {
    char key[SECRETS_KEY_BYTES]; /* for the client, once */
    char id[CRYPTO_ID_BYTES];
    int64_t expires_ms;
};

/* On the store's thread, or never when a verb gives 0 or an error. */
typedef void secrets_done_h(void *arg, int result);
typedef void secrets_check_h(void *arg, int result,
                             const struct secret_grant **grant);

int secrets_create(struct secrets **sp, const struct secrets_config *cfg);
/* When the store has ended. */
void secrets_destroy(struct secrets **sp);

/* A new key, id and expiry; nothing is kept. 0 or UV_EINVAL (seconds). */
int secrets_prepare(struct secrets *s, const struct secret_request *request,
                    struct secret_minted *out);

/*
 * Makes it good. 0: it is. 1: it will be when `done` says 0; then only may the
 * client be told. UV_EBUSY (no room, or the tenant has its
 * SECRETS_TENANT_MAX or _BYTES), UV_E2BIG, UV_ENOMEM. Done's errors are the
 * store's.
 */
int secrets_keep(struct secrets *s, const struct secret_request *request,
                 const struct secret_minted *minted, secrets_done_h *done,
                 void *arg);

/* What memory says. 0: *grant is shared to the caller. UV_EACCES: not good.
 * UV_EAGAIN: secrets_check will find out. */
int secrets_peek(struct secrets *s, const char *key,
                 const struct secret_grant **grant);

/*
 * As peek; 1: the store is asked, `checked` will be told 0 and a share to take
 * (*grant may be made NULL), UV_EACCES, or the store's error. UV_EBUSY,
 * UV_ENOMEM: can't say.
 */
int secrets_check(struct secrets *s, const char *key,
                  const struct secret_grant **grant, secrets_check_h *checked,
                  void *arg);

/* 0 or UV_ENOENT; 1: `done` will say which. */
int secrets_revoke(struct secrets *s, const char *tenant, const char *id,
                   secrets_done_h *done, void *arg);

unsigned secrets_count(struct secrets *s);

#endif
