/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The way from the client to the model of one session. Embedded in it; on its
 * loop. Borrows the legs from the session. Owns the messages that came before
 * the model was ready. Every message is peeked at; one that is no event, too
 * large or against the policy is answered with an error event and goes no
 * further. A model that takes no more pauses the client.
 */

#ifndef VOICE_SESSION_UP_H
#define VOICE_SESSION_UP_H

#include "session/session_down.h"

#define SESSION_UP_EVENT_MAX 1048576  /* bytes of an event without audio */
#define SESSION_UP_WAIT_HIGH 65536    /* waiting: the client is paused */
#define SESSION_UP_WAIT_ALL  67108864 /* of all sessions: overloaded */

enum session_up_phase { UP_WAITING, UP_OPEN, UP_CLOSED };

struct session_up_message;

struct session_up_handlers {
    /* The session must end. May run inside any call here. */
    void (*on_fail)(void *arg, enum session_end_reason reason,
                    const char *text);
};

struct session_up {
    const struct policy *policy;
    const char *model; /* the session's, for the filter */
    struct session_client *client;
    struct model_link *link;
    struct session_down *down;
    struct session_entry *entry;
    const struct session_up_handlers *handlers;
    void *arg;

    struct session_up_message *first; /* waiting, in order */
    struct session_up_message **last;
    size_t waiting_bytes;
    enum session_up_phase phase;
    bool model_full;
};

/* The caller has zeroed *up and set policy to arg; link may follow before
 * session_up_open. */
void session_up_init(struct session_up *up);

/* Nothing goes to either leg any more; what waits is dropped. */
void session_up_close(struct session_up *up);

/* A message of the client; borrowed. */
void session_up_message(struct session_up *up, enum stream_opcode opcode,
                        const void *data, size_t bytes);

/* The model is ready: what waited goes first. */
void session_up_open(struct session_up *up);

/* The model takes events again. */
void session_up_writable(struct session_up *up);

/* Nothing of the client waits for the model. */
bool session_up_is_empty(const struct session_up *up);

/* Bytes that wait in all sessions of the process. Any thread. */
size_t session_up_waiting_all(void);

#endif
