/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What becomes of an answer that the user interrupts: its audio is dropped at
 * once, and the model is told how much of it was heard, as soon as the client
 * has said so or should have. Part of session_voice, embedded in it, on its
 * loop. Borrows the audio down; owns a timer.
 *
 *   CALM ──speech──► DOUBTFUL ──enough of it──► AWAITING ──report, time──► CALM
 *     ▲                  │ stopped               ▲   (truncates)
 *     └──────────────────┘     the client's own ─┘
 */

#ifndef VOICE_SESSION_BARGEIN_H
#define VOICE_SESSION_BARGEIN_H

#include "base/loop_timer.h"
#include "codec/realtime_event.h"
#include "gate/crypto.h"
#include "session/session_voice_down.h"
#include "session/session_voice_id.h"

#include <stdbool.h>
#include <stdint.h>

/* How long the client's report is waited for: two round trips, within these.
 */
#define SESSION_BARGEIN_MIN_MS 100
#define SESSION_BARGEIN_MAX_MS 500

enum session_bargein_state { BARGEIN_CALM, BARGEIN_DOUBTFUL, BARGEIN_AWAITING };

struct session_health;

struct session_bargein_handlers {
    /* The audio of that response was dropped; now. The client's report of it
     * names the id; NULL: of another one, by the same clear. May run inside any
     * call but init and deinit. */
    void (*on_cleared)(void *arg, const char *clear_id,
                       const char *response_id);
    /* So much of the item was heard, at least 1 ms; the model is to be told.
     * Runs in session_bargein_report and in the timer; of an interruption that
     * another one overtakes, in speech, sure and clear. */
    void (*on_truncate)(void *arg, const struct session_voice_cut *cut,
                        uint64_t heard_ms);
};

struct session_bargein {
    struct session_voice_down *down;
    const struct session_bargein_handlers *handlers;
    void *arg;
    struct loop_timer *timer;
    const struct session_health *health; /* for the round trip */
    uint64_t cleared_ms;
    size_t cuts;
    unsigned count; /* interruptions so far */
    enum session_bargein_state state;
    bool interrupts; /* turn_detection.interrupt_response */
    bool reports;    /* the client says what it has played, when asked */
    bool replies;    /* and to what it says so */
    char clear_id[CRYPTO_ID_BYTES];
    /* The item that the client truncated itself; "": none. */
    char by_client[SESSION_VOICE_ID_BYTES];
};

/* The caller has zeroed *b and set down, health, handlers and arg. 0 or
 * UV_ENOMEM. */
int session_bargein_init(struct session_bargein *b, struct loop *loop);
/* No handler is called any more. Idempotent. */
void session_bargein_deinit(struct session_bargein *b);

/* The model hears speech; `sure`: so does the gateway, for long enough. */
void session_bargein_speech(struct session_bargein *b, bool sure,
                            uint64_t now_ms);
/* Now it does; that was all of it. */
void session_bargein_sure(struct session_bargein *b, uint64_t now_ms);
void session_bargein_stopped(struct session_bargein *b);

/* The client wants quiet. */
void session_bargein_clear(struct session_bargein *b, uint64_t now_ms);

/* The client truncates an item itself (its id as JSON). */
void session_bargein_truncated(struct session_bargein *b,
                               struct realtime_span item_id);

/* The client's report of the place that it has played to, and the clear that
 * it answers so ("": none). */
void session_bargein_report(struct session_bargein *b, uint64_t place_ms,
                            const char *reply_to, uint64_t now_ms);

#endif
