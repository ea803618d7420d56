/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Calls, for a server with upstreams: the table that knows them, and the start
 * of sidebands for those that are claimed from an instance that is gone. Owns
 * the table and the secrets of upstreams that are kept warm. Made and taken
 * down on the main thread.
 */

#ifndef VOICE_SERVER_CALLS_H
#define VOICE_SERVER_CALLS_H

#include "base/config.h"
#include "base/loop.h"
#include "session/session_call.h"

struct http_client;
struct server_calls;
struct store;
struct upstream_set;
struct warm_secrets;

struct server_calls_config {
    const struct server_config *config; /* borrowed for life, as all here */
    struct loop *loop;                  /* running; the client's */
    struct http_client *http;           /* closed after the last session */
    struct store *store;                /* NULL: calls are this process's */
    struct upstream_set *upstreams;
    struct session_call_config sessions; /* what calls need of others */
};

/* 0 or UV_E*. Orphans are looked for at once. */
int server_calls_create(struct server_calls **sp,
                        const struct server_calls_config *cfg);

/* Others may have the calls: sidebands end at a calm moment. */
void server_calls_drain(struct server_calls *s);
/* In this order: gates and sessions are down and loops run; loops and store
 * are gone. NULL is fine in all three. */
void server_calls_stop(struct server_calls *s);
void server_calls_destroy(struct server_calls **sp);

struct calls *server_calls_calls(struct server_calls *s);
const struct session_call_config *server_calls_sessions(struct server_calls *s);
/* NULL: none are kept warm. */
struct warm_secrets *server_calls_secrets(struct server_calls *s);

#endif
