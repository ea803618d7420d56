/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One server process as the supervisor sees it: started with the listening
 * sockets and a readiness pipe, asked to drain or to stop, ended. Owns the
 * process id and the pipe. libc only, one thread.
 */

#ifndef VOICE_SUPERVISOR_CHILD_H
#define VOICE_SUPERVISOR_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum child_state {
    CHILD_NONE,
    CHILD_STARTING, /* not yet accepting */
    CHILD_READY,
    CHILD_DRAINING, /* told to finish its sessions */
    CHILD_STOPPING  /* told to end now */
};

struct child {
    enum child_state state;
    pid_t pid;
    unsigned generation;
    int ready_fd; /* -1 once ready */
    int64_t started_ms;
};

struct child_start {
    const char *server; /* path of voiced-server */
    const char *config; /* NULL: its default */
    const char *listen_fds;
    unsigned generation;
};

/* 0, or -1 and it is logged. The listening sockets must be inheritable. */
int child_start(struct child *child, const struct child_start *how);

/* Reads the readiness pipe, which is readable. True when it became ready. */
bool child_read_ready(struct child *child);

void child_drain(struct child *child); /* SIGQUIT */
void child_stop(struct child *child);  /* SIGTERM */
void child_kill(struct child *child);  /* SIGKILL */

/* After waitpid gave its status: forgets it and says why it ended. */
void child_ended(struct child *child, int status, bool expected);

/*
 * Runs `server argument [-c config]` to its end (10 s at most) and gives what
 * it printed on either stream. Its exit status, or -1.
 */
int child_ask(const struct child_start *how, const char *argument, char *out,
              size_t bytes);

#endif
