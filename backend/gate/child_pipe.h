/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server's end of a pipe to a child, on a loop: watched while it is wanted
 * and not at all otherwise, since a hang-up is told again and again, whatever
 * one asks for. Embedded; owns the descriptor until the handler is told that
 * it is gone. One thread, the loop's.
 */

#ifndef VOICE_CHILD_PIPE_H
#define VOICE_CHILD_PIPE_H

#include "base/loop.h"

#include <stdbool.h>

enum child_pipe_news {
    CHILD_PIPE_READY, /* readable, or writable, or at its end */
    CHILD_PIPE_GONE   /* the last call */
};

struct child_pipe;
typedef void child_pipe_h(struct child_pipe *p, enum child_pipe_news news);

struct child_pipe {
    struct loop_watch watch;
    struct loop *loop;
    child_pipe_h *handler;
    int fd;          /* -1: gone */
    unsigned events; /* LOOP_READABLE or LOOP_WRITABLE */
    bool wanted, watched, closing;
};

/* Takes *fd, which doesn't block. Not watched yet. */
void child_pipe_init(struct child_pipe *p, struct loop *loop, int *fd,
                     unsigned events, child_pipe_h *handler);

/* 0, or why it can't be watched. */
int child_pipe_want(struct child_pipe *p, bool wanted);

/* True: gone at once, the handler is not called. False: CHILD_PIPE_GONE
 * follows. */
bool child_pipe_close(struct child_pipe *p);

/* It can be read or written: neither closed nor gone. */
bool child_pipe_is_open(const struct child_pipe *p);

#endif
