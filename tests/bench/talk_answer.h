/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the upstream says to one session: answers of speech, one after the
 * other, in deltas at a steady pace, with their words beside them. A session
 * that is interrupted hears speech_started at a random moment of the answer;
 * a few deltas that were under way still follow, then nothing until the next
 * answer begins.
 *
 *   talking ──► heard ──► talking …        (heard: until it was played)
 *      │          │
 *      └──► late ─┴─► quiet ──► talking    (interrupted)
 */

#ifndef TALK_ANSWER_H
#define TALK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct talk_peer;

enum talk_answer_phase {
    TALK_OFF,
    TALK_TALKING,
    TALK_HEARD,
    TALK_LATE,
    TALK_QUIET
};

struct talk_answer {
    enum talk_answer_phase phase;
    unsigned number;
    unsigned at;     /* frame of the speech */
    unsigned left;   /* frames */
    unsigned said;   /* of this answer */
    unsigned late;   /* deltas that still follow */
    uint64_t due_ns; /* the next step */
    uint64_t began_ns;
    uint64_t interrupt_ns; /* 0: never */
    bool done;             /* response.done was sent */
};

/* The session began: it is talked to from somewhere in the next answer on. */
void talk_answer_start(struct talk_peer *peer, uint64_t now_ns);

/* Says what is due; the time of what is due next. */
uint64_t talk_answer_turn(struct talk_peer *peer, uint64_t now_ns);

/* conversation.item.truncate came. */
void talk_answer_truncated(struct talk_peer *peer, const char *text,
                           size_t bytes);

#endif
