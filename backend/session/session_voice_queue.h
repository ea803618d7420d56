/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What waits to be played by one client: packets, each in the memory that it is
 * sent from, and after them PCM that is not encoded yet. Embedded, one thread.
 * Owns pieces of memory that come and go with what waits; none after deinit.
 * Knows nothing of parts of an answer nor of time: that is the timeline's.
 *
 *   text ─► write ─► PCM pieces ─► frame, take ─► (encoder)
 *   (encoder) ─► room, add ─► packet pieces ─► first, pop
 */

#ifndef VOICE_SESSION_VOICE_QUEUE_H
#define VOICE_SESSION_VOICE_QUEUE_H

#include "codec/opus_voice.h"
#include "codec/pcm_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SESSION_VOICE_QUEUE_MS      600000u  /* of all audio that waits */
#define SESSION_VOICE_QUEUE_PACKETS 2097152u /* bytes of packets */
#define SESSION_VOICE_QUEUE_PCM     4194304u /* bytes of PCM */

struct voice_piece;

struct voice_pieces {
    struct voice_piece *first, *last;
    size_t bytes; /* that wait in them */
};

struct session_voice_queue {
    struct voice_pieces pcm;
    struct voice_pieces packets;
    uint64_t packets_ms;
};

/* A packet that waits. */
struct session_voice_packet {
    uint8_t *message; /* 8 bytes of head to be written, and the body; borrowed
                         until the next call but for first */
    size_t bytes;     /* of both; 0: a silence, nothing is sent */
    unsigned ms;
    uint8_t flags; /* as added */
};

/* Zeroed memory is an empty one. Frees all. */
void session_voice_queue_deinit(struct session_voice_queue *q);

/* Drops what waits; a piece of each kind may stay. */
void session_voice_queue_clear(struct session_voice_queue *q);

/* Whether a text of so many characters still fits, by all three caps. */
bool session_voice_queue_fits(const struct session_voice_queue *q,
                              size_t chars);

/* Decodes base64 to the end. Gives the samples; UV_EINVAL or UV_ENOMEM:
 * queue and reader are as before. */
ssize_t session_voice_queue_write(struct session_voice_queue *q,
                                  struct pcm_text_reader *reader,
                                  const char *text, size_t chars);

size_t session_voice_queue_samples(const struct session_voice_queue *q);

/* The first `have` samples as a frame of `frame`, the rest zeros; where they
 * don't lie in one piece they are put together in `scratch`. At most what
 * there is. Borrowed until take. */
const int16_t *session_voice_queue_frame(const struct session_voice_queue *q,
                                         size_t have, size_t frame,
                                         int16_t scratch[OPUS_VOICE_FRAME_MAX]);
void session_voice_queue_take(struct session_voice_queue *q, size_t samples);

/* Room for a body of OPUS_VOICE_ENCODED_MAX, or NULL: no memory. Then add
 * what was written there, `bytes` 0: a silence. */
uint8_t *session_voice_queue_room(struct session_voice_queue *q);
void session_voice_queue_add(struct session_voice_queue *q, size_t bytes,
                             unsigned ms, uint8_t flags);

/* The first packet; false: none. */
bool session_voice_queue_first(const struct session_voice_queue *q,
                               struct session_voice_packet *packet);
void session_voice_queue_pop(struct session_voice_queue *q);

/* Memory that is held, for tests. */
size_t session_voice_queue_memory(const struct session_voice_queue *q);

#endif
