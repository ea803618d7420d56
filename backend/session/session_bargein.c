/* SPDX-License-Identifier: BSD-2-Clause */

#include "session/session_bargein.h"

#include "session/session_health.h"

#include <stdio.h>
#include <string.h>

/* --- what was heard */

static bool
is_by_client(const struct session_bargein *b,
             const struct session_voice_cut *cut)
{
    return b->by_client[0] && strcmp(b->by_client, cut->item_id) == 0;
}

/* Nothing that a model can be told: all of it was heard, it has no name that
 * we know, or it was told already. A model that hears nothing of an item
 * believes that all of it was heard; told 0 it has but an error. */
static void
cut_tell(struct session_bargein *b, const struct session_voice_cut *cut)
{
    if (!cut->whole && cut->item_id[0] && !is_by_client(b, cut))
        b->handlers->on_truncate(b->arg, cut,
                                 cut->heard_ms ? cut->heard_ms : 1);
}

static void
settle(struct session_bargein *b)
{
    struct session_voice_cut cut;

    if (b->state != BARGEIN_AWAITING)
        return;
    b->state = BARGEIN_CALM;
    loop_timer_stop(b->timer);
    for (size_t i = 0; i < b->cuts && b->timer; i++)
        if (session_voice_down_cut(b->down, i, &cut))
            cut_tell(b, &cut);
    b->by_client[0] = 0;
}

/* Who was asked and does not say is not waited for the next time. */
static void
on_time(void *arg)
{
    struct session_bargein *b = arg;

    b->reports = false;
    settle(b);
}

int
session_bargein_init(struct session_bargein *b, struct loop *loop)
{
    b->interrupts = true;
    b->reports = true;
    return loop_timer_create(&b->timer, loop, on_time, b);
}

void
session_bargein_deinit(struct session_bargein *b)
{
    if (b->timer)
        loop_timer_destroy(&b->timer);
    b->state = BARGEIN_CALM;
}

/* --- the interruption */

static uint64_t
patience_ms(const struct session_bargein *b)
{
    uint64_t ms = 2 * (uint64_t) session_health_rtt_ms(b->health);

    if (!b->reports)
        return 0;
    if (ms < SESSION_BARGEIN_MIN_MS)
        return SESSION_BARGEIN_MIN_MS;
    return ms > SESSION_BARGEIN_MAX_MS ? SESSION_BARGEIN_MAX_MS : ms;
}

/* Of each response that had begun to be played, or the one that was next. */
static void
cleared_tell(struct session_bargein *b)
{
    struct session_voice_cut cut, last;
    bool found = session_voice_down_cut(b->down, 0, &last);

    crypto_id("event_", b->clear_id);
    b->handlers->on_cleared(b->arg, b->clear_id, found ? last.response_id : "");
    for (size_t i = 1; i < b->cuts; i++) {
        if (!session_voice_down_cut(b->down, i, &cut) || cut.sent_ms == 0
            || strcmp(cut.response_id, last.response_id) == 0)
            continue;
        b->handlers->on_cleared(b->arg, NULL, cut.response_id);
        last = cut;
    }
}

static void
interrupt(struct session_bargein *b, uint64_t now_ms)
{
    settle(b); /* the one before: the session may end by it */
    if (!b->timer)
        return;
    b->cuts = session_voice_down_clear(b->down, now_ms);
    b->cleared_ms = now_ms;
    b->state = BARGEIN_AWAITING;
    b->count++;
    loop_timer_start(b->timer, patience_ms(b), 0);
    cleared_tell(b);
}

void
session_bargein_speech(struct session_bargein *b, bool sure, uint64_t now_ms)
{
    if (!b->timer || !b->interrupts
        || !session_voice_down_is_playing(b->down, now_ms))
        return;
    if (sure) {
        interrupt(b, now_ms);
        return;
    }
    settle(b);
    if (b->timer)
        b->state = BARGEIN_DOUBTFUL;
}

void
session_bargein_sure(struct session_bargein *b, uint64_t now_ms)
{
    if (b->state != BARGEIN_DOUBTFUL)
        return;
    b->state = BARGEIN_CALM;
    session_bargein_speech(b, true, now_ms);
}

void
session_bargein_stopped(struct session_bargein *b)
{
    if (b->state == BARGEIN_DOUBTFUL)
        b->state = BARGEIN_CALM;
}

void
session_bargein_clear(struct session_bargein *b, uint64_t now_ms)
{
    char id[CRYPTO_ID_BYTES];

    if (!b->timer)
        return;
    if (session_voice_down_is_playing(b->down, now_ms)) {
        interrupt(b, now_ms);
        return;
    }
    crypto_id("event_", id); /* who asks is told, and need not answer */
    b->handlers->on_cleared(b->arg, id, "");
}

void
session_bargein_truncated(struct session_bargein *b,
                          struct realtime_span item_id)
{
    if (item_id.bytes >= 2 && item_id.bytes - 2 < sizeof(b->by_client))
        snprintf(b->by_client, sizeof(b->by_client), "%.*s",
                 (int) item_id.bytes - 2, item_id.text + 1);
}

/*
 * A report that was on its way when the client was told to be quiet says what
 * had been played then, not what was played in the end. A client that does not
 * name what it answers is taken by the clock.
 */
static bool
is_final(struct session_bargein *b, const char *reply_to, uint64_t now_ms)
{
    b->replies |= reply_to[0] != 0;
    if (b->replies)
        return strcmp(reply_to, b->clear_id) == 0;
    return now_ms - b->cleared_ms
           >= (uint64_t) session_health_rtt_ms(b->health) * 4 / 5;
}

void
session_bargein_report(struct session_bargein *b, uint64_t place_ms,
                       const char *reply_to, uint64_t now_ms)
{
    b->reports = true;
    if (b->state != BARGEIN_AWAITING || !is_final(b, reply_to, now_ms)
        || session_voice_down_heard(b->down, place_ms))
        return;
    settle(b);
}
