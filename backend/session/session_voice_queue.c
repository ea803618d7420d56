/* SPDX-License-Identifier: BSD-2-Clause */

/*
 *   first piece                  last piece
 *   ┌───────┬────────┬──┐       ┌────────┬──────────┐
 *   │ taken │ waits  │  │ ─ ─ ► │ waits  │   room   │
 *   └───────┴────────┴──┘       └────────┴──────────┘
 *           ▲ begin  ▲ end               ▲ end
 *
 * What is written never spans two pieces: samples where a piece is nearly full
 * go on in the next, a packet's record begins there.
 */

#include "session/session_voice_queue.h"

#include "codec/pcm.h"
#include "codec/voice_packet.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

#define PCM_PIECE_BYTES    4800u /* 100 ms */
#define PACKET_PIECE_BYTES 4096u
#define PCM_ROOM_LEAST     968u /* 20 ms come in one go */

struct voice_piece {
    struct voice_piece *next;
    uint32_t begin, end, room;
    int16_t memory[]; /* aligned for samples */
};

/* In front of each packet; not aligned. */
struct record {
    uint16_t bytes; /* of the body */
    uint8_t ms;
    uint8_t flags;
};

#define RECORD_HEAD_BYTES (sizeof(struct record) + VOICE_PACKET_HEAD_BYTES)
#define RECORD_MAX        (RECORD_HEAD_BYTES + OPUS_VOICE_ENCODED_MAX)

static uint8_t *
piece_at(struct voice_piece *piece, size_t offset)
{
    return (uint8_t *) piece->memory + offset;
}

/* Room for so many bytes in one piece; a new one has piece_bytes. */
static struct voice_piece *
pieces_reserve(struct voice_pieces *p, size_t bytes, size_t piece_bytes)
{
    struct voice_piece *piece = p->last;

    if (piece != NULL && piece->room - piece->end >= bytes)
        return piece;
    piece = malloc(sizeof *piece + piece_bytes);
    if (piece == NULL)
        return NULL;
    *piece = (struct voice_piece){.room = (uint32_t) piece_bytes};
    if (p->last != NULL)
        p->last->next = piece;
    else
        p->first = piece;
    p->last = piece;
    return piece;
}

static void
pieces_commit(struct voice_pieces *p, size_t bytes)
{
    p->last->end += (uint32_t) bytes;
    p->bytes += bytes;
}

/* Empty pieces in front go; the last one begins anew. */
static void
pieces_tidy(struct voice_pieces *p)
{
    while (p->first != NULL && p->first->begin == p->first->end) {
        struct voice_piece *piece = p->first;

        if (piece == p->last) {
            piece->begin = piece->end = 0;
            return;
        }
        p->first = piece->next;
        free(piece);
    }
}

static void
pieces_take(struct voice_pieces *p, size_t bytes)
{
    p->bytes -= bytes;
    while (bytes > 0) {
        size_t here = p->first->end - p->first->begin;

        if (here > bytes)
            here = bytes;
        p->first->begin += (uint32_t) here;
        bytes -= here;
        pieces_tidy(p);
    }
}

static void
pieces_free(struct voice_pieces *p)
{
    for (struct voice_piece *piece = p->first, *next; piece; piece = next) {
        next = piece->next;
        free(piece);
    }
    memset(p, 0, sizeof *p);
}

static size_t
pieces_memory(const struct voice_pieces *p)
{
    size_t bytes = 0;

    for (const struct voice_piece *piece = p->first; piece; piece = piece->next)
        bytes += sizeof *piece + piece->room;
    return bytes;
}

/* Takes back what was written behind the end of a piece. */
static void
pieces_rewind(struct voice_pieces *p, struct voice_piece *last, uint32_t end,
              size_t bytes)
{
    struct voice_pieces more;

    if (last == NULL) {
        pieces_free(p);
        return;
    }
    more.first = last->next;
    pieces_free(&more);
    last->next = NULL;
    last->end = end;
    p->last = last;
    p->bytes = bytes;
}

void
session_voice_queue_deinit(struct session_voice_queue *q)
{
    pieces_free(&q->pcm);
    pieces_free(&q->packets);
    q->packets_ms = 0;
}

static void
pieces_clear(struct voice_pieces *p)
{
    if (p->bytes > 0)
        pieces_take(p, p->bytes);
}

void
session_voice_queue_clear(struct session_voice_queue *q)
{
    pieces_clear(&q->pcm);
    pieces_clear(&q->packets);
    q->packets_ms = 0;
}

bool
session_voice_queue_fits(const struct session_voice_queue *q, size_t chars)
{
    size_t pcm = q->pcm.bytes;
    uint64_t ms;

    if (chars > SESSION_VOICE_QUEUE_PCM / 3 * 4)
        return false;
    pcm += base64_decoded_max(chars);
    ms = pcm_ms_of_samples(pcm / 2);
    return pcm <= SESSION_VOICE_QUEUE_PCM
           && q->packets_ms + ms <= SESSION_VOICE_QUEUE_MS
           && q->packets.bytes + ms * OPUS_VOICE_BITRATE_MAX / 8000
                  <= SESSION_VOICE_QUEUE_PACKETS;
}

/* So much of the text as has room where the queue ends: whole groups, and a
 * padded one only at the very end. */
static ssize_t
piece_write(struct session_voice_queue *q, struct pcm_text_reader *reader,
            const char **text, size_t *chars)
{
    size_t want = base64_decoded_max(*chars) + 2, room, some;
    struct voice_piece *piece =
        pieces_reserve(&q->pcm, want < PCM_ROOM_LEAST ? want : PCM_ROOM_LEAST,
                       PCM_PIECE_BYTES);
    ssize_t samples;

    if (piece == NULL)
        return UV_ENOMEM;
    room = (piece->room - piece->end - 2) / 3 * 4;
    some = *chars <= room ? *chars : room;
    if (some < *chars && (*text)[some - 1] == '=')
        return UV_EINVAL;
    samples = pcm_text_read(
        reader, (int16_t *) (void *) piece_at(piece, piece->end), *text, some);
    if (samples < 0)
        return samples;
    pieces_commit(&q->pcm, (size_t) samples * 2);
    *text += some;
    *chars -= some;
    return samples;
}

ssize_t
session_voice_queue_write(struct session_voice_queue *q,
                          struct pcm_text_reader *reader, const char *text,
                          size_t chars)
{
    struct pcm_text_reader before = *reader;
    struct voice_piece *last = q->pcm.last;
    uint32_t end = last != NULL ? last->end : 0;
    size_t bytes = q->pcm.bytes;
    ssize_t total = 0;

    if (chars % 4 != 0)
        return UV_EINVAL;
    while (chars > 0) {
        ssize_t samples = piece_write(q, reader, &text, &chars);

        if (samples < 0) {
            pieces_rewind(&q->pcm, last, end, bytes);
            *reader = before;
            return samples;
        }
        total += samples;
    }
    pieces_tidy(&q->pcm);
    return total;
}

size_t
session_voice_queue_samples(const struct session_voice_queue *q)
{
    return q->pcm.bytes / 2;
}

const int16_t *
session_voice_queue_frame(const struct session_voice_queue *q, size_t have,
                          size_t frame, int16_t scratch[OPUS_VOICE_FRAME_MAX])
{
    struct voice_piece *piece = q->pcm.first;
    size_t done = 0;

    if (have == frame && piece->end - piece->begin >= frame * 2)
        return (const int16_t *) (const void *) piece_at(piece, piece->begin);
    for (; done < have; piece = piece->next) {
        size_t here = (piece->end - piece->begin) / 2;

        if (here > have - done)
            here = have - done;
        memcpy(scratch + done, piece_at(piece, piece->begin), here * 2);
        done += here;
    }
    memset(scratch + have, 0, (frame - have) * 2);
    return scratch;
}

void
session_voice_queue_take(struct session_voice_queue *q, size_t samples)
{
    pieces_take(&q->pcm, samples * 2);
}

uint8_t *
session_voice_queue_room(struct session_voice_queue *q)
{
    struct voice_piece *piece =
        pieces_reserve(&q->packets, RECORD_MAX, PACKET_PIECE_BYTES);

    return piece == NULL ? NULL
                         : piece_at(piece, piece->end + RECORD_HEAD_BYTES);
}

void
session_voice_queue_add(struct session_voice_queue *q, size_t bytes,
                        unsigned ms, uint8_t flags)
{
    struct voice_piece *piece = q->packets.last;
    struct record record = {
        .bytes = (uint16_t) bytes, .ms = (uint8_t) ms, .flags = flags};

    memcpy(piece_at(piece, piece->end), &record, sizeof record);
    pieces_commit(&q->packets, RECORD_HEAD_BYTES + bytes);
    pieces_tidy(&q->packets);
    q->packets_ms += ms;
}

static struct record
record_first(const struct session_voice_queue *q)
{
    struct voice_piece *piece = q->packets.first;
    struct record record;

    memcpy(&record, piece_at(piece, piece->begin), sizeof record);
    return record;
}

bool
session_voice_queue_first(const struct session_voice_queue *q,
                          struct session_voice_packet *packet)
{
    struct voice_piece *piece = q->packets.first;
    struct record record;

    if (q->packets.bytes == 0)
        return false;
    record = record_first(q);
    *packet = (struct session_voice_packet){
        .message = piece_at(piece, piece->begin + sizeof record),
        .bytes = record.bytes > 0
                     ? VOICE_PACKET_HEAD_BYTES + (size_t) record.bytes
                     : 0,
        .ms = record.ms,
        .flags = record.flags,
    };
    return true;
}

void
session_voice_queue_pop(struct session_voice_queue *q)
{
    struct record record = record_first(q);

    q->packets_ms -= record.ms;
    pieces_take(&q->packets, RECORD_HEAD_BYTES + record.bytes);
}

size_t
session_voice_queue_memory(const struct session_voice_queue *q)
{
    return pieces_memory(&q->pcm) + pieces_memory(&q->packets);
}
