/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The input audio buffer and whose turn it is: takes appended audio, hears
 * speech start and stop, commits the user's turn. Owns the audio since the
 * last commit and the listening that was begun on speculation. Time is counted
 * in samples written. Runs on the session's loop. Refuses more audio than its
 * cap: a manual buffer with an error, a spoken turn by ending it.
 *
 *   append ─► PCM ─► buffer ─┬─► voice activity ─► started, stopped
 *                            └─► commit ─► item + ear ─► on_committed
 */

#ifndef VOICE_OFFLINE_TURN_H
#define VOICE_OFFLINE_TURN_H

#include "model/offline_conversation.h"
#include "model/offline_ear.h"
#include "model/offline_settings.h"

struct offline_turn;

/* A finished turn; the handler takes the item and the ear. */
struct offline_commit {
    struct offline_item *item; /* not yet in the conversation */
    struct offline_ear *ear;   /* listening or done; NULL: it could not */
    bool by_voice;             /* the voice activity ended it */
    bool by_timeout;           /* the idle timeout did */
};

struct offline_turn_config {
    struct offline_sink sink;
    const struct offline_conversation *conversation;
    struct offline_ear_config ear; /* grammar: below; its handler is ours */
    size_t max_append_bytes;
    size_t max_bytes; /* of the buffer */
    void (*on_speech_started)(void *arg);
    void (*on_committed)(void *arg, struct offline_commit *commit);
    void *arg;
};

int offline_turn_create(struct offline_turn **tp,
                        const struct offline_turn_config *cfg);
void offline_turn_destroy(struct offline_turn **tp);

/* At the start and when the session changed. */
void offline_turn_configure(struct offline_turn *t,
                            const struct offline_turn_settings *settings,
                            enum offline_format format);
/* Borrowed until the next call. */
void offline_turn_set_grammar(struct offline_turn *t,
                              const struct speech_grammar *grammar);

/* Client events. 0, or UV_E* with the fault filled. Handlers run inside. */
int offline_turn_append(struct offline_turn *t, const json_t *audio,
                        struct offline_fault *fault);
int offline_turn_commit(struct offline_turn *t, struct offline_fault *fault);
void offline_turn_clear(struct offline_turn *t);

/* Nobody spoke for idle_ms: commits the silence. */
void offline_turn_time_out(struct offline_turn *t);

bool offline_turn_is_speaking(const struct offline_turn *t);
size_t offline_turn_buffered_samples(const struct offline_turn *t);

#endif
