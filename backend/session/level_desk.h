/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Work of a loop's sessions for libuv's pool, handed over together: a record
 * costs less than a microsecond and a hand-over ten, so the records of all
 * sessions are written one behind the other into a block, which goes to the
 * pool when it is full or a record is urgent. One block is worked on at a time,
 * in the order of arrival: what belongs to one owner is never touched by two
 * threads. On the loop that adds; a loop has one desk, and it owns its blocks.
 * Whoever added must see `done` of every record before the loop is stopped.
 */

#ifndef VOICE_LEVEL_DESK_H
#define VOICE_LEVEL_DESK_H

#include "base/loop.h"

#define LEVEL_DESK_BLOCK 131072  /* bytes that are handed over together */
#define LEVEL_DESK_ALL   4194304 /* waiting, of all loops */

struct level_record;

struct level_desk_handlers {
    void (*measure)(struct level_record *r); /* on the pool */
    void (*done)(struct level_record *r);    /* on the loop */
};

/* The head of a record; `bytes` of its own follow it. */
struct level_record {
    const struct level_desk_handlers *handlers;
    void *owner;
    uint64_t value;
    uint32_t bytes;
    uint8_t kind, side, format;
};

static inline void *
level_record_data(struct level_record *r)
{
    return r + 1;
}

/* Copies head and data (NULL: not set). false: too much waits, or no memory;
 * `done` will not be called. */
bool level_desk_add(struct loop *loop, const struct level_record *head,
                    const void *data);

/* What waits is not to wait on. */
void level_desk_flush(struct loop *loop);

/* This loop's desk keeps memory between blocks while somebody uses it. */
void level_desk_ref(void);
void level_desk_unref(void);

/* Bytes that wait or are worked on, of all loops. Any thread. */
size_t level_desk_bytes(void);

#endif
