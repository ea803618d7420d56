/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session_history and what it tells, as arrays of parsed events. Events are
 * written with ' in the place of ".
 */

#ifndef VOICE_TEST_HISTORY_RIG_H
#define VOICE_TEST_HISTORY_RIG_H

#include "session/session_history.h"

#include <jansson.h>

/* Down and up; what comes back of down. */
bool history_down(struct session_history *h, const char *text);
void history_up(struct session_history *h, const char *text);

/* Each gives a new array; the caller decrefs. */
json_t *history_close(struct session_history *h);
json_t *history_replay(struct session_history *h);
json_t *history_resume(struct session_history *h);

/* The replay's items alone. */
json_t *history_items(struct session_history *h);

/* The string at a path ("item.content.0.text"); "" when there is none. */
const char *history_at(const json_t *json, const char *path);

/* The types of the events, with a space between them; malloc'ed. */
char *history_types(const json_t *events);

/* cmocka's: *state is a history with settings. */
int history_setup(void **state);
int history_teardown(void **state);

/* The types of all events, with a space between them. */
void history_assert_types(json_t *events, const char *wanted);
void history_assert_at(const json_t *json, const char *path,
                       const char *wanted);
/* The ids of the replay's items, with a space between them. */
void history_assert_order(struct session_history *h, const char *wanted);

/* --- recorded turns, events as models send them */

void history_say_session(struct session_history *h);
void history_say_user_turn(struct session_history *h, const char *item,
                           const char *previous);
void history_say_transcript(struct session_history *h, const char *item,
                            const char *text);
/* From response.created to the first words. */
void history_say_begin(struct session_history *h, const char *response,
                       const char *item, const char *previous);
void history_say_words(struct session_history *h, const char *response,
                       const char *item, const char *words);
void history_say_end(struct session_history *h, const char *response,
                     const char *item, const char *words);

#endif
