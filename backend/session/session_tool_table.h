/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The calls of one session and the rounds that they are part of: who is there,
 * when a round is over, what is kept so that nothing is done twice. Private to
 * session_tool_calls, embedded in it; owns calls and rounds. Pure.
 */

#ifndef VOICE_SESSION_TOOL_TABLE_H
#define VOICE_SESSION_TOOL_TABLE_H

#include "session/session_tool_call.h"

#include <stdbool.h>
#include <stddef.h>

#define SESSION_TOOL_TABLE_KEPT 64 /* answered ones, so that none is twice */

struct session_tool_table {
    struct session_tool_call *first; /* in the order they were announced */
    struct session_tool_call **last;
    struct session_tool_round *rounds; /* the oldest first */
    unsigned entries;
    unsigned serial;
};

void session_tool_table_init(struct session_tool_table *t);
void session_tool_table_deinit(struct session_tool_table *t);

struct session_tool_news {
    const char *response_id;
    const char *item_id;
    const char *call_id;
    const char *name;
    const char *arguments; /* NULL: not all there yet */
    bool server;           /* the name is the server's */
};

/* A call of a response that is being made. NULL: no memory, too many, or its
 * response is at its end. */
struct session_tool_call *
session_tool_table_add(struct session_tool_table *t,
                       const struct session_tool_news *news);

/* The oldest of the finished ones beyond those that are kept go. */
void session_tool_table_trim(struct session_tool_table *t);

/* --- rounds */

struct session_tool_round *
session_tool_table_round(const struct session_tool_table *t,
                         const char *response_id);

/* What there is of a round's calls. */
struct session_tool_sum {
    unsigned server, untold, unseen; /* the server's */
    unsigned foreign, unanswered;    /* the client's */
};
struct session_tool_sum
session_tool_table_sum(const struct session_tool_table *t,
                       const struct session_tool_round *round);

/* After anything that may have been the last that a round waited for: it is
 * due, or over and gone. */
void session_tool_table_settle(struct session_tool_table *t,
                               struct session_tool_round *round);
void session_tool_table_settle_all(struct session_tool_table *t);
void session_tool_table_over(struct session_tool_table *t,
                             struct session_tool_round *round);

/* --- questions; NULL: there is none */

struct session_tool_call *
session_tool_table_find(const struct session_tool_table *t,
                        const char *call_id);
struct session_tool_call *
session_tool_table_of_item(const struct session_tool_table *t,
                           const char *item_id);
/* One that has a job. */
struct session_tool_call *
session_tool_table_job(const struct session_tool_table *t, unsigned serial);

#endif
