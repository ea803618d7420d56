/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The filters of one session in their order, both ways; each is a module of
 * its own and this one asks them, and counts what they did. Up: what the
 * policy lets through meets hidden items, truncates, responses. Down:
 * responses, cancelled ones, errors, hiding, strictness. Embedded in
 * session_down, on its loop; `now_ms` is an argument.
 */

#ifndef VOICE_SESSION_FILTERS_H
#define VOICE_SESSION_FILTERS_H

#include "codec/turn_detection.h"
#include "session/session_cancelled.h"
#include "session/session_event.h"
#include "session/session_playback.h"
#include "session/session_responses.h"
#include "session/session_scrub.h"

#define SESSION_FILTERS_ANSWER_BYTES 512

struct session_filters {
    struct session_responses responses;
    struct session_playback playback;
    struct turn_detection turns; /* what client_filter fills updates with */
    struct session_cancelled cancelled;
    struct session_scrub scrub;
};

/* The caller has zeroed *f. Policy and id are borrowed for life. */
void session_filters_init(struct session_filters *f,
                          const struct policy *policy, const char *id);
void session_filters_deinit(struct session_filters *f);

/* The settings of our own session.update (NULL none). 0 or UV_ENOMEM. */
int session_filters_open(struct session_filters *f, const json_t *settings);

/* --- down */

/* True: the event, as it is now, goes to the client. */
bool session_filters_down(struct session_filters *f, struct session_event *e,
                          uint64_t now_ms);

/* It has gone there. */
void session_filters_sent(struct session_filters *f,
                          const struct session_event *e);

/* An event of the client's that may go to the model now, NULL none; borrowed
 * until the next call here. */
const char *session_filters_next(struct session_filters *f, size_t *bytes,
                                 uint64_t now_ms);

/* --- a response.create of the gateway's own */

/* No response is made or asked for, and no create of the client's waits. */
bool session_filters_is_idle(const struct session_filters *f, uint64_t now_ms);
/* It went out; nobody repeats it. */
void session_filters_asked(struct session_filters *f,
                           const struct realtime_peek *peek, uint64_t now_ms);
/* Creates of the client wait, as behind a response. */
void session_filters_block(struct session_filters *f, bool blocked);

/* --- up */

enum session_filters_verdict {
    FILTERS_SEND,   /* out->text */
    FILTERS_KEEP,   /* it waits, or nobody needs it */
    FILTERS_ANSWER, /* out->answer goes to the client */
    FILTERS_REFUSE  /* out->error does */
};

struct session_filters_out {
    struct realtime_span text; /* the one given, or in `answer` */
    char answer[SESSION_FILTERS_ANSWER_BYTES];
    struct realtime_error error;
    bool drops; /* session_filters_drop until it gives false */
};

/* `text` is what would go to the model, `peek` is of what came. */
enum session_filters_verdict
session_filters_up(struct session_filters *f, const struct realtime_peek *peek,
                   struct realtime_span text, uint64_t now_ms,
                   struct session_filters_out *out);

/* Gives up a response.create that waits; *event_id as session_responses_drop.
 */
bool session_filters_drop(struct session_filters *f, char **event_id);

/* The error that tells the client so. */
extern const struct realtime_error session_filters_active;

#endif
