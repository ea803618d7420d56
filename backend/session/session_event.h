/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One event of the model on its way to the client: its text, what the peek
 * found in it, and a tree for those who must look deeper or change it. The
 * tree is made when it is first asked for and the text is written anew only
 * when something was changed, so that audio passes as the bytes that came.
 * Lives on the stack of one call; borrows the text that came, owns the rest.
 */

#ifndef VOICE_SESSION_EVENT_H
#define VOICE_SESSION_EVENT_H

#include "codec/realtime_event.h"

#include <jansson.h>

struct session_event {
    enum realtime_type type;
    const char *json; /* as it stands; NUL-terminated once it was changed */
    size_t bytes;
    struct realtime_peek peek; /* of the text that came */
    json_t *tree;              /* use session_event_tree */
    char *made;
    bool changed;
};

/* 0; UV_EINVAL: no event that all readers read alike. */
int session_event_open(struct session_event *e, const char *json, size_t bytes);
void session_event_close(struct session_event *e);

/* The event as a tree, owned by the event; NULL: no memory, or a text that
 * jansson's limits refuse. */
json_t *session_event_tree(struct session_event *e);

/* Whoever changed the tree says so. */
void session_event_touch(struct session_event *e);

/* Takes a text, malloc'ed, in the place of the present one; only before the
 * tree was asked for. */
void session_event_replace(struct session_event *e, char **text, size_t bytes);

/* Makes json and bytes what the tree says. 0 or UV_ENOMEM. */
int session_event_render(struct session_event *e);

/* A string member at the top as plain text, "" when it has none or one with
 * escapes or longer than the room. */
const char *session_event_text(const struct session_event *e,
                               enum realtime_key key, char *out, size_t room);

#endif
