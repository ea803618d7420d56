/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes a process out of a process with many threads. The new one shares the
 * memory of the old one until it loads its program (as vfork), so that nothing
 * is copied however large the server is; between the two it makes system calls
 * alone, on a stack of its own: no lock of libc's may be held for ever, no
 * handler of the server's may run there. The calling thread waits that long.
 * Owns nothing.
 */

#ifndef VOICE_CHILD_SPAWN_H
#define VOICE_CHILD_SPAWN_H

#include "gate/child.h"

#include <sys/types.h>

struct child_born {
    pid_t pid;
    int pidfd; /* close-on-exec; readable when it has ended */
};

/* stdio: what are its descriptors 0, 1 and 2. 0, or as child_open. */
int child_spawn(const struct child_config *cfg, const int stdio[3],
                struct child_born *born);

#endif
