/* SPDX-License-Identifier: BSD-2-Clause */

#include "codec/voice_packet.h"

#include <string.h>
#include <uv.h>

_Static_assert(VOICE_PACKET_MAX
                   == VOICE_PACKET_HEAD_BYTES + VOICE_PACKET_BODY_MAX,
               "a message is its head and its body");

#define FLAGS_KNOWN (VOICE_PACKET_START | VOICE_PACKET_REST)

int
voice_packet_read(struct voice_packet *packet, const void *message,
                  size_t bytes)
{
    const uint8_t *at = message;

    if (bytes == 0)
        return UV_EINVAL;
    if (at[0] >> 4 != VOICE_PACKET_VERSION
        || (at[0] & 0x0f) != VOICE_PACKET_AUDIO)
        return UV_ENOTSUP;
    if (bytes <= VOICE_PACKET_HEAD_BYTES || bytes > VOICE_PACKET_MAX
        || (at[1] & ~FLAGS_KNOWN))
        return UV_EINVAL;
    *packet = (struct voice_packet){
        .kind = VOICE_PACKET_AUDIO,
        .flags = at[1],
        .sequence = (uint16_t) (at[2] << 8 | at[3]),
        .timestamp = (uint32_t) at[4] << 24 | (uint32_t) at[5] << 16
                     | (uint32_t) at[6] << 8 | at[7],
        .body = at + VOICE_PACKET_HEAD_BYTES,
        .body_bytes = bytes - VOICE_PACKET_HEAD_BYTES,
    };
    return 0;
}

void
voice_packet_write_head(uint8_t message[VOICE_PACKET_HEAD_BYTES],
                        const struct voice_packet *packet)
{
    message[0] = (uint8_t) (VOICE_PACKET_VERSION << 4 | packet->kind);
    message[1] = packet->flags;
    message[2] = (uint8_t) (packet->sequence >> 8);
    message[3] = (uint8_t) packet->sequence;
    message[4] = (uint8_t) (packet->timestamp >> 24);
    message[5] = (uint8_t) (packet->timestamp >> 16);
    message[6] = (uint8_t) (packet->timestamp >> 8);
    message[7] = (uint8_t) packet->timestamp;
}

void
voice_packet_stamp(struct voice_packet_stamp *stamp,
                   struct voice_packet *packet, uint32_t samples_48k)
{
    packet->sequence = stamp->sequence++;
    packet->timestamp = stamp->timestamp;
    stamp->timestamp += samples_48k;
}

void
voice_packet_pass(struct voice_packet_stamp *stamp, uint32_t samples_48k)
{
    stamp->timestamp += samples_48k;
}

/* Both as the signed way round their circle, which is the shorter one. */
static int
sequence_step(const struct voice_track *track,
              const struct voice_packet *packet)
{
    return (int16_t) (uint16_t) (packet->sequence - track->last_sequence);
}

static int32_t
time_step(const struct voice_track *track, const struct voice_packet *packet)
{
    return (int32_t) (packet->timestamp - track->next_timestamp);
}

/* Of a packet that is ahead. */
static uint64_t
lost_by_count(const struct voice_track *track,
              const struct voice_packet *packet)
{
    return (uint64_t) (sequence_step(track, packet) - 1) * track->last_48k;
}

static enum voice_track_kind
kind_of(const struct voice_track *track, const struct voice_packet *packet)
{
    int step = sequence_step(track, packet);
    int32_t time = time_step(track, packet);

    if (!track->started)
        return VOICE_TRACK_RESTART;
    if (packet->flags & VOICE_PACKET_START) /* or the same one twice */
        return step == 0 ? VOICE_TRACK_OLD : VOICE_TRACK_RESTART;
    if (step <= 0)
        return step > -VOICE_TRACK_OLD_WINDOW ? VOICE_TRACK_OLD
                                              : VOICE_TRACK_RESTART;
    if (time > (int32_t) VOICE_TRACK_GAP_MAX_48K
        || time < -(int32_t) VOICE_TRACK_GAP_MAX_48K
        || lost_by_count(track, packet) > VOICE_TRACK_GAP_MAX_48K)
        return VOICE_TRACK_RESTART;
    return step > 1 ? VOICE_TRACK_LOST : VOICE_TRACK_NEXT;
}

/*
 * The time between the last packet and this one: first what the lost packets
 * took, as far as there is any, the rest was silence. Without a time that can
 * be true the number of packets has to tell.
 */
static void
gap_divide(const struct voice_track *track, const struct voice_packet *packet,
           struct voice_track_news *news)
{
    int32_t time = time_step(track, packet);
    uint64_t lost;

    news->lost_packets = (uint32_t) (sequence_step(track, packet) - 1);
    lost = lost_by_count(track, packet);
    if (time > 0 && lost > (uint64_t) time)
        lost = (uint64_t) time;
    news->lost_48k = (uint32_t) lost;
    if (time > 0)
        news->rest_48k = (uint32_t) time - news->lost_48k;
}

void
voice_track_take(struct voice_track *track, const struct voice_packet *packet,
                 uint32_t samples_48k, struct voice_track_news *news)
{
    memset(news, 0, sizeof *news);
    news->kind = kind_of(track, packet);
    if (news->kind == VOICE_TRACK_OLD) {
        track->old++;
        return;
    }
    if (news->kind == VOICE_TRACK_RESTART)
        track->restarts += track->started;
    else
        gap_divide(track, packet, news);
    track->packets++;
    track->lost += news->lost_packets;
    track->started = true;
    track->last_sequence = packet->sequence;
    track->next_timestamp = packet->timestamp + samples_48k;
    track->last_48k = samples_48k;
}
