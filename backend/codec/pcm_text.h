/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Samples as the base64 of their little-endian bytes, as Realtime events have
 * them, straight from one buffer into the other. Pure, no allocation; a writer
 * or reader holds the odd bytes of one stream in one direction, is embedded by
 * its user and used on one thread at a time. Owns nothing.
 *
 *   write: 480 samples ─► 960 bytes ─► 1280 characters   (no bytes left over)
 *   read:  a delta's text ─► bytes ─► samples, an odd byte waits for the next
 */

#ifndef VOICE_PCM_TEXT_H
#define VOICE_PCM_TEXT_H

#include "codec/base64.h"

/* One text out of pieces. Zeroed memory is a fresh one. */
struct pcm_text_writer {
    uint8_t rest[2];    /* that make no group of three yet */
    uint8_t rest_bytes; /* 0…2 */
};

/* Most characters that push and end together write for so many samples. */
static inline size_t
pcm_text_chars_max(size_t samples)
{
    return base64_encoded_bytes(samples * 2 + 2);
}

/* Writes whole groups, no NUL and no '='; gives the characters. `to` has room
 * for pcm_text_chars_max(samples) and does not overlap `pcm`. */
size_t pcm_text_push(struct pcm_text_writer *writer, char *to,
                     const int16_t *pcm, size_t samples);

/* The text's end: 0 or 4 characters; the writer is fresh again. */
size_t pcm_text_end(struct pcm_text_writer *writer, char *to);

/* Texts, each whole, of one stream of samples. Zeroed memory is a fresh one;
 * zero it where a stream breaks off. */
struct pcm_text_reader {
    uint8_t odd; /* half a sample */
    uint8_t has_odd;
};

/* Samples of room that reading so many characters needs. */
static inline size_t
pcm_text_samples_max(size_t chars)
{
    return base64_decoded_max(chars) / 2 + 1;
}

/* Gives the samples written; UV_EINVAL: no base64, `to` is partly written and
 * the reader as before. `to` has room for pcm_text_samples_max(chars) and does
 * not overlap `text`. */
ssize_t pcm_text_read(struct pcm_text_reader *reader, int16_t *to,
                      const char *text, size_t chars);

#endif
