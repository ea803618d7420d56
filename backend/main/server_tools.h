/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tools, made out of the configuration before the first request is accepted:
 * those built in, their root, the registry, the cache and the runner. Owns all
 * of them. Made and taken down on the main thread, while the loops run.
 */

#ifndef VOICE_SERVER_TOOLS_H
#define VOICE_SERVER_TOOLS_H

#include "base/config.h"
#include "base/loop.h"

struct event_bus;
struct http_client;
struct server_tools;
struct tool_registry;
struct tool_runner;
struct usage;

struct server_tools_config {
    const struct server_config *config; /* borrowed for life, as all here */
    struct loop *loop;                  /* the services' */
    struct http_client *http;
    struct event_bus *events;
    struct usage *usage;
};

/* 0 or UV_E* (logged): a root that can't be opened, … */
int server_tools_create(struct server_tools **sp,
                        const struct server_tools_config *cfg);

/* When gates and sessions are down: what runs is cancelled, everything freed.
 * Blocks until it has ended; a tool that does not end in 10 s is left behind,
 * and with it all that it may touch (logged). NULL is fine, here and below. */
void server_tools_destroy(struct server_tools **sp);

struct tool_registry *server_tools_registry(struct server_tools *tools);
struct tool_runner *server_tools_runner(struct server_tools *tools);

#endif
