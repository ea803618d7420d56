/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The tools that work through others: LSP, task, delegate, dispatch, and
 * cancel_current_task, which ends what they do. Made out of the configuration
 * and given to the registry; owns nothing of them. On the main thread.
 */

#ifndef VOICE_SERVER_AGENTS_H
#define VOICE_SERVER_AGENTS_H

#include "base/config.h"
#include "base/loop.h"

struct http_client;
struct tool_registry;
struct tool_root;
struct tool_runner;

struct server_agents_config {
    const struct server_config *config;
    struct loop *loop; /* the services' */
    struct http_client *http;
    const struct tool_root *root; /* NULL: none, and no LSP then */
    struct tool_registry *registry;
    struct tool_runner *runner;
};

/* 0 or UV_E* (logged). */
int server_agents_make(const struct server_agents_config *cfg);

/* Once the registry is gone: what has not ended yet, language servers too. The
 * services' loop, the HTTP client and the root must be until it is 0. */
unsigned server_agents_closing(void);

#endif
