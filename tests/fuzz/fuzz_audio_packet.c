/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Messages of voice.opus.v1: what is read is written the same; and a tracker
 * that is shown any sequence of them keeps what it promises.
 *
 *   input: messages, each  length (1, up to 16)  bytes; the rest is one message
 */

#include "codec/voice_packet.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void
must(bool fact)
{
    if (!fact)
        abort();
}

static bool
message_read(struct voice_packet *packet, const uint8_t *message, size_t bytes)
{
    uint8_t head[VOICE_PACKET_HEAD_BYTES];

    if (voice_packet_read(packet, message, bytes) != 0)
        return false;
    must(packet->body == message + VOICE_PACKET_HEAD_BYTES);
    must(packet->body_bytes > 0 && packet->body_bytes <= VOICE_PACKET_BODY_MAX);
    must(packet->body_bytes + VOICE_PACKET_HEAD_BYTES == bytes);
    voice_packet_write_head(head, packet);
    must(memcmp(head, message, sizeof head) == 0);
    return true;
}

static void
packet_track(struct voice_track *track, const struct voice_packet *packet)
{
    struct voice_track before = *track;
    struct voice_track_news news;
    uint32_t samples = 120u << (packet->body[0] % 7);

    voice_track_take(track, packet, samples, &news);
    must(news.lost_48k <= VOICE_TRACK_GAP_MAX_48K
         && news.rest_48k <= VOICE_TRACK_GAP_MAX_48K - news.lost_48k);
    must((news.kind == VOICE_TRACK_LOST) == (news.lost_packets > 0));
    must(track->lost == before.lost + news.lost_packets);
    if (news.kind == VOICE_TRACK_OLD) {
        before.old++;
        must(memcmp(track, &before, sizeof before) == 0);
        return;
    }
    must(track->started && track->last_sequence == packet->sequence);
    must(track->next_timestamp == packet->timestamp + samples);
    must(track->packets == before.packets + 1);
    must(news.kind != VOICE_TRACK_RESTART
         || (news.lost_48k == 0 && news.rest_48k == 0));
}

static void
message_take(struct voice_track *track, const uint8_t *at, size_t bytes)
{
    uint8_t *message = malloc(bytes + (bytes == 0));
    struct voice_packet packet;

    memcpy(message, at, bytes);
    if (message_read(&packet, message, bytes))
        packet_track(track, &packet);
    free(message);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct voice_track track = {0};
    size_t at = 0;

    while (at < bytes && data[at] > 0 && data[at] <= 16
           && data[at] < bytes - at) {
        message_take(&track, data + at + 1, data[at]);
        at += 1u + data[at];
    }
    if (at < bytes)
        message_take(&track, data + at, bytes - at);
    return 0;
}
