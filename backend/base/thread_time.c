/* SPDX-License-Identifier: BSD-2-Clause */

#include "base/thread_time.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <uv.h>

#define LINE_BYTES 96 /* three numbers */

int
thread_time_open(struct thread_time *t)
{
    int error = pthread_getcpuclockid(pthread_self(), &t->clock);

    if (error)
        return uv_translate_sys_error(error);
    t->fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
    t->is_open = true;
    return 0;
}

void
thread_time_close(struct thread_time *t)
{
    if (t->is_open && t->fd >= 0)
        close(t->fd);
    t->is_open = false;
}

/* "<ns on a processor> <ns in the line> <times>": the second. The first is
 * as old as the last tick, so the clock is asked for that. */
static uint64_t
line_ns(int fd)
{
    char line[LINE_BYTES];
    char *end;

    if (fd < 0)
        return 0;
    ssize_t bytes = pread(fd, line, sizeof(line) - 1, 0);
    if (bytes <= 0)
        return 0;
    line[bytes] = 0;
    strtoull(line, &end, 10);
    return strtoull(end, NULL, 10);
}

uint64_t
thread_time_busy_us(const struct thread_time *t)
{
    struct timespec ran;

    if (!t->is_open || clock_gettime(t->clock, &ran) != 0)
        return 0;
    return ((uint64_t) ran.tv_sec * 1000000000u + (uint64_t) ran.tv_nsec
            + line_ns(t->fd))
           / 1000u;
}
