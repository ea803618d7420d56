/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An HTTP tool server as its tools know it, and runs of them: one request each,
 * POST {base}/execute/{name}. The peer is shared by the server and its tools,
 * which may outlive it; closed, they fail with "unavailable". On the services'
 * loop but for the last share. Owns its address and its headers, the key among
 * them, which no text ever repeats.
 */

#ifndef VOICE_TOOL_HTTP_RUN_H
#define VOICE_TOOL_HTTP_RUN_H

#include "gate/http_client.h"
#include "tools/tool_server.h"

#include <stdbool.h>

struct tool_http_peer;

/* Its last run is over, after _close. */
typedef void tool_http_idle_h(void *arg);

/* One share. NULL: no memory. */
struct tool_http_peer *
tool_http_peer_create(const struct tool_server_config *cfg,
                      tool_http_idle_h *idle, void *arg);
void tool_http_peer_unref(struct tool_http_peer **pp);

/* Runs end with "unavailable", `idle` is called after the last, not inside. */
void tool_http_peer_close(struct tool_http_peer *peer);
bool tool_http_peer_is_busy(const struct tool_http_peer *peer);

struct tool_http_ask {
    const char *method, *path; /* behind the base */
    const void *body;          /* JSON, NULL: none */
    size_t body_bytes;
    const struct http_header *header; /* one more; NULL: none */
    size_t max_bytes;
    uint64_t total_ms;
};

/* As http_client_send; with the server's headers. */
int tool_http_peer_send(struct tool_http_peer *peer,
                        const struct tool_http_ask *ask, http_done_h *done,
                        void *arg, struct http_call **call);

/* As tool_init; shares the peer. */
int tool_http_run_create(struct tool **tp, struct tool_http_peer *peer,
                         const struct tool_spec *spec);

#endif
