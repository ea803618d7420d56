/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a tree of processes uses at this moment, as /proc tells it. A limit of
 * the kernel's holds each process by itself; this looks at all of them. Any
 * thread; some microseconds a process; owns nothing.
 */

#ifndef VOICE_SANDBOX_USE_H
#define VOICE_SANDBOX_USE_H

#include <stdint.h>
#include <sys/types.h>

#define SANDBOX_USE_PROCESSES 1024 /* more are not looked at */

struct sandbox_use {
    unsigned processes;
    uint64_t memory_bytes; /* what they share is each one's */
};

/* The descendants of pid, and not itself. Those that end meanwhile may be
 * missing. */
void sandbox_use_look(pid_t pid, struct sandbox_use *use);

/* The same with what they share divided among them: exact, and a hundred
 * times slower. */
void sandbox_use_look_closely(pid_t pid, struct sandbox_use *use);

#endif
