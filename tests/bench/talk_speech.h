/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is said: the speech of a WAV file over and over, in frames of 20 ms,
 * as base64 of its PCM and as Opus packets, all made beforehand with the
 * settings that the ceiling is measured with (opus_ceiling.c). Immutable once
 * read; owns its memory for the life of the process.
 */

#ifndef TALK_SPEECH_H
#define TALK_SPEECH_H

#include <stddef.h>
#include <stdint.h>

#define TALK_FRAME_MS      20
#define TALK_FRAME_SAMPLES 480
#define TALK_FRAME_48K     960
#define TALK_FRAME_CHARS   1280 /* of base64; 960 bytes, no padding between */
#define TALK_FRAMES_MOST   50   /* in one text */
#define TALK_PACKET_MAX    400

struct talk_packet {
    uint16_t bytes;
    uint8_t data[TALK_PACKET_MAX];
};

struct talk_speech {
    unsigned frames;
    char *text; /* of all frames, then of the first TALK_FRAMES_MOST again */
    struct talk_packet *packets;
};

/* 16-bit 24 kHz mono. 0, or -errno with a line on standard error. */
int talk_speech_read(struct talk_speech *speech, const char *path);

/* Base64 of up to TALK_FRAMES_MOST frames from this one on. */
const char *talk_speech_text(const struct talk_speech *speech, unsigned at);

const struct talk_packet *talk_speech_packet(const struct talk_speech *speech,
                                             unsigned at);

#endif
