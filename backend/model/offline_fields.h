/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The fields of client events, sessions and responses, as tables for
 * offline_schema, and the checks a table can't say. Pure data and questions,
 * any thread; owns nothing.
 */

#ifndef VOICE_OFFLINE_FIELDS_H
#define VOICE_OFFLINE_FIELDS_H

#include "model/offline_audio.h"
#include "model/offline_schema.h"

/* What session.update may hold, by the kind of session. */
extern const struct schema_field offline_session_fields[];
extern const struct schema_field offline_transcription_session_fields[];
/* What turn_detection may hold; both begin with the row of its type. */
extern const struct schema_field offline_server_vad_fields[];
extern const struct schema_field offline_semantic_vad_fields[];

/* Pieces that response.create has too. */
extern const struct schema_field offline_modality_element[];
extern const struct schema_field offline_prompt_fields[];
extern const struct schema_field offline_reasoning_fields[];
extern const struct schema_field offline_format_fields[];
extern const struct schema_field offline_tool_element[];
extern const struct schema_field offline_tool_choice_fields[];
extern const struct schema_field offline_voice_fields[];
#define OFFLINE_VOICES                                                         \
    "alloy|ash|ballad|coral|echo|sage|shimmer|verse|marin|cedar"
#define OFFLINE_TOOLS_MAX 128

/* Checks a format object {type, rate}; path names it. */
int offline_format_check(const json_t *format, const char *path,
                         struct offline_fault *fault);
enum offline_format offline_format_of(const json_t *format);
/* Each tool by its type; names legal and once. NULL is fine. */
int offline_tools_check(const json_t *tools, const char *path,
                        struct offline_fault *fault);
/* A choice that names a function must name one of tools. NULL is fine. */
int offline_tool_choice_check(const json_t *choice, const json_t *tools,
                              const char *path, struct offline_fault *fault);

/* A client event by its type: 0, or UV_EINVAL with the fault filled. */
#define OFFLINE_EVENT_ID_MAX 512
int offline_event_check(const json_t *event, struct offline_fault *fault);

#endif
