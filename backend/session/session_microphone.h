/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The user's audio that a model which dies would take along: of the turn under
 * way, with a little of what came before it, and of the last turn that was
 * committed, until somebody knows what was said in it. Part of session_history,
 * on its loop. Owns the samples, at most SESSION_MICROPHONE_MAX bytes of audio
 * each, PCM in half of that memory (codec/voice_memo); nothing while
 * nobody speaks but SESSION_MICROPHONE_BEFORE_MS. What is too long loses its
 * beginning.
 *
 *   append ─► open ──── commit ───► held ─── known, or answered ───► freed
 *              │ silent: the last 800 ms alone
 */

#ifndef VOICE_SESSION_MICROPHONE_H
#define VOICE_SESSION_MICROPHONE_H

#include "codec/pcm_text.h"
#include "codec/realtime_event.h"
#include "codec/voice_memo.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_MICROPHONE_MAX       480000 /* 10 s of pcm, 640 KB of base64 */
#define SESSION_MICROPHONE_BEFORE_MS 800
#define SESSION_MICROPHONE_ID        64

struct session_microphone {
    struct voice_memo open; /* not committed */
    struct voice_memo held; /* committed last */
    struct pcm_text_reader reader;
    uint32_t bytes_per_ms; /* 48 or 8 */
    bool keeps;            /* all of open: speech is under way, or turns are
                              taken by hand */
    bool by_hand;
    bool held_is_sent; /* held awaits the model's answer to a commit */
    char held_id[SESSION_MICROPHONE_ID]; /* of the item; "": none yet */
};

void session_microphone_init(struct session_microphone *m);
void session_microphone_deinit(struct session_microphone *m);

/* From the settings: bytes_per_ms 48 (pcm) or 8 (G.711). */
void session_microphone_set(struct session_microphone *m, uint32_t bytes_per_ms,
                            bool by_hand);

/* Base64 as JSON, with its quotes; what is no base64 is left out. */
void session_microphone_append(struct session_microphone *m,
                               struct realtime_span audio);

void session_microphone_speech_started(struct session_microphone *m);
/* The client's commit and clear, as they are sent. */
void session_microphone_commit(struct session_microphone *m);
void session_microphone_clear(struct session_microphone *m);
/* The model has made that item of a turn. */
void session_microphone_committed(struct session_microphone *m,
                                  const char *item_id);
/* The commit was refused. */
void session_microphone_refused(struct session_microphone *m);
/* What is held is not needed any more if it is of that item. */
void session_microphone_settle(struct session_microphone *m,
                               const char *item_id);

/* Audio held of that item; NULL none. */
const struct voice_memo *
session_microphone_of(const struct session_microphone *m, const char *item_id);

/* Base64, NUL-terminated, given; NULL: no memory. */
char *session_microphone_base64(const void *data, size_t bytes);
/* The same of a whole memo; NULL also: it is empty. */
char *session_microphone_text(const struct voice_memo *memo);

#endif
