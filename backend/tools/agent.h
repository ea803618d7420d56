/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Agents elsewhere that instructions are given to, and that answer much later:
 * an amplifierd (tools/agent_amplifierd), or any server of OpenAI's chat
 * completions (tools/agent_chat). Conversations go on: each answer names its
 * own, bound to the tenant, and a later order may name it. A conversation does
 * one thing at a time; orders that name none are given an idle one of the same
 * caller, or a new one, so that several run side by side. Runs on the services'
 * loop over gate/http_client. Owns conversations and turns. Never logs an
 * instruction, an answer or a key.
 *
 *   ask ─► lane (its own, an idle one, a new one) ─► POST … ─► reply
 */

#ifndef VOICE_AGENT_H
#define VOICE_AGENT_H

#include "base/loop.h"

#include <stddef.h>
#include <stdint.h>

#define AGENT_LANES_MAX       64      /* conversations kept, all callers' */
#define AGENT_ID_BYTES        32      /* of a conversation, with its end */
#define AGENT_INSTRUCTION_MAX 65536   /* bytes */
#define AGENT_NAME_MAX        128     /* bytes */
#define AGENT_ANSWER_MAX      1048576 /* bytes of an HTTP answer */
#define AGENT_TURNS_RECENT    5

struct http_client;
struct agent;
struct agent_turn;

enum agent_kind { AGENT_AMPLIFIERD, AGENT_CHAT };

struct agent_config { /* texts are copied */
    struct loop *loop;
    struct http_client *http; /* outlives agent_closing */
    enum agent_kind kind;
    const char *url;         /* base: http(s)://host[:port][/path] */
    const char *key;         /* Authorization: Bearer; NULL or "": none */
    const char *ca_file;     /* NULL or "": the system's */
    const char *model;       /* chat: its `model` */
    const char *bundle;      /* amplifierd: bundle_name; NULL, "": its own */
    const char *working_dir; /* amplifierd; NULL, "": its own */
    uint64_t lanes;          /* conversations kept, 1 to AGENT_LANES_MAX */
    uint64_t idle_ms;        /* an idle conversation is forgotten then */
};

/* How much of what was said before the agent is given. */
enum agent_context {
    AGENT_CONTEXT_NONE,   /* without a conversation: a new one */
    AGENT_CONTEXT_RECENT, /* chat: the last context_turns */
    AGENT_CONTEXT_ALL
};

struct agent_order {            /* texts are copied */
    const char *tenant;         /* "" the default */
    const char *caller;         /* session id; "": over HTTP */
    const char *name;           /* of the agent; "" the server's own */
    const char *instruction;    /* AGENT_INSTRUCTION_MAX */
    const char *conversation;   /* "" none in particular */
    enum agent_context context; /* amplifierd keeps all of a conversation */
    unsigned context_turns;
    const char *traceparent; /* "" none */
    uint64_t deadline_ms;    /* clock_now_ms() */
};

struct agent_reply {
    const char *type;  /* NULL: answered; else as in tools/tool_run.h */
    const char *error; /* then a sentence for a model */
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
/* Any thread; takes the share. With the last, when no turn is left, it ends on
 * the loop: an amplifierd is told that the conversations are over. */
void agent_unref(struct agent **ap);

/* On the loop. 0: `reply` follows, and *tp may be cancelled until then; a share
 * is held meanwhile. UV_ENOMEM. Whatever else is wrong, the reply says. */
int agent_ask(struct agent *agent, const struct agent_order *order,
              agent_reply_h *reply, void *arg, struct agent_turn **tp);

/* On the loop: the request is taken back, an amplifierd told to stop; `reply`
 * follows with type "cancelled". */
void agent_cancel(struct agent_turn *turn);

/* Agents without shares that have not ended, and turns that are being told
 * their end; any thread. The loop must run until it is 0. */
unsigned agent_closing(void);

#endif
