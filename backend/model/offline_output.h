/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One output item of a response while it is being made, and the events in
 * which it grows: opened, given deltas, closed once. Owns a reference to its
 * item. Runs on the session's loop.
 */

#ifndef VOICE_OFFLINE_OUTPUT_H
#define VOICE_OFFLINE_OUTPUT_H

#include "model/offline_conversation.h"

enum offline_output_kind { OUTPUT_AUDIO, OUTPUT_TEXT, OUTPUT_CALL };

struct offline_output;

struct offline_output_config {
    struct offline_sink sink;
    struct offline_conversation *conversation; /* NULL: out of band */
    const char *response_id;                   /* borrowed for its life */
    unsigned index;
    enum offline_output_kind kind;
    const char *tool; /* OUTPUT_CALL: copied */
};

/* Emits output_item.added and what follows it. */
int offline_output_open(struct offline_output **op,
                        const struct offline_output_config *cfg);
void offline_output_destroy(struct offline_output **op);

/* A delta of the text, the transcript or the arguments. */
int offline_output_text(struct offline_output *o, const char *text,
                        size_t bytes);

/* A delta of audio: takes its base64, keeps the PCM in the item. */
int offline_output_audio(struct offline_output *o, json_t *delta,
                         const int16_t *pcm, size_t samples);

/* Emits the done events; status "completed" or "incomplete". */
void offline_output_close(struct offline_output *o, const char *status);

/* The item's JSON, borrowed. */
json_t *offline_output_item(const struct offline_output *o);
void offline_output_tokens(const struct offline_output *o,
                           struct offline_tokens *tokens);
size_t offline_output_samples(const struct offline_output *o);

#endif
