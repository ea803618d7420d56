/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a client event may say: the event is parsed, checked against the policy
 * and written anew from the tree, so that the model reads what was checked and
 * nothing else, whichever of two equal keys it prefers and whether or not it
 * minds the case of keys. Pure, any thread.
 *
 * Denied: instructions, tools and model that differ from the policy's, prompt
 * templates (they carry instructions), system items, types not known here.
 * Merged: instructions come after the policy's; tools are the client's own.
 * A session's turn detection is completed (turn_detection.h) under each.
 * Allowed: all but a model that the policy does not name, if it names any.
 */

#ifndef VOICE_CLIENT_FILTER_H
#define VOICE_CLIENT_FILTER_H

#include "codec/policy.h"
#include "codec/realtime_event.h"
#include "codec/turn_detection.h"

struct client_filter {
    const struct policy *policy;  /* borrowed */
    const char *model;            /* of the session; borrowed */
    struct turn_detection *turns; /* borrowed; NULL: not completed here */
    char *text;                   /* given by an apply that gives 0 */
    size_t bytes;
    struct realtime_error error; /* filled by one that refuses */
};

/* Whether events must go through the filter. */
bool client_filter_is_needed(const struct policy *policy,
                             const struct realtime_peek *peek);

/*
 * `peek` is of `text`. 0: f->text is the event to send. UV_EACCES: forbidden;
 * UV_EINVAL: no valid event; both fill f->error (event_id too, in `text`).
 * UV_ENOMEM.
 */
int client_filter_apply(struct client_filter *f,
                        const struct realtime_peek *peek, const char *text,
                        size_t bytes);

#endif
