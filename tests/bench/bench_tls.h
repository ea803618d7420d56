/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * TLS of the load client, over OpenSSL: what any client does that asks a
 * server directly. The certificate must be by the given authority and for the
 * server's address; sessions are resumed. One thread; descriptors are the
 * caller's. Calls that would wait fail with EAGAIN in errno, as a socket's.
 */

#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bench_tls;

/* For all connections of the process. 0 or -EINVAL: no such authority. */
int bench_tls_init(const char *ca_file);

/* Over a connected, non-blocking fd to 127.0.0.1. NULL: no memory. */
struct bench_tls *bench_tls_open(int fd);
void bench_tls_close(struct bench_tls *tls);

/* 0 done, 1 wait for reading, 2 for writing, -EPROTO. */
int bench_tls_shake(struct bench_tls *tls);

/* As send and recv; -1 with errno. */
ssize_t bench_tls_send(struct bench_tls *tls, const void *data, size_t bytes);
ssize_t bench_tls_recv(struct bench_tls *tls, void *data, size_t bytes);

#endif
