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

/* The `response` of a response.create of the beta as GA's; the item contents
 * in `input` too. */
int dialect_response_from_beta(const json_t *beta, json_t **ga);

/* Renames what stands in an item: `text`, `audio` of an assistant's message
 * against `output_text`, `output_audio`; `object` is taken off or put on. In
 * place; what is no object stays. 0 or UV_ENOMEM. */
int dialect_item_from_beta(json_t *item);
int dialect_item_to_beta(json_t *item);

#endif
