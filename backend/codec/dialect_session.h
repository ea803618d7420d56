/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Session objects of the beta (flat: `modalities`, `input_audio_format`, …)
 * and of GA (`output_modalities`, `audio.input.format`, …) into each other, by
 * one table of fields. For events, and for the HTTP predecessors
 * `/v1/realtime/sessions` and `/v1/realtime/transcription_sessions`. Pure, any
 * thread. Only fields that are present are translated, so an update stays one;
 * fields the table doesn't know stand in the result as they were. Refuses
 * what is no object.
 */

#ifndef VOICE_DIALECT_SESSION_H
#define VOICE_DIALECT_SESSION_H

#include <jansson.h>
#include <stdbool.h>

/*
 * A flat session as a GA one, with `type`: "transcription" when it has that
 * type or the object realtime.transcription_session, else "realtime".
 * `temperature` and `client_secret` are dropped. Borrows flat, which stays as
 * it is; *ga is given. 0, UV_EINVAL (no object), UV_ENOMEM.
 */
int dialect_session_from_beta(const json_t *flat, json_t **ga);

/* The same for a body of transcription_sessions, whatever it calls itself. */
int dialect_session_from_beta_transcription(const json_t *flat, json_t **ga);

/* A GA session as a flat one; a transcription session by its `type`. */
int dialect_session_to_beta(const json_t *ga, json_t **flat);

/* Puts into a session of GA what a whole one has and this one lacks: strict
 * clients read it. In place; none but `realtime` sessions. 0 or UV_ENOMEM. */
int dialect_session_fill(json_t *ga);

/* The `response` of a response.create of the beta as GA's, the items in its
 * `input` too; and GA's as the beta's. As above. */
int dialect_response_from_beta(const json_t *beta, json_t **ga);
int dialect_response_to_beta(const json_t *ga, json_t **beta);

/* A response as a server tells of it (response.created, response.done). */
int dialect_answer_from_beta(const json_t *beta, json_t **ga);
int dialect_answer_to_beta(const json_t *ga, json_t **beta);

#define DIALECT_PARAM_BYTES 128

/* An error's `param` in the other's shapes: "session.turn_detection.type" and
 * "session.audio.input.turn_detection.type". false: it is the same. */
bool dialect_param_from_beta(const char *param, char out[DIALECT_PARAM_BYTES]);
bool dialect_param_to_beta(const char *param, char out[DIALECT_PARAM_BYTES]);

#endif
