/* SPDX-License-Identifier: BSD-2-Clause */

#include "gate/child_pipe.h"

#include <unistd.h>

void
child_pipe_init(struct child_pipe *p, struct loop *loop, int *fd,
                unsigned events, child_pipe_h *handler)
{
    *p = (struct child_pipe){
        .loop = loop, .handler = handler, .fd = *fd, .events = events};
    *fd = -1;
}

static void
pipe_forget(struct child_pipe *p)
{
    close(p->fd);
    p->fd = -1;
}

static void on_pipe_watched(struct loop_watch *watch, unsigned events);

static int
pipe_watch(struct child_pipe *p)
{
    int err =
        loop_watch_open(p->loop, &p->watch, p->fd, p->events, on_pipe_watched);
    p->watched = err == 0;
    return err;
}

static void
on_pipe_watched(struct loop_watch *watch, unsigned events)
{
    struct child_pipe *p = (struct child_pipe *) watch; /* its first member */

    if (events != LOOP_CLOSED) {
        if (!p->closing && p->wanted)
            p->handler(p, CHILD_PIPE_READY);
        return;
    }
    p->watched = false;
    if (!p->closing && p->wanted && pipe_watch(p) == 0)
        return;
    if (p->closing || p->wanted) {
        pipe_forget(p);
        p->handler(p, CHILD_PIPE_GONE);
    }
}

int
child_pipe_want(struct child_pipe *p, bool wanted)
{
    if (p->wanted == wanted || !child_pipe_is_open(p))
        return 0;
    p->wanted = wanted;
    if (wanted && !p->watched)
        return pipe_watch(p);
    if (!wanted && p->watched && !p->watch.closing)
        loop_watch_close(&p->watch);
    return 0;
}

bool
child_pipe_close(struct child_pipe *p)
{
    if (!child_pipe_is_open(p))
        return p->fd < 0;
    p->closing = true;
    if (!p->watched) {
        pipe_forget(p);
        return true;
    }
    if (!p->watch.closing)
        loop_watch_close(&p->watch);
    return false;
}

bool
child_pipe_is_open(const struct child_pipe *p)
{
    return p->fd >= 0 && !p->closing;
}
