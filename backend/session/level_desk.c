/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   push ─► waiting ─(enough, or urgent; none under way)─► uv_queue_work
 *                                                             │ measure each
 *             done each ◄──────────── loop ◄──────────────────┘
 */

#include "session/level_desk.h"

#include <stdatomic.h>

struct level_desk {
    struct level_piece *first; /* waiting */
    struct level_piece **last;
    size_t bytes; /* of them */
    bool urgent;  /* one of them is */
    bool working;
    struct level_piece *under_way;
    uv_work_t work;
};

/* A loop is a thread, and nothing is under way when it ends. */
static _Thread_local struct level_desk desk;

static atomic_size_t bytes_all;

size_t
level_desk_bytes(void)
{
    return atomic_load_explicit(&bytes_all, memory_order_relaxed);
}

static void
on_work(uv_work_t *work)
{
    struct level_desk *d = work->data;

    for (struct level_piece *p = d->under_way; p; p = p->next)
        p->measure(p);
}

static void work_start(struct level_desk *d, uv_loop_t *uv);

static void
on_work_done(uv_work_t *work, int status)
{
    struct level_desk *d = work->data;
    struct level_piece *piece = d->under_way;

    (void) status; /* nobody cancels */
    d->under_way = NULL;
    d->working = false;
    work_start(d, work->loop);
    while (piece) {
        struct level_piece *next = piece->next;
        atomic_fetch_sub_explicit(&bytes_all, piece->bytes,
                                  memory_order_relaxed);
        piece->done(piece);
        piece = next;
    }
}

static void
work_start(struct level_desk *d, uv_loop_t *uv)
{
    if (d->working || !d->first || (!d->urgent && d->bytes < LEVEL_DESK_BYTES))
        return;
    d->under_way = d->first;
    d->first = NULL;
    d->bytes = 0;
    d->urgent = false;
    d->working = true;
    d->work.data = d;
    uv_queue_work(uv, &d->work, on_work, on_work_done);
}

void
level_desk_push(struct loop *loop, struct level_piece *piece, bool urgent)
{
    struct level_desk *d = &desk;

    piece->next = NULL;
    if (!d->first)
        d->last = &d->first;
    *d->last = piece;
    d->last = &piece->next;
    d->bytes += piece->bytes;
    d->urgent |= urgent;
    atomic_fetch_add_explicit(&bytes_all, piece->bytes, memory_order_relaxed);
    work_start(d, loop_uv(loop));
}

void
level_desk_flush(struct loop *loop)
{
    desk.urgent = desk.first != NULL;
    work_start(&desk, loop_uv(loop));
}
