/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A client's Opus packets (voice.opus.v1) become the model's audio: whole
 * events `input_audio_buffer.append`, 24 kHz PCM as base64. On its session's
 * loop. Owns a decoder, from the first good packet on, and a timer; no audio
 * is held, nothing waits. Bad packets are refused with an error event, at most
 * one a second that counts them, and change nothing else.
 *
 *   packet ─► read ─► place in time ─► [rest, lost: filled in] ─► decode ─┐
 *                                                                 PCM ◄───┘
 *   none comes ─► session_voice_silence: how much ─► rest ────────► │
 *                                                 on_pcm ◄──────────┤
 *                                                 on_append ◄───────┘ base64
 *
 * Time is not for sale: what is filled in and fed together stays within the
 * wall time that has passed and SESSION_SILENCE_SLACK_MS, and no more than
 * SESSION_SILENCE_FILL_MS is ever due at once; what a packet claims beyond
 * that is left out. Audio that was really sent may come faster (a file), by
 * SESSION_VOICE_BURST_MS, and then at SESSION_VOICE_SPEED times real time;
 * packets beyond that are refused. While the model takes none, those that have
 * been read already are taken up to SESSION_VOICE_PAUSED_MS: appends are a
 * thousand times as large as a packet can be small, and wait in memory.
 */

#ifndef VOICE_SESSION_VOICE_UP_H
#define VOICE_SESSION_VOICE_UP_H

#include "base/loop.h"
#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_VOICE_BURST_MS  300000u /* five minutes */
#define SESSION_VOICE_SPEED     4u
#define SESSION_VOICE_PAUSED_MS 60000u /* more than one read of speech has */
#define SESSION_VOICE_ERROR_MS  1000u  /* between two errors */

/* Most samples of one append; what is longer comes as several. */
#define SESSION_VOICE_APPEND_SAMPLES 2880u

struct session_voice_up;

struct session_voice_up_config {
    struct loop *loop;
    const char *id; /* of the session, for the log; borrowed for life */
};

/* What they are given is borrowed for the call. Any of them may destroy the
 * session_voice_up: nothing is called after that. */
struct session_voice_up_handlers {
    /* One whole event (GA), no NUL behind it. */
    void (*on_append)(void *arg, const char *json, size_t bytes);
    /* All that the model hears, before it is appended: what was sent, filled
     * in or fed. At most SESSION_VOICE_APPEND_SAMPLES. NULL: nobody asks. */
    void (*on_pcm)(void *arg, const int16_t *pcm, size_t samples);
    /* An error event for the client. */
    void (*on_error)(void *arg, const struct realtime_error *error);
};

/* For the session's summary; since the beginning, over all connections. */
struct session_voice_up_stats {
    uint64_t packets;        /* decoded */
    uint64_t lost;           /* never came */
    uint64_t refused;        /* no good, old ones and those too many included */
    uint64_t old;            /* of those refused: seen already, or older */
    uint64_t errors;         /* told to the client */
    uint64_t heard_samples;  /* out of packets */
    uint64_t fec_samples;    /* lost, and found in the next packet */
    uint64_t plc_samples;    /* lost, and made up */
    uint64_t silent_samples; /* lost, too many to make up */
    uint64_t rest_samples;   /* silence that was not sent, as soft noise */
    uint64_t fed_samples;    /* silence while no packet came; what of it came
                                after a REST is among the above too */
    uint64_t cut_samples;    /* claimed, beyond what may be filled in */
};

/* Gives *up. 0 or UV_ENOMEM. */
int session_voice_up_create(struct session_voice_up **up,
                            const struct session_voice_up_config *cfg,
                            const struct session_voice_up_handlers *handlers,
                            void *arg);
void session_voice_up_destroy(struct session_voice_up **up);

/* A binary message of the client, any bytes. Handlers run inside. `now` is
 * clock_now_us(). */
void session_voice_up_packet(struct session_voice_up *up, const void *data,
                             size_t bytes, uint64_t now_us);

/* Another connection of the same client: its stream begins anew. */
void session_voice_up_restart(struct session_voice_up *up);

/* The model hears speech (speech_started), or does not any more
 * (speech_stopped, committed): tells until when silence must be fed. */
void session_voice_up_speech(struct session_voice_up *up, bool speaking);

/* Turns are taken by hand (turn_detection null): no silence is fed. */
void session_voice_up_set_manual(struct session_voice_up *up, bool manual);

/* The model's link is full: no silence is fed, nor made up for later, and the
 * client is read no more. */
void session_voice_up_pause(struct session_voice_up *up, bool paused);

/* Packets since this was last asked: those that never came, and all. */
void session_voice_up_take_loss(struct session_voice_up *up, unsigned *lost,
                                unsigned *total);

/* How unevenly packets come: a mean of about the last sixteen (playout.h says
 * of what); 0 until there are any. */
unsigned session_voice_up_jitter_ms(const struct session_voice_up *up);

void session_voice_up_get_stats(const struct session_voice_up *up,
                                struct session_voice_up_stats *out);

/* Of memory now. */
size_t session_voice_up_bytes(const struct session_voice_up *up);

#endif
