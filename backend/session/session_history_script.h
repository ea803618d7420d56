/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Texts that are made first and told afterwards, so that whoever is told may
 * change what they were made of. Owns the texts. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_SCRIPT_H
#define VOICE_SESSION_HISTORY_SCRIPT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct history_line;

struct history_script {
    struct history_line *first;
    struct history_line **last;
    bool failed; /* a line is missing: no memory */
};

typedef void history_line_h(void *arg, const char *id, const char *json,
                            size_t bytes);

void history_script_init(struct history_script *script);

/* Takes an event; NULL: there was no memory for it. id (NULL none) is told
 * along with it. */
void history_script_add(struct history_script *script, const char *id,
                        json_t *event);
/* The same with an event_id of ours set in it. */
void history_script_tell(struct history_script *script, json_t *event);
/* Copies a text. */
void history_script_text(struct history_script *script, const char *json,
                         size_t bytes);

/* Tells all and frees it. 0; UV_ENOMEM: a line is missing. */
int history_script_run(struct history_script *script, history_line_h *handler,
                       void *arg);
void history_script_clear(struct history_script *script);

#endif
