/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   add ─► block ─(full, or flushed)─► waiting ─► uv_queue_work ─► measure each
 *            ▲                                                        │
 *          spare ◄──────────── done each ◄────────── loop ◄───────────┘
 */

#include "session/level_desk.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    size_t used, room;
    uint64_t records[];
};

struct level_desk {
    struct block *open;  /* being filled */
    struct block *first; /* waiting, in order */
    struct block **last;
    struct block *under_way;
    struct block *spare; /* of the usual size */
    unsigned users;
    uv_work_t work;
};

/* A loop is a thread, and nobody uses its desk when it ends. */
static _Thread_local struct level_desk desk;

static atomic_size_t bytes_all;

size_t
level_desk_bytes(void)
{
    return atomic_load_explicit(&bytes_all, memory_order_relaxed);
}

static size_t
record_bytes(const struct level_record *r)
{
    return sizeof(*r) + ((r->bytes + 7) & ~(size_t) 7);
}

/* --- blocks */

static struct block *
block_take(struct level_desk *d, size_t bytes)
{
    size_t room = bytes > LEVEL_DESK_BLOCK ? bytes : LEVEL_DESK_BLOCK;
    struct block *b = room == LEVEL_DESK_BLOCK ? d->spare : NULL;

    if (b)
        d->spare = NULL;
    else if (level_desk_bytes() <= LEVEL_DESK_ALL)
        b = malloc(sizeof(*b) + room);
    if (!b)
        return NULL;
    b->used = 0;
    b->room = room;
    atomic_fetch_add_explicit(&bytes_all, room, memory_order_relaxed);
    return b;
}

static void
block_give(struct level_desk *d, struct block *b)
{
    atomic_fetch_sub_explicit(&bytes_all, b->room, memory_order_relaxed);
    if (d->users > 0 && !d->spare && b->room == LEVEL_DESK_BLOCK)
        d->spare = b;
    else
        free(b);
}

static void
records_run(struct block *b, bool done)
{
    for (size_t at = 0; at < b->used;) {
        struct level_record *r = (void *) ((uint8_t *) b->records + at);

        at += record_bytes(r);
        if (done)
            r->handlers->done(r);
        else
            r->handlers->measure(r);
    }
}

/* --- work */

static void
on_work(uv_work_t *work)
{
    const struct level_desk *d = work->data;

    records_run(d->under_way, false);
}

static void work_start(struct level_desk *d, uv_loop_t *uv);

static void
on_work_done(uv_work_t *work, int status)
{
    struct level_desk *d = work->data;
    struct block *b = d->under_way;

    (void) status; /* nobody cancels */
    d->under_way = NULL;
    work_start(d, work->loop);
    records_run(b, true);
    block_give(d, b);
}

static void
work_start(struct level_desk *d, uv_loop_t *uv)
{
    if (d->under_way || !d->first)
        return;
    d->under_way = d->first;
    d->first = d->under_way->next;
    d->work.data = d;
    uv_queue_work(uv, &d->work, on_work, on_work_done);
}

static void
block_push(struct level_desk *d, uv_loop_t *uv)
{
    if (!d->open)
        return;
    if (!d->first)
        d->last = &d->first;
    d->open->next = NULL;
    *d->last = d->open;
    d->last = &d->open->next;
    d->open = NULL;
    work_start(d, uv);
}

void
level_desk_flush(struct loop *loop)
{
    block_push(&desk, loop_uv(loop));
}

bool
level_desk_add(struct loop *loop, const struct level_record *head,
               const void *data)
{
    struct level_desk *d = &desk;
    size_t bytes = record_bytes(head);

    if (d->open && d->open->room - d->open->used < bytes)
        block_push(d, loop_uv(loop));
    if (!d->open)
        d->open = block_take(d, bytes);
    if (!d->open)
        return false;
    uint8_t *to = (uint8_t *) d->open->records + d->open->used;
    memcpy(to, head, sizeof(*head));
    if (data)
        memcpy(to + sizeof(*head), data, head->bytes);
    d->open->used += bytes;
    return true;
}

/* --- who uses it */

void
level_desk_ref(void)
{
    desk.users++;
}

void
level_desk_unref(void)
{
    if (--desk.users > 0)
        return;
    free(desk.spare);
    desk.spare = NULL;
}
