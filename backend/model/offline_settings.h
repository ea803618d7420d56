/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The session object of the offline model: defaults, strict validation, merge
 * and the typed answers its other parts need. Owns the effective session JSON.
 * Runs on the session's loop. Refuses a whole update when one field is wrong.
 */

#ifndef VOICE_OFFLINE_SETTINGS_H
#define VOICE_OFFLINE_SETTINGS_H

#include "model/offline_audio.h"
#include "model/offline_schema.h"

#include <stdbool.h>
#include <stdint.h>

enum offline_turn_kind { TURN_MANUAL, TURN_SERVER_VAD, TURN_SEMANTIC_VAD };

struct offline_turn_settings {
    enum offline_turn_kind kind;
    double threshold;
    unsigned prefix_ms;
    unsigned silence_ms;  /* semantic: how long an unfinished sentence waits */
    unsigned finished_ms; /* semantic: how long a finished one does */
    unsigned idle_ms;     /* 0: no idle timeout */
    bool create_response;
    bool interrupt_response;
};

struct offline_settings;

struct offline_settings_config {
    const char *session_id; /* copied */
    const char *model;      /* copied */
    int64_t expires_at_s;   /* Unix time */
    bool transcription;     /* a transcription session */
};

int offline_settings_create(struct offline_settings **sp,
                            const struct offline_settings_config *cfg);
void offline_settings_destroy(struct offline_settings **sp);

/* update: `session` of session.update. voice_locked: audio has been made.
 * 0, or UV_EINVAL with the fault filled and nothing changed; UV_ENOMEM. */
int offline_settings_update(struct offline_settings *s, const json_t *update,
                            bool voice_locked, struct offline_fault *fault);

/* The effective session, borrowed. */
json_t *offline_settings_session(const struct offline_settings *s);

/* One field of it by a path such as "audio.output.voice", borrowed; NULL. */
json_t *offline_settings_get(const struct offline_settings *s,
                             const char *path);

bool offline_settings_is_transcription(const struct offline_settings *s);
enum offline_format
offline_settings_input_format(const struct offline_settings *s);
void offline_settings_turn(const struct offline_settings *s,
                           struct offline_turn_settings *turn);

#endif
