/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One tool whose result goes out in pages, as they come: the request thread
 * orders it, writes the header and gives the descriptor to a loop; a page is
 * made when the one before it has left, so that a reader who is slow holds
 * nothing but its own tool, between two pages. A client that goes away cancels
 * it. What is known at once (kept, refused) is answered on the request thread.
 *
 *   tool ─► page ─► line ─► answer_stream ─► NGINX
 *     └──── tool_job_continue ◄── on_room
 *
 * Lines are the same objects for server-sent events (event: type, data: the
 * object) and for JSON lines:
 *     {"type":"page","page":{…}}
 *     {"type":"progress","progress":…,"total":…|null,"message":…|null}
 *     {"type":"alive"}                      (JSON lines, when 15 s are silent)
 *     {"type":"result","success":…,…}       as a single call is answered; last
 */

#ifndef VOICE_API_TOOLS_STREAM_H
#define VOICE_API_TOOLS_STREAM_H

#include "api/api_answer.h"

struct tool_order;

enum api_tools_format { API_TOOLS_ONE, API_TOOLS_SSE, API_TOOLS_NDJSON };

/* What the request's Accept asks for. */
enum api_tools_format api_tools_format(struct gate_request *rq);

/* Sets loop and wants_pages of the order. rq is gone. */
void api_tools_stream(struct gate_request *rq, struct api_context *api,
                      struct tool_order *order, enum api_tools_format format);

/* Streams that live, of the process: a server ends after them. */
unsigned api_tools_stream_count(void);

#endif
