/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a tenant may use of this instance: sessions at once, requests a minute
 * (a bucket that fills evenly), tokens a UTC day. Any thread; owns a table of
 * tenants, in which those that use nothing make room. 0 of a limit: none.
 * Counters are of this process; tokens are usage's, which knows the store's.
 */

#ifndef VOICE_TENANT_LIMITS_H
#define VOICE_TENANT_LIMITS_H

#include <stdint.h>

#define TENANT_LIMITS_MAX 65536 /* tenants */

struct tenant_limits;
struct usage;

struct tenant_limits_config {
    uint64_t sessions;
    uint64_t requests; /* a minute */
    uint64_t tokens;   /* a day */
    struct usage *usage;
    uint64_t (*now_ms)(void); /* NULL: clock_now_ms */
    int64_t (*wall_ms)(void); /* NULL: clock_wall_ms */
};

/* X(enum, code, text for people) */
#define TENANT_REFUSALS(X)                                                     \
    X(TENANT_MAY, "", "")                                                      \
    X(TENANT_SESSIONS, "realtime_session_limit",                               \
      "Too many sessions of yours are open.")                                  \
    X(TENANT_REQUESTS, "rate_limit_exceeded",                                  \
      "Too many requests in a minute.")                                        \
    X(TENANT_TOKENS, "insufficient_quota",                                     \
      "The tokens of this day are used up.")                                   \
    X(TENANT_NO_ROOM, "server_busy", "Too many tenants are active.")

enum tenant_refusal {
#define X(id, code, text) id,
    TENANT_REFUSALS(X)
#undef X
        TENANT_REFUSAL_COUNT
};

int tenant_limits_create(struct tenant_limits **lp,
                         const struct tenant_limits_config *cfg);
void tenant_limits_destroy(struct tenant_limits **lp);

/* One request. TENANT_MAY, or why not and *retry_s for Retry-After. */
enum tenant_refusal tenant_limits_request(struct tenant_limits *limits,
                                          const char *tenant,
                                          unsigned *retry_s);

/* One more session; TENANT_MAY: it counts until tenant_limits_leave. */
enum tenant_refusal tenant_limits_enter(struct tenant_limits *limits,
                                        const char *tenant, unsigned *retry_s);
void tenant_limits_leave(struct tenant_limits *limits, const char *tenant);

const char *tenant_refusal_code(enum tenant_refusal refusal);
const char *tenant_refusal_text(enum tenant_refusal refusal);

#endif
