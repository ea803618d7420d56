/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   child_write ─► input ─► pipe ─► 0 ┐         ┌ 1 ─► pipe ─┐
 *                                     │ program │            ├─► on_output
 *            child_end ─► signals ──► ┘         └ 2 ─► pipe ─┘
 *                                          └─ pidfd ─► reaped ─► on_exit
 */

#include "gate/child.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/loop_timer.h"
#include "gate/child_pipe.h"
#include "gate/child_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_CHUNKS 32      /* read at the end of the linger, at most */
#define WRITE_MAX   262144u /* bytes in one turn of the loop */

struct reading {
    struct child_pipe pipe; /* first: what its handler is told of */
    struct child *child;
    enum child_stream stream;
    bool paused;
};

struct writing {
    struct child_pipe pipe; /* first, as above */
    struct child *child;
    struct buffer queue;
    bool finishing;
};

struct child {
    struct child_handlers handlers;
    void *arg;
    struct loop *loop;
    char *name;
    pid_t pid;
    int pidfd;
    struct loop_watch ended; /* of pidfd; first of all to go */
    struct reading out[2];
    struct writing in;
    struct loop_timer *timer; /* until it is killed; then the linger */
    uint64_t kill_at_ms;      /* of the loop's clock; 0 none */
    struct child_exit end;
    unsigned refs; /* the owner, the pidfd, each pipe, each call up */
    bool closed, reaped, told;
};

static atomic_uint children;

unsigned
child_count(void)
{
    return atomic_load(&children);
}

static void
child_unref(struct child *child)
{
    if (--child->refs > 0)
        return;
    buffer_deinit(&child->in.queue);
    free(child->name);
    free(child);
    atomic_fetch_sub(&children, 1);
}

static void
child_signal(const struct child *child, int number)
{
    /* Its number is nobody else's before it is reaped. */
    if (!child->reaped)
        kill(-child->pid, number);
}

/* --- the end */

static bool
child_is_read(const struct child *child)
{
    return child->out[0].pipe.fd < 0 && child->out[1].pipe.fd < 0;
}

static void
child_tell_exit(struct child *child)
{
    if (child->told || child->closed)
        return;
    child->told = true;
    loop_timer_stop(child->timer);
    child->handlers.on_exit(child->arg, &child->end);
}

static void
reading_close(struct reading *r)
{
    if (r->pipe.fd >= 0 && child_pipe_close(&r->pipe))
        child_unref(r->child);
}

static void
writing_close(struct writing *w)
{
    buffer_clear(&w->queue);
    if (w->pipe.fd >= 0 && child_pipe_close(&w->pipe))
        child_unref(w->child);
}

/* It has ended, or a stream of it has. A call up may have closed it. */
static void
child_look(struct child *child)
{
    if (!child->reaped || child->told || child->closed)
        return;
    if (child_is_read(child)) {
        child->end.closed = true;
        child_tell_exit(child);
    } else if (!child->out[0].paused && !child->out[1].paused) {
        loop_timer_start(child->timer, CHILD_LINGER_MS, 0);
    }
}

static void
child_reap(struct child *child)
{
    siginfo_t info = {0};

    child_signal(child, SIGKILL); /* those it leaves behind in its group */
    child->end.status = -1;
    while (waitid(P_PID, (id_t) child->pid, &info, WEXITED) != 0) {
        if (errno == EINTR)
            continue;
        LOG(ERROR, child->name, "event=child_lost pid=%d error=\"%s\"",
            (int) child->pid, strerror(errno));
        break;
    }
    if (info.si_code == CLD_EXITED)
        child->end.status = info.si_status;
    else
        child->end.signal = info.si_status;
    child->reaped = true;
    LOG(DEBUG, child->name, "event=child_ended pid=%d status=%d signal=%d",
        (int) child->pid, child->end.status, child->end.signal);
    close(child->pidfd);
}

static void
on_process_watched(struct loop_watch *watch, unsigned events)
{
    struct child *child =
        (struct child *) ((char *) watch - offsetof(struct child, ended));

    if (events != LOOP_CLOSED) {
        loop_watch_close(watch);
        return;
    }
    child_reap(child);
    writing_close(&child->in);
    child_look(child);
    child_unref(child);
}

/* --- output */

/* One piece, told. False: the end, or nothing now (*again). */
static bool
reading_take(struct reading *r, bool *again)
{
    char data[CHILD_CHUNK_MAX];
    struct child *child = r->child;
    ssize_t n = read(r->pipe.fd, data, sizeof(data));

    *again = n < 0 && (errno == EAGAIN || errno == EINTR);
    if (n <= 0)
        return false;
    if (!child->closed)
        child->handlers.on_output(child->arg, r->stream, data, (size_t) n);
    return true;
}

static void
on_output_pipe(struct child_pipe *pipe, enum child_pipe_news news)
{
    struct reading *r = (struct reading *) pipe;
    struct child *child = r->child;
    bool again;

    child->refs++;
    if (news == CHILD_PIPE_GONE) {
        child_unref(child);
        child_look(child);
    } else if (!reading_take(r, &again) && !again) {
        reading_close(r);
    }
    child_unref(child);
}

/* Others hold a stream open that the child has left: what is in it is all. */
static void
child_linger_over(struct child *child)
{
    bool again;

    for (int i = 0; i < 2 && !child->closed; i++) {
        struct reading *r = &child->out[i];
        for (int n = 0; n < LAST_CHUNKS; n++) {
            if (!child_pipe_is_open(&r->pipe) || r->paused
                || !reading_take(r, &again))
                break;
        }
    }
    if (child->closed || child->out[0].paused || child->out[1].paused)
        return;
    child_tell_exit(child);
    reading_close(&child->out[0]);
    reading_close(&child->out[1]);
}

static void
on_timer(void *arg)
{
    struct child *child = arg;

    child->refs++;
    if (child->reaped)
        child_linger_over(child);
    else
        child_signal(child, SIGKILL);
    child_unref(child);
}

/* Out of kernel memory for a watch: without its streams it is of no use. */
static void
child_watch(struct child *child, struct child_pipe *pipe, bool wanted)
{
    int err = child_pipe_want(pipe, wanted);

    if (err == 0)
        return;
    LOG(ALERT, child->name, "event=child_stream_lost error=\"%s\"",
        uv_strerror(err));
    child_signal(child, SIGKILL);
}

void
child_pause(struct child *child, enum child_stream stream)
{
    child->out[stream].paused = true;
    child_watch(child, &child->out[stream].pipe, false);
}

void
child_resume(struct child *child, enum child_stream stream)
{
    child->out[stream].paused = false;
    child_watch(child, &child->out[stream].pipe, true);
    if (child->reaped && !child->told)
        loop_timer_start(child->timer, CHILD_LINGER_MS, 0);
}

/* --- input */

/* As much as goes. 0, or UV_EPIPE: it reads no more. */
static int
writing_flush(struct writing *w)
{
    size_t sent = 0;

    while (w->queue.bytes > 0 && sent < WRITE_MAX) {
        ssize_t n = write(w->pipe.fd, w->queue.data, w->queue.bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return UV_EPIPE;
        buffer_consume(&w->queue, (size_t) n);
        sent += (size_t) n;
    }
    return 0;
}

static void
on_input_pipe(struct child_pipe *pipe, enum child_pipe_news news)
{
    struct writing *w = (struct writing *) pipe;
    struct child *child = w->child;

    if (news == CHILD_PIPE_GONE) {
        child_unref(child);
        return;
    }
    if (writing_flush(w) != 0) {
        writing_close(w);
        return;
    }
    if (w->queue.bytes > 0)
        return;
    child_watch(child, pipe, false);
    if (w->finishing)
        writing_close(w);
    if (child->handlers.on_drained != NULL && !child->closed)
        child->handlers.on_drained(child->arg);
}

int
child_write(struct child *child, const void *data, size_t bytes)
{
    struct writing *w = &child->in;

    if (!child_pipe_is_open(&w->pipe) || w->finishing)
        return UV_EPIPE;
    bool waited = w->queue.bytes > 0;
    int err = buffer_append(&w->queue, data, bytes);
    if (err != 0 || waited)
        return err;
    if (writing_flush(w) != 0) {
        writing_close(w);
        return UV_EPIPE;
    }
    child_watch(child, &w->pipe, w->queue.bytes > 0);
    return 0;
}

void
child_finish_input(struct child *child)
{
    child->in.finishing = true;
    if (child->in.queue.bytes == 0)
        writing_close(&child->in);
}

size_t
child_waiting_bytes(const struct child *child)
{
    return child->in.queue.bytes;
}

/* --- life */

void
child_end(struct child *child, uint64_t grace_ms)
{
    uint64_t at_ms = uv_now(loop_uv(child->loop)) + grace_ms;

    if (child->reaped)
        return;
    if (grace_ms == 0) {
        child_signal(child, SIGKILL);
        return;
    }
    child_signal(child, SIGTERM);
    if (child->kill_at_ms != 0 && child->kill_at_ms <= at_ms)
        return;
    child->kill_at_ms = at_ms;
    loop_timer_start(child->timer, grace_ms, 0);
}

void
child_close(struct child **cp)
{
    struct child *child = *cp;

    *cp = NULL;
    if (child == NULL)
        return;
    child->closed = true;
    child_signal(child, SIGKILL);
    loop_timer_destroy(&child->timer);
    writing_close(&child->in);
    reading_close(&child->out[0]);
    reading_close(&child->out[1]);
    child_unref(child);
}

pid_t
child_pid(const struct child *child)
{
    return child->pid;
}

/* The two ends of a stream: ours doesn't block. */
static int
stream_make(int *ours, int *its, bool input)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return uv_translate_sys_error(errno);
    *ours = ends[input ? 1 : 0];
    *its = ends[input ? 0 : 1];
    fcntl(*ours, F_SETFL, O_NONBLOCK);
    return 0;
}

static int
streams_make(int ours[3], int its[3], bool no_input)
{
    int err = 0;

    for (int i = no_input ? 1 : 0; i < 3 && err == 0; i++)
        err = stream_make(&ours[i], &its[i], i == 0);
    if (err == 0 && no_input) {
        its[0] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        err = its[0] < 0 ? uv_translate_sys_error(errno) : 0;
    }
    return err;
}

static void
descriptors_close(int fds[3])
{
    for (int i = 0; i < 3; i++) {
        if (fds[i] >= 0)
            close(fds[i]);
    }
}

/* It runs: takes our ends of the streams. */
static int
child_attach(struct child *child, int ours[3])
{
    int err = loop_watch_open(child->loop, &child->ended, child->pidfd,
                              LOOP_READABLE, on_process_watched);

    if (err != 0) {
        child_signal(child, SIGKILL);
        child_reap(child);
        return err;
    }
    child->refs = 2;
    for (int i = 0; i < 2; i++) {
        struct reading *r = &child->out[i];
        child_pipe_init(&r->pipe, child->loop, &ours[i + 1], LOOP_READABLE,
                        on_output_pipe);
        child->refs++;
        child_watch(child, &r->pipe, true);
    }
    if (ours[0] >= 0) {
        child_pipe_init(&child->in.pipe, child->loop, &ours[0], LOOP_WRITABLE,
                        on_input_pipe);
        child->refs++;
    }
    return 0;
}

static int
child_start(struct child *child, const struct child_config *cfg)
{
    int ours[3] = {-1, -1, -1}, its[3] = {-1, -1, -1};
    struct child_born born;

    int err = streams_make(ours, its, cfg->no_input);
    if (err == 0)
        err = child_spawn(cfg, its, &born);
    descriptors_close(its);
    if (err == 0) {
        child->pid = born.pid;
        child->pidfd = born.pidfd;
        LOG(DEBUG, child->name, "event=child_started pid=%d", (int) born.pid);
        err = child_attach(child, ours);
    }
    descriptors_close(ours);
    return err;
}

static struct child *
child_alloc(const struct child_config *cfg)
{
    struct child *child = calloc(1, sizeof(*child));

    if (child == NULL)
        return NULL;
    child->loop = cfg->loop;
    child->name = strdup(cfg->name);
    child->refs = 1;
    child->in.child = child;
    child->in.pipe.fd = -1;
    buffer_init(&child->in.queue, cfg->max_input_bytes != 0
                                      ? cfg->max_input_bytes
                                      : CHILD_INPUT_MAX);
    for (int i = 0; i < 2; i++) {
        child->out[i].child = child;
        child->out[i].stream = (enum child_stream) i;
        child->out[i].pipe.fd = -1;
    }
    atomic_fetch_add(&children, 1);
    if (child->name == NULL
        || loop_timer_create(&child->timer, cfg->loop, on_timer, child) != 0) {
        child_unref(child);
        return NULL;
    }
    return child;
}

int
child_open(struct child **cp, const struct child_config *cfg,
           const struct child_handlers *handlers, void *arg)
{
    struct child *child = child_alloc(cfg);

    if (child == NULL)
        return UV_ENOMEM;
    child->handlers = *handlers;
    child->arg = arg;
    int err = child_start(child, cfg);
    if (err != 0) {
        loop_timer_destroy(&child->timer);
        child_unref(child);
        return err;
    }
    *cp = child;
    return 0;
}
