/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session between a client made of a socket and a model made of arrays, on
 * a loop that the test itself turns: nothing happens between two rig_turns.
 */

#ifndef VOICE_TEST_SESSION_RIG_H
#define VOICE_TEST_SESSION_RIG_H

#include "base/buffer.h"
#include "codec/ws_frame.h"
#include "session/session.h"
#include "session/session_registry.h"

#define RIG_MESSAGES 4096

struct rig_message {
    char *text; /* NUL-terminated */
    size_t bytes;
    uint8_t opcode;
};

struct rig_messages {
    struct rig_message items[RIG_MESSAGES];
    size_t count;
};

struct rig_model {
    struct model_link link; /* first */
    const struct model_link_handlers *handlers;
    void *arg;
    struct rig_messages got;
    char asked[128]; /* the model's name */
    int open_result; /* what opening gives */
    int send_result; /* what a send gives; the text is kept with UV_EAGAIN */
    unsigned opened;
    bool paused;
    bool closing;
    bool closed;
};

struct rig {
    struct loop *loop;
    struct session_registry *registry;
    const struct policy *policy;
    const char *bound_session;   /* for rig_session_start; NULL none */
    struct tool_registry *tools; /* likewise, and the next */
    struct tool_runner *runner;
    struct rig_model model;
    int fd;     /* the client's end, -1 once closed */
    bool reads; /* the client takes what comes */
    struct buffer records, frames;
    struct ws_decoder decoder;
    struct rig_messages got;
    unsigned close_code; /* of a close frame, 0 none */
    char close_reason[WS_CONTROL_MAX];
    bool ended; /* END_REQUEST came */
    char *log_path;
};

/* Reserves the slot and starts a session; `changes` as of policy_text. The
 * model is open but has said nothing. */
void rig_start(struct rig *rig, const char *changes);
/* The same with an echo instead. */
void rig_start_echo(struct rig *rig);
/* A rig without a session, for one whose start fails. */
void rig_init(struct rig *rig, const char *changes);
int rig_session_start(struct rig *rig);
/* Until the session is gone, the client reading; half a second at most. */
void rig_wait_end(struct rig *rig);
/* Waits for the session's end, frees; the process must be as before. */
void rig_stop(struct rig *rig);

/* Turns the loop until nothing more happens, the client reading. */
void rig_turn(struct rig *rig);
/* Every timer that runs is due at once; checks that one was due in ms. */
void rig_hurry(struct rig *rig, uint64_t due_ms);

/* From the client. */
void rig_send(struct rig *rig, const char *text);
void rig_send_frame(struct rig *rig, unsigned opcode, const void *data,
                    size_t bytes);
void rig_send_record(struct rig *rig, unsigned type, const void *data,
                     size_t bytes);
void rig_client_close(struct rig *rig, unsigned code);
/* Bytes that are still in the socket towards the session. */
size_t rig_unread(struct rig *rig);

/* From the model, then a turn. */
void rig_say(struct rig *rig, const char *json);
void rig_model_end(struct rig *rig, uint16_t code, const char *reason);

/* The text of message n that the client or the model has got; fails the test
 * when there is none. */
const char *rig_client_got(struct rig *rig, size_t n);
const char *rig_model_got(struct rig *rig, size_t n);
/* The session's state as the registry shows it; malloc'ed. */
char *rig_state(struct rig *rig);
/* The whole log so far, malloc'ed. */
char *rig_log(struct rig *rig);
/* The same once the summary of a session is in it: it waits for the levels of
 * turns, which come from other threads. */
char *rig_summary(struct rig *rig);

#endif
