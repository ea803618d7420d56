/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How long a thread has run, and how long it could have run but had no
 * processor: what keeps it from waiting for events. Opened by the thread
 * itself, read by any thread; costs the thread nothing. Embedded; owns one
 * descriptor (of /proc/thread-self/schedstat; without that the time without a
 * processor counts as none).
 */

#ifndef VOICE_THREAD_TIME_H
#define VOICE_THREAD_TIME_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct thread_time {
    clockid_t clock; /* CPU time of the thread */
    int fd;          /* -1: none */
    bool is_open;
};

/* On the thread it is to tell of. 0 or UV_E*. */
int thread_time_open(struct thread_time *t);
/* Harmless when it is not open; nobody reads any more. */
void thread_time_close(struct thread_time *t);

/* Time on a processor and in the line for one, since the thread began. Only
 * while the thread lives; 0 when it can't be told. */
uint64_t thread_time_busy_us(const struct thread_time *t);

#endif
