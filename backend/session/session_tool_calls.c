/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   model ─► tell ─► calls of a round ─► next: RUN ─► job ─► done
 *                                          │                  │
 *   model ◄─ CREATE ◄─ all told ◄─ OUTPUT ◄┴──── in order ◄───┘
 */

#include "session/session_tool_calls.h"

#include "codec/tool_limits.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PROGRESS_AFTER_MS 5000  /* so long a call runs in silence */
#define PROGRESS_AGAIN_MS 15000 /* and so long again */
#define ASKED_MS          10000 /* no response comes of a create later */
#define CANCELLED                                                              \
    "The call was cancelled before its result was there. What it had begun "   \
    "to change may have changed."
#define INCOMPLETE                                                             \
    "The call was interrupted before its arguments were complete; it was not " \
    "run."
#define TOO_MANY                                                               \
    "Too many calls are open at once; this one was not run. Wait for the "     \
    "others and call again."

void
session_tool_calls_init(struct session_tool_calls *c)
{
    session_tool_table_init(&c->table);
}

void
session_tool_calls_deinit(struct session_tool_calls *c)
{
    session_tool_table_deinit(&c->table);
}

/* --- the model */

static void
complete(struct session_tool_calls *c, struct session_tool_call *call,
         const char *arguments)
{
    unsigned open = 0;

    for (const struct session_tool_call *one = c->table.first; one;
         one = one->next)
        open += !one->foreign && one->state < TOOL_CALL_DONE && one != call;
    call->arguments = strdup(arguments);
    session_tool_call_enter(call, TOOL_CALL_READY);
    if (open >= SESSION_TOOL_CALLS_OPEN || !call->arguments)
        session_tool_call_fail(call, "busy", TOO_MANY);
}

int
session_tool_calls_tell(struct session_tool_calls *c,
                        const struct session_tool_news *news)
{
    struct session_tool_call *call =
        session_tool_table_find(&c->table, news->call_id);

    if (!call)
        call = session_tool_table_add(&c->table, news);
    if (!call)
        return UV_ENOMEM;
    if (news->arguments && call->state == TOOL_CALL_NAMED)
        complete(c, call, news->arguments);
    return 0;
}

/* Nobody wants its result any more. What is done stays. */
static void
call_cancel(struct session_tool_call *call, const char *message)
{
    if (call->foreign || call->state > TOOL_CALL_RUNNING)
        return;
    call->unwanted = call->has_job;
    session_tool_call_fail(call, "cancelled", message);
}

void
session_tool_calls_deleted(struct session_tool_calls *c, const char *item_id)
{
    struct session_tool_call *call =
        session_tool_table_of_item(&c->table, item_id);

    if (!call || call->state >= TOOL_CALL_TOLD)
        return;
    call->unwanted = call->has_job;
    session_tool_call_enter(call, TOOL_CALL_TOLD);
    call->seen = true; /* there is nothing to be seen */
    if (call->round)
        session_tool_table_settle(&c->table, call->round);
}

void
session_tool_calls_began(struct session_tool_calls *c)
{
    struct session_tool_call *call;

    for (call = c->table.first; call; call = call->next)
        call->seen =
            call->seen || (call->added && call->state >= TOOL_CALL_TOLD);
    session_tool_table_settle_all(&c->table);
}

static void
round_end(struct session_tool_calls *c, struct session_tool_round *round,
          bool cancelled)
{
    struct session_tool_call *call;

    round->cancelled = cancelled;
    for (call = c->table.first; call; call = call->next) {
        if (call->round != round)
            continue;
        if (call->state == TOOL_CALL_NAMED)
            call_cancel(call, INCOMPLETE);
        else if (cancelled)
            call_cancel(call, CANCELLED);
    }
    session_tool_round_enter(round, TOOL_ROUND_WAITING);
    session_tool_table_settle(&c->table, round);
}

void
session_tool_calls_ended(struct session_tool_calls *c, const char *response_id,
                         bool cancelled)
{
    struct session_tool_round *round =
        session_tool_table_round(&c->table, response_id);

    if (round && round->phase == TOOL_ROUND_OPEN)
        round_end(c, round, cancelled);
}

void
session_tool_calls_missed(struct session_tool_calls *c)
{
    struct session_tool_round *round, *next;

    for (round = c->table.rounds; round; round = next) {
        next = round->next;
        if (round->phase == TOOL_ROUND_OPEN)
            round_end(c, round, false);
    }
}

void
session_tool_calls_added(struct session_tool_calls *c, const char *item_id)
{
    struct session_tool_call *call;

    for (call = c->table.first; call; call = call->next)
        if (call->output_id[0] && strcmp(call->output_id, item_id) == 0)
            call->added = true;
}

void
session_tool_calls_refused(struct session_tool_calls *c, bool active)
{
    struct session_tool_round *round, *next;

    for (round = c->table.rounds; round; round = next) {
        next = round->next;
        if (round->phase != TOOL_ROUND_ASKED)
            continue;
        if (active && ++round->tries < SESSION_TOOL_CALLS_TRIES)
            session_tool_round_enter(round, TOOL_ROUND_DUE);
        else
            session_tool_table_over(&c->table, round);
    }
}

/* --- the client */

bool
session_tool_calls_output(struct session_tool_calls *c, const char *call_id)
{
    struct session_tool_call *call =
        session_tool_table_find(&c->table, call_id);

    if (!call)
        return true;
    if (!call->foreign)
        return false;
    if (call->state == TOOL_CALL_FOREIGN)
        session_tool_call_enter(call, TOOL_CALL_TOLD);
    return true;
}

void
session_tool_calls_stop(struct session_tool_calls *c)
{
    struct session_tool_call *call;
    struct session_tool_round *round, *next;

    for (call = c->table.first; call; call = call->next)
        if (call->round && call->round->phase != TOOL_ROUND_OPEN)
            call_cancel(call, CANCELLED);
    for (round = c->table.rounds; round; round = next) {
        next = round->next;
        if (round->phase == TOOL_ROUND_OPEN)
            continue;
        round->cancelled = true;
        if (round->phase > TOOL_ROUND_WAITING)
            session_tool_table_over(&c->table, round);
    }
    c->late_due = false;
}

/* --- the jobs */

static void
late_take(struct session_tool_call *call, char **text)
{
    if (call->state == TOOL_CALL_TOLD && !call->unwanted) {
        session_tool_call_enter(call, TOOL_CALL_LATE);
        call->text = *text;
        *text = NULL;
    } else if (call->state == TOOL_CALL_DONE && !call->unwanted) {
        /* Its first word has not gone: the result goes in its place. */
        free(call->text);
        call->text = *text;
        *text = NULL;
    }
    free(*text);
    *text = NULL;
}

void
session_tool_calls_done(struct session_tool_calls *c, unsigned serial,
                        char **text)
{
    struct session_tool_call *call = session_tool_table_job(&c->table, serial);

    if (!call) {
        free(*text);
        *text = NULL;
        return;
    }
    call->has_job = false;
    if (call->is_long)
        late_take(call, text);
    else
        session_tool_call_finish(call, text);
    session_tool_table_trim(&c->table);
}

void
session_tool_calls_acknowledged(struct session_tool_calls *c, unsigned serial,
                                char **text)
{
    struct session_tool_call *call = session_tool_table_job(&c->table, serial);

    if (call && call->state == TOOL_CALL_RUNNING) {
        call->is_long = true;
        session_tool_call_finish(call, text);
    }
    free(*text);
    *text = NULL;
}

void
session_tool_calls_progress(struct session_tool_calls *c, unsigned serial,
                            const char *message)
{
    struct session_tool_call *call = session_tool_table_job(&c->table, serial);

    if (!call || !message)
        return;
    size_t bytes =
        tool_limits_cut(message, strlen(message), sizeof(call->message) - 1);
    memcpy(call->message, message, bytes);
    call->message[bytes] = 0;
}

void
session_tool_calls_dropped(struct session_tool_calls *c, unsigned serial)
{
    struct session_tool_call *call = session_tool_table_job(&c->table, serial);

    if (!call)
        return;
    call->has_job = false;
    if (!call->is_long)
        session_tool_call_fail(call, "cancelled", CANCELLED);
    session_tool_table_trim(&c->table);
}

/* --- what is to be done */

static struct session_tool_call *
any_find(const struct session_tool_calls *c,
         bool (*fits)(const struct session_tool_call *call))
{
    struct session_tool_call *call;

    for (call = c->table.first; call; call = call->next)
        if (fits(call))
            return call;
    return NULL;
}

static bool
is_to_cancel(const struct session_tool_call *call)
{
    return call->unwanted && call->has_job;
}

static bool
is_ready(const struct session_tool_call *call)
{
    return call->state == TOOL_CALL_READY;
}

static bool
is_late(const struct session_tool_call *call)
{
    return call->state == TOOL_CALL_LATE;
}

static bool
has_progress(const struct session_tool_call *call)
{
    return call->state == TOOL_CALL_RUNNING && call->message[0];
}

/* The first of its round that the model has not been told of, when that one is
 * done. */
static struct session_tool_call *
output_find(const struct session_tool_calls *c)
{
    const struct session_tool_round *round;
    struct session_tool_call *call;

    for (round = c->table.rounds; round; round = round->next) {
        call = c->table.first;
        while (call
               && (call->round != round || call->foreign
                   || call->state >= TOOL_CALL_TOLD))
            call = call->next;
        if (call && call->state == TOOL_CALL_DONE)
            return call;
    }
    return NULL;
}

static bool
is_due(const struct session_tool_calls *c)
{
    const struct session_tool_round *round;

    for (round = c->table.rounds; round; round = round->next)
        if (round->phase == TOOL_ROUND_DUE)
            return true;
    return c->late_due;
}

static struct session_tool_call *
progress_find(const struct session_tool_calls *c, uint64_t now_ms)
{
    struct session_tool_call *call;

    for (call = c->table.first; call; call = call->next)
        if (has_progress(call) && now_ms - call->started_ms >= PROGRESS_AFTER_MS
            && (!call->spoken_ms
                || now_ms - call->spoken_ms >= PROGRESS_AGAIN_MS))
            return call;
    return NULL;
}

/* No response ever came of a create, nor an error. */
static void
asked_age(struct session_tool_calls *c, uint64_t now_ms)
{
    struct session_tool_round *round, *next;

    for (round = c->table.rounds; round; round = next) {
        next = round->next;
        if (round->phase == TOOL_ROUND_ASKED
            && now_ms - round->asked_ms >= ASKED_MS)
            session_tool_table_over(&c->table, round);
    }
}

static enum session_tool_act
speech_next(struct session_tool_calls *c, uint64_t now_ms,
            struct session_tool_call **call)
{
    if ((*call = any_find(c, is_late)) != NULL)
        return TOOL_ACT_LATE;
    if (is_due(c))
        return TOOL_ACT_CREATE;
    if ((*call = progress_find(c, now_ms)) != NULL)
        return TOOL_ACT_PROGRESS;
    return TOOL_ACT_NONE;
}

enum session_tool_act
session_tool_calls_next(struct session_tool_calls *c, bool free,
                        uint64_t now_ms, struct session_tool_call **call)
{
    asked_age(c, now_ms);
    if ((*call = any_find(c, is_to_cancel)) != NULL)
        return TOOL_ACT_CANCEL;
    if ((*call = any_find(c, is_ready)) != NULL)
        return TOOL_ACT_RUN;
    if ((*call = output_find(c)) != NULL)
        return TOOL_ACT_OUTPUT;
    return free ? speech_next(c, now_ms, call) : TOOL_ACT_NONE;
}

void
session_tool_calls_running(struct session_tool_call *call, uint64_t now_ms)
{
    if (session_tool_call_enter(call, TOOL_CALL_RUNNING)) {
        call->has_job = true;
        call->started_ms = now_ms;
    }
}

void
session_tool_calls_cancelled(struct session_tool_calls *c,
                             struct session_tool_call *call)
{
    call->has_job = false;
    session_tool_table_trim(&c->table);
}

void
session_tool_calls_told(struct session_tool_calls *c,
                        struct session_tool_call *call)
{
    if (call->state == TOOL_CALL_LATE)
        c->late_due = true;
    session_tool_call_enter(call, TOOL_CALL_TOLD);
    free(call->text);
    call->text = NULL;
    if (call->round)
        session_tool_table_settle(&c->table, call->round);
    else
        session_tool_table_trim(&c->table);
}

void
session_tool_calls_asked(struct session_tool_calls *c, uint64_t now_ms)
{
    struct session_tool_round *round;

    for (round = c->table.rounds; round; round = round->next) {
        if (round->phase != TOOL_ROUND_DUE)
            continue;
        session_tool_round_enter(round, TOOL_ROUND_ASKED);
        round->asked_ms = now_ms;
    }
    c->late_due = false;
}

void
session_tool_calls_spoken(struct session_tool_call *call, uint64_t now_ms)
{
    call->message[0] = 0;
    call->spoken_ms = now_ms;
}

/* --- questions */

bool
session_tool_calls_wants_turn(const struct session_tool_calls *c)
{
    return is_due(c) || any_find(c, is_late) || any_find(c, has_progress);
}

bool
session_tool_calls_blocks(const struct session_tool_calls *c)
{
    const struct session_tool_round *round;

    for (round = c->table.rounds; round; round = round->next) {
        struct session_tool_sum sum = session_tool_table_sum(&c->table, round);
        if (round->phase <= TOOL_ROUND_WAITING && !round->cancelled
            && sum.foreign && !sum.unanswered && sum.untold)
            return true;
    }
    return false;
}

static bool
is_at_work(const struct session_tool_call *call)
{
    return call->has_job || call->state == TOOL_CALL_LATE;
}

bool
session_tool_calls_is_quiet(const struct session_tool_calls *c)
{
    return !c->table.rounds && !c->late_due && !any_find(c, is_at_work);
}
