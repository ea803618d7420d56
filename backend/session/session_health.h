/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How well an Opus client is connected, and what follows from it: gathers what
 * the client reports, what its packets show and what NGINX measures, judges
 * every second and after each report (service/quality, codec/playout), sets
 * the encoder and the pace of the audio down, and tells the client. Embedded in
 * session_voice, on its loop; borrows both directions, owns a timer.
 *
 *   voice.stats ─┐                      ┌─► encoder (with the CPU's load)
 *   packets up ──┼─► quality, playout ──┼─► how far ahead packets go
 *   RTT ─────────┘                      └─► voice.quality
 */

#ifndef VOICE_SESSION_HEALTH_H
#define VOICE_SESSION_HEALTH_H

#include "base/loop_timer.h"
#include "codec/playout.h"
#include "codec/policy.h"
#include "codec/realtime_event.h"
#include "codec/voice_event.h"
#include "service/quality.h"
#include "session/session_voice_down.h"
#include "session/session_voice_up.h"

#include <stdbool.h>
#include <stdint.h>

#define SESSION_HEALTH_TICK_MS 1000
#define SESSION_HEALTH_REPORTS 20 /* a second; more are not looked at */

struct session_figures;

struct session_health_handlers {
    /* For the client that is there now. */
    void (*send)(void *arg, const char *json, size_t bytes);
    void (*on_error)(void *arg, const struct realtime_error *error);
    /* It has played to that place; as the answer to that clear, "": by itself.
     * May end the session. */
    void (*on_played)(void *arg, uint64_t place_ms, const char *reply_to,
                      uint64_t now_ms);
};

struct session_health {
    const char *id; /* of the session */
    const struct policy *policy;
    struct session_figures *figures; /* NULL: nobody looks */
    struct session_voice_up *up;
    struct session_voice_down *down;
    const struct session_health_handlers *handlers;
    void *arg;
    struct loop_timer *tick; /* NULL: closed */
    struct quality quality;
    struct playout playout;
    uint64_t sent;             /* packets, at the last report of loss */
    uint64_t reports_since_ms; /* the second in which they are counted */
    unsigned reports;
    unsigned complexity; /* as the encoder has it */
    unsigned target_ms;  /* as the client has it */
    unsigned rtt_ms;
    bool reports_jitter;
    bool started;
};

/* The caller has zeroed *h and set id, policy, figures, handlers and arg; up
 * and down follow before session_health_start. 0 or UV_ENOMEM. */
int session_health_init(struct session_health *h, struct loop *loop);
/* No handler is called any more. Idempotent. */
void session_health_deinit(struct session_health *h);

/* There is a client, which is told how to begin; there is none. */
void session_health_start(struct session_health *h,
                          const struct voice_session_told *told);
void session_health_stop(struct session_health *h);

void session_health_rtt(struct session_health *h, double rtt_ms);

/* A voice.stats; answered. */
void session_health_report(struct session_health *h,
                           const struct realtime_peek *peek, const char *json,
                           size_t bytes);

/* For the encoder, now. */
struct opus_voice_settings
session_health_settings(const struct session_health *h);

/* The mean of the last round trips, 0: not known. */
unsigned session_health_rtt_ms(const struct session_health *h);

/* A literal. */
const char *session_health_level(const struct session_health *h);

#endif
