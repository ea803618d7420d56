/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts what the filters of the sessions did, process-wide:
 * voiced_filter_total{filter="…"}. Any thread, owns nothing.
 */

#ifndef VOICE_SESSION_FILTERED_H
#define VOICE_SESSION_FILTERED_H

/* X(enum, label) */
#define SESSION_FILTERED(X)                                                    \
    X(FILTERED_RESPONSE_HELD, "response_held")                                 \
    X(FILTERED_RESPONSE_REFUSED, "response_refused")                           \
    X(FILTERED_RESPONSE_DROPPED, "response_dropped")                           \
    X(FILTERED_RESPONSE_RETRIED, "response_retried")                           \
    X(FILTERED_CANCEL, "cancel_swallowed")                                     \
    X(FILTERED_TRUNCATE_CLAMPED, "truncate_clamped")                           \
    X(FILTERED_TRUNCATE_ANSWERED, "truncate_answered")                         \
    X(FILTERED_LATE, "late_dropped")                                           \
    X(FILTERED_ERROR, "error_swallowed")                                       \
    X(FILTERED_TYPE, "type_dropped")                                           \
    X(FILTERED_UNREADABLE, "unreadable_dropped")                               \
    X(FILTERED_EVENT_ID, "event_id_added")                                     \
    X(FILTERED_REPAIRED, "repaired")                                           \
    X(FILTERED_SCRUBBED, "scrubbed")                                           \
    X(FILTERED_ITEM, "item_hidden")                                            \
    X(FILTERED_POLICY, "policy_refused")                                       \
    X(FILTERED_INVALID, "invalid_refused")

enum session_filtered {
#define X(id, label) id,
    SESSION_FILTERED(X)
#undef X
        SESSION_FILTERED_COUNT
};

void session_filtered(enum session_filtered which);

#endif
