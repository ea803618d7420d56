/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The calls of tools that an MCP server still owes an answer, or that wait for
 * it to come back. Embedded in its client, on its loop. Owns each call from
 * _add until its on_done, MCP_CALLS_MAX at once; sends through the link that it
 * is given at that moment.
 *
 *   _add ─► waiting ─ _flush ─► sent ─ _answer, _fail, _cancel ─► on_done
 *              ▲──────── _refused: not carried out ──┘
 */

#ifndef VOICE_MCP_CALLS_H
#define VOICE_MCP_CALLS_H

#include "codec/json_rpc.h"
#include "codec/mcp_message.h"
#include "tools/mcp_link.h"

#define MCP_CALLS_MAX         128
#define MCP_PROGRESS_LEAST_MS 100 /* between two words of progress */

/* Copied, but for the trees, which are shared. */
struct mcp_call_request {
    const char *tool;
    const json_t *arguments;
    const json_t *schema;    /* of the arguments */
    const char *traceparent; /* "" none */
    uint64_t timeout_ms;     /* hard */
};

/* Borrowed. */
struct mcp_call_end {
    int error;            /* 0: `result`, or a refusal in `message` */
    const json_t *result; /* NULL: the server refused */
    int64_t code;         /* of the refusal */
    const char *message;  /* of the refusal, or what went wrong */
};

struct mcp_call_handlers {
    void (*on_progress)(void *arg, const struct mcp_progress *progress);
    /* Once, the last one; also within _cancel, never within _add. */
    void (*on_done)(void *arg, const struct mcp_call_end *end);
};

struct mcp_call;

struct mcp_calls {
    struct mcp_call *first, **last; /* in the order they came */
    unsigned count;
    int64_t ids; /* given so far */
};

/* How they are sent at this moment. */
struct mcp_calls_way {
    struct mcp_link *link;
    const struct mcp_greeting *greeting;
    uint64_t (*next_number)(void *arg);
    void *arg;
};

void mcp_calls_init(struct mcp_calls *calls);

/* The call's id, over 0, for _cancel; UV_ENOBUFS, UV_ENOMEM. */
int64_t mcp_calls_add(struct mcp_calls *calls,
                      const struct mcp_call_request *rq,
                      const struct mcp_call_handlers *handlers, void *arg,
                      uint64_t now_ms);

/* Sends what waits. */
void mcp_calls_flush(struct mcp_calls *calls, const struct mcp_calls_way *way);

/* An answer, or progress, to a call that was sent with that number; false:
 * there is none. */
bool mcp_calls_answer(struct mcp_calls *calls, const struct json_rpc *answer);
bool mcp_calls_progress(struct mcp_calls *calls,
                        const struct mcp_progress *progress, uint64_t now_ms);

/* The link failed it. UV_ENOTCONN, for the first time: it waits again. */
bool mcp_calls_fail(struct mcp_calls *calls, uint64_t number, int error,
                    const char *why);

/* All of them, or those that were sent. */
void mcp_calls_fail_all(struct mcp_calls *calls, bool waiting_too, int error,
                        const char *why);

/* The server is told, when it was sent; on_done comes with UV_ECANCELED.
 * `way` NULL: there is nobody to tell. */
void mcp_calls_cancel(struct mcp_calls *calls, int64_t id,
                      const struct mcp_calls_way *way);
/* The same, with UV_ETIMEDOUT, of each that is overdue. */
void mcp_calls_expire(struct mcp_calls *calls, uint64_t now_ms,
                      const struct mcp_calls_way *way);

#endif
