/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What xAI tells of a user's speech, as GA tells it. xAI adds the item when
 * speech begins and says, again and again, all it has understood so far, and
 * may take some of it back; GA adds the item once it is committed, tells what
 * was understood piece by piece, and all of it once. Rewriters of the dialect
 * and of its thread.
 */

#ifndef VOICE_DIALECT_XAI_SPEECH_H
#define VOICE_DIALECT_XAI_SPEECH_H

#include "codec/dialect_event.h"

int dialect_xai_started(struct dialect_event *e);
int dialect_xai_stopped(struct dialect_event *e);
int dialect_xai_committed(struct dialect_event *e);

/* `…transcription.updated` and `…transcription.completed`. */
int dialect_xai_heard(struct dialect_event *e);

/* A user's item in progress: it waits for its commit. */
int dialect_xai_hold(struct dialect_event *e, json_t *item);

#endif
