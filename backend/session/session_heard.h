/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What an Opus client has heard of the assistant's words: watches the events
 * that go to it, and says in the model's conversation.item.truncated what was
 * heard (codec/heard_text has the rule). Embedded in session_voice, on its
 * loop; owns the last few texts.
 */

#ifndef VOICE_SESSION_HEARD_H
#define VOICE_SESSION_HEARD_H

#include "codec/heard_text.h"
#include "codec/realtime_event.h"

#include <stddef.h>

struct session_heard {
    struct heard_text texts;
};

void session_heard_init(struct session_heard *h);
void session_heard_deinit(struct session_heard *h);

/* A delta of audio, played or not, one of its transcript, and the end of an
 * item (response.output_item.done): a completed one has all of its audio, one
 * that was cut short has words that it had no time to say. */
void session_heard_audio(struct session_heard *h,
                         const struct realtime_peek *peek);
void session_heard_words(struct session_heard *h,
                         const struct realtime_peek *peek);
void session_heard_item(struct session_heard *h,
                        const struct realtime_peek *peek);

/* The truncated event with a member `transcript`; malloc'ed, given. NULL: it
 * stays as it is, no text is known. */
char *session_heard_truncated(struct session_heard *h,
                              const struct realtime_peek *peek,
                              const char *json, size_t bytes);

#endif
