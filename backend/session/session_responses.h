/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One response of the default conversation at a time: a model refuses a
 * response.create while one is being made, and clients fall silent over it.
 * A create that comes too early waits for response.done (those of the model's
 * turn detection count too) and goes out then; what else the client says
 * meanwhile is not held back behind it. One that met a response which the
 * model began at the same moment is sent again once. Responses beside the
 * conversation ("none") never wait. Pure; embedded in the session, owns the
 * texts that wait.
 *
 * An SDK that awaits response.created or an error by its event_id gets either:
 * the created one late, or the error when its create is given up. Metadata
 * goes with the text.
 */

#ifndef VOICE_SESSION_RESPONSES_H
#define VOICE_SESSION_RESPONSES_H

#include "session/session_event.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_RESPONSES_HELD       4       /* creates that wait */
#define SESSION_RESPONSES_HELD_BYTES 1048576 /* all of them together */
#define SESSION_RESPONSES_KEPT_BYTES 65536   /* sent, kept for another try */
#define SESSION_RESPONSES_ID_BYTES   64

/* A response of which nothing was heard for so long holds up nobody. */
#define SESSION_RESPONSES_STALE_MS 30000

enum session_responses_phase {
    RESPONSES_IDLE,
    RESPONSES_ASKED,  /* a create went out */
    RESPONSES_RUNNING /* response.created came */
};

struct session_create;

struct session_responses {
    enum session_responses_phase phase;
    struct session_create *asked; /* the one that was sent; NULL: forgotten */
    struct session_create *first; /* those that wait */
    unsigned held;
    size_t held_bytes;
    unsigned beside_asked; /* out of band */
    unsigned beside;       /* out of band, running */
    uint64_t heard_ms;     /* of the present response */
    bool blocked;          /* creates wait for something else too */
    char id[SESSION_RESPONSES_ID_BYTES]; /* of the running one, "" unknown */
};

enum session_responses_verdict {
    RESPONSES_SEND,
    RESPONSES_HELD,
    RESPONSES_FULL,   /* refuse it: an active response */
    RESPONSES_SWALLOW /* a cancel of nothing */
};

void session_responses_deinit(struct session_responses *r);

/* A client's response.create; `text` is what would go to the model (copied),
 * `peek` is of what came. */
enum session_responses_verdict
session_responses_create(struct session_responses *r,
                         const struct realtime_peek *peek,
                         struct realtime_span text, uint64_t now_ms);

/* A response.create of the gateway itself, sent while all was idle: it is
 * awaited like another, and not sent again. */
void session_responses_asked(struct session_responses *r,
                             const struct realtime_peek *peek, uint64_t now_ms);
/* Nothing is made, asked for, or waits. */
bool session_responses_is_idle(const struct session_responses *r,
                               uint64_t now_ms);

/* A client's response.cancel: RESPONSES_SEND or RESPONSES_SWALLOW. When it
 * meets the present response, *drops says that what waits goes too. */
enum session_responses_verdict
session_responses_cancel(struct session_responses *r,
                         const struct realtime_peek *peek, bool *drops);

/* An event of the model; false: it is swallowed (the refusal of a create that
 * is tried again). */
bool session_responses_look(struct session_responses *r,
                            struct session_event *e, uint64_t now_ms);

/* The text of the create that may go out now, NULL none; borrowed until the
 * next call here. */
const char *session_responses_next(struct session_responses *r, size_t *bytes,
                                   uint64_t now_ms);

/* Drops the first of those that wait: its event_id as JSON (malloc'ed, given;
 * NULL: it had none). false: none waits. */
bool session_responses_drop(struct session_responses *r, char **event_id);

#endif
