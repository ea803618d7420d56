/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A program run as a child of the server: its standard streams as pipes on a
 * loop, its end told once. Everything on that loop's thread, child_open too,
 * for the kernel kills the child when the *thread* that made it ends
 * (PR_SET_PDEATHSIG): so none outlives the server, however that ends. It has a
 * session and a process group of its own, no descriptor but those it is given,
 * no signal blocked or ignored, and of the environment only what it is given.
 * Owns the process and the pipes. A child's own children are killed with its
 * group; those that leave the group live on, unless it is a sandbox's
 * (gate/sandbox).
 *
 *   child_write ─► queue ─► stdin │ program │ stdout, stderr ─► on_output
 */

#ifndef VOICE_CHILD_H
#define VOICE_CHILD_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#define CHILD_INPUT_MAX  4194304 /* bytes of the queue, if not said */
#define CHILD_FDS_MAX    8
#define CHILD_LINGER_MS  500   /* after its end, for streams others hold open */
#define CHILD_CHUNK_MAX  65536 /* bytes of one on_output */
#define CHILD_ENV_MAX    64
#define CHILD_ARGS_MAX   128
#define CHILD_LIMITS_MAX 8

struct child;

enum child_stream { CHILD_OUTPUT, CHILD_ERRORS };

/* As setrlimit(2), soft and hard. */
struct child_limit {
    int resource; /* RLIMIT_AS, … */
    rlim_t value;
};

struct child_user {
    uid_t uid;
    gid_t gid;
};

/* Not needed any more after child_open, but for the loop. */
struct child_config {
    struct loop *loop;
    const char *name;        /* for the log */
    const char *const *argv; /* ended by NULL. argv[0] without a slash is looked
                                for in the server's PATH */
    /*
     * "NAME=value", ended by NULL; NULL: none. Of the server's own environment
     * a child has PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_ALL, TZ, TMPDIR;
     * what is given here goes before. `bare`: nothing of the server's.
     */
    const char *const *env;
    bool bare;
    const char *directory;  /* NULL: the server's */
    bool no_input;          /* stdin is /dev/null */
    size_t max_input_bytes; /* 0: CHILD_INPUT_MAX */
    const int *fds;         /* become 3, 4, … there */
    size_t fd_count;
    const struct child_limit *limits;
    size_t limit_count;
    const struct child_user *user; /* NULL: the server's; else it must be root,
                                      and the child has no other group */
    int nice;                      /* 0-19; 19: audio always goes first */
    bool expendable; /* when memory is short it is killed before anything */
};

struct child_exit {
    int status;  /* of exit(), or -1 */
    int signal;  /* that ended it, or 0 */
    bool closed; /* both streams came to their end: all output was told */
};

/* None is called inside a verb, none after child_close or on_exit. Each may
 * call any verb, child_close too. Data is borrowed. */
struct child_handlers {
    void (*on_output)(void *arg, enum child_stream stream, const char *data,
                      size_t bytes);
    /* What child_write had to leave waiting has gone; NULL: not wanted. */
    void (*on_drained)(void *arg);
    /* Once, the last call: it has ended, its group was killed, its output was
     * told; a stream that is paused is waited for. */
    void (*on_exit)(void *arg, const struct child_exit *end);
};

/*
 * On the loop. 0: it runs. UV_ENOENT, UV_EACCES, UV_ENOEXEC, …: no such
 * program or directory, as execve(2) has it; UV_EINVAL; UV_EMFILE, UV_EAGAIN,
 * UV_ENOMEM. Waits until the program is loaded (about a millisecond), and for
 * nothing else.
 */
int child_open(struct child **cp, const struct child_config *cfg,
               const struct child_handlers *handlers, void *arg);

/* At any time; what still runs is killed with its group and waited for in the
 * background. Harmless with NULL. */
void child_close(struct child **cp);

/* Appends to what is to be written to stdin. 0; UV_ENOBUFS: the queue would be
 * over its cap, nothing was taken; UV_EPIPE: it reads no more. */
int child_write(struct child *child, const void *data, size_t bytes);
/* Stdin ends when all is written. */
void child_finish_input(struct child *child);

/* A paused stream is not read; the child waits when the pipe is full. */
void child_pause(struct child *child, enum child_stream stream);
void child_resume(struct child *child, enum child_stream stream);

/* Asks its group to end (SIGTERM), kills it after so long (0: at once);
 * on_exit follows. Again: the earlier moment counts. */
void child_end(struct child *child, uint64_t grace_ms);

size_t child_waiting_bytes(const struct child *child); /* for stdin */
pid_t child_pid(const struct child *child);

/* Those of the process that are not gone, closed ones too: before a loop that
 * had children is stopped, wait until there is none. Any thread. */
unsigned child_count(void);

#endif
