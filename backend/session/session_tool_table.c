/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_tool_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES_MAX                                                            \
    1024 /* of one session: more than a response has room for                  \
          */

void
session_tool_table_init(struct session_tool_table *t)
{
    t->last = &t->first;
}

struct session_tool_call *
session_tool_table_find(const struct session_tool_table *t, const char *call_id)
{
    struct session_tool_call *call;

    for (call = t->first; call; call = call->next)
        if (strcmp(call->call_id, call_id) == 0)
            return call;
    return NULL;
}

struct session_tool_call *
session_tool_table_of_item(const struct session_tool_table *t,
                           const char *item_id)
{
    struct session_tool_call *call;

    for (call = t->first; call; call = call->next)
        if (strcmp(call->item_id, item_id) == 0)
            return call;
    return NULL;
}

struct session_tool_call *
session_tool_table_job(const struct session_tool_table *t, unsigned serial)
{
    struct session_tool_call *call;

    for (call = t->first; call; call = call->next)
        if (call->serial == serial)
            return call->has_job ? call : NULL;
    return NULL;
}

/* Nothing can come of it any more; it is kept so that it is not run twice. */
static bool
is_finished(const struct session_tool_call *call)
{
    return !call->round && call->state == TOOL_CALL_TOLD && !call->has_job;
}

/* The oldest of the finished ones go. */
void
session_tool_table_trim(struct session_tool_table *t)
{
    struct session_tool_call **at = &t->first;
    unsigned finished = 0;

    for (struct session_tool_call *call = t->first; call; call = call->next)
        finished += is_finished(call);
    while (*at && finished > SESSION_TOOL_TABLE_KEPT) {
        struct session_tool_call *call = *at;
        if (!is_finished(call)) {
            at = &call->next;
            continue;
        }
        *at = call->next;
        session_tool_call_destroy(&call);
        finished--;
        t->entries--;
    }
    t->last = &t->first;
    while (*t->last)
        t->last = &(*t->last)->next;
}

/* --- rounds */

struct session_tool_round *
session_tool_table_round(const struct session_tool_table *t,
                         const char *response_id)
{
    struct session_tool_round *round;

    for (round = t->rounds; round; round = round->next)
        if (strcmp(round->response_id, response_id) == 0)
            return round;
    return NULL;
}

/* Of a response that is being made: its calls come before its end. */
static struct session_tool_round *
round_open(struct session_tool_table *t, const char *response_id)
{
    struct session_tool_round **at = &t->rounds;
    struct session_tool_round *round = session_tool_table_round(t, response_id);

    if (round || strlen(response_id) >= SESSION_TOOL_ID_BYTES)
        return round;
    round = calloc(1, sizeof(*round));
    if (!round)
        return NULL;
    snprintf(round->response_id, sizeof(round->response_id), "%s", response_id);
    while (*at)
        at = &(*at)->next;
    *at = round;
    return round;
}

void
session_tool_table_over(struct session_tool_table *t,
                        struct session_tool_round *round)
{
    struct session_tool_round **at = &t->rounds;
    struct session_tool_call *call;

    session_tool_round_enter(round, TOOL_ROUND_OVER);
    for (call = t->first; call; call = call->next) {
        if (call->round != round)
            continue;
        call->round = NULL;
        if (call->state == TOOL_CALL_FOREIGN)
            session_tool_call_enter(call, TOOL_CALL_TOLD);
    }
    while (*at != round)
        at = &(*at)->next;
    *at = round->next;
    free(round);
    session_tool_table_trim(t);
}

struct session_tool_sum
session_tool_table_sum(const struct session_tool_table *t,
                       const struct session_tool_round *round)
{
    const struct session_tool_call *call;
    struct session_tool_sum sum = {0};

    for (call = t->first; call; call = call->next) {
        if (call->round != round)
            continue;
        if (call->foreign) {
            sum.foreign++;
            sum.unanswered += call->state == TOOL_CALL_FOREIGN;
            continue;
        }
        sum.server++;
        sum.untold += call->state < TOOL_CALL_TOLD;
        sum.unseen += !call->seen;
    }
    return sum;
}

/* After anything that may have been the last that it waited for. */
void
session_tool_table_settle(struct session_tool_table *t,
                          struct session_tool_round *round)
{
    struct session_tool_sum sum = session_tool_table_sum(t, round);

    if (round->phase == TOOL_ROUND_OPEN || sum.untold)
        return;
    if (round->phase == TOOL_ROUND_WAITING
        && (sum.unanswered || round->cancelled || sum.server == 0)) {
        session_tool_table_over(t, round);
        return;
    }
    if (sum.unseen == 0)
        session_tool_table_over(t, round);
    else if (round->phase == TOOL_ROUND_WAITING)
        session_tool_round_enter(round, TOOL_ROUND_DUE);
}

void
session_tool_table_settle_all(struct session_tool_table *t)
{
    struct session_tool_round *round, *next;

    for (round = t->rounds; round; round = next) {
        next = round->next;
        session_tool_table_settle(t, round);
    }
}

struct session_tool_call *
session_tool_table_add(struct session_tool_table *t,
                       const struct session_tool_news *news)
{
    struct session_tool_round *round;
    struct session_tool_call *call;

    if (t->entries >= ENTRIES_MAX)
        return NULL;
    call = session_tool_call_create(news->call_id, news->item_id, news->name);
    round = call ? round_open(t, news->response_id) : NULL;
    if (!round || round->phase != TOOL_ROUND_OPEN) {
        session_tool_call_destroy(&call);
        return NULL;
    }
    call->round = round;
    call->serial = ++t->serial;
    call->foreign = !news->server;
    call->state = call->foreign ? TOOL_CALL_FOREIGN : TOOL_CALL_NAMED;
    *t->last = call;
    t->last = &call->next;
    t->entries++;
    return call;
}

void
session_tool_table_deinit(struct session_tool_table *t)
{
    struct session_tool_round *round;

    while (t->first) {
        struct session_tool_call *call = t->first;
        t->first = call->next;
        session_tool_call_destroy(&call);
    }
    while ((round = t->rounds) != NULL) {
        t->rounds = round->next;
        free(round);
    }
    session_tool_table_init(t);
}
