/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The binary message of subprotocol voice.opus.v1: eight bytes and one Opus
 * packet; and what sequence and time say about the packets between. Pure, no
 * allocation, any thread; owns nothing: a read packet borrows the message.
 * Does not look into the Opus packet.
 *
 *    0        1        2                4                                 8
 *   ┌────────┬────────┬────────────────┬─────────────────────────────────┬───
 *   │ver|kind│ flags  │ sequence       │ timestamp, 48 kHz (RFC 7587)    │ Opus
 *   └────────┴────────┴────────────────┴─────────────────────────────────┴───
 *     4 | 4 bits        big-endian       big-endian
 *
 * As in RTP a silence that is not sent (DTX) takes time and no sequence
 * numbers; a packet that was made and dropped takes both. TCP keeps the order,
 * so one that is not ahead was sent twice.
 */

#ifndef VOICE_VOICE_PACKET_H
#define VOICE_VOICE_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define VOICE_PACKET_VERSION    1u
#define VOICE_PACKET_HEAD_BYTES 8u
#define VOICE_PACKET_RATE       48000u /* of timestamps */
#define VOICE_PACKET_BODY_MAX   7657u  /* the largest Opus packet of 120 ms */
#define VOICE_PACKET_MAX        7665u  /* head and body */

enum voice_packet_kind { VOICE_PACKET_AUDIO = 1 /* one Opus packet */ };

enum voice_packet_flag {
    VOICE_PACKET_START = 0x01, /* nothing before it is missing: the first of
                                  all, or after a clear or a pause */
    VOICE_PACKET_REST = 0x02   /* silence begins; it is not sent */
};

struct voice_packet {
    enum voice_packet_kind kind;
    uint8_t flags;
    uint16_t sequence;
    uint32_t timestamp;  /* of the first sample */
    const uint8_t *body; /* borrowed */
    size_t body_bytes;   /* 1…VOICE_PACKET_BODY_MAX */
};

/* Reads a whole message. 0; UV_EINVAL: too short or long, a flag we don't
 * know; UV_ENOTSUP: another version or kind. *packet is written only on 0. */
int voice_packet_read(struct voice_packet *packet, const void *message,
                      size_t bytes);

/* Writes the head; the body comes right after it (and may be there already:
 * encode to message + VOICE_PACKET_HEAD_BYTES). Body fields are not read. */
void voice_packet_write_head(uint8_t message[VOICE_PACKET_HEAD_BYTES],
                             const struct voice_packet *packet);

/* The sender's side. Zeroed memory is a fresh one, or begin anywhere. */
struct voice_packet_stamp {
    uint16_t sequence;
    uint32_t timestamp;
};

/* Stamps a packet of so many samples (at 48 kHz). One that is dropped
 * afterwards was stamped all the same. */
void voice_packet_stamp(struct voice_packet_stamp *stamp,
                        struct voice_packet *packet, uint32_t samples_48k);

/* Time that passes without a packet: DTX, a pause. */
void voice_packet_pass(struct voice_packet_stamp *stamp, uint32_t samples_48k);

/* A gap of more than this is a pause: nothing is to be filled in. */
#define VOICE_TRACK_GAP_MAX_48K 96000u /* 2 s */
#define VOICE_TRACK_OLD_WINDOW  64     /* packets; further back: a restart */

enum voice_track_kind {
    VOICE_TRACK_NEXT,    /* in order; rest_48k: what silence came before it */
    VOICE_TRACK_LOST,    /* packets are missing: lost_48k */
    VOICE_TRACK_RESTART, /* the first of all, START, or far away from the one
                            before: reset the decoder, fill in nothing */
    VOICE_TRACK_OLD      /* seen already, or older: drop it */
};

/* Where both have happened, fill in the silence first, then what is lost. */
struct voice_track_news {
    enum voice_track_kind kind;
    uint32_t lost_packets;
    uint32_t lost_48k; /* their time, at most VOICE_TRACK_GAP_MAX_48K */
    uint32_t rest_48k; /* not sent as silence, the same bound */
};

/* The receiver's side. Zeroed memory is a fresh one. */
struct voice_track {
    uint64_t packets; /* taken, without old ones */
    uint64_t lost;    /* packets that never came */
    uint64_t old;
    uint64_t restarts;       /* the first one is none */
    uint32_t next_timestamp; /* where the last one ended */
    uint32_t last_48k;       /* its samples */
    uint16_t last_sequence;
    bool started;
};

/*
 * Places a packet of so many samples (at 48 kHz; opus_voice_packet_samples
 * tells, times two). A packet that is no good is not shown to this: it is then
 * lost, as the next one says. Timestamps that contradict the sequence count as
 * in order.
 */
void voice_track_take(struct voice_track *track,
                      const struct voice_packet *packet, uint32_t samples_48k,
                      struct voice_track_news *news);

#endif
