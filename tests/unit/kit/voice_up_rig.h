/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A session_voice_up between a microphone that speaks Opus and a model that
 * listens: every append is checked to be a whole event and decoded by itself.
 * The clock is the test's own; the loop turns only where a test turns it.
 */

#ifndef VOICE_TEST_VOICE_UP_RIG_H
#define VOICE_TEST_VOICE_UP_RIG_H

#include "codec/opus_voice.h"
#include "codec/voice_packet.h"
#include "session/session_voice_up.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RIG_APPENDS_MAX 20000
#define RIG_ERRORS_MAX  64 /* kept */

struct voice_up_rig {
    struct loop *loop;
    struct session_voice_up *up;
    uint64_t now_us;

    /* the model's side */
    int16_t *heard;
    size_t samples;
    size_t room;
    size_t pcm_samples; /* by on_pcm */
    size_t appends;
    size_t bytes[RIG_APPENDS_MAX]; /* of each event */
    size_t errors;
    char code[RIG_ERRORS_MAX][64];
    char message[RIG_ERRORS_MAX][200];
    size_t destroy_at; /* this append destroys it; 0: none does */
    bool destroy_on_error;
    bool destroy_on_pcm;

    /* the client's side */
    struct opus_voice_encoder *encoder;
    struct voice_packet_stamp stamp;
    uint8_t message_bytes[VOICE_PACKET_MAX];
};

/* Settings NULL: the usual ones. */
void voice_up_begin(struct voice_up_rig *rig,
                    const struct opus_voice_settings *settings);
void voice_up_end(struct voice_up_rig *rig);

/* Stamps and writes the head for a body in message_bytes; the message's
 * bytes. */
size_t voice_up_stamp(struct voice_up_rig *rig, uint8_t flags,
                      size_t body_bytes, size_t samples);

/* One message as it is, from memory exactly as large. */
void voice_up_give(struct voice_up_rig *rig, const void *message, size_t bytes);

/* Encodes a frame and, when it is not silence, sends it; its bytes or 0. With
 * `lose` it is stamped and not sent. */
size_t voice_up_say(struct voice_up_rig *rig, const int16_t *pcm, bool lose);

/* Another Opus packet (of samples at 24 kHz) in a message. */
void voice_up_send(struct voice_up_rig *rig, uint8_t flags, const uint8_t *body,
                   size_t bytes, size_t samples);

/* The loop, for so long. */
void voice_up_turn(struct voice_up_rig *rig, uint64_t ms);

#endif
