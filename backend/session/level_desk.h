/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Work of a loop's sessions for libuv's pool, handed over together: a piece
 * costs a few microseconds and a hand-over more than that, so pieces wait
 * until there are LEVEL_DESK_BYTES of them or one that is urgent. One job is
 * under way a loop, and pieces are done in the order of their arrival; two
 * pieces are never worked on at once. On the loop that pushes; there is one
 * desk a loop, which owns nothing while it is idle. Whoever pushes must see
 * `done` before the loop is stopped.
 */

#ifndef VOICE_LEVEL_DESK_H
#define VOICE_LEVEL_DESK_H

#include "base/loop.h"

#define LEVEL_DESK_BYTES 131072

/* Embedded in its user, who keeps it untouched until `done`. */
struct level_piece {
    struct level_piece *next;
    size_t bytes;                           /* of work, as it counts */
    void (*measure)(struct level_piece *p); /* on the pool */
    void (*done)(struct level_piece *p);    /* on the loop; may free it */
};

void level_desk_push(struct loop *loop, struct level_piece *piece, bool urgent);

/* What waits is not to wait on. */
void level_desk_flush(struct loop *loop);

/* Bytes that wait or are worked on, of all loops. Any thread. */
size_t level_desk_bytes(void);

#endif
