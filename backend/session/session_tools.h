/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The server's tools in one session: tells the model of them, runs the calls
 * that are the server's, gives each its one output and has the model go on.
 * Clients see nothing of it. On the session's loop; nothing here waits: jobs
 * run in tool_runner, and what follows of them is sent from the loop. Owns
 * its calls and jobs; borrows the rest for life. Frees itself when it is
 * closed and the last job has told its end.
 *
 *   model ─► down ─► calls ─► tool_runner ─► calls ─► send, create ─► model
 *   client ─► up ───┘
 *
 * Refuses: to run a call of a response out of the conversation, which is the
 * business of who asked for it; to speak while somebody else does.
 */

#ifndef VOICE_SESSION_TOOLS_H
#define VOICE_SESSION_TOOLS_H

#include "base/loop.h"
#include "codec/policy.h"
#include "session/session_tool_watch.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define SESSION_TOOLS_RETRY_MS 200 /* the model took nothing */
#define SESSION_TOOLS_RESTORES 8   /* as often a client's update is amended */

struct session_tools;
struct tool_registry;
struct tool_runner;

struct session_tools_config {
    struct loop *loop;
    struct tool_runner *runner;
    struct tool_registry *registry;
    const struct policy *policy;
    bool beside;        /* the client speaks to the model past us: a call */
    const char *tenant; /* "" = default */
    const char *model;
    const char *session_id; /* borrowed for life, as all texts */
};

struct session_tools_handlers {
    /* An event for the model, which takes it (0, UV_EAGAIN) or not. */
    int (*send)(void *arg, const char *json, size_t bytes);
    /* A response.create; the same. NULL: as send. */
    int (*create)(void *arg, const char *json, size_t bytes);
    /* Nothing of the client's waits for the model. NULL: never does. */
    bool (*is_idle)(void *arg);
    /* An item is not for the client. NULL: nobody is shown anything. */
    void (*on_hidden)(void *arg, const char *item_id);
    /* What session_tools_blocks says may have changed. May be NULL. */
    void (*on_moved)(void *arg);
};

/*
 * 0 and *tp, or *tp stays NULL: the policy has no tools; UV_ENOMEM. No handler
 * runs inside, nor inside any verb but those that say so: they run from the
 * loop.
 */
int session_tools_create(struct session_tools **tp,
                         const struct session_tools_config *cfg,
                         const struct session_tools_handlers *handlers,
                         void *arg);
/* Cancels what runs; no handler is called any more. NULL is fine. */
void session_tools_close(struct session_tools **tp);

/* Lays the tools into the settings that the model is told at the start; NULL:
 * there are none. Tools that come and go later are told by themselves. 0 or
 * UV_ENOMEM. */
int session_tools_settings(struct session_tools *t, json_t **settings);

/* Takes them out again: the model refuses them. */
void session_tools_withdraw(const struct session_tools *t, json_t *settings);

/* An event of the model, changed for the client. false: it is not for the
 * client. on_hidden may run inside. */
bool session_tools_down(struct session_tools *t, struct session_event *e,
                        uint64_t now_ms);

/* A client's event that would go to the model. */
enum session_tool_verdict session_tools_up(struct session_tools *t,
                                           const struct realtime_peek *peek,
                                           struct realtime_span text,
                                           char **made, uint64_t now_ms);

/* The model takes events again. */
void session_tools_look(struct session_tools *t);

/* Events of the model may have been missed: what was open has ended. */
void session_tools_missed(struct session_tools *t);

/* A response.create of the client is to wait: outputs of the same response
 * are still to come. NULL: no. */
bool session_tools_blocks(const struct session_tools *t);
/* No call is open. NULL: none is. */
bool session_tools_is_quiet(const struct session_tools *t);

#endif
