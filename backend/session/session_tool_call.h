/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One function call of the model, and the round that it is part of: all calls
 * of one response. Private to session_tool_calls, which owns them, and to who
 * does what is to be done with a call. Pure.
 */

#ifndef VOICE_SESSION_TOOL_CALL_H
#define VOICE_SESSION_TOOL_CALL_H

#include <stdbool.h>
#include <stdint.h>

#define SESSION_TOOL_ID_BYTES      128        /* of calls, items, responses */
#define SESSION_TOOL_MESSAGE_BYTES 200        /* of progress */
#define SESSION_TOOL_OWN_CALL      "call_gw_" /* calls of ours begin so */
#define SESSION_TOOL_CALL_NAME_MAX 128

/* X(enum, text in logs, the states it may be left for) */
#define SESSION_TOOL_CALL_STATES(X)                                            \
    X(TOOL_CALL_NAMED, "named", READY | DONE | TOLD)                           \
    X(TOOL_CALL_READY, "ready", RUNNING | DONE | TOLD)                         \
    X(TOOL_CALL_RUNNING, "running", DONE | TOLD)                               \
    X(TOOL_CALL_DONE, "done", TOLD)                                            \
    X(TOOL_CALL_TOLD, "told", LATE)                                            \
    X(TOOL_CALL_LATE, "late", TOLD)                                            \
    X(TOOL_CALL_FOREIGN, "foreign", TOLD)

enum session_tool_call_state {
#define X(id, text, next) id,
    SESSION_TOOL_CALL_STATES(X)
#undef X
};

/* X(enum, text in logs, the phases it may be left for) */
#define SESSION_TOOL_ROUND_PHASES(X)                                           \
    X(TOOL_ROUND_OPEN, "open", WAITING)                                        \
    X(TOOL_ROUND_WAITING, "waiting", DUE | OVER)                               \
    X(TOOL_ROUND_DUE, "due", ASKED | OVER)                                     \
    X(TOOL_ROUND_ASKED, "asked", DUE | OVER)                                   \
    X(TOOL_ROUND_OVER, "over", 0)

enum session_tool_round_phase {
#define X(id, text, next) id,
    SESSION_TOOL_ROUND_PHASES(X)
#undef X
};

struct session_tool_round {
    struct session_tool_round *next;
    enum session_tool_round_phase phase;
    bool cancelled; /* nothing is to follow */
    unsigned tries; /* response.creates that met another response */
    uint64_t asked_ms;
    char response_id[SESSION_TOOL_ID_BYTES];
};

struct session_tool_call {
    struct session_tool_call *next;
    struct session_tool_round *round; /* NULL: it is over */
    enum session_tool_call_state state;
    unsigned serial; /* never twice in a session */
    bool foreign;    /* the client's */
    bool has_job;    /* one that has not told its end */
    bool is_long;    /* it was acknowledged: the result comes later */
    bool unwanted;   /* its job is to be cancelled */
    bool added;      /* the model has confirmed the output */
    bool seen;       /* a response has begun since */
    char *name;      /* owned, as the next two */
    char *arguments; /* JSON text as the model wrote it */
    char *text;      /* the output or late result; NULL when DONE: no memory */
    uint64_t started_ms, spoken_ms;
    char call_id[SESSION_TOOL_ID_BYTES];
    char item_id[SESSION_TOOL_ID_BYTES];      /* of the call */
    char output_id[40];                       /* of its output; "": none yet */
    char message[SESSION_TOOL_MESSAGE_BYTES]; /* of progress; "": none */
};

/* NULL: no memory, or an id that is too long. */
struct session_tool_call *session_tool_call_create(const char *call_id,
                                                   const char *item_id,
                                                   const char *name);
void session_tool_call_destroy(struct session_tool_call **cp);

/* The only writer of a state; a change that the table does not name is
 * refused, logged and counted (session_tool_illegal_count). */
bool session_tool_call_enter(struct session_tool_call *call,
                             enum session_tool_call_state to);
bool session_tool_round_enter(struct session_tool_round *round,
                              enum session_tool_round_phase to);
unsigned session_tool_illegal_count(void);

/* Takes *text; DONE unless it is told already. */
void session_tool_call_finish(struct session_tool_call *call, char **text);
/* The same with a failure that is ours. */
void session_tool_call_fail(struct session_tool_call *call, const char *type,
                            const char *message);

/* {"error":{"message":…,"type":…}}, malloc'ed, given; NULL: no memory. */
char *session_tool_failure(const char *type, const char *message);

#endif
