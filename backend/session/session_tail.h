/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The last messages that a client was sent, or would have been, so that one
 * who comes back gets what it missed. Embedded in its user, on one loop. Owns
 * copies of the texts, nothing while it is empty. Audio and everything else
 * have a cap each, the oldest go first: audio that went is a gap in what is
 * heard, as is what was passing no loss; another event that went is a gap that
 * nobody may resume over.
 */

#ifndef VOICE_SESSION_TAIL_H
#define VOICE_SESSION_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_TAIL_EVENT_BYTES 262144
#define SESSION_TAIL_AUDIO_BYTES 320000 /* 5 s of 24 kHz PCM in base64 */

struct session_tail_entry;

struct session_tail_queue {
    struct session_tail_entry *first;
    struct session_tail_entry **last;
    size_t bytes;
};

struct session_tail {
    struct session_tail_queue events;
    struct session_tail_queue audio;
    uint64_t count; /* messages so far; each has its number */
    uint64_t mark;  /* the first that nobody could receive */
    uint64_t gap;   /* all events from this number on are here */
    unsigned keep_ms;
};

struct session_tail_message {
    uint8_t opcode; /* enum stream_opcode */
    bool passing;   /* of its moment: it can be found, and is not told again */
    const void *data;
    size_t bytes;
    uint64_t at_ms; /* when it was sent */
};

typedef void session_tail_h(void *arg,
                            const struct session_tail_message *message);

/* What was sent longer ago than keep_ms goes, but for the last of it: that is
 * what a client may have seen last. */
void session_tail_init(struct session_tail *tail, unsigned keep_ms);
void session_tail_deinit(struct session_tail *tail);

/* Copies the message. 0; UV_ENOMEM: the tail has a gap now. */
int session_tail_push(struct session_tail *tail,
                      const struct session_tail_message *message);

/* What is pushed from now on reaches nobody, until it is replayed. */
void session_tail_set_mark(struct session_tail *tail);

/*
 * Finds what comes after the event of this id ("" : after the mark), in
 * *from. 0; UV_ENOENT: there is no such event here any more, or some that came
 * after it are gone.
 */
int session_tail_find(const struct session_tail *tail, const char *event_id,
                      uint64_t *from);

/* Tells the messages from that number on, in their order. The handler must not
 * change the tail. */
void session_tail_replay(const struct session_tail *tail, uint64_t from,
                         session_tail_h *handler, void *arg);

#endif
