/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who may come back to which session: a table of the tokens given out in this
 * process. A token is 128 random bits, bound to a tenant, good for one use:
 * who comes back with it gets another. The table keeps hashes alone. Any
 * thread, but for what is said to be for the session's loop: a session is
 * reached on its own loop only, and leaves the table there.
 */

#ifndef VOICE_SESSION_RESUME_H
#define VOICE_SESSION_RESUME_H

#include "base/loop.h"
#include "gate/crypto.h"

#include <stdbool.h>

#define SESSION_TOKEN_BYTES 33 /* hexadecimal, with its NUL */

struct session_resume;

/* A place in the table. Embedded in the session. Tenant and loop are set by
 * the session and stay; the rest is the table's. */
struct session_resume_entry {
    const char *tenant;
    struct loop *loop;
    void *session;

    struct session_resume_entry *next;
    struct session_resume_entry **prev; /* NULL: not in the table */
    uint8_t hash[CRYPTO_SHA256_BYTES];
};

/* 0 or UV_ENOMEM. Destroyed when no session is left. */
int session_resume_create(struct session_resume **rp);
void session_resume_destroy(struct session_resume **rp);

void session_resume_token(char token[SESSION_TOKEN_BYTES]);

/* On the session's loop: from now on this token, and no other, leads to it.
 * A token of "" takes it out of the table. */
void session_resume_set(struct session_resume *r,
                        struct session_resume_entry *entry, const char *token);

/* The loop of the session that the token of that tenant leads to; NULL: there
 * is none. It may be gone when the loop is asked. */
struct loop *session_resume_loop(struct session_resume *r, const char *token,
                                 const char *tenant);

/* On that loop: its session, or NULL. */
void *session_resume_find(struct session_resume *r, const char *token,
                          const char *tenant);

#endif
