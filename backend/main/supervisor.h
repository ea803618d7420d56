/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The supervisor, program `voiced`: holds the listening sockets (or takes
 * systemd's), starts the server, starts it again when it dies, and brings up
 * a new generation beside the old one. Holds no session and links libc alone,
 * so that nothing but itself can end it. One thread, one poll loop.
 *
 *   SIGHUP   new generation with the configuration as it is now; the old one
 *            drains. A bad configuration changes nothing.
 *   SIGUSR2  this process becomes the installed binary (same pid, sockets and
 *            servers kept), then as SIGHUP with the installed server.
 *   SIGUSR1  servers open their log files again
 *   SIGQUIT  no new sessions, the running ones to their end, then exit
 *   SIGTERM, SIGINT  sessions are closed with 1001; after 10 s killed; exit
 */

#ifndef VOICE_SUPERVISOR_H
#define VOICE_SUPERVISOR_H

#include "main/supervisor_child.h"
#include "main/supervisor_listen.h"

#include <limits.h>

#define SUPERVISOR_CHILDREN 32 /* generations alive at a time */

enum supervisor_state {
    SUPERVISOR_RUNNING,
    SUPERVISOR_DRAINING, /* SIGQUIT: waits for the last session */
    SUPERVISOR_STOPPING  /* SIGTERM */
};

struct supervisor {
    enum supervisor_state state;
    char **argv;
    char self[PATH_MAX];   /* our own binary's place, for SIGUSR2 */
    char server[PATH_MAX]; /* voiced-server */
    const char *config;    /* NULL: the server's default */
    char pid_file[PATH_MAX];
    struct listeners listeners;
    struct listeners before; /* while `next` starts: to go back to */
    struct child children[SUPERVISOR_CHILDREN];
    int current; /* index of the one that serves, -1: none */
    int next;    /* index of the one that shall, -1: none */
    unsigned generation;
    unsigned failures;   /* deaths in a row */
    bool reload_wanted;  /* asked for while a generation was starting */
    bool replace_wanted; /* SIGUSR2 meanwhile */
    int64_t start_at_ms; /* 0: no start is due */
    int64_t kill_at_ms;  /* 0: no deadline */
    int signal_fd;
};

/*
 * SIGUSR2: the state goes through the environment into the binary that takes
 * our place. save returns 0 and leaves descriptors inheritable; restore reads
 * it back and removes it: 1 when there was one for this process, else 0.
 */
int supervisor_state_save(struct supervisor *s);
int supervisor_state_restore(struct supervisor *s);
void supervisor_state_forget(struct supervisor *s); /* the exec failed */

#endif
