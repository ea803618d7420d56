/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What of a session is the server's own and never shown to the client:
 * instructions of the policy (and of a bound session that the client may not
 * change), tools and prompt that came with it, items that the gateway itself
 * put into the conversation, calls of the server's tools, the upstream's name
 * for the session. The client sees what it said itself: its own instructions,
 * "" without any. Looks at every event that can show them, errors that quote
 * included. Pure; embedded in the session.
 *
 * A server may have trimmed or altered a text: where it can't be told apart
 * surely what is whose, nothing is shown.
 */

#ifndef VOICE_SESSION_SCRUB_H
#define VOICE_SESSION_SCRUB_H

#include "codec/policy.h"
#include "session/session_event.h"
#include "session/session_hidden.h"

#include <stdbool.h>

/* Ids of the gateway's own items begin so; at most 32 characters in all. */
#define SESSION_SCRUB_ITEM     "item_gw_"
#define SESSION_SCRUB_ID_BYTES 64

struct session_scrub {
    const struct policy *policy; /* borrowed */
    const char *id;              /* of the session, borrowed */
    char *bound;                 /* instructions that the client may not see;
                                    owned; NULL: the policy's, if any */
    bool client_has_said;        /* it has put others in their place */
    char last_item[SESSION_SCRUB_ID_BYTES]; /* that the client knows of */
    struct session_hidden *hidden;          /* items; NULL: none yet */
};

/* The caller has zeroed *s and set policy and id. Notes what of the opening's
 * settings (NULL: none) is hidden. 0 or UV_ENOMEM. */
int session_scrub_open(struct session_scrub *s, const json_t *settings);
void session_scrub_deinit(struct session_scrub *s);

/* The client's own session.update, which goes to the model. */
void session_scrub_said(struct session_scrub *s,
                        const struct realtime_peek *update);

/* This item is not for the client. */
void session_scrub_item(struct session_scrub *s, const char *item_id);

/* Whether a client's event names an item that is not for it. */
bool session_scrub_is_hidden(const struct session_scrub *s,
                             const struct realtime_peek *peek);

enum session_scrub_verdict {
    SCRUB_SHOW,
    SCRUB_CHANGED,
    SCRUB_HIDE,  /* the whole event */
    SCRUB_FAILED /* it can't be read */
};
enum session_scrub_verdict session_scrub_look(struct session_scrub *s,
                                              struct session_event *e);

#endif
