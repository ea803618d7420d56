/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Turn detection told in full (R2.1): a session that names a kind of VAD and
 * only some of its fields gets the others here, so that nothing is left to a
 * model's own defaults. They come from what this session was told before (of
 * the same kind), else from the policy's preset, else from "normal". What is
 * named stays as it is, right or wrong; null stays off; what is no object, or
 * of a kind not known here, is the model's affair. Pure; the state is embedded
 * by its user, which owns it, on one thread at a time.
 *
 *   session.update of a client ─► complete ─► model
 *                     wanted ◄───────┘          │
 *                     told   ◄── shown ◄────────┘ session.updated
 */

#ifndef VOICE_TURN_DETECTION_H
#define VOICE_TURN_DETECTION_H

#include "codec/policy.h"

#include <jansson.h>

/* Zeroed memory is a session that nobody has told anything. */
struct turn_detection {
    json_t *told;     /* in force, and named by policy or client; NULL none */
    json_t *wanted;   /* on its way to the model; NULL none */
    unsigned pending; /* updates that have no answer yet */
};

void turn_detection_deinit(struct turn_detection *t);

/* The names of presets: quiet, normal, noisy, semantic, off. The literal that
 * is this one, or NULL. */
const char *turn_detection_name(const char *name);

/* A preset by its name: the whole object, null for off; given. NULL: no such
 * name, or no memory. */
json_t *turn_detection_named(const char *name);

/*
 * `session` is of a session.update to be sent. t may be NULL: it is the first
 * that the model is told. Fields that a transcription has no use for are not
 * added to one. 0 or UV_ENOMEM.
 */
int turn_detection_complete(struct turn_detection *t,
                            const struct policy *policy, json_t *session);

/* Takes out of an `audio.input` what is of answers, for a session that makes
 * none. */
void turn_detection_only_hears(json_t *input);

/* The session that we told the model at the opening, NULL none. 0 or
 * UV_ENOMEM. */
int turn_detection_told(struct turn_detection *t, const json_t *session);

/* The session of a session.updated. */
void turn_detection_shown(struct turn_detection *t, const json_t *session);

/* An error of the model: what was on its way may have been refused. */
void turn_detection_failed(struct turn_detection *t);

#endif
