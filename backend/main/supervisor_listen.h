/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The listening sockets of the supervisor: bound here once, kept open over
 * every generation of the server, so that there is never a bind gap. Owns the
 * descriptors and the unix sockets' paths. One thread. libc only: errors are
 * -1 and are written to the log.
 */

#ifndef VOICE_SUPERVISOR_LISTEN_H
#define VOICE_SUPERVISOR_LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LISTEN_MAX        8
#define LISTEN_SPEC_BYTES 420

/* An address, as `voiced-server --print-listen` says it. */
struct listener {
    char spec[LISTEN_SPEC_BYTES];
    int fd;
    bool foreign; /* systemd's: never bound nor removed here */
    ino_t inode;  /* of the unix socket's path, 0: none */
};

struct listeners {
    struct listener item[LISTEN_MAX];
    unsigned count;
};

/* Sockets handed over by systemd (LISTEN_FDS for our pid); 0 when none. */
unsigned listeners_take_systemd(struct listeners *l);

/*
 * Makes *l the addresses of `text` (lines; others than unix and tcp are
 * skipped): kept where they are the same, bound where new. Those no longer
 * wanted stay open: the caller holds a copy of *l as it was. 0, or -1 and
 * nothing has changed.
 */
int listeners_update(struct listeners *l, const char *text);

/* Closes what is in *l and not in *kept, and empties *l. */
void listeners_close_others(struct listeners *l, const struct listeners *kept);

/* Closes; a unix socket that is still ours is removed. */
void listeners_close(struct listeners *l);

/* "3,4": what the server is told. */
void listeners_fds(const struct listeners *l, char *out, size_t bytes);

/* Whether the descriptors outlive an exec. */
void listeners_inherit(const struct listeners *l, bool inherit);

#endif
