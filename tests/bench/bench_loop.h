/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event loop under every mode of the load client: one epoll set, one
 * thread, nanosecond waits. It also owns the gate: with --steps the client
 * stops between its phases until its driver writes a line to standard input,
 * so that CPU and memory are read exactly at the borders of a phase, while
 * the connections go on being served.
 */

#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#define BENCH_NS_PER_S 1000000000ull

struct bench_loop {
    int epoll;
    bool steps;      /* whether phases wait for the driver */
    unsigned passed; /* lines read and not yet used */
    bool ended;      /* standard input is at its end: never wait again */
};

/* Where a server listens: "unix:/path" or "a.b.c.d:port". */
struct bench_target {
    struct sockaddr_storage address;
    socklen_t address_bytes;
};

/* Monotonic. */
uint64_t bench_now_ns(void);

/* The clock of the kernel's own stamps. */
uint64_t bench_wall_ns(void);

/* Asks the kernel to stamp what arrives. 0 or -errno. */
int bench_stamp_enable(int fd);

/* recv, and when the latest byte of it arrived, by bench_wall_ns's clock; now,
 * where the kernel does not say. */
ssize_t bench_stamp_recv(int fd, void *to, size_t room, uint64_t *arrived_ns);

/* 0 or -errno. */
int bench_loop_init(struct bench_loop *loop, bool steps);

/* Watches fd; `tag` comes back in the events' data.ptr and must not be NULL.
 * 0 or -errno. */
int bench_loop_watch(struct bench_loop *loop, int fd, uint32_t mask, void *tag);
int bench_loop_change(struct bench_loop *loop, int fd, uint32_t mask,
                      void *tag);

/* Waits until `deadline_ns` at most; the number of events, the driver's own
 * lines taken out. */
int bench_loop_wait(struct bench_loop *loop, struct epoll_event *events,
                    int most, uint64_t deadline_ns);

/* Whether the next phase may begin; uses up one line of the driver's. */
bool bench_loop_pass(struct bench_loop *loop);

/* 0 or -EINVAL. */
int bench_target_parse(struct bench_target *target, const char *text);

/* A non-blocking descriptor on its way to the target, or -errno. */
int bench_target_connect(const struct bench_target *target);

#endif
