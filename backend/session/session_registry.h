/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which sessions live where: id → loop. Mutex-guarded, callable from any
 * thread; owns its table, never a session. Chooses the loop for a new session
 * (fewest sessions) and counts a slot from the decision to the end, so that
 * max_sessions holds exactly. Outlives every session; its loops may be gone
 * when it is destroyed.
 */

#ifndef VOICE_SESSION_REGISTRY_H
#define VOICE_SESSION_REGISTRY_H

#include "base/loop.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct session_registry;

/* What changes while a session lives: written on its loop, read by any
 * thread. */
struct session_figures {
    const char *_Atomic state;    /* literals, these too; NULL: has none */
    const char *_Atomic client;   /* the leg's state */
    const char *_Atomic upstream; /* the leg's state */
    const char *_Atomic quality;  /* of the client's connection: Opus has it */
    atomic_uint up_messages;
    atomic_uint down_messages;
    atomic_size_t queued_bytes;
};

/*
 * What a session shows of itself. Embedded in it. The first part is set before
 * session_registry_add and stays; the last part is the registry's.
 */
struct session_entry {
    const char *id;
    const char *tenant;
    const char *model;
    struct loop *loop;
    uint64_t since_ms;               /* clock_now_ms */
    struct session_figures *figures; /* NULL: live, and it counts nothing */
    /* Asks the session to end because the server does; on its loop. May
     * remove the entry. */
    void (*on_end)(struct session_entry *entry);

    struct session_entry *next;
    struct session_entry **prev;
};

/* Borrows the loops for life, copies the array. */
int session_registry_create(struct session_registry **rp, struct loop **loops,
                            unsigned loop_count, unsigned max_sessions);
/* When every loop has stopped and every entry is removed. */
void session_registry_destroy(struct session_registry **rp);

/* Any thread: a slot and a loop for a new session. 0, UV_EBUSY. */
int session_registry_reserve(struct session_registry *r, struct loop **loop);
/* The same on that loop, where something waits for it. */
int session_registry_reserve_on(struct session_registry *r, struct loop *loop);
/* A slot that became no entry. */
void session_registry_release(struct session_registry *r, struct loop *loop);

/* On the session's loop. add turns the reserved slot into an entry; remove
 * gives the slot back. The entry is the session's memory. */
void session_registry_add(struct session_registry *r,
                          struct session_entry *entry);
void session_registry_remove(struct session_registry *r,
                             struct session_entry *entry);

/* Asks every session to end, each on its loop; any thread, loops running. */
void session_registry_end_all(struct session_registry *r);

/* Slots taken: reserved ones and entries. Any thread. */
unsigned session_registry_count(const struct session_registry *r);
/* Entries of the tenant. Any thread; takes as long as there are entries. */
unsigned session_registry_count_of(struct session_registry *r,
                                   const char *tenant);

/* JSON array text of live sessions (malloc'ed, given, NULL: no memory): id,
 * tenant, model, state, client, upstream, quality, loop, age_ms, up_messages,
 * down_messages, queued_bytes. Any thread. */
char *session_registry_list(struct session_registry *r);

#endif
