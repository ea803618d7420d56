/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server: makes every part out of the configuration, starts them, lets
 * them drain or stop, and takes them down in order. Owns all of them. Its
 * functions are for the main thread alone; the work is done on loops, request
 * threads and speech threads.
 *
 *   listening sockets ─► gates ─► router ─► answers, or sessions on loops
 *                                             └► server_model ─► upstreams, or
 * offline
 */

#ifndef VOICE_SERVER_H
#define VOICE_SERVER_H

#include "base/config.h"

#include <stdbool.h>
#include <stdint.h>

#define SERVER_LISTEN_MAX 8

struct server;

struct server_start {
    const struct server_config *config; /* borrowed for life */
    int listen_fds[SERVER_LISTEN_MAX];  /* taken, also on failure */
    unsigned listen_count;
    unsigned generation;
};

/* Everything is mounted and accepting when it returns 0; UV_E* else (logged),
 * and everything is down again. */
int server_create(struct server **sp, const struct server_start *start);

/* No new connections; what runs goes on. Idempotent. */
void server_drain(struct server *server);

/* Whether the last session and the last connection are gone. */
bool server_is_idle(struct server *server);

/* Every session is told 1001; waits for their ends, limit_ms at most. */
void server_end_sessions(struct server *server, unsigned limit_ms);

/* Takes everything down; sessions are gone or are cut. */
void server_destroy(struct server **sp);

#endif
