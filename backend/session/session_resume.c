/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_resume.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define BUCKETS 1024

struct session_resume {
    pthread_mutex_t lock;
    struct session_resume_entry *buckets[BUCKETS];
};

int
session_resume_create(struct session_resume **rp)
{
    struct session_resume *r = calloc(1, sizeof(*r));

    if (!r)
        return UV_ENOMEM;
    pthread_mutex_init(&r->lock, NULL);
    *rp = r;
    return 0;
}

void
session_resume_destroy(struct session_resume **rp)
{
    struct session_resume *r = *rp;

    *rp = NULL;
    pthread_mutex_destroy(&r->lock);
    free(r);
}

void
session_resume_token(char token[SESSION_TOKEN_BYTES])
{
    uint8_t bits[16];

    crypto_random(bits, sizeof(bits));
    crypto_hex(bits, sizeof(bits), token);
}

/* The bucket tells nothing of the token but a few bits of its hash. */
static struct session_resume_entry **
bucket_of(struct session_resume *r, const uint8_t hash[CRYPTO_SHA256_BYTES])
{
    return &r->buckets[(hash[0] | (unsigned) hash[1] << 8) % BUCKETS];
}

static void
entry_unlink(struct session_resume_entry *entry)
{
    if (!entry->prev)
        return;
    *entry->prev = entry->next;
    if (entry->next)
        entry->next->prev = entry->prev;
    entry->prev = NULL;
}

void
session_resume_set(struct session_resume *r, struct session_resume_entry *entry,
                   const char *token)
{
    pthread_mutex_lock(&r->lock);
    entry_unlink(entry);
    if (token[0]) {
        crypto_sha256(token, strlen(token), entry->hash);
        entry->prev = bucket_of(r, entry->hash);
        entry->next = *entry->prev;
        if (entry->next)
            entry->next->prev = &entry->next;
        *entry->prev = entry;
    }
    pthread_mutex_unlock(&r->lock);
}

/* Under the lock. A foreign tenant's token is none. */
static struct session_resume_entry *
entry_find(struct session_resume *r, const char *token, const char *tenant)
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    struct session_resume_entry *entry;

    crypto_sha256(token, strlen(token), hash);
    entry = *bucket_of(r, hash);
    while (entry && !crypto_equal(entry->hash, hash, sizeof(hash)))
        entry = entry->next;
    return entry && strcmp(entry->tenant, tenant) == 0 ? entry : NULL;
}

struct loop *
session_resume_loop(struct session_resume *r, const char *token,
                    const char *tenant)
{
    pthread_mutex_lock(&r->lock);
    struct session_resume_entry *entry = entry_find(r, token, tenant);
    struct loop *loop = entry ? entry->loop : NULL;
    pthread_mutex_unlock(&r->lock);
    return loop;
}

void *
session_resume_find(struct session_resume *r, const char *token,
                    const char *tenant)
{
    pthread_mutex_lock(&r->lock);
    struct session_resume_entry *entry = entry_find(r, token, tenant);
    void *session =
        entry && loop_is_current(entry->loop) ? entry->session : NULL;
    pthread_mutex_unlock(&r->lock);
    return session;
}
