/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The events that voice.opus.v1 has beside the Realtime API's (docs/audio.md):
 * the client's voice.stats is read, the server's voice.session, voice.quality,
 * voice.playout.clear are written, and those that the API knows from WebRTC
 * alone: output_audio_buffer.started, .stopped and .cleared. Pure, any thread,
 * owns nothing.
 */

#ifndef VOICE_VOICE_EVENT_H
#define VOICE_VOICE_EVENT_H

#include "codec/realtime_event.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VOICE_EVENT_BYTES 1024 /* room for any event written here */

#define VOICE_STATS_REPLY_BYTES 48 /* ids of ours are shorter */

/* What a client has seen since its last report. A member that it left out is
 * negative. */
struct voice_stats {
    double rtt_ms;
    double jitter_ms;
    double loss; /* 0…1: the share of packets */
    double underruns;
    double played_ms; /* the place on the down timeline, its timestamps / 48 */
    char reply_to[VOICE_STATS_REPLY_BYTES]; /* of the voice.playout.clear that
                                               it answers; "": it is none */
};

/*
 * Reads a voice.stats. 0; UV_EINVAL: *param names the member that is of another
 * type or out of its range, NULL: the text can't be read.
 */
int voice_stats_read(struct voice_stats *stats, const char *json, size_t bytes,
                     const char **param);

struct voice_session_told {
    const char *session_id;
    const char *resume_token; /* NULL: it may not come back */
    unsigned resume_grace_ms;
    unsigned bitrate_bps;
    unsigned ptime_ms;
    bool fec;
    bool dtx;
    const char *buffer_profile;
    unsigned buffer_target_ms;
};

struct voice_quality_told {
    const char *level;
    unsigned bitrate_bps;
    unsigned loss_percent;
    const char *buffer_profile;
    unsigned buffer_target_ms;
    struct realtime_span reply_to; /* the stats' event_id, with its quotes;
                                      none: a change */
};

/* Each writes one event with this event_id of ours and a NUL; its length. */
size_t voice_session_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                           const struct voice_session_told *told);
size_t voice_quality_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                           const struct voice_quality_told *told);
size_t voice_clear_write(char out[VOICE_EVENT_BYTES], const char *event_id);

enum voice_buffer_event {
    VOICE_BUFFER_STARTED,
    VOICE_BUFFER_STOPPED,
    VOICE_BUFFER_CLEARED
};

/* response_id is plain text without quotes or escapes; "" leaves it out. */
size_t voice_buffer_write(char out[VOICE_EVENT_BYTES], const char *event_id,
                          enum voice_buffer_event which,
                          const char *response_id);

/* The client's conversation.item.truncate that the gateway sends for it; it
 * has no event_id: nobody awaits an answer. The id as above. */
size_t voice_truncate_write(char out[VOICE_EVENT_BYTES], const char *item_id,
                            unsigned content_index, uint64_t audio_end_ms);

#endif
