/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A server of tools over plain HTTP, as Amplifier's voice server is one: GET
 * {base}/tools tells its tools, POST {base}/execute/{name} with the arguments
 * as its body runs one and answers {"success":…,"output" or "error":…}. Reached
 * again and again, listed anew each minute, by conditional request where the
 * server gives an ETag. Its tools keep the server's names; which answers of
 * "GET /tools" are understood is said at codec/tool_offer. One request a
 * call, on connections that http_client keeps; a failure is told, not tried
 * again, since nobody knows what the tool has done. Lives on the services'
 * loop.
 */

#ifndef VOICE_TOOL_HTTP_H
#define VOICE_TOOL_HTTP_H

#include "tools/tool_server.h"

/* On the loop. 0 and *sp, which ops->close ends; UV_ENOMEM. */
int tool_http_create(struct tool_server **sp,
                     const struct tool_server_config *cfg,
                     const struct tool_server_handlers *handlers, void *arg);

#endif
