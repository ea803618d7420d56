/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The three state machines of a session: its own, and one for each leg. Each
 * has one writer, session_state_enter, which refuses a change that the table
 * does not name: that is logged as an alert and counted. Owns nothing; on the
 * session's loop.
 */

#ifndef VOICE_SESSION_STATE_H
#define VOICE_SESSION_STATE_H

#include <stdbool.h>
#include <stdint.h>

/* X(enum, text, the states it may be left for) */
#define SESSION_STATES(X)                                                      \
    X(SESSION_STARTING, "starting", LIVE | DRAINING | ENDED)                   \
    X(SESSION_LIVE, "live", DRAINING | ENDED)                                  \
    X(SESSION_DRAINING, "draining", LIVE | ENDED)                              \
    X(SESSION_ENDED, "ended", 0)

#define SESSION_CLIENT_LEGS(X)                                                 \
    X(CLIENT_NONE, "none", ATTACHED)                                           \
    X(CLIENT_ATTACHED, "attached", NONE | DETACHED)                            \
    X(CLIENT_DETACHED, "detached", ATTACHED | NONE)

#define SESSION_UPSTREAM_LEGS(X)                                               \
    X(UPSTREAM_OPENING, "opening", READY | LOST)                               \
    X(UPSTREAM_READY, "ready", SWAPPING | LOST)                                \
    X(UPSTREAM_SWAPPING, "swapping", READY | LOST)                             \
    X(UPSTREAM_LOST, "lost", 0)

enum session_state {
#define X(id, text, next) id,
    SESSION_STATES(X)
#undef X
};
enum session_client_leg {
#define X(id, text, next) id,
    SESSION_CLIENT_LEGS(X)
#undef X
};
enum session_upstream_leg {
#define X(id, text, next) id,
    SESSION_UPSTREAM_LEGS(X)
#undef X
};

struct session_machine;
extern const struct session_machine session_machine;
extern const struct session_machine session_client_machine;
extern const struct session_machine session_upstream_machine;

/* Changes *state to `to`; false: it may not, and nothing changed. `id` is for
 * the log. */
bool session_state_enter(const struct session_machine *m, uint8_t *state,
                         unsigned to, const char *id);

/* A literal. */
const char *session_state_name(const struct session_machine *m, unsigned state);

/* Forbidden changes so far, process-wide: always 0. Any thread. */
unsigned session_illegal_count(void);

#endif
