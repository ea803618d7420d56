/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The settings that are in force in a model's session, kept so that another
 * one can be given the same: session.created and session.updated without what
 * only the model may set, and without nulls that mean nothing. On its
 * session's loop; embedded in the history; owns its texts. Private to the
 * history.
 */

#ifndef VOICE_SESSION_HISTORY_SETTINGS_H
#define VOICE_SESSION_HISTORY_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* What a model may not show as it was told: tools with secrets (mcp), or
 * anything that another gateway on the way keeps to itself. */
struct history_kept {
    char *in_force; /* JSON; NULL: nothing was told */
    char *sent;     /* on its way */
};

struct history_settings {
    char *update; /* the session of a session.update; NULL: none yet */
    struct history_kept tools, instructions;
    uint32_t in_bytes_per_ms, out_bytes_per_ms;
    bool by_hand;      /* no turn detection */
    bool auto_answers; /* a turn makes a response by itself */
};

void history_settings_init(struct history_settings *settings);
void history_settings_deinit(struct history_settings *settings);

/* A session.update on its way; refused. */
void history_settings_sent(struct history_settings *settings,
                           const json_t *session);
void history_settings_refused(struct history_settings *settings);

/* What the model says is in force. */
void history_settings_shown(struct history_settings *settings,
                            const json_t *session);

/* The session.update that makes it so; NULL: nothing is known, or no memory
 * (*failed). Given. */
json_t *history_settings_event(const struct history_settings *settings,
                               bool *failed);

#endif
