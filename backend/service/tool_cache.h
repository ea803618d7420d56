/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Results of tools that may be given again (R3.2), and who waits for one that
 * is being made. Least recently used, by entries and bytes; each lives for its
 * time, or until a write in its domain: who changes something bumps the
 * domain's generation before and after, and what was begun before a bump is
 * neither given nor joined after it. A result that has a stamp (what a file
 * was when it was read) is given to those alone who see the same stamp.
 * Single-flight: of all that ask for one key the first is told to run it, all
 * are answered; one that leaves takes nobody along. Any thread; the clock is
 * passed in. Owns its entries and flights, never a waiter; runs nothing.
 *
 *   ask ─► entry? ─ fresh ────────────► HIT
 *            │   └─ nearly over ───────► HIT, and *flight: run it anew
 *            └► flight? ─ joined ──────► WAIT
 *                    └─ made ──────────► WAIT, and *flight: run it
 *   done ─► entry (a success) ─► every waiter's handler
 */

#ifndef VOICE_TOOL_CACHE_H
#define VOICE_TOOL_CACHE_H

#include "service/tool_value.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_CACHE_ENTRIES   100
#define TOOL_CACHE_DOMAINS   16 /* what writes may change: a root, the web, … */
#define TOOL_CACHE_KEY_BYTES 32

struct tool_cache;
struct tool_flight;

struct tool_cache_config {
    size_t max_entries, max_bytes; /* keys and bookkeeping included */
};

struct tool_cache_key {
    uint8_t hash[TOOL_CACHE_KEY_BYTES];
};

/* All 0: none. */
struct tool_cache_stamp {
    uint64_t words[6];
};

struct tool_cache_question {
    struct tool_cache_key key;
    struct tool_cache_stamp stamp;
    unsigned domain; /* below TOOL_CACHE_DOMAINS */
    uint64_t now_ms;
};

/* The result, borrowed; NULL: whoever ran it gave up. `note` is _done's. On
 * the thread of _done, without a lock. */
typedef void tool_cache_h(void *arg, struct tool_value *value,
                          const void *note);

/* Embedded in who waits; untouched until its handler runs or it has left. */
struct tool_cache_waiter {
    struct tool_cache_waiter *next, **prev; /* the cache's */
    struct tool_flight *flight;
    tool_cache_h *handler;
    void *arg;
};

enum tool_cache_found { TOOL_CACHE_HIT, TOOL_CACHE_WAIT, TOOL_CACHE_FAILED };

/* 0, UV_EINVAL, UV_ENOMEM. destroy: no flight is left. */
int tool_cache_create(struct tool_cache **cp,
                      const struct tool_cache_config *cfg);
void tool_cache_destroy(struct tool_cache **cp);

/* SHA-256 over all of it; arguments by their sorted names. 0, UV_ENOMEM. */
int tool_cache_key_make(struct tool_cache_key *key, const char *tenant,
                        const char *root, const char *tool,
                        const json_t *arguments);

/* What is kept and may be given: a share, or NULL, and then nothing has
 * happened. *flight as below. */
struct tool_value *tool_cache_find(struct tool_cache *c,
                                   const struct tool_cache_question *q,
                                   struct tool_flight **flight);

/*
 * HIT: *value is shared with the caller. WAIT: the waiter's handler will be
 * called. FAILED: no memory, neither. *flight not NULL (HIT or WAIT): the
 * caller is to run it, and to call _done.
 */
enum tool_cache_found tool_cache_ask(struct tool_cache *c,
                                     const struct tool_cache_question *q,
                                     struct tool_cache_waiter *waiter,
                                     struct tool_value **value,
                                     struct tool_flight **flight);

/* True: its handler will not be called. False: it is on its way or was. */
bool tool_cache_leave(struct tool_cache *c, struct tool_cache_waiter *waiter);

struct tool_cache_result {
    struct tool_value *value; /* borrowed; NULL: given up */
    uint64_t ttl_ms;          /* 0: not to be kept: no success, not settled */
    struct tool_cache_stamp stamp;
    uint64_t now_ms;
    const void *note; /* for the waiters: borrowed */
};

/* Takes the flight. Handlers run inside the call. */
void tool_cache_done(struct tool_cache *c, struct tool_flight **flight,
                     const struct tool_cache_result *result);

/* Somebody changes, or has changed, something in the domain. */
void tool_cache_bump(struct tool_cache *c, unsigned domain);

/* True: nobody waits for it, nor is an entry to be made new, and from now on
 * nobody joins it; _done is still to be called. False: nothing has changed. */
bool tool_cache_abandon(struct tool_cache *c, struct tool_flight *flight);

struct tool_cache_counts {
    size_t entries, bytes, flights;
    uint64_t hits, misses, joined, refreshed, evicted;
};
void tool_cache_get_counts(struct tool_cache *c, struct tool_cache_counts *out);

#endif
