/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The responses whose audio waits or is played, in the order in which they
 * began, and those that are thrown away. Pure, embedded, one thread. Tells
 * what a response's audio has come to; says nothing to anybody. Places are
 * milliseconds of the down timeline.
 */

#ifndef VOICE_SESSION_VOICE_ANSWERS_H
#define VOICE_SESSION_VOICE_ANSWERS_H

#include "session/session_voice_id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_VOICE_ANSWERS   8
#define SESSION_VOICE_DISCARDED 8

struct voice_answer {
    struct session_voice_id id;
    uint64_t waiting;          /* samples without a frame */
    uint64_t begin_ms, end_ms; /* its frames */
    uint64_t over_ms; /* when its end was seen to be played; 0: not yet */
    bool done;        /* nothing more comes */
    bool framed;      /* a frame was made */
    bool started;     /* ... and sent */
};

struct session_voice_answers {
    struct voice_answer list[SESSION_VOICE_ANSWERS];
    uint64_t discarded[SESSION_VOICE_DISCARDED]; /* keys; 0: free */
    unsigned count;
    unsigned discard_next; /* the place to be written over */
};

/* The response, added when it is new; NULL: there are too many. */
struct voice_answer *
session_voice_answers_open(struct session_voice_answers *a,
                           const struct session_voice_id *id);
/* NULL: none such. */
struct voice_answer *
session_voice_answers_find(struct session_voice_answers *a,
                           const struct session_voice_id *id);

/* The oldest that has a frame and was not started; NULL: none. */
struct voice_answer *
session_voice_answers_unstarted(struct session_voice_answers *a);

void session_voice_answers_remove(struct session_voice_answers *a,
                                  unsigned index);

/* All go; those that were not done are discarded from now on. */
void session_voice_answers_cut(struct session_voice_answers *a);

bool session_voice_answers_is_discarded(const struct session_voice_answers *a,
                                        const struct session_voice_id *id);
void session_voice_answers_discard(struct session_voice_answers *a,
                                   const struct session_voice_id *id, bool on);

#endif
