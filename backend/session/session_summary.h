/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is left of a session at its end: a line in the log and a count by
 * reason. Owns nothing; any thread.
 */

#ifndef VOICE_SESSION_SUMMARY_H
#define VOICE_SESSION_SUMMARY_H

#include "gate/stream_link.h"
#include "session/session.h"

#include <stdint.h>

/* The line that every session leaves in the log. */
struct session_summary {
    const char *id;
    const char *reason;
    const char *model;
    unsigned code;
    uint64_t duration_ms;
    struct stream_link_stats stream;
    uint64_t turns;
    uint64_t gateway_us;
    uint32_t rtt_us;
};
void session_summary_log(const struct session_summary *summary);

/* Counts an end in voiced_sessions_ended_total. */
void session_end_count(enum session_end_reason reason);

#endif
