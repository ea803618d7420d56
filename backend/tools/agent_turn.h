/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One order to an agent while it is under way: its texts, its lane, and the
 * one HTTP request or pause that it waits for. Back ends (agent_amplifierd,
 * agent_chat) lead it from request to request; its owner (agent) is told its
 * end. On the services' loop. Owns its texts, request and timer.
 */

#ifndef VOICE_AGENT_TURN_H
#define VOICE_AGENT_TURN_H

#include "tools/agent.h"
#include "tools/agent_lanes.h"

#include <jansson.h>
#include <stdbool.h>

struct http_call;
struct loop_timer;

/* What requests need of the agent; it owns these. */
struct agent_server {
    struct loop *loop;
    struct http_client *http;
    char *url;           /* without a slash at its end */
    char *authorization; /* "Bearer …"; NULL: none */
    char *ca_file, *model, *bundle, *working_dir; /* "" none */
};

/* What came of a request. */
struct agent_answer {
    unsigned status;    /* 0: none came, `type` and `error` say why */
    const json_t *body; /* NULL: it was no JSON object */
    unsigned retry_ms;  /* of Retry-After; 0: none */
    const char *type, *error;
};

typedef void agent_answer_h(struct agent_turn *turn,
                            const struct agent_answer *answer);
typedef void agent_later_h(struct agent_turn *turn);
/* The turn's end; frees it afterwards. */
typedef void agent_ended_h(struct agent_turn *turn,
                           const struct agent_reply *reply);

struct agent_turn {
    struct agent *agent;
    const struct agent_server *server;
    struct agent_lane *lane; /* NULL: it was given none */
    char *tenant, *caller, *name, *instruction, *conversation, *traceparent;
    enum agent_context context;
    unsigned context_turns;
    uint64_t deadline_ms;
    bool cancelled;
    unsigned tries; /* the back end's */
    agent_reply_h *reply;
    void *arg;
    agent_ended_h *ended;
    /* agent_turn's */
    struct http_call *call;
    bool calling;
    agent_answer_h *on_answer;
    agent_later_h *on_later;
    struct loop_timer *timer;
    struct loop_task task; /* the owner's */
};

/* NULL: no memory. */
struct agent_turn *agent_turn_create(const struct agent_server *server,
                                     const struct agent_order *order);
/* Nothing is under way. */
void agent_turn_destroy(struct agent_turn *turn);

/* Takes the body (NULL: none); `done` follows, never inside, unless the turn
 * was ended here. `path` begins with a slash. */
void agent_turn_send(struct agent_turn *turn, const char *method,
                     const char *path, json_t *body, agent_answer_h *done);

/* Waits; a turn whose deadline is sooner is ended then. */
void agent_turn_later(struct agent_turn *turn, unsigned ms,
                      agent_later_h *later);

/* Takes back what it waits for; the end follows. */
void agent_turn_stop(struct agent_turn *turn);

/* The last thing that is done with it. */
void agent_turn_answer(struct agent_turn *turn, const char *text,
                       size_t text_bytes);
void agent_turn_fail(struct agent_turn *turn, const char *type,
                     const char *error);
/* By a status that isn't what was hoped for, or no answer at all. */
void agent_turn_refuse(struct agent_turn *turn,
                       const struct agent_answer *answer);

/* A request whose answer nobody waits for. Takes the body. */
void agent_server_tell(const struct agent_server *server, const char *method,
                       const char *path, json_t *body);

#endif
