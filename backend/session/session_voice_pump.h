/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The moving part of session_voice_down, private to it: what waits, the
 * encoder, whose audio it is, how far the client is; and one function that
 * moves all of it as far as it may go by then. Embedded, on the session's
 * loop, no timer and no clock of its own. The first audio makes the encoder,
 * ten idle seconds free it and the queue.
 */

#ifndef VOICE_SESSION_VOICE_PUMP_H
#define VOICE_SESSION_VOICE_PUMP_H

#include "codec/opus_voice.h"
#include "codec/voice_pacer.h"
#include "codec/voice_packet.h"
#include "session/session_voice_answers.h"
#include "session/session_voice_queue.h"
#include "session/session_voice_timeline.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_VOICE_SAMPLES_PER_MS 24u
#define SESSION_VOICE_NEVER          UINT64_MAX

enum session_voice_pump_state {
    PUMP_FLOWING,
    PUMP_HELD,  /* the connection takes no more */
    PUMP_PAUSED /* there is no connection */
};

/* As session_voice_down's; none may be NULL. */
struct session_voice_pump_handlers {
    int (*send)(void *arg, const uint8_t *message, size_t bytes);
    void (*on_started)(void *arg, const char *response_id);
    void (*on_stopped)(void *arg, const char *response_id);
    void (*on_dropped)(void *arg, uint64_t packets);
};

struct session_voice_pump {
    const struct session_voice_pump_handlers *handlers;
    void *arg;
    struct opus_voice_settings settings;
    struct opus_voice_encoder *encoder; /* NULL: idle */
    struct session_voice_queue queue;
    struct session_voice_timeline timeline;
    struct session_voice_answers answers;
    struct voice_pacer pacer;
    struct voice_packet_stamp stamp;
    uint64_t packets, bytes; /* sent */
    enum session_voice_pump_state state;
    unsigned target_ms;
    bool start_next;     /* the next packet bears START */
    bool rests;          /* what left last was silence: a player's clock runs
                            on, beyond all that was sent */
    uint64_t push_ms;    /* when something came last */
    uint64_t idle_ms;    /* since when nothing waits; 0: something does */
    uint64_t time_place; /* one who was sent all in time would be here */
    uint64_t drop_place; /* what lies before is dropped */
    uint64_t begun_ms;   /* where the answer that started last begins */
    uint64_t over_place; /* the end of the last answer that was played */
};

/* handlers: static. */
void session_voice_pump_init(struct session_voice_pump *p,
                             const struct session_voice_pump_handlers *handlers,
                             void *arg);
void session_voice_pump_deinit(struct session_voice_pump *p);

/* There is to be audio: makes the encoder. 0 or UV_ENOMEM. */
int session_voice_pump_begin(struct session_voice_pump *p);

/* Before anything is added, cut or asked: time has passed. */
void session_voice_pump_clock(struct session_voice_pump *p, uint64_t now_ms);

/* Moves everything as far as it may go; calls handlers. Gives when to run
 * again, SESSION_VOICE_NEVER: when something has happened. */
uint64_t session_voice_pump_run(struct session_voice_pump *p, uint64_t now_ms);

/* The connection takes more; it is gone, or there is another. Run then. */
void session_voice_pump_resume(struct session_voice_pump *p, uint64_t now_ms);
void session_voice_pump_pause(struct session_voice_pump *p, bool paused,
                              uint64_t now_ms);

/* All that waits goes; parts not surely heard by now are cut: their number. An
 * answer that was said to have stopped is not among them. */
size_t session_voice_pump_cut(struct session_voice_pump *p, uint64_t now_ms);

/* A place of the down timeline in milliseconds: what has left. */
static inline uint64_t
session_voice_pump_sent(const struct session_voice_pump *p)
{
    return p->timeline.sent / SESSION_VOICE_SAMPLES_PER_MS;
}

#endif
