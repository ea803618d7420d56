/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session's audio to an Opus client (R2.3, R2.4): the model's base64 deltas
 * become packets that leave in time to be played, never far ahead of it, so
 * that an interruption has little to take back; and what of which item the
 * client has heard. On the session's loop. Owns the queue, the encoder, the
 * timeline and a timer, all made with the first audio and freed after ten idle
 * seconds. `now_ms` is clock_now_ms() and never goes back.
 *
 *   base64 ─► PCM, 0.6 s ─► Opus encoder ─► packets, 10 min ─► pacer ─► send
 *               a timeline: which place of the audio is whose ▲  played ┘
 *
 * A place is milliseconds of the down timeline: a packet's timestamp / 48.
 * Handlers run inside push, the _done calls, resume, pause, played, set_target,
 * run and the timer; none may destroy this or call back into anything but a
 * question.
 */

#ifndef VOICE_SESSION_VOICE_DOWN_H
#define VOICE_SESSION_VOICE_DOWN_H

#include "base/loop.h"
#include "codec/opus_voice.h"
#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session_voice_down;

struct session_voice_down_config {
    struct loop *loop; /* NULL: no timer; its user calls _run at _due */
    const char *id;    /* for the log; borrowed for life, may be NULL */
    struct opus_voice_settings opus;
    unsigned target_ms; /* 0: 150 */
};

struct session_voice_down_handlers {
    /* A binary message for the client. 0; UV_EAGAIN (or any error): it was not
     * taken, comes again after _resume. */
    int (*send)(void *arg, const uint8_t *message, size_t bytes);
    /* The first packet of a response was sent / its last audio was played, by
     * all we know. Not for one that was cleared. The id without its quotes, as
     * it stands in JSON; "" when it is longer than 47 bytes. May be NULL. */
    void (*on_started)(void *arg, const char *response_id);
    void (*on_stopped)(void *arg, const char *response_id);
};

/* Which part of an answer; ids as in the event, with their quotes. */
struct session_voice_part {
    struct realtime_span response_id;
    struct realtime_span item_id;
    unsigned content_index;
};

/* 0, UV_EINVAL (settings), UV_ENOMEM. handlers: static. */
int session_voice_down_create(
    struct session_voice_down **dp, const struct session_voice_down_config *cfg,
    const struct session_voice_down_handlers *handlers, void *arg);
void session_voice_down_destroy(struct session_voice_down **dp);

/*
 * A delta: the JSON string (with quotes) of base64 of 24 kHz PCM. 0; UV_EINVAL:
 * no base64, nothing of it is played; UV_ENOBUFS: more than fits, dropped and
 * counted; UV_ENOMEM. UV_ECANCELED: of a response that is discarded.
 */
int session_voice_down_push(struct session_voice_down *d,
                            const struct session_voice_part *part,
                            struct realtime_span base64, uint64_t now_ms);

/* No more audio comes of the part, of the response (then it is forgotten by
 * _discard too). One that is not known: nothing happens. */
void session_voice_down_part_done(struct session_voice_down *d,
                                  const struct session_voice_part *part,
                                  uint64_t now_ms);
void session_voice_down_response_done(struct session_voice_down *d,
                                      struct realtime_span response_id,
                                      uint64_t now_ms);

/* The connection takes packets again. What is later than 2 s, by this or by the
 * client's reports, is dropped, oldest first; its numbers and time pass. */
void session_voice_down_resume(struct session_voice_down *d, uint64_t now_ms);

/* There is no connection, or one again: time stands still meanwhile, nothing
 * is dropped, the next packet bears START. */
void session_voice_down_pause(struct session_voice_down *d, bool paused,
                              uint64_t now_ms);

/* The client's report: the place of the sample it plays next. Nonsense does
 * nothing. And its round trip; 0: not known. */
void session_voice_down_played(struct session_voice_down *d, uint64_t place_ms,
                               uint64_t now_ms);
void session_voice_down_rtt(struct session_voice_down *d, unsigned rtt_ms);

/* From the next frame on. 0 or UV_EINVAL and nothing has changed. */
int session_voice_down_configure(struct session_voice_down *d,
                                 const struct opus_voice_settings *settings);
/* How far ahead of the client's playing packets are sent, 20…1000. */
void session_voice_down_set_target(struct session_voice_down *d,
                                   unsigned target_ms, uint64_t now_ms);

/*
 * Drops what was not sent, forgets what is being played, and discards what
 * still comes of the responses that were open. The next packet bears START.
 * Gives the number of items that were cut, oldest first, for _cut; they are
 * kept until the next clear.
 */
size_t session_voice_down_clear(struct session_voice_down *d, uint64_t now_ms);

/* An item that was cut. Texts are borrowed until a push or clear. */
struct session_voice_cut {
    const char *response_id; /* as for on_started */
    const char *item_id;
    unsigned content_index;
    bool whole; /* all there will be of it was heard */
    uint64_t total_ms, sent_ms, heard_ms; /* received >= sent >= heard */
};
bool session_voice_down_cut(const struct session_voice_down *d, size_t index,
                            struct session_voice_cut *cut);

/* What the client played when it was cleared, by its own report: heard_ms of
 * the cuts follows. UV_EINVAL: that place was not part of it. */
int session_voice_down_heard(struct session_voice_down *d, uint64_t place_ms);

/* Whether deltas of the response are thrown away. */
void session_voice_down_discard(struct session_voice_down *d,
                                struct realtime_span response_id, bool on);

/* Something waits or, by all we know, is being played; or more is to come. */
bool session_voice_down_is_heard(const struct session_voice_down *d,
                                 uint64_t now_ms);
bool session_voice_down_is_playing(const struct session_voice_down *d,
                                   uint64_t now_ms);
/* Where on the timeline the response begins that on_started told of last. */
uint64_t session_voice_down_begun_ms(const struct session_voice_down *d);

struct session_voice_down_counts {
    uint64_t packets, bytes;  /* sent */
    uint64_t dropped_packets; /* too late, or the queue was full */
    uint64_t refused;         /* deltas that were no base64 */
};
void session_voice_down_get_counts(const struct session_voice_down *d,
                                   struct session_voice_down_counts *out);
/* Without a loop: when to call run next (UINT64_MAX: not needed). */
uint64_t session_voice_down_due(const struct session_voice_down *d);
void session_voice_down_run(struct session_voice_down *d, uint64_t now_ms);

#endif
