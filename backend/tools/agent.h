/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Agents elsewhere that instructions are given to, and that answer much later:
 * an amplifierd (POST /sessions, /sessions/{id}/execute, /cancel), or any
 * server of OpenAI's chat completions. Conversations go on: each answer names
 * its own, bound to the tenant, and a later order may name it. A conversation
 * does one thing at a time; orders that don't name one are given an idle one
 * of the same caller, or a new one, so that several run side by side. Runs on
 * the services' loop over gate/http_client. Owns conversations and turns.
 * Never logs an instruction, an answer or a key.
 *
 *   ask ─► lane (its own, an idle one, a new one) ─► POST … ─► reply
 */

#ifndef VOICE_AGENT_H
#define VOICE_AGENT_H

#include "base/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_LANES_MAX       64      /* conversations kept, all callers' */
#define AGENT_ID_BYTES        40      /* of a conversation, NUL included */
#define AGENT_INSTRUCTION_MAX 65536   /* bytes */
#define AGENT_ANSWER_MAX      1048576 /* bytes of an HTTP answer */
#define AGENT_HISTORY_BYTES   131072  /* kept of one chat conversation */

struct http_client;
struct agent;
struct agent_turn;

enum agent_kind { AGENT_AMPLIFIERD, AGENT_CHAT };

struct agent_config {
    struct loop *loop;
    struct http_client *http; /* outlives the agent */
    enum agent_kind kind;
    const char *url;         /* base: http(s)://host[:port][/path] */
    const char *key;         /* Authorization: Bearer; NULL or "": none */
    const char *ca_file;     /* NULL or "": the system's */
    const char *model;       /* chat: its `model` */
    const char *bundle;      /* amplifierd: bundle_name; "": its default */
    const char *working_dir; /* amplifierd; "": its own */
    uint64_t lanes;          /* conversations at once, 1..AGENT_LANES_MAX */
    uint64_t idle_ms;        /* an idle conversation is forgotten then */
};

enum agent_context {
    AGENT_CONTEXT_NONE,
    AGENT_CONTEXT_RECENT,
    AGENT_CONTEXT_ALL
};

struct agent_order {             /* texts are copied */
    const char *tenant, *caller; /* caller: session id; "": over HTTP */
    const char *name;            /* of the agent; "" the server's own */
    const char *instruction;
    const char *conversation;   /* "" none in particular */
    enum agent_context context; /* how much of what was said before counts */
    unsigned context_turns;     /* of AGENT_CONTEXT_RECENT */
    const char *traceparent;    /* "" none */
    uint64_t deadline_ms;       /* clock_now_ms() */
};

struct agent_reply {
    const char *error; /* NULL; else a sentence for a model */
    const char *type;  /* of the error, as in tools/tool_run.h */
    const char *text;  /* what the agent said, UTF-8; borrowed */
    size_t text_bytes;
    const char *conversation;
    unsigned turns; /* of the conversation, this one included */
};

/* Once a turn; never within agent_ask or agent_turn_cancel. */
typedef void agent_reply_h(void *arg, const struct agent_reply *reply);

/* Any thread. 0; UV_EINVAL: no such URL, or no model for chat; UV_ENOMEM. One
 * share, the caller's. */
int agent_create(struct agent **ap, const struct agent_config *cfg);
struct agent *agent_ref(struct agent *agent);
/* Any thread. The last one ends it on the loop: conversations are given up,
 * and told to an amplifierd. */
void agent_unref(struct agent **ap);

/* On the loop. 0: `reply` follows, and *tp may be cancelled until then.
 * UV_ENOMEM. Whatever else is wrong, the reply says. */
int agent_ask(struct agent *agent, const struct agent_order *order,
              agent_reply_h *reply, void *arg, struct agent_turn **tp);

/* On the loop: the request is taken back, an amplifierd told to stop; `reply`
 * follows with type "cancelled". */
void agent_turn_cancel(struct agent_turn *turn);

#endif
