/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The responses that are open, and how they end when their model is gone. The
 * items of a response are in the list of items and point to it. On its
 * session's loop; embedded in the history. Private to the history.
 */

#ifndef VOICE_SESSION_HISTORY_RESPONSE_H
#define VOICE_SESSION_HISTORY_RESPONSE_H

#include "session/session_history_items.h"
#include "session/session_history_owed.h"
#include "session/session_history_script.h"
#include "session/session_microphone.h"

struct history_response {
    struct history_response *next;
    char *id;
    json_t *shown;                       /* as in response.created */
    struct history_owed *request;        /* the client's; NULL: by itself */
    bool beside;                         /* out of band */
    bool cancelled;                      /* the client has asked for its end */
    char turn_id[SESSION_MICROPHONE_ID]; /* the turn it answers */
};

struct history_responses {
    struct history_response *first;
    unsigned count;
};

/* Takes the request; shown is shared. NULL: no memory, or too many (the
 * request is freed). */
struct history_response *
history_responses_open(struct history_responses *responses, const json_t *shown,
                       struct history_owed *request);
struct history_response *
history_responses_find(const struct history_responses *responses,
                       const char *id);
/* That of the conversation; NULL none. */
struct history_response *
history_responses_main(const struct history_responses *responses);

/* Its items become ordinary ones, those of no conversation go; it is freed. */
void history_responses_end(struct history_responses *responses,
                           struct history_response *response,
                           struct history_items *items);
void history_responses_clear(struct history_responses *responses);

/*
 * What tells the client of its end, to the script; items that can't be kept
 * leave the list. True: it has to be asked for again (as far as the model is
 * concerned). To be followed by history_responses_end.
 */
bool history_response_close(const struct history_response *response,
                            struct history_items *items,
                            struct history_script *script);

/* Items of the conversation that the client has half been told of; those of
 * open responses are another matter. */
void history_items_close(struct history_items *items,
                         struct history_script *script);

#endif
