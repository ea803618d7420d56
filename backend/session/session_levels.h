/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Level of every turn of a session (R5.1): RMS, peak and duration of what the
 * user said and of what the client was sent as an answer; one line in the log
 * a turn, sums for the summary. Embedded in session_down, on its loop. The
 * loop only copies the base64 that passes; level_desk has it decoded and
 * measured on libuv's pool. Owns one meter a direction, made with the first
 * audio. Never logs a content.
 *
 *   append that goes to the model ─┐            (full, or a turn ended)
 *   delta that went to the client ─┴► level_desk ─► meter ─► log line
 *
 * A turn of the user is what the model says it is (speech_started, _stopped),
 * else the audio since the last commit; an answer is the audio of a response.
 * Of responses that run beside each other the first one is measured.
 */

#ifndef VOICE_SESSION_LEVELS_H
#define VOICE_SESSION_LEVELS_H

#include "base/loop.h"
#include "codec/level_meter.h"
#include "session/session_event.h"

#define SESSION_LEVELS_PIECE                                                   \
    2097152 /* of one event; longer ones are not seen */
#define SESSION_LEVELS_ID 48

enum session_levels_who { LEVELS_USER, LEVELS_ASSISTANT, LEVELS_SIDES };

/* Of all turns so far; complete once on_gone has been called. */
struct session_levels_sum {
    struct audio_level level;
    uint64_t ms;
    uint32_t turns;
};

struct session_levels_side {
    struct level_meter *meter; /* the pool's; NULL before the first audio */
    size_t lost_chars;         /* that passed and were not copied */
    enum level_format format;
};

struct session_levels {
    struct loop *loop;
    const char *id; /* of the session, for the log; borrowed for life */
    void (*on_gone)(void *arg);
    void *arg;
    struct session_levels_side side[LEVELS_SIDES];
    struct session_levels_sum sum[LEVELS_SIDES];
    uint32_t under_way; /* records that the desk has */
    bool uses_desk;
    bool closed;
    bool speaking;      /* the user, by the model's word */
    bool told;          /* a turn that the model is about to commit */
    bool answer_is_old; /* another response may take its place */
    char answer[SESSION_LEVELS_ID]; /* the response measured; "" none */
};

/* *l is zeroed. */
void session_levels_init(struct session_levels *l, struct loop *loop,
                         const char *id);

/* Measures the turns that are not over; nothing more is taken. Once. on_gone
 * is the last call, maybe inside this one; *l stays until then. */
void session_levels_close(struct session_levels *l, void (*on_gone)(void *arg),
                          void *arg);

/* An event of the client that goes to the model. */
void session_levels_up(struct session_levels *l,
                       const struct realtime_peek *peek);

/* An event of the model, with the session's settings as they are shown. */
void session_levels_down(struct session_levels *l, struct session_event *e);

/* An audio delta that has gone to the client. */
void session_levels_sent(struct session_levels *l,
                         const struct realtime_peek *delta);

#endif
