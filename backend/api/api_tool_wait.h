/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One order of a tool and the request that waits for it. What the runner
 * answers at once goes out on this thread, nobody parks; else the request is
 * parked until the tool has ended, and its client's going away cancels the
 * order. Request threads; owns itself until both are through.
 *
 *   order ─┬─ answered ─► rq
 *          └─ under way ─► rq parked ─► on_done ─► gate_resume ─► rq
 */

#ifndef VOICE_API_TOOL_WAIT_H
#define VOICE_API_TOOL_WAIT_H

#include "api/api_tool_answer.h"

/* Longer than any tool may take: the runner answers each order in its time. */
#define API_TOOL_WAIT_MS 3600000

#define API_TOOL_NO_OBJECT "The arguments must be a JSON object."

/* The order of the request, of the tool that its path names; borrows. */
void api_tool_order_init(struct tool_order *order, struct gate_request *rq,
                         const json_t *arguments);

/* rq is gone. The order's loop and wants_pages are unset. */
void api_tool_wait(struct gate_request *rq, struct api_context *api,
                   const struct tool_order *order, enum api_tool_shape shape);

#endif
