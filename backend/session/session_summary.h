/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What others hear of a session: its events on the bus, and at its end a line
 * in the log and a count by reason. Owns nothing; any thread.
 */

#ifndef VOICE_SESSION_SUMMARY_H
#define VOICE_SESSION_SUMMARY_H

#include "gate/stream_link.h"
#include "session/session.h"
#include "session/session_levels.h"
#include "session/session_registry.h"
#include "session/session_turns.h"
#include "session/session_voice.h"

#include <stdint.h>

/* The line that every session leaves in the log. */
struct session_summary {
    const struct session_entry *entry;
    const char *reason;
    const char *upstream; /* that had it last; NULL: none ever did */
    unsigned code;
    uint64_t duration_ms;
    struct stream_link_stats stream;
    struct session_turns_figures turns;
    const struct session_levels_sum
        *levels;                        /* of user, assistant; may be NULL */
    struct session_voice_figures voice; /* quality NULL: no Opus */
};
void session_summary_log(const struct session_summary *summary);

/* The client has its session.created: a line in the log, and the time since
 * its request arrived in voice_connection_setup_seconds. */
void session_live_tell(const struct session_entry *e, const char *upstream,
                       uint64_t accepted_us);

/* Counts an end in voiced_sessions_ended_total. */
void session_end_count(enum session_end_reason reason);

const char *session_end_text(enum session_end_reason reason);
uint16_t session_end_code(enum session_end_reason reason);

/* What a client's close code says. A draining NGINX goes with 1001. */
enum session_end_reason session_end_of(uint16_t code, bool draining);

/* Tells the event bus (NULL: nobody) of a session; reason may be NULL. */
void session_publish(struct event_bus *events, const struct session_entry *e,
                     const char *type, const char *reason);

/* A peer's text as a value for the log. */
#define SESSION_CLEAN_BYTES 160
void session_text_clean(char out[SESSION_CLEAN_BYTES], const char *text);

#endif
