/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a conversation is made of, so that another model session can take it
 * over: settings, items in order, open responses, the client's events that
 * have no answer yet, the audio of the turn under way. Watches GA events both
 * ways as the model has them (behind the client's filters, before what hides
 * things from the client). On its session's loop; no I/O. Owns copies, at most
 * SESSION_HISTORY_MAX bytes of item text (the oldest go first, a tool's call
 * and output together, a call that waits for its output last) besides the
 * audio of session_microphone. For a model that can be lost; others need none.
 *
 * Order at a change of the upstream, once the old link says nothing more:
 *   1. close_response: what the client needs so that nothing stays open; each
 *      text goes down as if the model had said it.
 *   2. replay (session_swap does it): what the new model is told; none of its
 *      answers is for the client.
 *   3. resume, on the adopted link: what the model must still be told in the
 *      client's name; the answers are ordinary events.
 *   4. what the client has sent meanwhile.
 */

#ifndef VOICE_SESSION_HISTORY_H
#define VOICE_SESSION_HISTORY_H

#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>

#define SESSION_HISTORY_MAX      262144 /* bytes of items */
#define SESSION_HISTORY_OWED     64     /* events without an answer */
#define SESSION_HISTORY_OWED_MAX 262144 /* bytes of them */
#define SESSION_HISTORY_OPEN_MAX 16     /* responses open at once */

struct session_history;

/* One event, NUL-terminated, borrowed for the call. May call back into
 * session_history_up and _down, nothing else of it. */
typedef void session_history_emit_h(void *arg, const char *json, size_t bytes);
/* One of the replay. item_id: what it makes, also its event_id; NULL: the
 * session.update, whose event_id is SESSION_HISTORY_SETTINGS. */
typedef void session_history_replay_h(void *arg, const char *item_id,
                                      const char *json, size_t bytes);
#define SESSION_HISTORY_SETTINGS "voice_settings"

/* 0 or UV_ENOMEM. Small until the first item. */
int session_history_create(struct session_history **hp);
void session_history_destroy(struct session_history **hp);

/* --- what passes; memory that is missing makes the history poorer, and is
 * counted */

/* The `audio` of an append that went to the model (as JSON, with quotes). */
void session_history_audio(struct session_history *h,
                           struct realtime_span audio);

/* Any other event that went to the model. Appends are ignored here. */
void session_history_up(struct session_history *h, enum realtime_type type,
                        const char *json, size_t bytes);

/* An event of the model. False: it answers the replay, not the client. */
bool session_history_down(struct session_history *h, enum realtime_type type,
                          const char *json, size_t bytes);

/*
 * To be asked before a client's event goes to the model: true when the history
 * answers it, and then it goes no further: a truncate of an item that the
 * model has as text alone (it would be an error there). `emit` gets what the
 * client is told.
 */
bool session_history_answers(struct session_history *h,
                             const struct realtime_peek *peek,
                             session_history_emit_h *emit, void *arg);

/* --- a change of the upstream */

/*
 * Ends what is open towards the client: items it has half been told of, the
 * parts of open responses, their items (incomplete), the responses. A response
 * of which nothing is missing but its end is completed; another is cancelled.
 * A tool call is handed over whole or not at all: with all its arguments it is
 * completed, else incomplete and then deleted. Usage is complete, all zeros.
 * 0; UV_ENOMEM: some of it is missing.
 */
int session_history_close_response(struct session_history *h,
                                   session_history_emit_h *emit, void *arg);

/*
 * The session.update, then a conversation.item.create for each item, in order.
 * Ids stay (one beyond 32 characters becomes "item_" and a digest). User audio
 * is the audio while that is kept, else its transcript; assistant audio is its
 * transcript, as far as it was heard. Where no word is known: of a user a note
 * that says so, of an assistant an ellipsis, so that the id stays one. An
 * output that stands before its call comes right behind it; an output without a
 * call, or a second one, and a call without all its arguments are left out. May
 * be asked again, for another attempt, and come to nothing. 0 or UV_ENOMEM (the
 * attempt is worth nothing then).
 */
int session_history_replay(struct session_history *h,
                           session_history_replay_h *emit, void *arg);

/* The new model refused this item (its id in the replay): it is forgotten
 * when that model is resumed. */
void session_history_refused(struct session_history *h, const char *item_id);

/*
 * The client's events without an answer, in order, audio before its commit;
 * then the response that was broken off, asked for again (the client's own
 * text, or a plain response.create), unless the client cancelled it, the user
 * has begun to speak, or a call of it is in the client's hands; or the one
 * that is due to a turn that the old model took and did not answer; then the
 * audio of the turn under way. They count as sent: not to be given to
 * session_history_up. 0 or UV_ENOMEM: some of it is missing.
 */
int session_history_resume(struct session_history *h,
                           session_history_emit_h *emit, void *arg);

/* --- questions */

/* Nothing is open: no response, no call without output, no event without an
 * answer, no speech, no turn without a response. */
bool session_history_is_quiet(const struct session_history *h);

/* Whether session_history_resume will ask for a response. */
bool session_history_wants_response(const struct session_history *h);

struct session_history_figures {
    size_t items;
    size_t bytes; /* of items */
    size_t audio_bytes;
    unsigned dropped; /* items that left for the cap or for lack of memory */
    unsigned refused; /* items that a new model did not take */
};
void session_history_figures(const struct session_history *h,
                             struct session_history_figures *out);

#endif
