/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What one session uses: tokens of its responses and transcriptions go to
 * usage as the model tells them, or as they were seen to pass when it does
 * not; at the end its duration, and the tenant's slot is given back. Embedded
 * in the session's way down, on its loop. Owns nothing.
 */

#ifndef VOICE_SESSION_USAGE_H
#define VOICE_SESSION_USAGE_H

#include "service/usage.h"
#include "session/session_event.h"
#include "session/session_registry.h"

struct tenant_limits;

struct session_usage {
    struct usage *usage;          /* NULL: nobody counts */
    struct tenant_limits *limits; /* NULL: it took no slot */
    const char *tenant;           /* borrowed for life, as is model */
    const char *model;
    struct usage_seen seen;
};

/* usage and limits may be NULL; limits: the tenant was given a slot. The entry
 * and its texts outlive u. */
void session_usage_start(struct session_usage *u, struct usage *usage,
                         struct tenant_limits *limits,
                         const struct session_entry *entry);

/* A client's event that goes to the model. */
void session_usage_up(struct session_usage *u, const struct realtime_peek *peek,
                      size_t bytes);

/* An event of the model. */
void session_usage_down(struct session_usage *u, struct session_event *e);

/* Once, at the end. */
void session_usage_end(struct session_usage *u, uint64_t duration_ms);

#endif
