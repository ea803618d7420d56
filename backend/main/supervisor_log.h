/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The supervisor's own log lines, to stderr in the server's text form, and
 * its clock. libc only; nothing to own; one thread.
 */

#ifndef VOICE_SUPERVISOR_LOG_H
#define VOICE_SUPERVISOR_LOG_H

#include <stdint.h>

void supervisor_log(const char *level, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* CLOCK_MONOTONIC: good over an exec of the same process. */
int64_t supervisor_now_ms(void);

#endif
